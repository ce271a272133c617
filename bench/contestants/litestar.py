"""Litestar's listeners and streams. A listener parses, but does not validate against its annotation.

Litestar's means of validation, a DTO, takes no unions. So the listener that validates takes text, and does it by hand.
"""

from collections.abc import AsyncGenerator
from typing import Any

from litestar import Litestar, WebSocket, websocket_listener
from litestar.handlers import websocket_stream
from pydantic import BaseModel

from bench.contestants import Application, Contestant, Task, Workload
from bench.messages import ADAPTERS, FORMS, MODELS


def annotated(task: Task) -> Application:
    """Make a listener annotated with the model, as in Litestar's documentation; it receives a dictionary."""
    mode: Any = task.mode
    count = task.count

    async def echo(data: Any) -> Any:
        return data

    async def receive(data: Any, socket: WebSocket[Any, Any, Any]) -> None:
        received = socket.scope["state"]["heard"] = socket.scope["state"].get("heard", 0) + 1
        if received % count == 0:
            await socket.send_json(data, mode)

    echo.__annotations__ |= dict.fromkeys(("data", "return"), FORMS[task.size])
    receive.__annotations__["data"] = FORMS[task.size]
    function: Any = {"echo": echo, "receive": receive}[task.workload]
    return Litestar([websocket_listener("/", receive_mode=mode, send_mode=mode)(function)])


def validating(task: Task) -> Application:
    """Make a listener of text or bytes, which pydantic reads and writes."""
    mode: Any = task.mode
    count, validate = task.count, ADAPTERS[task.size].validate_json

    async def echo(data: Any) -> str:
        text: str = validate(data).model_dump_json()
        return text

    async def receive(data: Any, socket: WebSocket[Any, Any, Any]) -> None:
        message = validate(data)
        received = socket.scope["state"]["heard"] = socket.scope["state"].get("heard", 0) + 1
        if received % count == 0:
            await socket.send_data(message.model_dump_json(), mode)

    function: Any = {"echo": echo, "receive": receive}[task.workload]
    function.__annotations__["data"] = str if task.mode == "text" else bytes
    return Litestar([websocket_listener("/", receive_mode=mode, send_mode=mode)(function)])


def stream(task: Task) -> Application:
    """Make a stream of models, which also watches for the disconnect, as it does by default."""
    mode: Any = task.mode
    outgoing, count = MODELS[task.size], task.count

    async def send() -> AsyncGenerator[BaseModel, None]:
        for _ in range(count):
            yield outgoing

    return Litestar([websocket_stream("/", mode=mode)(send)])


def make(task: Task) -> Application:
    return stream(task) if task.workload == "send" else annotated(task)


RECEIVING: frozenset[Workload] = frozenset({"echo", "receive"})
CONTESTANTS = (
    Contestant("litestar", make, modes=frozenset({"text", "binary"}), does_validate=False, has_lifespan=True),
    Contestant("litestar by hand", validating, RECEIVING, frozenset({"text", "binary"}), has_lifespan=True),
)
