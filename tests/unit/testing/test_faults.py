"""Faults on demand: a network that fails, a client that breaks the protocol, a server that shuts down."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import pytest

from tests.unit.testing.chat import Said, Say, app, chat
from typedws import Connection, Handshake, Policy, WebSocketDisconnect, endpoint
from typedws._protocol.outcomes import Closed
from typedws.testing import (
    ExpectationFailed,
    ServerBehaviour,
    TestConnection,
    WaitTimeout,
    advance_clock,
    connect,
    settle,
)

pytestmark = pytest.mark.anyio

LOBBY: Final = "/chat/lobby?name=ann"


class RecordingEcho:
    """An endpoint that sends each message back, and records how its connections end."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.ends: list[tuple[int, str, str]] = []
        self.sent = 0
        self.endpoint = endpoint(self.handle, policy=policy)

    async def handle(self, ws: Connection[str, str]) -> None:
        try:
            while True:
                message = await ws.receive_model()
                await ws.send_model(message)
                self.sent += 1
        except WebSocketDisconnect as error:
            self.ends.append((error.code, error.reason, error.closed_by))
            raise


Fault = Callable[[TestConnection[str, str]], Awaitable[None]]


async def lose(ws: TestConnection[str, str]) -> None:
    ws.lose()


async def restart(ws: TestConnection[str, str]) -> None:
    ws.shut_down_server()


async def send_invalid_utf8(ws: TestConnection[str, str]) -> None:
    await ws.send_malformed("invalid_utf8")


async def send_protocol_error(ws: TestConnection[str, str]) -> None:
    await ws.send_malformed("protocol_error")


async def send_oversized_frame(ws: TestConnection[str, str]) -> None:
    await ws.send_malformed("too_big")


async def send_message_above_limit(ws: TestConnection[str, str]) -> None:
    with pytest.raises(WebSocketDisconnect) as caught:
        await ws.send_text("x" * 101)
    assert caught.value.code == 1009


async def close(ws: TestConnection[str, str]) -> None:
    await ws.close(4000, "bye")


@pytest.mark.parametrize(
    ("fault", "seen_by_the_application", "seen_by_the_client"),
    [
        (lose, (1006, "", "network"), Closed(1006, "", "network")),
        (restart, (1012, "", "server"), Closed(1012, "", "peer")),
        (send_invalid_utf8, (1007, "", "server"), Closed(1007, "", "peer")),
        (send_protocol_error, (1002, "", "server"), Closed(1002, "", "peer")),
        (send_oversized_frame, (1009, "", "peer"), Closed(1009, "", "peer")),
        (send_message_above_limit, (1009, "", "peer"), Closed(1009, "", "peer")),
        (close, (4000, "bye", "peer"), Closed(4000, "bye", "application")),
    ],
)
async def test_both_ends_see_a_fault(
    fault: Fault, seen_by_the_application: tuple[int, str, str], seen_by_the_client: Closed
) -> None:
    echo = RecordingEcho()
    async with connect(echo.endpoint, server=ServerBehaviour(max_message_size=100)) as ws:
        await ws.send_model("hi")
        await ws.expect(str)
        await fault(ws)
        await ws.expect_close(seen_by_the_client.code)
        assert ws.end == seen_by_the_client
    assert echo.ends == [seen_by_the_application]


async def test_a_connection_can_be_lost_instead_of_delivering_the_nth_message() -> None:
    echo = RecordingEcho()
    async with connect(echo.endpoint) as ws:
        ws.lose(at_message=2)
        await ws.send_model("one")
        await ws.expect(str)
        await ws.send_model("two")
        await ws.expect_close(1006)
    assert echo.sent == 1
    assert echo.ends == [(1006, "", "network")]


async def test_messages_on_the_way_are_lost_with_the_connection() -> None:
    async with connect(app, LOBBY, chat) as ws:
        await ws.send_model(Say(text="one"))
        await settle()
        ws.lose()
        with pytest.raises(ExpectationFailed, match="the connection was lost: 1006"):
            await ws.expect(Said)


async def test_a_send_waits_while_the_client_does_not_read() -> None:
    echo = RecordingEcho()
    async with connect(echo.endpoint) as ws:
        ws.stop_reading()
        await ws.send_model("hi")
        await ws.expect_nothing()
        assert echo.sent == 0
        ws.read_again()
        assert await ws.expect(str) == "hi"


async def test_a_send_timeout_closes_a_client_that_does_not_read() -> None:
    echo = RecordingEcho(Policy(send_timeout=30))
    async with connect(echo.endpoint, timeout=0.1) as ws:
        ws.stop_reading()
        await ws.send_model("hi")
        await settle()
        await advance_clock(40)
        await ws.expect_close(1008, "messages are not read")


async def test_a_send_that_waits_for_a_reader_fails_when_the_connection_is_lost() -> None:
    echo = RecordingEcho()
    async with connect(echo.endpoint) as ws:
        ws.stop_reading()
        await ws.send_model("hi")
        await settle()
        ws.lose()
    assert echo.ends == [(1006, "", "network")]


async def test_a_send_on_a_lost_connection_raises_with_its_code() -> None:
    echo = RecordingEcho()
    async with connect(echo.endpoint) as ws:
        ws.lose()
        with pytest.raises(WebSocketDisconnect, match="1006"):
            await ws.send_model("hi")


async def test_a_fault_after_the_end_changes_nothing() -> None:
    async with connect(RecordingEcho().endpoint) as ws:
        await ws.close(4000)
        ws.lose()
        ws.shut_down_server()
        assert ws.end == Closed(4000, "", "application")


# --- server behaviours ---


async def test_sends_can_be_dropped_without_an_exception() -> None:
    count = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal count
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        for count in range(1, 4):  # noqa: B007 - read after the block
            await send({"type": "websocket.send", "text": "hi"})
        await send({"type": "websocket.close"})

    async with connect(app, server=ServerBehaviour(drops_sends_silently=True)) as ws:
        ws.lose()
    assert count == 3


@pytest.mark.parametrize("fault", ["lost", "lost at a message"])
async def test_a_dropped_send_stops_waiting_when_the_connection_is_lost(fault: str) -> None:
    echo = RecordingEcho()
    async with connect(echo.endpoint, server=ServerBehaviour(drops_sends_silently=True)) as ws:
        if fault == "lost":
            ws.stop_reading()
        else:
            ws.lose(at_message=1)
        await ws.send_model("hi")
        await settle()
        ws.lose()
    assert (echo.sent, echo.ends) == (1, [(1006, "", "network")])


async def test_without_the_denial_extension_a_denial_is_a_bare_403() -> None:
    denied = await connect(
        app, "/chat/lobby?name=mallory", chat, server=ServerBehaviour(no_denial_extension=True)
    ).expect_denied(403)
    assert (denied.body, denied.problem) == (b"", None)


async def test_a_close_reason_can_be_dropped() -> None:
    @endpoint
    async def handler(ws: Connection[str, str]) -> None:
        await ws.close(4001, "bye")

    async with connect(handler, server=ServerBehaviour(no_close_reason=True)) as ws:
        assert await ws.expect_close(4001) == Closed(4001, "", "peer")


async def test_a_shutdown_can_cancel_the_application_without_a_disconnect() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            seen.append((await receive())["type"])
        except anyio.get_cancelled_exc_class():
            seen.append("cancelled")
            raise

    async with connect(app, server=ServerBehaviour(cancelled_at_shutdown=True)) as ws:
        await settle()
        ws.shut_down_server()
        await ws.expect_close(1006)
    assert seen == ["cancelled"]


async def test_an_endpoint_that_is_cancelled_closes_with_1012() -> None:
    async with connect(RecordingEcho().endpoint, server=ServerBehaviour(cancelled_at_shutdown=True)) as ws:
        await settle()
        ws.shut_down_server()
        await ws.expect_close(1012, "the server restarts")


@pytest.mark.parametrize("both", [True, False])
async def test_an_event_can_have_both_data_keys(*, both: bool) -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        events.extend([await receive(), await receive()])

    async with connect(app, server=ServerBehaviour(both_data_keys=both)) as ws:
        await ws.send_text("a")
        await ws.send_bytes(b"b")
        await ws.expect_close(1006)
    other = {"text": None, "bytes": None} if both else {}
    kind = {"type": "websocket.receive"}
    assert events == [{**other, **kind, "text": "a"}, {**other, **kind, "bytes": b"b"}]


# --- the clock ---


async def test_an_idle_timeout_of_a_minute_takes_milliseconds() -> None:
    echo = RecordingEcho(Policy(idle_timeout=60))
    async with connect(echo.endpoint) as ws:
        await advance_clock(59)
        await ws.expect_nothing()
        await ws.send_model("hi")
        await ws.expect(str)
        await advance_clock(59)
        await ws.expect_nothing()
        await advance_clock(3)
        await ws.expect_close(3008, "no message in time")


async def test_a_handshake_timeout_of_ten_seconds_takes_milliseconds() -> None:
    async def handler(handshake: Handshake[str, str]) -> Any:
        await anyio.sleep(60)

    async with anyio.create_task_group() as tasks:

        async def expect_denied() -> None:
            denied = await connect(endpoint(handler, policy=Policy(handshake_timeout=10))).expect_denied(503)
            assert denied.problem is not None
            assert denied.problem.detail == "no decision in time"

        tasks.start_soon(expect_denied)
        await settle()
        await advance_clock(12)


async def test_every_timer_in_between_fires_one_after_the_other() -> None:
    ticks: list[float] = []

    @endpoint
    async def clock(ws: Connection[str, str]) -> None:
        start = anyio.current_time()
        async with ws.cancelled_on_disconnect():
            while True:
                await anyio.sleep(10)
                ticks.append(round(anyio.current_time() - start))
                await ws.send_model("tick")

    async with connect(clock) as ws:
        await advance_clock(35)
        assert ticks == [10, 20, 30]
        for _ in ticks:
            await ws.expect(str)
        await advance_clock(4)
        await ws.expect_nothing()


async def test_a_wait_ends_in_time_after_the_clock_was_advanced() -> None:
    async with connect(RecordingEcho().endpoint, timeout=0.05) as ws:
        await advance_clock(3600)
        with pytest.raises(WaitTimeout):
            await ws.receive_model()
