"""An open client connection: pings, backpressure, leaving, cancellation; against a scripted server."""

import logging
from typing import Any

import anyio
import pytest

from tests.support import stable_id
from tests.unit.client.scripted import Opcode, ServerEnd, frame, scripted
from typedws import Connection, Contract, WebSocketDisconnect
from typedws._protocol.outcomes import Closed
from typedws.client import connect, reconnecting
from typedws.client.wire import Wire

pytestmark = pytest.mark.anyio

BIG = "x" * 200_000
SOON = 0.01
PROMPT = 0.05


async def answering(end: ServerEnd) -> list[int]:
    """Accept, answer pings and the close, and return the opcodes of the received frames."""
    await end.accept()
    opcodes = list[int]()
    while (received := await end.next_frame()) is not None:
        opcodes.append(received.opcode)
        if received.opcode == Opcode.PING:
            await end.send(frame(Opcode.PONG, received.payload))
        elif received.opcode == Opcode.CLOSE:
            await end.send(frame(Opcode.CLOSE, received.payload))
            break
    return opcodes


# --- pings ---


async def test_a_client_pings_while_its_server_answers() -> None:
    pinged = anyio.Event()

    async def script(end: ServerEnd) -> int | None:
        await end.accept()
        for _ in range(3):
            received = await end.next_frame()
            assert received is not None
            assert (received.opcode, len(received.payload)) == (Opcode.PING, 4)
            await end.send(frame(Opcode.PONG, b"none of yours") + frame(Opcode.PONG, received.payload))
        pinged.set()
        return await end.close_code()

    async with scripted(script) as server:
        async with connect(server.url, ping_interval=SOON, ping_timeout=5) as ws:
            await pinged.wait()
            assert ws.end is None
        assert await server.result() == 1000


async def test_a_server_that_answers_no_ping_counts_as_lost() -> None:
    async def script(end: ServerEnd) -> None:
        await end.accept()
        await end.until_gone()

    async with scripted(script) as server, connect(server.url, ping_interval=SOON, ping_timeout=SOON) as ws:
        with pytest.raises(WebSocketDisconnect):
            await ws.receive_text()
        assert ws.end == Closed(1006, "", "network")


@pytest.mark.parametrize(
    "options", [{"ping_interval": None}, {"ping_interval": SOON, "ping_timeout": None}], ids=stable_id
)
async def test_pings_and_their_timeout_can_be_disabled(options: dict[str, Any]) -> None:
    async def script(end: ServerEnd) -> int:
        await end.accept()
        if options["ping_interval"] is not None:
            received = await end.next_frame()  # It is not answered.
            assert received is not None
            assert received.opcode == Opcode.PING
        await end.send(frame(Opcode.TEXT, b"still here"))
        return await end.close_code() or 0

    async with scripted(script) as server:
        async with connect(server.url, **options) as ws:
            assert await ws.receive_text() == "still here"
        assert await server.result() == 1000


async def test_a_client_that_does_not_receive_does_not_lose_its_server() -> None:
    async def script(end: ServerEnd) -> int:
        await end.accept()
        for number in range(100):
            await end.send(frame(Opcode.TEXT, str(number).encode()))
        for _ in range(3):
            received = await end.next_frame()  # Its pong is behind messages that are not received.
            assert received is not None
            await end.send(frame(Opcode.PONG, received.payload))
        pinged.set()
        return await end.close_code() or 0

    pinged = anyio.Event()
    async with scripted(script) as server, connect(server.url, ping_interval=SOON, ping_timeout=SOON) as ws:
        await pinged.wait()
        assert [await ws.receive_text() for _ in range(100)] == [str(number) for number in range(100)]


async def test_pings_of_the_server_are_answered_while_no_task_receives() -> None:
    async def script(end: ServerEnd) -> bytes:
        await end.accept()
        await end.send(frame(Opcode.PING, b"there?"))
        received = await end.next_frame()
        assert received is not None
        assert received.opcode == Opcode.PONG
        return received.payload

    async with scripted(script) as server, connect(server.url):
        assert await server.result() == b"there?"


# --- backpressure ---


async def test_a_send_waits_for_a_server_that_does_not_read_and_sends_nothing_if_cancelled() -> None:
    reads = anyio.Event()

    async def script(end: ServerEnd) -> list[int]:
        await end.accept()
        await reads.wait()
        sizes = list[int]()
        while (received := await end.next_frame()) is not None and received.opcode != Opcode.CLOSE:
            sizes.append(len(received.payload))
        return sizes

    async with scripted(script) as server:
        sent = 0
        async with connect(server.url, close_timeout=PROMPT) as ws:
            with anyio.move_on_after(0.2) as deadline:
                while True:
                    await ws.send_text(BIG)
                    sent += 1
            assert deadline.cancelled_caught
            assert 0 < sent < 1000
            reads.set()
            await ws.send_text("last")
        assert await server.result() == [*[len(BIG)] * sent, 4]


async def test_a_client_that_does_not_receive_makes_the_server_wait() -> None:
    async def script(end: ServerEnd) -> int:
        await end.accept()
        sent = 0
        with anyio.move_on_after(0.2):
            while True:
                await end.send(frame(Opcode.BINARY, bytes(100_000)))
                sent += 1
        stuck.set()
        await end.until_gone()
        return sent

    stuck = anyio.Event()
    async with scripted(script) as server:
        async with connect(server.url, close_timeout=PROMPT) as ws:
            await stuck.wait()
            assert len(await ws.receive_bytes()) == 100_000
        assert await server.result() < 1000


async def test_a_send_that_waits_raises_when_the_server_is_lost() -> None:
    async def script(end: ServerEnd) -> None:
        await end.accept()
        await full.wait()
        await end.reset()

    full = anyio.Event()
    async with scripted(script) as server, connect(server.url) as ws:
        with anyio.move_on_after(0.1):
            while True:
                await ws.send_text(BIG)
        full.set()
        with pytest.raises(WebSocketDisconnect):
            while True:
                await ws.send_text(BIG)
    assert ws.end == Closed(1006, "", "network")


async def test_concurrent_sends_that_wait_are_all_sent() -> None:
    async def script(end: ServerEnd) -> list[bytes]:
        await end.accept()
        payloads = list[bytes]()
        while (received := await end.next_frame()) is not None and received.opcode != Opcode.CLOSE:
            payloads.append(received.payload[-3:])
        return payloads

    async with scripted(script) as server:
        async with connect(server.url, close_timeout=PROMPT) as ws:
            for number in range(20):  # These fill the outgoing buffer.
                await ws.send_text(f"{BIG}{number:03}")
            async with anyio.create_task_group() as tasks:
                for number in range(20, 40):
                    tasks.start_soon(ws.send_text, f"{number:03}")
        payloads = await server.result()
    assert payloads[:20] == [f"{number:03}".encode() for number in range(20)]
    assert sorted(payloads) == [f"{number:03}".encode() for number in range(40)]


# --- leaving ---


class _Failure(Exception):
    pass


async def answering_the_close(end: ServerEnd) -> int | None:
    """Accept, answer the close, and return its code."""
    await end.accept()
    code = await end.close_code()
    await end.close(code or 1000)
    return code


async def test_a_block_that_ends_closes_with_1000_and_one_that_raises_with_1001() -> None:
    async with scripted(answering_the_close) as server:
        async with connect(server.url):
            pass
        assert await server.result() == 1000
        with pytest.raises(_Failure):
            async with connect(server.url):
                raise _Failure
        assert await server.result() == 1001
        async with connect(server.url) as ws:
            assert await ws.close(4001, "bye") == Closed(4001, "bye", "application")
            with pytest.raises(WebSocketDisconnect):
                await ws.send_text("late")
            with pytest.raises(WebSocketDisconnect):
                await ws.receive_text()
        assert await server.result() == 4001


async def test_a_cancelled_block_still_completes_the_closing_handshake() -> None:
    async with scripted(answering_the_close) as server:
        with anyio.CancelScope() as scope:
            async with connect(server.url) as ws:
                scope.cancel()
                await ws.receive_text()
        assert scope.cancelled_caught
        assert await server.result() == 1001


async def test_messages_sent_before_the_close_arrive_before_it() -> None:
    async with scripted(answering) as server:
        async with connect(server.url) as ws:
            for _ in range(5):
                await ws.send_bytes(b"a")
        assert await server.result() == [Opcode.BINARY] * 5 + [Opcode.CLOSE]


async def test_a_cancelled_opening_handshake_closes_its_connection() -> None:
    async def script(end: ServerEnd) -> bytes:
        await end.read_request()
        asked.set()
        await end.until_gone()
        return b"gone"

    asked = anyio.Event()
    async with scripted(script) as server:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:

                async def cancel() -> None:
                    await asked.wait()
                    scope.cancel()

                tasks.start_soon(cancel)
                async with connect(server.url):
                    pytest.fail("it was not accepted")
        assert await server.result() == b"gone"


async def test_leaving_a_reconnecting_loop_closes_in_the_background() -> None:
    async with scripted(answering) as server:
        async for ws in reconnecting(server.url):
            await ws.send_text("hello")
            break
        assert await server.result() == [Opcode.TEXT, Opcode.CLOSE]


async def test_a_connection_can_be_entered_and_left_in_different_tasks() -> None:
    """Fixtures enter a connection in one task and leave it in another."""
    async with scripted(answering) as server:
        connecting = connect(server.url)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connecting.__aenter__)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connecting.__aexit__, None, None, None)
        assert await server.result() == [Opcode.CLOSE]


async def test_leaving_a_connection_that_was_not_entered_does_nothing() -> None:
    await connect("ws://127.0.0.1:1/").__aexit__(None, None, None)


async def test_an_internal_error_ends_the_connection_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(wire: Wire, data: bytes) -> None:
        raise ZeroDivisionError

    async def script(end: ServerEnd) -> None:
        await end.accept()
        await accepted.wait()
        await end.send(frame(Opcode.TEXT, b"a"))
        await end.until_gone()

    accepted = anyio.Event()
    async with scripted(script) as server, connect(server.url) as ws:
        monkeypatch.setattr(Wire, "feed", fail)
        accepted.set()
        with pytest.raises(WebSocketDisconnect):
            await ws.receive_text()
    assert ws.end == Closed(1006, "", "network")
    assert [record.getMessage() for record in caplog.records] == ["a connection's transport failed"]


# --- the result of the handshake ---


@pytest.mark.parametrize(
    ("offered", "selected", "mode"),
    [(None, "chat.v1.msgpack", "msgpack"), (None, None, "text"), (["own", "chat.v1.json"], "own", "text")],
)
async def test_the_subprotocol_that_the_server_selects_decides_the_mode(
    offered: list[str] | None, selected: str | None, mode: str
) -> None:
    async def script(end: ServerEnd) -> bytes:
        await end.accept({} if selected is None else {"Sec-WebSocket-Protocol": selected})
        received = await end.next_frame()
        assert received is not None
        return received.payload

    chat = Contract("chat", Connection[int, str], modes=("text", "msgpack"))
    async with scripted(script) as server:
        async with connect(server.url, chat, subprotocols=offered, close_timeout=PROMPT) as ws:
            assert ws.subprotocol == selected
            await ws.send_model(200)
        assert await server.result() == {"text": b"200", "msgpack": b"\xcc\xc8"}[mode]


async def test_a_connection_has_its_url_and_the_headers_of_both_sides() -> None:
    async with scripted(answering) as server, connect(f"{server.url}chat?x=1", headers={"X-Own": "1"}) as ws:
        assert str(ws.url) == f"{server.url}chat?x=1"
        assert ws.headers["x-own"] == "1"
        assert ws.client is not None
        assert ws.client.host == "127.0.0.1"
        assert ws.response_headers["upgrade"] == "websocket"


async def test_frames_are_logged_by_a_logger_of_their_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with scripted(answering) as server, connect(server.url) as ws:
        await ws.send_text("secret")
    assert {record.name for record in caplog.records if "secret" in record.getMessage()} == {"typedws.wire"}
