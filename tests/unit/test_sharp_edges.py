"""Common problems of WebSockets in Python, solved here: at least one test for each problem of the core.

The numbers are those of the collected list. Missing numbers are about servers, endpoints, groups or test clients.
"""

import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from tests.support import CONNECT, AnyWebSocket, Event, accepted, binary, connecting, disconnect, scope, text, wire
from typedws._protocol.outcomes import Closed
from typedws.exceptions import InvalidMessage, InvalidState, UnsendableMessage, WebSocketDisconnect
from typedws.websockets import WebSocket

pytestmark = pytest.mark.anyio


class Order(BaseModel):
    id: int


# --- inbound ---

RECEIVES: dict[str, Callable[[AnyWebSocket, str], Awaitable[object]]] = {
    "receive_model": lambda ws, mode: ws.receive_model(Order, mode),
    "iter_models": lambda ws, mode: anext(ws.iter_models(Order, mode)),
    "async for": lambda ws, _: anext(aiter(ws)),
}


@pytest.mark.parametrize(
    ("event", "mode", "close_code"),
    [
        pytest.param(text("{bad"), "text", 1007, id="1: malformed JSON"),
        pytest.param(text("[" * 100_000), "text", 1007, id="2: 100,000 brackets"),
        pytest.param(binary(b'{"id":1}'), "text", 1003, id="3: a binary frame where text is expected"),
        pytest.param({"type": "websocket.receive", "text": None, "bytes": b"1"}, "text", 1003, id="3: both keys"),
        pytest.param(text('{"id":1}'), "binary", 1003, id="4: a text frame where binary is expected"),
        pytest.param(binary(b'{"id":"\xff"}'), "binary", 1007, id="4: invalid UTF-8"),
        pytest.param(text('{"id":"one"}'), "text", 1007, id="5: failed validation"),
        pytest.param(text("NaN"), "text", 1007, id="21: NaN"),
    ],
)
@pytest.mark.parametrize("method", RECEIVES)
async def test_an_invalid_message_is_an_error_to_answer_and_the_connection_goes_on(
    event: Event, mode: str, close_code: int, method: str
) -> None:
    receive = RECEIVES[method]
    good = text('{"id":1}') if mode == "text" else binary(b'{"id":1}')
    ws, sent = await accepted(WebSocket[Order, Order], event, good, mode=mode)
    with pytest.raises(InvalidMessage) as caught:
        await receive(ws, mode)
    assert caught.value.close_code == close_code
    await ws.send_text("please say that again")
    assert await receive(ws, mode) == Order(id=1)
    await ws.close(caught.value.close_code)
    assert sent[-1]["code"] == close_code


@pytest.mark.parametrize("method", ["receive_json", "iter_json"])
async def test_1_malformed_json_raises_the_same_error_for_plain_values(method: str) -> None:
    ws, _ = await accepted(WebSocket, text("{bad"), text("1"))
    with pytest.raises(InvalidMessage):
        await (ws.receive_json() if method == "receive_json" else anext(ws.iter_json()))
    assert await ws.receive_json() == 1


# --- lifecycle ---


USES: dict[str, Callable[[AnyWebSocket], Awaitable[object]]] = {
    "send_text": lambda ws: ws.send_text("a"),
    "send_model": lambda ws: ws.send_model(Order(id=1)),
    "receive_text": lambda ws: ws.receive_text(),
    "receive_model": lambda ws: ws.receive_model(),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("error", [WebSocketDisconnect, RuntimeError])
async def test_6_and_7_use_after_our_own_close_raises_a_disconnect_that_names_the_cause(
    use: str, error: type[Exception]
) -> None:
    ws, sent = await accepted(WebSocket[Order, Order], text("a"))
    await ws.close(1000, "done")
    with pytest.raises(error, match="this application closed the connection"):
        await USES[use](ws)
    assert len(sent) == 1


ENDINGS = {"the peer left": "peer", "we closed": "application", "the send failed": "network"}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_8_close_in_finally_never_raises(ending: str) -> None:
    receive, deliver, _ = wire(CONNECT, disconnect(1001))

    async def send(event: Event) -> None:
        if event["type"] == "websocket.send":
            raise OSError
        await deliver(event)

    ws = WebSocket(scope(), receive, send)
    await ws.accept()
    outcome: Closed | None = None
    with pytest.raises(WebSocketDisconnect):
        try:
            if ending == "we closed":
                await ws.close()
            await (ws.send_text("a") if ending == "the send failed" else ws.receive_text())
        finally:
            outcome = await ws.close()
    assert outcome is not None
    assert (
        outcome.closed_by == {"the peer left": "peer", "we closed": "application", "the send failed": "network"}[ending]
    )


async def test_9_a_handler_that_only_sends_learns_that_its_client_left_where_the_server_swallows_sends() -> None:
    left = anyio.Event()
    remaining = [CONNECT, disconnect(1001)]
    swallowed: list[Event] = []

    async def receive() -> Event:
        if len(remaining) == 1:
            await left.wait()
        return remaining.pop(0)

    async def send(event: Event) -> None:
        swallowed.append(event)
        if len(swallowed) == 10:
            left.set()
        await anyio.lowlevel.checkpoint()

    ws = WebSocket(scope(), receive, send)
    await ws.accept()
    with anyio.fail_after(5), pytest.raises(WebSocketDisconnect) as caught:
        async with ws.cancelled_on_disconnect():
            while True:
                await ws.send_text("tick")
    assert caught.value.code == 1001


@pytest.mark.parametrize("code", [1000, 1005, 1006, 1011, 3000, 4321])
async def test_11_a_disconnect_reads_as_a_sentence(code: int) -> None:
    sentence = str(WebSocketDisconnect(code=code))
    assert str(code) in sentence
    assert "connection" in sentence


async def test_12_a_receive_that_timed_out_loses_nothing() -> None:
    arrival = anyio.Event()
    remaining = [CONNECT, text("1")]

    async def receive() -> Event:
        if len(remaining) == 1:
            await arrival.wait()
        return remaining.pop(0)

    _, send, _ = wire()
    ws = WebSocket(scope(), receive, send)
    await ws.accept()
    for _ in range(3):
        with anyio.move_on_after(0):
            await ws.receive_text()
    arrival.set()
    assert await ws.receive_text() == "1"


# --- handshake and close ---


async def test_14_a_denial_has_a_status_instead_of_a_close_code_that_would_be_lost() -> None:
    ws, sent = connecting(WebSocket)
    await ws.deny(404, detail="no such room")
    assert sent[0]["status"] == 404


async def test_15_a_denial_after_the_accept_is_refused_and_sends_nothing() -> None:
    ws, sent = await accepted(WebSocket)
    with pytest.raises(InvalidState, match="deny before accept"):
        await ws.deny(401)
    assert sent == []


async def test_16_a_subprotocol_that_was_not_offered_is_refused_before_the_server_sees_it() -> None:
    ws, sent = connecting(WebSocket)
    with pytest.raises(ValueError, match="subprotocol"):
        await ws.accept(subprotocol="not-offered")
    assert sent == []


@pytest.mark.parametrize("code", [1005, 1006, 999, 1015, 5000])
async def test_17_a_code_that_must_not_be_sent_is_refused_before_the_server_sees_it(code: int) -> None:
    ws, sent = await accepted(WebSocket)
    with pytest.raises(ValueError, match=str(code)):
        await ws.close(code)
    assert sent == []


async def test_20_the_error_for_a_subprotocol_does_not_repeat_a_token_that_was_offered() -> None:
    receive, send, _ = wire(CONNECT)
    ws = WebSocket(scope(subprotocols=["bearer", "s3cret"]), receive, send)
    with pytest.raises(ValueError, match="subprotocol") as caught:
        await ws.accept("chat")
    assert "s3cret" not in str(caught.value)
    await ws.accept("bearer")


# --- outbound ---


@pytest.mark.parametrize("mode", ["text", "binary", "msgpack", "cbor"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
async def test_21_a_number_that_json_cannot_represent_is_refused_and_nothing_is_sent(number: float, mode: str) -> None:
    ws, sent = await accepted(WebSocket)
    for value in (number, [number], {"a": {"b": number}}):
        with pytest.raises(UnsendableMessage, match="finite"):
            await ws.send_json(value, mode)
    assert sent == []


async def test_21_a_datetime_is_sent_as_text() -> None:
    ws, sent = await accepted(WebSocket)
    await ws.send_json({"at": datetime(2026, 1, 2, tzinfo=UTC)})
    assert sent == [{"type": "websocket.send", "text": '{"at":"2026-01-02T00:00:00Z"}'}]


async def test_a_model_does_not_leak_the_fields_of_its_subclass() -> None:
    class StoredOrder(Order):
        margin: Any

    ws, sent = await accepted(WebSocket[Any, Order])
    await ws.send_model(StoredOrder(id=1, margin="secret"))
    assert [event["text"] for event in sent] == ['{"id":1}']
