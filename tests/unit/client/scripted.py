"""A scripted server in the event loop of its test: the script decides each byte, and may break any rule.

::

    async def script(end: ServerEnd) -> int:
        await end.accept()
        await end.send(frame(Opcode.TEXT, b"hi"))
        return await end.close_code()

    async with scripted(script) as server, connect(server.url) as ws:
        assert await ws.receive_text() == "hi"
    assert await server.result() == 1000
"""

import base64
import gc
import hashlib
import socket
import ssl as tls
import struct
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, TypeAlias, TypeVar

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream, SocketAttribute, TaskStatus
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.memory import MemoryObjectReceiveStream
from anyio.streams.tls import TLSStream

from tests.e2e.raw_client import Frame, Opcode
from tests.e2e.raw_client import frame as frame_of

__all__ = ["Frame", "HeaderChanges", "Opcode", "Script", "Scripted", "ServerEnd", "frame", "memory_below", "scripted"]

T = TypeVar("T")

TIMEOUT: Final = 10.0
"""The limit in seconds for a wait that should take no time."""
MEGABYTE: Final = 1 << 20
_TURNS: Final = 50
"""Turns of the event loop after which a task that still runs counts as leaked."""

HeaderChanges: TypeAlias = Mapping[str, str | Sequence[str] | None]
"""Header fields that a response adds to or replaces in the usual ones: several values of a name, or ``None``."""

_GONE: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
"""The exceptions of a stream whose other end is gone."""

frame: Final = partial(frame_of, is_masked=False)
"""Make the bytes of a frame as a server sends it; see `tests.e2e.raw_client.frame`."""


class ServerEnd:
    """The server's end of one TCP connection."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        """The stream of the connection: TCP, or TLS."""
        self._reader = BufferedByteReceiveStream(stream)
        self.request = b""
        """The request of the opening handshake, once it has been read."""

    # --- the opening handshake ---

    async def read_request(self) -> bytes:
        """Read the request up to its end, and return it."""
        self.request = await self._reader.receive_until(b"\r\n\r\n", 1 << 16)
        return self.request

    async def accept(self, changes: HeaderChanges | None = None, *, then: bytes = b"") -> None:
        """Respond with a valid 101, except for the changes; ``then`` is sent in the same write."""
        await self.read_request()
        await self.send(self.acceptance(changes) + then)

    def acceptance(self, changes: HeaderChanges | None = None) -> bytes:
        """Return the response that accepts the request, except for the changes."""
        fields: dict[str, str | Sequence[str] | None] = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": self._accept_key(),
            **(changes or {}),
        }
        lines = ["HTTP/1.1 101 Switching Protocols"]
        for name, values in fields.items():
            lines += [f"{name}: {value}" for value in ([values] if isinstance(values, str) else values or ())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _accept_key(self) -> str:
        """Return the value of ``Sec-WebSocket-Accept`` (RFC 6455 section 4.2.2)."""
        key = self.request.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()

    # --- bytes and frames ---

    async def send(self, data: bytes) -> None:
        """Send arbitrary bytes."""
        await self.stream.send(data)

    async def next_frame(self) -> Frame | None:
        """Return the next frame of the client, unmasked, or ``None`` at the end of the connection, however it ends."""
        try:
            first, second = await self._reader.receive_exactly(2)
            size = second & 127
            if size >= 126:
                size = int.from_bytes(await self._reader.receive_exactly(2 if size == 126 else 8))
            assert second >= 128, "a client masks what it sends (RFC 6455 section 5.3)"
            mask = await self._reader.receive_exactly(4)
            masked = await self._reader.receive_exactly(size) if size else b""
        except (*_GONE, anyio.IncompleteRead):
            return None
        repeated = mask * (size // 4 + 1)
        payload = int.from_bytes(masked) ^ int.from_bytes(repeated[:size])
        return Frame(first & 15, payload.to_bytes(size), is_final=first >= 128)

    async def close_code(self) -> int | None:
        """Read until the client's close frame, and return its code, or ``None`` if the connection ends without one."""
        while (received := await self.next_frame()) is not None:
            if received.opcode == Opcode.CLOSE:
                return received.close_code
        return None

    async def until_gone(self) -> None:
        """Read, without answering, until the client is gone."""
        with suppress(*_GONE):
            while True:
                await self.stream.receive()

    # --- the end ---

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame."""
        await self.send(frame(Opcode.CLOSE, code.to_bytes(2) + reason.encode()))

    async def finish(self) -> None:
        """End the server's side of the TCP connection (FIN); the client may still send."""
        await self.stream.send_eof()

    async def leave(self) -> None:
        """Close the TCP connection, without a TLS ``close_notify``."""
        await anyio.aclose_forcefully(self.stream)

    async def reset(self) -> None:
        """Reset the TCP connection (RST)."""
        end = self.stream.extra(SocketAttribute.raw_socket)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.leave()


Script: TypeAlias = Callable[[ServerEnd], Awaitable[T]]
"""The server's behaviour on one connection. The test gets its result; then the connection is closed."""


@dataclass(frozen=True)
class Scripted(Generic[T]):
    """A running server."""

    port: int
    scheme: str
    _results: MemoryObjectReceiveStream[T]
    connections: list[ServerEnd] = field(default_factory=list[ServerEnd])
    """All connections, in order."""

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"{self.scheme}://127.0.0.1:{self.port}/"

    async def result(self) -> T:
        """Return the result of the script, once it has ended; for several connections in the order of their ends."""
        with anyio.fail_after(TIMEOUT):
            return await self._results.receive()


@asynccontextmanager
async def scripted(script: Script[T], *, ssl: tls.SSLContext | None = None) -> AsyncGenerator[Scripted[T]]:
    """Run a server on a port of its own; it is cancelled after the block.

    A script that sends to a client that is gone ends without a result. After a block without an exception, anything
    that the client leaks fails the test: a task is found here, a socket warns when it is collected.
    """
    put, get = anyio.create_memory_object_stream[T](100)
    before = _tasks()

    async def handle(stream: ByteStream) -> None:
        try:
            if ssl is not None:
                stream = await TLSStream.wrap(stream, server_side=True, ssl_context=ssl, standard_compatible=False)
            server.connections.append(end := ServerEnd(stream))
            put.send_nowait(await script(end))
        except _GONE:
            pass
        finally:
            await anyio.aclose_forcefully(stream)

    async def serve(*, task_status: TaskStatus[int]) -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            task_status.started(listener.extra(SocketAttribute.local_port))
            await listener.serve(handle)

    with put, get:
        async with anyio.create_task_group() as tasks:
            server = Scripted(await tasks.start(serve), "ws" if ssl is None else "wss", get)
            with anyio.fail_after(TIMEOUT):
                yield server
            tasks.cancel_scope.cancel()
    for _ in range(_TURNS):
        if _tasks() == before:
            break
        await anyio.lowlevel.checkpoint()
    assert _tasks() == before, "a task is left"
    gc.collect(1)  # The young generations: they contain everything that the test created.


def _tasks() -> set[int]:
    return {task.id for task in anyio.get_running_tasks()}


@contextmanager
def memory_below(megabytes: float) -> Generator[None]:
    """Assert that a block never allocates more than a limit; server and client together."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < megabytes * MEGABYTE, f"{peak / MEGABYTE:.1f} MB at once"
