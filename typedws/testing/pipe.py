"""A pipe: events in one direction, in order, with the backpressure of TCP: a sender waits while the pipe is full."""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import anyio

from typedws._protocol.events import frame_of

__all__ = ["BUFFER_SIZE", "Pipe", "size_of"]

BUFFER_SIZE: Final = 2**20
"""The pipe is full with this many bytes; a sender then has to wait."""

_Event = Mapping[str, Any]


class Pipe:
    """Events on the way from one end of a connection to the other. The last event is the end of the connection."""

    def __init__(self) -> None:
        self.last: _Event | None = None
        """The event that ends the connection, once it was put."""
        self.is_read: bool = True
        """Whether the other end reads; while it does not, the pipe counts as full."""
        self._events: deque[_Event] = deque()
        self._size = 0
        # Replaced at each wake(): an anyio.Event cannot be cleared.
        self._change = anyio.Event()

    @property
    def is_over(self) -> bool:
        """Whether the last event was put."""
        return self.last is not None

    @property
    def is_full(self) -> bool:
        """Whether a sender has to wait before it puts a message."""
        return not self.is_read or self._size >= BUFFER_SIZE

    @property
    def next(self) -> _Event | None:
        """The next event, without taking it, or ``None`` while there is none."""
        return self._events[0] if self._events else None

    async def wait_for_room(self) -> None:
        """Wait until there is room for a message, or the pipe is over."""
        while self.is_full and not self.is_over:
            await self._change.wait()

    def put(self, event: _Event) -> None:
        """Add an event."""
        self._events.append(event)
        self._size += size_of(event)
        self.wake()

    def end(self, event: _Event, *, drop_pending: bool = False) -> None:
        """Add the last event, and with ``drop_pending`` lose those on the way; does nothing if the pipe is over."""
        if self.is_over:
            return
        if drop_pending:
            self._events.clear()
            self._size = 0
        self.last = event
        self.put(event)

    async def get(self) -> _Event | None:
        """Take the next event, or return ``None`` once the last event was taken."""
        while not self._events:
            if self.is_over:
                return None
            await self._change.wait()
        event = self._events.popleft()
        self._size -= size_of(event)
        self.wake()
        return event

    def wake(self) -> None:
        """Wake all waiting tasks, so that they check their conditions again."""
        self._change.set()
        self._change = anyio.Event()


def size_of(event: _Event) -> int:
    """Return the size of a message in bytes (of UTF-8 for text); 0 for any other event."""
    frame = frame_of(event)
    return len(frame) if isinstance(frame, bytes) else len(frame.encode(errors="surrogatepass"))
