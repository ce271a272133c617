"""One clock for all connections of an event loop, which looks at each now and then. What it looks for is theirs.

A deadline for each message would cost several times the message; a look at every connection once in a while is free.
"""

import asyncio
from math import inf
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from anyio.lowlevel import RunVar

from typedws._runtime.event_loop import running_trio

__all__ = ["Watchdog", "Watched", "check_interval", "watchdog"]

_LONGEST: Final = 1.0
_SHORTEST: Final = 0.01
_LOOKS: Final = 8
"""How often a connection is looked at within its shortest timeout."""


def check_interval(timeout: float) -> float:
    """Give how many seconds may lie between two looks for such a timeout."""
    return min(_LONGEST, max(_SHORTEST, timeout / _LOOKS))


class Watched(Protocol):
    """What is looked at."""

    def look(self, now: float) -> None:
        """Look, and act on what is found; ``now`` is the time of the event loop, in seconds. Must not raise."""
        ...


class Watchdog:
    """The clock of one event loop; it ticks while there is something to look at, and once more."""

    # It keeps no timer: that would know its loop, which then were never forgotten.

    def __init__(self) -> None:
        self._trio = running_trio()
        self._watched: dict[Watched, float] = {}
        self._period: float = inf
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
