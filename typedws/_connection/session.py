"""The session of a connection: events in and out, in order, each checked against the state. Frames are not decoded.

All calls of the server's ``receive`` and ``send`` go through here, except for the two fast paths of
`typedws._connection.connection`. These use the two gates of the session, so that they never overtake another task.
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

__all__ = ["CLOSE_TIMEOUT", "MAX_JOINED_BODY", "Session"]

D = TypeVar("D", bound=WebSocketDisconnect)

CLOSE_TIMEOUT: Final = 5.0
"""Seconds that a close may take, to wait for earlier sends and for the server, before it is abandoned."""

MAX_JOINED_BODY: Final = 1 << 20
"""Limit in bytes of a denial body that arrives in parts, on a server that takes it in one event only."""

Gate: TypeAlias = Literal["busy", "slow"] | None
"""Whether a task may take a fast path: ``None`` if it may, ``"busy"`` while another does, ``"slow"`` if the checked
path has to decide. Each message compares a gate once, and no comparison is as fast as ``is None``."""


class Session:
    """The events of one connection, in both directions.

    It has two gates for the fast paths, ``receiving`` and ``sending``. A task that finds a gate open (``None``) sets
    it to ``"busy"``, and must reopen it when done, also when it fails: it sets ``receiving`` to
    ``receiving_when_idle``, or calls ``release_send``. A gate that stayed busy would block the connection for ever.
    """

    __slots__ = (
        "__weakref__",
        "_departure",
        "_parts",
        "asgi_receive",
        "asgi_send",
        "before_close",
        "close_timeout",
        "end",
        "inbox",
        "is_lost",
        "on_accept",
        "profile",
        "receiving",
        "receiving_when_idle",
        "send_queue",
        "sending",
        "sending_when_idle",
        "state",
    )

    def __init__(self, receive: Receive | None, send: Send | None, profile: ServerProfile = CURRENT) -> None:
        self.profile: ServerProfile = profile
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
        """Whether a send failed because the peer is gone."""
        self.inbox: Inbox | None = None
        self.send_queue: deque[anyio.Event] | None = None
        """The tasks that wait to send, in the order of their calls; ``None`` while there are none."""
        self.on_accept: Callable[[Session], None] | None = None
        """Called once, when the accept was sent. For server workarounds."""
        self.before_close: Callable[[], None] | None = None
        """Called before a close or a denial is sent. For server workarounds."""
        self._departure: anyio.Event | None = None
        """Set at the disconnect event; ``None`` unless a failed send waits for another task to receive it."""
        self._parts: list[bytes] = []

    # --- in ---

    async def receive(self) -> Mapping[str, Any]:
        """Return the client's next event, of any type.

        :raises ConcurrentReceive: while another task receives
        :raises WebSocketDisconnected: after the disconnect
        :raises InvalidState: if the server must not send this event now
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
        """Return the next ``websocket.receive`` event.

        :raises WebSocketDisconnect: if the peer disconnects instead
        :raises WebSocketDisconnected: on later calls, and after our own close
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
                # Without it, a loop that catches the exception and tries again would block the event loop.
                await anyio.lowlevel.checkpoint()
                self.check_accepted()
            event = await self.receive()
        if event["type"] != Move.RECEIVE:
            raise self.record_end(event)
        return event

    def check_accepted(self) -> None:
        """Raise if no message can arrive: before the accept, and after our own close.

        :raises WebSocketDisconnected: after the close or a denial
        :raises InvalidState: before the accept
        """
        if self.state.application is not Application.CONNECTED:
            raise (self.closed_error() if self.end else _not_accepted())

    async def next_event(self) -> Mapping[str, Any]:
        """Return the server's next event, past the inbox, for the task that feeds the inbox."""
        if self.state.client is Client.DISCONNECTED:
            await anyio.lowlevel.checkpoint()
            raise self.closed_error()
        event = await self.asgi_receive()
        self.record(event)
        return event

    def record(self, event: Mapping[str, Any]) -> None:
        """Record an event of the server in the state."""
        if event["type"] == Move.DISCONNECT:
            self.record_end(event)
        else:
            self.state.client_moves(move_of(event))

    def record_end(self, event: Mapping[str, Any]) -> WebSocketDisconnect:
        """Record an event that arrived where a message was expected; return the exception for the receiving task.

        :raises InvalidState: if the server must not send this event now
        """
        if self.state.client is not Client.DISCONNECTED:
            self.state.client_moves(move_of(event))
            if self.state.application not in _ENDED:
                self.end = disconnect_of(event, self.profile)
            self._set_gates()
            if self._departure is not None:
                self._departure.set()
        return self._error_for_end(WebSocketDisconnect)

    def receive_from(self, inbox: Inbox) -> None:
        """Receive from ``inbox`` from now on, until it is empty and no task feeds it."""
        self.inbox = inbox
        self._set_gates()

    async def connect(self) -> None:
        """Receive the connect event if that has not happened yet: nothing may be sent before it."""
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
        """Set both parties to connected, for a client whose handshake happened outside this class."""
        self.state.client_moves(Move.CONNECT)
        self.state.application_moves(Move.ACCEPT)
        self._set_gates()

    # --- out ---

    async def send(self, event: Mapping[str, Any]) -> None:
        """Send an event after all earlier ones, if the state allows it then.

        :raises WebSocketDisconnect: if the server reports that the peer is gone; `WebSocketDisconnected` after that
        :raises InvalidState: if the state does not allow this event
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
                if not self.profile.accepts_body_parts:
                    event = self._join_body(event, move)
                    if move is Move.RESPONSE_PART:
                        return
            failure: Exception | None = None
            try:
                await self.asgi_send(event)
            except Exception as error:  # noqa: BLE001 - raised below, unless the second attempt succeeds
                failure = await self._retry_close(event, error)
            if failure is not None:
                if self.state.application in _ENDED:  # the event was not sent, so it did not end the connection
                    self.end = None
                await self.send_failed(failure, move)
                raise failure
            if move is Move.ACCEPT and self.on_accept is not None:
                self.on_accept(self)
        finally:
            self.release_send()

    async def _retry_close(self, event: Mapping[str, Any], error: Exception) -> Exception | None:
        """Send a close that the server refused with another code; return the error if that fails too."""
        other = None if means_disconnected(error) else private_range_close(event)
        if other is None:
            return error
        try:
            await self.asgi_send(other)
        except Exception as second:  # noqa: BLE001 - the caller raises it
            return second
        self.end = self._end_from(other)
        return None

    def _join_body(self, event: Mapping[str, Any], move: Move) -> Mapping[str, Any]:
        """Keep a part of a denial's body; return the last event with all parts joined."""
        if move is Move.RESPONSE_PART or self._parts:
            self._parts.append(event.get("body", b""))
            if sum(map(len, self._parts)) > MAX_JOINED_BODY:
                self._parts.clear()
                raise InvalidHandshake("body", f"at most {MAX_JOINED_BODY} bytes in parts on this server", "more")
        return {**event, "body": b"".join(self._parts)} if self._parts else event

    async def send_message(self, event: Mapping[str, Any]) -> None:
        """Send a ``websocket.send`` event, on the fast path if no other task sends. Raises as `send` does."""
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

    async def send_failed(self, error: Exception, move: Move = Move.SEND) -> None:
        """Record that the server failed to send. Messages that the peer sent before can still be received.

        :raises WebSocketDisconnect: if the error means that the peer is gone
        """
        if means_disconnected(error):
            self.is_lost = True
            if self.end is None:
                await self._learn_end(move)
            self.end = self.end or _LOST
            self._set_gates()
            raise self._error_for_end(WebSocketDisconnect) from error

    async def _learn_end(self, move: Move) -> None:
        """Receive until the disconnect event, which has the peer's close code; keep the messages before it.

        On most servers the event is there when a send fails, and is not waited for. daphne refuses sends from the
        peer's close frame on, but has the event only when the peer has read all that was sent before. There it is
        waited for, up to ``close_timeout`` seconds, but only by a message: an accept or a close is not worth the wait.
        """
        must_wait = not self.profile.send_raises_when_gone and move is Move.SEND
        timeout = self.close_timeout if must_wait else 0
        if self.receiving == "busy" or (self.inbox is not None and self.inbox.is_fed):
            await self._wait_for_receiving_task(timeout)
            return
        inbox = self.inbox or Inbox()
        inbox.is_fed = True  # a task that starts to receive meanwhile gets its messages from here
        self.receive_from(inbox)
        try:
            with anyio.move_on_after(timeout), suppress(Exception):
                while self.state.client is Client.CONNECTED:
                    inbox.put(await self.next_event())
        finally:
            inbox.is_fed = False
            inbox.wake()

    async def _wait_for_receiving_task(self, timeout: float) -> None:  # noqa: ASYNC109 - 0 is no wait but a few turns
        """Wait until the receiving task has taken the disconnect event, which may be ready for it already.

        If that task stops to receive meanwhile, the detector of departures takes the event in its place.
        """
        if timeout:
            self._departure = self._departure or anyio.Event()
            with anyio.move_on_after(timeout):
                await self._departure.wait()
        else:
            for _ in range(_TURNS):
                await anyio.lowlevel.checkpoint()

    def closed_error(self) -> WebSocketDisconnected:
        """Return the exception for using the connection after its end."""
        return self._error_for_end(WebSocketDisconnected)

    def _error_for_end(self, exception: type[D]) -> D:
        end = self.end or _LOST
        return exception(end.code, end.reason, end.closed_by)

    def release_send(self) -> None:
        """Hand the sending gate to the task that waits longest, or reopen it."""
        if self.send_queue:
            self.send_queue.popleft().set()
        else:
            self.send_queue = None
            self.sending = self.sending_when_idle

    def check(self, move: Move) -> None:
        """Raise if the application must not send this event now, as `send` does."""
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
            # Cancelled after its turn came: without passing it on, every later send would wait for ever.
            if turn.is_set():
                self.release_send()
            else:
                self.send_queue.remove(turn)
            raise

    # --- the end ---

    async def close(self, code: int, reason: str | None) -> Closed:
        """Close the connection, or before the accept deny it; return how it ended, also if it was over already.

        It is shielded from cancellation, and abandoned after ``close_timeout`` seconds.

        :raises InvalidClose: if the code or the reason must not be sent, in any state
        """
        event = close_event(code, reason)
        with anyio.move_on_after(self.close_timeout, shield=True), suppress(WebSocketDisconnect, InvalidState):
            await self.connect()
            await self.send(event)
        if self.state.allows(Move.CLOSE):  # abandoned, or the peer is gone without a disconnect event
            self.state.application_moves(Move.CLOSE)
            self.end = self.end or self._end_from(event)
            self._set_gates()
        return self.end or self._end_from(event)

    def _end_from(self, event: Mapping[str, Any]) -> Closed:
        if self.state.application is Application.DENIED:
            return Closed(CloseCode.ABNORMAL_CLOSURE, "the handshake was denied", "application")
        return Closed(event.get("code", CloseCode.NORMAL_CLOSURE), event.get("reason") or "", "application")

    def force_slow_path(self) -> None:
        """Send the next receive and the next send through the checked path, which then reopens the gates."""
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


_TURNS: Final = 2
"""Turns of the event loop after which a task whose event is there has run; trio shuffles the tasks of one turn."""
_LOST: Final = Closed(CloseCode.ABNORMAL_CLOSURE, "", "network")
_ENDED: Final = (Application.CLOSED, Application.DENIED)


def _not_accepted() -> InvalidState:
    sentence = "the connection is not accepted yet: call accept() first"
    return InvalidState("an accepted connection", "one that is not", sentence=sentence)


async def _no_receive() -> WebSocketReceiveEvent:
    sentence = "this WebSocket has no receive callable: pass it to the constructor"
    raise InvalidState("a receive callable", "none", sentence=sentence)


async def _no_send(event: WebSocketSendEvent) -> None:
    sentence = "this WebSocket has no send callable: pass it to the constructor"
    raise InvalidState("a send callable", "none", sentence=sentence)
