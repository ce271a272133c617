"""One client's end over a byte stream: reading, writing and keeping time beside whoever uses it. No frame is read here.

The tasks belong to the event loop, not to the block that opened the connection: they outlive its cancellation, and so
the closing handshake does. They end with the connection, at the latest ``close_timeout`` after it was closed.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import anyio
from anyio.abc import ByteStream

from typedws._runtime.event_loop import spawn
from typedws.client.wire import Wire

__all__ = ["Timing", "Transport"]

_MAX_UNREAD: Final = 16
"""Messages that wait to be received before nothing more is read, so that the server has to wait (as TCP does)."""
_MAX_UNWRITTEN: Final = 1 << 19
"""Bytes that wait to be written before who sends has to wait."""
_MAX_ANSWERS: Final = 1 << 16
"""Bytes of pongs that wait to be written before nothing more is read."""
_READ: Final = 1 << 18
_READ_COMPRESSED: Final = 1 << 13
"""Bytes read at once: what comes compressed may grow a thousandfold."""

_BROKEN: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
"""What a stream raises once it is over, TLS's errors among them."""

_logger: Final = logging.getLogger("typedws.client")


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that a connection may take to close, between two pings, and until a pong; ``None``: no pings, no end."""

    close_timeout: float
    ping_interval: float | None
    ping_timeout: float | None


class _Bell:
    """Wakes the one task that waits; costs nothing while none does."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    async def wait(self) -> None:
        self._event = anyio.Event()
        try:
            await self._event.wait()
        finally:
            self._event = None

    def ring(self) -> None:
        if self._event is not None:
            self._event.set()


class Transport:
    """What `ClientConnection` receives from and sends to, as ASGI events."""

    def __init__(self, stream: ByteStream, wire: Wire, timing: Timing) -> None:
        self._stream = stream
        self._wire = wire
        self._timing = timing
        self._arrived, self._taken = _Bell(), _Bell()
        self._pending, self._written = _Bell(), _Bell()
        self._answered, self._ponged = _Bell(), _Bell()
        self._is_held_up = False
        """Whether nothing is read because nobody receives."""
        self._is_reading_on = False
        self._is_closing = False
        self._cannot_write = False
        self._closing = anyio.Event()
        self.ended: anyio.Event = anyio.Event()
        """Set once nothing of the connection is left."""

    def start(self) -> None:
        """Begin to read, to write and to keep time."""
        spawn(self._run)

    # --- for who uses it ---

    async def receive(self) -> Mapping[str, Any]:
        """Give the next event; the last one is the disconnect."""
        events = self._wire.events
        while not events:
            await self._arrived.wait()
        event = events.popleft()
        if len(events) <= _MAX_UNREAD:
            self._taken.ring()
        return event

    async def send(self, event: Mapping[str, Any]) -> None:
        """Send a message or a close; the latter waits until the connection has ended.

        :raises OSError: where the connection is closing, or over
        """
        wire = self._wire
        if event["type"] != "websocket.send":
            self.close(event["code"], event["reason"])
            await self.ended.wait()
            return
        while wire.size > _MAX_UNWRITTEN and wire.is_open and not self._cannot_write:
            await self._written.wait()
        if self._cannot_write:
            raise BrokenPipeError("the connection was lost")
        wire.send(event)
        self._pending.ring()

    @property
    def disconnect(self) -> Mapping[str, Any] | None:
        """The event of how the server, the network or a failure ended the connection, once one has."""
        return self._wire.disconnect

    def read_on(self) -> None:
        """Read from now on whether somebody receives or not: what is said is dropped."""
        self._wire.drop_messages()
        self._is_reading_on = True
        self._taken.ring()

    def close(self, code: int, reason: str) -> None:
        """Begin to close, in the background; nothing where that has begun."""
        self._wire.close(code, reason)
        self._pending.ring()
        self._begin_to_close()

    def _begin_to_close(self) -> None:
        self._is_closing = True
        self._closing.set()
        self._taken.ring()
        self._written.ring()
        self._answered.ring()
        self._ponged.ring()

    # --- the tasks ---

    async def _run(self) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write)
                tasks.start_soon(self._keep_time, tasks.cancel_scope)
                await self._read()
                tasks.cancel_scope.cancel()
        except Exception:  # nobody else would hear of it
            _logger.exception("a connection's transport failed")
        finally:
            self._wire.lose()
            self._cannot_write = True
            self._begin_to_close()
            self._arrived.ring()
            try:
                await anyio.aclose_forcefully(self._stream)
            finally:
                self.ended.set()

    async def _read(self) -> None:
        wire, stream = self._wire, self._stream
        most = _READ_COMPRESSED if wire.is_compressed else _READ
        await self._pass_on()  # what came with the answer
        while True:
            try:
                data = await stream.receive(most)
            except _BROKEN:
                wire.feed(b"")
                await self._finish()
                return
            wire.feed(data)
            await self._pass_on()

    async def _pass_on(self) -> None:
        """Let others know what came, and wait until there is room for more."""
        wire = self._wire
        if wire.events:
            self._arrived.ring()
        if wire.outgoing:
            self._pending.ring()
        if wire.disconnect is not None:
            self._begin_to_close()
        self._ponged.ring()
        await self._wait_for_room()

    async def _finish(self) -> None:
        """Let a close frame be written, to a server that has finished but may still listen for it."""
        self._arrived.ring()
        if self._wire.has_sent_close:
            self._pending.ring()
            self._begin_to_close()
            while self._wire.outgoing and not self._cannot_write:
                await self._answered.wait()

    async def _wait_for_room(self) -> None:
        wire = self._wire
        self._is_held_up = True
        while len(wire.events) > _MAX_UNREAD and not (self._is_reading_on or self._is_closing):
            await self._taken.wait()
        self._is_held_up = False
        while wire.answers > _MAX_ANSWERS and not self._cannot_write:
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
            self._written.ring()
            self._answered.ring()
        self._cannot_write = True
        self._begin_to_close()

    async def _keep_time(self, scope: anyio.CancelScope) -> None:
        """Ping while the connection is open, and end it where it has closed for too long, or no pong comes."""
        interval = self._timing.ping_interval
        while interval is not None and not self._is_closing:
            with anyio.move_on_after(interval):
                await self._closing.wait()
            if not self._closing.is_set() and not await self._is_answering():
                _logger.debug("no pong came in time: the connection is taken for lost")
                scope.cancel()
        await self._closing.wait()
        await anyio.sleep(self._timing.close_timeout)
        scope.cancel()

    async def _is_answering(self) -> bool:
        """Send a ping, and tell whether the server is there: it answers, or there is more of it than is read."""
        payload = os.urandom(4)
        self._wire.ping(payload)
        self._pending.ring()
        with anyio.move_on_after(self._timing.ping_timeout):
            while self._wire.pong != payload and not self._is_closing:
                await self._ponged.wait()
            return True
        return self._is_held_up
