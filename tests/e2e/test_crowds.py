"""Two hundred connections that are opened and dropped at once leave nothing behind, on any server."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

import pytest

from tests.e2e.driving import DEPARTURES, Departure
from tests.e2e.raw_client import RawClient, raw_client
from tests.e2e.servers import RunningServer

pytestmark = pytest.mark.anyio

CROWD: Final = 200


@pytest.mark.parametrize("app", ["iterates", "only_sends", "feeds", "receives", "is_cancelled_on_disconnect"])
async def test_a_crowd_that_leaves_at_once_leaves_nothing_behind(host: RunningServer, app: str) -> None:
    before = await host.census()
    logged = len(host.log)
    async with host.run(f"tests.e2e.behaving:{app}") as run:
        async with AsyncExitStack() as stack:

            async def one(number: int) -> RawClient:
                client = await stack.enter_async_context(raw_client(host.port, run.path(client=str(number))))
                assert await client.next_frame() is not None
                return client

            crowd = await asyncio.gather(*map(one, range(CROWD)))
            for number, client in enumerate(crowd):
                DEPARTING[number % len(DEPARTING)](client)
            await run.ended(CROWD)
        assert run.ends == [None] * CROWD
        await host.settled(before)
    assert [line for line in host.log[logged:] if line.level != "DEBUG"] == []


DEPARTING: Final[list[Departure]] = [*DEPARTURES.values()]
