"""`Connection`: receiving, iterating and sending, for every way to declare or pass a message type."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, Never, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from tests.support import (
    CONNECT,
    AnyWebSocket,
    Event,
    accepted,
    binary,
    connecting,
    disconnect,
    scope,
    stable_id,
    text,
    wire,
)
from typedws.codecs import BinaryJSON, Codec, CodecRegistry, TextJSON
from typedws.exceptions import (
    InvalidMessage,
    InvalidMessageType,
    InvalidState,
    MessageProblem,
    UndeclaredMessageType,
    UnknownMode,
    UnsendableMessage,
    WebSocketDisconnect,
    WebSocketDisconnected,
)
from typedws.websockets import Connection, Handshake, WebSocket, WebSocketState

pytestmark = pytest.mark.anyio

T = TypeVar("T")


class Join(BaseModel):
    type: Literal["join"] = "join"
    room: str


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str


class Shout(Say):
    volume: int = 11


class Box(BaseModel, Generic[T]):
    content: T


class Tree(BaseModel):
    name: str
    branches: list[Tree] = []


class Point(TypedDict):
    x: int
    y: int


@dataclass
class Move:
    to: int


ClientMessage = Annotated[Join | Say, Field(discriminator="type")]


# --- receive_model ---


@pytest.mark.parametrize(
    ("form", "frame", "message"),
    [
        (Join, '{"type":"join","room":"lobby"}', Join(room="lobby")),
        (Join | Say, '{"type":"say","text":"a"}', Say(text="a")),
        (ClientMessage, '{"type":"say","text":"a"}', Say(text="a")),
        (list[Join], '[{"room":"a"},{"room":"b"}]', [Join(room="a"), Join(room="b")]),
        (dict[str, Say], '{"ann":{"text":"a"}}', {"ann": Say(text="a")}),
        (Box[Say], '{"content":{"text":"a"}}', Box[Say](content=Say(text="a"))),
        (Tree, '{"name":"a","branches":[{"name":"b"}]}', Tree(name="a", branches=[Tree(name="b")])),
        (Point, '{"x":1,"y":2}', {"x": 1, "y": 2}),
        (Move, '{"to":1}', Move(1)),
        (int, "1", 1),
        (Literal["a", "b"], '"b"', "b"),
        (None | int, "null", None),
        (Annotated[int, Field(gt=0)], "1", 1),
    ],
)
async def test_any_pydantic_type_is_received_in_both_modes(form: Any, frame: str, message: object) -> None:
    ws, _ = await accepted(WebSocket, text(frame), binary(frame.encode()))
    assert await ws.receive_model(form) == message
    assert await ws.receive_model(form, "binary") == message


async def test_the_declared_type_is_received_when_no_type_is_passed() -> None:
    ws, _ = await accepted(WebSocket[ClientMessage, Any], text('{"type":"say","text":"a"}'))
    assert await ws.receive_model() == Say(text="a")


async def test_a_passed_type_narrows_the_declared_one() -> None:
    ws, _ = await accepted(
        WebSocket[ClientMessage, Any], text('{"type":"say","text":"a"}'), text('{"type":"join","room":"a"}')
    )
    with pytest.raises(InvalidMessage, match=r"expected Join, found .* \(literal_error at type; missing at room\)"):
        await ws.receive_model(Join)
    assert await ws.receive_model(Join) == Join(room="a")


async def test_none_is_a_type_that_matches_null() -> None:
    none_type: Any = None
    ws, _ = await accepted(WebSocket[ClientMessage, Any], text("null"), text("1"), text("null"))
    assert await ws.receive_model(none_type) is None
    with pytest.raises(InvalidMessage, match="expected None"):
        await ws.receive_model(none_type)
    assert await anext(ws.iter_models(none_type)) is None


async def test_a_call_without_any_type_raises_a_hint_and_consumes_no_message() -> None:
    ws, _ = await accepted(WebSocket, text("1"))
    for call in (ws.receive_model, ws.iter_models, ws.__aiter__):
        with pytest.raises(UndeclaredMessageType, match="no message type is declared: use receive_model"):
            result: Any = call()
            await result
    assert await ws.receive_json() == 1


async def test_a_type_without_a_pydantic_schema_is_an_error_that_consumes_no_message() -> None:
    class Opaque:
        pass

    ws, _ = await accepted(WebSocket, text("1"))
    with pytest.raises(InvalidMessageType, match="Opaque"):
        await ws.receive_model(Opaque)
    assert await ws.receive_json() == 1


async def test_a_connection_with_never_as_its_message_type_refuses_every_message() -> None:
    ws, _ = await accepted(WebSocket[Never, Say], text("1"), disconnect())
    with pytest.raises(InvalidMessage, match="expected no message"):
        await ws.receive_model()
    assert [message async for message in ws] == []


# --- how a type can be declared ---


class SayConnection(WebSocket[Say, Say]):
    pass


class GenericConnection(WebSocket[T, T], Generic[T]):
    pass


class ListConnection(WebSocket[list[T]], Generic[T]):
    pass


class GenericSayConnection(GenericConnection[Say]):
    pass


SayAlias = WebSocket[Say, Say]


@pytest.mark.parametrize(
    "kind",
    [WebSocket[Say, Say], WebSocket[Say], SayAlias, SayConnection, GenericConnection[Say], GenericSayConnection],
    ids=[
        "both directions",
        "client messages only",
        "alias",
        "subclass",
        "generic subclass",
        "subclass of a generic one",
    ],
)
async def test_a_type_can_be_declared_in_every_way_that_python_allows(kind: Any) -> None:
    ws, sent = connecting(kind, text('{"text":"a"}'))
    await WebSocket.accept(ws)
    assert await ws.receive_model() == Say(text="a")
    await ws.send_model(Say(text="b"))
    assert sent[1:] == [{"type": "websocket.send", "text": '{"type":"say","text":"b"}'}]


@pytest.mark.parametrize("class_", [Connection, Handshake, Connection[Say, Say], Handshake[Say, Say]], ids=stable_id)
def test_connection_and_handshake_cannot_be_constructed(class_: Any) -> None:
    receive, send, _ = wire()
    with pytest.raises(TypeError, match="abstract"):
        class_(scope(), receive, send)


async def test_a_nested_type_parameter_is_substituted() -> None:
    ws, _ = await accepted(ListConnection[Say], text('[{"text":"a"}]'))
    assert await ws.receive_model() == [Say(text="a")]


@pytest.mark.parametrize("kind", [WebSocket, GenericConnection, WebSocket[Any, Any], WebSocket[object, object]])
async def test_missing_type_arguments_any_and_object_declare_no_type(kind: Any) -> None:
    ws, sent = await accepted(kind, text("1"))
    with pytest.raises(UndeclaredMessageType):
        await ws.receive_model()
    await ws.send_model(Shout(text="a"))
    assert sent[-1]["text"] == '{"type":"say","text":"a","volume":11}'


# --- iteration ---


async def test_iteration_yields_each_message_until_the_connection_ends() -> None:
    frames = [text('{"type":"join","room":"a"}'), text('{"type":"say","text":"b"}'), disconnect()]
    expected = [Join(room="a"), Say(text="b")]
    iterations: list[Callable[[AnyWebSocket], AsyncIterator[object]]] = [
        aiter,
        lambda ws: ws.iter_models(),
        lambda ws: ws.iter_models(ClientMessage),
    ]
    for iterate in iterations:
        ws, _ = await accepted(WebSocket[ClientMessage, Any], *frames)
        assert [message async for message in iterate(ws)] == expected


ITERATIONS: list[tuple[str, tuple[Any, ...], list[Event], list[object]]] = [
    ("iter_text", (), [text("a"), text("")], ["a", ""]),
    ("iter_bytes", (), [binary(b"a"), binary(b"")], [b"a", b""]),
    ("iter_json", (), [text("1"), text('"a"')], [1, "a"]),
    ("iter_json", ("binary",), [binary(b"1"), binary(b"[]")], [1, []]),
    ("iter_models", (int,), [text("1"), text("2")], [1, 2]),
    ("iter_models", (int, "binary"), [binary(b"1")], [1]),
]
DISCONNECTS = [disconnect(1000), disconnect(1006), disconnect(None, None), {"type": "websocket.disconnect"}]


@pytest.mark.parametrize(("method", "arguments", "frames", "expected"), ITERATIONS)
@pytest.mark.parametrize("event", DISCONNECTS)
async def test_a_disconnect_ends_every_iteration(
    method: str, arguments: tuple[Any, ...], frames: list[Event], expected: list[object], event: Event
) -> None:
    ws, _ = await accepted(WebSocket, *frames, event)
    assert [message async for message in getattr(ws, method)(*arguments)] == expected
    assert [message async for message in getattr(ws, method)(*arguments)] == []


@pytest.mark.parametrize("mode", ["text", "binary"])
async def test_an_invalid_message_ends_a_loop_but_not_the_connection(mode: str) -> None:
    bad = text("{bad") if mode == "text" else binary(b"{bad")
    good = text("1") if mode == "text" else binary(b"1")
    ws, _ = await accepted(WebSocket[int, Any], good, bad, good, bad, disconnect(), mode=mode)
    results: list[object] = []
    while ws.client_state is WebSocketState.CONNECTED:
        try:
            async for message in ws:
                results.append(message)
        except InvalidMessage as error:
            results.append(error.problem)
    assert results == [1, "malformed", 1, "malformed"]


async def test_an_iterator_continues_after_an_invalid_message() -> None:
    ws, _ = await accepted(WebSocket, text("1"), text("x"), text("2"), disconnect())
    numbers = ws.iter_models(int)
    assert await anext(numbers) == 1
    with pytest.raises(InvalidMessage):
        await anext(numbers)
    assert await anext(numbers) == 2
    with pytest.raises(StopAsyncIteration):
        await anext(numbers)
    with pytest.raises(StopAsyncIteration):
        await anext(numbers)


async def test_anext_returns_the_next_message_without_a_loop() -> None:
    ws, _ = await accepted(WebSocket[int, Any], text("1"), text("2"), disconnect())
    assert [await anext(ws), await anext(ws)] == [1, 2]
    with pytest.raises(StopAsyncIteration):
        await anext(ws)


class Plain(Codec[str]):
    name = "plain"
    kind = "text"

    def encode(self, value: object) -> str:
        return str(value)

    def decode(self, data: str) -> str:
        return data


async def test_an_empty_frame_is_a_message_if_the_codec_accepts_it() -> None:
    ws, _ = await accepted(WebSocket[str, str], text(""), text("a"), text(""), disconnect(), mode=Plain())
    assert [message async for message in ws] == ["", "a", ""]


async def test_iteration_before_the_accept_is_an_error() -> None:
    ws, _ = connecting(WebSocket[int, Any], text("1"))
    with pytest.raises(InvalidState, match="accept"):
        await anext(ws)


# --- invalid messages ---

DEEPLY_NESTED = "[" * 100_000


@pytest.mark.parametrize(
    ("mode", "event", "problem"),
    [
        ("text", text("{bad"), "malformed"),
        ("text", text(""), "malformed"),
        ("text", text(DEEPLY_NESTED), "malformed"),
        ("text", text("NaN"), "malformed"),
        ("text", text('{"text":"a","ignored":Infinity}'), "malformed"),
        ("text", text('{"text":1}'), "invalid"),
        ("text", text("[]"), "invalid"),
        ("text", binary(b'{"text":"a"}'), "wrong_frame"),
        ("text", binary(b""), "wrong_frame"),
        ("text", {"type": "websocket.receive", "text": None, "bytes": b"a"}, "wrong_frame"),
        ("text", {"type": "websocket.receive"}, "wrong_frame"),
        ("binary", binary(b"{bad"), "malformed"),
        ("binary", binary(b""), "malformed"),
        ("binary", binary(b'"\xff"'), "malformed"),
        ("binary", binary(DEEPLY_NESTED.encode()), "malformed"),
        ("binary", binary(b"-Infinity"), "malformed"),
        ("binary", binary(b'{"text":1}'), "invalid"),
        ("binary", text('{"text":"a"}'), "wrong_frame"),
        ("binary", text(""), "wrong_frame"),
    ],
)
@pytest.mark.parametrize("call", ["receive_model", "__anext__", "iter_models"])
async def test_an_invalid_message_is_consumed_and_the_next_one_is_received(
    mode: str, event: Event, problem: MessageProblem, call: str
) -> None:
    good = text('{"text":"a"}') if mode == "text" else binary(b'{"text":"a"}')
    ws, sent = await accepted(WebSocket[Say, Any], event, good, mode=mode)
    iterator = ws.iter_models() if call == "iter_models" else aiter(ws)
    receive: Callable[[], Awaitable[object]] = getattr(iterator, "__anext__" if call == "iter_models" else call)
    with pytest.raises(InvalidMessage) as caught:
        await receive()
    assert caught.value.problem == problem
    assert await receive() == Say(text="a")
    assert sent == []


@pytest.mark.parametrize(
    ("method", "arguments", "event", "problem"),
    [
        ("receive_text", (), binary(b"a"), "wrong_frame"),
        ("receive_bytes", (), text("a"), "wrong_frame"),
        ("receive_json", (), binary(b"1"), "wrong_frame"),
        ("receive_json", (), text("{bad"), "malformed"),
        ("receive_json", (), text(DEEPLY_NESTED), "malformed"),
        ("receive_json", (), text("NaN"), "malformed"),
        ("receive_json", ("binary",), text("1"), "wrong_frame"),
        ("receive_json", ("binary",), binary(b'"\xff"'), "malformed"),
    ],
)
async def test_the_untyped_receive_methods_report_the_same_problems(
    method: str, arguments: tuple[str, ...], event: Event, problem: str
) -> None:
    ws, _ = await accepted(WebSocket, event, text("after"))
    with pytest.raises(InvalidMessage) as caught:
        await getattr(ws, method)(*arguments)
    assert caught.value.problem == problem
    assert await ws.receive_text() == "after"


# --- the size limit ---


@pytest.mark.parametrize(
    ("data", "limit", "fits"),
    [
        ('"aaaa"', 6, True),
        ('"aaaa"', 5, False),
        ('"\u00e9\u00e9"', 6, True),
        ('"\u00e9\u00e9"', 5, False),
        ('"\U0001f600"', 6, True),
        ('"\U0001f600"', 5, False),
        ('""', 1_000_000, True),
        ('""', 0, False),
    ],
)
@pytest.mark.parametrize("mode", ["text", "binary"])
async def test_the_size_of_a_message_is_measured_in_bytes(data: str, limit: int, fits: bool, mode: str) -> None:
    event = text(data) if mode == "text" else binary(data.encode())
    calls: list[Callable[[AnyWebSocket], Awaitable[object]]] = [
        lambda ws: ws.receive_model(),
        lambda ws: anext(aiter(ws)),
        lambda ws: ws.receive_json(mode),
        lambda ws: ws.receive_text() if mode == "text" else ws.receive_bytes(),
    ]
    for call in calls:
        ws, _ = await accepted(WebSocket[str, Any], event, text("after"), mode=mode, max_message_size=limit)
        if fits:
            await call(ws)
        else:
            with pytest.raises(InvalidMessage, match=f"at most {limit} bytes, found a message of") as caught:
                await call(ws)
            assert (caught.value.problem, caught.value.close_code) == ("too_big", 1009)
        if limit >= 5:
            assert await ws.receive_text() == "after"


# --- send_model ---


async def test_a_message_is_serialized_as_its_declared_type() -> None:
    ws, sent = await accepted(WebSocket[Any, Say])
    await ws.send_model(Shout(text="a"))
    await ws.send_model(Say(text="b"), "binary")
    assert sent == [
        {"type": "websocket.send", "text": '{"type":"say","text":"a"}'},
        {"type": "websocket.send", "bytes": b'{"type":"say","text":"b"}'},
    ]


@pytest.mark.parametrize("mode", [None, "text", "binary", TextJSON(), BinaryJSON("mine")])
async def test_a_message_of_another_type_is_refused_and_nothing_is_sent(mode: Any) -> None:
    ws, sent = await accepted(WebSocket[Any, Join | Move])
    for message in (Say(text="a"), {"room": "a"}, "a", None):
        with pytest.raises(UnsendableMessage, match=r"Join \| Move"):
            await ws.send_model(message, mode)
    await ws.send_model(Join(room="a"), mode)
    await ws.send_model(Move(1), mode)
    assert len(sent) == 2


@pytest.mark.parametrize("data", ["a\ud800", "\udfff"])
async def test_text_that_utf_8_cannot_encode_is_refused_and_the_connection_stays_open(data: str) -> None:
    ws, sent = await accepted(WebSocket[Any, Say | dict[str, int]])
    calls: list[Awaitable[None]] = [
        ws.send_text(data),
        ws.send_json(data),
        ws.send_json({data: 1}),
        ws.send_json([{"a": data}], "binary"),
        ws.send_model(Say.model_construct(text=data)),
        ws.send_model(Say.model_construct(text=data), "binary"),
        ws.send_model({data: 1}),
    ]
    for call in calls:
        with pytest.raises(UnsendableMessage, match="lone surrogate"):
            await call
    assert sent == []
    await ws.send_text("a")
    assert len(sent) == 1


async def test_a_mode_can_be_a_codec_and_the_registry_can_be_private() -> None:
    private = CodecRegistry()
    private.register("only", TextJSON("only"))
    ws, sent = await accepted(WebSocket[int, int], text("1"), binary(b"2"), mode="only", codecs=private)
    assert await ws.receive_model() == 1
    assert await ws.receive_model(int, BinaryJSON()) == 2
    await ws.send_model(3)
    with pytest.raises(UnknownMode, match='one of "only", found'):
        await ws.send_model(4, "text")
    assert [event["text"] for event in sent] == ["3"]


async def test_a_strict_model_is_validated_in_strict_mode() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(strict=True)
        n: int

    ws, _ = await accepted(WebSocket, text('{"n":1}'), text('{"n":"1"}'))
    assert await ws.receive_model(Strict) == Strict(n=1)
    with pytest.raises(InvalidMessage, match="int_type at n"):
        await ws.receive_model(Strict)


# --- after the end ---

SENDS: list[tuple[str, Any]] = [
    ("send_text", "a"),
    ("send_bytes", b"a"),
    ("send_json", 1),
    ("send_model", Say(text="a")),
]
RECEIVES = ["receive_text", "receive_bytes", "receive_json", "receive_model", "receive"]


@pytest.mark.parametrize(("method", "data"), SENDS)
@pytest.mark.parametrize("has_sent_before", [True, False])
async def test_sending_after_a_received_disconnect_raises_with_its_code_and_reason(
    method: str, data: object, has_sent_before: bool
) -> None:
    ws, sent = await accepted(WebSocket[Say, Say], disconnect(4001, "bye"))
    if has_sent_before:
        await getattr(ws, method)(data)
    sent.clear()
    with pytest.raises(WebSocketDisconnect) as first:
        await ws.receive_model()
    assert type(first.value) is WebSocketDisconnect
    with pytest.raises(WebSocketDisconnected) as caught:
        await getattr(ws, method)(data)
    assert (caught.value.code, caught.value.reason, caught.value.closed_by) == (4001, "bye", "peer")
    assert sent == []


@pytest.mark.parametrize("method", RECEIVES)
async def test_receiving_after_a_disconnect_raises_with_its_code_and_reason(method: str) -> None:
    ws, _ = await accepted(WebSocket[Say, Say], disconnect(4001, "bye"))
    with pytest.raises(WebSocketDisconnect):
        await ws.receive_text()
    with pytest.raises(WebSocketDisconnected) as caught:
        await getattr(ws, method)()
    assert (caught.value.code, caught.value.reason) == (4001, "bye")


@pytest.mark.parametrize(("method", "data"), SENDS)
async def test_a_failed_send_reports_a_lost_connection(method: str, data: object) -> None:
    ws, attempts = await failing(disconnect(4001, "bye"))
    with pytest.raises(WebSocketDisconnect) as caught:
        await getattr(ws, method)(data)
    assert type(caught.value) is WebSocketDisconnect
    assert (caught.value.code, caught.value.closed_by) == (1006, "network")
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(WebSocketDisconnected):
        await getattr(ws, method)(data)
    assert len(attempts) == 1, "the server is not called again"


@pytest.mark.parametrize(("method", "data"), SENDS)
async def test_a_server_error_unrelated_to_the_peer_propagates_unchanged(method: str, data: object) -> None:
    ws, _ = await failing(text("a"), error=KeyError("a bug in some middleware"))
    for _ in range(2):
        with pytest.raises(KeyError, match="middleware"):
            await getattr(ws, method)(data)
    assert await ws.receive_text() == "a"


async def test_earlier_messages_can_still_be_received_after_a_failed_send() -> None:
    ws, _ = await failing(text('{"text":"a"}'), disconnect(4001, "bye"))
    with pytest.raises(WebSocketDisconnect):
        await ws.send_text("a")
    assert await ws.receive_model() == Say(text="a")
    with pytest.raises(WebSocketDisconnect):
        await ws.receive_model()
    with pytest.raises(WebSocketDisconnected) as caught:
        await ws.send_text("a")
    assert (caught.value.code, caught.value.reason) == (4001, "bye")


async def failing(*events: Event, error: Exception | None = None) -> tuple[AnyWebSocket, list[Event]]:
    """Return an accepted socket whose server raises on each send, and the list of the events passed to that send."""
    receive, _, _ = wire(CONNECT, *events)
    attempts: list[Event] = []

    async def send(event: Event) -> None:
        if event["type"] == "websocket.send":
            attempts.append(event)
            raise error or OSError("the peer is gone")

    ws = WebSocket[Say, Say](scope(), receive, send)
    await ws.accept()
    return ws, attempts
