"""Outboxes: the messages that wait for each member of a group, and the policies for a full outbox. No tasks here."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final, Literal, TypeAlias

import anyio

from typedws._connection.session import Session
from typedws._runtime.event_loop import Interruption

__all__ = ["OUTBOXES", "Call", "Counts", "Encode", "Event", "Outbox", "Overflow"]

Overflow: TypeAlias = Literal["close", "drop_oldest", "drop_newest", "conflate", "block"]
"""What happens to a message for a member whose outbox is full; see `Group`."""

Event: TypeAlias = Mapping[str, object]
"""An ASGI event that sends a message."""

Encode: TypeAlias = Callable[[Any], str | bytes]

_RECANCEL_AFTER: Final = 0.1
"""Seconds after which a server's ``send`` that swallowed its cancellation is cancelled again."""


class Counts:
    """The counters of a group. ``sent`` covers the members that have left; those in the group count it themselves."""

    __slots__ = ("closed", "dropped", "sent")

    def __init__(self) -> None:
        self.sent: int = 0
        self.dropped: int = 0
        self.closed: int = 0


class Call:
    """One call of ``send``: the number of members for which it is queued, and the outboxes that have no room for it."""

    __slots__ = ("_has_room", "full", "key", "queued")

    def __init__(self, key: Hashable) -> None:
        hash(key)  # An unhashable key must fail here, before the message is in the first outbox.
        self.key: Hashable = key
        self.queued: int = 0
        self.full: set[Blocking] = set()
        self._has_room: anyio.Event | None = None

    def room_made(self, outbox: "Blocking") -> None:
        self.full.remove(outbox)
        if not self.full and self._has_room is not None:
            self._has_room.set()

    async def wait_for_room(self) -> None:
        """Wait until the message is in every outbox, or its member has left."""
        if self.full:
            self._has_room = anyio.Event()
            await self._has_room.wait()

    def withdraw(self) -> None:
        """Stop waiting: the members that still have no room do not receive the message."""
        for outbox in self.full:
            outbox.withdraw(self)


class Outbox(ABC):
    """The messages that wait for one member. Each policy for a full outbox is a subclass.

    The outbox is idle while ``next`` is ``None``, and then no task knows of it. Code that sets ``next`` on an idle
    outbox must pass the outbox to a `Delivery`, or nothing is ever written. While ``next`` is set, exactly one task
    writes this outbox, or will: messages keep their order without a lock.
    """

    __slots__ = (
        "_counts",
        "_is_member",
        "_max_pending",
        "_queue",
        "_remove_member",
        "_writing_done",
        "dropped",
        "encode",
        "encoding",
        "end_block",
        "is_cancelled",
        "is_idle",
        "must_close",
        "next",
        "next_key",
        "sent",
        "session",
        "writing",
    )

    def __init__(
        self,
        session: Session,
        encoding: object,
        encode: Encode,
        max_pending: int,
        counts: Counts,
        remove_member: Callable[[], object],
        end_block: Callable[[Exception | None], None],
    ) -> None:
        self.session: Session = session
        self.encoding: object = encoding
        """Equal for all members that encode a message alike, so that it is encoded once for them."""
        self.encode: Encode = encode
        self.end_block: Callable[[Exception | None], None] = end_block
        """Cancels the block of `Group.joined`, which then raises the exception passed here, if any."""
        self.sent: int = 0
        self.dropped: int = 0
        self.next: Event | None = None
        """The message that is being written, or will be next."""
        self.next_key: Hashable = None
        """The key of ``next``; only ``"conflate"`` uses it."""
        self.writing: Interruption | None = None
        """Cancels the running write; ``None`` while no task writes to this member."""
        self.is_idle: bool = True
        """Whether nothing is left to do after ``next``. A fast path: an idle member costs its task no method call."""
        self.is_cancelled: bool = False
        """Whether the running write was cancelled."""
        self.must_close: bool = False
        """Whether to close the connection, because the peer reads too slowly."""
        self._max_pending = max_pending
        self._counts = counts
        self._remove_member = remove_member
        self._queue: OrderedDict[Hashable, Event] | None = None
        """The messages after ``next``, by the key of their call. Without a ``key`` function every call has its own."""
        self._is_member = True
        self._writing_done: anyio.Event | None = None

    @property
    def waiting(self) -> int:
        """The number of messages that wait behind ``next``."""
        return 0 if self._queue is None else len(self._queue)

    @property
    def pending(self) -> int:
        """The number of messages that are not sent yet, ``next`` included."""
        return self.waiting + (self.next is not None)

    @property
    def is_full(self) -> bool:
        # Before a task writes, messages wait for the event loop and not for the peer: a burst must not make it "slow".
        return self.writing is not None and self.waiting >= self._max_pending

    # --- in ---

    def put(self, event: Event, call: Call) -> None:
        """Queue an event behind ``next``, or apply the policy if the outbox is full."""
        if self.is_full:
            self.overflow(event, call)
        else:
            self.enqueue(event, call)

    @abstractmethod
    def overflow(self, event: Event, call: Call) -> None:
        """Apply the policy to an event for which there is no room."""

    def enqueue(self, event: Event, call: Call) -> None:
        if self._queue is None:
            self._queue = OrderedDict()
        self._queue[call.key] = event
        self.is_idle = False
        call.queued += 1

    def replace_next(self, event: Event) -> None:
        self.next = event

    def count_dropped(self, count: int) -> None:
        self.dropped += count
        self._counts.dropped += count

    # --- out ---

    def next_after_sent(self) -> Event | None:
        """Return the event to write after ``next``, which has been sent, or ``None``, which ends the writing."""
        # leave() has added `sent` to the group's counter, so later sends are added one by one.
        if not self._is_member:
            self._counts.sent += 1
        return self.take_pending()

    def take_pending(self) -> Event | None:
        """Remove and return the event that has waited longest, or ``None``."""
        return self._queue.popitem(last=False)[1] if self._queue else None

    def release(self) -> None:
        """Record that the task has stopped writing to this member, and wake the block that waits for it."""
        self.writing = None
        if self._writing_done is not None:
            self._writing_done.set()
        elif self._is_member and not self._queue:
            # Back to the fast path. An empty queue is dropped too, as most members never need one again.
            self._queue = None
            self.is_idle = True

    async def wait_until_written(self) -> None:
        """Wait until the pending messages are sent, or cannot be. Only after `leave`, and while some are pending."""
        self._writing_done = anyio.Event()
        await self._writing_done.wait()

    async def wait_until_stopped(self) -> None:
        """Wait until no task writes to this member, and cancel the write again if it swallows the cancellation."""
        while (writing := self.writing) is not None:
            with anyio.move_on_after(_RECANCEL_AFTER):
                await self.wait_until_written()
                return
            # The write may have ended while this wait timed out: the task writes to another member by now.
            if self.writing is writing:
                # While the task closes the connection, its interruption is over, and this does nothing.
                writing.cancel()

    # --- the end ---

    def leave(self) -> None:
        """Leave the group: no further message is queued, the pending ones are still written."""
        if self._is_member:
            # Not idle any more, so that the task calls release(), for which the leaving block waits.
            self._is_member = self.is_idle = False
            self._counts.sent += self.sent
            self._remove_member()

    def close_slow_member(self) -> None:
        """Leave because the peer reads too slowly. Cancel the running write, or the close would wait behind it."""
        self.leave()
        self.must_close = True
        self.cancel_writing()

    def cancel_writing(self) -> None:
        """Drop the pending messages and cancel the running write."""
        self._drop_queue()
        if self.writing is None:
            # A task that comes to this outbox later finds `next` empty, and skips it.
            self.end()
        else:
            # The writing task calls end(): until it has stopped, it is not known whether `next` was sent.
            self.is_cancelled = True
            self.writing.cancel()

    def end(self) -> None:
        """Leave and drop all that is not sent. A write that was cancelled or failed counts as dropped."""
        self.leave()
        self._drop_queue()
        self.count_dropped(self.next is not None)
        self.next = None

    def count_closed(self) -> None:
        self._counts.closed += 1

    def _drop_queue(self) -> None:
        self.count_dropped(self.waiting)
        self._queue = None


class Closing(Outbox):
    """Closes the connection of a slow member."""

    __slots__ = ()

    def overflow(self, event: Event, call: Call) -> None:
        self.count_dropped(1)
        self.close_slow_member()


class Conflating(Closing):
    """Replaces a waiting message by a new one of the same key."""

    __slots__ = ()

    def put(self, event: Event, call: Call) -> None:
        # Once a task writes, `next` may be on the network already: then it cannot be replaced.
        if self.writing is None and call.key == self.next_key:
            self.count_dropped(1)
            self.replace_next(event)
            call.queued += 1
        elif self._queue is not None and call.key in self._queue:
            self.count_dropped(1)
            self.enqueue(event, call)  # An OrderedDict keeps the place of a key: the new message takes that of the old.
        else:
            super().put(event, call)


class DroppingOldest(Outbox):
    """Drops the message that has waited longest."""

    __slots__ = ()

    def overflow(self, event: Event, call: Call) -> None:
        while self.is_full:  # A burst before the first write may have queued more than the limit.
            self.take_pending()
            self.count_dropped(1)
        self.enqueue(event, call)


class DroppingNewest(Outbox):
    """Drops the new message."""

    __slots__ = ()

    def overflow(self, event: Event, call: Call) -> None:
        self.count_dropped(1)


class Blocking(Outbox):
    """Makes the call of ``send`` wait for room."""

    __slots__ = ("_blocked",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._blocked: OrderedDict[Call, Event] = OrderedDict()
        """The calls that wait for room, in their order, with the event of each."""

    def overflow(self, event: Event, call: Call) -> None:
        self._blocked[call] = event
        call.full.add(self)

    def take_pending(self) -> Event | None:
        event = super().take_pending()
        # The room goes to the call that has waited longest, at once: a later call that found it would overtake it.
        if self._blocked and not self.is_full:
            call, blocked = self._blocked.popitem(last=False)
            self.enqueue(blocked, call)
            call.room_made(self)
        return event

    def leave(self) -> None:
        super().leave()
        # Without this the calls would wait for ever: no message of theirs will be taken from here again.
        while self._blocked:
            self._blocked.popitem()[0].room_made(self)
            self.count_dropped(1)

    def withdraw(self, call: Call) -> None:
        """Forget the event of a call that has stopped waiting."""
        del self._blocked[call]


OUTBOXES: Final[dict[Overflow, type[Outbox]]] = {
    "close": Closing,
    "drop_oldest": DroppingOldest,
    "drop_newest": DroppingNewest,
    "conflate": Conflating,
    "block": Blocking,
}
"""The class of outbox for each policy."""
