"""A group of 1,000 in process, against bare sends and against a loop, interleaved. ``python -m bench.group``

One message goes to every connection, whose ``send`` is a stub that counts. Compared are `Group.send`, until all have
been written; the bare callables with one event encoded before; and a loop over the connections with ``send_model``.
"""

import argparse
import asyncio
import platform
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from statistics import median
from typing import Annotated, Any

from pydantic import Field

from bench.floor import FRAME, SCOPE, Leave, Say
from typedws.group import Group
from typedws.websockets import WebSocket

Messages = Annotated[Say | Leave, Field(discriminator="type")]
AnyWebSocket = WebSocket[Any, Any, Any]

MESSAGE = Say(room="lobby", text="hello wörld", n=5)
EVENT = {"type": "websocket.send", "text": FRAME}


class Wires:
    """The servers of many connections, which count what they are given."""

    def __init__(self) -> None:
        self.count = 0

    async def receive(self) -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(self, event: dict[str, Any]) -> None:
        self.count += "text" in event

    async def connected(self, count: int) -> list[AnyWebSocket]:
        sockets = [WebSocket[Messages, Messages](SCOPE, self.receive, self.send) for _ in range(count)]
        for websocket in sockets:
            await websocket.accept()
        return [*sockets]

    async def until(self, count: int) -> None:
        while self.count < count:  # noqa: ASYNC110 - an event would cost what is measured
            await asyncio.sleep(0)


async def cost(wires: Wires, say: Callable[[], Awaitable[object]], messages: int, members: int) -> float:
    """Say a number of messages, and give the cost of each for each member, in microseconds."""
    wires.count = 0
    start = time.perf_counter()
    for number in range(messages):
        await say()
        await wires.until((number + 1) * members)
    return (time.perf_counter() - start) / messages / members * 1e6


async def rounds(count: int, messages: int, members: int) -> list[dict[str, float]]:
    """Let each way take its turn in every round, and give the costs of each round."""
    wires = Wires()
    sockets = await wires.connected(members)
    group: Group[Say | Leave] = Group()

    async def bare() -> None:
        for _ in sockets:
            await wires.send(EVENT)

    async def loop() -> None:
        for websocket in sockets:
            await websocket.send_model(MESSAGE)

    async with AsyncExitStack() as stack:
        for websocket in sockets:
            await stack.enter_async_context(group.joined(websocket))
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "group": lambda: group.send(MESSAGE),
            "bare sends": bare,
            "loop": loop,
        }
        return [{name: await cost(wires, say, messages, members) for name, say in ways.items()} for _ in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--messages", type=int, default=20)
    parser.add_argument("--members", type=int, default=1000)
    options = parser.parse_args()
    costs = asyncio.run(rounds(options.rounds, options.messages, options.members))
    print(
        f"Python {platform.python_version()}, {options.members} members, medians of {options.rounds} interleaved rounds"
    )
    for name in costs[0]:
        print(f"{name:11s} {median(each[name] for each in costs):6.2f} us a message and member")
    for name in ("bare sends", "loop"):
        print(f"group / {name + ':':11s} {median(each['group'] / each[name] for each in costs):.2f}")


if __name__ == "__main__":
    main()
