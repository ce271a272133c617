"""`WebSocket`, all of the classic API typed, and the names that the classic module has beside it.

It is the one class behind its two views, `typedws._connection.handshake.Handshake` and `typedws._connection.connection.Connection`.
"""

from collections.abc import Mapping
from typing import Any

from typedws._connection.base import In_co, Out_contra, Params_co
from typedws._connection.connection import Connection
from typedws._connection.handshake import Handshake
from typedws._protocol.events import check_event, close_event
from typedws._protocol.outcomes import Closed, Denied, Outcome
from typedws._protocol.state import WebSocketState, classic_state
from typedws.asgi import Receive, Scope, Send
from typedws.exceptions import WebSocketDisconnect, WebSocketDisconnected

__all__ = [
    "Closed",
    "Connection",
    "Denied",
    "Handshake",
    "Outcome",
    "WebSocket",
    "WebSocketClose",
    "WebSocketDisconnect",
    "WebSocketDisconnected",
    "WebSocketState",
]


class WebSocket(Handshake[In_co, Out_contra, Params_co], Connection[In_co, Out_contra, Params_co]):
    """A WebSocket connection over ASGI's ``scope``, ``receive`` and ``send``: all of the classic API, typed.

    ``WebSocket[In, Out, Params]`` declares what it hears, what it says, and its parameters. It does everything, and
    checks at run time what the state allows; the views `Handshake` and `Connection` show parts of it, so that a
    checker does.

    :param mode: how messages travel where a call does not say: the name of a codec, or a codec
    :param codecs: the registry that knows the modes
    :param modes: the modes that a client may choose from, by the subprotocol that stands for each; see ``accept``
    :param max_message_size: bytes that a message may have at most, beside the server's own limit; text counts as UTF-8
    """

    __slots__ = ()

    @property
    def client_state(self) -> WebSocketState:
        """Where the client stands, as far as the server has told."""
        return classic_state(self._session.state.client)

    @property
    def application_state(self) -> WebSocketState:
        """Where the application stands; ``DISCONNECTED`` too once a send has failed."""
        session = self._session
        return WebSocketState.DISCONNECTED if session.is_lost else classic_state(session.state.application)

    async def receive(self) -> Any:
        """Give the next raw ASGI event: annotate it as ``typedws.asgi.WebSocketReceiveEvent`` to have it checked.

        :raises InvalidState: for an event that the server must not send now
        :raises WebSocketDisconnected: after the disconnect
        """
        return await self._session.receive()

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a raw ASGI event, one of ``typedws.asgi.WebSocketSendEvent``. What it says is sent as it is.

        :raises InvalidState: for an event that the state does not allow; nothing was sent
        :raises WebSocketDisconnect: when the peer is gone
        """
        check_event(message, self.subprotocols)
        await self._session.send(message)


class WebSocketClose:
    """An ASGI application that closes, or before an accept denies with 403: a router's answer to an unknown path."""

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        self._event = close_event(code, reason)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(self._event)
