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
from typedws._protocol.events import close_event, disconnect_of, means_disconnected, private_range_close
from typedws._protocol.outcomes import Closed
from typedws._protocol.server_profiles import CURRENT, ServerProfile
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


Gate: TypeAlias = Literal["busy", "slow"] | None
"""Whether a fast path may be taken: ``None`` for yes, ``"busy"`` while a task is on it,
``"shut"`` when only the slow way knows what to do. No comparison is as fast as that with ``None``."""


class Session:
    """The traffic of one connection.

    Two gates are kept for the fast paths, ``receiving`` and ``sending``. Who finds one free makes it busy, and in the
    end gives it back: sets ``receiving`` to ``receiving_when_idle``, or calls ``release_send``.
    """

    __slots__ = (
        "__weakref__",
        "_parts",
        "asgi_receive",
        "asgi_send",
        "close_timeout",
        "before_close",
        "end",
        "inbox",
        "is_lost",
        "on_accept",
        "receiving",
        "receiving_when_idle",
        "sending",
        "sending_when_idle",
        "server",
        "state",
        "send_queue",
    )

    def __init__(self, receive: Receive | None, send: Send | None, server: ServerProfile = CURRENT) -> None:
        self.server: ServerProfile = server
        self.asgi_receive: Receive = receive or _no_receive
        self.asgi_send: Send = send or _no_send
        self.close_timeout: float = CLOSE_TIMEOUT
        self.state: ConnectionState = ConnectionState()
        self.receiving: Gate = "slow"
        self.receiving_when_idle: Gate = "slow"
        self.sending: Gate = "slow"
        self.sending_when_idle: Gate = "slow"
        self.end: Closed | None = None
        """How the connection ended, once it has."""
        self.is_lost: bool = False
        """Whether a send failed."""
        self.inbox: Inbox | None = None
        self.send_queue: deque[anyio.Event] | None = None
        """The tasks that wait to send, in the order of their calls; ``None`` while there are none."""
        self.on_accept: Callable[[Session], None] | None = None
        """What is called once the connection is accepted."""
        self.before_close: Callable[[], None] | None = None
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
            return await self.next_event()
        finally:
            self.receiving = self.receiving_when_idle

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
                self.receiving = self.receiving_when_idle
        else:
            if self.state.application is not Application.CONNECTED:
                await anyio.lowlevel.checkpoint()  # so that who asks again and again does not block everybody
                self.check_accepted()
            event = await self.receive()
        if event["type"] != Move.RECEIVE:
            raise self.record_end(event)
        return event

    def check_accepted(self) -> None:
        """Refuse to wait for messages of a connection that is not accepted, or was closed by us.

        :raises WebSocketDisconnected: after the close or a denial
        :raises InvalidState: before the accept
        """
        if self.state.application is not Application.CONNECTED:
            raise (
                self.closed_error()
                if self.end
                else InvalidState("an accepted connection", "one that is not", _ACCEPT_FIRST)
            )

    async def next_event(self) -> Mapping[str, Any]:
        """Give the server's next event, past the inbox; for who feeds it."""
        if self.state.client is Client.DISCONNECTED:
            await anyio.lowlevel.checkpoint()
            raise self.closed_error()
        event = await self.asgi_receive()
        self.record(event)
        return event

    def record(self, event: Mapping[str, Any]) -> None:
        """Record what the server gave."""
        if event["type"] == Move.DISCONNECT:
            self.record_end(event)
        else:
            self.state.client_moves(move_of(event))

    def record_end(self, event: Mapping[str, Any]) -> WebSocketDisconnect:
        """Record the event that came where a message was expected, and give the exception that tells it.

        :raises InvalidState: for an event that the server must not send now
        """
        if self.state.client is not Client.DISCONNECTED:
            self.state.client_moves(move_of(event))
            if self.state.application not in _ENDED:
                self.end = disconnect_of(event, self.server)
            self._set_gates()
        return self._error_for_end(WebSocketDisconnect)

    def receive_from(self, inbox: Inbox) -> None:
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
            self.receiving = self.receiving_when_idle
        self.state.client_moves(move_of(event))

    def mark_connected(self) -> None:
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
                raise self.closed_error()
            self.state.application_moves(move)
            if move is not Move.SEND:
                if self.state.application in _ENDED:
                    self.end = self._end_from(event)
                    if self.before_close is not None:
                        self.before_close()
                self._set_gates()
                if not self.server.accepts_body_parts:
                    event = self._join_body(event, move)
                    if move is Move.RESPONSE_PART:
                        return
            failure: Exception | None = None
            try:
                await self.asgi_send(event)
            except Exception as error:  # noqa: BLE001 - it is raised below, unless something else was sent
                failure = await self._retry_close(event, error)
            if failure is not None:
                if self.state.application in _ENDED:  # it did not end by what could not be sent
                    self.end = None
                await self.send_failed(failure)
                raise failure
            if move is Move.ACCEPT and self.on_accept is not None:
                self.on_accept(self)
        finally:
            self.release_send()

    async def _retry_close(self, event: Mapping[str, Any], error: Exception) -> Exception | None:
        """Send a close whose code the server refuses with another code; give why nothing was sent, if so."""
        other = None if means_disconnected(error) else private_range_close(event)
        if other is None:
            return error
        try:
            await self.asgi_send(other)
        except Exception as another:  # noqa: BLE001 - it is what is told of now
            return another
        self.end = self._end_from(other)
        return None

    def _join_body(self, event: Mapping[str, Any], move: Move) -> Mapping[str, Any]:
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
            await self.send_failed(error)
            raise
        finally:
            if self.send_queue is None:
                self.sending = self.sending_when_idle
            else:
                self.release_send()

    async def send_failed(self, error: Exception) -> None:
        """Record that the server failed to send. What the peer said before that may still be received.

        :raises WebSocketDisconnect: where the error says that the peer is gone
        """
        if means_disconnected(error):
            self.is_lost = True
            if self.end is None:
                await self._drain_events()
            self.end = self.end or _LOST
            self._set_gates()
            raise self._error_for_end(WebSocketDisconnect) from error

    async def _drain_events(self) -> None:
        """Take what the server has to give without waiting: how the peer left, and what it said before."""
        if self.receiving == "busy" or (self.inbox is not None and self.inbox.is_fed):
            return  # who receives will hear it
        inbox = self.inbox or Inbox()
        self.receiving = "busy"
        try:
            with anyio.move_on_after(0), suppress(Exception):
                while self.state.client is Client.CONNECTED:
                    inbox.put(await self.next_event())
        finally:
            self.receiving = self.receiving_when_idle
            if inbox.events:
                self.receive_from(inbox)

    def closed_error(self) -> WebSocketDisconnected:
        """Give the exception for using the connection after its end."""
        return self._error_for_end(WebSocketDisconnected)

    def _error_for_end(self, exception: type[D]) -> D:
        end = self.end or _LOST
        return exception(end.code, end.reason, end.closed_by)

    def release_send(self) -> None:
        """Let the next task send, in the order of the calls."""
        if self.send_queue:
            self.send_queue.popleft().set()
        else:
            self.send_queue = None
            self.sending = self.sending_when_idle

    def check(self, move: Move) -> None:
        """Refuse what the application must not send now; raises as `send` does."""
        if self.end is not None:
            raise self.closed_error()
        self.state.check_application(move)

    async def _wait_for_turn(self) -> None:
        turn = anyio.Event()
        self.send_queue = self.send_queue or deque()
        self.send_queue.append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self.release_send()
            else:
                self.send_queue.remove(turn)
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
            self.end = self.end or self._end_from(event)
            self._set_gates()
        return self.end or self._end_from(event)

    def _end_from(self, event: Mapping[str, Any]) -> Closed:
        if self.state.application is Application.DENIED:
            return Closed(CloseCode.ABNORMAL_CLOSURE, "the handshake was denied", "application")
        return Closed(event.get("code", CloseCode.NORMAL_CLOSURE), event.get("reason") or "", "application")

    def force_slow_path(self) -> None:
        """Let the next receive and the next send go the slow way, after which the gates are as they were."""
        if self.receiving is None:
            self.receiving = "slow"
        if self.sending is None:
            self.sending = "slow"

    def _set_gates(self) -> None:
        is_open = self.state.is_open
        self.receiving_when_idle = None if is_open and self.inbox is None else "slow"
        self.sending_when_idle = None if is_open and self.end is None else "slow"
        if self.receiving != "busy":
            self.receiving = self.receiving_when_idle
        if self.sending != "busy":
            self.sending = self.sending_when_idle


_LOST: Final = Closed(CloseCode.ABNORMAL_CLOSURE, "", "network")
_ACCEPT_FIRST: Final = "call accept() first"
_ENDED: Final = (Application.CLOSED, Application.DENIED)


async def _no_receive() -> WebSocketReceiveEvent:
    raise InvalidState("a receive callable", "none", "pass it to the constructor")


async def _no_send(event: WebSocketSendEvent) -> None:
    raise InvalidState("a send callable", "none", "pass it to the constructor")
