"""The event loop that a test runs on: tasks beside it, whether all of them wait, its time. No connection is known here.

One class for each kind of loop; private details of loops live here only. Tasks are not children of the test's: a
connection may be opened in one task and left in another, as the fixtures of some test runners are.
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
"""Lets another thread have a function called on the loop."""

_MOST_ROUNDS: Final = 10_000
"""How often all tasks may run before they are taken to never wait."""


class EventLoop(ABC):
    """What the harness asks of an event loop."""

    @abstractmethod
    def spawn(self, run: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], object]:
        """Start a task that must not raise, and give what cancels it."""

    @abstractmethod
    def poster(self) -> Poster:
        """Give what lets other threads have a function called here, without waiting for it."""

    @abstractmethod
    async def settle(self) -> None:
        """Wait until all other tasks wait for something that is not there."""

    @abstractmethod
    def next_timer(self) -> float:
        """Give how many seconds it is until the next timer is due; infinity for none."""

    @abstractmethod
    def shift(self, seconds: float) -> None:
        """Let so much time have passed, for good."""


class _Asyncio(EventLoop):
    def __init__(self) -> None:
        self._loop: Any = asyncio.get_running_loop()

    def spawn(self, run: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], object]:
        return asyncio.get_running_loop().create_task(run()).cancel

    def poster(self) -> Poster:
        return asyncio.get_running_loop().call_soon_threadsafe

    async def settle(self) -> None:
        ready = getattr(self._loop, "_ready", None)  # uvloop's is hidden
        for _ in range(_FEW_ROUNDS if ready is None else _MOST_ROUNDS):
            await asyncio.sleep(0)
            if ready is not None and not ready:
                return

    def next_timer(self) -> float:
        timers = cast("list[asyncio.TimerHandle]", vars(self._loop)["_scheduled"])
        now: float = self._loop.time()
        return min((each.when() for each in timers if not each.cancelled()), default=inf) - now

    def shift(self, seconds: float) -> None:
        if not hasattr(self._loop, "_scheduled"):
            raise RuntimeError("expected asyncio's own event loop, found one whose clock is fixed")
        if not isinstance(self._loop.time, _ShiftedTime):
            self._loop.time = _ShiftedTime(self._loop.time)
        self._loop.time.offset += seconds


_FEW_ROUNDS: Final = 50


class _ShiftedTime:
    """The time of a loop, ahead of what it was."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self.offset: float = 0.0

    def __call__(self) -> float:
        return self._time() + self.offset


class _Trio(EventLoop):
    def __init__(self, trio: Any) -> None:
        self._trio = trio

    def spawn(self, run: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], object]:
        scope = self._trio.CancelScope()

        async def scoped() -> None:
            with scope:
                await run()

        self._trio.lowlevel.spawn_system_task(scoped, context=contextvars.copy_context())
        cancel: Callable[[], object] = scope.cancel
        return cancel

    def poster(self) -> Poster:
        post: Poster = self._trio.lowlevel.current_trio_token().run_sync_soon
        return post

    async def settle(self) -> None:
        wait: Callable[[], Awaitable[None]] = import_module("trio.testing").wait_all_tasks_blocked
        await wait()

    def next_timer(self) -> float:
        seconds: float = self._trio.lowlevel.current_statistics().seconds_to_next_deadline
        return seconds

    def shift(self, seconds: float) -> None:
        clock = self._trio.lowlevel.current_clock()
        if not hasattr(clock, "jump"):  # a clock for tests has it already
            runner = import_module("trio._core._run").GLOBAL_RUN_CONTEXT.runner
            clock = runner.clock = _ShiftedClock(clock)
        clock.jump(seconds)


class _ShiftedClock:
    """The clock of a run of trio, ahead of what it was: as much of trio's interface as a run that has begun needs."""

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
    """Give the event loop that runs the caller."""
    trio = running_trio()
    return _Asyncio() if trio is None else _Trio(trio)


async def settle() -> None:
    """Wait until all other tasks of the event loop wait for something that is not there: a message, a time, a lock.

    What happens in other threads or comes from a network is not waited for.
    """
    await running_loop().settle()


async def advance_clock(seconds: float) -> None:
    """Let time pass on this event loop, as if one had waited: every timer on the way is due, one after the other.

    It takes milliseconds: ``sleep``, time limits, and all timeouts of a `Policy` follow the clock of the loop. The loop
    stays ahead afterwards. On trio and on asyncio's own loops.

    :raises RuntimeError: on a loop whose clock cannot be set, such as uvloop's
    """
    loop = running_loop()
    left = seconds
    await loop.settle()
    loop.shift(0)
    while (step := max(loop.next_timer(), 0.0)) < left:
        loop.shift(step)
        left -= step
        await loop.settle()
    loop.shift(left)
    await loop.settle()
