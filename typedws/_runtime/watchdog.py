"""The watchdog: one clock per event loop, which checks connections periodically. What is checked is defined elsewhere.

A deadline for each message would cost several times as much as the message itself. One timer that checks all
connections of a loop from time to time costs a message nothing.
"""

import asyncio
from math import inf
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from anyio.lowlevel import RunVar

from typedws._runtime.event_loop import running_trio

__all__ = ["Watchdog", "Watched", "check_interval", "watchdog"]

_LONGEST_INTERVAL: Final = 1.0
_SHORTEST_INTERVAL: Final = 0.01
_CHECKS_PER_TIMEOUT: Final = 8
"""How often a connection is checked within its shortest timeout."""


def check_interval(timeout: float) -> float:
    """Return the seconds between two checks for this timeout: an eighth of it, from 10 ms to 1 s."""
    return min(_LONGEST_INTERVAL, max(_SHORTEST_INTERVAL, timeout / _CHECKS_PER_TIMEOUT))


class Watched(Protocol):
    """Something that is checked periodically."""

    def check(self, now: float) -> None:
        """Check, and act on the result; ``now`` is the time of the event loop, in seconds.

        It must not raise: the clock would stop for all connections of the loop, and on trio the run would crash. It may
        add to the watchdog, and discard.
        """
        ...


class Watchdog:
    """The clock of one event loop. It ticks while there is something to check, and once more after that."""

    # It keeps no timer handle. A handle refers to its loop, and the loop is the weak key under which this object is
    # stored: the entry, and with it every loop that ever had a connection, would never be freed. That is why the loop
    # is an argument of the callbacks, and why a clock is not cancelled but replaced by the next generation.

    def __init__(self) -> None:
        self._trio = running_trio()
        self._watched: dict[Watched, float] = {}
        self._interval: float = inf
        self._generation: int = 0
        """The number of clocks started so far. Only the last one is in use; the others stop at their next tick."""

    def add(self, watched: Watched, interval: float) -> None:
        """Check it from now on, at least once every ``interval`` seconds."""
        self._watched[watched] = interval
        # The running clock may sleep longer than that, so it is replaced. Its interval is infinite if none runs.
        if interval < self._interval:
            self._interval = interval
            self._start()

    def discard(self, watched: Watched) -> None:
        """Stop checking it."""
        self._watched.pop(watched, None)

    def _start(self) -> None:
        self._generation += 1
        if self._trio:
            self._trio.lowlevel.spawn_system_task(self._run, self._trio, self._generation, name="typedws.watchdog")
        else:
            self._wait(asyncio.get_running_loop(), self._generation)

    def _wait(self, loop: asyncio.AbstractEventLoop, generation: int) -> None:
        loop.call_later(self._interval, self._tick, loop, generation)

    def _tick(self, loop: asyncio.AbstractEventLoop, generation: int) -> None:
        if generation == self._generation and self._check_all(loop.time()):
            self._wait(loop, generation)

    async def _run(self, trio: Any, generation: int) -> None:
        is_needed = True
        while is_needed:
            await trio.sleep(self._interval)
            is_needed = generation == self._generation and self._check_all(trio.current_time())

    def _check_all(self, now: float) -> bool:
        """Check everything, and return whether the clock is still needed."""
        for watched in tuple(self._watched):  # a copy, as a check may discard itself
            watched.check(now)
        # Slower once the most frequent check is discarded; infinite if none is left, so that the next add() starts
        # a clock.
        self._interval = min(self._watched.values(), default=inf)
        return bool(self._watched)


# asyncio loops are keys of a weak dictionary, so that a loop that is over is freed. trio has no loop object to use as
# a key; a RunVar belongs to one trio.run().
_watchdogs: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Watchdog]] = WeakKeyDictionary()
_trio_watchdog: Final[RunVar[Watchdog]] = RunVar("typedws.watchdog")


def watchdog() -> Watchdog:
    """Return the watchdog of the running event loop, created at the first call."""
    if running_trio():
        try:
            return _trio_watchdog.get()
        except LookupError:
            _trio_watchdog.set(created := Watchdog())
            return created
    loop = asyncio.get_running_loop()
    if (existing := _watchdogs.get(loop)) is None:
        existing = _watchdogs[loop] = Watchdog()
    return existing
