"""A pipe: events one way, in order. Who puts one waits while nobody takes them away, as TCP makes a sender wait."""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import anyio

from typedws._protocol.events import frame_of

__all__ = ["BUFFER_SIZE", "Pipe", "size_of"]

BUFFER_SIZE: Final = 2**20
"""Bytes that are on the way at most, before who puts more has to wait."""

_Event = Mapping[str, Any]


class Pipe:
    """Events on the way from one end of a connection to the other, the last of which tells that it is over."""

    def __init__(self) -> None:
        self.last: _Event | None = None
        """The event that tells that it is over, once it was put."""
        self.is_read: bool = True
        """Whether the other end takes events away, when it gets to it."""
        self._events: deque[_Event] = deque()
        self._size = 0
        self._change = anyio.Event()

    @property
    def is_over(self) -> bool:
        """Whether the last event was put."""
        return self.last is not None

    @property
    def is_full(self) -> bool:
        """Whether who puts an event has to wait."""
        return not self.is_read or self._size >= BUFFER_SIZE

    @property
    def next(self) -> _Event | None:
        """The event that comes next, which stays; ``None`` while there is none."""
        return self._events[0] if self._events else None

    async def room(self) -> None:
        """Wait until an event may be put, or none any more."""
        while self.is_full and not self.is_over:
            await self._change.wait()

    def put(self, event: _Event) -> None:
        """Put an event."""
        self._events.append(event)
        self._size += size_of(event)
        self.wake()

    def end(self, event: _Event, *, drops: bool = False) -> None:
        """Put the last event, unless that was put; with ``drops``, what is on the way is lost."""
        if self.is_over:
            return
        if drops:
            self._events.clear()
            self._size = 0
        self.last = event
        self.put(event)

    async def get(self) -> _Event | None:
        """Take the next event away; ``None`` once the last is taken."""
        while not self._events:
            if self.is_over:
                return None
            await self._change.wait()
        event = self._events.popleft()
        self._size -= size_of(event)
        self.wake()
        return event

    def wake(self) -> None:
        """Let those who wait look again."""
        self._change.set()
        self._change = anyio.Event()


def size_of(event: _Event) -> int:
    """Give the bytes of a message; nothing for what is none."""
    frame = frame_of(event)
    return len(frame) if isinstance(frame, bytes) else len(frame.encode(errors="surrogatepass"))
