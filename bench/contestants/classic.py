"""The classic class, Starlette's ``WebSocket``: as most people write it, and as well as it can be done by hand."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import ormsgpack
from starlette.websockets import WebSocket, WebSocketDisconnect

from bench.contestants import ALL_MODES, Application, Contestant, Task
from bench.messages import ADAPTERS, CLASSES, MODELS

Handler: TypeAlias = Callable[[WebSocket], Awaitable[None]]


def json_handler(task: Task) -> Handler:
    """``receive_json`` and models: plain values in between."""
    validate, said, count = ADAPTERS[task.size].validate_python, MODELS[task.size], task.count
    mode = task.mode

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                message = validate(await websocket.receive_json(mode))
                await websocket.send_json(message.model_dump(mode="json"), mode)
        except WebSocketDisconnect:
            pass

    async def receive(websocket: WebSocket) -> None:
        await websocket.accept()
        heard = 0
        try:
            while True:
                message = validate(await websocket.receive_json(mode))
                heard += 1
                if heard % count == 0:
                    await websocket.send_json(message.model_dump(mode="json"), mode)
        except WebSocketDisconnect:
            pass

    async def send(websocket: WebSocket) -> None:
        await websocket.accept()
        for _ in range(count):
            await websocket.send_json(said.model_dump(mode="json"), mode)
        await websocket.close()

    return {"echo": echo, "receive": receive, "send": send}[task.workload]


def frame_handler(task: Task) -> Handler:
    """``receive_text`` or ``receive_bytes``, and pydantic reads and writes the frames."""
    load, dump = _codec(task)
    said, count = MODELS[task.size], task.count

    def ways(websocket: WebSocket) -> tuple[Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]]:
        if task.mode == "text":
            return websocket.receive_text, websocket.send_text
        return websocket.receive_bytes, websocket.send_bytes

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        hear, say = ways(websocket)
        try:
            while True:
                message = load(await hear())
                await say(dump(message))
        except WebSocketDisconnect:
            pass

    async def receive(websocket: WebSocket) -> None:
        await websocket.accept()
        hear, say = ways(websocket)
        heard = 0
        try:
            while True:
                message = load(await hear())
                heard += 1
                if heard % count == 0:
                    await say(dump(message))
        except WebSocketDisconnect:
            pass

    async def send(websocket: WebSocket) -> None:
        await websocket.accept()
        _, say = ways(websocket)
        for _ in range(count):
            await say(dump(said))
        await websocket.close()

    return {"echo": echo, "receive": receive, "send": send}[task.workload]


def _codec(task: Task) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    adapter, class_ = ADAPTERS[task.size], CLASSES[task.size]
    if task.mode == "text":
        return adapter.validate_json, class_.model_dump_json
    if task.mode == "binary":
        return adapter.validate_json, lambda message: message.model_dump_json().encode()
    return (
        lambda data: adapter.validate_python(ormsgpack.unpackb(data)),
        lambda message: ormsgpack.packb(message.model_dump(mode="json")),
    )


def _make(handler: Callable[[Task], Handler]) -> Callable[[Task], Application]:
    def make(task: Task) -> Application:
        handle = handler(task)

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await handle(WebSocket(scope, receive, send))

        return application

    return make


CONTESTANTS = (
    Contestant("classic", _make(frame_handler), modes=ALL_MODES),
    Contestant("classic json", _make(json_handler), modes=frozenset({"text", "binary"})),
)
