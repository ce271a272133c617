"""`WebSocket`: all of the classic API, typed; and the names that the classic module has beside it.

The classic API is that of the ``WebSocket`` class of Starlette and FastAPI. `WebSocket` is the class behind the two
views, `Handshake` and `Connection`.
"""

from collections.abc import Mapping
from typing import Any

from typedws._connection.base import In_co, Out_contra, Params_co
from typedws._connection.connection import Connection
from typedws._connection.handshake import Handshake
from typedws._connection.read_ahead import OnOverflow
from typedws._connection.server_workarounds import apply_workarounds
from typedws._connection.session import Session
from typedws._http.headers import Headers, HeadersInput
from typedws._http.query import QueryParams, QuerySource
from typedws._http.request import HandshakeRequest, State
from typedws._http.url import URL, Address, URLComponents
from typedws._messages.type_parameters import HasMessageTypes
from typedws._protocol.events import check_event, close_event
from typedws._protocol.outcomes import Closed, Denied, Outcome
from typedws._protocol.server_profiles import CURRENT, profile_of
from typedws._protocol.state import WebSocketState, classic_state
from typedws.asgi import Receive, Scope, Send
from typedws.codecs.modes import CodecRegistry, Mode, registry
from typedws.exceptions import WebSocketDisconnect, WebSocketDisconnected

__all__ = [
    "URL",
    "Address",
    "Closed",
    "Connection",
    "Denied",
    "Handshake",
    "HandshakeRequest",
    "HasMessageTypes",
    "Headers",
    "HeadersInput",
    "OnOverflow",
    "Outcome",
    "QueryParams",
    "QuerySource",
    "State",
    "URLComponents",
    "WebSocket",
    "WebSocketClose",
    "WebSocketDisconnect",
    "WebSocketDisconnected",
    "WebSocketState",
]


class WebSocket(Handshake[In_co, Out_contra, Params_co], Connection[In_co, Out_contra, Params_co]):
    """A WebSocket connection over ASGI's ``scope``, ``receive`` and ``send``, with all of the classic API, typed.

    ``WebSocket[In, Out, Params]`` declares the messages that it receives, those that it sends, and the parameters of
    the handshake. It checks at run time what the state of the connection allows. The views `Handshake` and
    `Connection` show parts of it, so that a type checker does.

    :param mode: the name of a codec, or a codec, for messages that are sent or received without an explicit mode
    :param codecs: the registry of the modes
    :param modes: the modes that a client may choose from, by subprotocol; see ``accept``
    :param max_message_size: limit of a message in bytes, beside the server's own; text counts as UTF-8. The classic API
        has no policy: without this, the size is limited by the server alone
    """

    __slots__ = ()

    def __init__(
        self,
        scope: Scope,
        receive: Receive | None = None,
        send: Send | None = None,
        *,
        mode: Mode = "text",
        codecs: CodecRegistry = registry,
        max_message_size: int | None = None,
        modes: Mapping[str, Mode] | None = None,
    ) -> None:
        profile = profile_of(scope)
        session = Session(receive, send, profile)
        if profile is not CURRENT:
            apply_workarounds(session)
        super().__init__(scope, session, mode, codecs, max_message_size, modes)

    @property
    def client_state(self) -> WebSocketState:
        """The state of the client, as far as the server has reported it."""
        return classic_state(self._session.state.client)

    @property
    def application_state(self) -> WebSocketState:
        """The state of the application; also ``DISCONNECTED`` once a send has failed."""
        session = self._session
        return WebSocketState.DISCONNECTED if session.is_lost else classic_state(session.state.application)

    async def receive(self) -> Any:
        """Return the next raw ASGI event. For type checkers, annotate it as ``typedws.asgi.WebSocketReceiveEvent``.

        :raises InvalidState: if the server must not send this event now
        :raises WebSocketDisconnected: after the disconnect
        """
        return await self._session.receive()

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a raw ASGI event, one of ``typedws.asgi.WebSocketSendEvent``, unchanged.

        :raises InvalidState: if the state does not allow this event; nothing was sent
        :raises InvalidHandshake, InvalidClose, UnsendableMessage: if a field must not be sent; nothing was sent
        :raises WebSocketDisconnect: if the peer is gone
        """
        check_event(message, self.subprotocols)
        await self._session.send(message)


class WebSocketClose:
    """An ASGI application that closes the connection: a router's answer to an unknown path.

    Before the accept, servers then deny the handshake with 403.

    :raises InvalidClose: if the code or the reason must not be sent
    """

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        self._event = close_event(code, reason)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(self._event)
