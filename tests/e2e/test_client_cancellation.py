"""Cancelled calls of a typed client lose no messages, and a cancelled block closes the connection with a code."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count, cycle
from typing import Final

import anyio
import anyio.lowlevel
import pytest

from tests.e2e.conftest import Place
from tests.e2e.counting import APP, Answer, Ask, Client, Counting, Finish, Question, counting
from tests.e2e.servers import Run, RunningServer
from tests.e2e.tallies import Tally
from typedws import WebSocketDisconnect
from typedws._connection.session import CLOSE_TIMEOUT
from typedws._protocol.outcomes import Closed
from typedws.client import Connecting, connect

PLACES: Final[list[Place]] = [("uvicorn-sansio", "asyncio"), ("granian", "asyncio")]
"""Without hypercorn, which reports no close code to its applications."""

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"]),
    pytest.mark.parametrize("place", PLACES, indirect=True, ids=lambda place: place[0]),
]

CANCELLED: Final = 200
"""How many calls of each kind are cancelled at least."""
PADDINGS: Final = ("", "x" * 100_000)
"""Much, so that a send has to wait now and then; nothing, so that answers come within that time."""
TINY: Final = (0.0, 0.0001, 0.0003, 0.001)
"""Seconds after which a call is cancelled."""


def connection(run: Run) -> Connecting[Answer, Question]:
    return connect(run.url("/count/{crowd}"), counting, params=Client(crowd="small", client="ann"))


class Impatient:
    """A client that cancels its calls soon, and calls again."""

    def __init__(self, ws: Counting) -> None:
        self._ws = ws
        self._timeouts = cycle(TINY)
        self.sent = 0
        self.received: list[int] = []
        self.cancelled_sends = 0
        self.cancelled_receives = 0
        self.is_over = False

    async def send(self) -> None:
        """Send the next number. If that is cancelled, it is still the next one."""
        with anyio.move_on_after(next(self._timeouts)) as scope:
            await self._ws.send_model(Ask(number=self.sent, padding=PADDINGS[self.sent % 2]))
            self.sent += 1
        self.cancelled_sends += scope.cancelled_caught
        await anyio.lowlevel.checkpoint()

    async def receive(self) -> None:
        """Receive a number, or the end, or nothing."""
        with anyio.move_on_after(next(self._timeouts)) as scope:
            try:
                self.received.append((await self._ws.receive_model()).number)
            except WebSocketDisconnect:
                self.is_over = True
        self.cancelled_receives += scope.cancelled_caught
        await anyio.lowlevel.checkpoint()

    async def alternates(self) -> None:
        """Send until the server stops reading, as its answers are not read; receive until no more come; repeat."""
        while self.cancelled_sends < CANCELLED or self.cancelled_receives < CANCELLED:
            goal = self.cancelled_sends + CANCELLED // 4
            while self.cancelled_sends < goal:
                await self.send()
            goal = self.cancelled_receives + CANCELLED // 4
            while self.cancelled_receives < goal:
                await self.receive()
        await self._ws.send_model(Finish())
        while not self.is_over:
            await self.receive()

    async def runs_two_tasks(self) -> None:
        """Send and receive, each in a task of its own."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._send_many)
            while not self.is_over:
                await self.receive()

    async def _send_many(self) -> None:
        while self.sent < 2 * CANCELLED:
            await self.send()
        await self._ws.send_model(Finish())


TALKS: Final = (Impatient.alternates, Impatient.runs_two_tasks)


@pytest.mark.parametrize("talk", TALKS, ids=lambda talk: talk.__name__)
async def test_cancelled_calls_neither_lose_nor_double_messages(
    host: RunningServer, talk: Callable[[Impatient], Awaitable[None]]
) -> None:
    async with host.run(APP, limit=30) as run:
        async with connection(run) as ws:
            client = Impatient(ws)
            await talk(client)
        [received] = await run.wait_for_reports("received", 1)
    print(
        f"{client.sent} sent, {client.cancelled_sends} calls to send given up, {client.cancelled_receives} to receive"
    )
    assert Tally.of(range(client.sent), received["numbers"]) == Tally(sent=client.sent)
    assert Tally.of(range(client.sent), client.received) == Tally(sent=client.sent)
    if talk is Impatient.alternates:
        assert min(client.cancelled_sends, client.cancelled_receives) >= CANCELLED


# --- how a block is left ---


async def waits(ws: Counting, sent: list[int]) -> None:
    """Receive an answer that does not come."""
    await ws.receive_model()


async def floods(ws: Counting, sent: list[int]) -> None:
    """Send without receiving, until the server stops receiving too."""
    for number in count(len(sent)):
        await ws.send_model(Ask(number=number, padding=PADDINGS[1]))
        sent.append(number)


@pytest.mark.parametrize("stuck", [waits, floods])
async def test_a_block_that_is_cancelled_closes_with_1001(
    host: RunningServer, stuck: Callable[[Counting, list[int]], Awaitable[None]]
) -> None:
    async with host.run(APP) as run:
        clients: list[Counting] = []
        sent: list[int] = []
        with anyio.CancelScope() as scope:
            async with connection(run) as ws:
                clients.append(ws)
                scope.deadline = anyio.current_time() + 0.2
                await stuck(ws, sent)
        assert scope.cancelled_caught
        assert clients[0].end == Closed(1001, "", "application")
        [received] = await run.wait_for_reports("received", 1)
    assert received["how"] == "1001 by the peer"
    # A handler that cannot answer any more ends, on uvicorn before it has received everything.
    assert received["numbers"] == sent[: len(received["numbers"])]


async def test_a_close_lets_a_waiting_send_finish(host: RunningServer) -> None:
    """The server waits until its answers are read, and would read more only after that."""
    async with host.run(APP) as run:
        is_stuck = anyio.Event()
        sent: list[int] = []

        async def flood(ws: Counting) -> None:
            with anyio.move_on_after(0.2):
                await floods(ws, sent)
            is_stuck.set()
            with suppress(WebSocketDisconnect):
                await floods(ws, sent)

        async with connection(run) as ws, anyio.create_task_group() as tasks:
            tasks.start_soon(flood, ws)
            await is_stuck.wait()
            began = anyio.current_time()
            await ws.close(3000)
            assert anyio.current_time() - began < CLOSE_TIMEOUT
        [received] = await run.wait_for_reports("received", 1)
    assert received["how"] == "3000 by the peer"
    assert received["numbers"] == sent[: len(received["numbers"])]


async def test_a_block_closes_with_1001_after_an_exception_and_otherwise_with_1000(host: RunningServer) -> None:
    async with host.run(APP) as run:
        async with connection(run):
            pass
        with pytest.raises(ZeroDivisionError):
            async with connection(run):
                raise ZeroDivisionError
        received = await run.wait_for_reports("received", 2)
    assert [each["how"] for each in received] == ["1000 by the peer", "1001 by the peer"]


async def test_a_cancelled_handshake_leaves_nothing_behind(host: RunningServer) -> None:
    before = await host.census()
    opened = 0
    async with host.run(APP) as run:
        began = anyio.current_time()
        async with connection(run):
            longest = 3 * (anyio.current_time() - began)
        for number in range(CANCELLED):
            with anyio.move_on_after(longest * number / CANCELLED):
                async with connection(run):
                    opened += 1
        await host.settled(before)
    print(f"{opened} opened, {CANCELLED - opened} given up")
    assert 0 < opened < CANCELLED
