"""What policies cost a message: an echo in process, endpoints against the bare class. ``python -m bench.endpoint``

Each echoes the 57-byte message of `bench.floor`, as in `bench.inprocess`. The first ratio is the one that the project
holds itself to, 1.10 at most; the others are for information.
"""

import asyncio
import random
from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import Field

from bench.contestants import Application, Task
from bench.contestants.typed import bare
from bench.floor import FRAME, Leave, Say
from bench.inprocess import Talk, keep_out_of_collections, turn
from bench.report import Scale, Table, main, table
from typedws import Connection, ErrorReply, Policy, endpoint

Messages = Annotated[Say | Leave, Field(discriminator="type")]
Answers = Annotated[Say | Leave | ErrorReply, Field(discriminator="type")]


async def echo(ws: Connection[Messages, Messages]) -> None:
    async for message in ws:
        await ws.send_model(message)


async def echo_with_errors(ws: Connection[Messages, Answers]) -> None:
    async for message in ws:
        await ws.send_model(message)


REFERENCE: Final = "bare"
NOTHING: Final = Policy(handshake_timeout=None, send_timeout=None)
WAYS: Final[dict[str, Application]] = {
    REFERENCE: bare(Task()),
    "default policies": endpoint(echo),
    "no timeouts": endpoint(echo, policy=NOTHING),
    "idle_timeout": endpoint(echo, policy=Policy(idle_timeout=60)),
    "max_message_size": endpoint(echo, policy=Policy(max_message_size=1 << 16)),
    "on_invalid=reply": endpoint(echo_with_errors, policy=Policy(on_invalid="reply")),
}


async def costs_of(ways: dict[str, Any], rounds: int, messages: int) -> dict[str, list[float]]:
    """Let each way take its turn in every round, and give the costs."""
    talk = Talk("text", FRAME, messages, messages)
    costs: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    keep_out_of_collections()
    for _ in range(rounds):
        random.shuffle(names)
        for name in names:
            costs[name].append(await turn(ways[name], talk, FRAME))
    return costs


def measure(scale: Scale) -> Iterator[Table]:
    costs = asyncio.run(costs_of(WAYS, scale.rounds(25), scale.count(10_000)))
    yield table("echo, by policy", "us", costs, REFERENCE)


if __name__ == "__main__":
    main("bench.endpoint", measure)
