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
from typedws.closing import CloseCode
from typedws.events import frame_of
from typedws.session import Inbox, Session
from typedws.state import Client
from typedws.watchdog import Watchdog, running_trio, watchdog
from typedws.watching import MAX_PENDING

__all__ = ["Lossless", "even_out", "listen_for"]


def even_out(session: Session) -> None:
    """Make a session behave as on any other server."""
    if not session.server.keeps_messages and not running_trio():  # on which no such server runs
        lossless = Lossless(session.asgi_receive)
        session.asgi_receive = lossless.receive
        session.closing = lossless.give_up
    if not session.server.tells_by_send:
        session.opened = listen_for


class Lossless:
    """A server's ``receive`` that no cancellation reaches: the next call waits on for the same event.

    Such a server does not close while it is asked for an event. So before a close it is asked no more.
    """

    __slots__ = ("_coming", "_has_given_up", "_receive")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._coming: asyncio.Future[Mapping[str, Any]] | None = None
        self._has_given_up = False

    async def receive(self) -> Mapping[str, Any]:
        """Give the next event; a disconnect once it was given up."""
        if self._has_given_up:
            return _OVER
        coming = self._coming = self._coming or asyncio.ensure_future(self._receive())
        await asyncio.wait([coming])
        if self._coming is not coming:
            return _OVER
        self._coming = None
        return coming.result()

    def give_up(self) -> None:
        """Ask the server no more."""
        self._has_given_up = True
        if self._coming is not None:
            self._coming.cancel()
            self._coming = None

    def __del__(self) -> None:
        self.give_up()


_OVER: Final = {"type": "websocket.disconnect", "code": CloseCode.NO_STATUS_RCVD}

_PERIOD: Final = 0.3
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
            session.shut_gates()
        self._has_looked = True

    def _listen_to(self, session: Session) -> None:
        inbox = session.inbox or Inbox()
        inbox.is_fed = True
        session.read_through(inbox)
        self._dog.spawn(self._listen, session.asgi_receive, inbox)

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
            session.take(event)
            inbox.put(event)

    def _forget(self, session: object) -> None:
        if self._scope is not None:
            self._scope.cancel()


def _has_room(inbox: Inbox | None) -> bool:
    if inbox is None:
        return True
    return len(inbox.events) < MAX_PENDING and sum(len(frame_of(event)) for event in inbox.events) < _MOST_BYTES
