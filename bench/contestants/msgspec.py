"""msgspec's structs over the raw callables: what another validator can do, without pydantic's models."""

from typing import Any

import msgspec

from bench.contestants import ALL_MODES, Application, Contestant, Task
from bench.messages import MODELS, STRUCTS


def make(task: Task) -> Application:
    form, count = STRUCTS[task.size], task.count
    decode: Any
    encode: Any
    if task.mode == "msgpack":
        decode, encode = msgspec.msgpack.Decoder(form).decode, msgspec.msgpack.Encoder().encode
    else:
        decode, encode = msgspec.json.Decoder(form).decode, msgspec.json.Encoder().encode
    outgoing = msgspec.convert(MODELS[task.size].model_dump(mode="json"), form)

    async def echo_text(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            message = decode(event["text"])
            await send({"type": "websocket.send", "text": encode(message).decode()})

    async def echo_bytes(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            message = decode(event["bytes"])
            await send({"type": "websocket.send", "bytes": encode(message)})

    async def receive_text(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        received = 0
        while (event := await receive())["type"] == "websocket.receive":
            message = decode(event["text"])
            received += 1
            if received % count == 0:
                await send({"type": "websocket.send", "text": encode(message).decode()})

    async def receive_bytes(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        received = 0
        while (event := await receive())["type"] == "websocket.receive":
            message = decode(event["bytes"])
            received += 1
            if received % count == 0:
                await send({"type": "websocket.send", "bytes": encode(message)})

    async def send_text(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(count):
            await send({"type": "websocket.send", "text": encode(outgoing).decode()})
        await send({"type": "websocket.close"})

    async def send_bytes(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(count):
            await send({"type": "websocket.send", "bytes": encode(outgoing)})
        await send({"type": "websocket.close"})

    text = {"echo": echo_text, "receive": receive_text, "send": send_text}
    binary = {"echo": echo_bytes, "receive": receive_bytes, "send": send_bytes}
    return (text if task.mode == "text" else binary)[task.workload]


CONTESTANTS = (Contestant("msgspec", make, modes=ALL_MODES),)
