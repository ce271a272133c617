"""Whatever a peer sends to a real server, the handler gets a defined exception.

A wrong message is an `InvalidMessage`, and the connection goes on. A wrong frame is a disconnect, which the server
reports.
"""

from functools import partial
from typing import Any, Final, NamedTuple

import anyio
import anyio.lowlevel
import cbor2
import ormsgpack
import pytest
from pydantic import BaseModel
from websockets.asyncio.client import ClientConnection

from tests.e2e.echoes import iterate_text, receive_text
from tests.e2e.raw_client import Opcode, RawClient, frame, raw_client, round_trip
from tests.e2e.serving import Handler, Server, of, running, serving
from typedws import InvalidMessage, WebSocket, WebSocketDisconnect

pytestmark = pytest.mark.anyio


class Order(BaseModel):
    item: str
    price: float = 0.0
    parts: list[Any] = []


Socket = WebSocket[Order, Order]
AnySocket = WebSocket[Any, Any, Any]
Message = str | bytes

VALID: Final[dict[str, Message]] = {
    "text": '{"item":"tea"}',
    "binary": b'{"item":"tea"}',
    "msgpack": ormsgpack.packb({"item": "tea"}),
    "cbor": cbor2.dumps({"item": "tea"}),
}


# --- messages: the connection goes on ---


async def iterate(ws: Socket) -> None:
    async for order in ws:
        await ws.send_text(order.item)


async def iterate_models(ws: Socket) -> None:
    async for order in ws.iter_models():
        await ws.send_text(order.item)


async def receive(ws: Socket) -> None:
    while True:
        await ws.send_text((await ws.receive_model()).item)


async def receive_given(ws: Socket) -> None:
    while True:
        await ws.send_text((await ws.receive_model(Order)).item)


async def iterate_values(ws: Socket) -> None:
    async for value in ws.iter_json():
        await ws.send_text(value["item"])


async def receive_values(ws: Socket) -> None:
    while True:
        await ws.send_text((await ws.receive_json())["item"])


MODELS: Final[list[Handler[None]]] = [iterate, iterate_models, receive, receive_given]
VALUES: Final[list[Handler[None]]] = [iterate_values, receive_values]


def answering(read: Handler[None]) -> Handler[int]:
    """Accept, answer each `InvalidMessage` with its problem, and go on. Return the close code of the client."""

    async def handler(ws: AnySocket) -> int:
        await ws.accept()
        while True:
            try:
                await read(ws)
            except InvalidMessage as error:
                await ws.send_text(f"{error.problem} {int(error.close_code)}")
                continue
            except WebSocketDisconnect:
                pass
            return (await ws.close()).code

    return handler


class Wrong(NamedTuple):
    """A message that is wrong in some mode, and its answer. With ``is_value``, it is a valid value but not an order."""

    mode: str
    message: Message
    answer: str
    is_value: bool = False


MALFORMED: Final = "malformed 1007"
INVALID: Final = "invalid 1007"
WRONG_FRAME: Final = "wrong_frame 1003"

WRONG: Final[dict[str, Wrong]] = {
    "a brace": Wrong("text", "{bad", MALFORMED),
    "nothing": Wrong("text", "", MALFORMED),
    "nothing in a binary frame": Wrong("binary", b"", MALFORMED),
    "100,000 brackets": Wrong("text", "[" * 100_000, MALFORMED),
    "100,000 brackets in a binary frame": Wrong("binary", b"[" * 100_000, MALFORMED),
    "100,000 objects": Wrong("text", '{"parts":' * 100_000, MALFORMED),
    "100,000 arrays, all closed": Wrong("text", '{"item":' + "[" * 100_000 + "]" * 100_000 + "}", MALFORMED),
    "two values": Wrong("text", '{"item":"tea"}{"item":"tea"}', MALFORMED),
    "a byte order mark": Wrong("text", '\ufeff{"item":"tea"}', MALFORMED),
    "invalid UTF-8": Wrong("binary", b'{"item":"\xff"}', MALFORMED),
    "a surrogate in UTF-8": Wrong("binary", b'{"item":"\xed\xa0\x80"}', MALFORMED),
    "a lone surrogate, escaped": Wrong("text", '{"item":"\\ud800"}', MALFORMED),
    "UTF-16": Wrong("binary", '{"item":"tea"}'.encode("utf-16"), MALFORMED),
    "NaN": Wrong("text", '{"item":"tea","price":NaN}', MALFORMED),
    "Infinity": Wrong("text", '{"item":"tea","price":Infinity}', MALFORMED),
    "-Infinity": Wrong("binary", b'{"item":"tea","price":-Infinity}', MALFORMED),
    "NaN where anything may be": Wrong("text", '{"item":"tea","parts":[[NaN]]}', MALFORMED),
    "NaN in MessagePack": Wrong("msgpack", ormsgpack.packb({"item": "tea", "price": float("nan")}), MALFORMED),
    "Infinity in CBOR": Wrong("cbor", cbor2.dumps({"item": "tea", "price": float("inf")}), MALFORMED),
    "no MessagePack": Wrong("msgpack", b"\xc1", MALFORMED),
    "half a MessagePack": Wrong("msgpack", ormsgpack.packb({"item": "tea"})[:-1], MALFORMED),
    "100,000 arrays in MessagePack": Wrong("msgpack", b"\x91" * 100_000, MALFORMED),
    "half a CBOR": Wrong("cbor", cbor2.dumps({"item": "tea"})[:-1], MALFORMED),
    "100,000 arrays in CBOR": Wrong("cbor", b"\x81" * 100_000, MALFORMED),
    "a CBOR break": Wrong("cbor", b"\xff", MALFORMED),
    "a value that contains itself in CBOR": Wrong("cbor", b"\xd8\x1c\x81\xd8\x1d\x00", MALFORMED),
    "a regular expression in CBOR": Wrong("cbor", cbor2.dumps(cbor2.CBORTag(35, "(")), MALFORMED),
    "a binary frame for text": Wrong("text", b'{"item":"tea"}', WRONG_FRAME),
    "an empty binary frame for text": Wrong("text", b"", WRONG_FRAME),
    "a text frame for binary": Wrong("binary", '{"item":"tea"}', WRONG_FRAME),
    "a text frame for MessagePack": Wrong("msgpack", "tea", WRONG_FRAME),
    "an empty text frame for CBOR": Wrong("cbor", "", WRONG_FRAME),
    "a missing field": Wrong("text", '{"price":1}', INVALID, is_value=True),
    "a field of another type": Wrong("binary", b'{"item":7}', INVALID, is_value=True),
    "another value": Wrong("text", "null", INVALID, is_value=True),
    "a map as a key in MessagePack": Wrong("msgpack", b"\x81\x80\x01", MALFORMED),
    "a map as a key in CBOR": Wrong("cbor", b"\xa1\xa0\x01", INVALID, is_value=True),
    "a missing field in MessagePack": Wrong("msgpack", ormsgpack.packb({}), INVALID, is_value=True),
    "another value in CBOR": Wrong("cbor", cbor2.dumps([1]), INVALID, is_value=True),
}


async def ask(client: ClientConnection, message: Message) -> object:
    await client.send(message)
    return await client.recv()


@pytest.mark.parametrize("read", [*MODELS, *VALUES], ids=lambda read: read.__name__)
@pytest.mark.parametrize("mode", VALID)
async def test_a_wrong_message_is_reported_and_the_connection_goes_on(
    server: Server, mode: str, read: Handler[None]
) -> None:
    wrong_here = {
        name: wrong for name, wrong in WRONG.items() if wrong.mode == mode and not (wrong.is_value and read in VALUES)
    }
    assert wrong_here
    async with serving(server, answering(read), of(partial(WebSocket[Order, Order], mode=mode))) as served:
        async with served.connect() as client:
            for name, wrong in wrong_here.items():
                assert (name, await ask(client, wrong.message)) == (name, wrong.answer)
                assert (name, await ask(client, VALID[mode])) == (name, "tea")
        assert await served.result() == 1000


MORE: Final[dict[str, Message]] = {
    "text": '{"item":"tea"} {"item":"milk"}',
    "binary": b'{"item":"tea"}\0',
    "msgpack": ormsgpack.packb({"item": "tea"}) * 2,
    "cbor": cbor2.dumps({"item": "tea"}) * 2,
}


@pytest.mark.parametrize("read", [iterate, receive_values], ids=lambda read: read.__name__)
@pytest.mark.parametrize("mode", MORE)
async def test_more_than_one_value_is_malformed(server: Server, mode: str, read: Handler[None]) -> None:
    async with (
        serving(server, answering(read), of(partial(WebSocket[Order, Order], mode=mode))) as served,
        served.connect() as client,
    ):
        assert await ask(client, MORE[mode]) == MALFORMED
        assert await ask(client, VALID[mode]) == "tea"


# --- text and bytes ---


async def iterate_bytes(ws: AnySocket) -> None:
    async for data in ws.iter_bytes():
        await ws.send_text(data.decode())


async def receive_bytes(ws: AnySocket) -> None:
    while True:
        await ws.send_text((await ws.receive_bytes()).decode())


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (iterate_text, "tea", (b"tea", b"")),
        (receive_text, "tea", (b"tea", b"")),
        (iterate_bytes, b"tea", ("tea", "")),
        (receive_bytes, b"tea", ("tea", "")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_the_other_kind_of_frame_is_reported_and_the_connection_goes_on(
    server: Server, read: Handler[None], good: Message, bad: tuple[Message, ...]
) -> None:
    async with serving(server, answering(read)) as served, served.connect() as client:
        for message in bad:
            assert await ask(client, message) == WRONG_FRAME
            assert await ask(client, good) == "tea"


TOO_BIG: Final = "too_big 1009"
SIZED: Final[dict[str, tuple[Message, Message]]] = {
    "ASCII": ("x" * 64, "x" * 65),
    "two bytes a character": ("é" * 32, "é" * 32 + "x"),
    "three bytes a character": ("東" * 21 + "x", "東" * 21 + "é"),
    "four bytes a character": ("🦊" * 16, "🦊" * 16 + "x"),
    "far too much text": ("", "x" * 1_000_000),
    "bytes": (bytes(64), bytes(65)),
    "far too many bytes": (b"", bytes(1_000_000)),
}


@pytest.mark.parametrize("size", SIZED)
async def test_a_message_beyond_the_limit_is_reported_and_the_connection_goes_on(server: Server, size: str) -> None:
    fitting, too_big = SIZED[size]
    read = receive_text if isinstance(fitting, str) else receive_bytes
    async with (
        serving(server, answering(read), of(partial(WebSocket[Any, Any], max_message_size=64))) as served,
        served.connect() as client,
    ):
        expected = fitting if isinstance(fitting, str) else fitting.decode()
        for _ in range(2):
            assert await ask(client, fitting) == expected
            assert await ask(client, too_big) == TOO_BIG


@pytest.mark.parametrize("read", [*MODELS, *VALUES], ids=lambda read: read.__name__)
@pytest.mark.parametrize("mode", VALID)
async def test_the_limit_applies_to_models_and_values_too(server: Server, mode: str, read: Handler[None]) -> None:
    mount = of(partial(WebSocket[Order, Order], mode=mode, max_message_size=64))
    wrong_kind = b"x" * 65 if mode == "text" else "x" * 65
    async with serving(server, answering(read), mount) as served, served.connect() as client:
        for too_big in ("{" * 65 if mode == "text" else b"{" * 65, wrong_kind):
            assert await ask(client, too_big) == TOO_BIG
            assert await ask(client, VALID[mode]) == "tea"


# --- frames that no correct client sends ---


class Bad(NamedTuple):
    """The bytes to send, and the close codes that fit them."""

    frames: bytes
    codes: frozenset[int]


PROTOCOL_ERROR: Final = frozenset({1002})
INVALID_DATA: Final = frozenset({1007})
MESSAGE_TOO_BIG: Final = frozenset({1009})
LOST: Final = frozenset({1005, 1006})
BAD: Final[dict[str, Bad]] = {
    "an unmasked frame": Bad(frame(Opcode.TEXT, b"tea", is_masked=False), PROTOCOL_ERROR),
    "invalid UTF-8 in a text frame": Bad(frame(Opcode.TEXT, b"\xff"), INVALID_DATA),
    "half a character in a text frame": Bad(frame(Opcode.TEXT, "🦊".encode()[:2]), INVALID_DATA),
    "a reserved data opcode": Bad(frame(Opcode.RESERVED_DATA, b"tea"), PROTOCOL_ERROR),
    "a reserved control opcode": Bad(frame(Opcode.RESERVED_CONTROL), PROTOCOL_ERROR),
    "a reserved bit": Bad(frame(Opcode.TEXT, b"tea", reserved_bits=1), PROTOCOL_ERROR),
    "a continuation of nothing": Bad(frame(Opcode.CONTINUATION, b"tea"), PROTOCOL_ERROR),
    "a message within a message": Bad(
        frame(Opcode.TEXT, b"te", is_final=False) + frame(Opcode.TEXT, b"a"), PROTOCOL_ERROR
    ),
    "a fragmented ping": Bad(frame(Opcode.PING, is_final=False), PROTOCOL_ERROR),
    "a ping that is too long": Bad(frame(Opcode.PING, bytes(126)), PROTOCOL_ERROR),
    "a close frame with code 1005": Bad(frame(Opcode.CLOSE, (1005).to_bytes(2)), PROTOCOL_ERROR),
    "a close frame with code 1006": Bad(frame(Opcode.CLOSE, (1006).to_bytes(2)), PROTOCOL_ERROR),
    "a close frame with code 999": Bad(frame(Opcode.CLOSE, (999).to_bytes(2)), PROTOCOL_ERROR),
    "a close frame of one byte": Bad(frame(Opcode.CLOSE, b"\x03"), PROTOCOL_ERROR),
    "a close reason that is not UTF-8": Bad(frame(Opcode.CLOSE, (1000).to_bytes(2) + b"\xff"), INVALID_DATA | {1002}),
    "HTTP": Bad(b"GET / HTTP/1.1\r\n\r\n", PROTOCOL_ERROR),
    "zeros": Bad(bytes(1000), PROTOCOL_ERROR),
}
bad_frames = pytest.mark.parametrize("bad", BAD.values(), ids=BAD)


async def wait_for_ever(ws: AnySocket) -> None:
    async with ws.cancelled_on_disconnect():
        await anyio.Event().wait()


async def send_for_ever(ws: AnySocket) -> None:
    while True:
        await ws.send_text("tick")
        await anyio.lowlevel.checkpoint()


async def watch_and_send_for_ever(ws: AnySocket) -> None:
    async with ws.cancelled_on_disconnect():
        await send_for_ever(ws)


def ending(talk: Handler[None]) -> Handler[WebSocketDisconnect]:
    """Accept, talk until a disconnect, and return it. Closing afterwards does nothing."""

    async def handler(ws: AnySocket) -> WebSocketDisconnect:
        await ws.accept()
        try:
            with pytest.raises(WebSocketDisconnect) as caught:
                await talk(ws)
            return caught.value
        finally:
            await ws.close()

    return handler


async def answer_to(bad: Bad, client: RawClient) -> int:
    """Send bad frames, and return the code of the close frame that answers, or 1006 if the connection just ends."""
    client.send(bad.frames)
    answer = await client.close_frame()
    return 1006 if answer is None else answer.close_code


@bad_frames
@pytest.mark.parametrize("talk", [receive_text, receive, wait_for_ever], ids=lambda talk: talk.__name__)
async def test_a_bad_frame_is_a_disconnect_for_a_handler_that_receives(
    server: Server, bad: Bad, talk: Handler[None]
) -> None:
    async with (
        serving(server, ending(talk), of(WebSocket[Order, Order])) as served,
        raw_client(served.port) as client,
    ):
        # wsproto parses most bad frames as the end of the connection, which uvicorn then answers without a frame.
        assert await answer_to(bad, client) in bad.codes | ({1006} if server.implementation == "wsproto" else set())
        assert (await served.result()).code in bad.codes


@bad_frames
@pytest.mark.parametrize("talk", [send_for_ever, watch_and_send_for_ever], ids=lambda talk: talk.__name__)
async def test_a_bad_frame_is_a_disconnect_for_a_handler_that_sends(
    server: Server, bad: Bad, talk: Handler[None]
) -> None:
    async with serving(server, ending(talk)) as served, raw_client(served.port) as client:
        assert await client.next_frame()
        await answer_to(bad, client)
        assert (await served.result()).code in bad.codes | LOST


@pytest.mark.parametrize(
    "talk", [receive_text, wait_for_ever, send_for_ever, watch_and_send_for_ever], ids=lambda talk: talk.__name__
)
async def test_a_frame_beyond_the_limit_of_the_server_is_a_disconnect(server: Server, talk: Handler[None]) -> None:
    async with (
        running(server.implementation, ws_max_size=1000) as other,
        serving(other, ending(talk)) as served,
        raw_client(other.port) as client,
    ):
        assert await answer_to(Bad(frame(Opcode.BINARY, bytes(1001)), MESSAGE_TOO_BIG), client) in MESSAGE_TOO_BIG
        assert (await served.result()).code in MESSAGE_TOO_BIG | LOST


async def test_a_message_in_fragments_arrives_whole(server: Server) -> None:
    pieces = ["🦊 one ".encode()[:3], "🦊 one ".encode()[3:], b"", b"two"]

    async def handler(ws: AnySocket) -> tuple[str, bytes]:
        await ws.accept()
        return await ws.receive_text(), await ws.receive_bytes()

    async with serving(server, handler) as served, raw_client(served.port) as client:
        for kind in (Opcode.TEXT, Opcode.BINARY):
            for number, piece in enumerate(pieces):
                opcode = Opcode.CONTINUATION if number else kind
                client.send(frame(opcode, piece, is_final=number == len(pieces) - 1))
                client.send(frame(Opcode.PING, b"between"))
        assert await served.result() == ("🦊 one two", "🦊 one two".encode())


async def test_a_frame_that_comes_byte_by_byte_arrives_whole(server: Server) -> None:
    async with serving(server, answering(receive_text)) as served, raw_client(served.port) as client:
        for byte in frame(Opcode.TEXT, b"tea"):
            client.send(bytes([byte]))
            await round_trip(served.port)
        answer = await client.next_frame()
        assert answer is not None
        assert (answer.opcode, answer.payload) == (Opcode.TEXT, b"tea")
