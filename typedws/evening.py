"""Evening out servers: a cancelled receive that loses nothing, a peer's leave that nobody tells, anywhere alike.

Which server needs it, `typedws.servers` says; where none does, nothing here runs.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from weakref import ref

import anyio

from typedws.asgi import Receive
from typedws.events import frame_of
from typedws.session import Inbox, Session
from typedws.state import Client
from typedws.watchdog import Watchdog, running_trio, watchdog
from typedws.watching import MAX_PENDING

__all__ = ["Lossless", "even_out", "listen_for"]


def even_out(session: Session) -> None:
    """Make a session behave as on any other server."""
    if not session.server.keeps_messages and not running_trio():  # on which no such server runs
        session.asgi_receive = Lossless(session.asgi_receive).receive
    if not session.server.tells_by_send:
        session.opened = listen_for


class Lossless:
    """A server's ``receive`` that no cancellation reaches: the next call waits on for the same event."""

    __slots__ = ("_coming", "_receive")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._coming: asyncio.Future[Mapping[str, Any]] | None = None

    async def receive(self) -> Mapping[str, Any]:
        """Give the next event."""
        if self._coming is None:
            self._coming = asyncio.ensure_future(self._receive())
        try:
            event = await asyncio.shield(self._coming)
        except Exception:
            self._coming = None
            raise
        self._coming = None
        return event


_PERIOD: Final = 0.4
"""Seconds between two looks at a connection. After two of them it is listened to."""
_MOST_BYTES: Final = 1 << 16
"""How much is kept of what a peer says to an application that does not receive, beside so many messages."""


def listen_for(session: Session) -> None:
    """From its accept on, learn that the peer left while the application sends and does not receive.

    Its sends fail from then on, as they do where the server tells. Nothing is done for a message.
    """
    dog = watchdog()
    dog.add(_Listener(session, dog), _PERIOD)


class _Listener:
    """Looks at one connection, and listens to it while the application only sends.

    A look shuts both gates. Who sends or receives after that goes the slow way once, and leaves the gate open: so the
    next look knows.
    """

    __slots__ = ("_dog", "_has_looked", "_scope", "_session")

    def __init__(self, session: Session, dog: Watchdog) -> None:
        self._session = ref(session)  # which may be forgotten without a close
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
            session.shut_gates()
        self._has_looked = True

    def _listen_to(self, session: Session) -> None:
        inbox = session.inbox or Inbox()
        inbox.is_fed = True
        session.read_through(inbox)
        self._scope = anyio.CancelScope()
        self._dog.spawn(_listen, session, inbox, self._scope)


async def _listen(session: Session, inbox: Inbox, scope: anyio.CancelScope) -> None:
    """Read ahead until the peer leaves, the application receives again, or enough is kept."""
    try:
        with scope, suppress(Exception):  # who receives meets it again
            while session.receiving != "busy" and _has_room(inbox):
                inbox.put(await session.pull())
                if session.state.client is Client.DISCONNECTED:
                    break
    finally:
        inbox.is_fed = False
        inbox.wake()


def _has_room(inbox: Inbox | None) -> bool:
    if inbox is None:
        return True
    return len(inbox.events) < MAX_PENDING and sum(len(frame_of(event)) for event in inbox.events) < _MOST_BYTES
