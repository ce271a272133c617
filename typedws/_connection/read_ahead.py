"""Noticing that the peer leaves while nobody receives: a task that reads ahead for the length of a block."""

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
"""What happens to a peer that says more than is kept: it is closed with 1008, or what it says is lost."""

MAX_PENDING: Final = 64
"""How many messages are kept by default."""


class DisconnectWatch(AbstractAsyncContextManager[None, None]):
    """Cancel the block as soon as the peer goes; keep what it says meanwhile for later."""

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
        except Exception as error:  # noqa: BLE001 - it is raised where the block ends
            self._failure = error
        finally:
            self._inbox.is_fed = False
            self._inbox.wake()
        self._group.cancel_scope.cancel()

    async def _read(self) -> WebSocketDisconnect:
        """Read until the connection is over, and tell how it ended."""
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
    """Leave a task group that was entered for a block; an exception of the block passes as it is, in no group.

    Give whether there is none, but perhaps the cancellation of the block: then another may be raised.
    """
    if not _is_cancellation(error):
        await tasks.__aexit__(None, None, None)
        return error is None
    await tasks.__aexit__(type_, error, traceback)
    return True


def _is_cancellation(error: BaseException | None) -> bool:
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(error, BaseExceptionGroup):  # what a trio nursery in the block makes of it
        return cast("BaseExceptionGroup[BaseException]", error).split(cancelled)[1] is None
    return isinstance(error, cancelled)


_PERIOD: Final = 0.3
"""Seconds between two looks at a connection. After two of them it is listened to."""


_MOST_BYTES: Final = 1 << 16
"""How much is kept of what a peer says to an application that does not receive, beside so many messages."""


def detect_departure(session: Session) -> None:
    """From its accept on, learn that the peer left while the application sends and does not receive.

    Its sends fail from then on, as they do where the server tells. Nothing is done for a message.
    """
    dog = watchdog()
    dog.add(_DepartureDetector(session, dog), _PERIOD)


class _DepartureDetector:
    """Looks at one connection, and listens to it while the application only sends.

    A look shuts both gates. Who sends or receives after that goes the slow way once, and leaves the gate open: so the
    next look knows.
    """

    __slots__ = ("_dog", "_has_looked", "_scope", "_session")

    def __init__(self, session: Session, dog: Watchdog) -> None:
        self._session = ref(session, self._forget)  # for it may be dropped without a close
        self._dog = dog
        self._has_looked = False
        self._scope: anyio.CancelScope | None = None

    def look(self, now: float) -> None:
        """Begin to listen where since the last look something was sent, and nobody received."""
        session = self._session()
        if session is None or session.end is not None:
            self._dog.discard(self)
            if self._scope is not None:
                self._scope.cancel()
            return
        if session.inbox is not None and session.inbox.is_fed:
            return
        has_sent = session.sending is None or session.sending == "busy"
        has_received = session.receiving is None or session.receiving == "busy"
        if self._has_looked and has_sent and not has_received and _has_room(session.inbox):
            self._listen_to(session)
        else:
            session.force_slow_path()
        self._has_looked = True

    def _listen_to(self, session: Session) -> None:
        inbox = session.inbox or Inbox()
        inbox.is_fed = True
        session.receive_from(inbox)
        spawn(self._listen, session.asgi_receive, inbox)

    async def _listen(self, receive: Receive, inbox: Inbox) -> None:
        """Read ahead until the peer leaves, the application receives again, or enough is kept."""
        try:
            with anyio.CancelScope() as self._scope, suppress(Exception):  # who receives meets it again
                while self._goes_on(inbox):
                    self._take(await receive(), inbox)
        finally:
            self._scope = None
            inbox.is_fed = False
            inbox.wake()

    def _goes_on(self, inbox: Inbox) -> bool:
        session = self._session()
        return (
            session is not None
            and session.receiving != "busy"
            and session.state.client is Client.CONNECTED
            and _has_room(inbox)
        )

    def _take(self, event: Mapping[str, Any], inbox: Inbox) -> None:
        if (session := self._session()) is not None:
            session.record(event)
            inbox.put(event)

    def _forget(self, session: object) -> None:
        if self._scope is not None:
            self._scope.cancel()


def _has_room(inbox: Inbox | None) -> bool:
    if inbox is None:
        return True
    return len(inbox.events) < MAX_PENDING and sum(len(frame_of(event)) for event in inbox.events) < _MOST_BYTES
