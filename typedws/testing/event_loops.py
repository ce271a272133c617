"""The event loop of a test: spawn tasks, wait until all tasks are blocked, advance the clock. Knows no connections.

Each kind of loop has one class, and private details of loops are used here only. Spawned tasks are not children of the
test's task: some test runners set up a fixture in one task and tear it down in another, so a connection may be opened
and left in different tasks.
"""

import asyncio
import contextvars
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from importlib import import_module
from math import inf
from typing import Any, Final, TypeAlias, cast

from typedws._runtime.event_loop import running_trio

__all__ = ["EventLoop", "Poster", "advance_clock", "running_loop", "settle"]

Poster: TypeAlias = Callable[[Callable[[], object]], object]
"""Schedules a function on the loop; may be called from any thread."""

_MAX_ROUNDS: Final = 10_000
"""The number of rounds of the loop after which the tasks are assumed to never wait."""


class EventLoop(ABC):
    """The operations that `typedws.testing` needs from an event loop."""

    @abstractmethod
    def spawn(self, run: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], object]:
        """Start a task, and return a function that cancels it. The task must not raise: on trio that ends the run."""

    @abstractmethod
    def poster(self) -> Poster:
        """Return a function that other threads call to schedule a function on this loop, without waiting for it."""

    @abstractmethod
    async def settle(self) -> None:
        """Wait until all other tasks are blocked."""

    @abstractmethod
    def seconds_to_next_timer(self) -> float:
        """Return the seconds until the next timer is due: negative if it is overdue, infinity without timers."""

    @abstractmethod
    def advance(self, seconds: float) -> None:
        """Set the clock ahead, for the rest of the loop's life.

        :raises RuntimeError: if the clock of this loop cannot be set
        """


class _AsyncioLoop(EventLoop):
    def __init__(self) -> None:
        self._loop: Any = asyncio.get_running_loop()

    def spawn(self, run: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], object]:
        # The loop itself refers to its tasks only weakly: the returned bound method keeps this one alive.
        return asyncio.get_running_loop().create_task(run()).cancel

    def poster(self) -> Poster:
        return asyncio.get_running_loop().call_soon_threadsafe

    async def settle(self) -> None:
        # The queue of callbacks that are due is private in asyncio and hidden in uvloop. Each sleep(0) lets all of them
        # run once. When this task resumes to an empty queue, no other task can run. Without the queue, only a fixed
        # number of rounds can be waited for.
        ready = getattr(self._loop, "_ready", None)
        for _ in range(_ROUNDS_WITHOUT_QUEUE if ready is None else _MAX_ROUNDS):
            await asyncio.sleep(0)
            if ready is not None and not ready:
                return

    def seconds_to_next_timer(self) -> float:
        # asyncio keeps cancelled timers in its heap; counted, they would make the clock stop at times when nothing is
        # due.
        timers = cast("list[asyncio.TimerHandle]", vars(self._loop)["_scheduled"])
        now: float = self._loop.time()
        return min((timer.when() for timer in timers if not timer.cancelled()), default=inf) - now

    def advance(self, seconds: float) -> None:
        if not hasattr(self._loop, "_scheduled"):
            raise RuntimeError("expected asyncio's own event loop, found another, whose clock cannot be set")
        # asyncio calls loop.time() for every deadline, so an instance attribute is enough to replace the clock. It is
        # replaced once only: a chain of wrappers would grow with each call.
        if not isinstance(self._loop.time, _OffsetTime):
            self._loop.time = _OffsetTime(self._loop.time)
        self._loop.time.offset += seconds


_ROUNDS_WITHOUT_QUEUE: Final = 50
"""The number of rounds that settle() waits on a loop that hides its queue."""


class _OffsetTime:
    """The ``time`` method of an asyncio loop, with an offset."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self.offset: float = 0.0

    def __call__(self) -> float:
        return self._time() + self.offset


class _TrioLoop(EventLoop):
    def __init__(self, trio: Any) -> None:
        self._trio = trio

    def spawn(self, run: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], object]:
        scope = self._trio.CancelScope()

        async def scoped() -> None:
            with scope:
                await run()

        # A system task belongs to no nursery of the test. By default it would not have the test's context variables.
        self._trio.lowlevel.spawn_system_task(scoped, context=contextvars.copy_context())
        cancel: Callable[[], object] = scope.cancel
        return cancel

    def poster(self) -> Poster:
        post: Poster = self._trio.lowlevel.current_trio_token().run_sync_soon
        return post

    async def settle(self) -> None:
        wait: Callable[[], Awaitable[None]] = import_module("trio.testing").wait_all_tasks_blocked
        await wait()

    def seconds_to_next_timer(self) -> float:
        seconds: float = self._trio.lowlevel.current_statistics().seconds_to_next_deadline
        return seconds

    def advance(self, seconds: float) -> None:
        clock = self._trio.lowlevel.current_clock()
        # trio's MockClock and our _OffsetClock have jump(). Any other clock is wrapped, in trio's private runner: trio
        # has no public way to replace the clock of a run.
        if not hasattr(clock, "jump"):
            runner = import_module("trio._core._run").GLOBAL_RUN_CONTEXT.runner
            clock = runner.clock = _OffsetClock(clock)
        clock.jump(seconds)


class _OffsetClock:
    """A clock of trio with an offset: the part of ``trio.abc.Clock`` that a started run uses."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._offset = 0.0

    def jump(self, seconds: float) -> None:
        self._offset += seconds

    def current_time(self) -> float:
        time: float = self._clock.current_time()
        return time + self._offset

    def deadline_to_sleep_time(self, deadline: float) -> float:
        seconds: float = self._clock.deadline_to_sleep_time(deadline - self._offset)
        return seconds


def running_loop() -> EventLoop:
    """Return the event loop that runs the caller."""
    trio = running_trio()
    return _AsyncioLoop() if trio is None else _TrioLoop(trio)


async def settle() -> None:
    """Wait until all other tasks of the event loop are blocked: each waits for a message, a timer, a lock or the like.

    Work in other threads and input from a network are not waited for.
    """
    await running_loop().settle()


async def advance_clock(seconds: float) -> None:
    """Advance the clock of this event loop, so that every timer in between fires, one after the other.

    This takes milliseconds. ``sleep()``, time limits and all timeouts of a `Policy` follow the clock of the loop. The
    clock stays ahead afterwards. Works on trio and on asyncio's own event loops.

    :param seconds: the time that passes
    :raises RuntimeError: on an event loop whose clock cannot be set, such as uvloop's
    """
    loop = running_loop()
    remaining = seconds
    await loop.settle()
    # Raises here on a loop whose clock cannot be set, before seconds_to_next_timer() reads what such a loop does not
    # have.
    loop.advance(0)
    # Advancing all the time at once would wake every sleeper at the final time: a task that sleeps 10 seconds in a loop
    # would wake once in 35 seconds, not three times.
    while (step := max(loop.seconds_to_next_timer(), 0.0)) < remaining:
        loop.advance(step)
        remaining -= step
        await loop.settle()
    loop.advance(remaining)
    await loop.settle()
