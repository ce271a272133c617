"""A client's connection over a byte stream: the tasks that read, write and keep time. No frame is parsed here.

The tasks belong to the event loop, not to the block that opened the connection. So they outlive its cancellation, and
the closing handshake takes place then too. They end with the connection, at the latest ``close_timeout`` seconds after
it began to close.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.abc import ByteStream

from typedws._runtime.event_loop import spawn

if TYPE_CHECKING:
    from typedws.client.wire import Wire

__all__ = ["Timing", "Transport"]

_MAX_UNREAD: Final = 16
"""The number of unreceived messages above which reading pauses, so that TCP makes the server wait."""
_MAX_UNWRITTEN: Final = 1 << 19
"""Bytes of messages that are not written yet, above which a send waits."""
_MAX_ANSWERS: Final = 1 << 16
"""Bytes of pongs that are not written yet, above which reading pauses: against a server that only pings."""
_READ: Final = 1 << 18
_READ_COMPRESSED: Final = 1 << 13
"""Bytes read at once. Compressed data may grow a thousandfold, and all messages in one read are kept."""

_BROKEN: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
"""What a stream raises once it has ended; TLS errors are instances of ``OSError``."""

_logger: Final = logging.getLogger("typedws.client")


@dataclass(frozen=True, slots=True)
class Timing:
    """The seconds for closing, between two pings, and until a pong; ``None`` for no pings, or no limit for pongs."""

    close_timeout: float
    ping_interval: float | None
    ping_timeout: float | None


class _Signal:
    """Wakes the task that waits for a change.

    Only one task may wait at a time: a second one would replace the event of the first, which would wait for ever. A
    notification is lost if no task waits, and then costs nothing. So a task checks its condition in a loop around
    ``wait()``, without an await in between.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    async def wait(self) -> None:
        self._event = anyio.Event()
        try:
            await self._event.wait()
        finally:
            self._event = None

    def notify(self) -> None:
        if self._event is not None:
            self._event.set()


class Transport:
    """The ``receive`` and ``send`` of a `ClientConnection`, as ASGI events over a byte stream."""

    def __init__(self, stream: ByteStream, wire: "Wire", timing: Timing) -> None:
        self._stream = stream
        self._wire = wire
        self._timing = timing
        # _arrived wakes receive(), _written a send(), _pending the writer, _ponged the timer; _taken and _answered wake
        # the reader.
        self._arrived, self._taken = _Signal(), _Signal()
        self._pending, self._written = _Signal(), _Signal()
        self._answered, self._ponged = _Signal(), _Signal()
        self._is_paused = False
        """Whether reading pauses, because no task receives."""
        self._keeps_reading = False
        """Whether to read even if no task receives."""
        self._is_closing = False
        self._cannot_write = False
        self._closing = anyio.Event()
        self.ended: anyio.Event = anyio.Event()
        """Set once the tasks have ended and the stream is closed."""

    def start(self) -> None:
        """Start to read, to write and to keep time."""
        spawn(self._run)

    # --- for the connection ---

    async def receive(self) -> Mapping[str, Any]:
        """Return the next event; the last one is the disconnect."""
        events = self._wire.events
        while not events:
            await self._arrived.wait()
        event = events.popleft()
        if len(events) <= _MAX_UNREAD:
            self._taken.notify()
        return event

    async def send(self, event: Mapping[str, Any]) -> None:
        """Send a message or a close. A close waits until the connection has ended.

        :raises OSError: if the connection is closing or has ended
        """
        wire = self._wire
        if event["type"] != "websocket.send":
            self.close(event["code"], event["reason"])
            await self.ended.wait()
            return
        while wire.message_bytes > _MAX_UNWRITTEN and wire.is_open and not self._cannot_write:
            await self._written.wait()
        if self._cannot_write:
            raise BrokenPipeError("the connection was lost")
        # No await from here on: a send that is cancelled was queued whole, or not at all.
        wire.send(event)
        self._pending.notify()

    @property
    def disconnect(self) -> Mapping[str, Any] | None:
        """The disconnect event, once the server, the network or a failure has ended the connection."""
        return self._wire.disconnect

    def read_on(self) -> None:
        """Read from now on even if no task receives, and drop the messages.

        Called before a close: a server that waits until its own messages are read would not read the close frame.
        """
        self._wire.drop_messages()
        self._keeps_reading = True
        self._taken.notify()

    def close(self, code: int, reason: str) -> None:
        """Begin to close in the background. Does nothing if that has begun."""
        self._wire.close(code, reason)
        self._pending.notify()
        self._begin_to_close()

    def _begin_to_close(self) -> None:
        self._is_closing = True
        self._closing.set()
        # Wake the tasks that wait for the peer, so that each checks its condition again.
        self._taken.notify()
        self._written.notify()
        self._answered.notify()
        self._ponged.notify()

    # --- the tasks ---

    async def _run(self) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write)
                tasks.start_soon(self._keep_time, tasks.cancel_scope)
                await self._read()
                tasks.cancel_scope.cancel()
        except Exception:  # A task without a parent must not raise: this log line is all that reports the error.
            _logger.exception("a connection's transport failed")
        finally:
            # In every case a receive gets a disconnect, waiting sends end, and a close finds `ended` set.
            self._wire.mark_lost()
            self._cannot_write = True
            self._begin_to_close()
            self._arrived.notify()
            try:
                await anyio.aclose_forcefully(self._stream)
            finally:
                self.ended.set()

    async def _read(self) -> None:
        wire, stream = self._wire, self._stream
        limit = _READ_COMPRESSED if wire.is_compressed else _READ
        await self._dispatch()  # Messages may have come together with the response.
        while True:
            try:
                data = await stream.receive(limit)
            except _BROKEN:
                wire.feed(b"")
                await self._finish()
                return
            wire.feed(data)
            await self._dispatch()

    async def _dispatch(self) -> None:
        """Wake the tasks that wait for what was read, then wait until there is room for more."""
        wire = self._wire
        if wire.events:
            self._arrived.notify()
        if wire.outgoing:
            self._pending.notify()
        if wire.disconnect is not None:
            self._begin_to_close()
        self._ponged.notify()
        await self._wait_for_room()

    async def _finish(self) -> None:
        """Wait until a queued close frame is written, after the end of the server's side.

        The server may still read. Without this the writer would be cancelled at once, and our close frame lost.
        """
        self._arrived.notify()
        if self._wire.has_sent_close:
            self._pending.notify()
            self._begin_to_close()
            while self._wire.outgoing and not self._cannot_write:
                await self._answered.wait()

    async def _wait_for_room(self) -> None:
        wire = self._wire
        # Read on during a close, or the server's close frame would never be reached.
        self._is_paused = True
        while len(wire.events) > _MAX_UNREAD and not (self._keeps_reading or self._is_closing):
            await self._taken.wait()
        self._is_paused = False
        while wire.control_bytes > _MAX_ANSWERS and not self._cannot_write:
            await self._answered.wait()

    async def _write(self) -> None:
        wire, stream = self._wire, self._stream
        while True:
            while not wire.outgoing:
                await self._pending.wait()
            data = wire.take_outgoing()
            try:
                await stream.send(data)
            except _BROKEN:
                break
            self._written.notify()
            self._answered.notify()
        self._cannot_write = True
        self._begin_to_close()

    async def _keep_time(self, scope: anyio.CancelScope) -> None:
        """Send pings while the connection is open. End it if no pong comes, or if closing takes too long."""
        interval = self._timing.ping_interval
        while interval is not None and not self._is_closing:
            with anyio.move_on_after(interval):
                await self._closing.wait()
            if not self._closing.is_set() and not await self._is_alive():
                _logger.debug("no pong came in time: the connection is considered lost")
                scope.cancel()
        await self._closing.wait()
        # However the peer behaves, nothing of the connection is left after this time.
        await anyio.sleep(self._timing.close_timeout)
        scope.cancel()

    async def _is_alive(self) -> bool:
        """Send a ping, and return whether the server answers in time, or may have answered."""
        payload = os.urandom(4)  # A pong that the server sends without having read the ping cannot match.
        self._wire.ping(payload)
        self._pending.notify()
        with anyio.move_on_after(self._timing.ping_timeout):
            while self._wire.pong != payload and not self._is_closing:
                await self._ponged.wait()
            return True
        # While reading pauses, the pong may be behind messages that no task receives: the server is not lost for that.
        return self._is_paused
