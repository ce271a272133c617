"""Evening out servers: a cancelled receive that loses nothing, a peer's leave that nobody tells, anywhere alike.

Which server needs it, `typedws._protocol.server_profiles` says; where none does, nothing here runs.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from typedws._connection.read_ahead import detect_departure
from typedws._connection.session import Session
from typedws._runtime.event_loop import running_trio
from typedws.asgi import Receive
from typedws.close_codes import CloseCode

__all__ = ["CancellationSafeReceive", "apply_workarounds"]


def apply_workarounds(session: Session) -> None:
    """Make a session behave as on any other server."""
    if not session.server.has_safe_receive and not running_trio():  # on which no such server runs
        lossless = CancellationSafeReceive(session.asgi_receive)
        session.asgi_receive = lossless.receive
        session.before_close = lossless.give_up
    if not session.server.send_raises_when_gone:
        session.on_accept = detect_departure


class CancellationSafeReceive:
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
