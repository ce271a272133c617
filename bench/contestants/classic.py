"""The classic class, Starlette's ``WebSocket``: as most code uses it, and as well as it can be done by hand."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import ormsgpack
from starlette.websockets import WebSocket, WebSocketDisconnect

from bench.contestants import ALL_MODES, Application, Contestant, Task
from bench.messages import ADAPTERS, CLASSES, MODELS

Handler: TypeAlias = Callable[[WebSocket], Awaitable[None]]


def json_handler(task: Task) -> Handler:
    """Make a handler that uses ``receive_json`` and ``send_json``, with plain values between them and the models."""
    validate, outgoing, count = ADAPTERS[task.size].validate_python, MODELS[task.size], task.count
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
        received = 0
        try:
            while True:
                message = validate(await websocket.receive_json(mode))
                received += 1
                if received % count == 0:
                    await websocket.send_json(message.model_dump(mode="json"), mode)
        except WebSocketDisconnect:
            pass

    async def send(websocket: WebSocket) -> None:
        await websocket.accept()
        for _ in range(count):
            await websocket.send_json(outgoing.model_dump(mode="json"), mode)
        await websocket.close()

    return {"echo": echo, "receive": receive, "send": send}[task.workload]


def frame_handler(task: Task) -> Handler:
    """Make a handler that uses ``receive_text`` or ``receive_bytes``; pydantic reads and writes the frames."""
    load, dump = _codec(task)
    outgoing, count = MODELS[task.size], task.count

    def methods(websocket: WebSocket) -> tuple[Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]]:
        if task.mode == "text":
            return websocket.receive_text, websocket.send_text
        return websocket.receive_bytes, websocket.send_bytes

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        receive_frame, send_frame = methods(websocket)
        try:
            while True:
                message = load(await receive_frame())
                await send_frame(dump(message))
        except WebSocketDisconnect:
            pass

    async def receive(websocket: WebSocket) -> None:
        await websocket.accept()
        receive_frame, send_frame = methods(websocket)
        received = 0
        try:
            while True:
                message = load(await receive_frame())
                received += 1
                if received % count == 0:
                    await send_frame(dump(message))
        except WebSocketDisconnect:
            pass

    async def send(websocket: WebSocket) -> None:
        await websocket.accept()
        _, send_frame = methods(websocket)
        for _ in range(count):
            await send_frame(dump(outgoing))
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
