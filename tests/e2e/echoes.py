"""Handlers that send back what they receive, and the values that they receive, for the tests of more than one file.

The client encodes and decodes with the formats' own libraries, not with typedws.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal, TypeAlias

import cbor2
import ormsgpack
from pydantic import BaseModel, Field

from typedws import WebSocket

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


def without_defaults(value: dict[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in value.items() if each != {}}


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


# --- text and bytes ---


async def iterate_text(ws: AnySocket) -> None:
    async for text in ws.iter_text():
        await ws.send_text(text)


async def receive_text(ws: AnySocket) -> None:
    while True:
        await ws.send_text(await ws.receive_text())


async def iterate_bytes(ws: AnySocket) -> None:
    async for data in ws.iter_bytes():
        await ws.send_bytes(data)


async def receive_bytes(ws: AnySocket) -> None:
    while True:
        await ws.send_bytes(await ws.receive_bytes())


async def send_events(ws: AnySocket) -> None:
    while (event := await ws.receive())["type"] == "websocket.receive":
        await ws.send({**event, "type": "websocket.send"})


TEXTS: Final = ["", "plain", "naïve 東京 🦊 \u2028 \x00", "\ufeff", "x" * MEBIBYTE, "é" * (MEBIBYTE // 2)]
BYTES: Final = [b"", b"plain", bytes(range(256)), b"\xff\xfe", bytes(MEBIBYTE)]

Echo: TypeAlias = Callable[[Any], Awaitable[None]]
OF_MODELS: Final[dict[str, Echo]] = {
    echo.__name__: echo
    for echo in (
        iterate,
        iterate_models,
        receive_models,
        receive_given_models,
        receive_values,
        iterate_values,
        receive_values_send_models,
        receive_models_send_values,
    )
}
OF_TEXT: Final[dict[str, Echo]] = {echo.__name__: echo for echo in (iterate_text, receive_text)}
OF_BYTES: Final[dict[str, Echo]] = {echo.__name__: echo for echo in (iterate_bytes, receive_bytes)}
ECHOES: Final[dict[str, Echo]] = {**OF_MODELS, **OF_TEXT, **OF_BYTES, "send_events": send_events}
