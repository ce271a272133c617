"""Both WebSocket implementations of uvicorn, one server of each for a module; asyncio only, as uvicorn is."""

from collections.abc import AsyncGenerator

import pytest

from tests.e2e.serving import IMPLEMENTATIONS, Server, running


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Name the only backend on which uvicorn runs."""
    return "asyncio"


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
async def server(request: pytest.FixtureRequest) -> AsyncGenerator[Server]:
    """Run uvicorn for the tests of a module: starting and stopping one takes longer than most tests."""
    async with running(request.param) as server:
        yield server
