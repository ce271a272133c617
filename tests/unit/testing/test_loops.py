"""The event loops that tests run on: waiting for their tasks, and advancing their clocks."""

import asyncio
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio
import trio.testing
import uvloop

from typedws import Connection, endpoint
from typedws.testing import advance_clock, connect, settle


@endpoint
async def echo(ws: Connection[str, str]) -> None:
    async for text in ws:
        await anyio.sleep(60)
        await ws.send_model(text)


@pytest.mark.anyio
async def test_settle_waits_until_all_tasks_are_blocked() -> None:
    steps: list[int] = []

    async def take_steps() -> None:
        for step in range(100):
            await anyio.lowlevel.checkpoint()
            steps.append(step)
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take_steps)
        await settle()
        assert len(steps) == 100
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_settle_does_not_wait_for_ever_for_a_task_that_never_blocks() -> None:
    async def run() -> None:
        while True:
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        with anyio.move_on_after(0.5):  # on trio settle() never returns, on asyncio it gives up
            await settle()
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_the_clock_advances_by_the_given_time() -> None:
    started = anyio.current_time()
    await advance_clock(1000)
    await advance_clock(0)
    assert 1000 <= anyio.current_time() - started < 1001


def test_uvloop_runs_connections_but_its_clock_cannot_be_advanced() -> None:
    async def main() -> None:
        async with connect(echo) as ws:
            await ws.expect_nothing()
            with pytest.raises(RuntimeError, match="found another, whose clock cannot be set"):
                await advance_clock(60)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def test_a_mock_clock_of_trio_can_be_advanced_too() -> None:
    async def main() -> float:
        started = trio.current_time()
        async with connect(echo) as ws:
            await advance_clock(1000)
            await ws.send_model("hi")
            assert await ws.expect(str) == "hi"
        return trio.current_time() - started

    clock: Any = trio.testing.MockClock(autojump_threshold=0)
    assert trio.run(main, clock=clock) >= 1060
