"""Litestar's listeners and streams. A listener parses, and does not validate what its annotation says.

What Litestar has to validate it with, a DTO, takes no unions; so a listener that validates takes text, and does it by
hand.
"""

from collections.abc import AsyncGenerator
from typing import Any

from litestar import Litestar, WebSocket, websocket_listener
from litestar.handlers import websocket_stream
from pydantic import BaseModel

from bench.contestants import Application, Contestant, Task, Workload
from bench.messages import ADAPTERS, FORMS, MODELS


def annotated(task: Task) -> Application:
    """A listener of the model, as Litestar's documentation has it; what it gets is a dictionary."""
    mode: Any = task.mode
    count = task.count

    async def echo(data: Any) -> Any:
        return data

    async def receive(data: Any, socket: WebSocket[Any, Any, Any]) -> None:
        heard = socket.scope["state"]["heard"] = socket.scope["state"].get("heard", 0) + 1
        if heard % count == 0:
            await socket.send_json(data, mode)

    echo.__annotations__ |= dict.fromkeys(("data", "return"), FORMS[task.size])
    receive.__annotations__["data"] = FORMS[task.size]
    function: Any = {"echo": echo, "receive": receive}[task.workload]
    return Litestar([websocket_listener("/", receive_mode=mode, send_mode=mode)(function)])


def validating(task: Task) -> Application:
    """A listener of text or bytes, which pydantic reads and writes."""
    mode: Any = task.mode
    count, validate = task.count, ADAPTERS[task.size].validate_json

    async def echo(data: Any) -> str:
        text: str = validate(data).model_dump_json()
        return text

    async def receive(data: Any, socket: WebSocket[Any, Any, Any]) -> None:
        message = validate(data)
        heard = socket.scope["state"]["heard"] = socket.scope["state"].get("heard", 0) + 1
        if heard % count == 0:
            await socket.send_data(message.model_dump_json(), mode)

    function: Any = {"echo": echo, "receive": receive}[task.workload]
    function.__annotations__["data"] = str if task.mode == "text" else bytes
    return Litestar([websocket_listener("/", receive_mode=mode, send_mode=mode)(function)])


def stream(task: Task) -> Application:
    """A stream of models, which watches for the disconnect beside it, as by default."""
    mode: Any = task.mode
    said, count = MODELS[task.size], task.count

    async def send() -> AsyncGenerator[BaseModel, None]:
        for _ in range(count):
            yield said

    return Litestar([websocket_stream("/", mode=mode)(send)])


def make(task: Task) -> Application:
    return stream(task) if task.workload == "send" else annotated(task)


HEARING: frozenset[Workload] = frozenset({"echo", "receive"})
CONTESTANTS = (
    Contestant("litestar", make, modes=frozenset({"text", "binary"}), does_validate=False, has_lifespan=True),
    Contestant("litestar by hand", validating, HEARING, frozenset({"text", "binary"}), has_lifespan=True),
)
