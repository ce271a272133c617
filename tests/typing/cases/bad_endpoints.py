"""Endpoints: handlers that do not fit, and what a handler must not do with its connection."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Never, assert_never

import starlette.websockets
from tests.typing.cases.messages import (
    ChatConnection,
    ChatHandshake,
    ChatWebSocket,
    ClientMessage,
    Join,
    Joined,
    Order,
    Room,
    Said,
    Say,
    ServerMessage,
)
from typedws import App, Connection, Contract, Endpoint, Handshake, Outcome, Policy, WebSocket, WebSocketRoute, endpoint

app = App()
chat = Contract("chat", ChatConnection)
feed = Contract("feed", Connection[Never, Order])


# --- what a handler does with its connection ---


@app.websocket("/chat/{room}")
async def sends_what_it_receives(ws: ChatConnection) -> None:
    async for message in ws:
        await ws.send_model(message)  # error: send_model Join Joined Said
        await ws.send_model(Say())  # error: send_model Say Joined Said
        ws.send_model(Said())  # error: used


@app.websocket("/chat/{room}")
async def misreads_its_parameters(ws: ChatConnection) -> None:
    print(ws.params.rooms)  # error: Room rooms
    limit: str = ws.params.limit  # error: int str
    print(limit)


@endpoint
async def has_no_parameters(ws: Connection[ClientMessage, ServerMessage]) -> None:
    print(ws.params.room)  # error: object room


@endpoint
async def accepts_again(ws: ChatConnection) -> None:
    await ws.accept()  # error: accept
    await ws.deny(403)  # error: deny


@endpoint
async def forgets_a_case(ws: ChatConnection) -> None:
    async for message in ws:
        match message:
            case Join():
                await ws.send_model(Joined())
            case _:
                assert_never(message)  # error: Say Never


@endpoint
async def receives_in_a_feed(ws: Connection[Never, Order]) -> None:
    await ws.send_model(Said())  # error: send_model Said Order


# --- handshakes without an outcome ---


@app.websocket("/chat/{room}")
async def forgets_to_close(handshake: ChatHandshake) -> Outcome:  # error: return
    ws = await handshake.accept()
    async for message in ws:
        print(message)


@app.websocket("/chat/{room}", chat)
async def forgets_to_return_the_denial(handshake: ChatHandshake) -> Outcome:  # error: return
    if handshake.params.limit > 10:
        await handshake.deny(403)
    else:
        ws = await handshake.accept()
        return await ws.close()


@endpoint
async def forgets_the_end_of_a_loop(handshake: ChatHandshake) -> Outcome:  # error: return
    ws = await handshake.accept()
    async for message in ws:
        match message:
            case Join():
                return await ws.close()
            case Say():
                continue


@endpoint(policy=Policy())
async def forgets_the_end_of_a_block(handshake: ChatHandshake) -> Outcome:  # error: return
    ws = await handshake.accept()
    async with ws.cancelled_on_disconnect():
        await ws.send_model(Joined())


@endpoint(contract=chat)
async def forgets_an_exception(handshake: ChatHandshake) -> Outcome:  # error: return
    try:
        return await handshake.deny(401)
    except ValueError:
        print("denied in vain")


@endpoint
async def forgets_a_case_of_its_own(handshake: ChatHandshake) -> Outcome:  # error: return
    if handshake.params.room == "lobby":
        return await handshake.deny(404)
    if handshake.params.room == "attic":
        ws = await handshake.accept()
        return await ws.close()


@endpoint
async def returns_nothing(handshake: ChatHandshake) -> Outcome:
    await handshake.deny(401)
    return None  # error: None


async def promises_nothing(handshake: ChatHandshake) -> None:
    await handshake.deny()


async def promises_perhaps(handshake: ChatHandshake) -> Outcome | None:
    return await handshake.deny()


# --- handlers that do not fit ---


async def listens(ws: ChatConnection) -> None: ...
async def decides(handshake: ChatHandshake) -> Outcome:
    return await handshake.deny()


async def takes_the_whole(ws: ChatWebSocket) -> None: ...
async def takes_that_of_starlette(ws: starlette.websockets.WebSocket) -> None: ...
async def takes_nothing() -> None: ...
async def takes_two(ws: ChatConnection, room: str) -> None: ...
async def closes_and_tells(ws: ChatConnection) -> Outcome:
    return await ws.close()


def is_not_asynchronous(ws: ChatConnection) -> None: ...
async def generates(ws: ChatConnection) -> AsyncIterator[Said]:
    yield Said()


async def receives_orders(ws: Connection[Order, ServerMessage, Room]) -> None: ...
async def sends_orders(ws: Connection[ClientMessage, Joined | Said | Order, Room]) -> None: ...
async def has_the_parameters_of_orders(ws: Connection[ClientMessage, ServerMessage, Order]) -> None: ...
async def receives_joins(handshake: Handshake[Join, ServerMessage, Room]) -> Outcome:
    return await handshake.deny()


def by_decorators() -> None:
    app.websocket("/")(takes_the_whole)  # error: WebSocket
    app.websocket("/")(takes_that_of_starlette)  # error: WebSocket
    app.websocket("/")(takes_nothing)  # error: Awaitable
    app.websocket("/")(takes_two)  # error: Connection str
    app.websocket("/")(is_not_asynchronous)  # error: None
    app.websocket("/")(generates)  # error: AsyncIterator
    app.websocket("/")(promises_nothing)  # error: Handshake None
    app.websocket("/")(promises_perhaps)  # error: Handshake None
    app.websocket("/")(closes_and_tells)  # error: Connection
    app.websocket("/", chat)(receives_orders)  # error: Order
    app.websocket("/", chat)(sends_orders)  # error: Order
    app.websocket("/", chat)(has_the_parameters_of_orders)  # error: Order
    app.websocket("/", contract=chat)(receives_joins)  # error: Join
    app.websocket("/", feed)(sends_orders)  # error: Order
    endpoint(policy=Policy())(takes_the_whole)  # error: WebSocket
    endpoint(contract=chat)(promises_nothing)  # error: Handshake None
    endpoint(contract=chat)(receives_orders)  # error: Order


def by_functions() -> None:
    endpoint(takes_the_whole)  # error: endpoint WebSocket
    endpoint(takes_that_of_starlette)  # error: endpoint WebSocket
    endpoint(takes_nothing)  # error: endpoint
    endpoint(takes_two)  # error: endpoint
    endpoint(is_not_asynchronous)  # error: endpoint None
    endpoint(handler=generates)  # error: endpoint AsyncIterator
    endpoint(promises_nothing)  # error: endpoint Handshake None
    endpoint(promises_perhaps)  # error: endpoint Handshake None
    endpoint(closes_and_tells)  # error: endpoint Connection
    endpoint(receives_orders, chat)  # error: endpoint Order
    endpoint(sends_orders, chat)  # error: endpoint Order
    endpoint(has_the_parameters_of_orders, contract=chat)  # error: endpoint Order
    endpoint(receives_joins, chat)  # error: endpoint Join
    endpoint(listens, feed)  # error: endpoint
    endpoint(listens, Policy())  # error: endpoint Policy
    endpoint(listens, ChatConnection)  # error: endpoint
    endpoint(listens, chat, Policy())  # error: endpoint
    endpoint("/chat")  # error: endpoint
    endpoint(listens, policy=chat)  # error: endpoint
    endpoint(path="/", handler=listens)  # error: endpoint


@app.websocket  # error: websocket
async def without_a_path(ws: ChatConnection) -> None: ...


@app.websocket("/chat", ChatConnection)  # error: websocket
async def with_a_type_for_a_contract(ws: ChatConnection) -> None: ...


def arguments_of_websocket() -> None:
    app.websocket()  # error: websocket
    app.websocket(b"/chat")  # error: websocket
    app.websocket(path=Order())  # error: websocket Order
    app.websocket("/chat", Policy())  # error: websocket Policy
    app.websocket("/chat", contract="chat")  # error: websocket
    app.websocket("/chat", policy=chat)  # error: websocket Contract
    app.websocket("/chat", name="chat")  # error: websocket
    app.websocket("/chat", security="bearer")  # error: websocket
    app.websocket("/chat", security={"token": b"bearer"})  # error: SecurityScheme


def endpoints(one: Endpoint[ClientMessage, ServerMessage, Room]) -> None:
    other: Endpoint[Order, ServerMessage, Room] = one  # error: Endpoint Order
    swapped: Endpoint[ServerMessage, ClientMessage, Room] = one  # error: Endpoint
    print(other, swapped, one.path)  # error: Endpoint path
    contract: Contract[ClientMessage, Order, Room] = one.contract  # error: Contract Order
    print(contract)
    Endpoint(listens)  # error: kind contract
    Endpoint(handler=is_not_asynchronous, kind="connection", contract=chat)  # error: None
    Endpoint(listens, kind="view", contract=chat)  # error: view
    Endpoint(listens, "connection", contract=Policy())  # error: Policy Contract
    Endpoint(listens, "connection", chat, policy=Order())  # error: Order Policy


async def endpoints_are_no_functions(ws: ChatConnection) -> None:
    await forgets_a_case(ws)  # error: receive send
    await app.websocket("/")(listens)  # error: Endpoint


async def takes_an_order(order: Order) -> None: ...
def lifespan_that_gives_nothing(app: App) -> None: ...
@asynccontextmanager
async def lifespan_of_nothing() -> AsyncGenerator[None]:
    yield


@asynccontextmanager
async def lifespan_that_gives_a_name(app: App) -> AsyncGenerator[str]:
    yield "chat"


async def classic(ws: WebSocket) -> None: ...


def routes() -> None:
    WebSocketRoute("/chat")  # error: handler
    WebSocketRoute(b"/chat", classic)  # error: str
    WebSocketRoute(path=1, handler=classic)  # error: path str
    WebSocketRoute("/chat", takes_an_order)  # error: Order
    WebSocketRoute("/chat", handler=is_not_asynchronous)  # error: handler None
    WebSocketRoute("/chat", takes_that_of_starlette)  # error: WebSocket
    WebSocketRoute("/chat", takes_two)  # error: str
    WebSocketRoute("/chat", classic, Policy())  # error: argument
    WebSocketRoute("/chat", classic, policy="*")  # error: policy Policy
    WebSocketRoute("/chat", classic, security={"token": {"scheme": "bearer"}})  # error: type
    WebSocketRoute("/chat", classic, security=["token"])  # error: security SecurityScheme
    print(WebSocketRoute("/chat", classic).handler)  # error: WebSocketRoute handler


def applications() -> None:
    App(classic)  # error: WebSocketRoute
    App(routes=[classic])  # error: WebSocketRoute
    App(routes={"/chat": classic})  # error: routes WebSocketRoute
    App([], Policy())  # error: argument
    App(policy="*")  # error: policy Policy
    App(lifespan=lifespan_that_gives_nothing)  # error: lifespan None
    App(lifespan=lifespan_of_nothing)  # error: lifespan
    App(lifespan=lifespan_that_gives_a_name)  # error: lifespan str
    App(debug="yes")  # error: debug bool
    App(schema_path=True)  # error: schema_path str
    App(title=b"Chat")  # error: title str
    App(version=1)  # error: version str
    App(description=Order())  # error: description Order str
    App(servers=["wss://chat.example.com"])  # error: servers str
    print(app.asyncapi(title="Chat"))  # error: title
    App(middleware=[])  # error: middleware
    app.routes.append(WebSocketRoute("/chat", classic))  # error: append
    app.routes = ()  # error: routes
    app.route("/chat")  # error: App route
