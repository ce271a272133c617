"""Endpoints and applications inside Starlette: its middleware, its parameters, its exception handlers are active."""

from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from json import dumps
from typing import Any

import anyio
import pytest
from itsdangerous import TimestampSigner
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser, SimpleUser
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Router, WebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket

from tests.support import CONNECT, Event, disconnect, scope, text, wire
from typedws import App, Connection, Endpoint, Handshake, InvalidMessage, Outcome, endpoint
from typedws import WebSocketRoute as TypedRoute
from typedws.asgi import ASGIApp, Receive, Scope, Send

pytestmark = pytest.mark.anyio


class Say(BaseModel):
    text: str


class Said(BaseModel):
    text: str


class Room(BaseModel):
    room: str


class Unwelcome(Exception):
    """A failure of an application's own."""


Talk = Connection[Say, Said, Room]


class ByHeader(AuthenticationBackend):
    """Whoever names himself is believed."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        name = conn.headers.get("x-user")
        return None if name is None else (AuthCredentials(["authenticated"]), SimpleUser(name))


async def conversation(app: ASGIApp, *events: Event, **overrides: Any) -> list[Event]:
    """Let a client connect and do this; give what it is sent."""
    receive, send, sent = wire(CONNECT, *events)
    connection = scope(**{"path": "/chat/lobby", "headers": [], **overrides})
    with anyio.fail_after(5):
        await app(connection, receive, send)
    return sent


def told(sent: list[Event]) -> list[str | int]:
    """Give what a client understands of events: texts, the status of a denial, the code of a close."""
    said = {"websocket.send": "text", "websocket.close": "code", "websocket.http.response.start": "status"}
    return [event[said[event["type"]]] for event in sent if event["type"] in said]


@endpoint
async def talk(ws: Talk) -> None:
    async for message in ws:
        match message.text:
            case "unwelcome":
                raise Unwelcome
            case "broken":
                raise ValueError("a secret")
            case "forbidden":
                raise HTTPException(403, "not that")
            case word:
                await ws.send_model(Said(text=f"{word} in {ws.params.room}"))


def routed(**options: Any) -> Starlette:
    return Starlette(routes=[WebSocketRoute("/chat/{room}", talk)], **options)


MOUNTED: dict[str, ASGIApp] = {
    "route": routed(),
    "route in debug mode": routed(debug=True),
    "route of a router": Starlette(routes=[Mount("/chat", Router([WebSocketRoute("/{room}", talk)]))]),
    "mount": Starlette(routes=[Mount("/chat/{room}", talk)]),
    "app": Starlette(routes=[Mount("/chat", App([TypedRoute("/{room}", talk)]))]),
    "host": Starlette(routes=[Host("testserver", routed())]),
}


@pytest.mark.parametrize("app", MOUNTED.values(), ids=MOUNTED)
async def test_a_conversation_wherever_it_is_mounted(app: ASGIApp, request: pytest.FixtureRequest) -> None:
    path = "/chat/lobby/" if "mount]" in request.node.name else "/chat/lobby"  # a mount is of a folder
    events = (text('{"text":"hello"}'), disconnect())
    sent = await conversation(app, *events, path=path, headers=[(b"host", b"testserver")])
    assert told(sent) == ['{"text":"hello in lobby"}']


async def test_what_middleware_finds_reaches_the_handler() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[dict[str, str]]:
        yield {"greeting": "hi"}

    class Timing(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
            raise AssertionError

    @endpoint
    async def who(ws: Connection[Say, Said, Room]) -> None:
        user: SimpleUser = ws.scope["user"]
        ws.state.seen = True
        parts = [ws.state.greeting, user.username, ws.scope["session"]["cart"], ws.path_params["room"], ws.params.room]
        await ws.send_model(Said(text=" ".join(parts)))

    app = Starlette(
        routes=[WebSocketRoute("/chat/{room}", who)],
        middleware=[
            Middleware(SessionMiddleware, secret_key="secret"),
            Middleware(AuthenticationMiddleware, backend=ByHeader()),
            Middleware(Timing),
        ],
        lifespan=lifespan,
    )
    state = {"greeting": "hi"}
    signed = TimestampSigner("secret").sign(b64encode(dumps({"cart": "eggs"}).encode()))
    sent = await conversation(app, headers=[(b"x-user", b"ann"), (b"cookie", b"session=" + signed)], state=state)
    assert told(sent) == ['{"text":"hi ann eggs lobby lobby"}', 1000]
    assert state == {"greeting": "hi", "seen": True}


async def test_a_handshake_is_decided_by_what_middleware_found() -> None:
    @endpoint
    async def decide(handshake: Handshake[Say, Said]) -> Outcome:
        if not handshake.scope["user"].is_authenticated:
            return await handshake.deny(401, detail="who are you?")
        return await (await handshake.accept()).close()

    app = Starlette(
        routes=[WebSocketRoute("/chat/{room}", decide)],
        middleware=[Middleware(AuthenticationMiddleware, backend=ByHeader())],
    )
    assert told(await conversation(app)) == [401]
    assert told(await conversation(app, headers=[(b"x-user", b"ann")])) == [1000]


async def test_a_handler_of_the_applications_own_answers_while_the_connection_is_open() -> None:
    seen: list[object] = []

    async def unwelcome(websocket: StarletteWebSocket, error: Exception) -> None:
        seen.append(websocket.path_params["room"])
        await websocket.close(4003, "unwelcome")

    app = routed(exception_handlers={Unwelcome: unwelcome})
    assert told(await conversation(app, text('{"text":"unwelcome"}'))) == [4003]
    assert seen == ["lobby"]


async def test_a_handler_of_the_applications_own_answers_an_invalid_message() -> None:
    async def invalid(websocket: StarletteWebSocket, error: Exception) -> None:
        assert isinstance(error, InvalidMessage)
        await websocket.close(4007, error.problem)

    app = routed(exception_handlers={InvalidMessage: invalid})
    assert told(await conversation(app, text("{bad"))) == [4007]


@pytest.mark.parametrize("by", [HTTPException, 401], ids=["class", "status"])
async def test_a_handler_of_the_applications_own_denies(by: Any) -> None:
    async def denied(websocket: StarletteWebSocket, error: Exception) -> None:
        await websocket.send_denial_response(PlainTextResponse("ours", 418))

    @endpoint
    async def refuse(handshake: Handshake[Say, Said]) -> Outcome:
        raise HTTPException(401)

    app = Starlette(routes=[WebSocketRoute("/chat/{room}", refuse)], exception_handlers={by: denied})
    assert told(await conversation(app)) == [418]


async def test_starlettes_own_exceptions_are_answered_without_it() -> None:
    sent = await conversation(routed(), text('{"text":"forbidden"}'))
    assert (sent[-1]["code"], sent[-1]["reason"]) == (1008, "not that")


@pytest.mark.parametrize("debug", [False, True])
async def test_error_reporters_see_what_nobody_foresaw_and_the_client_does_not(debug: bool) -> None:
    reported: list[str] = []

    class Reporter:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await self.app(scope, receive, send)
            except Exception as error:
                reported.append(repr(error))
                raise

    app = routed(middleware=[Middleware(Reporter)], debug=debug)
    receive, send, sent = wire(CONNECT, text('{"text":"broken"}'))
    with pytest.raises(ValueError, match="a secret"):
        await app(scope(path="/chat/lobby"), receive, send)
    assert (sent[-1]["code"], sent[-1]["reason"]) == (1011, "")
    assert reported == ["ValueError('a secret')"]


async def test_a_plain_request_is_told_to_upgrade() -> None:
    app = Starlette(routes=[Mount("/chat/{room}", talk)])
    receive, send, sent = wire()
    await app({**scope(path="/chat/lobby/"), "type": "http", "method": "GET"}, receive, send)
    assert sent[0]["status"] == 426


def test_an_endpoint_is_found_by_the_name_of_its_handler() -> None:
    assert isinstance(talk, Endpoint)
    assert routed().url_path_for("talk", room="lobby") == "/chat/lobby"
