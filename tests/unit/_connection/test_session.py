"""The traffic of a connection: the order of sends, closing, and what a cancelled or a second task does to it."""

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
    """A server that waits before it writes, until it is told to go on; its buffer shows the order of its writes."""

    def __init__(self, *events: Event) -> None:
        self.receive, self._deliver, self.sent = wire(CONNECT, *events)
        self.entered = 0
        self.gate = anyio.Event()

    async def send(self, event: Event) -> None:
        self.entered += 1
        if event["type"] != "websocket.accept":
            await self.gate.wait()
        await self._deliver(event)

    async def accepted(self) -> AnyWebSocket:
        ws = WebSocket[Any, Any](scope(), self.receive, self.send)
        await ws.accept()
        self.sent.clear()
        self.entered = 0
        return ws


def texts(sent: list[Event]) -> list[str]:
    return [event["text"] for event in sent if "text" in event]


# --- the order of sends ---


async def test_sends_of_many_tasks_go_out_whole_and_in_the_order_of_their_calls() -> None:
    server = SlowServer()
    ws = await server.accepted()
    methods: list[Callable[[Any], Coroutine[Any, Any, None]]] = [ws.send_model, ws.send_text, ws.send_json]
    async with anyio.create_task_group() as tasks:
        for number in range(30):
            tasks.start_soon(methods[number % 3], str(number))
            await anyio.wait_all_tasks_blocked()
        assert server.entered == 1, "the server sees one send at a time"
        server.gate.set()
    assert [data.strip('"') for data in texts(server.sent)] == [str(number) for number in range(30)]


async def test_a_cancelled_send_lets_the_next_one_pass() -> None:
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
        scopes[0].cancel()  # while the server waits
        await anyio.wait_all_tasks_blocked()
        server.gate.set()
    await ws.send_text("after")
    assert texts(server.sent) == ["2", "after"]


async def test_a_send_cancelled_as_its_turn_comes_passes_the_turn_on() -> None:
    server = SlowServer()
    ws = await server.accepted()
    turn = anyio.CancelScope()

    async def first() -> None:
        await ws.send_text("first")
        turn.cancel()  # the turn is the second's by now, who does not know yet

    async def second() -> None:
        with turn:
            await ws.send_text("second")

    async with anyio.create_task_group() as tasks:
        for send in (first, second, lambda: ws.send_text("third")):
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
        server.gate.set()
    assert texts(server.sent) == ["first", "third"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_cancelled_by_asyncio_itself_as_its_turn_comes_passes_the_turn_on() -> None:
    server = SlowServer()
    ws = await server.accepted()

    async def say_and_cancel() -> None:
        await ws.send_text("first")
        second.cancel()  # the turn is the second's by now, who does not know yet

    first = asyncio.create_task(say_and_cancel())
    second = asyncio.create_task(ws.send_text("second"))
    third = asyncio.create_task(ws.send_text("third"))
    await anyio.wait_all_tasks_blocked()
    server.gate.set()
    with anyio.fail_after(5), pytest.raises(asyncio.CancelledError):
        await second
    await third
    assert first.done()
    assert texts(server.sent) == ["first", "third"]


async def test_sends_that_wait_behind_a_failed_one_are_told_and_the_server_is_not_asked_again() -> None:
    receive, _, _ = wire(CONNECT)
    gate = anyio.Event()
    tried: list[Event] = []

    async def send(event: Event) -> None:
        if event["type"] == "websocket.send":
            tried.append(event)
            await gate.wait()
            raise OSError

    ws = WebSocket(scope(), receive, send)
    await ws.accept()
    caught: list[type[Exception]] = []

    async def say(data: str) -> None:
        try:
            await ws.send_text(data)
        except WebSocketDisconnect as error:
            caught.append(type(error))

    async with anyio.create_task_group() as tasks:
        for data in "abc":
            tasks.start_soon(say, data)
            await anyio.wait_all_tasks_blocked()
        gate.set()
    assert caught == [WebSocketDisconnect, WebSocketDisconnected, WebSocketDisconnected]
    assert texts(tried) == ["a"]


# --- one task receives ---

RECEIVES: list[str] = ["receive_text", "receive_bytes", "receive_json", "receive_model", "receive", "__anext__"]


@pytest.mark.parametrize("first", RECEIVES)
@pytest.mark.parametrize("second", RECEIVES)
async def test_a_second_task_that_receives_gets_an_error_at_once_and_the_first_goes_on(first: str, second: str) -> None:
    arrival = anyio.Event()
    coming = [CONNECT, text("1")]
    _, send, _ = wire()

    async def receive() -> Event:
        if len(coming) == 1:
            await arrival.wait()
        return coming.pop(0)

    ws = WebSocket[int, int](scope(), receive, send)
    await ws.accept()
    aiter(ws)
    heard: list[object] = []

    async def hear() -> None:
        try:
            heard.append(await getattr(ws, first)())
        except InvalidMessage as error:  # no bytes have come
            heard.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hear)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(1), pytest.raises(ConcurrentReceive, match="a second one"):
            await getattr(ws, second)()
        arrival.set()
    assert heard


# --- close ---


async def test_closing_says_how_the_connection_ended() -> None:
    ws, sent = await accepted(WebSocket)
    assert await ws.close(4001, "bye") == Closed(4001, "bye", "application")
    assert sent == [{"type": "websocket.close", "code": 4001, "reason": "bye"}]
    assert ws.application_state is WebSocketState.DISCONNECTED


async def test_a_code_that_the_server_refuses_goes_out_as_a_private_one() -> None:
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


async def test_a_close_that_the_server_refuses_altogether_raises_what_it_raises() -> None:
    receive, deliver, _ = wire(CONNECT)

    async def send(event: Event) -> None:
        if event["type"] == "websocket.close":
            raise LookupError(event["code"])
        await deliver(event)

    ws = WebSocket[Any, Any](scope(), receive, send)
    await ws.accept()
    with pytest.raises(LookupError, match="4008"):
        await ws.close(1008)


async def test_closing_again_does_nothing_and_says_the_same() -> None:
    ws, sent = await accepted(WebSocket)
    first = await ws.close(4001, "bye")
    assert await ws.close(1000) == first
    assert len(sent) == 1


async def test_closing_after_the_peer_left_does_nothing_and_tells_who_was_first() -> None:
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


async def test_closing_before_the_accept_denies() -> None:
    ws, sent = connecting(WebSocket)
    assert await ws.close() == Closed(1006, "the handshake was denied", "application")
    assert sent == [{"type": "websocket.close", "code": 1000, "reason": ""}]


async def test_closing_after_a_denial_does_nothing() -> None:
    ws, sent = connecting(WebSocket)
    await ws.deny(401)
    already = list(sent)
    assert (await ws.close()).closed_by == "application"
    assert sent == already


@pytest.mark.parametrize("state", ["connecting", "accepted", "closed"])
async def test_a_code_or_reason_that_must_not_be_sent_is_refused_whatever_the_state(state: str) -> None:
    ws, sent = connecting(WebSocket)
    if state != "connecting":
        await ws.accept()
    if state == "closed":
        await ws.close()
    already = list(sent)
    for code, reason in ((1005, ""), (1006, ""), (999, ""), (1000, "x" * 124), (1000, "\ud800")):
        with pytest.raises(ValueError, match="expected a close") as caught:
            await ws.close(code, reason)
        assert isinstance(caught.value, InvalidClose)
    assert sent == already


async def test_closing_in_a_cancelled_scope_still_closes() -> None:
    ws, sent = await accepted(WebSocket)
    with anyio.CancelScope() as cancelled:
        cancelled.cancel()
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            await ws.close(1001)
    assert sent == [{"type": "websocket.close", "code": 1001, "reason": ""}]


async def test_closing_waits_for_the_sends_before_it() -> None:
    server = SlowServer()
    ws = await server.accepted()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ws.send_text, "a")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ws.close)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ws.close)
        await anyio.wait_all_tasks_blocked()
        server.gate.set()
    assert [event["type"] for event in server.sent] == ["websocket.send", "websocket.close"]


async def test_closing_gives_up_on_a_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
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


async def test_closing_while_another_task_receives_leaves_the_receive_to_end_by_itself() -> None:
    arrival = anyio.Event()
    coming = [CONNECT, disconnect(1000)]
    _, send, sent = wire()

    async def receive() -> Event:
        if len(coming) == 1:
            await arrival.wait()
        return coming.pop(0)

    ws = WebSocket(scope(), receive, send)
    await ws.accept()
    ended: list[int] = []

    async def hear() -> None:
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.receive_text()
        ended.append(caught.value.code)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hear)
        await anyio.wait_all_tasks_blocked()
        await ws.close(4000)
        arrival.set()
    assert ended == [4000]
    assert sent[-1]["type"] == "websocket.close"


async def test_after_our_close_nothing_is_received_even_where_messages_were_under_way() -> None:
    ws, _ = await accepted(WebSocket[str, str], text('"late"'), disconnect(1000))
    await ws.close(4000, "bye")
    for receive in (ws.receive_text, ws.receive_model, ws.receive_json):
        with pytest.raises(WebSocketDisconnected) as caught:
            await receive()
        assert (caught.value.code, caught.value.closed_by) == (4000, "application")
    assert [message async for message in ws] == []
    assert await ws.receive() == text('"late"'), "the raw events still tell all that the server does"


async def test_a_second_task_does_not_accept_while_the_first_waits_for_the_client() -> None:
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


def leaving(*events: Event) -> AnyWebSocket:
    """Give a socket whose server fails to send, and gives what the peer said before without a wait."""
    coming = [CONNECT, *events]

    async def receive() -> Event:
        if not coming:
            await anyio.sleep_forever()
        return coming.pop(0)

    async def send(event: Event) -> None:
        if event["type"] != "websocket.accept":
            raise OSError

    return WebSocket[Any, Any](scope(), receive, send)


@pytest.mark.parametrize("is_raw", [False, True])
async def test_a_send_that_fails_tells_how_the_peer_left_and_what_it_said_is_received(*, is_raw: bool) -> None:
    ws = leaving(text("1"), text("2"), disconnect(4001, "bye"))
    await ws.accept()
    with pytest.raises(WebSocketDisconnect) as caught:
        await (ws.send({"type": "websocket.send", "text": "a"}) if is_raw else ws.send_text("a"))
    assert (caught.value.code, caught.value.reason, caught.value.closed_by) == (4001, "bye", "peer")
    assert [await ws.receive_text(), await ws.receive_text()] == ["1", "2"]
    assert await ws.receive() == disconnect(4001, "bye")


async def test_a_send_that_fails_waits_for_nothing() -> None:
    ws = leaving(text("1"))
    await ws.accept()
    with anyio.fail_after(5), pytest.raises(WebSocketDisconnect) as caught:
        await ws.send_text("a")
    assert caught.value.code == 1006
    assert await ws.receive_text() == "1"


async def test_a_send_that_fails_leaves_the_rest_to_who_receives() -> None:
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
        except WebSocketDisconnect as gone:
            codes.append(gone.code)
        tasks.cancel_scope.cancel()
    assert codes == [1006]


async def test_a_send_that_fails_after_the_peer_was_heard_to_leave_tells_of_that() -> None:
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
