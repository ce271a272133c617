"""`Inbox`: events that one task receives for another one. Nothing is awaited from a server here."""

from collections import deque
from collections.abc import Mapping
from typing import Any

import anyio

__all__ = ["Inbox"]


class Inbox:
    """Events that somebody else receives, for the task that will ask for them. In order; none is dropped here."""

    __slots__ = ("_arrival", "events", "is_fed")

    def __init__(self) -> None:
        self.events: deque[Mapping[str, Any]] = deque()
        self.is_fed: bool = False
        self._arrival = anyio.Event()

    def put(self, event: Mapping[str, Any]) -> None:
        """Keep an event, and wake who waits for it."""
        self.events.append(event)
        self.wake()

    def wake(self) -> None:
        """Let the task that waits look again."""
        self._arrival.set()
        self._arrival = anyio.Event()

    async def get(self) -> Mapping[str, Any] | None:
        """Give the next event; ``None`` once nobody feeds the inbox any more and it is empty."""
        while not self.events:
            if not self.is_fed:
                return None
            await self._arrival.wait()
        return self.events.popleft()
