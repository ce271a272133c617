"""A server that sends too much, or too little: the client bounds its memory and its waits."""

import zlib
from collections.abc import Iterable, Sequence
from itertools import count, repeat
from typing import Final

import anyio
import pytest

from tests.unit.client.scripted import MEGABYTE, Opcode, Script, ServerEnd, frame, memory_below, scripted
from typedws import WebSocketDisconnect
from typedws._protocol.outcomes import Closed
from typedws.client import Backoff, Change, connect, reconnecting

pytestmark = pytest.mark.anyio

SOON: Final = 0.2
"""A short timeout in seconds, for waits that are expected to time out."""
FLOOD: Final = 100 * MEGABYTE
HEAD: Final = 10
"""The limit in bytes of the header of a frame."""
DEFLATE: Final = {"Sec-WebSocket-Extensions": "permessage-deflate"}


async def flood(end: ServerEnd, pieces: Iterable[bytes], size: int = FLOOD) -> int:
    """Write pieces until ``size`` bytes are written or the client stops reading; return the number of bytes written."""
    written = 0
    for piece in pieces:
        with anyio.move_on_after(SOON) as scope:
            await end.send(piece)
        if scope.cancelled_caught or (written := written + len(piece)) >= size:
            break
    return written


def numbered(size: int = 1 << 16) -> Iterable[bytes]:
    """Return messages that begin with their numbers."""
    return (frame(Opcode.BINARY, number.to_bytes(8) + bytes(size - 8)) for number in count())


# --- a client that does not receive ---


@pytest.mark.parametrize("size", [1 << 12, 1 << 16, MEGABYTE])
async def test_a_client_that_does_not_receive_makes_the_server_wait_and_loses_nothing(size: int) -> None:
    is_stuck = anyio.Event()

    async def script(end: ServerEnd) -> int:
        await end.accept()
        written = await flood(end, numbered(size))
        is_stuck.set()
        await end.finish()
        await end.until_gone()
        return written

    with memory_below(40):
        async with scripted(script) as server:
            async with connect(server.url, close_timeout=SOON) as ws:
                await is_stuck.wait()
                numbers = [int.from_bytes(message[:8]) async for message in ws.iter_bytes()]
            written = await server.result()
    assert written < FLOOD / 2
    assert numbers == list(range(len(numbers)))
    assert len(numbers) * (size + HEAD) >= written - size


BOMB: Final = zlib.compressobj(wbits=-15)
BOMB_OF_A_MEGABYTE: Final = frame(
    Opcode.BINARY,
    (BOMB.compress(bytes(MEGABYTE)) + BOMB.flush(zlib.Z_FULL_FLUSH)).removesuffix(b"\0\0\xff\xff"),
    reserved_bits=4,
)
"""A message within the limit, compressed to a thousandth of its size."""


@pytest.mark.parametrize("at_once", [True, False], ids=["with the answer", "after it"])
async def test_thousands_of_small_bombs_wait_until_they_are_received(at_once: bool) -> None:
    is_stuck = anyio.Event()

    async def script(end: ServerEnd) -> int:
        await end.accept(DEFLATE, then=BOMB_OF_A_MEGABYTE * 60 if at_once else b"")
        written = await flood(end, repeat(BOMB_OF_A_MEGABYTE * 10), 20 * MEGABYTE)
        is_stuck.set()
        await end.until_gone()
        return written

    with memory_below(40):
        async with scripted(script) as server:
            async with connect(server.url, compression="deflate", close_timeout=SOON) as ws:
                await is_stuck.wait()
                assert len(await ws.receive_bytes()) == MEGABYTE
            assert await server.result() < 20 * MEGABYTE


async def test_a_compression_bomb_is_not_decompressed() -> None:
    compressor = zlib.compressobj(wbits=-15)
    data = compressor.compress(bytes(FLOOD)) + compressor.flush(zlib.Z_SYNC_FLUSH)

    async def script(end: ServerEnd) -> int | None:
        await end.accept(DEFLATE)
        await end.send(frame(Opcode.TEXT, data.removesuffix(b"\0\0\xff\xff"), reserved_bits=4))
        return await end.close_code()

    with memory_below(8):
        async with scripted(script) as server:
            async with connect(server.url, compression="deflate") as ws:
                with pytest.raises(WebSocketDisconnect, match="1009"):
                    await ws.receive_text()
            assert await server.result() == 1009


# --- control frames and empty frames ---


async def test_reading_pauses_for_a_server_that_pings_and_does_not_read() -> None:
    is_stuck = anyio.Event()

    async def script(end: ServerEnd) -> int:
        await end.accept()
        written = await flood(end, repeat(frame(Opcode.PING, b"x" * 125) * 500))
        is_stuck.set()
        await end.until_gone()
        return written

    with memory_below(8):
        async with scripted(script) as server:
            async with connect(server.url, close_timeout=SOON):
                await is_stuck.wait()
            assert await server.result() < FLOOD


@pytest.mark.parametrize(
    ("beginning", "piece", "size"),
    [
        (b"", frame(Opcode.PONG, b"x" * 125), MEGABYTE),
        (frame(Opcode.TEXT, is_final=False), frame(Opcode.CONTINUATION, is_final=False), MEGABYTE // 32),
    ],
    ids=["pongs", "empty fragments"],
)
async def test_frames_without_content_are_read_and_dropped(beginning: bytes, piece: bytes, size: int) -> None:
    async def script(end: ServerEnd) -> int:
        await end.accept(then=beginning)
        written = await flood(end, repeat(piece * 500), size)
        await end.close(4000)
        return written

    with memory_below(8):
        async with scripted(script) as server, connect(server.url) as ws:
            assert [text async for text in ws.iter_text()] == []
            assert ws.end == Closed(4000, "", "peer")


async def test_an_unsolicited_pong_does_not_hide_the_answer_to_a_ping() -> None:
    async def script(end: ServerEnd) -> int:
        await end.accept()
        pings = 0
        while (received := await end.next_frame()) is not None and received.opcode == Opcode.PING:
            await end.send(frame(Opcode.PONG, received.payload) + frame(Opcode.PONG, b"I am here"))
            if (pings := pings + 1) == 3:
                await end.close(4000)
        return pings

    async with scripted(script) as server:
        async with connect(server.url, ping_interval=0.01, ping_timeout=SOON) as ws:
            assert [text async for text in ws.iter_text()] == []
            assert ws.end == Closed(4000, "", "peer")
        assert await server.result() == 3


@pytest.mark.parametrize("answer", [frame(Opcode.PONG), frame(Opcode.PONG, b"what?")], ids=["empty", "another"])
async def test_a_pong_with_another_payload_does_not_answer_a_ping(answer: bytes) -> None:
    async def script(end: ServerEnd) -> None:
        await end.accept()
        while await end.next_frame() is not None:
            await end.send(answer)

    async with scripted(script) as server, connect(server.url, ping_interval=0.01, ping_timeout=0.05) as ws:
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.receive_text()
        assert (caught.value.code, caught.value.closed_by) == (1006, "network")


# --- the closing handshake ---


async def stays_silent(end: ServerEnd) -> None:
    await end.accept()
    await end.until_gone()


async def does_not_read(end: ServerEnd) -> None:
    await end.accept()
    await anyio.sleep_forever()


async def answers_but_keeps_tcp(end: ServerEnd) -> None:
    await end.accept()
    assert await end.close_code() == 4000
    await end.close(4000)
    await end.until_gone()


async def floods_with_messages(end: ServerEnd) -> None:
    await end.accept()
    assert await end.close_code() == 4000
    await flood(end, numbered(), 1 << 40)


async def floods_with_tiny_messages(end: ServerEnd) -> None:
    await end.accept()
    assert await end.close_code() == 4000
    await flood(end, repeat(frame(Opcode.TEXT, b"x") * 2000), 1 << 40)


async def floods_with_pings(end: ServerEnd) -> None:
    await end.accept()
    assert await end.close_code() == 4000
    await flood(end, repeat(frame(Opcode.PING, b"x" * 125) * 500), 1 << 40)
    await anyio.sleep_forever()


async def breaks_the_protocol(end: ServerEnd) -> None:
    await end.accept()
    assert await end.close_code() == 4000
    await end.send(frame(Opcode.RESERVED_DATA) * 3)
    await end.until_gone()


async def drips(end: ServerEnd) -> None:
    await end.accept()
    assert await end.close_code() == 4000
    for byte in frame(Opcode.TEXT, b"x" * 100) * 1000:
        await end.send(bytes([byte]))
    await end.until_gone()


STUBBORN: Final[Sequence[Script[None]]] = [
    stays_silent,
    does_not_read,
    answers_but_keeps_tcp,
    floods_with_messages,
    floods_with_tiny_messages,
    floods_with_pings,
    breaks_the_protocol,
    drips,
]


@pytest.mark.parametrize("script", STUBBORN)
async def test_a_close_ends_in_time_whatever_the_server_does(script: Script[None]) -> None:
    with memory_below(24):
        async with scripted(script) as server, connect(server.url, close_timeout=SOON) as ws:
            with anyio.fail_after(3):  # This long only because memory is traced.
                assert await ws.close(4000, "bye") == Closed(4000, "bye", "application")
            with pytest.raises(WebSocketDisconnect, match="this application closed the connection: 4000"):
                await ws.receive_text()


@pytest.mark.parametrize("script", STUBBORN)
async def test_a_client_that_reconnects_stays_closed_whatever_the_server_does(script: Script[None]) -> None:
    changes: list[Change] = []
    async with scripted(script) as server:
        async for ws in reconnecting(
            server.url, close_timeout=0.05, backoff=Backoff(initial=0), on_change=changes.append
        ):
            await ws.close(4000, "bye")
    assert [(change.state, change.cause) for change in changes] == [
        ("connecting", None),
        ("open", None),
        ("ended", None),
    ]


async def test_a_violation_followed_by_a_flood_ends_in_time() -> None:
    async def script(end: ServerEnd) -> None:
        await end.accept(then=frame(Opcode.RESERVED_DATA))
        await flood(end, repeat(bytes(1 << 16)), 1 << 40)

    with memory_below(8):
        async with scripted(script) as server, connect(server.url, close_timeout=SOON) as ws:
            with pytest.raises(WebSocketDisconnect, match="1002"):
                await ws.receive_text()
