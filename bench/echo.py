"""Echo in process: typedws against the floor and against the classic class, interleaved. ``python -m bench.echo``

Each application echoes a 57-byte message of a two-member tagged union, validated and serialised. Printed are medians in
microseconds a message, and the two ratios that the project holds itself to.
"""

import argparse
import asyncio
import platform
from statistics import median
from typing import Annotated, Any

from pydantic import Field
from starlette.websockets import WebSocket as ClassicWebSocket
from starlette.websockets import WebSocketDisconnect

from bench.floor import ADAPTER, Leave, Say, floor, one
from typedws.websockets import WebSocket

Messages = Annotated[Say | Leave, Field(discriminator="type")]


async def typed(scope: Any, receive: Any, send: Any) -> None:
    """typedws: ``async for`` and ``send_model``."""
    websocket = WebSocket[Messages, Messages](scope, receive, send)
    await websocket.accept()
    async for message in websocket:
        await websocket.send_model(message)


async def classic(scope: Any, receive: Any, send: Any) -> None:
    """The classic class, as people write it: JSON, an adapter, a dump, JSON."""
    websocket = ClassicWebSocket(scope, receive, send)
    await websocket.accept()
    try:
        while True:
            message = ADAPTER.validate_python(await websocket.receive_json())
            await websocket.send_json(message.model_dump(mode="json"))
    except WebSocketDisconnect:
        pass


async def classic_text(scope: Any, receive: Any, send: Any) -> None:
    """The classic class, as well as it can be done: text, ``validate_json``, ``model_dump_json``."""
    websocket = ClassicWebSocket(scope, receive, send)
    await websocket.accept()
    try:
        while True:
            message = ADAPTER.validate_json(await websocket.receive_text())
            await websocket.send_text(message.model_dump_json())
    except WebSocketDisconnect:
        pass


async def rounds(apps: dict[str, Any], count: int, messages: int) -> list[dict[str, float]]:
    """Let each application take its turn in every round, and give the costs of each round."""
    return [{name: await one(app, messages) for name, app in apps.items()} for _ in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--messages", type=int, default=10_000)
    options = parser.parse_args()
    apps = {"floor": floor, "typedws": typed, "classic, text": classic_text, "classic, json": classic}
    costs = asyncio.run(rounds(apps, options.rounds, options.messages))
    print(f"Python {platform.python_version()}, medians of {options.rounds} interleaved rounds")
    for name in apps:
        print(f"{name:14s} {median(each[name] for each in costs):6.2f} us a message")
    for name in ("floor", "classic, text", "classic, json"):
        print(f"typedws / {name + ':':14s} {median(each['typedws'] / each[name] for each in costs):.2f}")


if __name__ == "__main__":
    main()
