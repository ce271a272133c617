"""Endpoints in Starlette, beyond the stories that all frameworks share: its middleware and its names of routes."""

from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from json import dumps

import pytest
from itsdangerous import TimestampSigner
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket

from tests.unit.integrations.handlers import Room, Said, Say, Talk, Unwelcome
from typedws import Connection, Endpoint, Handshake, Outcome, endpoint
from typedws.testing import connect

pytestmark = pytest.mark.anyio


class ByHeader(AuthenticationBackend):
    """Trusts the name that a client sends."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        name = conn.headers.get("x-user")
        return None if name is None else (AuthCredentials(["authenticated"]), SimpleUser(name))


async def test_what_middleware_adds_to_the_scope_reaches_the_handler() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[dict[str, str]]:
        yield {"greeting": "hi"}

    class HTTPOnly(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
            raise AssertionError

    @endpoint
    async def tell(ws: Connection[Say, Said, Room]) -> None:
        user: SimpleUser = ws.scope["user"]
        ws.state.seen = True
        assert ws.scope["state"] == {"greeting": "hi", "seen": True}
        parts = [ws.state.greeting, user.username, ws.scope["session"]["cart"], ws.path_params["room"], ws.params.room]
        await ws.send_model(Said(text=" ".join(parts)))

    app = Starlette(
        routes=[WebSocketRoute("/chat/{room}", tell)],
        middleware=[
            Middleware(SessionMiddleware, secret_key="secret"),
            Middleware(AuthenticationMiddleware, backend=ByHeader()),
            Middleware(HTTPOnly),
        ],
        lifespan=lifespan,
    )
    cookie = TimestampSigner("secret").sign(b64encode(dumps({"cart": "eggs"}).encode())).decode()
    headers = {"X-User": "ann", "Cookie": f"session={cookie}"}
    async with connect(app, "/chat/lobby", headers=headers) as ws:
        assert await ws.receive_model(Said) == Said(text="hi ann eggs lobby lobby")
        await ws.expect_close(1000)


async def test_a_handshake_is_decided_by_what_middleware_adds_to_the_scope() -> None:
    @endpoint
    async def decide(handshake: Handshake[Say, Said]) -> Outcome:
        if not handshake.scope["user"].is_authenticated:
            return await handshake.deny(401, detail="who are you?")
        return await (await handshake.accept()).close()

    app = Starlette(
        routes=[WebSocketRoute("/chat/{room}", decide)],
        middleware=[Middleware(AuthenticationMiddleware, backend=ByHeader())],
    )
    await connect(app, "/chat/lobby").expect_denied(401)
    async with connect(app, "/chat/lobby", headers={"X-User": "ann"}) as ws:
        await ws.expect_close(1000)


@endpoint
async def refuse(ws: Talk) -> None:
    raise Unwelcome


async def test_an_exception_handler_of_the_application_finds_the_path_parameters() -> None:
    async def unwelcome(websocket: StarletteWebSocket, error: Exception) -> None:
        await websocket.close(4003, websocket.path_params["room"])

    app = Starlette(routes=[WebSocketRoute("/chat/{room}", refuse)], exception_handlers={Unwelcome: unwelcome})
    async with connect(app, "/chat/lobby") as ws:
        await ws.expect_close(4003, "lobby")


def test_an_endpoint_is_found_by_the_name_of_its_handler() -> None:
    assert isinstance(refuse, Endpoint)
    app = Starlette(routes=[WebSocketRoute("/chat/{room}", refuse)])
    assert app.url_path_for("refuse", room="lobby") == "/chat/lobby"
