"""Inside the routes of Starlette, FastAPI and Litestar, on a real server, one line makes a typed connection."""

import json
from collections.abc import Callable
from typing import Any, Final

import anyio.lowlevel
import fastapi
import litestar
import pytest
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket
from websockets.exceptions import InvalidStatus

from tests.e2e.raw_client import RawClient, raw_client
from tests.e2e.serving import Handler, Mount, Server, serving
from typedws import Closed, Connection, Denied, Handshake, InvalidMessage, Outcome, WebSocket, WebSocketDisconnect
from typedws.asgi import ASGIApp

pytestmark = pytest.mark.anyio


class Say(BaseModel):
    text: str


class Said(BaseModel):
    text: str
    room: str


class Room(BaseModel):
    room: str
    token: str = ""


Socket = WebSocket[Say, Said, Room]


def in_starlette(handler: Handler[None]) -> ASGIApp:
    async def route(websocket: StarletteWebSocket) -> None:
        ws = WebSocket[Say, Said, Room](websocket.scope, websocket.receive, websocket.send)
        await handler(ws)

    return Starlette(routes=[WebSocketRoute("/rooms/{room}", route)])


def in_fastapi(handler: Handler[None]) -> ASGIApp:
    app = fastapi.FastAPI()

    @app.websocket("/rooms/{room}")
    async def route(websocket: fastapi.WebSocket) -> None:  # pyright: ignore[reportUnusedFunction]
        ws = WebSocket[Say, Said, Room](websocket.scope, websocket.receive, websocket.send)
        await handler(ws)

    return app


def in_litestar(handler: Handler[None]) -> ASGIApp:
    @litestar.websocket("/rooms/{room:str}")
    async def route(socket: litestar.WebSocket[Any, Any, Any]) -> None:
        ws = WebSocket[Say, Said, Room](socket.scope, socket.receive, socket.send)
        await handler(ws)

    return litestar.Litestar([route])


FRAMEWORKS: Final[dict[str, Mount]] = {"Starlette": in_starlette, "FastAPI": in_fastapi, "Litestar": in_litestar}
in_every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)


async def decide(handshake: Handshake[Say, Said, Room]) -> Outcome:
    if handshake.params.token != "sesame":
        return await handshake.deny(401, detail="token missing", headers={"WWW-Authenticate": "Bearer"})
    connection = await handshake.accept(headers={"X-Room": handshake.params.room})
    await talk(connection)
    return await connection.close(4001, "bye")


async def talk(connection: Connection[Say, Said, Room]) -> None:
    while True:
        try:
            message = await connection.receive_model()
        except InvalidMessage as error:
            await connection.send_json({"problem": error.problem})
            continue
        await connection.send_model(Said(text=message.text, room=connection.params.room))
        if message.text == "bye":
            return


@in_every_framework
async def test_a_typed_conversation(server: Server, framework: str) -> None:
    async with (
        serving(server, decide, FRAMEWORKS[framework]) as served,
        served.connect("/rooms/lobby?token=sesame") as client,
    ):
        assert client.response is not None
        assert client.response.headers["X-Room"] == "lobby"
        for message, answer in (
            ('{"text":"hello"}', {"text": "hello", "room": "lobby"}),
            ("{bad", {"problem": "malformed"}),
            (b"\xff", {"problem": "wrong_frame"}),
            ('{"text":"bye"}', {"text": "bye", "room": "lobby"}),
        ):
            await client.send(message)
            assert json.loads(await client.recv()) == answer
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (4001, "bye")
        assert await served.result() == Closed(4001, "bye", "application")


@in_every_framework
async def test_a_denial(server: Server, framework: str) -> None:
    async with serving(server, decide, FRAMEWORKS[framework]) as served:
        with pytest.raises(InvalidStatus) as denied:
            async with served.connect("/rooms/lobby"):
                pass
        response = denied.value.response
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.headers["Content-Type"] == "application/problem+json"
        assert json.loads(response.body)["detail"] == "token missing"
        assert await served.result() == Denied(401)


@in_every_framework
async def test_a_client_that_closes(server: Server, framework: str) -> None:
    async def handler(ws: Socket) -> Closed:
        await ws.accept()
        async for _ in ws:
            raise AssertionError
        return await ws.close()

    async with serving(server, handler, FRAMEWORKS[framework]) as served:
        async with served.connect("/rooms/lobby") as client:
            await client.close(4002, "gone")
        assert await served.result() == Closed(4002, "gone", "peer")


async def receive(ws: Socket) -> None:
    await ws.receive_model()


async def send(ws: Socket) -> None:
    while True:
        await ws.send_model(Said(text="tick" * 1000, room=ws.params.room))


async def send_with_checkpoints(ws: Socket) -> None:
    while True:
        await ws.send_text("tick")
        await anyio.lowlevel.checkpoint()


async def send_watching(ws: Socket) -> None:
    async with ws.cancelled_on_disconnect():
        await send_with_checkpoints(ws)


@in_every_framework
@pytest.mark.parametrize("busy", [receive, send, send_with_checkpoints, send_watching], ids=lambda busy: busy.__name__)
@pytest.mark.parametrize("vanish", [RawClient.reset, RawClient.finish], ids=["reset", "FIN"])
async def test_a_peer_that_vanishes(
    server: Server,
    framework: str,
    busy: Handler[None],
    vanish: Callable[[RawClient], None],
) -> None:
    async def handler(ws: Socket) -> WebSocketDisconnect:
        await ws.accept()
        await ws.send_text("go")
        try:
            with pytest.raises(WebSocketDisconnect) as caught:
                await busy(ws)
            return caught.value
        finally:
            await ws.close()

    async with (
        serving(server, handler, FRAMEWORKS[framework]) as served,
        raw_client(served.port, "/rooms/lobby") as client,
    ):
        assert await client.next_frame()
        vanish(client)
        await client.end()
        assert (await served.result()).code in (1005, 1006)
