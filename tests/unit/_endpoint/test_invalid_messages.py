"""Invalid messages under each policy, in every typed receive; and feeds, which receive no messages."""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, Literal, Never

import anyio
import anyio.lowlevel
import pytest
from pydantic import BaseModel, Field

from tests.support import CONNECT, Event, binary, disconnect, scope, text, wire
from typedws._contract.contract import Contract, ErrorReply
from typedws._endpoint.endpoints import Endpoint, endpoint
from typedws._endpoint.invalid_messages import answer_for
from typedws._endpoint.policy import Policy
from typedws._protocol.outcomes import Outcome
from typedws.asgi import ASGIApp
from typedws.codecs import BinaryJSON
from typedws.exceptions import HTTPException, InvalidMessage, WebSocketDisconnect
from typedws.routing import WebSocketRoute
from typedws.websockets import Connection, Handshake, WebSocket

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t"


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str


class Form(BaseModel):
    n: int


ServerMessage = Annotated[Say | ErrorReply, Field(discriminator="type")]
Chat = Connection[Say, ServerMessage]
CHAT = Contract("chat", Chat)


def say(content: str) -> Event:
    """Return the event of a valid message."""
    return text(json.dumps({"type": "say", "text": content}))


INVALID: list[tuple[Event, int, str]] = [
    (text("{bad"), 1007, "malformed"),
    (text(f'{{"{SECRET}":1}}'), 1007, "invalid"),
    (binary(b"\xff"), 1003, "wrong_frame"),
    (say("x" * 100), 1009, "too_big"),
]
POLICY = partial(Policy, max_message_size=80)


async def run(app: ASGIApp, *events: Event) -> list[Event]:
    receive, send, sent = wire(CONNECT, *events)
    with anyio.fail_after(5):
        await app(scope(), receive, send)
    return sent


def sent_messages(sent: list[Event]) -> list[Any]:
    """Return the messages among the sent events."""
    return [json.loads(event["text"]) for event in sent if event["type"] == "websocket.send"]


ReceiveAll = Callable[[Chat, list[str]], Awaitable[None]]


async def iterate(ws: Chat, received: list[str]) -> None:
    async for message in ws:
        received.append(message.text)


async def receive(ws: Chat, received: list[str]) -> None:
    while True:
        received.append((await ws.receive_model()).text)


async def receive_form(ws: Chat, received: list[str]) -> None:
    while True:
        received.append((await ws.receive_model(Say)).text)


async def iterate_models(ws: Chat, received: list[str]) -> None:
    async for message in ws.iter_models():
        received.append(message.text)


async def iterate_form(ws: Chat, received: list[str]) -> None:
    async for message in ws.iter_models(Say):
        received.append(message.text)


async def iterate_watched(ws: Chat, received: list[str]) -> None:
    """Iterate in a block that watches the peer, where iterating takes the slow path."""
    async with ws.cancelled_on_disconnect():
        await iterate(ws, received)


EVERY_RECEIVE = pytest.mark.parametrize("receive_all", [iterate, receive, receive_form, iterate_models, iterate_form])
EVERY_INVALID = pytest.mark.parametrize(("event", "code", "problem"), INVALID, ids=[row[2] for row in INVALID])


def receiving_endpoint(receive_all: ReceiveAll, policy: Policy, received: list[str]) -> Endpoint[Any, Any, Any]:
    async def talk(ws: Chat) -> None:
        await receive_all(ws, received)

    return endpoint(talk, CHAT, policy=policy)


@EVERY_RECEIVE
@EVERY_INVALID
async def test_close_closes_with_the_close_code_of_the_error(
    receive_all: ReceiveAll, event: Event, code: int, problem: str
) -> None:
    received: list[str] = []
    sent = await run(receiving_endpoint(receive_all, POLICY(), received), say("a"), event, say("b"))
    assert received == ["a"]
    assert sent[-1]["code"] == code
    assert sent[-1]["reason"]
    assert SECRET not in str(sent)


async def test_with_close_the_handler_may_catch_the_error_and_continue() -> None:
    received: list[str] = []

    async def talk(ws: Chat) -> None:
        with pytest.raises(InvalidMessage):
            await iterate(ws, received)
        await iterate(ws, received)

    sent = await run(endpoint(talk), say("a"), text("{"), say("b"), disconnect())
    assert received == ["a", "b"]
    assert [event["type"] for event in sent] == ["websocket.accept"]


@pytest.mark.parametrize("receive_all", [iterate, receive, receive_form, iterate_models, iterate_form, iterate_watched])
@EVERY_INVALID
async def test_drop_skips_invalid_messages_and_sends_nothing(
    receive_all: ReceiveAll, event: Event, code: int, problem: str
) -> None:
    received: list[str] = []
    sent = await run(
        receiving_endpoint(receive_all, POLICY(on_invalid="drop"), received), *[event] * 20, say("b"), disconnect()
    )
    assert received == ["b"]
    assert sent_messages(sent) == []


@EVERY_RECEIVE
@EVERY_INVALID
async def test_reply_sends_the_error_model_and_continues(
    receive_all: ReceiveAll, event: Event, code: int, problem: str
) -> None:
    received: list[str] = []
    sent = await run(
        receiving_endpoint(receive_all, POLICY(on_invalid="reply"), received), event, say("b"), disconnect()
    )
    assert received == ["b"]
    [reply] = sent_messages(sent)
    assert (reply["type"], reply["problem"]) == ("error", problem)
    assert SECRET not in str(reply)


@EVERY_RECEIVE
async def test_too_many_invalid_messages_in_a_row_close_and_a_valid_one_resets_the_count(
    receive_all: ReceiveAll,
) -> None:
    received: list[str] = []
    policy = POLICY(on_invalid="reply", max_invalid=2)
    sent = await run(
        receiving_endpoint(receive_all, policy, received), *[text("{")] * 2, say("a"), *[text("{")] * 3, say("b")
    )
    assert received == ["a"]
    assert len(sent_messages(sent)) == 4
    assert (sent[-1]["code"], sent[-1]["reason"]) == (1008, "too many invalid messages")


async def test_invalid_messages_of_a_receive_with_its_own_model_count() -> None:
    async def talk(ws: Chat) -> None:
        await ws.receive_model(Form)

    policy = Policy(on_invalid="reply", max_invalid=1)
    sent = await run(endpoint(talk, policy=policy), say("a"), say("a"))
    assert len(sent_messages(sent)) == 1
    assert sent[-1]["code"] == 1008


async def test_a_function_is_called_with_the_connection_and_the_error() -> None:
    received: list[str] = []

    async def answer(ws: Connection[Any, Any, Any], error: InvalidMessage) -> None:
        await ws.send_text(json.dumps(error.problem))

    sent = await run(
        receiving_endpoint(iterate, POLICY(on_invalid=answer), received), *[text("{")] * 20, say("b"), disconnect()
    )
    assert received == ["b"]
    assert sent_messages(sent) == ["malformed"] * 20


async def test_an_exception_of_the_function_ends_the_handler() -> None:
    async def refuse(ws: Connection[Any, Any, Any], error: InvalidMessage) -> None:
        raise HTTPException(400, "no")

    received: list[str] = []
    sent = await run(receiving_endpoint(iterate, POLICY(on_invalid=refuse), received), text("{"), say("b"))
    assert (sent[-1]["code"], sent[-1]["reason"], received) == (1008, "no", [])


async def test_a_function_may_raise_the_error_that_it_is_called_with() -> None:
    async def refuse(ws: Connection[Any, Any, Any], error: InvalidMessage) -> None:
        raise error

    assert (await run(receiving_endpoint(iterate, POLICY(on_invalid=refuse), []), text("{")))[-1]["code"] == 1007


async def test_invalid_messages_of_raw_receives_are_raised_and_not_answered() -> None:
    async def talk(ws: Chat) -> None:
        with pytest.raises(InvalidMessage):
            await ws.receive_text()
        with pytest.raises(InvalidMessage):
            await ws.receive_json()

    policy = Policy(on_invalid="reply")
    assert sent_messages(await run(endpoint(talk, policy=policy), binary(b"a"), text("{"))) == []


@pytest.mark.parametrize("receive_all", [iterate, receive, iterate_models])
async def test_a_reply_to_a_peer_that_left_ends_the_handler_like_a_disconnect(receive_all: ReceiveAll) -> None:
    async def send(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if event["type"] != "websocket.accept":
            raise OSError

    receive, _, _ = wire(CONNECT, text("{"))
    raised: list[Exception] = []

    async def talk(ws: Chat) -> None:
        try:
            await receive_all(ws, [])
        except Exception as error:
            raised.append(error)
            raise

    with anyio.fail_after(5):
        await endpoint(talk, policy=Policy(on_invalid="reply"))(scope(app=object()), receive, send)
    assert [type(error) for error in raised] == ([WebSocketDisconnect] if receive_all.__name__ == "receive" else [])


async def test_handshake_and_classic_handlers_answer_invalid_messages_too() -> None:
    received: list[str] = []

    async def decide(handshake: Handshake[Say, ServerMessage]) -> Outcome:
        ws = await handshake.accept()
        await iterate(ws, received)
        return await ws.close()

    async def classic(ws: WebSocket[Say, ServerMessage]) -> None:
        await ws.accept()
        await iterate(ws, received)

    policy = Policy(on_invalid="reply")
    for app in (endpoint(decide, policy=policy), WebSocketRoute("/", classic, policy=policy).endpoint):
        assert len(sent_messages(await run(app, text("{"), say("b"), disconnect()))) == 1
    assert received == ["b", "b"]


async def test_an_explicit_mode_of_a_receive_is_used() -> None:
    received: list[Any] = []

    async def talk(ws: Chat) -> None:
        received.append(await ws.receive_model(Form, mode=BinaryJSON()))
        async for message in ws.iter_models(Form, mode="binary"):
            received.append(message)

    await run(endpoint(talk, policy=Policy(on_invalid="drop")), *[text("1"), binary(b'{"n":1}')] * 2, disconnect())
    assert received == [Form(n=1), Form(n=1)]


def test_close_has_no_answer() -> None:
    assert answer_for(Policy(), CHAT) is None


# --- feeds ---

Feed = Connection[Never, ServerMessage]
FeedHandler = Callable[[Feed], Awaitable[None]]


def feed_endpoint(kind: str, handler: FeedHandler, policy: Policy | None = None) -> Endpoint[Any, Any, Any]:
    async def feed(ws: Feed) -> None:
        await handler(ws)

    async def decide(handshake: Handshake[Never, ServerMessage]) -> Outcome:
        ws = await handshake.accept()
        await handler(ws)
        return await ws.close()

    async def classic(ws: WebSocket[Never, ServerMessage]) -> None:
        await ws.accept()
        await handler(ws)

    if kind == "connection":
        return endpoint(feed, policy=policy)
    if kind == "handshake":
        return endpoint(decide, policy=policy)
    return WebSocketRoute("/", classic, policy=policy).endpoint


EVERY_KIND = pytest.mark.parametrize("kind", ["connection", "handshake", "classic"])
ON_INVALID = pytest.mark.parametrize(
    ("on_invalid", "code", "replies"), [("close", 1003, 0), ("drop", None, 0), ("reply", None, 2)]
)


async def idle(ws: Feed) -> None:
    await anyio.sleep_forever()


@EVERY_KIND
async def test_a_feed_is_cancelled_when_its_peer_leaves(kind: str) -> None:
    cleaned_up: list[bool] = []

    async def handler(ws: Feed) -> None:
        await ws.send_model(Say(text="a"))
        try:
            await anyio.sleep_forever()
        finally:
            cleaned_up.append(True)

    sent = await run(feed_endpoint(kind, handler), disconnect(1001))
    assert [event["type"] for event in sent][:1] == ["websocket.accept"]
    assert all(event["type"] != "websocket.close" for event in sent)
    assert cleaned_up == [True]


@EVERY_KIND
@ON_INVALID
@pytest.mark.parametrize("event", [text("a"), binary(b"a"), text("")])
async def test_every_message_to_a_feed_is_invalid(
    kind: str, on_invalid: Any, code: int | None, replies: int, event: Event
) -> None:
    app = feed_endpoint(kind, idle, Policy(on_invalid=on_invalid))
    sent = await run(app, event, event, disconnect())
    closes = [event["code"] for event in sent if event["type"] == "websocket.close"]
    assert closes == ([] if code is None else [code])
    assert len(sent_messages(sent)) == replies


async def test_too_many_messages_to_a_feed_close_it() -> None:
    sent = await run(feed_endpoint("connection", idle, Policy(on_invalid="reply", max_invalid=3)), *[text("a")] * 9)
    assert len(sent_messages(sent)) == 3
    assert sent[-1]["code"] == 1008


async def test_a_reply_of_a_feed_to_a_peer_that_left_ends_the_feed() -> None:
    async def send(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if event["type"] != "websocket.accept":
            raise OSError

    receive, _, _ = wire(CONNECT, text("a"))
    with anyio.fail_after(5):
        await feed_endpoint("connection", idle, Policy(on_invalid="reply"))(scope(app=object()), receive, send)


@EVERY_KIND
@ON_INVALID
@pytest.mark.parametrize("last", [disconnect(), text("a")], ids=["disconnect", "message"])
async def test_a_feed_is_not_cancelled_after_its_own_close(
    kind: str, on_invalid: Any, code: int | None, replies: int, last: Event
) -> None:
    put, get = anyio.create_memory_object_stream[Event](10)
    put.send_nowait(CONNECT)
    done: list[bool] = []

    async def handler(ws: Feed) -> None:
        await ws.close(4001)
        put.send_nowait(last)
        await anyio.wait_all_tasks_blocked()
        done.append(True)

    _, send, sent = wire()
    with put, get, anyio.fail_after(5):
        app = feed_endpoint(kind, handler, Policy(on_invalid=on_invalid))
        await app(scope(), get.receive, send)
    assert done == [True]
    assert [event.get("code") for event in sent] == [None, 4001]


@EVERY_KIND
async def test_a_feed_that_returns_is_closed(kind: str) -> None:
    async def handler(ws: Feed) -> None:
        await ws.send_model(Say(text="a"))

    sent = await run(feed_endpoint(kind, handler))
    assert [event["type"] for event in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert sent[-1]["code"] == 1000


async def test_a_mounted_feed_that_fails_is_closed_and_raises() -> None:
    async def handler(ws: Feed) -> None:
        raise ValueError

    receive, send, sent = wire(CONNECT)
    with pytest.raises(ValueError):
        await feed_endpoint("connection", handler)(scope(app=object()), receive, send)
    assert sent[-1]["code"] == 1011


async def test_a_failure_after_the_peer_of_a_feed_left_is_raised() -> None:
    async def handler(ws: Feed) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError

    receive, send, _ = wire(CONNECT, disconnect())
    with pytest.raises(ValueError):
        await feed_endpoint("connection", handler)(scope(app=object()), receive, send)


async def test_a_feed_that_denies_is_not_read() -> None:
    async def decide(handshake: Handshake[Never, ServerMessage]) -> Outcome:
        return await handshake.deny(401)

    assert (await run(endpoint(decide), disconnect()))[0]["status"] == 401


async def test_cancelled_on_disconnect_has_no_effect_in_a_feed() -> None:
    left: list[str] = []

    async def handler(ws: Feed) -> None:
        try:
            async with ws.cancelled_on_disconnect():
                await ws.send_model(Say(text="a"))
                await anyio.sleep_forever()
        finally:
            left.append("left")

    sent = await run(feed_endpoint("connection", handler), disconnect())
    assert left == ["left"]
    assert all(event["type"] != "websocket.close" for event in sent)


async def test_a_receive_in_a_feed_waits_until_the_peer_leaves() -> None:
    async def handler(ws: Feed) -> None:
        async for _ in ws:
            raise AssertionError
        raise AssertionError

    sent = await run(feed_endpoint("connection", handler, Policy(on_invalid="reply")), text("a"), disconnect())
    assert len(sent_messages(sent)) == 1
    assert all(event["type"] != "websocket.close" for event in sent)
