"""`endpoint`: the ways to make an `Endpoint`, what is refused when it is made, and that it is an ASGI application."""

import json
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import anyio
import pytest
from pydantic import BaseModel, Field

from tests.support import CONNECT, Event, disconnect, scope, text, wire
from typedws._contract.contract import Contract, ErrorReply
from typedws._endpoint.endpoints import Endpoint, endpoint
from typedws._endpoint.policy import Policy
from typedws._protocol.outcomes import Outcome
from typedws.asgi import ASGIApp
from typedws.exceptions import InvalidContract, InvalidEndpoint
from typedws.websockets import Connection, Handshake, WebSocket

pytestmark = pytest.mark.anyio


class Say(BaseModel):
    text: str


class Other(BaseModel):
    other: int


class Room(BaseModel):
    room: int


Chat = Connection[Say, Say, Room]
CHAT = Contract("chat", Chat, modes=("text", "binary"))


async def run(app: ASGIApp, /, *events: Event, **overrides: Any) -> list[Event]:
    receive, send, sent = wire(CONNECT, *events)
    with anyio.fail_after(5):
        await app(scope(**overrides), receive, send)
    return sent


async def echo(ws: Chat) -> None:
    async for message in ws:
        await ws.send_model(Say(text=f"{ws.params.room}: {message.text}"))


async def decide(handshake: Handshake[Say, Say, Room]) -> Outcome:
    ws = await handshake.accept()
    await echo(ws)
    return await ws.close()


HANDLERS = pytest.mark.parametrize("handler", [echo, decide])
make: Any = endpoint  # as it is at run time
WAYS: dict[str, Callable[[Any], Any]] = {
    "a function": make,
    "a function with a contract": lambda handler: make(handler, CHAT),
    "a function with a policy": lambda handler: make(handler, policy=Policy()),
    "a decorator": lambda handler: make()(handler),
    "a decorator with a policy": lambda handler: make(policy=Policy())(handler),
    "a decorator with a contract": lambda handler: make(contract=CHAT)(handler),
    "a decorator with both": lambda handler: make(contract=CHAT, policy=Policy())(handler),
}


@HANDLERS
@pytest.mark.parametrize("way", WAYS)
async def test_every_way_to_make_an_endpoint_makes_an_application(handler: Any, way: str) -> None:
    app: Endpoint[Say, Say, Room] = WAYS[way](handler)
    assert app.handler is handler
    sent = await run(app, text('{"text":"a"}'), disconnect(), path_params={"room": 5})
    assert [event.get("text") for event in sent] == [None, '{"text":"5: a"}']


def test_an_endpoint_knows_what_it_is_made_of() -> None:
    policy = Policy(max_connections=1)
    app = endpoint(decide, CHAT, policy=policy)
    assert (app.contract, app.policy, app.kind) == (CHAT, policy, "handshake")
    assert repr(app) == "<Endpoint of <Contract chat 1.0.0>>"
    alone = endpoint(echo)
    assert (alone.contract.name, alone.policy, alone.kind) == ("echo", None, "connection")


def test_annotations_may_name_what_the_function_around_defines() -> None:
    class Local(BaseModel):
        n: int

    @endpoint
    async def direct(ws: "Connection[Local, Local]") -> None: ...

    @endpoint(policy=Policy())
    async def configured(ws: "Connection[Local, Local]") -> None: ...

    for app in (direct, configured):
        assert app.contract.client_messages is not None
        assert app.contract.client_messages.form is Local


async def test_a_method_a_partial_and_an_object_are_handlers() -> None:
    class Talk:
        async def method(self, ws: Connection[Say, Say]) -> None:
            await ws.send_model(Say(text="method"))

        async def __call__(self, ws: Connection[Say, Say]) -> None:
            await ws.send_model(Say(text="object"))

    async def with_more(ws: Connection[Say, Say], what: str) -> None:
        await ws.send_model(Say(text=what))

    for handler, what in (
        (Talk().method, "method"),
        (Talk(), "object"),
        (partial(with_more, what="partial"), "partial"),
    ):
        sent = await run(endpoint(handler))
        assert json.loads(sent[1]["text"]) == {"text": what}


async def test_a_handler_without_annotations_hears_what_it_asks_for() -> None:
    async def talk(ws: Any) -> None:
        await ws.send_model(await ws.receive_model(Say))

    talk.__annotations__.clear()
    app: ASGIApp = make(talk)
    assert (await run(app, text('{"text":"a"}')))[1]["text"] == '{"text":"a"}'


async def test_the_subprotocol_chooses_the_mode_and_is_answered() -> None:
    sent = await run(
        endpoint(echo, CHAT),
        {"type": "websocket.receive", "bytes": b'{"text":"a"}'},
        disconnect(),
        subprotocols=["bearer", "token", "chat.v1.binary"],
        path_params={"room": 5},
    )
    assert sent[0]["subprotocol"] == "chat.v1.binary"
    assert sent[1]["bytes"] == b'{"text":"5: a"}'


async def test_an_offer_of_only_unknown_subprotocols_is_denied() -> None:
    sent = await run(endpoint(echo, CHAT), subprotocols=["other"], path_params={"room": 5})
    assert sent[0]["status"] == 400


async def test_an_endpoint_is_an_application_for_a_lifespan_and_for_plain_http() -> None:
    app = endpoint(echo)
    receive, send, sent = wire({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    await app({"type": "lifespan"}, receive, send)
    assert [event["type"] for event in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    receive, send, sent = wire({"type": "http.request", "body": b"", "more_body": False})
    await app({**scope(), "type": "http"}, receive, send)
    assert [event.get("status") for event in sent] == [426, None]


ServerMessage = Annotated[Say | ErrorReply, Field(discriminator="type")]


class Typed(BaseModel):
    type: Literal["say"] = "say"


def test_replying_needs_an_error_model_when_the_endpoint_is_made() -> None:
    policy = Policy(on_invalid="reply")
    with pytest.raises(InvalidEndpoint) as caught:
        endpoint(echo, policy=policy)
    assert str(caught.value) == (
        "expected an error model for Policy(on_invalid=\"reply\"), found none in the contract 'echo': "
        "add an ErrorReply to the server messages, or pass Contract(error=...)"
    )

    async def talk(ws: Connection[Say, Annotated[Typed | ErrorReply, Field(discriminator="type")]]) -> None: ...

    endpoint(talk, policy=policy)


def no_such(*arguments: Any, **options: Any) -> InvalidEndpoint:
    with pytest.raises(InvalidEndpoint) as caught:
        make(*arguments, **options)
    return caught.value


def test_a_policy_in_the_place_of_the_contract_is_told() -> None:
    error = no_such(echo, Policy())
    assert str(error).startswith("expected a Contract, found a Policy")
    assert error.hint == "pass the policy as policy=..."


def test_a_handler_that_disagrees_with_its_contract_is_refused() -> None:
    async def other(ws: Connection[Other, Say, Room]) -> None: ...

    assert "Other in other" in no_such(other, CHAT).found


def test_a_classic_handler_is_told_where_it_belongs() -> None:
    async def classic(ws: WebSocket[Say, Say]) -> None: ...

    assert no_such(classic).hint == "WebSocketRoute(path, handler) takes a handler of the whole WebSocket"


def test_an_annotation_that_contradicts_itself_is_refused() -> None:
    async def talk(ws: Connection[Say | Other, Say]) -> None: ...

    with pytest.raises(InvalidContract):
        endpoint(talk)
