"""What a server may do to an open connection: the client learns how it ended, in time and without waste."""

import zlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import product
from typing import Final

import anyio
import pytest

from tests.unit.client.scripted import Opcode, ServerEnd, frame, scripted
from typedws import ApplicationCloseCode, CloseCode, Connection, Contract, WebSocketDisconnect
from typedws._protocol.outcomes import Closed
from typedws.client import Compression, connect
from typedws.close_codes import is_sendable
from typedws.exceptions import WebSocketDisconnected

pytestmark = pytest.mark.anyio

LIMIT: Final = 1000
SOON: Final = 0.2
"""A short timeout in seconds, for waits that are expected to time out."""
DEFLATE: Final = {"Sec-WebSocket-Extensions": "permessage-deflate"}

first = partial(frame, is_final=False)
"""The first frame of a fragmented message, or one in its middle."""


def announcing(size: int, opcode: int = Opcode.BINARY) -> bytes:
    """Return the header of a frame, with its size in 64 bits."""
    return bytes([1 << 7 | opcode, 127]) + size.to_bytes(8)


def deflated(data: bytes, opcode: int = Opcode.TEXT) -> bytes:
    """Return a compressed frame (RFC 7692 section 7.2.1) that does not depend on earlier ones."""
    compressor = zlib.compressobj(wbits=-15)
    compressed = compressor.compress(data) + compressor.flush(zlib.Z_FULL_FLUSH)
    return frame(opcode, compressed.removesuffix(b"\0\0\xff\xff"), reserved_bits=4)


def finished(data: bytes) -> bytes:
    """Compress data so that its last block is marked as final (RFC 7692 section 7.2.3.4)."""
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush(zlib.Z_FINISH) + b"\0"


# --- violations of the protocol ---

HELLO: Final = frame(Opcode.TEXT, b"hi")
PROTOCOL_ERROR: Final = CloseCode.PROTOCOL_ERROR
INVALID_DATA: Final = CloseCode.INVALID_DATA
TOO_BIG: Final = CloseCode.MESSAGE_TOO_BIG

VIOLATIONS: Final[Sequence[tuple[str, bytes, CloseCode]]] = [
    # Frames (RFC 6455 section 5.2).
    ("the first reserved bit, not negotiated", frame(Opcode.TEXT, b"x", reserved_bits=4), PROTOCOL_ERROR),
    ("the second reserved bit", frame(Opcode.TEXT, b"x", reserved_bits=2), PROTOCOL_ERROR),
    ("the third reserved bit", frame(Opcode.PING, b"x", reserved_bits=1), PROTOCOL_ERROR),
    ("a reserved opcode of data", frame(Opcode.RESERVED_DATA, b"x"), PROTOCOL_ERROR),
    ("a reserved opcode of control", frame(Opcode.RESERVED_CONTROL), PROTOCOL_ERROR),
    ("a masked frame", frame(Opcode.TEXT, b"x", is_masked=True), PROTOCOL_ERROR),
    # Control frames (section 5.5).
    ("a fragmented ping", first(Opcode.PING), PROTOCOL_ERROR),
    ("a fragmented close", first(Opcode.CLOSE, b"\x03\xe8"), PROTOCOL_ERROR),
    ("a ping too long", frame(Opcode.PING, b"x" * 126), PROTOCOL_ERROR),
    ("a close too long", frame(Opcode.CLOSE, b"\x03\xe8" + b"x" * 124), PROTOCOL_ERROR),
    ("a pong too long", frame(Opcode.PONG, b"x" * 126), PROTOCOL_ERROR),
    # Fragments (section 5.4).
    ("a continuation of nothing", frame(Opcode.CONTINUATION, b"x"), PROTOCOL_ERROR),
    ("a fragment of nothing", first(Opcode.CONTINUATION, b"x"), PROTOCOL_ERROR),
    ("a message within a message", first(Opcode.TEXT, b"a") + frame(Opcode.TEXT, b"b"), PROTOCOL_ERROR),
    ("two beginnings", first(Opcode.TEXT, b"a") + first(Opcode.BINARY, b"b"), PROTOCOL_ERROR),
    # Text (section 8.1).
    ("text that is not UTF-8", frame(Opcode.TEXT, b"\xc3\x28"), INVALID_DATA),
    ("text that ends within a character", frame(Opcode.TEXT, b"\xe2\x82"), INVALID_DATA),
    ("text with a surrogate", frame(Opcode.TEXT, b"\xed\xa0\x80"), INVALID_DATA),
    ("fragments that are no UTF-8", first(Opcode.TEXT, b"a\xe2\x82") + frame(Opcode.CONTINUATION, b"x"), INVALID_DATA),
    # Close frames (sections 5.5.1 and 7.4).
    ("a close of one byte", frame(Opcode.CLOSE, b"\x03"), PROTOCOL_ERROR),
    *[
        (f"a close with {code}", frame(Opcode.CLOSE, code.to_bytes(2)), PROTOCOL_ERROR)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    ],
    ("a reason that is not UTF-8", frame(Opcode.CLOSE, b"\x03\xe8\xc3\x28"), INVALID_DATA),
    # Sizes: the limit applies to the message, however it is fragmented.
    ("a frame above the limit", frame(Opcode.TEXT, b"x" * (LIMIT + 1)), TOO_BIG),
    ("an announced TB", announcing(1 << 40), TOO_BIG),
    ("an announced size of 64 bits", announcing(1 << 63), TOO_BIG),
    (
        "fragments above the limit",
        first(Opcode.TEXT, b"x" * 600) + first(Opcode.CONTINUATION, b"x" * 401),
        TOO_BIG,
    ),
    (
        "fragments a byte above the limit",
        first(Opcode.BINARY, b"x" * LIMIT) + first(Opcode.CONTINUATION) + frame(Opcode.CONTINUATION, b"x"),
        TOO_BIG,
    ),
]

COMPRESSED_VIOLATIONS: Final[Sequence[tuple[str, bytes, CloseCode]]] = [
    ("the second reserved bit", frame(Opcode.TEXT, b"x", reserved_bits=2), PROTOCOL_ERROR),
    ("a compressed ping", frame(Opcode.PING, b"x", reserved_bits=4), PROTOCOL_ERROR),
    ("a compressed continuation", first(Opcode.TEXT) + frame(Opcode.CONTINUATION, reserved_bits=4), PROTOCOL_ERROR),
    ("what cannot be decompressed", frame(Opcode.TEXT, b"\xff" * 20, reserved_bits=4), PROTOCOL_ERROR),
    ("compressed text that is not UTF-8", deflated(b"\xc3\x28"), INVALID_DATA),
    ("data after the last block", frame(Opcode.TEXT, finished(b"x") + finished(b"y"), reserved_bits=4), PROTOCOL_ERROR),
    (
        "fragments after the last block",
        first(Opcode.TEXT, finished(b"x"), reserved_bits=4) + first(Opcode.CONTINUATION, b"x"),
        PROTOCOL_ERROR,
    ),
    ("a byte above the limit", deflated(b"x" * (LIMIT + 1)), TOO_BIG),
    ("a bomb of 500 KB", deflated(bytes(500_000)), TOO_BIG),
    (
        "a bomb in fragments",
        first(Opcode.TEXT, deflated(b"x" * LIMIT)[2:], reserved_bits=4)
        + frame(Opcode.CONTINUATION, deflated(bytes(500_000))[4:]),
        TOO_BIG,
    ),
]

FOLLOWED_BY: Final[Sequence[tuple[str, bytes]]] = [
    ("nothing", b""),
    ("a message", frame(Opcode.TEXT, b"later")),
    ("a close", frame(Opcode.CLOSE, b"\x03\xe8")),
]

ALL_VIOLATIONS: Final = [
    pytest.param(data + more, compression, code, id=f"{name}, then {what}{', compressed' if compression else ''}")
    for compression, rows in ((None, VIOLATIONS), ("deflate", COMPRESSED_VIOLATIONS))
    for (name, data, code), (what, more) in product(rows, FOLLOWED_BY)
]


@pytest.mark.parametrize(("data", "compression", "code"), ALL_VIOLATIONS)
async def test_a_violation_fails_the_connection_and_sends_the_close_code(
    data: bytes, compression: Compression | None, code: CloseCode
) -> None:
    async def script(end: ServerEnd) -> int | None:
        await end.accept(DEFLATE if compression else None)
        await end.send(HELLO + data)
        return await end.close_code()

    async with scripted(script) as server:
        async with connect(server.url, max_message_size=LIMIT, compression=compression) as ws:
            assert await ws.receive_text() == "hi"
            with pytest.raises(WebSocketDisconnect) as caught:
                await ws.receive_text()
            with pytest.raises(WebSocketDisconnected):
                await ws.send_text("too late")
            assert [text async for text in ws.iter_text()] == []
        assert (caught.value.code, caught.value.closed_by) == (code, "application")
        close_code = await server.result()
        # A close frame in the same read as invalid UTF-8 is answered before the text is decoded.
        assert close_code == code or (code == INVALID_DATA and close_code == CloseCode.NORMAL_CLOSURE)


@pytest.mark.parametrize("extension", ["permessage-deflate", "permessage-deflate; server_no_context_takeover"])
async def test_messages_may_follow_one_that_ends_with_a_final_block(extension: str) -> None:
    messages = ["one", "", "x" * 900, "é" * 400, "".join(map(chr, range(0x4E00, 0x5A00))), "end"]

    async def script(end: ServerEnd) -> None:
        await end.accept({"Sec-WebSocket-Extensions": extension})
        for message in messages:
            await end.send(frame(Opcode.TEXT, finished(message.encode()), reserved_bits=4))
            await end.send(frame(Opcode.TEXT, b"between"))
            halves = finished(message.encode())
            await end.send(first(Opcode.TEXT, halves[:2], reserved_bits=4) + frame(Opcode.PING))
            await end.send(first(Opcode.CONTINUATION, halves[2:-1]) + frame(Opcode.CONTINUATION, halves[-1:]))
            await end.send(deflated(message.encode()))
        await end.close()
        await end.until_gone()

    async with scripted(script) as server, connect(server.url, compression="deflate", close_timeout=SOON) as ws:
        received = [text async for text in ws.iter_text()]
    assert received == [each for message in messages for each in (message, "between", message, message)]


async def test_a_violation_is_raised_at_once_even_if_the_server_stays() -> None:
    async def script(end: ServerEnd) -> None:
        await end.accept()
        await end.send(announcing(1 << 63))
        await anyio.sleep_forever()

    async with scripted(script) as server, connect(server.url, close_timeout=SOON) as ws:
        with anyio.fail_after(SOON), pytest.raises(WebSocketDisconnect, match="1009"):
            await ws.receive_text()


# --- the end of a connection ---

EndBy = Callable[[ServerEnd], Awaitable[None]]


@pytest.mark.parametrize("end_by", [ServerEnd.finish, ServerEnd.leave, ServerEnd.reset])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        first(Opcode.TEXT, b"half of it"),
        announcing(900) + b"x" * 899,
        b"\x81",
    ],
    ids=["between messages", "within a message", "within a frame", "within the head of a frame"],
)
async def test_an_end_without_a_close_frame_is_a_lost_connection(data: bytes, end_by: EndBy) -> None:
    received = anyio.Event()

    async def script(end: ServerEnd) -> None:
        await end.accept()
        await end.send(HELLO + data)
        await received.wait()  # A reset may discard data that is not read yet.
        await end_by(end)
        await end.until_gone()

    async with scripted(script) as server, connect(server.url) as ws:
        assert await ws.receive_text() == "hi"
        received.set()
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.receive_text()
        assert (caught.value.code, caught.value.reason, caught.value.closed_by) == (1006, "", "network")
        assert str(caught.value) == "the connection was lost: 1006 (abnormal closure, no close frame)"


class Closes(ApplicationCloseCode):
    KICKED = 4001, "removed by a moderator", "never"
    MOVED = 4002, "the room moved", "resume"


CONTRACT: Final = Contract("chat", Connection[str, str], closes=Closes)

SERVER_CLOSES: Final = [
    (b"", 1005, ""),
    *[(code.to_bytes(2), int(code), "") for code in CloseCode if is_sendable(code)],
    (b"\x0f\xa1", 4001, ""),
    (b"\x0f\xa2the room moved", 4002, "the room moved"),
    (b"\x13\x87" + "é".encode() * 61, 4999, "é" * 61),
]


@pytest.mark.parametrize("before", [b"", first(Opcode.TEXT, b"half")], ids=["between messages", "within a message"])
@pytest.mark.parametrize(("payload", "code", "reason"), SERVER_CLOSES, ids=[str(row[1]) for row in SERVER_CLOSES])
async def test_a_close_of_the_server_is_reported_with_its_code_and_reason(
    payload: bytes, code: int, reason: str, before: bytes
) -> None:
    async def script(end: ServerEnd) -> int | None:
        await end.accept()
        await end.send(before + frame(Opcode.CLOSE, payload))
        return await end.close_code()

    async with scripted(script) as server:
        async with connect(server.url, CONTRACT) as ws:
            assert [message async for message in ws] == []
            assert ws.end == Closed(code, reason, "peer")
            with pytest.raises(WebSocketDisconnected) as caught:
                await ws.receive_model()
            assert (caught.value.code, caught.value.reason, caught.value.closed_by) == (code, reason, "peer")
        assert await server.result() in {code, PROTOCOL_ERROR if before else code}


async def test_a_close_code_of_the_contract_is_its_member() -> None:
    async def script(end: ServerEnd) -> None:
        await end.accept()
        await end.close(Closes.MOVED, Closes.MOVED.description)
        await end.until_gone()

    async with scripted(script) as server, connect(server.url, CONTRACT, close_timeout=SOON) as ws:
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.receive_model()
        assert caught.value.code is Closes.MOVED
        assert ws.end is not None
        assert ws.end.code is Closes.MOVED


async def test_a_server_that_closes_and_half_closes_tcp_receives_our_close_frame() -> None:
    async def script(end: ServerEnd) -> int | None:
        await end.accept(then=frame(Opcode.CLOSE, b"\x0f\xa1"))
        await end.finish()
        return await end.close_code()

    async with scripted(script) as server:
        for _ in range(20):
            async with connect(server.url) as ws:
                assert [text async for text in ws.iter_text()] == []
            assert await server.result() == 4001
