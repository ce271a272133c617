"""What becomes of an invalid message under each policy, in every typed receive; and feeds, which hear nothing."""

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


def say(what: str) -> Event:
    return text(json.dumps({"type": "say", "text": what}))


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


def said(sent: list[Event]) -> list[Any]:
    return [json.loads(event["text"]) for event in sent if event["type"] == "websocket.send"]


Hear = Callable[[Chat, list[str]], Awaitable[None]]


async def iterate(ws: Chat, heard: list[str]) -> None:
    async for message in ws:
        heard.append(message.text)


async def receive(ws: Chat, heard: list[str]) -> None:
    while True:
        heard.append((await ws.receive_model()).text)


async def receive_form(ws: Chat, heard: list[str]) -> None:
    while True:
        heard.append((await ws.receive_model(Say)).text)


async def iterate_models(ws: Chat, heard: list[str]) -> None:
    async for message in ws.iter_models():
        heard.append(message.text)


async def iterate_form(ws: Chat, heard: list[str]) -> None:
    async for message in ws.iter_models(Say):
        heard.append(message.text)


async def watched(ws: Chat, heard: list[str]) -> None:
    """Go through the slow way of iterating."""
    async with ws.cancelled_on_disconnect():
        await iterate(ws, heard)


hears = pytest.mark.parametrize("hear", [iterate, receive, receive_form, iterate_models, iterate_form])
invalids = pytest.mark.parametrize(("event", "code", "problem"), INVALID, ids=[row[2] for row in INVALID])


def hearing(hear: Hear, policy: Policy, heard: list[str]) -> Endpoint[Any, Any, Any]:
    async def talk(ws: Chat) -> None:
        await hear(ws, heard)

    return endpoint(talk, CHAT, policy=policy)


@hears
@invalids
async def test_close_closes_with_the_code_of_the_message(hear: Hear, event: Event, code: int, problem: str) -> None:
    heard: list[str] = []
    sent = await run(hearing(hear, POLICY(), heard), say("a"), event, say("b"))
    assert heard == ["a"]
    assert sent[-1]["code"] == code
    assert sent[-1]["reason"]
    assert SECRET not in str(sent)


async def test_close_lets_the_handler_catch_it_and_go_on() -> None:
    heard: list[str] = []

    async def talk(ws: Chat) -> None:
        with pytest.raises(InvalidMessage):
            await iterate(ws, heard)
        await iterate(ws, heard)

    sent = await run(endpoint(talk), say("a"), text("{"), say("b"), disconnect())
    assert heard == ["a", "b"]
    assert [event["type"] for event in sent] == ["websocket.accept"]


@pytest.mark.parametrize("hear", [iterate, receive, receive_form, iterate_models, iterate_form, watched])
@invalids
async def test_drop_goes_on_without_a_word(hear: Hear, event: Event, code: int, problem: str) -> None:
    heard: list[str] = []
    sent = await run(hearing(hear, POLICY(on_invalid="drop"), heard), *[event] * 20, say("b"), disconnect())
    assert heard == ["b"]
    assert said(sent) == []


@hears
@invalids
async def test_reply_answers_with_the_error_model_and_goes_on(
    hear: Hear, event: Event, code: int, problem: str
) -> None:
    heard: list[str] = []
    sent = await run(hearing(hear, POLICY(on_invalid="reply"), heard), event, say("b"), disconnect())
    assert heard == ["b"]
    [reply] = said(sent)
    assert (reply["type"], reply["problem"]) == ("error", problem)
    assert SECRET not in str(reply)


@hears
async def test_too_many_in_a_row_close_and_a_valid_message_starts_again(hear: Hear) -> None:
    heard: list[str] = []
    policy = POLICY(on_invalid="reply", max_invalid=2)
    sent = await run(hearing(hear, policy, heard), *[text("{")] * 2, say("a"), *[text("{")] * 3, say("b"))
    assert heard == ["a"]
    assert len(said(sent)) == 4
    assert (sent[-1]["code"], sent[-1]["reason"]) == (1008, "too many invalid messages")


async def test_receives_of_several_kinds_count_together() -> None:
    async def talk(ws: Chat) -> None:
        await ws.receive_model(Form)

    policy = Policy(on_invalid="reply", max_invalid=1)
    sent = await run(endpoint(talk, policy=policy), say("a"), say("a"))
    assert len(said(sent)) == 1
    assert sent[-1]["code"] == 1008


async def test_a_function_is_given_the_connection_and_the_error() -> None:
    heard: list[str] = []

    async def scold(ws: Connection[Any, Any, Any], error: InvalidMessage) -> None:
        await ws.send_text(json.dumps(error.problem))

    sent = await run(hearing(iterate, POLICY(on_invalid=scold), heard), *[text("{")] * 20, say("b"), disconnect())
    assert heard == ["b"]
    assert said(sent) == ["malformed"] * 20


async def test_what_a_function_raises_ends_the_handler() -> None:
    async def refuse(ws: Connection[Any, Any, Any], error: InvalidMessage) -> None:
        raise HTTPException(400, "no")

    heard: list[str] = []
    sent = await run(hearing(iterate, POLICY(on_invalid=refuse), heard), text("{"), say("b"))
    assert (sent[-1]["code"], sent[-1]["reason"], heard) == (1008, "no", [])


async def test_a_function_may_raise_the_error_itself() -> None:
    async def refuse(ws: Connection[Any, Any, Any], error: InvalidMessage) -> None:
        raise error

    assert (await run(hearing(iterate, POLICY(on_invalid=refuse), []), text("{")))[-1]["code"] == 1007


async def test_raw_receives_are_not_answered() -> None:
    async def talk(ws: Chat) -> None:
        with pytest.raises(InvalidMessage):
            await ws.receive_text()
        with pytest.raises(InvalidMessage):
            await ws.receive_json()

    policy = Policy(on_invalid="reply")
    assert said(await run(endpoint(talk, policy=policy), binary(b"a"), text("{"))) == []


@pytest.mark.parametrize("hear", [iterate, receive, iterate_models])
async def test_a_reply_to_a_peer_that_just_left_ends_the_handler_quietly(hear: Hear) -> None:
    async def send(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if event["type"] != "websocket.accept":
            raise OSError

    receive, _, _ = wire(CONNECT, text("{"))
    raised: list[Exception] = []

    async def talk(ws: Chat) -> None:
        try:
            await hear(ws, [])
        except Exception as error:
            raised.append(error)
            raise

    with anyio.fail_after(5):
        await endpoint(talk, policy=Policy(on_invalid="reply"))(scope(app=object()), receive, send)
    assert [type(error) for error in raised] == ([WebSocketDisconnect] if hear.__name__ == "receive" else [])


async def test_a_handshake_and_a_classic_handler_are_answered_for_too() -> None:
    heard: list[str] = []

    async def decide(handshake: Handshake[Say, ServerMessage]) -> Outcome:
        ws = await handshake.accept()
        await iterate(ws, heard)
        return await ws.close()

    async def classic(ws: WebSocket[Say, ServerMessage]) -> None:
        await ws.accept()
        await iterate(ws, heard)

    policy = Policy(on_invalid="reply")
    for app in (endpoint(decide, policy=policy), WebSocketRoute("/", classic, policy=policy).endpoint):
        assert len(said(await run(app, text("{"), say("b"), disconnect()))) == 1
    assert heard == ["b", "b"]


async def test_a_mode_of_a_single_receive_is_kept() -> None:
    heard: list[Any] = []

    async def talk(ws: Chat) -> None:
        heard.append(await ws.receive_model(Form, mode=BinaryJSON()))
        async for message in ws.iter_models(Form, mode="binary"):
            heard.append(message)

    await run(endpoint(talk, policy=Policy(on_invalid="drop")), *[text("1"), binary(b'{"n":1}')] * 2, disconnect())
    assert heard == [Form(n=1), Form(n=1)]


def test_close_answers_nothing() -> None:
    assert answer_for(Policy(), CHAT) is None


# --- feeds ---

Feeding = Connection[Never, ServerMessage]
Speak = Callable[[Feeding], Awaitable[None]]


def feeding(kind: str, speak: Speak, policy: Policy | None = None) -> Endpoint[Any, Any, Any]:
    async def feed(ws: Feeding) -> None:
        await speak(ws)

    async def decide(handshake: Handshake[Never, ServerMessage]) -> Outcome:
        ws = await handshake.accept()
        await speak(ws)
        return await ws.close()

    async def classic(ws: WebSocket[Never, ServerMessage]) -> None:
        await ws.accept()
        await speak(ws)

    if kind == "connection":
        return endpoint(feed, policy=policy)
    if kind == "handshake":
        return endpoint(decide, policy=policy)
    return WebSocketRoute("/", classic, policy=policy).endpoint


kinds = pytest.mark.parametrize("kind", ["connection", "handshake", "classic"])
ON_INVALID = pytest.mark.parametrize(
    ("on_invalid", "code", "replies"), [("close", 1003, 0), ("drop", None, 0), ("reply", None, 2)]
)


async def idle(ws: Feeding) -> None:
    await anyio.sleep_forever()


@kinds
async def test_a_feed_is_cancelled_as_soon_as_its_peer_leaves(kind: str) -> None:
    cleaned_up: list[bool] = []

    async def speak(ws: Feeding) -> None:
        await ws.send_model(Say(text="a"))
        try:
            await anyio.sleep_forever()
        finally:
            cleaned_up.append(True)

    sent = await run(feeding(kind, speak), disconnect(1001))
    assert [event["type"] for event in sent][:1] == ["websocket.accept"]
    assert all(event["type"] != "websocket.close" for event in sent)
    assert cleaned_up == [True]


@kinds
@ON_INVALID
@pytest.mark.parametrize("event", [text("a"), binary(b"a"), text("")])
async def test_what_the_peer_of_a_feed_says_is_invalid(
    kind: str, on_invalid: Any, code: int | None, replies: int, event: Event
) -> None:
    app = feeding(kind, idle, Policy(on_invalid=on_invalid))
    sent = await run(app, event, event, disconnect())
    closes = [event["code"] for event in sent if event["type"] == "websocket.close"]
    assert closes == ([] if code is None else [code])
    assert len(said(sent)) == replies


async def test_too_much_said_to_a_feed_closes_it() -> None:
    sent = await run(feeding("connection", idle, Policy(on_invalid="reply", max_invalid=3)), *[text("a")] * 9)
    assert len(said(sent)) == 3
    assert sent[-1]["code"] == 1008


async def test_a_reply_of_a_feed_to_a_peer_that_left_ends_it() -> None:
    async def send(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if event["type"] != "websocket.accept":
            raise OSError

    receive, _, _ = wire(CONNECT, text("a"))
    with anyio.fail_after(5):
        await feeding("connection", idle, Policy(on_invalid="reply"))(scope(app=object()), receive, send)


@kinds
@ON_INVALID
@pytest.mark.parametrize("last", [disconnect(), text("a")], ids=["leaves", "speaks"])
async def test_what_follows_a_feeds_own_close_is_not_cancelled(
    kind: str, on_invalid: Any, code: int | None, replies: int, last: Event
) -> None:
    put, get = anyio.create_memory_object_stream[Event](10)
    put.send_nowait(CONNECT)
    done: list[bool] = []

    async def speak(ws: Feeding) -> None:
        await ws.close(4001)
        put.send_nowait(last)
        await anyio.wait_all_tasks_blocked()
        done.append(True)

    _, send, sent = wire()
    with put, get, anyio.fail_after(5):
        app = feeding(kind, speak, Policy(on_invalid=on_invalid))
        await app(scope(), get.receive, send)
    assert done == [True]
    assert [event.get("code") for event in sent] == [None, 4001]


@kinds
async def test_a_feed_that_returns_is_closed(kind: str) -> None:
    async def speak(ws: Feeding) -> None:
        await ws.send_model(Say(text="a"))

    sent = await run(feeding(kind, speak))
    assert [event["type"] for event in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert sent[-1]["code"] == 1000


async def test_a_feed_that_fails_is_closed_and_its_failure_raised_where_mounted() -> None:
    async def speak(ws: Feeding) -> None:
        raise ValueError

    receive, send, sent = wire(CONNECT)
    with pytest.raises(ValueError):
        await feeding("connection", speak)(scope(app=object()), receive, send)
    assert sent[-1]["code"] == 1011


async def test_a_failure_of_a_feed_that_its_peer_left_is_raised() -> None:
    async def speak(ws: Feeding) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError

    receive, send, _ = wire(CONNECT, disconnect())
    with pytest.raises(ValueError):
        await feeding("connection", speak)(scope(app=object()), receive, send)


async def test_a_feed_that_denies_is_not_listened_to() -> None:
    async def decide(handshake: Handshake[Never, ServerMessage]) -> Outcome:
        return await handshake.deny(401)

    assert (await run(endpoint(decide), disconnect()))[0]["status"] == 401


async def test_watching_for_the_peer_in_a_feed_is_harmless() -> None:
    left: list[str] = []

    async def speak(ws: Feeding) -> None:
        try:
            async with ws.cancelled_on_disconnect():
                await ws.send_model(Say(text="a"))
                await anyio.sleep_forever()
        finally:
            left.append("left")

    sent = await run(feeding("connection", speak), disconnect())
    assert left == ["left"]
    assert all(event["type"] != "websocket.close" for event in sent)


async def test_who_receives_in_a_feed_waits_until_the_peer_leaves() -> None:
    async def speak(ws: Feeding) -> None:
        async for _ in ws:
            raise AssertionError
        raise AssertionError

    sent = await run(feeding("connection", speak, Policy(on_invalid="reply")), text("a"), disconnect())
    assert len(said(sent)) == 1
    assert all(event["type"] != "websocket.close" for event in sent)
