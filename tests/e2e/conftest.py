"""The servers of the tests: uvicorn in the event loop of each test module, all others in processes of their own."""

from collections.abc import AsyncGenerator, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import pytest

from tests.e2e.servers import LOOPS, SERVERS, Loop, RunningServer, ServerName
from tests.e2e.serving import IMPLEMENTATIONS, Server, running

Place: TypeAlias = tuple[ServerName, Loop]
"""A server, and the event loop on which it runs."""

PLACES = [(name, loop) for name in SERVERS for loop in LOOPS[name]]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Return the only backend on which uvicorn runs, and our clients."""
    return "asyncio"


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
async def server(request: pytest.FixtureRequest) -> AsyncGenerator[Server]:
    """Run one uvicorn for all tests of a module: starting and stopping one takes longer than most tests."""
    async with running(request.param) as server:
        yield server


@pytest.fixture(scope="session", params=PLACES, ids="-".join)
def place(request: pytest.FixtureRequest) -> Place:
    """Return a server and its event loop; each is started once."""
    chosen: Place = request.param
    return chosen


@pytest.fixture(scope="session")
def fleet(request: pytest.FixtureRequest) -> Generator[dict[Place, RunningServer]]:
    """Run all servers that the selected tests need, started and stopped together."""
    items = (item for item in request.session.items if isinstance(item, pytest.Function))
    params: list[Mapping[str, Any]] = [item.callspec.params for item in items if hasattr(item, "callspec")]
    places: set[Place] = {each["place"] for each in params if "place" in each}
    fleet = {place: RunningServer(*place) for place in sorted(places)}
    try:
        with ThreadPoolExecutor(len(fleet)) as pool:
            list(pool.map(RunningServer.wait_until_ready, fleet.values()))
        yield fleet
    finally:
        with ThreadPoolExecutor(len(fleet)) as pool:
            list(pool.map(RunningServer.end, fleet.values()))


@pytest.fixture
def host(fleet: dict[Place, RunningServer], place: Place) -> RunningServer:
    """Return a running server."""
    return fleet[place]
