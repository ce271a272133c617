"""`ClientConnection`: the client's end of a connection. It hears what the contract's server says, by the same rules.

How its events come and go is the matter of who makes it: over a socket, or in process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from typedws.adapters import MessageAdapter
from typedws.asgi import Receive, Scope, Send
from typedws.codecs import registry
from typedws.connection import Connection
from typedws.contract import Contract
from typedws.declared import In_co, Out_contra
from typedws.events import close_event
from typedws.headers import Headers
from typedws.outcome import Closed
from typedws.servers import PEER
from typedws.view import declare

__all__ = ["Accepted", "ClientConnection"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the server said when it accepted."""

    subprotocol: str | None
    headers: Headers


class ClientConnection(Connection[In_co, Out_contra, object]):
    """The client's end: it receives what the server says and sends what the server hears.

    ``ClientConnection[ServerMessage, ClientMessage]`` is a `Connection` whose peer is the server; what it shows of the
    request is what was asked for. Made by ``connect``, not by its users.

    :param read_on: what is called before a close, from where on nothing that is sent may wait for us to receive
    :param hang_up: what is called after a close, with its code and reason, which may have had to be given up
    """

    __slots__ = ("_accepted", "_hang_up", "_read_on")

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        accepted: Accepted,
        contract: Contract[Any, Any, Any] | None,
        read_on: Callable[[], None] | None = None,
        hang_up: Callable[[int, str], None] | None = None,
    ) -> None:
        mode, codecs = "text" if contract is None else contract.modes[0], registry
        if contract is not None:
            codecs = contract.codecs
            mode = contract.subprotocols.get(accepted.subprotocol or "", mode)
        super().__init__(scope, receive, send, mode=mode, codecs=codecs)
        hears, says = (None, None) if contract is None else (_form(contract.says), _form(contract.hears))
        declare(self, (hears, says, None), None)
        self._accepted = accepted
        self._read_on = read_on
        self._hang_up = hang_up
        self._session.server = PEER
        self._session.establish()

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
        if self._read_on is not None:  # a server that waits for us to receive would not hear the close
            self._read_on()
        closed = await super().close(code, reason)
        if self._hang_up is not None:
            self._hang_up(code, event.get("reason") or "")
        return closed


def _form(adapter: MessageAdapter[Any] | None) -> Any:
    return None if adapter is None else adapter.form
