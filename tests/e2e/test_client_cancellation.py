"""Calls of a typed client that are given up lose nothing, and a block that is cancelled says goodbye to the server."""

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
"""hypercorn tells its applications of no close code."""

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"]),
    pytest.mark.parametrize("place", PLACES, indirect=True, ids=lambda place: place[0]),
]

GIVEN_UP: Final = 200
"""How many calls of each kind are given up at least."""
PADDINGS: Final = ("", "x" * 100_000)
"""Much, so that who sends has to wait now and then; nothing, so that answers come within that time."""
TINY: Final = (0.0, 0.0001, 0.0003, 0.001)
"""Seconds after which a call is given up."""


def connection(run: Run) -> Connecting[Answer, Question]:
    return connect(run.url("/count/{crowd}"), counting, params=Client(crowd="small", client="ann"))


class Impatient:
    """A client that gives up on its calls soon, and calls again."""

    def __init__(self, ws: Counting) -> None:
        self._ws = ws
        self._patience = cycle(TINY)
        self.sent = 0
        self.heard: list[int] = []
        self.unsent = 0
        self.unheard = 0
        self.is_over = False

    async def send(self) -> None:
        """Send the next number; where that is given up, it is still the next one."""
        with anyio.move_on_after(next(self._patience)) as scope:
            await self._ws.send_model(Ask(number=self.sent, padding=PADDINGS[self.sent % 2]))
            self.sent += 1
        self.unsent += scope.cancelled_caught
        await anyio.lowlevel.checkpoint()

    async def receive(self) -> None:
        """Receive a number, or the end, or nothing."""
        with anyio.move_on_after(next(self._patience)) as scope:
            try:
                self.heard.append((await self._ws.receive_model()).number)
            except WebSocketDisconnect:
                self.is_over = True
        self.unheard += scope.cancelled_caught
        await anyio.lowlevel.checkpoint()

    async def takes_turns(self) -> None:
        """Send until the server does not read, as nobody hears what it says; receive until it says nothing; again."""
        while self.unsent < GIVEN_UP or self.unheard < GIVEN_UP:
            enough = self.unsent + GIVEN_UP // 4
            while self.unsent < enough:
                await self.send()
            enough = self.unheard + GIVEN_UP // 4
            while self.unheard < enough:
                await self.receive()
        await self._ws.send_model(Finish())
        while not self.is_over:
            await self.receive()

    async def does_both(self) -> None:
        """Send and receive, in a task each."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._sends_many)
            while not self.is_over:
                await self.receive()

    async def _sends_many(self) -> None:
        while self.sent < 2 * GIVEN_UP:
            await self.send()
        await self._ws.send_model(Finish())


TALKS: Final = (Impatient.takes_turns, Impatient.does_both)


@pytest.mark.parametrize("talk", TALKS, ids=lambda talk: talk.__name__)
async def test_what_is_given_up_is_neither_lost_nor_doubled(
    host: RunningServer, talk: Callable[[Impatient], Awaitable[None]]
) -> None:
    async with host.run(APP, limit=30) as run:
        async with connection(run) as ws:
            client = Impatient(ws)
            await talk(client)
        [heard] = await run.told("heard", 1)
    print(f"{client.sent} sent, {client.unsent} calls to send given up, {client.unheard} to receive")
    assert Tally.of(range(client.sent), heard["numbers"]) == Tally(sent=client.sent)
    assert Tally.of(range(client.sent), client.heard) == Tally(sent=client.sent)
    if talk is Impatient.takes_turns:
        assert min(client.unsent, client.unheard) >= GIVEN_UP


# --- how a block is left ---


async def waits(ws: Counting, sent: list[int]) -> None:
    """Receive what does not come."""
    await ws.receive_model()


async def says_too_much(ws: Counting, sent: list[int]) -> None:
    """Send, and hear nothing, until the server does not hear either."""
    for number in count(len(sent)):
        await ws.send_model(Ask(number=number, padding=PADDINGS[1]))
        sent.append(number)


@pytest.mark.parametrize("stuck", [waits, says_too_much])
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
        [heard] = await run.told("heard", 1)
    assert heard["how"] == "1001 by the peer"
    # A handler that answers ends where it cannot, on uvicorn before it has heard all.
    assert heard["numbers"] == sent[: len(heard["numbers"])]


async def test_a_close_lets_a_send_that_waits_go_through(host: RunningServer) -> None:
    """The server waits for us to hear its answers, and only after that would hear more."""
    async with host.run(APP) as run:
        is_stuck = anyio.Event()
        sent: list[int] = []

        async def say_too_much(ws: Counting) -> None:
            with anyio.move_on_after(0.2):
                await says_too_much(ws, sent)
            is_stuck.set()
            with suppress(WebSocketDisconnect):
                await says_too_much(ws, sent)

        async with connection(run) as ws, anyio.create_task_group() as tasks:
            tasks.start_soon(say_too_much, ws)
            await is_stuck.wait()
            began = anyio.current_time()
            await ws.close(3000)
            assert anyio.current_time() - began < CLOSE_TIMEOUT
        [heard] = await run.told("heard", 1)
    assert heard["how"] == "3000 by the peer"
    assert heard["numbers"] == sent[: len(heard["numbers"])]


async def test_a_block_that_is_left_by_an_exception_closes_with_1001_and_else_with_1000(host: RunningServer) -> None:
    async with host.run(APP) as run:
        async with connection(run):
            pass
        with pytest.raises(ZeroDivisionError):
            async with connection(run):
                raise ZeroDivisionError
        heard = await run.told("heard", 2)
    assert [each["how"] for each in heard] == ["1000 by the peer", "1001 by the peer"]


async def test_an_opening_that_is_given_up_leaves_nothing_behind(host: RunningServer) -> None:
    before = await host.census()
    opened = 0
    async with host.run(APP) as run:
        began = anyio.current_time()
        async with connection(run):
            longest = 3 * (anyio.current_time() - began)
        for number in range(GIVEN_UP):
            with anyio.move_on_after(longest * number / GIVEN_UP):
                async with connection(run):
                    opened += 1
        await host.settled(before)
    print(f"{opened} opened, {GIVEN_UP - opened} given up")
    assert 0 < opened < GIVEN_UP
