"""`Inbox`: events that one task reads ahead for another. No server is called here."""

from collections import deque
from collections.abc import Mapping
from typing import Any

import anyio

__all__ = ["Inbox"]


class Inbox:
    """Events that a task has read ahead, for the task that will receive them. In order; none is dropped here."""

    __slots__ = ("_arrival", "events", "is_fed")

    def __init__(self) -> None:
        self.events: deque[Mapping[str, Any]] = deque()
        self.is_fed: bool = False
        """Whether a task reads ahead now. While it does, no other task may call the server's ``receive``."""
        self._arrival = anyio.Event()

    def put(self, event: Mapping[str, Any]) -> None:
        """Add an event and wake the receiving task."""
        self.events.append(event)
        self.wake()

    def wake(self) -> None:
        """Wake the receiving task, to check the inbox again."""
        self._arrival.set()
        self._arrival = anyio.Event()

    async def get(self) -> Mapping[str, Any] | None:
        """Return the next event, or ``None`` once the inbox is empty and no task feeds it."""
        while not self.events:
            if not self.is_fed:
                return None
            await self._arrival.wait()
        return self.events.popleft()
