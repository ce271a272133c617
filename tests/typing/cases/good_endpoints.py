"""Endpoints, routes and applications: every way to make one, and the types that are inferred."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Never, assert_never, assert_type

from tests.typing.cases.messages import (
    ChatConnection,
    ChatHandshake,
    ChatWebSocket,
    ClientMessage,
    Join,
    Joined,
    Order,
    Room,
    RushOrder,
    Said,
    Say,
    ServerMessage,
)
from typedws import (
    App,
    Closed,
    Connection,
    Contract,
    ContractDecorator,
    Denied,
    Endpoint,
    EndpointDecorator,
    HTTPException,
    Handshake,
    Outcome,
    Policy,
    WebSocket,
    WebSocketRoute,
    endpoint,
)
from typedws.asgi import ASGIApp
from typedws._endpoint.handler_signature import HandlerKind
from typedws._http.path_templates import PathTemplate

app = App()
chat = Contract("chat", ChatConnection)
feed = Contract("feed", Connection[Never, Order])


# --- handlers of a connection ---


@app.websocket("/talk/{room}")
async def talk(ws: ChatConnection) -> None:
    async for message in ws:
        match message:
            case Join(room=room):
                await ws.send_model(Joined(room=room))
            case Say(text=text):
                await ws.send_model(Said(text=f"{ws.params.room}: {text}"))
            case _:
                assert_never(message)


@app.websocket(path="/talk/{room}", contract=chat, policy=Policy())
async def talks_as_agreed(ws: ChatConnection) -> None:
    await ws.send_model(Joined())


@app.websocket("/talk/{room}", policy=None)
async def talks_without_parameters(ws: Connection[ClientMessage, ServerMessage]) -> None:
    await ws.send_model(Joined())


@endpoint
async def talks_alone(ws: ChatConnection) -> None:
    await ws.send_model(Joined())


@endpoint()
async def talks_alone_too(ws: ChatConnection) -> None:
    await ws.send_model(Joined())


@endpoint(policy=Policy(on_invalid="drop"))
async def talks_under_a_policy(ws: ChatConnection) -> None:
    await ws.send_model(Joined())


@endpoint(contract=chat, policy=Policy(on_invalid="drop"))
async def talks_alone_as_agreed(ws: ChatConnection) -> None:
    await ws.send_model(Joined())


@endpoint
async def talks_in_general(ws: Connection) -> None:
    await ws.send_json({})


@endpoint
async def feeds(ws: Connection[Never, Order]) -> None:
    await ws.send_model(Order())


@app.websocket("/feed", feed)
async def feeds_as_agreed(ws: Connection[Never, Order]) -> None:
    await ws.send_model(RushOrder())


assert_type(talk, Endpoint[Join | Say, Joined | Said, Room])
assert_type(talks_as_agreed, Endpoint[Join | Say, Joined | Said, Room])
assert_type(talks_without_parameters, Endpoint[Join | Say, Joined | Said, object])
assert_type(talks_alone, Endpoint[Join | Say, Joined | Said, Room])
assert_type(talks_alone_too, Endpoint[Join | Say, Joined | Said, Room])
assert_type(talks_under_a_policy, Endpoint[Join | Say, Joined | Said, Room])
assert_type(talks_alone_as_agreed, Endpoint[Join | Say, Joined | Said, Room])
assert_type(talks_in_general, Endpoint[object, Any, object])
assert_type(feeds, Endpoint[Never, Order, object])
assert_type(feeds_as_agreed, Endpoint[Never, Order, object])


# --- handlers of a handshake ---


@app.websocket("/decide/{room}")
async def decides(handshake: ChatHandshake) -> Outcome:
    if handshake.params.limit > 10:
        return await handshake.deny(403)
    ws = await handshake.accept()
    return await ws.close()


@app.websocket("/decide/{room}", chat)
async def decides_as_agreed(handshake: ChatHandshake) -> Outcome:
    return await handshake.deny(403)


@endpoint
async def always_denies(handshake: ChatHandshake) -> Denied:
    return await handshake.deny(403)


@endpoint(policy=Policy(handshake_timeout=1))
async def always_closes(handshake: ChatHandshake) -> Closed:
    ws = await handshake.accept()
    return await ws.close()


@endpoint(contract=chat)
async def always_raises(handshake: ChatHandshake) -> Never:
    raise HTTPException(401)


@endpoint
async def decides_in_general(handshake: Handshake) -> Outcome:
    return await handshake.deny()


assert_type(decides, Endpoint[Join | Say, Joined | Said, Room])
assert_type(decides_as_agreed, Endpoint[Join | Say, Joined | Said, Room])
assert_type(always_denies, Endpoint[Join | Say, Joined | Said, Room])
assert_type(always_closes, Endpoint[Join | Say, Joined | Said, Room])
assert_type(always_raises, Endpoint[Join | Say, Joined | Said, Room])
assert_type(decides_in_general, Endpoint[object, Any, object])


# --- handlers that receive more types and send fewer than the contract ---


@endpoint(contract=chat)
async def receives_more(ws: Connection[Join | Say | Order, ServerMessage, Room]) -> None:
    await ws.send_model(Joined())


@endpoint(contract=chat)
async def sends_less(ws: Connection[ClientMessage, Said, Room]) -> None:
    await ws.send_model(Said())


@app.websocket("/less", chat)
async def has_no_use_for_parameters(ws: Connection[ClientMessage, ServerMessage]) -> None:
    await ws.send_model(Said())


@app.websocket("/less", chat)
async def agrees_to_all(ws: Connection) -> None:
    await ws.close()


assert_type(receives_more, Endpoint[Join | Say, Joined | Said, Room])
assert_type(sends_less, Endpoint[Join | Say, Joined | Said, Room])
assert_type(has_no_use_for_parameters, Endpoint[Join | Say, Joined | Said, Room])
assert_type(agrees_to_all, Endpoint[Join | Say, Joined | Said, Room])


# --- as functions ---


async def listens(ws: ChatConnection) -> None: ...
async def denies(handshake: ChatHandshake) -> Outcome:
    return await handshake.deny()


async def listens_in(database: str, ws: ChatConnection) -> None:
    print(database)


class Chat:
    async def listen(self, ws: ChatConnection) -> None: ...
    async def decide(self, handshake: ChatHandshake) -> Outcome:
        return await handshake.deny()

    async def __call__(self, ws: ChatConnection) -> None: ...


def of_functions() -> None:
    assert_type(endpoint(listens), Endpoint[Join | Say, Joined | Said, Room])
    assert_type(endpoint(denies), Endpoint[Join | Say, Joined | Said, Room])
    assert_type(endpoint(listens, chat), Endpoint[Join | Say, Joined | Said, Room])
    assert_type(endpoint(handler=denies, contract=chat, policy=Policy()), Endpoint[Join | Say, Joined | Said, Room])
    assert_type(endpoint(listens, policy=Policy()), Endpoint[Join | Say, Joined | Said, Room])
    assert_type(endpoint(Chat().listen), Endpoint[Join | Say, Joined | Said, Room])
    assert_type(endpoint(Chat().decide, chat), Endpoint[Join | Say, Joined | Said, Room])
    assert_type(endpoint(Chat()), Endpoint[Join | Say, Joined | Said, Room])
    assert_type(endpoint(partial(listens_in, "sqlite:"), chat), Endpoint[Join | Say, Joined | Said, Room])
    assert_type(endpoint(policy=Policy()), EndpointDecorator)
    assert_type(endpoint(contract=chat), ContractDecorator[Join | Say, Joined | Said, Room])
    assert_type(app.websocket("/"), EndpointDecorator)
    assert_type(app.websocket("/", chat), ContractDecorator[Join | Say, Joined | Said, Room])


def what_an_endpoint_holds(one: Endpoint[ClientMessage, ServerMessage, Room]) -> None:
    assert_type(one.contract, Contract[Join | Say, Joined | Said, Room])
    assert_type(one.policy, Policy | None)
    assert_type(one.kind, HandlerKind)
    application: ASGIApp = one
    print(application)


# --- routes and applications ---


async def classic(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json({})
    await websocket.close()


async def classic_and_typed(websocket: ChatWebSocket) -> None:
    ws = await websocket.accept()
    await ws.send_model(Joined())
    await ws.close()


async def classic_and_loose(websocket: WebSocket[Any, Any, Any]) -> None:
    await websocket.accept()


@asynccontextmanager
async def with_state(app: App) -> AsyncGenerator[Mapping[str, Any]]:
    yield {"routes": len(app.routes)}


@asynccontextmanager
async def without_state(app: App) -> AsyncGenerator[None]:
    yield


def routes_and_applications() -> None:
    routes = [
        WebSocketRoute("/", classic),
        WebSocketRoute(path="/typed/{id:int}", handler=classic_and_typed),
        WebSocketRoute("/loose", classic_and_loose, policy=Policy()),
        WebSocketRoute("/talk/{room}", talk),
        WebSocketRoute("/talk/{room}", always_denies, policy=None),
    ]
    assert_type(routes[0].endpoint, Endpoint[Any, Any, Any])
    assert_type(routes[0].path, PathTemplate)
    App(routes)
    App(routes=tuple(routes), policy=Policy(), lifespan=with_state, debug=True)
    App((WebSocketRoute("/", classic),), policy=None, lifespan=None)
    application: ASGIApp = App(lifespan=without_state)
    assert_type(app.routes, tuple[WebSocketRoute, ...])
    assert_type(app.policy, Policy)
    assert_type(app.debug, bool)
    print(application)
