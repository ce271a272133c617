"""typedws: the bare class, an endpoint with the default policy, and a FastAPI route."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, cast

from fastapi import FastAPI

from bench.contestants import ALL_MODES, Application, Contestant, Task
from bench.messages import FORMS, MODELS
from typedws import Connection, Contract, WebSocket, endpoint
from typedws.integrations.fastapi import typed_websocket

Chat = Connection[Any, Any]


def bare(task: Task) -> Application:
    form = FORMS[task.size]
    class_ = cast(Any, WebSocket)[form, form]
    outgoing, count, mode = MODELS[task.size], task.count, task.mode

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        websocket = class_(scope, receive, send, mode=mode)
        await websocket.accept()
        async for message in websocket:
            await websocket.send_model(message)

    async def receive(scope: Any, receive: Any, send: Any) -> None:
        websocket = class_(scope, receive, send, mode=mode)
        await websocket.accept()
        received = 0
        async for message in websocket:
            received += 1
            if received % count == 0:
                await websocket.send_model(message)

    async def send(scope: Any, receive: Any, send: Any) -> None:
        websocket = class_(scope, receive, send, mode=mode)
        await websocket.accept()
        for _ in range(count):
            await websocket.send_model(outgoing)
        await websocket.close()

    return {"echo": echo, "receive": receive, "send": send}[task.workload]


def _handler(task: Task) -> Callable[[Chat], Awaitable[None]]:
    outgoing, count = MODELS[task.size], task.count

    async def echo(ws: Chat) -> None:
        async for message in ws:
            await ws.send_model(message)

    async def receive(ws: Chat) -> None:
        received = 0
        async for message in ws:
            received += 1
            if received % count == 0:
                await ws.send_model(message)

    async def send(ws: Chat) -> None:
        for _ in range(count):
            await ws.send_model(outgoing)

    handler = {"echo": echo, "receive": receive, "send": send}[task.workload]
    handler.__annotations__["ws"] = cast(Any, Connection)[FORMS[task.size], FORMS[task.size]]
    return handler


def _contract(task: Task, handler: Callable[[Chat], Awaitable[None]]) -> Contract[Any, Any, Any]:
    return Contract[Any, Any, Any]("bench", handler.__annotations__["ws"], modes=(task.mode,))


def in_endpoint(task: Task) -> Application:
    handler: Any = _handler(task)
    return endpoint(handler, _contract(task, handler))


def in_fastapi(task: Task) -> Application:
    handler: Any = _handler(task)
    contract = _contract(task, handler)
    handler.__annotations__["ws"] = Annotated[contract.connection, typed_websocket(contract)]
    app = FastAPI()
    app.websocket("/")(handler)
    return app


CONTESTANTS = (
    Contestant("typedws", bare, modes=ALL_MODES),
    Contestant("typedws endpoint", in_endpoint, modes=ALL_MODES),
    Contestant("typedws in fastapi", in_fastapi, modes=ALL_MODES, has_lifespan=True),
)
