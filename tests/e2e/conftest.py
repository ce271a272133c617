"""The servers of the tests: uvicorn in the event loop of each test module, all others in processes of their own."""

from collections.abc import AsyncGenerator, Generator
from typing import TypeAlias

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
    """Return a server and its event loop."""
    chosen: Place = request.param
    return chosen


@pytest.fixture(scope="session")
def host(place: Place) -> Generator[RunningServer]:
    """Run a server; pytest keeps the tests of one place together."""
    server = RunningServer(*place)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.end()
