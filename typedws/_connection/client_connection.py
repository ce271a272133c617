"""`ClientConnection`: the client's end of a connection. It hears what the contract's server says, by the same rules.

How its events come and go is the matter of who makes it: over a socket, or in process.
"""

from dataclasses import replace
from typing import Any, Protocol

from typedws._connection.base import set_declared
from typedws._connection.connection import Connection
from typedws._contract.contract import Contract
from typedws._http.headers import Headers
from typedws._messages.adapter import MessageAdapter
from typedws._messages.type_parameters import In_co, Out_contra
from typedws._protocol.events import close_event
from typedws._protocol.outcomes import Accepted, Closed
from typedws._protocol.server_profiles import PEER
from typedws.asgi import Receive, Scope, Send
from typedws.codecs.modes import registry

__all__ = ["ClientConnection", "Line"]


class Line(Protocol):
    """What a connection goes over, where closing takes more than an event."""

    def read_on(self) -> None:
        """Read from now on whether somebody receives or not: a server that waits for that would hear no close."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Begin to close, unless that has begun; for a close that waited for other sends, and was given up."""
        ...


class ClientConnection(Connection[In_co, Out_contra, object]):
    """The client's end: it receives what the server says and sends what the server hears.

    ``ClientConnection[ServerMessage, ClientMessage]`` is a `Connection` whose peer is the server; what it shows of the
    request is what was asked for. Made by ``connect``, not by its users.
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
        mode, codecs = "text" if contract is None else contract.modes[0], registry
        if contract is not None:
            codecs = contract.codecs
            mode = contract.subprotocols.get(accepted.subprotocol or "", mode)
        super().__init__(scope, receive, send, mode=mode, codecs=codecs)
        client_messages, server_messages = (
            (None, None) if contract is None else (_form(contract.server_messages), _form(contract.client_messages))
        )
        set_declared(self, (client_messages, server_messages, None), None)
        self._accepted = accepted
        self._line = line
        self._session.server = PEER if contract is None else replace(PEER, closes=contract.closes)
        self._session.mark_connected()

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server selected, one of those that were offered; ``None`` for none."""
        return self._accepted.subprotocol

    @property
    def response_headers(self) -> Headers:
        """The header fields of the server's response."""
        return self._accepted.headers

    @property
    def end(self) -> Closed | None:
        """How the connection ended, and who ended it, once that is known; here the ``"peer"`` is the server."""
        return self._session.end

    async def close(self, code: int = 1000, reason: str | None = None) -> Closed:
        """Close the connection, after all that was sent before; see `Connection.close`."""
        event = close_event(code, reason)
        if self._line is not None:
            self._line.read_on()
        closed = await super().close(code, reason)
        if self._line is not None:
            self._line.close(code, event.get("reason") or "")
        return closed


def _form(adapter: MessageAdapter[Any] | None) -> Any:
    return None if adapter is None else adapter.form
