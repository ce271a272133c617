"""The floor, written by hand for each task: only the raw callables and pydantic-core.

`bench.floor` is the first of these, and the others are like it: the union's validator, the serializer of the concrete
class, no checks. MessagePack goes through plain values and ormsgpack, because pydantic neither reads nor writes it.
"""

from collections.abc import Callable
from typing import Any

import ormsgpack

from bench.contestants import ALL_MODES, Application, Contestant, Task
from bench.floor import floor
from bench.messages import ADAPTERS, MODELS


def echo_of(validate: Callable[[str], Any]) -> Application:
    """Make an echo of text."""

    async def text(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            event = await receive()
            if event["type"] != "websocket.receive":
                break
            message = validate(event["text"])
            text = message.__pydantic_serializer__.to_json(message).decode()
            await send({"type": "websocket.send", "text": text})

    return text


def _echo(task: Task) -> Application:
    if (task.size, task.mode) == ("small", "text"):
        return floor
    validator = ADAPTERS[task.size].validator
    validate, validate_plain = validator.validate_json, validator.validate_python

    async def binary(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            event = await receive()
            if event["type"] != "websocket.receive":
                break
            message = validate(event["bytes"])
            await send({"type": "websocket.send", "bytes": message.__pydantic_serializer__.to_json(message)})

    async def msgpack(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            event = await receive()
            if event["type"] != "websocket.receive":
                break
            message = validate_plain(ormsgpack.unpackb(event["bytes"]))
            data = ormsgpack.packb(message.__pydantic_serializer__.to_python(message, mode="json"))
            await send({"type": "websocket.send", "bytes": data})

    return {"text": echo_of(validate), "binary": binary, "msgpack": msgpack}[task.mode]


def _receive(task: Task) -> Application:
    validator = ADAPTERS[task.size].validator
    validate, validate_plain = validator.validate_json, validator.validate_python
    count, key = task.count, "text" if task.mode == "text" else "bytes"
    answer = _answers(task)

    async def json(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        received = 0
        while True:
            event = await receive()
            if event["type"] != "websocket.receive":
                break
            message = validate(event[key])
            received += 1
            if received % count == 0:
                await send(answer(message))

    async def msgpack(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        received = 0
        while True:
            event = await receive()
            if event["type"] != "websocket.receive":
                break
            message = validate_plain(ormsgpack.unpackb(event["bytes"]))
            received += 1
            if received % count == 0:
                await send(answer(message))

    return msgpack if task.mode == "msgpack" else json


def _answers(task: Task) -> Any:
    def answer(message: Any) -> dict[str, Any]:
        serializer = message.__pydantic_serializer__
        if task.mode == "text":
            return {"type": "websocket.send", "text": serializer.to_json(message).decode()}
        if task.mode == "binary":
            return {"type": "websocket.send", "bytes": serializer.to_json(message)}
        return {"type": "websocket.send", "bytes": ormsgpack.packb(serializer.to_python(message, mode="json"))}

    return answer


def _send(task: Task) -> Application:
    message: Any = MODELS[task.size]
    count = task.count

    async def text(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(count):
            text = message.__pydantic_serializer__.to_json(message).decode()
            await send({"type": "websocket.send", "text": text})
        await send({"type": "websocket.close"})

    async def binary(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(count):
            await send({"type": "websocket.send", "bytes": message.__pydantic_serializer__.to_json(message)})
        await send({"type": "websocket.close"})

    async def msgpack(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(count):
            data = ormsgpack.packb(message.__pydantic_serializer__.to_python(message, mode="json"))
            await send({"type": "websocket.send", "bytes": data})
        await send({"type": "websocket.close"})

    return {"text": text, "binary": binary, "msgpack": msgpack}[task.mode]


def make(task: Task) -> Application:
    return {"echo": _echo, "receive": _receive, "send": _send}[task.workload](task)


CONTESTANTS = (Contestant("raw", make, modes=ALL_MODES),)
