"""Outboxes: what the members of a group have still to hear, and what happens when one is full. Nobody joins here."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final, Literal, TypeAlias

import anyio

from typedws._connection.session import Session
from typedws._runtime.event_loop import Interruption

__all__ = ["OUTBOXES", "Call", "Counts", "Encode", "Event", "Outbox", "Overflow"]

Overflow: TypeAlias = Literal["close", "drop_oldest", "drop_newest", "conflate", "block"]
"""What happens when a message comes for a member for whom as many wait as may; see `Group`."""

Event: TypeAlias = Mapping[str, object]
"""An ASGI event that sends a message."""

Encode: TypeAlias = Callable[[Any], str | bytes]

_PATIENCE: Final = 0.1
"""Seconds after which a server's send that was cancelled is cancelled again."""


class Counts:
    """What is counted of a group's members; ``sent`` only of those that left, as a member counts that itself."""

    __slots__ = ("closed", "dropped", "sent")

    def __init__(self) -> None:
        self.sent: int = 0
        self.dropped: int = 0
        self.closed: int = 0


class Call:
    """One call of ``send``: for how many members it is queued, and which outboxes are too full for it."""

    __slots__ = ("_room", "full", "key", "queued")

    def __init__(self, key: Hashable) -> None:
        hash(key)  # one that has none is refused before anybody hears anything
        self.key: Hashable = key
        self.queued: int = 0
        self.full: set[Blocking] = set()
        self._room: anyio.Event | None = None

    def room_found(self, outbox: "Blocking") -> None:
        self.full.remove(outbox)
        if not self.full and self._room is not None:
            self._room.set()

    async def room(self) -> None:
        """Wait until there is room in all outboxes."""
        if self.full:
            self._room = anyio.Event()
            await self._room.wait()

    def withdraw(self) -> None:
        """Wait no more: where there is no room, the message is not heard."""
        for outbox in self.full:
            outbox.withdraw(self)


class Outbox(ABC):
    """What one member has still to hear. What happens when it is full, each policy's own class says.

    It is at rest while ``next`` is ``None``. Who makes it something else sees to it that a task comes to write.
    """

    __slots__ = (
        "_counts",
        "_is_member",
        "_max_pending",
        "_pending",
        "_resign",
        "_written",
        "dropped",
        "encode",
        "end_block",
        "form",
        "is_idle",
        "is_cancelled",
        "must_close",
        "key",
        "next",
        "sent",
        "session",
        "writing",
    )

    def __init__(
        self,
        session: Session,
        form: object,
        encode: Encode,
        max_pending: int,
        counts: Counts,
        resign: Callable[[], object],
        end_block: Callable[[Exception | None], None],
    ) -> None:
        self.session: Session = session
        self.form: object = form
        self.encode: Encode = encode
        self.end_block: Callable[[Exception | None], None] = end_block
        """Cancels the block that joined; it raises the failure."""
        self.sent: int = 0
        self.dropped: int = 0
        self.next: Event | None = None
        """What is being written, or will be next."""
        self.key: Hashable = None
        """What ``next`` is about."""
        self.writing: Interruption | None = None
        """What ends the writing, while a task writes."""
        self.is_idle: bool = True
        """Whether there is nothing to do after ``next``."""
        self.is_cancelled: bool = False
        """Whether the writing was cancelled."""
        self.must_close: bool = False
        """Whether the connection is to be closed, because the peer reads too slowly."""
        self._max_pending = max_pending
        self._counts = counts
        self._resign = resign
        self._pending: OrderedDict[Hashable, Event] | None = None
        self._is_member = True
        self._written: anyio.Event | None = None

    @property
    def waiting(self) -> int:
        """How many messages wait behind ``next``."""
        return 0 if self._pending is None else len(self._pending)

    @property
    def count(self) -> int:
        return self.waiting + (self.next is not None)

    @property
    def is_full(self) -> bool:
        # While nothing is being written, it is the task that had no turn yet: no fault of the peer.
        return self.writing is not None and self.waiting >= self._max_pending

    # --- in ---

    def put(self, event: Event, call: Call) -> None:
        """Queue an event behind ``next``, or do what the policy says."""
        if self.is_full:
            self.overflow(event, call)
        else:
            self.add(event, call)

    @abstractmethod
    def overflow(self, event: Event, call: Call) -> None:
        """Do what the policy says with an event for which there is no room."""

    def add(self, event: Event, call: Call) -> None:
        if self._pending is None:
            self._pending = OrderedDict()
        self._pending[call.key] = event
        self.is_idle = False
        call.queued += 1

    def replace_next(self, event: Event) -> None:
        self.next = event

    def drop(self, count: int) -> None:
        self.dropped += count
        self._counts.dropped += count

    # --- out ---

    def following(self) -> Event | None:
        """Give what is written after ``next``, which has been; where that is nothing, the task goes."""
        if not self._is_member:
            self._counts.sent += 1
        return self.take()

    def take(self) -> Event | None:
        """Take what waits longest."""
        return self._pending.popitem(last=False)[1] if self._pending else None

    def release(self) -> None:
        """Let the task go that wrote."""
        self.writing = None
        if self._written is not None:
            self._written.set()
        elif self._is_member and not self._pending:
            self._pending = None
            self.is_idle = True

    async def written(self) -> None:
        """Wait until the task goes that writes, or will write."""
        self._written = anyio.Event()
        await self._written.wait()

    async def stopped(self) -> None:
        """Wait as `written` does, and cancel again what does not heed it."""
        while self.writing is not None:
            with anyio.move_on_after(_PATIENCE):
                await self.written()
                return
            self.writing.cancel()

    # --- the end ---

    def leave(self) -> None:
        """Cease to be a member: what is pending is the last."""
        if self._is_member:
            self._is_member = self.is_idle = False
            self._counts.sent += self.sent
            self._resign()

    def give_up(self) -> None:
        """Leave, because the peer reads too slowly: cancel what is being written, so that a close has its turn."""
        self.leave()
        self.must_close = True
        self.cut()

    def cut(self) -> None:
        """Drop what is pending, and cancel what is being written."""
        self._discard()
        if self.writing is None:
            self.end()
        else:
            self.is_cancelled = True
            self.writing.cancel()

    def end(self) -> None:
        """Leave for good, after the last write; one that was cut short counts as dropped."""
        self.leave()
        self._discard()
        self.drop(self.next is not None)
        self.next = None

    def closed(self) -> None:
        self._counts.closed += 1

    def _discard(self) -> None:
        self.drop(self.waiting)
        self._pending = None


class Closing(Outbox):
    __slots__ = ()

    def overflow(self, event: Event, call: Call) -> None:
        self.drop(1)
        self.give_up()


class Conflating(Closing):
    __slots__ = ()

    def put(self, event: Event, call: Call) -> None:
        if self.writing is None and call.key == self.key:
            self.drop(1)
            self.replace_next(event)
            call.queued += 1
        elif self._pending is not None and call.key in self._pending:
            self.drop(1)
            self.add(event, call)  # at the place of the old one
        else:
            super().put(event, call)


class DroppingOldest(Outbox):
    __slots__ = ()

    def overflow(self, event: Event, call: Call) -> None:
        while self.is_full:  # after a burst there may be several too many
            self.take()
            self.drop(1)
        self.add(event, call)


class DroppingNewest(Outbox):
    __slots__ = ()

    def overflow(self, event: Event, call: Call) -> None:
        self.drop(1)


class Blocking(Outbox):
    __slots__ = ("_waiting",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._waiting: OrderedDict[Call, Event] = OrderedDict()

    def overflow(self, event: Event, call: Call) -> None:
        self._waiting[call] = event
        call.full.add(self)

    def take(self) -> Event | None:
        event = super().take()
        if self._waiting and not self.is_full:
            call, waiting = self._waiting.popitem(last=False)
            self.add(waiting, call)
            call.room_found(self)
        return event

    def leave(self) -> None:
        super().leave()
        while self._waiting:
            self._waiting.popitem()[0].room_found(self)
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
