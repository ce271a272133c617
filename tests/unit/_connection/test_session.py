"""`Session`: the order of sends, one receiving task, closing, and failed or cancelled sends."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests.support import CONNECT, AnyWebSocket, Event, accepted, connecting, disconnect, scope, text, wire
from typedws._connection import session as session_module
from typedws._protocol.outcomes import Closed
from typedws.exceptions import (
    ConcurrentReceive,
    InvalidClose,
    InvalidMessage,
    WebSocketDisconnect,
    WebSocketDisconnected,
)
from typedws.websockets import WebSocket, WebSocketState

pytestmark = pytest.mark.anyio


class SlowServer:
    """A server that writes nothing after the accept until ``may_write`` is set; ``sent`` is in the order of writes."""

    def __init__(self, *events: Event) -> None:
        self.receive, self._deliver, self.sent = wire(CONNECT, *events)
        self.send_calls = 0
        self.may_write = anyio.Event()

    async def send(self, event: Event) -> None:
        self.send_calls += 1
        if event["type"] != "websocket.accept":
            await self.may_write.wait()
        await self._deliver(event)

    async def accepted(self) -> AnyWebSocket:
        ws = WebSocket[Any, Any](scope(), self.receive, self.send)
        await ws.accept()
        self.sent.clear()
        self.send_calls = 0
        return ws


def texts(sent: list[Event]) -> list[str]:
    return [event["text"] for event in sent if "text" in event]


# --- the order of sends ---


async def test_sends_of_many_tasks_are_written_whole_and_in_call_order() -> None:
    server = SlowServer()
    ws = await server.accepted()
    methods: list[Callable[[Any], Coroutine[Any, Any, None]]] = [ws.send_model, ws.send_text, ws.send_json]
    async with anyio.create_task_group() as tasks:
        for number in range(30):
            tasks.start_soon(methods[number % 3], str(number))
            await anyio.wait_all_tasks_blocked()
        assert server.send_calls == 1, "the server sees one send at a time"
        server.may_write.set()
    assert [data.strip('"') for data in texts(server.sent)] == [str(number) for number in range(30)]


async def test_a_cancelled_send_does_not_block_the_next_one() -> None:
    server = SlowServer()
    ws = await server.accepted()
    scopes = [anyio.CancelScope() for _ in range(3)]

    async def send(number: int) -> None:
        with scopes[number]:
            await ws.send_text(str(number))

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(send, number)
            await anyio.wait_all_tasks_blocked()
        scopes[1].cancel()  # while it waits for its turn
        await anyio.wait_all_tasks_blocked()
        scopes[0].cancel()  # while it waits in the server's send
        await anyio.wait_all_tasks_blocked()
        server.may_write.set()
    await ws.send_text("after")
    assert texts(server.sent) == ["2", "after"]


async def test_a_send_cancelled_when_its_turn_comes_passes_the_turn_on() -> None:
    server = SlowServer()
    ws = await server.accepted()
    second_scope = anyio.CancelScope()

    async def first() -> None:
        await ws.send_text("first")
        # The turn is handed over by now, but the task of the second send has not resumed yet.
        second_scope.cancel()

    async def second() -> None:
        with second_scope:
            await ws.send_text("second")

    async with anyio.create_task_group() as tasks:
        for send in (first, second, lambda: ws.send_text("third")):
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
        server.may_write.set()
    assert texts(server.sent) == ["first", "third"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_cancelled_by_asyncio_when_its_turn_comes_passes_the_turn_on() -> None:
    server = SlowServer()
    ws = await server.accepted()

    async def send_and_cancel() -> None:
        await ws.send_text("first")
        # The turn is handed over by now, but the second task has not resumed yet.
        second.cancel()

    first = asyncio.create_task(send_and_cancel())
    second = asyncio.create_task(ws.send_text("second"))
    third = asyncio.create_task(ws.send_text("third"))
    await anyio.wait_all_tasks_blocked()
    server.may_write.set()
    with anyio.fail_after(5), pytest.raises(asyncio.CancelledError):
        await second
    await third
    assert first.done()
    assert texts(server.sent) == ["first", "third"]


async def test_sends_queued_behind_a_failed_one_raise_without_calling_the_server() -> None:
    receive, _, _ = wire(CONNECT)
    gate = anyio.Event()
    attempts: list[Event] = []

    async def send(event: Event) -> None:
        if event["type"] == "websocket.send":
            attempts.append(event)
            await gate.wait()
            raise OSError

    ws = WebSocket(scope(), receive, send)
    await ws.accept()
    caught: list[type[Exception]] = []

    async def send_text(data: str) -> None:
        try:
            await ws.send_text(data)
        except WebSocketDisconnect as error:
            caught.append(type(error))

    async with anyio.create_task_group() as tasks:
        for data in "abc":
            tasks.start_soon(send_text, data)
            await anyio.wait_all_tasks_blocked()
        gate.set()
    assert caught == [WebSocketDisconnect, WebSocketDisconnected, WebSocketDisconnected]
    assert texts(attempts) == ["a"]


# --- only one task receives ---

RECEIVES: list[str] = ["receive_text", "receive_bytes", "receive_json", "receive_model", "receive", "__anext__"]


@pytest.mark.parametrize("first", RECEIVES)
@pytest.mark.parametrize("second", RECEIVES)
async def test_a_second_receiving_task_gets_an_error_at_once_and_the_first_continues(first: str, second: str) -> None:
    arrival = anyio.Event()
    pending = [CONNECT, text("1")]
    _, send, _ = wire()

    async def receive() -> Event:
        if len(pending) == 1:
            await arrival.wait()
        return pending.pop(0)

    ws = WebSocket[int, int](scope(), receive, send)
    await ws.accept()
    aiter(ws)
    results: list[object] = []

    async def receive_first() -> None:
        try:
            results.append(await getattr(ws, first)())
        except InvalidMessage as error:  # receive_bytes refuses the text message
            results.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive_first)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(1), pytest.raises(ConcurrentReceive, match="another task is already receiving"):
            await getattr(ws, second)()
        arrival.set()
    assert results


# --- close ---


async def test_close_returns_how_the_connection_ended() -> None:
    ws, sent = await accepted(WebSocket)
    assert await ws.close(4001, "bye") == Closed(4001, "bye", "application")
    assert sent == [{"type": "websocket.close", "code": 4001, "reason": "bye"}]
    assert ws.application_state is WebSocketState.DISCONNECTED


async def test_a_close_code_that_the_server_refuses_is_replaced_by_a_private_one() -> None:
    receive, deliver, sent = wire(CONNECT)

    async def send(event: Event) -> None:
        if event.get("code", 1000) in (1011, 4008):
            raise Exception("invalid close code")
        await deliver(event)

    ws = WebSocket[Any, Any](scope(), receive, send)
    await ws.accept()
    assert await ws.close(1011, "failed") == Closed(4011, "failed", "application")
    assert await ws.close() == Closed(4011, "failed", "application")
    assert sent[1:] == [{"type": "websocket.close", "code": 4011, "reason": "failed"}]


async def test_a_close_that_the_server_refuses_twice_raises_its_last_error() -> None:
    receive, deliver, _ = wire(CONNECT)

    async def send(event: Event) -> None:
        if event["type"] == "websocket.close":
            raise LookupError(event["code"])
        await deliver(event)

    ws = WebSocket[Any, Any](scope(), receive, send)
    await ws.accept()
    with pytest.raises(LookupError, match="4008"):
        await ws.close(1008)


async def test_a_second_close_does_nothing_and_returns_the_same_end() -> None:
    ws, sent = await accepted(WebSocket)
    first = await ws.close(4001, "bye")
    assert await ws.close(1000) == first
    assert len(sent) == 1


async def test_closing_after_the_peer_left_does_nothing_and_returns_the_close_of_the_peer() -> None:
    ws, sent = await accepted(WebSocket, disconnect(4001, "bye"))
    with pytest.raises(WebSocketDisconnect):
        await ws.receive_text()
    assert await ws.close() == Closed(4001, "bye", "peer")
    assert sent == []


async def test_closing_a_lost_connection_does_nothing() -> None:
    receive, _, _ = wire(CONNECT)
    closes: list[Event] = []

    async def send(event: Event) -> None:
        if event["type"] != "websocket.accept":
            closes.append(event)
            raise OSError

    ws = WebSocket(scope(), receive, send)
    await ws.accept()
    assert await ws.close() == Closed(1006, "", "network")
    assert await ws.close() == Closed(1006, "", "network")
    assert len(closes) == 1


async def test_closing_before_the_accept_denies_the_handshake() -> None:
    ws, sent = connecting(WebSocket)
    assert await ws.close() == Closed(1006, "the handshake was denied", "application")
    assert sent == [{"type": "websocket.close", "code": 1000, "reason": ""}]


async def test_closing_after_a_denial_does_nothing() -> None:
    ws, sent = connecting(WebSocket)
    await ws.deny(401)
    sent_before = list(sent)
    assert (await ws.close()).closed_by == "application"
    assert sent == sent_before


@pytest.mark.parametrize("state", ["connecting", "accepted", "closed"])
async def test_a_code_or_reason_that_must_not_be_sent_is_refused_in_every_state(state: str) -> None:
    ws, sent = connecting(WebSocket)
    if state != "connecting":
        await ws.accept()
    if state == "closed":
        await ws.close()
    sent_before = list(sent)
    for code, reason in ((1005, ""), (1006, ""), (999, ""), (1000, "x" * 124), (1000, "\ud800")):
        with pytest.raises(ValueError, match="expected a close") as caught:
            await ws.close(code, reason)
        assert isinstance(caught.value, InvalidClose)
    assert sent == sent_before


async def test_closing_in_a_cancelled_scope_still_closes() -> None:
    ws, sent = await accepted(WebSocket)
    with anyio.CancelScope() as cancelled:
        cancelled.cancel()
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            await ws.close(1001)
    assert sent == [{"type": "websocket.close", "code": 1001, "reason": ""}]


async def test_closing_waits_for_earlier_sends() -> None:
    server = SlowServer()
    ws = await server.accepted()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ws.send_text, "a")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ws.close)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ws.close)
        await anyio.wait_all_tasks_blocked()
        server.may_write.set()
    assert [event["type"] for event in server.sent] == ["websocket.send", "websocket.close"]


async def test_a_close_is_abandoned_if_the_server_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "CLOSE_TIMEOUT", 0.01)
    server = SlowServer()
    ws = await server.accepted()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ws.send_text, "never written")
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(2):
            assert await ws.close(1001) == Closed(1001, "", "application")
        assert ws.application_state is WebSocketState.DISCONNECTED
        with pytest.raises(WebSocketDisconnected):
            await ws.send_text("a")
        tasks.cancel_scope.cancel()
    assert server.sent == []


async def test_closing_does_not_cancel_a_pending_receive() -> None:
    arrival = anyio.Event()
    pending = [CONNECT, disconnect(1000)]
    _, send, sent = wire()

    async def receive() -> Event:
        if len(pending) == 1:
            await arrival.wait()
        return pending.pop(0)

    ws = WebSocket(scope(), receive, send)
    await ws.accept()
    codes: list[int] = []

    async def receive_until_the_end() -> None:
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.receive_text()
        codes.append(caught.value.code)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive_until_the_end)
        await anyio.wait_all_tasks_blocked()
        await ws.close(4000)
        arrival.set()
    assert codes == [4000]
    assert sent[-1]["type"] == "websocket.close"


async def test_messages_in_flight_are_not_received_after_our_close() -> None:
    ws, _ = await accepted(WebSocket[str, str], text('"late"'), disconnect(1000))
    await ws.close(4000, "bye")
    for receive in (ws.receive_text, ws.receive_model, ws.receive_json):
        with pytest.raises(WebSocketDisconnected) as caught:
            await receive()
        assert (caught.value.code, caught.value.closed_by) == (4000, "application")
    assert [message async for message in ws] == []
    assert await ws.receive() == text('"late"'), "receive() still returns every event of the server"


async def test_a_second_task_cannot_accept_while_the_first_waits_for_the_client() -> None:
    receive, send, sent = wire()  # the client never connects
    ws = WebSocket[Any, Any](scope(), receive, send)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ws.accept)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(1), pytest.raises(ConcurrentReceive):
            await ws.accept()
        tasks.cancel_scope.cancel()
    assert sent == []


# --- a send that fails ---


def with_failing_send(*events: Event) -> AnyWebSocket:
    """Return a socket whose server raises on every send, and whose receive returns these events without waiting."""
    pending = [CONNECT, *events]

    async def receive() -> Event:
        if not pending:
            await anyio.sleep_forever()
        return pending.pop(0)

    async def send(event: Event) -> None:
        if event["type"] != "websocket.accept":
            raise OSError

    return WebSocket[Any, Any](scope(), receive, send)


@pytest.mark.parametrize("is_raw", [False, True])
async def test_a_failed_send_raises_with_the_close_of_the_peer_and_loses_no_message(*, is_raw: bool) -> None:
    ws = with_failing_send(text("1"), text("2"), disconnect(4001, "bye"))
    await ws.accept()
    with pytest.raises(WebSocketDisconnect) as caught:
        await (ws.send({"type": "websocket.send", "text": "a"}) if is_raw else ws.send_text("a"))
    assert (caught.value.code, caught.value.reason, caught.value.closed_by) == (4001, "bye", "peer")
    assert [await ws.receive_text(), await ws.receive_text()] == ["1", "2"]
    assert await ws.receive() == disconnect(4001, "bye")


async def test_a_failed_send_does_not_wait_for_the_disconnect() -> None:
    ws = with_failing_send(text("1"))
    await ws.accept()
    with anyio.fail_after(5), pytest.raises(WebSocketDisconnect) as caught:
        await ws.send_text("a")
    assert caught.value.code == 1006
    assert await ws.receive_text() == "1"


async def test_a_failed_send_reads_nothing_while_another_task_receives() -> None:
    receive, deliver, _ = wire(CONNECT)

    async def send(event: Event) -> None:
        if event["type"] != "websocket.accept":
            raise OSError
        await deliver(event)

    ws = WebSocket[Any, Any](scope(), receive, send)
    await ws.accept()
    codes: list[int] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ws.receive)
        await anyio.wait_all_tasks_blocked()
        try:
            await ws.send_text("a")
        except WebSocketDisconnect as error:
            codes.append(error.code)
        tasks.cancel_scope.cancel()
    assert codes == [1006]


async def test_a_send_that_fails_after_a_received_disconnect_raises_with_its_code() -> None:
    receive, _, _ = wire(CONNECT, disconnect(4001))

    async def send(event: Event) -> None:
        if event["type"] == "websocket.accept":
            return
        await ws.receive()
        raise OSError

    ws = WebSocket[Any, Any](scope(), receive, send)
    await ws.accept()
    with pytest.raises(WebSocketDisconnect) as caught:
        await ws.send_text("a")
    assert caught.value.code == 4001


async def test_a_failed_send_raises_the_code_that_a_receiving_task_is_about_to_get() -> None:
    coming, events = anyio.create_memory_object_stream[Event](2)
    coming.send_nowait(CONNECT)

    async def send(event: Event) -> None:
        if event["type"] != "websocket.accept":
            coming.send_nowait(disconnect(4001))
            raise OSError

    ws = WebSocket[Any, Any](scope(), events.receive, send)
    await ws.accept()
    codes: list[int] = []

    async def receive() -> None:
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.receive_text()
        codes.append(caught.value.code)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.send_text("a")
        codes.append(caught.value.code)
    assert codes == [4001, 4001]
    coming.close()
    events.close()
