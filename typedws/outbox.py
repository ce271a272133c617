"""Outboxes: what the members of a group have still to hear, and what happens when one is full. Nobody joins here."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final, Literal, TypeAlias

import anyio
import anyio.lowlevel

from typedws.session import Session

__all__ = ["OUTBOXES", "Call", "Common", "Encode", "Event", "Outbox", "Overflow"]

Overflow: TypeAlias = Literal["close", "drop_oldest", "drop_newest", "conflate", "block"]
"""What happens when a message comes for a member for whom as many wait as may; see `Group`."""

Event: TypeAlias = Mapping[str, object]
"""An ASGI event that sends a message."""

Encode: TypeAlias = Callable[[Any], str | bytes]


class Common:
    """What the members of a group have in common: what is counted of all that ever were, and what wakes the idle."""

    __slots__ = ("_news", "closed", "dropped", "sent")

    def __init__(self) -> None:
        self.sent: int = 0
        self.dropped: int = 0
        self.closed: int = 0
        self._news: anyio.Event | None = None

    def news(self) -> anyio.Event:
        """Give an event to wait for. One for all members: to make one for each doubles what a message to all costs."""
        if self._news is None or self._news.is_set():
            self._news = anyio.Event()
        return self._news

    def forget_news(self) -> None:
        """Let the next member be on another event loop."""
        self._news = None


class Call:
    """One call of ``send``: for how many members it is queued, and which outboxes are too full for it."""

    __slots__ = ("_room", "full", "key", "queued")

    def __init__(self, key: Hashable) -> None:
        self.key: Hashable = key
        self.queued: int = 0
        self.full: set[Blocking] = set()
        self._room: anyio.Event | None = None

    def waits_no_more(self, outbox: "Blocking") -> None:
        self.full.remove(outbox)
        if not self.full and self._room is not None:
            self._room.set()

    async def completed(self) -> None:
        """Wait for room; where there is no need, let others run all the same: the tasks that empty the outboxes."""
        if not self.full:
            await anyio.lowlevel.checkpoint()
            return
        self._room = anyio.Event()
        try:
            await self._room.wait()
        finally:
            for outbox in self.full:
                outbox.withdraw(self)


class Outbox(ABC):
    """What one member has still to hear. What happens when it is full, each policy's own class says."""

    def __init__(
        self,
        session: Session,
        form: object,
        encode: Encode,
        max_pending: int,
        common: Common,
        resign: Callable[[], None],
    ) -> None:
        self.session: Session = session
        self.form: object = form
        self.encode: Encode = encode
        self.sent: int = 0
        self.dropped: int = 0
        self.is_overdue: bool = False
        """Whether the connection is to be closed, because the peer reads too slowly."""
        self._pending: OrderedDict[Hashable, Event] = OrderedDict()
        self._max_pending = max_pending
        self._common = common
        self._resign = resign
        self._is_member = True
        self._is_writing = False
        self._writing = anyio.CancelScope()
        self._idle: anyio.Event | None = None

    @property
    def count(self) -> int:
        return len(self._pending) + self._is_writing

    @property
    def is_full(self) -> bool:
        # While nothing is being written, it is this member's task that had no turn yet: no fault of the peer.
        return self._is_writing and len(self._pending) >= self._max_pending

    # --- in ---

    def put(self, event: Event, call: Call) -> None:
        """Queue an event, or do what the policy says."""
        if self.is_full:
            self.overflow(event, call)
        else:
            self.add(event, call)

    @abstractmethod
    def overflow(self, event: Event, call: Call) -> None:
        """Do what the policy says with an event for which there is no room."""

    def add(self, event: Event, call: Call) -> None:
        self._pending[call.key] = event
        call.queued += 1
        if self._idle is not None:
            self._idle.set()
            self._idle = None

    def drop(self, count: int) -> None:
        self.dropped += count
        self._common.dropped += count

    # --- out ---

    async def write(self) -> None:
        """Send what is pending, in order, for as long as the member stays."""
        is_alone = False
        with self._writing:
            while True:
                while self._pending:
                    self._is_writing = True
                    await self.session.send_message(self.take())
                    self._is_writing = False
                    self.sent += 1
                    self._common.sent += 1
                if not self._is_member:
                    return
                self._idle = anyio.Event() if is_alone else self._common.news()
                await self._idle.wait()
                is_alone = not self._pending  # woken for others: alone next time

    def take(self) -> Event:
        return self._pending.popitem(last=False)[1]

    # --- the end ---

    def leave(self) -> None:
        """Cease to be a member: what is pending is the last."""
        if self._is_member:
            self._is_member = False
            self._resign()

    def give_up(self) -> None:
        """Leave, because the peer reads too slowly: cancel what is being written, so that a close has its turn."""
        self.leave()
        self.discard()
        self.is_overdue = True
        self._writing.cancel()

    def discard(self) -> None:
        self.drop(len(self._pending))
        self._pending.clear()

    def end(self) -> None:
        """Leave for good, after the last write; one that was cut short counts as dropped."""
        self.leave()
        self.discard()
        self.drop(self._is_writing)
        self._is_writing = False

    def closed(self) -> None:
        self._common.closed += 1


class Closing(Outbox):
    def overflow(self, event: Event, call: Call) -> None:
        self.drop(1)
        self.give_up()


class Conflating(Closing):
    def put(self, event: Event, call: Call) -> None:
        if call.key in self._pending:
            self.drop(1)
            self.add(event, call)  # at the place of the old one
        else:
            super().put(event, call)


class DroppingOldest(Outbox):
    def overflow(self, event: Event, call: Call) -> None:
        while self.is_full:  # after a burst there may be several too many
            self.take()
            self.drop(1)
        self.add(event, call)


class DroppingNewest(Outbox):
    def overflow(self, event: Event, call: Call) -> None:
        self.drop(1)


class Blocking(Outbox):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._waiting: OrderedDict[Call, Event] = OrderedDict()

    def overflow(self, event: Event, call: Call) -> None:
        self._waiting[call] = event
        call.full.add(self)

    def take(self) -> Event:
        event = super().take()
        if self._waiting and not self.is_full:
            call, waiting = self._waiting.popitem(last=False)
            self.add(waiting, call)
            call.waits_no_more(self)
        return event

    def leave(self) -> None:
        super().leave()
        while self._waiting:
            self._waiting.popitem()[0].waits_no_more(self)
            self.drop(1)

    def withdraw(self, call: Call) -> None:
        """Forget an event whose sender waits no more."""
        del self._waiting[call]


OUTBOXES: Final[dict[Overflow, type[Outbox]]] = {
    "close": Closing,
    "drop_oldest": DroppingOldest,
    "drop_newest": DroppingNewest,
    "conflate": Conflating,
    "block": Blocking,
}
