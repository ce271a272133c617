"""The simulated server between an application and its client: strict, with the quirks of a `ServerBehaviour`.

It has no tasks and no time limits; those are in `typedws.testing.exchange`. An application that breaks a rule gets an
exception from ``receive`` or ``send`` that names the rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import anyio
import anyio.lowlevel

from typedws._connection.client_connection import Accepted
from typedws._contract.problem_documents import supports_denial_response
from typedws._http.headers import Headers, header_list
from typedws._protocol.events import check_event
from typedws._protocol.state import Application, ConnectionState, Move, move_of
from typedws.close_codes import CloseCode
from typedws.exceptions import InvalidHandshake, InvalidState, UnsendableMessage
from typedws.testing.failures import ClientGone
from typedws.testing.pipe import Pipe, size_of
from typedws.testing.server_behaviour import ServerBehaviour
from typedws.testing.transcript import Transcript

__all__ = ["FakeServer", "Response", "Violation"]

Violation: TypeAlias = Literal["invalid_utf8", "protocol_error", "too_big"]
"""How a frame of the client is malformed: text that is not UTF-8, a reserved opcode, a message above every limit."""

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
    """The server's side of one connection, from its opening handshake to its end."""

    def __init__(self, scope: Mapping[str, Any], behaviour: ServerBehaviour) -> None:
        self.scope: Mapping[str, Any] = scope
        self.behaviour: ServerBehaviour = behaviour
        self.transcript: Transcript = Transcript()
        self.to_application: Pipe = Pipe()
        self.to_client: Pipe = Pipe()
        self.decided: anyio.Event = anyio.Event()
        """Set once the handshake is accepted or denied, or the application ended without either."""
        self.accepted: Accepted | None = None
        self.denied: Response | None = None
        self.waiting_for: Literal["message", "room"] | None = None
        """What the application waits for in ``receive`` or ``send``, if it does: a message, or room to send one."""
        self.lose_at_message: int | None = None
        """Lose the connection instead of delivering the n-th message of the application from now; 1 is the next."""
        self._response: Response | None = None
        self._is_connect_sent = False
        self._state = ConnectionState()
        self._state.client_moves(Move.CONNECT)  # real servers, too, allow an accept before a receive()
        self.transcript.note("client", f"asks for {_target(scope)}")

    # --- the application's side ---

    async def receive(self) -> _Event:
        """Return the next event for the application; its ``receive``.

        :raises InvalidState: after the disconnect
        """
        await anyio.lowlevel.checkpoint()
        if not self._is_connect_sent:
            self._is_connect_sent = True
            return _CONNECT
        self.waiting_for = "message"
        try:
            event = await self.to_application.get()
        finally:
            self.waiting_for = None
        if event is None:
            raise InvalidState("no further receive()", "one after websocket.disconnect", "stop at the disconnect")
        self._state.client_moves(move_of(event))
        return event

    async def send(self, event: _Event) -> None:
        """Take an event of the application; its ``send``.

        :raises InvalidState: if the event is not allowed now, or the server does not have the extension for it
        :raises UnsendableMessage: if the event is a message that cannot be sent
        :raises InvalidHandshake: if an accept or a denial is one that a server must refuse
        :raises InvalidClose: if the close code or the close reason must not be sent
        :raises ClientGone: if the client is gone, unless the behaviour drops such sends
        """
        await anyio.lowlevel.checkpoint()
        move = move_of(event)
        _check(event, move, self.scope)
        is_ended = self._state.application in (Application.CLOSED, Application.DENIED)
        # A send after the client has left is not a mistake: the application may not know it yet. A send after the
        # application's own end is one, which check_application() reports.
        if not is_ended and self.to_application.is_over:
            self._fail_send()
            return
        # Checked before the wait for room, so that a mistake raises at once; recorded after it, when the event is sent.
        self._state.check_application(move)
        if move is Move.SEND:
            self.waiting_for = "room"
            try:
                await self.to_client.wait_for_room()
            finally:
                self.waiting_for = None
            if self.to_application.is_over:  # the client left during the wait
                self._fail_send()
                return
        self._state.application_moves(move)
        self._apply(event, move)

    def _fail_send(self) -> None:
        if not self.behaviour.drops_sends_silently:
            raise ClientGone("the client is gone")

    def _apply(self, event: _Event, move: Move) -> None:
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
                self.to_client.end(_disconnect(code, "" if self.behaviour.no_close_reason else reason))
                self.to_application.end(_disconnect(code, reason))
            case Move.RESPONSE_START:
                self._response = Response(int(event["status"]), header_list(event.get("headers")))
            case _:
                assert self._response is not None  # noqa: S101 - the state has checked that a start came first
                self._response.body += event.get("body", b"")
                if move is Move.RESPONSE_END:
                    self._deny(self._response)

    def _deliver(self, event: _Event) -> None:
        if self.lose_at_message is not None:
            self.lose_at_message -= 1
            if self.lose_at_message <= 0:
                self.lose()
                self._fail_send()
                return
        self.transcript.note_message("application", event)
        data = event.get("text")
        # The client's end is a Connection, to which a server message comes as a received event.
        message = {"bytes": event["bytes"]} if data is None else {"text": data}
        self.to_client.put({"type": "websocket.receive", **message})

    def _deny(self, response: Response) -> None:
        self.transcript.note("application", f"denies with {response.status}")
        self.denied = response
        self.to_application.end(_disconnect(CloseCode.ABNORMAL_CLOSURE))
        self.decided.set()

    def application_ended(self) -> None:
        """End the connection as servers do when the application ended without ending it: code 1006 for the client."""
        if not self.decided.is_set():
            self.transcript.note("application", "ends without a decision")
            self.decided.set()
        elif not self.to_application.is_over:
            self.transcript.note("application", "ends without a close")
        self._end(CloseCode.ABNORMAL_CLOSURE)

    # --- the client's side ---

    async def client_receive(self) -> _Event:
        """Return the server's next event: a message, or a disconnect; after a disconnect, always one with 1006."""
        event = await self.to_client.get()
        return _disconnect(CloseCode.ABNORMAL_CLOSURE) if event is None else event

    async def client_send(self, event: _Event) -> None:
        """Send a message or a close to the application.

        :raises ClientGone: if the connection is over
        """
        await anyio.lowlevel.checkpoint()
        if event["type"] == Move.CLOSE:
            self.client_close(event["code"], event["reason"])
            return
        if size_of(event) > self.behaviour.max_message_size:
            self.transcript.note("client", f"sends {size_of(event)} bytes, too many")
            self._end(CloseCode.MESSAGE_TOO_BIG)  # so that ClientGone is raised below
        await self.to_application.wait_for_room()
        if self.to_application.is_over:
            raise ClientGone("the connection is over")
        self.transcript.note_message("client", event)
        keys = {"text": None, "bytes": None} if self.behaviour.both_data_keys else {}
        self.to_application.put({**keys, **event, "type": "websocket.receive"})

    def client_close(self, code: int, reason: str) -> None:
        """Close from the client's side; does nothing if the connection is over."""
        if not self.to_application.is_over:
            self.transcript.note("client", f"closes with {code} {reason!r}")
        self.to_application.end(_disconnect(code, reason))
        self.to_client.end(_disconnect(code, reason))

    # --- faults ---

    def lose(self) -> None:
        """Lose the connection: without a close frame, and with all events that are on the way."""
        if not self.to_application.is_over:
            self.transcript.note("network", "loses the connection")
        self._end(CloseCode.ABNORMAL_CLOSURE, drop_pending=True)

    def client_send_malformed(self, violation: Violation) -> None:
        """Send a malformed frame of the client, for which the server fails the connection."""
        self.transcript.note("client", f"sends a malformed frame: {violation}")
        self._end(_VIOLATIONS[violation])

    def shut_down(self) -> bool:
        """Shut down the server, and return whether the caller must cancel the application."""
        self.transcript.note("server", "shuts down")
        if self.behaviour.cancelled_at_shutdown:
            return True
        self._end(CloseCode.SERVICE_RESTART)
        return False

    def _end(self, code: CloseCode, *, drop_pending: bool = False) -> None:
        self.to_application.end(_disconnect(code), drop_pending=drop_pending)
        self.to_client.end(_disconnect(code), drop_pending=drop_pending)


_CONNECT: Final[_Event] = {"type": "websocket.connect"}


def _disconnect(code: int, reason: str = "") -> _Event:
    return {"type": "websocket.disconnect", "code": int(code), "reason": reason}


def _target(scope: Mapping[str, Any]) -> str:
    query: str = scope["query_string"].decode()
    return f"{scope['path']}?{query}" if query else str(scope["path"])


def _check(event: _Event, move: Move, scope: Mapping[str, Any]) -> None:
    """Raise for an event that a real server refuses, or should refuse: a wrong type, a value that cannot be sent."""
    match move:
        case Move.SEND:
            payloads = [event[name] for name in ("text", "bytes") if event.get(name) is not None]
            if len(payloads) != 1:
                raise UnsendableMessage("one of text and bytes", f"{len(payloads) or 'none'} of them")
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
