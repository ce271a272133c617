"""The clock of an event loop: its interval, that it stops, that it keeps no loop alive; and interruptible blocks."""

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


class Recorder:
    """A watched object that records the times of its checks, and signals when it has had enough of them."""

    def __init__(self, wanted: int = 3) -> None:
        self.times: list[float] = []
        self.has_enough = anyio.Event()
        self._wanted = wanted

    def check(self, now: float) -> None:
        self.times.append(now)
        if len(self.times) == self._wanted:
            self.has_enough.set()

    async def wait_until_enough(self) -> None:
        with anyio.fail_after(5):
            await self.has_enough.wait()


@pytest.mark.parametrize(
    ("timeout", "interval"), [(0.001, 0.01), (0.08, 0.01), (0.8, 0.1), (8, 1), (30, 1), (float("inf"), 1)]
)
def test_a_timeout_is_checked_eight_times_within_limits(timeout: float, interval: float) -> None:
    assert check_interval(timeout) == pytest.approx(interval)


async def test_a_watched_object_is_checked_until_it_is_discarded() -> None:
    clock, recorder, other = Watchdog(), Recorder(), Recorder()
    clock.add(recorder, 0.01)
    clock.add(other, 0.01)
    await recorder.wait_until_enough()
    await other.wait_until_enough()
    clock.discard(recorder)
    count, other = len(recorder.times), Recorder()
    clock.add(other, 0.01)
    await other.wait_until_enough()
    assert len(recorder.times) == count
    assert other.times == sorted(other.times)
    clock.discard(recorder)


async def test_a_check_gets_the_time_of_the_event_loop() -> None:
    clock, recorder = Watchdog(), Recorder(1)
    before = anyio.current_time()
    clock.add(recorder, 0.01)
    await recorder.wait_until_enough()
    assert before <= recorder.times[0] <= anyio.current_time()
    clock.discard(recorder)


async def test_a_short_interval_does_not_wait_for_a_long_one_to_pass() -> None:
    clock, rare, frequent = Watchdog(), Recorder(), Recorder()
    clock.add(rare, 1.0)
    await anyio.wait_all_tasks_blocked()
    clock.add(frequent, 0.01)
    with anyio.fail_after(0.9):
        await frequent.wait_until_enough()
    clock.discard(rare)
    clock.discard(frequent)


async def test_the_clock_starts_again_after_it_has_stopped() -> None:
    clock = Watchdog()
    for _ in range(3):
        recorder = Recorder()
        clock.add(recorder, 0.01)
        await recorder.wait_until_enough()
        clock.discard(recorder)
        last = Recorder(1)
        clock.add(last, 0.01)
        await last.wait_until_enough()
        clock.discard(last)


async def test_an_event_loop_has_one_watchdog() -> None:
    assert watchdog() is watchdog()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_clock_ticks_once_more_and_then_leaves_nothing_on_the_asyncio_loop() -> None:
    scheduled: list[Any] = vars(asyncio.get_running_loop())["_scheduled"]
    clock, recorder = Watchdog(), Recorder(1)

    def ticks() -> int:
        return sum(not handle.cancelled() and f"{Watchdog.__name__}._tick" in repr(handle) for handle in scheduled)

    before = ticks()
    clock.add(recorder, 0.01)
    assert ticks() == before + 1
    await recorder.wait_until_enough()
    clock.discard(recorder)
    with anyio.fail_after(5):
        while ticks() > before:
            await anyio.lowlevel.checkpoint()
    assert len(recorder.times) == 1


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_the_clock_ticks_once_more_and_then_leaves_no_trio_task() -> None:
    root = trio.lowlevel.current_root_task()
    assert root is not None

    def tasks() -> int:
        return sum(task.name == "typedws.watchdog" for nursery in root.child_nurseries for task in nursery.child_tasks)

    clock, recorder = Watchdog(), Recorder(1)
    before = tasks()
    clock.add(recorder, 0.01)
    assert tasks() == before + 1
    await recorder.wait_until_enough()
    clock.discard(recorder)
    with anyio.fail_after(5):
        while tasks() > before:
            await anyio.lowlevel.checkpoint()


def test_an_ended_event_loop_is_freed_even_with_a_tick_to_come() -> None:
    async def connect() -> None:
        recorder = Recorder(1)
        watchdog().add(recorder, 0.01)
        await recorder.wait_until_enough()
        watchdog().discard(recorder)
        watchdog().add(recorder, 1.0)
        watchdog().discard(recorder)

    def run() -> "weakref.ref[asyncio.AbstractEventLoop]":
        loop = asyncio.new_event_loop()
        loop.run_until_complete(connect())
        loop.close()
        return weakref.ref(loop)

    ended = [run() for _ in range(3)]
    gc.collect()
    assert [each() for each in ended] == [None] * 3


def test_successive_event_loops_have_a_watchdog_each() -> None:
    clocks: list[Watchdog] = []

    async def connect() -> None:
        recorder = Recorder(1)
        clock = watchdog()
        clock.add(recorder, 0.01)
        await recorder.wait_until_enough()
        clock.discard(recorder)
        clocks.append(clock)

    for backend in ("asyncio", "trio", "asyncio", "trio"):
        anyio.run(connect, backend=backend)
    assert len({id(clock) for clock in clocks}) == 4


# --- interruptible blocks ---


async def interrupted(block: Callable[[], Any]) -> bool:
    """Run a block and interrupt it when it waits; return whether it was interrupted."""
    is_completed = False
    async with anyio.create_task_group() as group:
        with interruptible() as interruption:

            async def interrupt() -> None:
                await anyio.wait_all_tasks_blocked()
                interruption.cancel()

            group.start_soon(interrupt)
            await block()
            is_completed = True
    return not is_completed


async def test_an_interrupted_block_ends_without_an_exception_and_the_task_continues() -> None:
    with anyio.fail_after(5):
        assert await interrupted(anyio.sleep_forever)
        await anyio.lowlevel.checkpoint()


async def test_a_block_that_is_not_interrupted_is_unaffected() -> None:
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
async def test_a_callback_outside_of_tasks_is_not_interrupted() -> None:
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def outside_of_tasks() -> None:
        with interruptible() as interruption:
            interruption.cancel()
        done.set()

    loop.call_soon(outside_of_tasks)
    await asyncio.wait_for(done.wait(), 5)
