"""Every kind of message, there and back over a real server: text, bytes, plain values and models, in every mode.

The client encodes and decodes with the formats' own libraries, not with typedws.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Final, Literal

import cbor2
import ormsgpack
import pytest
from pydantic import BaseModel, Field

from tests.e2e.echoes import iterate_text, receive_text
from tests.e2e.serving import Handler, Server, of, serving
from typedws import WebSocket, WebSocketDisconnect

pytestmark = pytest.mark.anyio

MEBIBYTE: Final = 1 << 20


class Point(BaseModel):
    kind: Literal["point"] = "point"
    x: int
    label: str = Field(alias="name")


class Track(BaseModel):
    kind: Literal["track"] = "track"
    points: list[Point]
    tags: dict[str, float | None] = {}


Message = Annotated[Point | Track, Field(discriminator="kind")]
Socket = WebSocket[Message, Message]
AnySocket = WebSocket[Any, Any, Any]

POINT: Final[dict[str, Any]] = {"kind": "point", "x": -7, "name": "home"}
VALUES: Final[dict[str, dict[str, Any]]] = {
    "small": POINT,
    "unicode": {**POINT, "name": 'naïve 東京 🦊 \u2028 \x00 "\\'},
    "empty text": {**POINT, "name": ""},
    "nested": {"kind": "track", "points": [POINT, POINT], "tags": {"é": 0.5, "": None}},
    "a mebibyte": {**POINT, "name": "x" * MEBIBYTE},
}


def dump_text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def dump_binary(value: object) -> bytes:
    return dump_text(value).encode()


FORMATS: Final[dict[str, tuple[Callable[[Any], str | bytes], Callable[[Any], Any]]]] = {
    "text": (dump_text, json.loads),
    "binary": (dump_binary, json.loads),
    "msgpack": (ormsgpack.packb, ormsgpack.unpackb),
    "cbor": (cbor2.dumps, cbor2.loads),
}


# --- models and plain values ---


async def iterate(ws: Socket) -> None:
    async for message in ws:
        await ws.send_model(message)


async def iterate_models(ws: Socket) -> None:
    async for message in ws.iter_models(Point | Track):
        await ws.send_model(message)


async def receive_models(ws: Socket) -> None:
    while True:
        await ws.send_model(await ws.receive_model())


async def receive_given_models(ws: Socket) -> None:
    while True:
        await ws.send_model(await ws.receive_model(Point | Track))


async def receive_values(ws: Socket) -> None:
    while True:
        await ws.send_json(await ws.receive_json())


async def iterate_values(ws: Socket) -> None:
    async for value in ws.iter_json():
        await ws.send_json(value)


async def receive_values_send_models(ws: Socket) -> None:
    async for value in ws.iter_json():
        await ws.send_model(Point.model_validate(value) if value["kind"] == "point" else Track.model_validate(value))


async def receive_models_send_values(ws: Socket) -> None:
    async for message in ws:
        await ws.send_json(message)


ECHOES: Final[list[Handler[None]]] = [
    iterate,
    iterate_models,
    receive_models,
    receive_given_models,
    receive_values,
    iterate_values,
    receive_values_send_models,
    receive_models_send_values,
]


def accepted(echo: Handler[None]) -> Handler[int]:
    """Accept, echo until the client goes, and give the code with which it went."""

    async def handler(ws: AnySocket) -> int:
        await ws.accept()
        with suppress(WebSocketDisconnect):
            await echo(ws)
        return (await ws.close()).code

    return handler


@pytest.mark.parametrize("echo", ECHOES, ids=lambda echo: echo.__name__)
@pytest.mark.parametrize("mode", FORMATS)
async def test_every_value_comes_back_in_its_own_format(server: Server, mode: str, echo: Handler[None]) -> None:
    encode, decode = FORMATS[mode]
    async with serving(server, accepted(echo), of(partial(WebSocket[Message, Message], mode=mode))) as served:
        async with served.connect() as client:
            for name, value in VALUES.items():
                await client.send(encode(value))
                answer = await client.recv()
                assert isinstance(answer, str) is (mode == "text")
                assert without_defaults(decode(answer)) == value, name
        assert await served.result() == 1000


def without_defaults(value: dict[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in value.items() if each != {}}


@pytest.mark.parametrize("default", FORMATS)
async def test_each_message_may_travel_in_a_mode_of_its_own(server: Server, default: str) -> None:
    async def handler(ws: Socket) -> None:
        await ws.accept()
        for mode in FORMATS:
            await ws.send_model(await ws.receive_model(Point, mode=mode), mode=mode)
            await ws.send_json(await ws.receive_json(mode), mode=mode)
        await ws.close()

    mount = of(partial(WebSocket[Message, Message], mode=default))
    async with serving(server, handler, mount) as served, served.connect() as client:
        for encode, decode in FORMATS.values():
            for value in (POINT, {"plain": [1, None, "x"]}):
                await client.send(encode(value))
                assert decode(await client.recv()) == value


async def test_messages_arrive_in_the_order_of_the_calls(server: Server) -> None:
    async def handler(ws: AnySocket) -> None:
        await ws.accept()
        for number in range(200):
            await (ws.send_json(number) if number % 2 else ws.send_text(str(number)))
        await ws.close()

    async with serving(server, handler) as served, served.connect() as client:
        assert [message async for message in client] == [str(number) for number in range(200)]


async def test_messages_that_came_before_the_client_left_are_all_received(server: Server) -> None:
    async def handler(ws: AnySocket) -> list[str]:
        await ws.accept()
        await ws.receive_text()
        return [text async for text in ws.iter_text()]

    async with serving(server, handler) as served:
        async with served.connect() as client:
            for number in range(100):
                await client.send(str(number))
        assert await served.result() == [str(number) for number in range(1, 100)]


# --- text and bytes ---


async def iterate_bytes(ws: AnySocket) -> None:
    async for data in ws.iter_bytes():
        await ws.send_bytes(data)


async def receive_bytes(ws: AnySocket) -> None:
    while True:
        await ws.send_bytes(await ws.receive_bytes())


TEXTS: Final = ["", "plain", "naïve 東京 🦊 \u2028 \x00", "\ufeff", "x" * MEBIBYTE, "é" * (MEBIBYTE // 2)]
BYTES: Final = [b"", b"plain", bytes(range(256)), b"\xff\xfe", bytes(MEBIBYTE)]


@pytest.mark.parametrize(
    ("echo", "messages"),
    [(iterate_text, TEXTS), (receive_text, TEXTS), (iterate_bytes, BYTES), (receive_bytes, BYTES)],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_text_and_bytes_come_back_as_they_are(
    server: Server, echo: Handler[None], messages: list[str | bytes]
) -> None:
    async with serving(server, accepted(echo)) as served:
        async with served.connect() as client:
            for message in messages:
                await client.send(message)
                assert await client.recv() == message
        assert await served.result() == 1000


async def test_each_kind_of_frame_is_seen_by_raw_receive_and_send(server: Server) -> None:
    async def handler(ws: AnySocket) -> object:
        await ws.accept()
        while (event := await ws.receive())["type"] == "websocket.receive":
            await ws.send({**event, "type": "websocket.send"})
        return event

    async with serving(server, handler) as served:
        async with served.connect() as client:
            for message in ("", "text", b"", b"bytes"):
                await client.send(message)
                assert await client.recv() == message
        assert await served.result() == {"type": "websocket.disconnect", "code": 1000, "reason": ""}
