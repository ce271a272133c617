"""The clock of an event loop: how often it looks, that it stops, that it keeps no loop alive; and being interrupted."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio

from typedws._runtime.event_loop import interruptible
from typedws._runtime.watchdog import Watchdog, check_interval, watchdog

pytestmark = pytest.mark.anyio


class Looked:
    """Something to look at, which notes when it was."""

    def __init__(self, enough: int = 3) -> None:
        self.times: list[float] = []
        self.was_looked_at = anyio.Event()
        self._enough = enough

    def look(self, now: float) -> None:
        self.times.append(now)
        if len(self.times) == self._enough:
            self.was_looked_at.set()

    async def enough(self) -> None:
        with anyio.fail_after(5):
            await self.was_looked_at.wait()


@pytest.mark.parametrize(
    ("timeout", "period"), [(0.001, 0.01), (0.08, 0.01), (0.8, 0.1), (8, 1), (30, 1), (float("inf"), 1)]
)
def test_a_timeout_is_looked_at_eight_times_within_it_but_not_for_ever(timeout: float, period: float) -> None:
    assert check_interval(timeout) == pytest.approx(period)


async def test_what_is_added_is_looked_at_until_it_is_discarded() -> None:
    dog, one, other = Watchdog(), Looked(), Looked()
    dog.add(one, 0.01)
    dog.add(other, 0.01)
    await one.enough()
    await other.enough()
    dog.discard(one)
    seen, other = len(one.times), Looked()
    dog.add(other, 0.01)
    await other.enough()
    assert len(one.times) == seen
    assert other.times == sorted(other.times)
    dog.discard(one)


async def test_the_time_is_the_event_loops() -> None:
    dog, one = Watchdog(), Looked(1)
    before = anyio.current_time()
    dog.add(one, 0.01)
    await one.enough()
    assert before <= one.times[0] <= anyio.current_time()
    dog.discard(one)


async def test_a_short_period_does_not_wait_for_a_long_one_to_pass() -> None:
    dog, slow, quick = Watchdog(), Looked(), Looked()
    dog.add(slow, 1.0)
    await anyio.wait_all_tasks_blocked()
    dog.add(quick, 0.01)
    with anyio.fail_after(0.9):
        await quick.enough()
    dog.discard(slow)
    dog.discard(quick)


async def test_it_starts_again_after_it_has_stopped() -> None:
    dog = Watchdog()
    for _ in range(3):
        one = Looked()
        dog.add(one, 0.01)
        await one.enough()
        dog.discard(one)
        nobody = Looked(1)
        dog.add(nobody, 0.01)
        await nobody.enough()
        dog.discard(nobody)


async def test_a_loop_has_one() -> None:
    assert watchdog() is watchdog()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_it_ticks_once_more_and_then_leaves_nothing_on_the_loop() -> None:
    scheduled: list[Any] = vars(asyncio.get_running_loop())["_scheduled"]
    dog, one = Watchdog(), Looked(1)

    def ticks() -> int:
        return sum(not handle.cancelled() and f"{Watchdog.__name__}._tick" in repr(handle) for handle in scheduled)

    before = ticks()
    dog.add(one, 0.01)
    assert ticks() == before + 1
    await one.enough()
    dog.discard(one)
    with anyio.fail_after(5):
        while ticks() > before:
            await anyio.lowlevel.checkpoint()
    assert len(one.times) == 1


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_it_ticks_once_more_and_then_leaves_no_task() -> None:
    root = trio.lowlevel.current_root_task()
    assert root is not None

    def tasks() -> int:
        return sum(task.name == "typedws.watchdog" for nursery in root.child_nurseries for task in nursery.child_tasks)

    dog, one = Watchdog(), Looked(1)
    before = tasks()
    dog.add(one, 0.01)
    assert tasks() == before + 1
    await one.enough()
    dog.discard(one)
    with anyio.fail_after(5):
        while tasks() > before:
            await anyio.lowlevel.checkpoint()


def test_loops_that_are_over_are_forgotten_even_with_a_tick_to_come() -> None:
    async def connect() -> None:
        one = Looked(1)
        watchdog().add(one, 0.01)
        await one.enough()
        watchdog().discard(one)
        watchdog().add(one, 1.0)
        watchdog().discard(one)

    def run() -> "weakref.ref[asyncio.AbstractEventLoop]":
        loop = asyncio.new_event_loop()
        loop.run_until_complete(connect())
        loop.close()
        return weakref.ref(loop)

    over = [run() for _ in range(3)]
    gc.collect()
    assert [each() for each in over] == [None] * 3


def test_several_event_loops_one_after_the_other_have_one_each() -> None:
    seen: list[Watchdog] = []

    async def connect() -> None:
        one = Looked(1)
        dog = watchdog()
        dog.add(one, 0.01)
        await one.enough()
        dog.discard(one)
        seen.append(dog)

    for backend in ("asyncio", "trio", "asyncio", "trio"):
        anyio.run(connect, backend=backend)
    assert len({id(dog) for dog in seen}) == 4


# --- being interrupted ---


async def interrupted(block: Callable[[], Any]) -> bool:
    """Run a block and interrupt it when it waits; say whether it ended by that."""
    is_through = False
    async with anyio.create_task_group() as group:
        with interruptible() as interruption:

            async def interrupt() -> None:
                await anyio.wait_all_tasks_blocked()
                interruption.cancel()

            group.start_soon(interrupt)
            await block()
            is_through = True
    return not is_through


async def test_an_interrupted_block_ends_without_an_exception_and_what_follows_goes_on() -> None:
    with anyio.fail_after(5):
        assert await interrupted(anyio.sleep_forever)
        await anyio.lowlevel.checkpoint()


async def test_a_block_that_is_not_interrupted_ends_as_it_ends() -> None:
    with pytest.raises(ZeroDivisionError), interruptible():
        _ = 1 / 0
    with interruptible():
        await anyio.lowlevel.checkpoint()


async def test_an_exception_of_an_interrupted_block_passes() -> None:
    async def fail() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError

    with anyio.fail_after(5), pytest.raises((ValueError, ExceptionGroup)) as caught:
        await interrupted(fail)
    error: BaseException = caught.value
    assert isinstance(error.exceptions[0] if isinstance(error, ExceptionGroup) else error, ValueError)


async def test_a_cancellation_from_outside_passes_an_interrupted_block() -> None:
    with anyio.fail_after(5):
        with anyio.CancelScope() as outer:
            with interruptible() as interruption:
                async with anyio.create_task_group() as group:

                    async def both() -> None:
                        await anyio.wait_all_tasks_blocked()
                        interruption.cancel()
                        outer.cancel()

                    group.start_soon(both)
                    await anyio.sleep_forever()
            await anyio.sleep_forever()
        assert outer.cancelled_caught
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_cancelling_the_task_passes_an_interrupted_block() -> None:
    started = asyncio.Event()
    interruptions: list[Any] = []

    async def block() -> None:
        with interruptible() as interruption:
            interruptions.append(interruption)
            started.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(block())
    await started.wait()
    interruptions[0].cancel()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_runs_in_no_task_is_not_interrupted() -> None:
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def outside_of_tasks() -> None:
        with interruptible() as interruption:
            interruption.cancel()
        done.set()

    loop.call_soon(outside_of_tasks)
    await asyncio.wait_for(done.wait(), 5)
