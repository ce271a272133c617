"""What happens to open connections when a server is stopped: a table of what both sides see, and what is logged."""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import anyio
import anyio.lowlevel
from websockets.exceptions import ConnectionClosed

from tests.e2e.behaviours import HYPERCORN, Row, on
from tests.e2e.driving import NO_FRAME, Facts, client_of, close_seen_by
from tests.e2e.servers import Loop, Run, RunningServer, ServerName

__all__ = ["STOPS", "expected_stop", "observe_stop"]

HANDLERS: Final = {
    "an idle handler": "iterates",
    "a handler that sends": "only_sends",
    "a feed": "feeds",
    "a busy handler": "is_busy",
}
LOG: Final = "the log of the server"

WAIT_LIMIT: Final = 2.5
"""Seconds after which a client concludes that the server waits for it: more than the server's grace period."""
WAITS: Final = "nothing until it leaves"
NOT_CERTAIN: Final = "with its process, reported or not"
DROPPING: Final[tuple[ServerName, ...]] = ("granian", "daphne")
"""The servers that end without waiting for connections. What handlers still see is chance."""


def stop(end: str) -> Row:
    """Return a row: hypercorn cancels all handlers, and typedws closes; granian and daphne just end."""
    return Row(
        {"the client sees": "1012", "the handler ends": end},
        {
            **on(HYPERCORN, {"the client sees": '1012 "the server restarts"', "the handler ends": "cancelled"}),
            **on(DROPPING, {"the client sees": NO_FRAME, "the handler ends": NOT_CERTAIN}),
        },
    )


STOPS: Final[Mapping[str, Row]] = {
    "an idle handler": stop("returned"),
    "a handler that sends": stop("WebSocketDisconnect: 1012 by the server"),
    "a feed": stop("cancelled"),
    "a busy handler": stop("cancelled"),
    LOG: Row(
        {"the server logs": "ERROR of uvicorn.error"},
        {
            "hypercorn-asyncio": {"the server logs": "ERROR of asyncio"},
            **on(("hypercorn-trio", *DROPPING), {"the server logs": "nothing"}),
        },
    ),
}


def expected_stop(name: ServerName, loop: Loop) -> dict[str, Facts]:
    """Return what must be seen, with the differences between versions of Python that the table does not have."""
    expected = {row: each.expected(name) for row, each in STOPS.items()}
    if name == "hypercorn-asyncio" and sys.version_info >= (3, 13):  # asyncio no longer logs their cancellation
        expected[LOG] = {"the server logs": "nothing"}
    if (name, loop) == ("hypercorn-asyncio", "asyncio") and sys.version_info >= (3, 12):  # asyncio waits for clients
        expected |= {row: {**STOPS[row].sees, "the client sees": WAITS} for row in HANDLERS}
        expected["a handler that sends"]["the handler ends"] = "WebSocketDisconnect: 1006 by the network"
    return expected


async def observe_stop(server: RunningServer) -> Mapping[str, Facts]:
    """Open one connection for each row, stop the server, and return what is seen."""
    async with server.run() as run:
        started = {name: asyncio.Event() for name in HANDLERS}
        async with asyncio.TaskGroup() as tasks:
            clients = {name: tasks.create_task(_stays(run, name, event)) for name, event in started.items()}
            for event in started.values():
                await event.wait()
            server.stop()
        await asyncio.to_thread(server.end)
        await anyio.lowlevel.checkpoint()  # runs the callbacks that add the last reports
        left = {report["client"]: str(report["how"]) for report in run.reports if report["kind"] == "left"}
    logged = {f"{line.level} of {line.logger}" for line in server.log if not line.logger.startswith("typedws.")}
    seen: dict[str, Facts] = {}
    for name, client in clients.items():
        ends = NOT_CERTAIN if server.name in DROPPING else left.get(name, "not reported")
        seen[name] = {"the client sees": client.result(), "the handler ends": ends}
    return {**seen, LOG: {"the server logs": ", ".join(sorted(logged)) or "nothing"}}


async def _stays(run: Run, name: str, started: asyncio.Event) -> str:
    """Receive to the end, or leave a server that waits for its clients."""
    async with client_of(run, query={"app": f"tests.e2e.behaving:{HANDLERS[name]}", "client": name}) as client:
        await client.recv()
        started.set()
        with suppress(ConnectionClosed), anyio.move_on_after(WAIT_LIMIT) as waiting:
            while True:
                await client.recv()
    return WAITS if waiting.cancelled_caught else close_seen_by(client)
