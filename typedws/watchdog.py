"""One clock for all connections of an event loop, which looks at each now and then. What it looks for is theirs.

A deadline for each message would cost several times the message; a look at every connection once in a while is free.
"""

import asyncio
import sys
from typing import Any, Final, Protocol

from anyio.lowlevel import RunVar

__all__ = ["Watchdog", "Watched", "watchdog"]

_LONGEST: Final = 1.0
_SHORTEST: Final = 0.01
_LOOKS: Final = 8
"""How often a connection is looked at within its shortest timeout."""


class Watched(Protocol):
    """What is looked at."""

    def look(self, now: float) -> None:
        """Look, and act on what is found; ``now`` is the time of the event loop, in seconds. Must not raise."""
        ...


class Watchdog:
    """The clock of one event loop; it ticks while there is something to look at."""

    def __init__(self) -> None:
        self._watched: dict[Watched, float] = {}
        self._period: float = _LONGEST
        self._timer: asyncio.TimerHandle | None = None
        self._is_running: bool = False

    def add(self, watched: Watched, timeout: float) -> None:
        """Look at it from now on, several times within ``timeout`` seconds."""
        period = min(_LONGEST, max(_SHORTEST, timeout / _LOOKS))
        self._watched[watched] = period
        if not self._is_running:
            self._period = period
            self._start()
        elif period < self._period:
            self._period = period
            if self._timer is not None:
                self._timer.cancel()
                self._wait(asyncio.get_running_loop())

    def discard(self, watched: Watched) -> None:
        """Look at it no more."""
        self._watched.pop(watched, None)
        if not self._watched and self._timer is not None:
            self._timer.cancel()
            self._timer, self._is_running = None, False

    def _start(self) -> None:
        self._is_running = True
        trio: Any = sys.modules.get("trio")
        if trio is not None and trio.lowlevel.in_trio_run():
            trio.lowlevel.spawn_system_task(self._run, trio.sleep, trio.current_time, name="typedws.watchdog")
        else:
            self._wait(asyncio.get_running_loop())

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self._period, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._look(loop.time())
        if self._watched:
            self._wait(loop)
        else:
            self._timer, self._is_running = None, False

    async def _run(self, sleep: Any, current_time: Any) -> None:
        while self._watched:
            await sleep(self._period)
            self._look(current_time())
        self._is_running = False

    def _look(self, now: float) -> None:
        for watched in tuple(self._watched):
            watched.look(now)
        self._period = min(self._watched.values(), default=_LONGEST)


_watchdog: RunVar[Watchdog] = RunVar("typedws.watchdog")


def watchdog() -> Watchdog:
    """Give the watchdog of the running event loop."""
    try:
        return _watchdog.get()
    except LookupError:
        made = Watchdog()
        _watchdog.set(made)
        return made
