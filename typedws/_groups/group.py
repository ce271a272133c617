"""`Group`: sends one message to many connections, each at its own pace.

Every member has an outbox. A call of `Group.send` puts the encoded message into all of them without waiting, and the
tasks of `typedws._groups.delivery` write it. So a member that reads slowly delays only itself. A group lives in the
memory of one process and belongs to one event loop.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Final, Generic, TypeAlias, TypeVar

import anyio
import anyio.lowlevel
from anyio import CancelScope

from typedws._connection.base import session_of
from typedws._connection.connection import Connection, encoder_for
from typedws._connection.session import Session
from typedws._groups.delivery import Delivery
from typedws._groups.outbox import OUTBOXES, Call, Counts, Encode, Event, Outbox, Overflow
from typedws._protocol.events import message_event
from typedws.exceptions import InvalidGroup, InvalidState

__all__ = ["LEAVE_TIMEOUT", "Group", "GroupStatistics", "Member", "Overflow"]

Out = TypeVar("Out")

LEAVE_TIMEOUT: Final = 5.0
"""Seconds for which a member that leaves without an exception waits for its pending messages to be sent."""

_EndBlock: TypeAlias = Callable[[Exception | None], None]


@dataclass(frozen=True, slots=True)
class GroupStatistics:
    """The counters of a group.

    ``members`` and ``pending`` are as they are now, the rest counts from the creation of the group on. ``pending``,
    ``sent`` and ``dropped`` count a message once for each member. ``closed`` counts the members whose connections were
    closed because they read too slowly.
    """

    members: int
    pending: int
    sent: int
    dropped: int
    closed: int


class Member(ABC):
    """The counters of one connection in a group, from joining to leaving. `Group.joined` creates it.

    Each message for this member is ``pending``, ``sent`` or ``dropped``.
    """

    __slots__ = ("_outbox",)

    @abstractmethod
    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    @property
    def pending(self) -> int:
        """The number of messages that are not sent yet, including the one that is being sent."""
        return self._outbox.pending

    @property
    def sent(self) -> int:
        """The number of messages that the server has taken."""
        return self._outbox.sent

    @property
    def dropped(self) -> int:
        """The number of messages that this member does not receive.

        They were replaced, found the outbox full, or were still pending when the member left or its connection was
        lost. The one that was being sent then counts too, though it may have arrived.
        """
        return self._outbox.dropped


class Group(Generic[Out]):
    """Sends messages of the type ``Out`` to all connections that have joined.

    A message is encoded once for all members that send the same type in the same mode, and queued in each member's own
    outbox. A member that reads slowly or has disconnected does not delay the others. Each member receives its messages
    in the order of the calls of `send`. A group lives in the memory of one process, on one event loop.

    :param max_pending: the limit of messages that wait for one member, besides the one that is being sent. A burst that
        comes before the event loop has started to write to the member may exceed it: that is no fault of the member.
    :param on_overflow: what happens when a message comes for a member with a full outbox:

        - ``"close"``: the connection is closed with 1008, and its block in `joined` is cancelled
        - ``"drop_oldest"``: the member does not receive the message that has waited longest
        - ``"drop_newest"``: the member does not receive the new message
        - ``"conflate"``: a message replaces the waiting one of the same ``key``, at its place in the queue, so that a
          key that changes often is not delayed; like ``"close"`` if more keys than ``max_pending`` wait
        - ``"block"``: `send` waits until there is room; members with room have the message by then
    :param key: for ``"conflate"``, returns the key of a message, of which only the newest message matters
    :raises InvalidGroup: if ``max_pending`` is below 1, the policy is unknown, or ``key`` is missing for
        ``"conflate"`` or passed without it
    """

    def __init__(
        self,
        *,
        max_pending: int = 64,
        on_overflow: Overflow = "close",
        key: Callable[[Out], Hashable] | None = None,
    ) -> None:
        if max_pending < 1:
            raise InvalidGroup("max_pending to be at least 1", str(max_pending), "nothing could be sent")
        if on_overflow not in OUTBOXES:
            known = ", ".join(f'"{policy}"' for policy in OUTBOXES)
            raise InvalidGroup(f"on_overflow to be one of {known}", repr(on_overflow))
        if (key is None) is (on_overflow == "conflate"):
            if key is None:
                raise InvalidGroup('a key with on_overflow="conflate"', "none", "pass key=...")
            raise InvalidGroup(f'no key with on_overflow="{on_overflow}"', "one", 'only "conflate" takes a key')
        self._max_pending = max_pending
        self._outbox_class = OUTBOXES[on_overflow]
        self._key = key
        self._members: dict[Connection[object, Out], Outbox] = {}
        self._counts = Counts()

    def joined(self, ws: Connection[object, Out]) -> AbstractAsyncContextManager[Member, None]:
        """Make a connection a member while a block runs: ``async with group.joined(ws) as member``.

        The connection leaves when the block ends, however it ends, and receives no message that is sent later. If the
        block ends without an exception, pending messages are still sent, for at most five seconds; otherwise they are
        dropped. An exception of the block propagates unchanged. An exception of the server's ``send`` cancels the block
        and is raised at its end.

        A member whose connection is lost is removed at the first send that fails, and no exception is raised for that.
        Its handler learns of the disconnect as usual: from its own ``receive_*``, or if it does not receive, from
        `Connection.cancelled_on_disconnect`.

        :raises InvalidState: on entry, if the connection is not accepted yet or is a member already
        :raises WebSocketDisconnected: on entry, if the connection has ended
        :raises WebSocketDisconnect: when the block ends because the peer read too slowly (1008)
        """
        return _Membership(partial(self._join, ws))

    async def send(
        self,
        message: Out,
        *,
        to: Connection[object, Out] | Iterable[Connection[object, Out]] | None = None,
        exclude: Connection[object, Out] | Iterable[Connection[object, Out]] = (),
    ) -> int:
        """Queue a message for all members, and return for how many it was queued.

        A sender that is a member itself receives the message too. The call yields to other tasks once, but waits for no
        member, except for room with ``on_overflow="block"``. If it is cancelled while it waits for room, only the
        members without room do not receive the message.

        :param to: one or several connections, which alone receive the message; those that are not members are skipped
        :param exclude: one or several connections that do not receive the message
        :raises UnsendableMessage: if `Connection.send_model` of any of these members would raise it; then no member
            receives the message
        """
        outboxes = self._recipients(to, exclude)
        events = _encode_for(message, outboxes)
        call = Call(object() if self._key is None else self._key(message))
        idle: list[Outbox] = []
        encoding = event = None
        for outbox in outboxes:
            # Most members are encoded alike: this saves a lookup for each.
            if outbox.encoding is not encoding or event is None:
                encoding = outbox.encoding
                event = events[encoding]
            if outbox.next is None:
                # Idle: no task knows of this outbox, so it goes into the delivery below. No await may come before that.
                outbox.next = event
                outbox.next_key = call.key
                idle.append(outbox)
            else:
                outbox.put(event, call)
        call.queued += len(idle)
        delivery = Delivery(idle)
        delivery.start_tasks(1)
        try:
            try:
                # The first task writes during this turn, to all members if no send waits.
                await anyio.lowlevel.checkpoint()
            finally:
                # Members are left: the first task is stuck in a send, or yields. Also if this call is cancelled, as the
                # message is queued for them all the same.
                delivery.start_tasks(2)
            await call.wait_for_room()
        finally:
            call.withdraw()
        return call.queued

    def __contains__(self, ws: object) -> bool:
        return ws in self._members

    def __iter__(self) -> Iterator[Connection[object, Out]]:
        """Iterate over the current members, in the order in which they joined; they may leave during the loop."""
        return iter([*self._members])

    def __len__(self) -> int:
        return len(self._members)

    @property
    def statistics(self) -> GroupStatistics:
        """The current counters."""
        pending = sum(outbox.pending for outbox in self._members.values())
        sent = sum(outbox.sent for outbox in self._members.values()) + self._counts.sent
        return GroupStatistics(len(self), pending, sent, self._counts.dropped, self._counts.closed)

    def _join(self, ws: Connection[object, Out], end_block: _EndBlock) -> Outbox:
        session, encoding, encode = _sender_for(ws)
        session.check_accepted()
        if session.end is not None:
            raise session.closed_error()
        if ws in self._members:
            sentence = "this connection is already a member of the group"
            raise InvalidState("a connection outside of the group", "a member", sentence=sentence)
        remove_member = partial(self._members.pop, ws)
        outbox = self._outbox_class(
            session, encoding, encode, self._max_pending, self._counts, remove_member, end_block
        )
        self._members[ws] = outbox
        return outbox

    def _recipients(
        self,
        to: Connection[object, Out] | Iterable[Connection[object, Out]] | None,
        exclude: Connection[object, Out] | Iterable[Connection[object, Out]],
    ) -> list[Outbox]:
        members, excluded = self._members, _connections_in(exclude)
        if to is not None:
            return [members[ws] for ws in _connections_in(to) if ws in members and ws not in excluded]
        if excluded:
            return [outbox for ws, outbox in members.items() if ws not in excluded]
        return list(members.values())


def _connections_in(
    connections: Connection[object, Out] | Iterable[Connection[object, Out]],
) -> dict[Connection[object, Out], None]:
    # A connection is itself iterable, as a mapping of its scope, so it must be recognized first.
    if isinstance(connections, Connection):
        return {connections: None}
    return dict.fromkeys(connections)


def _sender_for(ws: Connection[object, Any]) -> tuple[Session, object, Encode]:
    """Return a connection's session, a key that is equal for connections that encode alike, and the encoder."""
    codec = ws._codec(None)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    declared = ws._declared()[1]  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    encode = encoder_for(codec, declared)
    return session_of(ws), codec if declared is None else encode, encode


def _encode_for(message: object, outboxes: Iterable[Outbox]) -> dict[object, Event]:
    """Encode a message once for each encoding that these members use."""
    events: dict[object, Event] = {}
    encoding = None
    for outbox in outboxes:
        if outbox.encoding is not encoding:
            encoding = outbox.encoding
            if encoding not in events:
                events[encoding] = message_event(outbox.encode(message))
    return events


# --- membership ---


class _Member(Member):
    __slots__ = ()

    def __init__(self, outbox: Outbox) -> None:
        super().__init__(outbox)


class _Membership(AbstractAsyncContextManager[Member, None]):
    """The context manager of `Group.joined`. It cancels its block if the connection is closed as slow, or fails."""

    def __init__(self, join: Callable[[_EndBlock], Outbox]) -> None:
        self._join = join
        self._outbox: Outbox
        self._block: CancelScope
        self._failure: Exception | None

    async def __aenter__(self) -> Member:
        # Made here and not in __init__, so that the context manager may be entered again.
        self._failure = None
        self._block = CancelScope()
        self._outbox = self._join(self._end_block)
        self._block.__enter__()
        return _Member(self._outbox)

    async def __aexit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        outbox = self._outbox
        outbox.leave()
        # Before any await: a cancelled scope would also cancel the waits below.
        is_cancelled = bool(self._block.__exit__(type_, error, traceback))
        try:
            if error is None and outbox.pending and outbox.session.end is None:
                with anyio.move_on_after(LEAVE_TIMEOUT):
                    await outbox.wait_until_written()
        finally:
            outbox.cancel_writing()
            # Shielded, so that no task still writes to this member once the block is left.
            with CancelScope(shield=True):
                await outbox.wait_until_stopped()
        # A cancellation from outside that came meanwhile takes precedence over the failure.
        await anyio.lowlevel.checkpoint_if_cancelled()
        if self._failure is not None and (error is None or is_cancelled):
            raise self._failure from None

    def _end_block(self, failure: Exception | None) -> None:
        self._failure = failure
        self._block.cancel()
