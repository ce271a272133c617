"""One clock for all connections of an event loop, which looks at each now and then. What it looks for is theirs.

A deadline for each message would cost several times the message; a look at every connection once in a while is free.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from contextvars import copy_context
from math import inf
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVarTuple, Unpack
from weakref import WeakKeyDictionary

from anyio import CancelScope
from anyio.lowlevel import RunVar

__all__ = ["Interruption", "Watchdog", "Watched", "period_for", "running_trio", "watchdog"]

Args = TypeVarTuple("Args")

_LONGEST: Final = 1.0
_SHORTEST: Final = 0.01
_LOOKS: Final = 8
"""How often a connection is looked at within its shortest timeout."""


def period_for(timeout: float) -> float:
    """Give how many seconds may lie between two looks for such a timeout."""
    return min(_LONGEST, max(_SHORTEST, timeout / _LOOKS))


class Watched(Protocol):
    """What is looked at."""

    def look(self, now: float) -> None:
        """Look, and act on what is found; ``now`` is the time of the event loop, in seconds. Must not raise."""
        ...


class Interruption(Protocol):
    """What a block is left by."""

    def cancel(self) -> None:
        """Cancel the block, which ends it without an exception; again where the block has not heeded it.

        After the block it does nothing.
        """
        ...


class _TaskInterruption:
    """Cancels the task and takes that back where the block ends, as ``asyncio.timeout`` does.

    A scope of anyio would do the same for a fifth of what a whole handshake costs.
    """

    __slots__ = ("_requests", "_task")

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._requests = 0
        return self

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._requests += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        task, self._task = self._task, None
        if not self._requests or task is None:
            return False
        for _ in range(self._requests):
            task.uncancel()
        is_ours = task.cancelling() == 0
        return is_ours and kind is not None and issubclass(kind, asyncio.CancelledError)


class Watchdog:
    """The clock of one event loop; it ticks while there is something to look at, and once more."""

    # It keeps no timer: that would know its loop, which then were never forgotten.

    def __init__(self) -> None:
        self._trio = running_trio()
        self._watched: dict[Watched, float] = {}
        self._period: float = inf
        self._tasks: set[asyncio.Task[None]] = set()
        self._round: int = 0
        """Which of the clocks that were started is in use: the last one. The others stop."""

    def add(self, watched: Watched, period: float) -> None:
        """Look at it from now on, at least once in ``period`` seconds."""
        self._watched[watched] = period
        if period < self._period:
            self._period = period
            self._start()

    def discard(self, watched: Watched) -> None:
        """Look at it no more."""
        self._watched.pop(watched, None)

    def interruptible(self) -> AbstractContextManager[Interruption, bool | None]:
        """Make a context whose block can be cancelled by who looks."""
        return CancelScope() if self._trio else _TaskInterruption()

    def spawn(self, function: Callable[[Unpack[Args]], Coroutine[Any, Any, None]], *args: *Args) -> None:
        """Run a task that belongs to nobody, and must not raise; in a copy of the context of who calls."""
        if self._trio:
            self._trio.lowlevel.spawn_system_task(function, *args, context=copy_context())
            return
        task = asyncio.get_running_loop().create_task(function(*args))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _start(self) -> None:
        self._round += 1
        if self._trio:
            self._trio.lowlevel.spawn_system_task(self._run, self._trio, self._round, name="typedws.watchdog")
        else:
            self._wait(asyncio.get_running_loop(), self._round)

    def _wait(self, loop: asyncio.AbstractEventLoop, round_: int) -> None:
        loop.call_later(self._period, self._tick, loop, round_)

    def _tick(self, loop: asyncio.AbstractEventLoop, round_: int) -> None:
        if round_ == self._round and self._look(loop.time()):
            self._wait(loop, round_)

    async def _run(self, trio: Any, round_: int) -> None:
        is_needed = True
        while is_needed:
            await trio.sleep(self._period)
            is_needed = round_ == self._round and self._look(trio.current_time())

    def _look(self, now: float) -> bool:
        """Look at all, and tell whether anything is left to look at."""
        for watched in tuple(self._watched):
            watched.look(now)
        self._period = min(self._watched.values(), default=inf)
        return bool(self._watched)


def running_trio() -> Any:
    """Give trio if it runs us: it is not imported, for it need not be installed."""
    trio: Any = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_run() else None


_of_loops: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Watchdog]] = WeakKeyDictionary()
_of_trio: Final[RunVar[Watchdog]] = RunVar("typedws.watchdog")


def watchdog() -> Watchdog:
    """Give the watchdog of the running event loop."""
    if running_trio():
        try:
            return _of_trio.get()
        except LookupError:
            _of_trio.set(made := Watchdog())
            return made
    loop = asyncio.get_running_loop()
    if (found := _of_loops.get(loop)) is None:
        found = _of_loops[loop] = Watchdog()
    return found
