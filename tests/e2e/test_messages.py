"""Every kind of message, there and back over a real server: text, bytes, plain values and models, in every mode."""

from contextlib import suppress
from functools import partial

import pytest

from tests.e2e.echoes import (
    BYTES,
    FORMATS,
    OF_BYTES,
    OF_MODELS,
    OF_TEXT,
    POINT,
    TEXTS,
    VALUES,
    AnySocket,
    Echo,
    Message,
    Point,
    Socket,
    without_defaults,
)
from tests.e2e.serving import Handler, Server, of, serving
from typedws import WebSocket, WebSocketDisconnect

pytestmark = pytest.mark.anyio


def accepted(echo: Echo) -> Handler[int]:
    """Accept, echo until the client disconnects, and return its close code."""

    async def handler(ws: AnySocket) -> int:
        await ws.accept()
        with suppress(WebSocketDisconnect):
            await echo(ws)
        return (await ws.close()).code

    return handler


@pytest.mark.parametrize("echo", OF_MODELS)
@pytest.mark.parametrize("mode", FORMATS)
async def test_every_value_comes_back_in_its_own_format(server: Server, mode: str, echo: str) -> None:
    encode, decode = FORMATS[mode]
    async with serving(
        server, accepted(OF_MODELS[echo]), of(partial(WebSocket[Message, Message], mode=mode))
    ) as served:
        async with served.connect() as client:
            for name, value in VALUES.items():
                await client.send(encode(value))
                answer = await client.recv()
                assert isinstance(answer, str) is (mode == "text")
                assert without_defaults(decode(answer)) == value, name
        assert await served.result() == 1000


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


@pytest.mark.parametrize(
    ("echo", "messages"),
    [*((echo, TEXTS) for echo in OF_TEXT.values()), *((echo, BYTES) for echo in OF_BYTES.values())],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_text_and_bytes_come_back_as_they_are(server: Server, echo: Echo, messages: list[str | bytes]) -> None:
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
