"""Compare a `Group` with bare sends, a loop, and the code of tutorials: one message to 1,000 and to 10,000 connections.

In process, a ``send`` is either a stub that counts, which is the worst case for the code around it, or the ``send`` of
uvicorn's own protocol, which makes frames and writes them to a transport that only counts: all the work of a server
except that of the kernel. The last table is on uvicorn over real sockets. The reference is bare sends of one event that
was encoded before. Compared with it are `Group.send`, until every member has the message; a loop with ``send_model``;
the ``ConnectionManager`` of tutorials on the classic class, which encodes for each connection and awaits one after the
other; and the same with ``gather``.

With one slow member in a hundred, whose ``send`` does not return, only the members that read count. The last three
contestants are missing there: they would wait for the slow members for ever. The bare sends leave out the slow members.
"""

import asyncio
import contextlib
import selectors
import time
from collections.abc import Awaitable, Callable, Iterator
from statistics import median
from typing import Annotated, Any, Final, TypeAlias

from pydantic import Field
from starlette.websockets import WebSocket as ClassicWebSocket
from starlette.websockets import WebSocketState
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from bench import sockets
from bench.floor import FRAME, SCOPE, Leave, Say
from bench.report import Scale, Table, main, table
from typedws import Group, WebSocket

Messages = Annotated[Say | Leave, Field(discriminator="type")]
Broadcast: TypeAlias = Callable[[], Awaitable[object]]

MESSAGE: Final = Say(room="lobby", text="hello wörld", n=5)
EVENT: Final = {"type": "websocket.send", "text": FRAME}
REFERENCE: Final = "bare sends"
SLOW: Final = 100
"""In the tables with slow members, one in this many is slow."""


class Connected:
    """A connection, in the form that each contestant sends to."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.send: Callable[[Any], Awaitable[None]] = send
        self.typed = WebSocket[Messages, Messages](scope, receive, send)
        self.classic = ClassicWebSocket(scope, receive, send)

    async def accept(self) -> None:
        """Accept through typedws, and put the classic class into the same state."""
        await self.typed.accept()
        self.classic.client_state = self.classic.application_state = WebSocketState.CONNECTED


class ConnectionManager:
    """The class that tutorials show."""

    def __init__(self) -> None:
        self.active_connections: list[ClassicWebSocket] = []

    async def broadcast(self, message: Say) -> None:
        for connection in self.active_connections:
            await connection.send_text(message.model_dump_json())

    async def broadcast_by_gather(self, message: Say) -> None:
        await asyncio.gather(
            *(connection.send_text(message.model_dump_json()) for connection in self.active_connections)
        )


def broadcasts_to(connections: list[Connected], group: Group[Say | Leave]) -> dict[str, Broadcast]:
    """Return the contestants: each sends the message to all connections, which are members of the group."""
    manager = ConnectionManager()
    manager.active_connections = [each.classic for each in connections]

    async def loop() -> None:
        for each in connections:
            await each.typed.send_model(MESSAGE)

    return {
        REFERENCE: bare_sends(connections),
        "Group": lambda: group.send(MESSAGE),
        "a loop, send_model": loop,
        "ConnectionManager": lambda: manager.broadcast(MESSAGE),
        "gather, classic": lambda: manager.broadcast_by_gather(MESSAGE),
    }


def bare_sends(connections: list[Connected]) -> Broadcast:
    async def broadcast() -> None:
        for each in connections:
            await each.send(EVENT)

    return broadcast


async def join(connection: Connected, groups: list[Group[Say | Leave]], has_joined: Callable[[], object]) -> None:
    """Do what a handler does: accept, join, and stay."""
    await connection.accept()
    async with contextlib.AsyncExitStack() as stack:
        for group in groups:
            await stack.enter_async_context(group.joined(connection.typed))
        has_joined()
        await asyncio.get_running_loop().create_future()


# --- in process ---


class Counter:
    """A counter that a task can wait for."""

    def __init__(self) -> None:
        self.count = 0

    def add(self) -> None:
        self.count += 1

    async def until(self, count: int) -> None:
        while self.count < count:  # noqa: ASYNC110 - an event would add to the measured cost
            await asyncio.sleep(0)


class Stub:
    """A server that only counts messages. A slow one takes the accept, and never returns from a later ``send``."""

    def __init__(self, counter: Counter, *, is_slow: bool) -> None:
        self._counter = counter
        self.send = self._send_slowly if is_slow else self._send

    async def receive(self) -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def _send(self, event: Any) -> None:
        self._counter.count += "text" in event

    async def _send_slowly(self, event: Any) -> None:
        if "text" in event:
            await asyncio.get_running_loop().create_future()


class Transport(asyncio.Transport):
    """The transport that uvicorn writes to. It counts the writes."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter

    def write(self, data: object) -> None:
        self._counter.count += 1

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        """Do nothing: the connection lasts as long as the measurement."""


Serve = Callable[[int, int, list[Group[Say | Leave]]], Awaitable[tuple[Counter, list[Connected]]]]
"""Connects a number of members, some of them slow, and joins them to groups. Returns the members that read."""


async def on_stubs(members: int, slow: int, groups: list[Group[Say | Leave]]) -> tuple[Counter, list[Connected]]:
    counter, connections = Counter(), list[Connected]()
    for number in range(members):
        stub = Stub(counter, is_slow=number < slow)
        connections.append(Connected(dict(SCOPE), stub.receive, stub.send))
    joined = Counter()
    for connection in connections:
        keep(asyncio.create_task(join(connection, groups, joined.add)))
    await joined.until(members)
    return counter, connections[slow:]


async def on_uvicorn(members: int, slow: int, groups: list[Group[Say | Leave]]) -> tuple[Counter, list[Connected]]:
    counter, joined, connections = Counter(), Counter(), list[Connected]()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        connections.append(connection := Connected(scope, receive, send))
        await join(connection, groups, joined.add)

    config = sockets.configured(application, log_level="critical")
    config.load()
    state = ServerState()
    request = sockets.HANDSHAKE.format(path="/").encode()
    for number in range(members):
        protocol = WebSocketsSansIOProtocol(config, state, {})
        protocol.connection_made(Transport(counter))
        protocol.data_received(request)
        await joined.until(number + 1)
        if number < slow:
            protocol.pause_writing()
    counter.count = 0
    return counter, connections[slow:]


# The event loop itself keeps only weak references to its tasks.
_TASKS: Final = set[asyncio.Task[None]]()


def keep(task: asyncio.Task[None]) -> None:
    _TASKS.add(task)
    task.add_done_callback(_TASKS.discard)


async def cost(counter: Counter, broadcast: Broadcast, messages: int, members: int) -> float:
    """Broadcast a number of messages, and return the microseconds per message and member."""
    counter.count = 0
    start = time.perf_counter()
    for number in range(messages):
        await broadcast()
        await counter.until((number + 1) * members)
    return (time.perf_counter() - start) / messages / members * 1e6


async def all_fast(serve: Serve, members: int, messages: int, rounds: int) -> dict[str, list[float]]:
    group: Group[Say | Leave] = Group()
    counter, connections = await serve(members, 0, [group])
    return await costs_of(broadcasts_to(connections, group), counter, messages, members, rounds)


async def some_slow(serve: Serve, members: int, messages: int, rounds: int) -> dict[str, list[float]]:
    dropping: Group[Say | Leave] = Group(on_overflow="drop_oldest")
    closing: Group[Say | Leave] = Group(max_pending=1_000_000)  # so many that no slow member is closed meanwhile
    counter, connections = await serve(members, members // SLOW, [dropping, closing])
    broadcasts: dict[str, Broadcast] = {
        REFERENCE: bare_sends(connections),
        "Group, drop_oldest": lambda: dropping.send(MESSAGE),
        "Group, close": lambda: closing.send(MESSAGE),
    }
    return await costs_of(broadcasts, counter, messages, len(connections), rounds)


async def costs_of(
    broadcasts: dict[str, Broadcast], counter: Counter, messages: int, members: int, rounds: int
) -> dict[str, list[float]]:
    costs: dict[str, list[float]] = {name: [] for name in broadcasts}
    for broadcast in broadcasts.values():
        await cost(counter, broadcast, 1, members)  # a warm-up
    for _ in range(rounds):
        for name, broadcast in broadcasts.items():
            costs[name].append(await cost(counter, broadcast, messages, members))
    return costs


def in_process(scale: Scale) -> Iterator[Table]:
    servers: dict[str, Serve] = {"a send that counts": on_stubs, "the send of uvicorn's protocol": on_uvicorn}
    for members in (1_000,) if scale.is_quick else (1_000, 10_000):
        messages, rounds = scale.count(10_000) // members, scale.rounds(11 if members == 1_000 else 3)
        for server, serve in servers.items():
            costs = asyncio.run(all_fast(serve, members, messages, rounds))
            yield table(f"{members:,} members, {server}", "us a delivery", costs, REFERENCE)
            if members > 1_000 and serve is on_stubs:
                continue  # nothing new here, and the table with a real send takes long enough
            costs = asyncio.run(some_slow(serve, members, messages, rounds))
            yield table(f"{members:,} members, {server}, 1 in {SLOW} is slow", "us a delivery", costs, REFERENCE)


# --- over sockets ---

lobby: Group[Say | Leave] = Group()
present: Final = list[Connected]()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Join clients of ``/`` to the group. A client of ``/say`` names the broadcast that sends to them."""
    if scope["path"] == "/":
        present.append(connection := Connected(scope, receive, send))
        await join(connection, [lobby], lambda: None)
        return
    broadcasts = broadcasts_to(present, lobby)
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        if event["text"] == "cpu":
            await send({"type": "websocket.send", "text": str(time.process_time())})
        else:
            await broadcasts[event["text"]]()


class Audience:
    """The clients of a server, and the control connection that starts broadcasts."""

    def __init__(self, stack: contextlib.ExitStack, port: int, count: int) -> None:
        self.count = count
        self._selector = stack.enter_context(selectors.DefaultSelector())
        for _ in range(count):
            client = stack.enter_context(sockets.connected(port))
            client.setblocking(False)
            self._selector.register(client, selectors.EVENT_READ, client.recv)
        self._control = stack.enter_context(sockets.connected(port, "/say"))

    def receive(self, name: str, messages: int) -> tuple[float, float]:
        """Start a number of broadcasts, one after the other, and receive each on every client.

        Return the server's CPU microseconds per broadcast and client, and the milliseconds of a broadcast until the
        last client had it.
        """
        cpu, start = self.cpu(), time.perf_counter()
        for _ in range(messages):
            sockets.send_text(self._control, name)
            missing = self.count * len(sockets.framed(FRAME))
            while missing:
                events = self._selector.select(30)
                assert events, f"{missing} bytes are missing"
                for key, _ in events:
                    missing -= len(key.data(4096))  # the client's recv
        taken = time.perf_counter() - start
        return (self.cpu() - cpu) / messages / self.count * 1e6, taken / messages * 1e3

    def cpu(self) -> float:
        sockets.send_text(self._control, "cpu")
        return float(sockets.receive_text(self._control))


def over_sockets(scale: Scale) -> Table:
    members = 1_000
    messages, rounds = scale.count(12), scale.rounds(11)
    costs: dict[str, list[float]] = {}
    times: dict[str, list[float]] = {}
    with sockets.serving("bench.group:application") as (_, port), contextlib.ExitStack() as stack:
        audience = Audience(stack, port, members)
        names = list(broadcasts_to([], lobby))
        for name in names:
            audience.receive(name, 1)
        for _ in range(rounds):
            for name in names:
                cpu, taken = audience.receive(name, messages)
                costs.setdefault(name, []).append(cpu)
                times.setdefault(name, []).append(taken)
    more = {name: {"ms until the last has it": median(values)} for name, values in times.items()}
    return table(f"{members:,} clients of uvicorn", "cpu us a delivery", costs, REFERENCE, more=more)


def measure(scale: Scale) -> Iterator[Table]:
    yield from in_process(scale)
    yield over_sockets(scale)


if __name__ == "__main__":
    main("bench.group", measure)
