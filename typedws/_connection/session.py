"""One connection's traffic: events in and out, in order, each checked against the state. Messages are not read here.

Everything that awaits the server's ``receive`` and ``send`` passes here, but for the two fast paths of
`typedws._connection.connection`, which pass the gates that this module keeps.
"""

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Literal, TypeAlias, TypeVar

import anyio
import anyio.lowlevel

from typedws._connection.inbox import Inbox
from typedws._protocol.events import close_event, disconnect_of, private_close, tells_disconnect
from typedws._protocol.outcomes import Closed
from typedws._protocol.server_profiles import CURRENT, Server
from typedws._protocol.state import Application, Client, ConnectionState, Move, move_of
from typedws.asgi import Receive, Send, WebSocketReceiveEvent, WebSocketSendEvent
from typedws.close_codes import CloseCode
from typedws.exceptions import (
    ConcurrentReceive,
    InvalidHandshake,
    InvalidState,
    WebSocketDisconnect,
    WebSocketDisconnected,
)

__all__ = ["CLOSE_TIMEOUT", "MAX_JOINED_BODY", "Gate", "Inbox", "Session"]

D = TypeVar("D", bound=WebSocketDisconnect)

CLOSE_TIMEOUT: Final = 5.0
"""Seconds that a close may take, waiting for earlier sends and the server, before it is given up."""

MAX_JOINED_BODY: Final = 1 << 20
"""Bytes that the body of a denial may have which comes in parts, where the server takes only one."""


Gate: TypeAlias = Literal["busy", "shut"] | None
"""Whether a fast path may be taken: ``None`` for yes, ``"busy"`` while a task is on it,
``"shut"`` when only the slow way knows what to do. No comparison is as fast as that with ``None``."""


class Session:
    """The traffic of one connection.

    Two gates are kept for the fast paths, ``receiving`` and ``sending``. Who finds one free makes it busy, and in the
    end gives it back: sets ``receiving`` to ``receiving_at_rest``, or calls ``pass_turn``.
    """

    __slots__ = (
        "__weakref__",
        "_parts",
        "asgi_receive",
        "asgi_send",
        "close_timeout",
        "closing",
        "end",
        "inbox",
        "is_lost",
        "opened",
        "receiving",
        "receiving_at_rest",
        "sending",
        "sending_at_rest",
        "server",
        "state",
        "waiting",
    )

    def __init__(self, receive: Receive | None, send: Send | None, server: Server = CURRENT) -> None:
        self.server: Server = server
        self.asgi_receive: Receive = receive or _no_receive
        self.asgi_send: Send = send or _no_send
        self.close_timeout: float = CLOSE_TIMEOUT
        self.state: ConnectionState = ConnectionState()
        self.receiving: Gate = "shut"
        self.receiving_at_rest: Gate = "shut"
        self.sending: Gate = "shut"
        self.sending_at_rest: Gate = "shut"
        self.end: Closed | None = None
        """How the connection ended, once it has."""
        self.is_lost: bool = False
        """Whether a send failed."""
        self.inbox: Inbox | None = None
        self.waiting: deque[anyio.Event] | None = None
        """The tasks that wait to send, in the order of their calls; ``None`` while there are none."""
        self.opened: Callable[[Session], None] | None = None
        """What is called once the connection is accepted."""
        self.closing: Callable[[], None] | None = None
        """What is called before it is closed."""
        self._parts: list[bytes] = []

    # --- in ---

    async def receive(self) -> Mapping[str, Any]:
        """Give the client's next event, whichever it is.

        :raises ConcurrentReceive: while another task receives
        :raises WebSocketDisconnected: after the disconnect
        :raises InvalidState: for an event that the server must not send now
        """
        if self.receiving == "busy":
            raise ConcurrentReceive
        self.receiving = "busy"
        try:
            if self.inbox is not None:
                if (event := await self.inbox.get()) is not None:
                    return event
                self.inbox = None
                self._set_gates()
            return await self.pull()
        finally:
            self.receiving = self.receiving_at_rest

    async def receive_message(self) -> Mapping[str, Any]:
        """Give the next ``websocket.receive`` event.

        :raises WebSocketDisconnect: when the disconnect comes instead
        :raises WebSocketDisconnected: ever after, and after our own close
        :raises InvalidState: before the accept
        """
        if self.receiving is None:
            self.receiving = "busy"
            try:
                event = await self.asgi_receive()
            finally:
                self.receiving = self.receiving_at_rest
        else:
            if self.state.application is not Application.CONNECTED:
                await anyio.lowlevel.checkpoint()  # so that who asks again and again does not block everybody
                self.check_accepted()
            event = await self.receive()
        if event["type"] != Move.RECEIVE:
            raise self.disconnected(event)
        return event

    def check_accepted(self) -> None:
        """Refuse to wait for messages of a connection that is not accepted, or was closed by us.

        :raises WebSocketDisconnected: after the close or a denial
        :raises InvalidState: before the accept
        """
        if self.state.application is not Application.CONNECTED:
            raise self.over() if self.end else InvalidState("an accepted connection", "one that is not", _ACCEPT_FIRST)

    async def pull(self) -> Mapping[str, Any]:
        """Give the server's next event, past the inbox; for who feeds it."""
        if self.state.client is Client.DISCONNECTED:
            await anyio.lowlevel.checkpoint()
            raise self.over()
        event = await self.asgi_receive()
        self.take(event)
        return event

    def take(self, event: Mapping[str, Any]) -> None:
        """Record what the server gave."""
        if event["type"] == Move.DISCONNECT:
            self.disconnected(event)
        else:
            self.state.client_moves(move_of(event))

    def disconnected(self, event: Mapping[str, Any]) -> WebSocketDisconnect:
        """Record the event that came where a message was expected, and give the exception that tells it.

        :raises InvalidState: for an event that the server must not send now
        """
        if self.state.client is not Client.DISCONNECTED:
            self.state.client_moves(move_of(event))
            if self.state.application not in _ENDED:
                self.end = disconnect_of(event, self.server)
            self._set_gates()
        return self._told(WebSocketDisconnect)

    def read_through(self, inbox: Inbox) -> None:
        """Receive from ``inbox`` until it is empty and nobody feeds it any more."""
        self.inbox = inbox
        self._set_gates()

    async def connect(self) -> None:
        """Receive the connect event, unless it has been: nobody speaks before."""
        if self.state.client is not Client.CONNECTING:
            return
        if self.receiving == "busy":
            raise ConcurrentReceive
        self.receiving = "busy"
        try:
            event = await self.asgi_receive()
        finally:
            self.receiving = self.receiving_at_rest
        self.state.client_moves(move_of(event))

    def establish(self) -> None:
        """Stand where both parties do after an accept: for an end whose handshake went elsewhere."""
        self.state.client_moves(Move.CONNECT)
        self.state.application_moves(Move.ACCEPT)
        self._set_gates()

    # --- out ---

    async def send(self, event: Mapping[str, Any]) -> None:
        """Send an event when all earlier ones have been sent, if the state allows it then.

        :raises WebSocketDisconnect: when the server says that the peer is gone; `WebSocketDisconnected` ever after
        :raises InvalidState: for a move that is not allowed
        """
        move = move_of(event)
        if self.sending == "busy":
            self.check(move)
            await self._wait_for_turn()
        self.sending = "busy"
        try:
            if self.end is not None:
                await anyio.lowlevel.checkpoint()
                raise self.over()
            self.state.application_moves(move)
            if move is not Move.SEND:
                if self.state.application in _ENDED:
                    self.end = self._end_by(event)
                    if self.closing is not None:
                        self.closing()
                self._set_gates()
                if not self.server.takes_parts:
                    event = self._joined(event, move)
                    if move is Move.RESPONSE_PART:
                        return
            failure: Exception | None = None
            try:
                await self.asgi_send(event)
            except Exception as error:  # noqa: BLE001 - it is raised below, unless something else was sent
                failure = await self._sent_otherwise(event, error)
            if failure is not None:
                if self.state.application in _ENDED:  # it did not end by what could not be sent
                    self.end = None
                await self.failed(failure)
                raise failure
            if move is Move.ACCEPT and self.opened is not None:
                self.opened(self)
        finally:
            self.pass_turn()

    async def _sent_otherwise(self, event: Mapping[str, Any], error: Exception) -> Exception | None:
        """Send a close whose code the server refuses with another code; give why nothing was sent, if so."""
        other = None if tells_disconnect(error) else private_close(event)
        if other is None:
            return error
        try:
            await self.asgi_send(other)
        except Exception as another:  # noqa: BLE001 - it is what is told of now
            return another
        self.end = self._end_by(other)
        return None

    def _joined(self, event: Mapping[str, Any], move: Move) -> Mapping[str, Any]:
        """Keep a part of a denial's body, and join all parts in the last one."""
        if move is Move.RESPONSE_PART or self._parts:
            self._parts.append(event.get("body", b""))
            if sum(map(len, self._parts)) > MAX_JOINED_BODY:
                self._parts.clear()
                raise InvalidHandshake("body", f"at most {MAX_JOINED_BODY} bytes in parts on this server", "more")
        return {**event, "body": b"".join(self._parts)} if self._parts else event

    async def send_message(self, event: Mapping[str, Any]) -> None:
        """Send a ``websocket.send`` event, by the short way where nobody else sends; raises as `send` does."""
        if self.sending is not None:
            await self.send(event)
            return
        self.sending = "busy"
        try:
            await self.asgi_send(event)
        except Exception as error:
            await self.failed(error)
            raise
        finally:
            if self.waiting is None:
                self.sending = self.sending_at_rest
            else:
                self.pass_turn()

    async def failed(self, error: Exception) -> None:
        """Record that the server failed to send. What the peer said before that may still be received.

        :raises WebSocketDisconnect: where the error says that the peer is gone
        """
        if tells_disconnect(error):
            self.is_lost = True
            if self.end is None:
                await self._hear_how()
            self.end = self.end or _LOST
            self._set_gates()
            raise self._told(WebSocketDisconnect) from error

    async def _hear_how(self) -> None:
        """Take what the server has to give without waiting: how the peer left, and what it said before."""
        if self.receiving == "busy" or (self.inbox is not None and self.inbox.is_fed):
            return  # who receives will hear it
        inbox = self.inbox or Inbox()
        self.receiving = "busy"
        try:
            with anyio.move_on_after(0), suppress(Exception):
                while self.state.client is Client.CONNECTED:
                    inbox.put(await self.pull())
        finally:
            self.receiving = self.receiving_at_rest
            if inbox.events:
                self.read_through(inbox)

    def over(self) -> WebSocketDisconnected:
        """Give the exception for using the connection after its end."""
        return self._told(WebSocketDisconnected)

    def _told(self, exception: type[D]) -> D:
        end = self.end or _LOST
        return exception(end.code, end.reason, end.closed_by)

    def pass_turn(self) -> None:
        """Let the next task send, in the order of the calls."""
        if self.waiting:
            self.waiting.popleft().set()
        else:
            self.waiting = None
            self.sending = self.sending_at_rest

    def check(self, move: Move) -> None:
        """Refuse what the application must not send now; raises as `send` does."""
        if self.end is not None:
            raise self.over()
        self.state.check_application(move)

    async def _wait_for_turn(self) -> None:
        turn = anyio.Event()
        self.waiting = self.waiting or deque()
        self.waiting.append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self.pass_turn()
            else:
                self.waiting.remove(turn)
            raise

    # --- the end ---

    async def close(self, code: int, reason: str | None) -> Closed:
        """Close, or before the accept deny; where the connection is over, say how it ended.

        Shielded from cancellation, and given up after ``close_timeout`` seconds.

        :raises InvalidClose: for a code or a reason that must not be sent, whatever the state
        """
        event = close_event(code, reason)
        with anyio.move_on_after(self.close_timeout, shield=True), suppress(WebSocketDisconnect, InvalidState):
            await self.connect()
            await self.send(event)
        if self.state.allows(Move.CLOSE):  # given up, or the peer is gone without a word
            self.state.application_moves(Move.CLOSE)
            self.end = self.end or self._end_by(event)
            self._set_gates()
        return self.end or self._end_by(event)

    def _end_by(self, event: Mapping[str, Any]) -> Closed:
        if self.state.application is Application.DENIED:
            return Closed(CloseCode.ABNORMAL_CLOSURE, "the handshake was denied", "application")
        return Closed(event.get("code", CloseCode.NORMAL_CLOSURE), event.get("reason") or "", "application")

    def shut_gates(self) -> None:
        """Let the next receive and the next send go the slow way, after which the gates are as they were."""
        if self.receiving is None:
            self.receiving = "shut"
        if self.sending is None:
            self.sending = "shut"

    def _set_gates(self) -> None:
        is_open = self.state.is_open
        self.receiving_at_rest = None if is_open and self.inbox is None else "shut"
        self.sending_at_rest = None if is_open and self.end is None else "shut"
        if self.receiving != "busy":
            self.receiving = self.receiving_at_rest
        if self.sending != "busy":
            self.sending = self.sending_at_rest


_LOST: Final = Closed(CloseCode.ABNORMAL_CLOSURE, "", "network")
_ACCEPT_FIRST: Final = "call accept() first"
_ENDED: Final = (Application.CLOSED, Application.DENIED)


async def _no_receive() -> WebSocketReceiveEvent:
    raise InvalidState("a receive callable", "none", "pass it to the constructor")


async def _no_send(event: WebSocketSendEvent) -> None:
    raise InvalidState("a send callable", "none", "pass it to the constructor")
