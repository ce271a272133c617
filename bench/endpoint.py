"""Measure what policies cost per message: an in-process echo, endpoints against the bare class.

``python -m bench.endpoint``. Each application echoes the 57-byte message of `bench.floor`, as in `bench.inprocess`.
The project limits the ratio of the default policies to 1.10. The other ratios are for information.
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
NO_TIMEOUTS: Final = Policy(handshake_timeout=None, send_timeout=None)
APPLICATIONS: Final[dict[str, Application]] = {
    REFERENCE: bare(Task()),
    "default policies": endpoint(echo),
    "no timeouts": endpoint(echo, policy=NO_TIMEOUTS),
    "idle_timeout": endpoint(echo, policy=Policy(idle_timeout=60)),
    "max_message_size": endpoint(echo, policy=Policy(max_message_size=1 << 16)),
    "on_invalid=reply": endpoint(echo_with_errors, policy=Policy(on_invalid="reply")),
}


async def costs_of(applications: dict[str, Any], rounds: int, messages: int) -> dict[str, list[float]]:
    """Run each application once in every round, and return its costs in microseconds per message."""
    talk = Talk("text", FRAME, messages, messages)
    costs: dict[str, list[float]] = {name: [] for name in applications}
    names = list(applications)
    keep_out_of_collections()
    for _ in range(rounds):
        random.shuffle(names)
        for name in names:
            costs[name].append(await turn(applications[name], talk, FRAME))
    return costs


def measure(scale: Scale) -> Iterator[Table]:
    costs = asyncio.run(costs_of(APPLICATIONS, scale.rounds(25), scale.count(10_000)))
    yield table("echo, by policy", "us", costs, REFERENCE)


if __name__ == "__main__":
    main("bench.endpoint", measure)
