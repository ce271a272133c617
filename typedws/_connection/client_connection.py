"""`ClientConnection`: the client's end of a connection, whose peer is the server.

Its events come over a socket or from a test harness; the code that opens it supplies ``receive`` and ``send``.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

from typedws._connection.base import set_declared
from typedws._connection.connection import Connection
from typedws._connection.session import Session
from typedws._contract.contract import Contract
from typedws._http.headers import Headers
from typedws._messages.adapter import MessageAdapter
from typedws._messages.type_parameters import In_co, Out_contra
from typedws._protocol.events import close_event
from typedws._protocol.outcomes import Closed
from typedws._protocol.server_profiles import PEER
from typedws.asgi import Receive, Scope, Send
from typedws.codecs.modes import registry

__all__ = ["Accepted", "ClientConnection", "Line"]


class Line(Protocol):
    """The transport under a client's connection, if closing it takes more than sending an event."""

    def read_on(self) -> None:
        """Keep reading even if no task receives: a server that is blocked in a send does not read our close frame."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Start closing if that has not started, because the close was abandoned while it waited for earlier sends."""
        ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server's answer when it accepted a handshake: the chosen subprotocol, if any, and the response headers."""

    subprotocol: str | None
    headers: Headers


class ClientConnection(Connection[In_co, Out_contra, object]):
    """The client's end of a connection: it receives the server messages and sends the client messages of a contract.

    ``ClientConnection[ServerMessage, ClientMessage]`` is a `Connection` whose peer is the server. The properties of the
    request show what the client asked for. ``connect`` creates it.
    """

    __slots__ = ("_accepted", "_line")

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        accepted: Accepted,
        contract: Contract[Any, Any, Any] | None,
        line: Line | None = None,
    ) -> None:
        if contract is None:
            super().__init__(scope, Session(receive, send, PEER), "text", registry)
            set_declared(self, (None, None, None), None)
        else:
            session = Session(receive, send, replace(PEER, closes=contract.closes))
            mode = contract.subprotocols.get(accepted.subprotocol or "", contract.modes[0])
            super().__init__(scope, session, mode, contract.codecs)
            set_declared(self, (_form(contract.server_messages), _form(contract.client_messages), None), None)
        self._accepted = accepted
        self._line = line
        self._session.mark_connected()

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server selected, one of those offered, or ``None``."""
        return self._accepted.subprotocol

    @property
    def response_headers(self) -> Headers:
        """The header fields of the server's response."""
        return self._accepted.headers

    @property
    def end(self) -> Closed | None:
        """How the connection ended, or ``None`` while that is not known. Here ``"peer"`` is the server."""
        return self._session.end

    async def close(self, code: int = 1000, reason: str | None = None) -> Closed:
        """Close the connection, after all earlier messages are sent; see `Connection.close`."""
        event = close_event(code, reason)
        if self._line is not None:
            self._line.read_on()
        closed = await super().close(code, reason)
        if self._line is not None:
            self._line.close(code, event.get("reason") or "")
        return closed


def _form(adapter: MessageAdapter[Any] | None) -> Any:
    return None if adapter is None else adapter.form
