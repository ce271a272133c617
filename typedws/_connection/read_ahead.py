"""Reading ahead of the application, to learn that the peer left while no task receives. Messages are kept for later."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Any, Final, Literal, TypeAlias, cast
from weakref import ref

import anyio
from anyio.abc import TaskGroup

from typedws._connection.inbox import Inbox
from typedws._connection.session import Session
from typedws._protocol.events import frame_of
from typedws._protocol.state import Client
from typedws._runtime.event_loop import spawn
from typedws._runtime.watchdog import Watchdog, watchdog
from typedws.asgi import Receive
from typedws.close_codes import CloseCode
from typedws.exceptions import ConcurrentReceive, WebSocketDisconnect

__all__ = ["MAX_PENDING", "DisconnectWatch", "OnOverflow", "detect_departure"]

OnOverflow: TypeAlias = Literal["close", "discard"]
"""What happens when a peer sends more messages than are kept: close with 1008, or discard the messages."""

MAX_PENDING: Final = 64
"""How many messages are kept by default."""


class DisconnectWatch(AbstractAsyncContextManager[None, None]):
    """Cancel the block when the peer disconnects; queue its messages meanwhile."""

    def __init__(self, session: Session, max_pending: int, on_overflow: OnOverflow) -> None:
        self._session = session
        self._max_pending = max_pending
        self._on_overflow = on_overflow
        self._group = anyio.create_task_group()
        self._failure: Exception | None = None
        self._inbox = session.inbox or Inbox()

    async def __aenter__(self) -> None:
        self._session.check_accepted()
        if self._session.receiving == "busy" or self._inbox.is_fed:
            raise ConcurrentReceive
        if self._session.state.client is Client.DISCONNECTED:
            raise self._session.closed_error()
        self._inbox.is_fed = True
        self._session.receive_from(self._inbox)
        await self._group.__aenter__()
        self._group.start_soon(self._watch)

    async def __aexit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._group.cancel_scope.cancel()
        if await _leave(self._group, type_, error, traceback) and self._failure is not None:
            raise self._failure from None

    async def _watch(self) -> None:
        try:
            self._failure = await self._read()
        except Exception as error:  # noqa: BLE001 - raised at the end of the block
            self._failure = error
        finally:
            self._inbox.is_fed = False
            self._inbox.wake()
        self._group.cancel_scope.cancel()

    async def _read(self) -> WebSocketDisconnect:
        """Read until the connection is over; return how it ended."""
        while True:
            event = await self._session.next_event()
            if self._session.state.client is Client.DISCONNECTED:
                return self._session.record_end(event)
            if len(self._inbox.events) < self._max_pending:
                self._inbox.put(event)
            elif self._on_overflow == "close":
                await self._session.close(CloseCode.POLICY_VIOLATION, "too many messages unread")
                return self._session.record_end(event)


async def _leave(
    tasks: TaskGroup, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
) -> bool:
    """Leave a task group that was entered for a block, so that an exception of the block passes without a group.

    Return whether the block raised nothing, or only the cancellation: another exception may be raised then.
    """
    if not _is_cancellation(error):
        # The group must not see the exception: it would wrap it in an ExceptionGroup.
        await tasks.__aexit__(None, None, None)
        return error is None
    await tasks.__aexit__(type_, error, traceback)
    return True


def _is_cancellation(error: BaseException | None) -> bool:
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(error, BaseExceptionGroup):  # a trio nursery in the block wraps the cancellation in a group
        return cast("BaseExceptionGroup[BaseException]", error).split(cancelled)[1] is None
    return isinstance(error, cancelled)


_PERIOD: Final = 0.3
"""Seconds between two checks of a connection. Reading ahead starts at the second check at the earliest."""

_MAX_BYTES: Final = 1 << 16
"""Limit in bytes of the messages that are kept for an application that does not receive, beside `MAX_PENDING`."""


def detect_departure(session: Session) -> None:
    """Detect that the peer left while the application only sends. Call it after the accept.

    For servers whose ``send`` does not raise then. After the detection, sends fail as on the other servers. Nothing is
    done per message.
    """
    clock = watchdog()
    clock.add(_DepartureDetector(session, clock), _PERIOD)


class _DepartureDetector:
    """Checks one connection periodically, and reads ahead while the application only sends.

    Each check sets both gates to slow. A task that sends or receives after that takes the checked path once, which
    reopens its gate. So the next check sees from the gates what happened in between, and no message pays for it.
    """

    __slots__ = ("_clock", "_has_checked", "_scope", "_session")

    def __init__(self, session: Session, clock: Watchdog) -> None:
        # Weak: a connection that is dropped without a close must be freed, and the check must end with it.
        self._session = ref(session, self._forget)
        self._clock = clock
        self._has_checked = False
        self._scope: anyio.CancelScope | None = None

    def check(self, now: float) -> None:
        """Start to read ahead if the application has sent and not received since the last check."""
        session = self._session()
        if session is None or session.end is not None:
            self._clock.discard(self)
            if self._scope is not None:
                self._scope.cancel()
            return
        if session.inbox is not None and session.inbox.is_fed:
            return
        has_sent = session.sending is None or session.sending == "busy"
        has_received = session.receiving is None or session.receiving == "busy"
        if self._has_checked and has_sent and not has_received and _has_room(session.inbox):
            self._start_reading(session)
        else:
            session.force_slow_path()
        self._has_checked = True

    def _start_reading(self, session: Session) -> None:
        inbox = session.inbox or Inbox()
        inbox.is_fed = True
        session.receive_from(inbox)
        # The task gets the callable and not the session: a reference from a task would keep the session alive.
        spawn(self._read, session.asgi_receive, inbox)

    async def _read(self, receive: Receive, inbox: Inbox) -> None:
        """Read ahead until the peer leaves, the application receives again, or enough is kept."""
        try:
            with anyio.CancelScope() as self._scope, suppress(Exception):  # the next receive() raises it again
                while self._should_read(inbox):
                    self._keep(await receive(), inbox)
        finally:
            self._scope = None
            inbox.is_fed = False
            inbox.wake()

    def _should_read(self, inbox: Inbox) -> bool:
        session = self._session()
        return (
            session is not None
            and session.receiving != "busy"
            and session.state.client is Client.CONNECTED
            and _has_room(inbox)
        )

    def _keep(self, event: Mapping[str, Any], inbox: Inbox) -> None:
        if (session := self._session()) is not None:
            session.record(event)
            inbox.put(event)

    def _forget(self, session: object) -> None:
        if self._scope is not None:
            self._scope.cancel()


def _has_room(inbox: Inbox | None) -> bool:
    if inbox is None:
        return True
    return len(inbox.events) < MAX_PENDING and sum(len(frame_of(event)) for event in inbox.events) < _MAX_BYTES
