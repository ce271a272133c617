"""Typed clients that reconnect while their server is killed or stopped, and started again, or hangs: nothing that it
acknowledged is lost, and nothing is acknowledged that was not sent.

A client sends again what was not acknowledged. So the server may store twice what it could not acknowledge in time, and
who reads the store has to know an id that it has seen.
"""

from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, Literal, TypeAlias, Unpack

import anyio
import anyio.to_thread
import pytest

from tests.e2e.servers import Run, RunningServer, ServerName
from tests.e2e.storing import APP, Deposit, Put, Storing, stored_in, storing
from tests.e2e.tallies import Tally
from typedws import WebSocketDisconnect
from typedws._protocol.outcomes import Closed
from typedws.client import Backoff, Change, ClientOptions, ConnectTimeout, ServerUnreachable, reconnecting

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]

CLIENTS: Final = 20
MESSAGES: Final = 100
"""How many messages a client sends at least: it goes on until the server ends."""
UNDER_WAY: Final = 5
"""How many messages of a client wait for their acknowledgements at a time."""
MIDDLE: Final = CLIENTS * MESSAGES // 2
"""After how many acknowledgements the server ends."""

BACKOFF: Final = Backoff(initial=0.05, maximum=0.5)

Way: TypeAlias = Literal["killed", "stopped"]


LOST: Final = Closed(1006, "", "network")
ENDS: Final[Mapping[tuple[ServerName, Way], Closed]] = {
    ("uvicorn-sansio", "killed"): LOST,
    ("uvicorn-sansio", "stopped"): Closed(1012, "", "peer"),
    ("hypercorn-asyncio", "killed"): LOST,
    ("hypercorn-asyncio", "stopped"): Closed(1012, "the server restarts", "peer"),
    ("granian", "killed"): LOST,
    ("granian", "stopped"): LOST,
}
"""How a client sees a server's end. hypercorn cancels its handlers, and would close with 1011; before that our endpoint
closes with 1012. Only after another endpoint there a client needs ``retry={1011: "backoff"}``.
"""


@pytest.fixture(scope="module", params=["uvicorn-sansio", "hypercorn-asyncio", "granian"])
def mortal(request: pytest.FixtureRequest) -> Generator[RunningServer]:
    """Run a server that tests may end, and start again."""
    # Since Python 3.12 hypercorn waits for its clients to leave, on asyncio's own loop.
    server = RunningServer(request.param, "uvloop", grace=0.2)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.end()


@pytest.mark.parametrize("way", ["killed", "stopped"])
async def test_what_was_acknowledged_is_stored_once_though_the_server_ends(
    mortal: RunningServer, way: Way, tmp_path: Path
) -> None:
    middle = Middle()
    owed: dict[str, str] = {}
    clients = [Depositor(str(number), tmp_path / "store", middle) for number in range(CLIENTS)]
    async with mortal.run(APP, limit=30) as run, anyio.create_task_group() as tasks:
        for client in clients:
            tasks.start_soon(client.run, run)
        owed.update((await run.told("owes", 1))[0])
        (mortal.kill if way == "killed" else mortal.stop)()
        await anyio.to_thread.run_sync(mortal.wait_until_stopped)
        await middle.missed.wait()
        mortal.start()
    has_lost_nothing(clients, tmp_path / "store", owed["id"])
    assert {close for client in clients for close in client.closes} == {ENDS[mortal.name, way]}
    assert [line for line in mortal.log if line.logger.startswith("typedws.") and line.level == "ERROR"] == []


@pytest.mark.parametrize("mortal", ["uvicorn-sansio"], indirect=True)
async def test_what_was_acknowledged_is_stored_once_though_the_server_hangs(
    mortal: RunningServer, tmp_path: Path
) -> None:
    middle = Middle()
    owed: dict[str, str] = {}
    clients = [Depositor(str(number), tmp_path / "store", middle) for number in range(CLIENTS)]
    async with mortal.run(APP, limit=30) as run, anyio.create_task_group() as tasks:
        for client in clients:
            tasks.start_soon(partial(client.run, run, open_timeout=0.3, ping_interval=0.2, ping_timeout=0.5))
        owed.update((await run.told("owes", 1))[0])
        mortal.hang()
        try:
            await middle.missed.wait()
        finally:
            mortal.wake()
    has_lost_nothing(clients, tmp_path / "store", owed["id"])
    assert {close for client in clients for close in client.closes} == {LOST}


def has_lost_nothing(clients: Sequence["Depositor"], store: Path, owed: str) -> None:
    """Count."""
    stored = stored_in(store)
    counted = {
        "sent": sum(len(client.ids) for client in clients),
        "stored": len(stored),
        "stored twice": len(stored) - len(set(stored)),
        "sent again": sum(client.sent_again for client in clients),
        "connections": sum(client.connections for client in clients),
    }
    print(counted)
    all_sent = Tally(sent=counted["sent"])
    assert sum((Tally.of(client.ids, client.acknowledged) for client in clients), Tally()) == all_sent
    assert sum((client.first_stored(stored) for client in clients), Tally()) == all_sent
    assert all_sent.sent >= CLIENTS * MESSAGES
    assert stored.count(owed) >= 2
    assert 1 <= counted["stored twice"] <= counted["sent again"] <= counted["connections"] * UNDER_WAY
    assert all(client.connections >= 2 for client in clients)


class Middle:
    """The moment at which the server ends: when it has acknowledged much, and owes an acknowledgement."""

    def __init__(self) -> None:
        self._missing = MIDDLE
        self._is_over = False
        self.missed = anyio.Event()
        """Set once a client has found nobody who answers."""

    def acknowledged(self) -> None:
        """Count an acknowledgement."""
        self._missing -= 1

    def is_now(self) -> bool:
        """Tell one client that it is the one to which the server shall owe."""
        is_now = self._missing <= 0 and not self._is_over
        self._is_over |= is_now
        return is_now


class Depositor:
    """A client that lets ids be stored, one after another, and sends again what was not acknowledged."""

    def __init__(self, name: str, store: Path, middle: Middle) -> None:
        self._params = Deposit(name=name, store=str(store))
        self._middle = middle
        self.ids: list[str] = []
        self.acknowledged: list[str] = []
        self.closes: list[Closed] = []
        self.connections = 0
        self.sent_again = 0

    async def run(self, run: Run, **options: Unpack[ClientOptions]) -> None:
        """Deposit as much as it takes until the server ends, and the rest after that."""
        connections = reconnecting(
            run.url("/store/{name}"), storing, params=self._params, backoff=BACKOFF, on_change=self._note, **options
        )
        async for ws in connections:
            self.connections += 1
            try:
                await self._deposit(ws)
            except WebSocketDisconnect:
                continue
        assert connections.change == Change("ended", connections.change.failures)

    async def _deposit(self, ws: Storing) -> None:
        under_way: deque[str] = deque()
        coming = self._coming()

        async def put(number: int) -> None:
            for id_ in islice(coming, number):
                if is_owed := self._middle.is_now():
                    coming.close()  # for with the next one it would be acknowledged
                under_way.append(id_)
                await ws.send_model(Put(id=id_, more=is_owed))

        await put(UNDER_WAY)
        async for stored in ws:
            for id_ in stored.ids:
                assert under_way.popleft() == id_  # and none that was not sent, over this connection
                self.acknowledged.append(id_)
                self._middle.acknowledged()
            await put(len(stored.ids))
            if not under_way:
                await ws.close()

    def _coming(self) -> Generator[str]:
        """Give what is to be sent over this connection: at first what was not acknowledged."""
        for id_ in self.ids[len(self.acknowledged) :]:
            self.sent_again += 1
            yield id_
        while len(self.ids) < MESSAGES or self.connections == 1:
            self.ids.append(f"{self._params.name}-{len(self.ids)}")
            yield self.ids[-1]

    def _note(self, change: Change) -> None:
        if change.state == "waiting":
            if isinstance(change.cause, Closed):
                self.closes.append(change.cause)
            elif isinstance(change.cause, ServerUnreachable | ConnectTimeout):
                self._middle.missed.set()

    def first_stored(self, stored: Iterable[str]) -> Tally:
        """Count what is in the store, each id where it first stands."""
        known = set(self.ids)
        return Tally.of(self.ids, [id_ for id_ in dict.fromkeys(stored) if id_ in known])
