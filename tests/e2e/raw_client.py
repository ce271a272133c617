"""A client without a WebSocket library: it sends any bytes that a test makes, and can vanish at any time."""

import asyncio
import base64
import os
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

__all__ = ["Frame", "Opcode", "RawClient", "frame", "raw_client", "round_trip"]


class Opcode(IntEnum):
    """The kind of a frame (RFC 6455 section 5.2). The reserved kinds are for tests that send them."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    RESERVED_DATA = 3
    CLOSE = 8
    PING = 9
    PONG = 10
    RESERVED_CONTROL = 11


KEY: Final = base64.b64encode(b"sixteen bytes...").decode()


@dataclass(frozen=True)
class Frame:
    """A received frame."""

    opcode: int
    payload: bytes
    is_final: bool

    @property
    def close_code(self) -> int:
        """The code of a close frame, or 1005 if it has none."""
        return int.from_bytes(self.payload[:2]) if self.payload else 1005


def frame(
    opcode: int, payload: bytes = b"", *, is_final: bool = True, is_masked: bool = True, reserved_bits: int = 0
) -> bytes:
    """Return the bytes of a frame."""
    head = bytes([is_final << 7 | reserved_bits << 4 | opcode])
    mask_bit = is_masked << 7
    if len(payload) < 126:
        head += bytes([mask_bit | len(payload)])
    elif len(payload) < 1 << 16:
        head += struct.pack("!BH", mask_bit | 126, len(payload))
    else:
        head += struct.pack("!BQ", mask_bit | 127, len(payload))
    if not is_masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


class RawClient:
    """One TCP connection, on which a WebSocket handshake was requested."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        """Send bytes, valid or not."""
        self._writer.write(data)

    async def next_frame(self) -> Frame | None:
        """Return the next frame, or ``None`` at the end of the connection, however it ends."""
        try:
            first, second = await self._reader.readexactly(2)
            size = second & 127
            if size >= 126:
                size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8))
            return Frame(first & 15, await self._reader.readexactly(size), is_final=first >= 128)
        except (asyncio.IncompleteReadError, OSError):
            return None

    async def close_frame(self) -> Frame | None:
        """Read until a close frame and return it, or return ``None`` at the end of the connection."""
        while (received := await self.next_frame()) is not None:
            if received.opcode == Opcode.CLOSE:
                break
        return received

    async def end(self) -> None:
        """Read until the end of the connection."""
        while await self.next_frame() is not None:
            pass

    def stop_reading(self) -> None:
        """Stop reading: data waits in the buffers of both ends, until they are full."""
        self._reading.pause_reading()

    def resume_reading(self) -> None:
        """Resume reading."""
        self._reading.resume_reading()

    @property
    def _reading(self) -> asyncio.ReadTransport:
        transport: Any = self._writer.transport
        reading: asyncio.ReadTransport = transport
        return reading

    def finish(self) -> None:
        """End our side of the TCP connection (FIN), without a close frame."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Reset the TCP connection (RST)."""
        # With a linger time of 0, the kernel resets the connection instead of closing it.
        tcp_socket: Any = self._writer.get_extra_info("socket")
        tcp_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


@asynccontextmanager
async def raw_client(port: int, path: str = "/", *, wait_for_handshake: bool = True) -> AsyncGenerator[RawClient]:
    """Connect, request a handshake and, if ``wait_for_handshake``, wait for it. Drop the connection after the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n".encode()
        )
        if wait_for_handshake:
            response = await reader.readuntil(b"\r\n\r\n")
            assert response.startswith(b"HTTP/1.1 101 "), response
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def round_trip(port: int) -> None:
    """Wait until the server has noticed all earlier events: it has served another connection from start to end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
