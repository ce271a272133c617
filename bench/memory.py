"""Measure the memory of a connection: in process with tracemalloc, and on uvicorn as private memory of its process.

In process, there are three stages: after the accept; after a header, the query and the cookies were read too; and
after a message was received and sent as well. What a server makes, such as the scope with its headers and the queue,
exists beforehand and does not count. The table of the class alone has no tasks. An application has a task that waits
for the next message, and everything in it counts: tasks, coroutines, futures, the last message. What raw ASGI has of
these is subtracted.
"""

import asyncio
import contextlib
import gc
import json
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

import fastapi
from pydantic import Field
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute as ClassicRoute
from starlette.websockets import WebSocket as ClassicWebSocket
from starlette.websockets import WebSocketDisconnect

from bench import sockets
from bench.floor import ADAPTER, FRAME, SCOPE, Leave, Say
from bench.headers import RAW
from bench.report import Row, Scale, Table, main, table
from typedws import App, Connection, WebSocket, endpoint

Messages = Annotated[Say | Leave, Field(discriminator="type")]
Application = Callable[[Any, Any, Any], Awaitable[None]]

HEADERS: Final = RAW[:-1]
QUERY: Final = b"since=7&token=sesame&theme=dark"
PATH: Final = "/rooms/lobby"
STAGES: Final = ("after the accept", "after headers", "after a message")


class Wire:
    """One connection as a server makes it. All of this exists before the measurement."""

    def __init__(self) -> None:
        self.scope = {
            **SCOPE,
            "scheme": "wss",
            "server": ("192.0.2.1", 443),
            "path": PATH,
            "raw_path": PATH.encode(),
            "query_string": QUERY,
            "headers": [(bytes(bytearray(name)), bytes(bytearray(value))) for name, value in HEADERS],
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
            "state": {},
        }
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.events.put_nowait({"type": "websocket.connect"})
        self.sent = 0
        self.receive = self._receive
        self.send = self._send

    async def _receive(self) -> dict[str, Any]:
        return await self.events.get()

    async def _send(self, event: Any) -> None:
        self.sent += 1

    def deliver(self) -> None:
        self.events.put_nowait({"type": "websocket.receive", "text": str(FRAME.encode(), "utf-8")})


# --- the class alone ---


async def typed(wire: Wire, stage: int) -> object:
    ws = WebSocket[Messages, Messages](wire.scope, wire.receive, wire.send)
    await ws.accept()
    if stage > 0:
        _ = ws.headers["user-agent"], ws.query_params, ws.cookies
    if stage > 1:
        wire.deliver()
        async for message in ws:
            await ws.send_model(message)
            break
    return ws


async def classic(wire: Wire, stage: int) -> object:
    ws = ClassicWebSocket(wire.scope, wire.receive, wire.send)
    await ws.accept()
    if stage > 0:
        _ = ws.headers["user-agent"], ws.query_params, ws.cookies
    if stage > 1:
        wire.deliver()
        message = ADAPTER.validate_json(await ws.receive_text())
        await ws.send_text(message.model_dump_json())
    return ws


CLASSES: Final = {"typedws": typed, "classic": classic}


# --- applications whose tasks wait ---


class Applications:
    """One application for each contestant. All of them read headers, or none does."""

    def __init__(self, *, reads: bool) -> None:
        async def raw(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            if reads:
                _ = dict(scope["headers"])[b"user-agent"], parse_qs(scope["query_string"])
            while True:
                event = await receive()
                if event["type"] != "websocket.receive":
                    break
                message = ADAPTER.validator.validate_json(event["text"])
                await send({"type": "websocket.send", "text": message.model_dump_json()})
                del event  # so that the reference keeps as little as possible: the message, as all the others do

        async def echo(ws: Connection[Messages, Messages]) -> None:
            if reads:
                _ = ws.headers["user-agent"], ws.query_params, ws.cookies
            async for message in ws:
                await ws.send_model(message)

        async def bare(scope: Any, receive: Any, send: Any) -> None:
            ws = WebSocket[Messages, Messages](scope, receive, send)
            await ws.accept()
            await echo(ws)

        async def classic_echo(websocket: ClassicWebSocket) -> None:
            await websocket.accept()
            if reads:
                _ = websocket.headers["user-agent"], websocket.query_params, websocket.cookies
            try:
                while True:
                    message = ADAPTER.validate_json(await websocket.receive_text())
                    await websocket.send_text(message.model_dump_json())
            except WebSocketDisconnect:
                pass

        async def classic_bare(scope: Any, receive: Any, send: Any) -> None:
            await classic_echo(ClassicWebSocket(scope, receive, send))

        app = App()
        app.websocket("/rooms/{room}")(echo)
        fast = fastapi.FastAPI()
        fast.websocket("/rooms/{room}")(classic_echo)
        self.applications: dict[str, Application] = {
            "raw ASGI": raw,
            "typedws, class": bare,
            "typedws, endpoint": endpoint(echo),
            "typedws, App": app,
            "classic, class": classic_bare,
            "Starlette, route": Starlette(routes=[ClassicRoute("/rooms/{room}", classic_echo)]),
            "FastAPI, route": fast,
        }


WATCHED: Final = ("typedws, endpoint", "typedws, App")
"""The contestants with a timer that begins to watch a connection within its first second."""

READING: Final = Applications(reads=True).applications
NOT_READING: Final = Applications(reads=False).applications

raw_on_server = READING["raw ASGI"]
typed_on_server = READING["typedws, endpoint"]
starlette_on_server = READING["Starlette, route"]
fastapi_on_server = READING["FastAPI, route"]


# --- in process ---


@contextlib.contextmanager
def traced(count: int) -> Iterator[Callable[[], float]]:
    """Yield a function that returns the bytes per connection, for ``count`` connections made in the block."""

    def size() -> float:
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / count

    gc.collect()
    tracemalloc.start()
    try:
        yield size
    finally:
        tracemalloc.stop()


async def class_size(name: str, stage: int, count: int) -> float:
    wires = [Wire() for _ in range(count)]
    # The list, and one connection that fills the caches, are made before the measurement.
    kept: list[object] = [await CLASSES[name](Wire(), stage)] * count
    with traced(count) as size:
        for index, wire in enumerate(wires):
            kept[index] = await CLASSES[name](wire, stage)
        return size()


async def application_sizes(name: str, count: int) -> list[float]:
    pause = 1.1 if name in WATCHED else 0
    accepted = await sizes_in_tasks(NOT_READING[name], count, [0])
    return accepted + await sizes_in_tasks(READING[name], count, [0, pause])


async def sizes_in_tasks(application: Application, count: int, pauses: list[float]) -> list[float]:
    """Run an application as a server does. Return its memory after the accept, and after each message."""

    async def run(wire: Wire) -> None:
        await application(wire.scope, wire.receive, wire.send)

    first, *wires = [Wire() for _ in range(count + 1)]
    tasks: list[asyncio.Task[None] | None] = [None] * (count + 1)
    # One connection fills the caches before the measurement.
    tasks[count] = asyncio.create_task(run(first))
    for sent in range(len(pauses)):
        await until([first], sent + 1)
        first.deliver()
    sizes: list[float] = []
    with traced(count) as size:
        for index, wire in enumerate(wires):
            tasks[index] = asyncio.create_task(run(wire))
        for sent, pause in enumerate(pauses):
            await until(wires, sent + 1)
            await asyncio.sleep(pause)
            sizes.append(size())
            for wire in wires:
                wire.deliver()
    for task in tasks:
        assert task is not None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return sizes


async def until(wires: list[Wire], sent: int) -> None:
    """Run all tasks until they wait, and check that each has sent this many events."""
    for _ in range(10):
        await asyncio.sleep(0)
    assert all(wire.sent == sent for wire in wires)


async def classes(count: int) -> Table:
    rows = {name: row([await class_size(name, stage, count) for stage in range(len(STAGES))]) for name in CLASSES}
    return Table("the class alone, beyond its scope", f"bytes, {STAGES[2]}", None, rows)


async def applications(count: int) -> Table:
    sizes = {name: await application_sizes(name, count) for name in READING}
    raw = sizes["raw ASGI"]
    rows = {
        name: row([size - baseline for size, baseline in zip(at_stages, raw, strict=True)], at_stages[2])
        for name, at_stages in sizes.items()
    }
    return Table("an application whose task waits, beyond what raw ASGI occupies", f"bytes, {STAGES[2]}", None, rows)


def row(at_stages: list[float], whole: float | None = None) -> Row:
    more = {stage: float(round(size)) for stage, size in zip(STAGES[:2], at_stages, strict=False)}
    if whole is not None:
        more["in all"] = round(whole)
    return Row(None, None, round(at_stages[2]), more=more)


# --- over sockets ---

ON_SERVER: Final = {
    "raw ASGI": "raw_on_server",
    "typedws, endpoint": "typed_on_server",
    "Starlette, route": "starlette_on_server",
    "FastAPI, route": "fastapi_on_server",
}


def private_kilobytes(process: int) -> float:
    """Return the memory of a process that it shares with no other process."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("Private_"))


def on_servers(count: int) -> dict[str, float]:
    """Return the kilobytes per connection, for connections that have echoed one message and are idle."""
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(sockets.serving(f"bench.memory:{app}")) for name, app in ON_SERVER.items()}
        for _, port in servers.values():
            clients(stack, port, count // 10)  # what a server makes for its first connections does not count
        before = settled(servers)
        for _, port in servers.values():
            clients(stack, port, count)
        after = settled(servers)
    return {name: (after[name] - before[name]) / count for name in servers}


def clients(stack: contextlib.ExitStack, port: int, count: int) -> None:
    for _ in range(count):
        client = stack.enter_context(sockets.connected(port, PATH))
        sockets.send_text(client, FRAME)
        assert json.loads(sockets.receive_text(client)) == json.loads(FRAME)


def settled(servers: dict[str, tuple[int, int]]) -> dict[str, float]:
    time.sleep(1.2)  # until the timers of those in WATCHED have begun
    return {name: private_kilobytes(process) for name, (process, _) in servers.items()}


def servers(scale: Scale) -> Table:
    count = scale.count(1_000)
    costs = {name: [size] for name, size in on_servers(count).items()}
    return table(f"on uvicorn, of {count:,} idle connections, that server's part included", "KB", costs, "raw ASGI")


def measure(scale: Scale) -> Iterator[Table]:
    yield asyncio.run(classes(scale.count(10_000)))
    yield asyncio.run(applications(scale.count(2_500)))
    if Path("/proc/self/smaps_rollup").exists():
        yield servers(scale)


if __name__ == "__main__":
    main("bench.memory", measure)
