"""Typed clients that reconnect while their server is killed or stopped, and started again, or hangs.

Nothing that the server acknowledged is lost, and nothing is acknowledged that was not sent. A client sends again what
was not acknowledged. So the server may store an id twice that it could not acknowledge in time, and a reader of the
store has to recognize an id that it has seen.
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
"""How many messages a client sends at least: it continues until the server ends."""
IN_FLIGHT: Final = 5
"""How many messages of a client wait for acknowledgement at a time."""
MIDDLE: Final = CLIENTS * MESSAGES // 2
"""The number of acknowledgements after which the server ends."""

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
"""How a client sees the end of a server.

hypercorn cancels its handlers and would close with 1011, but our endpoint closes with 1012 before that. Only a client
of another endpoint on hypercorn needs ``retry={1011: "backoff"}``.
"""


@pytest.fixture(scope="module", params=["uvicorn-sansio", "hypercorn-asyncio", "granian"])
def mortal(request: pytest.FixtureRequest) -> Generator[RunningServer]:
    """Run a server that tests may end and start again."""
    # Since Python 3.12 hypercorn waits for its clients to leave, on asyncio's own loop.
    server = RunningServer(request.param, "uvloop", grace=0.2)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.end()


@pytest.mark.parametrize("way", ["killed", "stopped"])
async def test_acknowledged_messages_are_stored_although_the_server_ends(
    mortal: RunningServer, way: Way, tmp_path: Path
) -> None:
    middle = Middle()
    owed: dict[str, str] = {}
    clients = [Depositor(str(number), tmp_path / "store", middle) for number in range(CLIENTS)]
    async with mortal.run(APP, limit=30) as run, anyio.create_task_group() as tasks:
        for client in clients:
            tasks.start_soon(client.run, run)
        owed.update((await run.wait_for_reports("owes", 1))[0])
        (mortal.kill if way == "killed" else mortal.stop)()
        await anyio.to_thread.run_sync(mortal.wait_until_stopped)
        await middle.was_unreachable.wait()
        mortal.start()
    check_that_nothing_is_lost(clients, tmp_path / "store", owed["id"])
    assert {close for client in clients for close in client.closes} == {ENDS[mortal.name, way]}
    assert [line for line in mortal.log if line.logger.startswith("typedws.") and line.level == "ERROR"] == []


@pytest.mark.parametrize("mortal", ["uvicorn-sansio"], indirect=True)
async def test_acknowledged_messages_are_stored_although_the_server_hangs(
    mortal: RunningServer, tmp_path: Path
) -> None:
    middle = Middle()
    owed: dict[str, str] = {}
    clients = [Depositor(str(number), tmp_path / "store", middle) for number in range(CLIENTS)]
    async with mortal.run(APP, limit=30) as run, anyio.create_task_group() as tasks:
        for client in clients:
            tasks.start_soon(partial(client.run, run, open_timeout=0.3, ping_interval=0.2, ping_timeout=0.5))
        owed.update((await run.wait_for_reports("owes", 1))[0])
        mortal.hang()
        try:
            await middle.was_unreachable.wait()
        finally:
            mortal.wake()
    check_that_nothing_is_lost(clients, tmp_path / "store", owed["id"])
    assert {close for client in clients for close in client.closes} == {LOST}


def check_that_nothing_is_lost(clients: Sequence["Depositor"], store: Path, owed: str) -> None:
    """Check the counts of sent, acknowledged and stored messages."""
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
    assert 1 <= counted["stored twice"] <= counted["sent again"] <= counted["connections"] * IN_FLIGHT
    assert all(client.connections >= 2 for client in clients)


class Middle:
    """The moment at which the server ends: it has sent many acknowledgements, and owes another one."""

    def __init__(self) -> None:
        self._remaining = MIDDLE
        self._is_over = False
        self.was_unreachable = anyio.Event()
        """Set once a client could not reach the server."""

    def acknowledged(self) -> None:
        """Count an acknowledgement."""
        self._remaining -= 1

    def is_now(self) -> bool:
        """Whether the server shall owe its acknowledgement to this client: true once, for one client."""
        is_now = self._remaining <= 0 and not self._is_over
        self._is_over |= is_now
        return is_now


class Depositor:
    """A client that stores ids, one after another, and sends again what was not acknowledged."""

    def __init__(self, name: str, store: Path, middle: Middle) -> None:
        self._params = Deposit(name=name, store=str(store))
        self._middle = middle
        self.ids: list[str] = []
        self.acknowledged: list[str] = []
        self.closes: list[Closed] = []
        self.connections = 0
        self.sent_again = 0

    async def run(self, run: Run, **options: Unpack[ClientOptions]) -> None:
        """Store ids until the server ends, and the rest after that."""
        connections = reconnecting(
            run.url("/store/{name}"),
            storing,
            params=self._params,
            backoff=BACKOFF,
            on_change=self._on_change,
            **options,
        )
        async for ws in connections:
            self.connections += 1
            try:
                await self._deposit(ws)
            except WebSocketDisconnect:
                continue
        assert connections.change == Change("ended", connections.change.failures)

    async def _deposit(self, ws: Storing) -> None:
        in_flight: deque[str] = deque()
        ids = self._ids_to_send()

        async def put(number: int) -> None:
            for id_ in islice(ids, number):
                if is_owed := self._middle.is_now():
                    ids.close()  # with the next one, it would be acknowledged too
                in_flight.append(id_)
                await ws.send_model(Put(id=id_, more=is_owed))

        await put(IN_FLIGHT)
        async for stored in ws:
            for id_ in stored.ids:
                assert in_flight.popleft() == id_  # only what was sent over this connection
                self.acknowledged.append(id_)
                self._middle.acknowledged()
            await put(len(stored.ids))
            if not in_flight:
                await ws.close()

    def _ids_to_send(self) -> Generator[str]:
        """Yield the ids to send over this connection: first those that were not acknowledged."""
        for id_ in self.ids[len(self.acknowledged) :]:
            self.sent_again += 1
            yield id_
        while len(self.ids) < MESSAGES or self.connections == 1:
            self.ids.append(f"{self._params.name}-{len(self.ids)}")
            yield self.ids[-1]

    def _on_change(self, change: Change) -> None:
        if change.state == "waiting":
            if isinstance(change.cause, Closed):
                self.closes.append(change.cause)
            elif isinstance(change.cause, ServerUnreachable | ConnectTimeout):
                self._middle.was_unreachable.set()

    def first_stored(self, stored: Iterable[str]) -> Tally:
        """Compare the sent ids with the store, where only the first place of each id counts."""
        known = set(self.ids)
        return Tally.of(self.ids, [id_ for id_ in dict.fromkeys(stored) if id_ in known])
