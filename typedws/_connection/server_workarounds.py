"""Workarounds for servers that lose a message when ``receive()`` is cancelled, or do not report that the peer left.

`typedws._protocol.server_profiles` knows which server needs which. On all others nothing here runs.
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
    if not session.profile.has_safe_receive and not running_trio():  # no server without it runs on trio
        safe = CancellationSafeReceive(session.asgi_receive)
        session.asgi_receive = safe.receive
        session.before_close = safe.stop
    if not session.profile.send_raises_when_gone:
        session.on_accept = detect_departure


class CancellationSafeReceive:
    """A server's ``receive`` that is never cancelled: after a cancellation, the next call waits for the same event.

    Such a server does not close while a ``receive`` is pending, so `stop` has to be called before a close.
    """

    __slots__ = ("_is_stopped", "_pending", "_receive")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._pending: asyncio.Future[Mapping[str, Any]] | None = None
        self._is_stopped = False

    async def receive(self) -> Mapping[str, Any]:
        """Return the next event; after `stop`, a disconnect."""
        if self._is_stopped:
            return _STOPPED
        pending = self._pending = self._pending or asyncio.ensure_future(self._receive())
        # Unlike `await pending`, this leaves the future alone when the caller is cancelled.
        await asyncio.wait([pending])
        if self._pending is not pending:
            return _STOPPED
        self._pending = None
        return pending.result()

    def stop(self) -> None:
        """Cancel the pending ``receive`` of the server, and call it no further."""
        self._is_stopped = True
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None

    def __del__(self) -> None:
        self.stop()  # else the pending call would keep the server's connection for ever


_STOPPED: Final = {"type": "websocket.disconnect", "code": CloseCode.NO_STATUS_RCVD}
