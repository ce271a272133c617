"""`Group`: one message to many connections, each at its own pace. How one connection sends is its session's matter.

Every member has an outbox. Who sends puts the encoded message into all of them without waiting for anybody, and
`typedws._groups.delivery` writes it, so that a member that reads slowly is behind alone. All of it lives in the memory of one
process and belongs to one event loop.
"""

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
"""Seconds that a member which leaves by itself is given to hear what is pending for it."""

_EndBlock: TypeAlias = Callable[[Exception | None], None]


@dataclass(frozen=True, slots=True)
class GroupStatistics:
    """What a group counts: its members now and what is pending for them, and since it was made, all the rest.

    ``sent`` and ``dropped`` count a message once for each member; ``closed`` counts the members whose connections were
    closed because they read too slowly.
    """

    members: int
    pending: int
    sent: int
    dropped: int
    closed: int


class Member:
    """One connection's membership, from joining to leaving: what became of the messages that were meant for it.

    Each of them is either ``pending``, ``sent`` or ``dropped``.
    """

    __slots__ = ("_outbox",)

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    @property
    def pending(self) -> int:
        """How many messages it has still to hear, the one that is being sent included."""
        return self._outbox.count

    @property
    def sent(self) -> int:
        """How many messages the server has taken for it."""
        return self._outbox.sent

    @property
    def dropped(self) -> int:
        """How many messages it does not hear: replaced, or too many, or still to be sent when it left or was lost.

        The one that was being sent when it left or was lost counts too, though it may have arrived.
        """
        return self._outbox.dropped


class Group(Generic[Out]):
    """Connections that all hear what is said to the group: ``Group[Out]`` says messages of the type ``Out``.

    A message is encoded once for all members that say the same type in the same mode, and queued for each in an
    outbox of its own; a member that reads slowly delays nobody, and one that is gone disturbs nobody. Each member hears
    its messages in the order of the calls of `send`. A group lives in the memory of one process, on one event loop.

    :param max_pending: how many messages wait for one member at most, beside the one that is being sent. A burst
        before the member's task had its turn on the event loop does not count: it says nothing about the member.
    :param on_overflow: what happens to a member for which one more comes:

        - ``"close"``: its connection is closed with 1008, and its block in `joined` is cancelled
        - ``"drop_oldest"``: it does not hear the message that waits longest
        - ``"drop_newest"``: it does not hear this message
        - ``"conflate"``: a message replaces the waiting one of the same ``key``, at that one's place, so that a key
          that changes all the time has its turn as every other; as ``"close"`` where more keys wait
        - ``"block"``: `send` waits until there is room; other members have the message by then
    :param key: for ``"conflate"`` what a message is about, of which only the newest matters
    :raises InvalidGroup: for ``max_pending`` below 1, an unknown policy, ``"conflate"`` without a ``key`` or a ``key``
        without ``"conflate"``
    """

    def __init__(
        self,
        *,
        max_pending: int = 64,
        on_overflow: Overflow = "close",
        key: Callable[[Out], Hashable] | None = None,
    ) -> None:
        if max_pending < 1:
            raise InvalidGroup("a max_pending of at least 1", str(max_pending), "nothing could be sent")
        if on_overflow not in OUTBOXES:
            known = ", ".join(f'"{policy}"' for policy in OUTBOXES)
            raise InvalidGroup(f"an on_overflow of {known}", repr(on_overflow), "choose one of them")
        if (key is None) is (on_overflow == "conflate"):
            expected, found = ("a key", "none") if key is None else ("no key", "one")
            raise InvalidGroup(f'{expected} with on_overflow="{on_overflow}"', found, '"conflate" alone needs one')
        self._max_pending = max_pending
        self._outbox_class = OUTBOXES[on_overflow]
        self._key = key
        self._members: dict[Connection[object, Out], Outbox] = {}
        self._counts = Counts()

    def joined(self, ws: Connection[object, Out]) -> AbstractAsyncContextManager[Member, None]:
        """Make a connection a member for the length of a block; gives what is counted of it.

        It leaves by itself, however the block ends, and hears nothing that is sent later. Where the block ends without
        an exception, what is pending is still sent, for at most five seconds; otherwise it is dropped. An exception of
        the block passes as it is.

        A member to which nothing can be sent any more ceases to be one, without a word: its handler learns that the
        peer left as always, from its own ``receive_*``, or where it does not receive, from
        `Connection.cancelled_on_disconnect`.

        :raises InvalidState: on entry, before the accept, and for a connection that is a member
        :raises WebSocketDisconnected: on entry, after the end
        :raises WebSocketDisconnect: where the block ends because the peer read too slowly (1008)
        """
        return _Membership(partial(self._join, ws))

    async def send(
        self,
        message: Out,
        *,
        to: Connection[object, Out] | Iterable[Connection[object, Out]] | None = None,
        exclude: Connection[object, Out] | Iterable[Connection[object, Out]] = (),
    ) -> int:
        """Queue a message for all members, and say for how many; who sends it from a member's block is among them.

        It waits for nobody, but lets other tasks run once; with ``on_overflow="block"`` it waits for room. When it is
        cancelled then, only those for which there was no room do not hear the message.

        :param to: the only ones to hear it, a connection or several; those that are no members are passed over
        :param exclude: who does not hear it, a connection or several
        :raises UnsendableMessage: as `Connection.send_model` of any member would; nobody hears it
        """
        outboxes = self._addressed(to, exclude)
        events = _encoded(message, outboxes)
        call = Call(object() if self._key is None else self._key(message))
        at_rest: list[Outbox] = []
        form = event = None
        for outbox in outboxes:
            if outbox.form is not form or event is None:
                form = outbox.form
                event = events[form]
            if outbox.next is None:
                outbox.next = event
                outbox.key = call.key
                at_rest.append(outbox)
            else:
                outbox.put(event, call)
        call.queued += len(at_rest)
        delivery = Delivery(at_rest)
        delivery.spread(1)
        try:
            try:
                await anyio.lowlevel.checkpoint()
            finally:
                delivery.spread(2)
            await call.room()
        finally:
            call.withdraw()
        return call.queued

    def __contains__(self, ws: object) -> bool:
        return ws in self._members

    def __iter__(self) -> Iterator[Connection[object, Out]]:
        """Iterate over those who are members now, in the order in which they joined; they may leave meanwhile."""
        return iter([*self._members])

    def __len__(self) -> int:
        return len(self._members)

    @property
    def statistics(self) -> GroupStatistics:
        """What is counted, as it is now."""
        pending = sum(outbox.count for outbox in self._members.values())
        sent = sum(outbox.sent for outbox in self._members.values()) + self._counts.sent
        return GroupStatistics(len(self), pending, sent, self._counts.dropped, self._counts.closed)

    def _join(self, ws: Connection[object, Out], end_block: _EndBlock) -> Outbox:
        session, form, encode = _sender_for(ws)
        session.check_accepted()
        if session.end is not None:
            raise session.closed_error()
        if ws in self._members:
            raise InvalidState("a connection that is no member", "one that is", "join once, for all that it does")
        resign = partial(self._members.pop, ws)
        outbox = self._outbox_class(session, form, encode, self._max_pending, self._counts, resign, end_block)
        self._members[ws] = outbox
        return outbox

    def _addressed(
        self,
        to: Connection[object, Out] | Iterable[Connection[object, Out]] | None,
        exclude: Connection[object, Out] | Iterable[Connection[object, Out]],
    ) -> list[Outbox]:
        members, excluded = self._members, _several(exclude)
        if to is not None:
            return [members[ws] for ws in _several(to) if ws in members and ws not in excluded]
        if excluded:
            return [outbox for ws, outbox in members.items() if ws not in excluded]
        return list(members.values())


def _several(given: Connection[object, Out] | Iterable[Connection[object, Out]]) -> dict[Connection[object, Out], None]:
    # A connection is iterable itself: a mapping, its scope.
    if isinstance(given, Connection):
        return {given: None}
    return dict.fromkeys(given)


def _sender_for(ws: Connection[object, Any]) -> tuple[Session, object, Encode]:
    """Give a connection's session, a form that is equal for all that encode what they say alike, and how they do."""
    codec = ws._codec(None)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    declared = ws._declared()[1]  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    encode = encoder_for(codec, declared)
    return session_of(ws), codec if declared is None else encode, encode


def _encoded(message: object, outboxes: Iterable[Outbox]) -> dict[object, Event]:
    """Encode a message once for each form in which these members speak."""
    events: dict[object, Event] = {}
    form = None
    for outbox in outboxes:
        if outbox.form is not form:
            form = outbox.form
            if form not in events:
                events[form] = message_event(outbox.encode(message))
    return events


# --- membership ---


class _Membership(AbstractAsyncContextManager[Member, None]):
    """Be a member for the length of a block; cancel the block where the connection is closed, or fails."""

    def __init__(self, join: Callable[[_EndBlock], Outbox]) -> None:
        self._join = join
        self._outbox: Outbox
        self._block: CancelScope
        self._failure: Exception | None

    async def __aenter__(self) -> Member:
        self._failure = None
        self._block = CancelScope()
        self._outbox = self._join(self._end_block)
        self._block.__enter__()
        return Member(self._outbox)

    async def __aexit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        outbox = self._outbox
        outbox.leave()
        is_cancelled = bool(self._block.__exit__(type_, error, traceback))
        try:
            if error is None and outbox.count and outbox.session.end is None:
                with anyio.move_on_after(LEAVE_TIMEOUT):
                    await outbox.written()
        finally:
            outbox.cut()
            with CancelScope(shield=True):
                await outbox.stopped()
        await anyio.lowlevel.checkpoint_if_cancelled()
        if self._failure is not None and (error is None or is_cancelled):
            raise self._failure from None

    def _end_block(self, failure: Exception | None) -> None:
        self._failure = failure
        self._block.cancel()
