"""`endpoint`: its call forms, the errors that it raises, and the ASGI application that it returns."""

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
untyped_endpoint: Any = endpoint  # untyped, as some of the calls below are type errors
CALLS: dict[str, Callable[[Any], Any]] = {
    "a function": untyped_endpoint,
    "a function with a contract": lambda handler: untyped_endpoint(handler, CHAT),
    "a function with a policy": lambda handler: untyped_endpoint(handler, policy=Policy()),
    "a decorator": lambda handler: untyped_endpoint()(handler),
    "a decorator with a policy": lambda handler: untyped_endpoint(policy=Policy())(handler),
    "a decorator with a contract": lambda handler: untyped_endpoint(contract=CHAT)(handler),
    "a decorator with both": lambda handler: untyped_endpoint(contract=CHAT, policy=Policy())(handler),
}


@HANDLERS
@pytest.mark.parametrize("call", CALLS)
async def test_every_call_form_returns_an_application(handler: Any, call: str) -> None:
    app: Endpoint[Say, Say, Room] = CALLS[call](handler)
    assert app.handler is handler
    sent = await run(app, text('{"text":"a"}'), disconnect(), path_params={"room": 5})
    assert [event.get("text") for event in sent] == [None, '{"text":"5: a"}']


def test_an_endpoint_has_its_contract_policy_and_kind() -> None:
    policy = Policy(max_connections=1)
    app = endpoint(decide, CHAT, policy=policy)
    assert (app.contract, app.policy, app.kind) == (CHAT, policy, "handshake")
    assert repr(app) == "<Endpoint of <Contract chat 1.0.0>>"
    alone = endpoint(echo)
    assert (alone.contract.name, alone.policy, alone.kind) == ("echo", None, "connection")


def test_annotations_may_name_classes_of_the_enclosing_function() -> None:
    class Local(BaseModel):
        n: int

    @endpoint
    async def direct(ws: "Connection[Local, Local]") -> None: ...

    @endpoint(policy=Policy())
    async def configured(ws: "Connection[Local, Local]") -> None: ...

    for app in (direct, configured):
        assert app.contract.client_messages is not None
        assert app.contract.client_messages.form is Local


async def test_a_method_a_partial_and_a_callable_object_are_handlers() -> None:
    class Talk:
        async def method(self, ws: Connection[Say, Say]) -> None:
            await ws.send_model(Say(text="method"))

        async def __call__(self, ws: Connection[Say, Say]) -> None:
            await ws.send_model(Say(text="object"))

    async def with_argument(ws: Connection[Say, Say], content: str) -> None:
        await ws.send_model(Say(text=content))

    for handler, content in (
        (Talk().method, "method"),
        (Talk(), "object"),
        (partial(with_argument, content="partial"), "partial"),
    ):
        sent = await run(endpoint(handler))
        assert json.loads(sent[1]["text"]) == {"text": content}


async def test_a_handler_without_annotations_receives_the_model_that_it_passes() -> None:
    async def talk(ws: Any) -> None:
        await ws.send_model(await ws.receive_model(Say))

    talk.__annotations__.clear()
    app: ASGIApp = untyped_endpoint(talk)
    assert (await run(app, text('{"text":"a"}')))[1]["text"] == '{"text":"a"}'


async def test_the_subprotocol_selects_the_mode_and_is_in_the_accept() -> None:
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


async def test_an_endpoint_answers_a_lifespan_and_plain_http() -> None:
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


def test_replying_to_invalid_messages_requires_an_error_model() -> None:
    policy = Policy(on_invalid="reply")
    with pytest.raises(InvalidEndpoint) as caught:
        endpoint(echo, policy=policy)
    assert str(caught.value) == (
        "expected an error model for Policy(on_invalid=\"reply\"), found none in the contract 'echo': "
        "add an ErrorReply to the server messages, or pass Contract(error=...)"
    )

    async def talk(ws: Connection[Say, Annotated[Typed | ErrorReply, Field(discriminator="type")]]) -> None: ...

    endpoint(talk, policy=policy)


def declaration_error(*arguments: Any, **options: Any) -> InvalidEndpoint:
    """Return the error that `endpoint` raises for these arguments."""
    with pytest.raises(InvalidEndpoint) as caught:
        untyped_endpoint(*arguments, **options)
    return caught.value


def test_a_policy_passed_as_the_contract_raises_with_a_hint() -> None:
    error = declaration_error(echo, Policy())
    assert str(error).startswith("expected a Contract, found a Policy")
    assert error.hint == "pass the policy as policy=..."


def test_a_handler_that_disagrees_with_its_contract_raises() -> None:
    async def other(ws: Connection[Other, Say, Room]) -> None: ...

    assert "Other in other" in declaration_error(other, CHAT).found


def test_a_classic_handler_raises_with_a_hint_to_use_a_route() -> None:
    async def classic(ws: WebSocket[Say, Say]) -> None: ...

    assert (
        declaration_error(classic).hint
        == "use WebSocketRoute(path, handler) for a handler that takes the whole WebSocket"
    )


def test_an_annotation_with_an_undiscriminated_union_raises() -> None:
    async def talk(ws: Connection[Say | Other, Say]) -> None: ...

    with pytest.raises(InvalidContract):
        endpoint(talk)
