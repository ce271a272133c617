"""The server that the harness plays, between an application and its client: strict, and as a `ServerBehaviour` says.

It knows no tasks and no time limits: `typedws.testing.exchange` has these. Whatever an application must not do ends in
the exception that names it, in the application.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import anyio
import anyio.lowlevel

from typedws._contract.problem_documents import supports_denial_response
from typedws._http.headers import Headers, header_list
from typedws._protocol.events import check_event
from typedws._protocol.outcomes import Accepted
from typedws._protocol.state import Application, ConnectionState, Move, move_of
from typedws.close_codes import CloseCode
from typedws.exceptions import InvalidHandshake, InvalidState, UnsendableMessage
from typedws.testing.failures import ClientGone
from typedws.testing.pipe import Pipe, size_of
from typedws.testing.server_behaviour import ServerBehaviour
from typedws.testing.transcript import Transcript

__all__ = ["FakeServer", "Response", "Violation"]

Violation: TypeAlias = Literal["invalid_utf8", "protocol_error", "too_big"]
"""What a client may do wrong with a frame: text that is no UTF-8, a reserved opcode, a message above every limit."""

_VIOLATIONS: Final[Mapping[Violation, CloseCode]] = {
    "invalid_utf8": CloseCode.INVALID_DATA,
    "protocol_error": CloseCode.PROTOCOL_ERROR,
    "too_big": CloseCode.MESSAGE_TOO_BIG,
}

_Event = Mapping[str, Any]


@dataclass
class Response:
    """The HTTP response that denies a handshake."""

    status: int
    headers: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    body: bytes = b""


class FakeServer:
    """One connection, from its opening handshake to its end."""

    def __init__(self, scope: Mapping[str, Any], server: ServerBehaviour) -> None:
        self.scope: Mapping[str, Any] = scope
        self.server: ServerBehaviour = server
        self.transcript: Transcript = Transcript()
        self.to_application: Pipe = Pipe()
        self.to_client: Pipe = Pipe()
        self.decided: anyio.Event = anyio.Event()
        """Set once the handshake is accepted or denied, or never will be."""
        self.accepted: Accepted | None = None
        self.denied: Response | None = None
        self.awaits: Literal["message", "room"] | None = None
        """What the application waits for here, if it does."""
        self.lost_at: int | None = None
        """The how manieth message of the application, from now on, is not delivered, and the connection lost."""
        self._response: Response | None = None
        self._is_connect_told = False
        self._state = ConnectionState()
        self._state.client_moves(Move.CONNECT)  # as on servers: who decides need not have received it
        self.transcript.note("client", f"asks for {_target(scope)}")

    # --- the application's side ---

    async def receive(self) -> _Event:
        """Be the ``receive`` of the application."""
        await anyio.lowlevel.checkpoint()
        if not self._is_connect_told:
            self._is_connect_told = True
            return _CONNECT
        self.awaits = "message"
        try:
            event = await self.to_application.get()
        finally:
            self.awaits = None
        if event is None:
            raise InvalidState("no further receive()", "one after websocket.disconnect", "stop at the disconnect")
        self._state.client_moves(move_of(event))
        return event

    async def send(self, event: _Event) -> None:
        """Be the ``send`` of the application."""
        await anyio.lowlevel.checkpoint()
        move = move_of(event)
        _check(event, move, self.scope)
        is_ended = self._state.application in (Application.CLOSED, Application.DENIED)
        if not is_ended and self.to_application.is_over:
            self._refuse_to_send()
            return
        self._state.check_application(move)
        if move is Move.SEND:
            self.awaits = "room"
            try:
                await self.to_client.room()
            finally:
                self.awaits = None
            if self.to_application.is_over:
                self._refuse_to_send()
                return
        self._state.application_moves(move)
        self._act(event, move)

    def _refuse_to_send(self) -> None:
        if not self.server.drops_sends_silently:
            raise ClientGone("the client is gone")

    def _act(self, event: _Event, move: Move) -> None:
        match move:
            case Move.ACCEPT:
                self.transcript.note("application", "accepts")
                headers = Headers(raw=header_list(event.get("headers")))
                self.accepted = Accepted(event.get("subprotocol"), headers)
                self.decided.set()
            case Move.SEND:
                self._deliver(event)
            case Move.CLOSE if self.accepted is None:
                self._deny(Response(403))
            case Move.CLOSE:
                code, reason = int(event.get("code", CloseCode.NORMAL_CLOSURE)), event.get("reason") or ""
                self.transcript.note("application", f"closes with {code} {reason!r}")
                self.to_client.end(_disconnect(code, "" if self.server.no_close_reason else reason))
                self.to_application.end(_disconnect(code, reason))
            case Move.RESPONSE_START:
                self._response = Response(int(event["status"]), header_list(event.get("headers")))
            case _:
                assert self._response is not None  # noqa: S101 - the state says so
                self._response.body += event.get("body", b"")
                if move is Move.RESPONSE_END:
                    self._deny(self._response)

    def _deliver(self, event: _Event) -> None:
        if self.lost_at is not None:
            self.lost_at -= 1
            if self.lost_at <= 0:
                self.lose()
                self._refuse_to_send()
                return
        self.transcript.sends("application", event)
        data = event.get("text")
        message = {"bytes": event["bytes"]} if data is None else {"text": data}
        self.to_client.put({"type": "websocket.receive", **message})

    def _deny(self, response: Response) -> None:
        self.transcript.note("application", f"denies with {response.status}")
        self.denied = response
        self.to_application.end(_disconnect(CloseCode.ABNORMAL_CLOSURE))
        self.decided.set()

    def application_ended(self) -> None:
        """Do what servers do when the application is over, and has not ended the connection."""
        if not self.decided.is_set():
            self.transcript.note("application", "ends without a decision")
            self.decided.set()
        elif not self.to_application.is_over:
            self.transcript.note("application", "ends without a close")
        self._ended(CloseCode.ABNORMAL_CLOSURE)

    # --- the client's side ---

    async def client_receive(self) -> _Event:
        """Give the next event of the server: a message, or a disconnect; after it, that the connection is lost."""
        event = await self.to_client.get()
        return _disconnect(CloseCode.ABNORMAL_CLOSURE) if event is None else event

    async def client_send(self, event: _Event) -> None:
        """Send a message or a close to the application.

        :raises ClientGone: when the connection is over
        """
        await anyio.lowlevel.checkpoint()
        if event["type"] == Move.CLOSE:
            self.client_closes(event["code"], event["reason"])
            return
        if size_of(event) > self.server.max_message_size:
            self.transcript.note("client", f"sends {size_of(event)} bytes, too many")
            self._ended(CloseCode.MESSAGE_TOO_BIG)
        await self.to_application.room()
        if self.to_application.is_over:
            raise ClientGone("the connection is over")
        self.transcript.sends("client", event)
        keys = {"text": None, "bytes": None} if self.server.both_data_keys else {}
        self.to_application.put({**keys, **event, "type": "websocket.receive"})

    def client_closes(self, code: int, reason: str) -> None:
        """Close from the client's side, unless it is over."""
        if not self.to_application.is_over:
            self.transcript.note("client", f"closes with {code} {reason!r}")
        self.to_application.end(_disconnect(code, reason))
        self.to_client.end(_disconnect(code, reason))

    # --- faults ---

    def lose(self) -> None:
        """Lose the connection: no close frame, and nothing that is on the way arrives."""
        if not self.to_application.is_over:
            self.transcript.note("network", "loses the connection")
        self._ended(CloseCode.ABNORMAL_CLOSURE, drops=True)

    def violate(self, violation: Violation) -> None:
        """Let the client send a malformed frame, which the server answers by failing the connection."""
        self.transcript.note("client", f"sends a malformed frame: {violation}")
        self._ended(_VIOLATIONS[violation])

    def shut_down(self) -> bool:
        """Let the server shut down, and give whether the application is to be cancelled for it."""
        self.transcript.note("server", "shuts down")
        if self.server.cancelled_at_shutdown:
            return True
        self._ended(CloseCode.SERVICE_RESTART)
        return False

    def _ended(self, code: CloseCode, *, drops: bool = False) -> None:
        self.to_application.end(_disconnect(code), drops=drops)
        self.to_client.end(_disconnect(code), drops=drops)


_CONNECT: Final[_Event] = {"type": "websocket.connect"}


def _disconnect(code: int, reason: str = "") -> _Event:
    return {"type": "websocket.disconnect", "code": int(code), "reason": reason}


def _target(scope: Mapping[str, Any]) -> str:
    query: str = scope["query_string"].decode()
    return f"{scope['path']}?{query}" if query else str(scope["path"])


def _check(event: _Event, move: Move, scope: Mapping[str, Any]) -> None:
    """Refuse what a real server refuses, or should: fields that are not of their type, values that cannot be sent."""
    match move:
        case Move.SEND:
            given = [event[name] for name in ("text", "bytes") if event.get(name) is not None]
            if len(given) != 1:
                raise UnsendableMessage("one of text and bytes", f"{len(given) or 'none'} of them")
            for name, type_ in (("text", str), ("bytes", bytes)):
                if not isinstance(value := event.get(name), type_ | None):
                    raise UnsendableMessage(f"{name} of type {type_.__name__}", f"a {type(value).__name__}")
        case Move.RESPONSE_START if not supports_denial_response(scope):
            raise InvalidState("websocket.close", move, "the server has no Denial Response extension")
        case Move.RESPONSE_START if not 200 <= (status := event["status"]) <= 599:
            raise InvalidHandshake("status", "an HTTP status from 200 to 599", repr(status))
        case _:
            pass
    check_event(event, scope["subprotocols"])
    for name, value in event.get("headers") or ():
        if not isinstance(name, bytes) or not isinstance(value, bytes) or name != name.lower():
            raise InvalidHandshake("headers", "pairs of bytes, names in lower case", repr((name, value)))
