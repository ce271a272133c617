"""What an endpoint costs a message: an echo in process through endpoints against the bare class, interleaved.

``python -m bench.endpoint``. Each echoes the 57-byte message of `bench.floor`. The first ratio is the one that the
project holds itself to, 1.10 at most; the others are for information.
"""

import argparse
import asyncio
import platform
from statistics import median
from typing import Annotated, Any, Final

from pydantic import Field

from bench.echo import rounds, typed
from bench.floor import Leave, Say
from typedws import Connection, ErrorReply, Policy, endpoint

Messages = Annotated[Say | Leave, Field(discriminator="type")]
Answers = Annotated[Say | Leave | ErrorReply, Field(discriminator="type")]


async def echo(ws: Connection[Messages, Messages]) -> None:
    async for message in ws:
        await ws.send_model(message)


async def echo_with_errors(ws: Connection[Messages, Answers]) -> None:
    async for message in ws:
        await ws.send_model(message)


NOTHING: Final = Policy(handshake_timeout=None, send_timeout=None)
WAYS: Final[dict[str, Any]] = {
    "bare": typed,
    "default policies": endpoint(echo),
    "no timeouts": endpoint(echo, policy=NOTHING),
    "idle_timeout": endpoint(echo, policy=Policy(idle_timeout=60)),
    "max_message_size": endpoint(echo, policy=Policy(max_message_size=1 << 16)),
    "on_invalid=reply": endpoint(echo_with_errors, policy=Policy(on_invalid="reply")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--messages", type=int, default=10_000)
    options = parser.parse_args()
    costs = asyncio.run(rounds(WAYS, options.rounds, options.messages))
    print(f"Python {platform.python_version()}, medians of {options.rounds} interleaved rounds")
    for name in WAYS:
        cost, ratio = (median(values) for values in zip(*((c[name], c[name] / c["bare"]) for c in costs), strict=True))
        print(f"{name:17s} {cost:6.2f} us a message, {ratio:.2f} of bare")


if __name__ == "__main__":
    main()
