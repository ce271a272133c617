"""Endpoints in Litestar, beyond the stories that all frameworks share: its guards, sessions and authentication."""

from typing import Any

import httpx
import litestar
import pytest
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult, DefineMiddleware
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.types import ASGIApp, Receive, Scope, Send

from tests.unit.integrations.handlers import Room, Said, Say, Talk
from typedws import App, Connection, WebSocketRoute, endpoint
from typedws.integrations.litestar import mount, websocket_route
from typedws.testing import connect

pytestmark = pytest.mark.anyio

AnyConnection = ASGIConnection[Any, Any, Any, Any]


@endpoint
async def greet(ws: Talk) -> None:
    await ws.send_model(Said(text="hello", by=ws.params.room))


def served(*routes: Any, **options: Any) -> Any:
    return litestar.Litestar(routes, openapi_config=None, logging_config=None, **options)


async def test_a_route_serves_several_paths() -> None:
    app = served(websocket_route(["/chat/{room:str}", "/other/{room:str}"], greet))
    for path in ("/chat/lobby", "/other/lobby"):
        async with connect(app, path) as ws:
            assert await ws.receive_model(Said) == Said(text="hello", by="lobby")


class Authentication(AbstractAuthenticationMiddleware):
    async def authenticate_request(self, connection: AnyConnection) -> AuthenticationResult:
        name = connection.headers.get("x-name")
        if name is None:
            raise NotAuthorizedException("who are you?")
        return AuthenticationResult(user=name, auth=None)


@endpoint
async def send_user_and_colour(ws: Connection[Say, Said, Room]) -> None:
    await ws.send_model(Said(text=f"{ws.scope['user']} {ws.scope['session'].get('colour')}", by=ws.params.room))


@litestar.post("/login")
async def login(request: litestar.Request[Any, Any, Any]) -> None:
    request.scope["session"] = {"colour": "red"}


async def test_authentication_and_sessions_are_in_the_scope() -> None:
    sessions = CookieBackendConfig(secret=b"sixteen bytes...")
    app = served(
        login,
        websocket_route("/chat/{room:str}", send_user_and_colour),
        middleware=[sessions.middleware, DefineMiddleware(Authentication, exclude="login")],
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as http:
        cookies = (await http.post("/login")).cookies
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()), "X-Name": "ann"}
    async with connect(app, "/chat/lobby", headers=headers) as ws:
        assert await ws.receive_model(Said) == Said(text="ann red", by="lobby")
    await connect(app, "/chat/lobby").expect_denied(403)


def only_for_ann(connection: AnyConnection, route: BaseRouteHandler) -> None:
    if connection.headers.get("x-name") != route.opt["only"]:
        raise NotAuthorizedException


@pytest.mark.parametrize("how", ["route", "mount"])
async def test_guards_and_middleware_apply(how: str) -> None:
    passed: list[str] = []

    def noting(app: ASGIApp) -> ASGIApp:
        async def run(scope: Scope, receive: Receive, send: Send) -> None:
            passed.append(scope["type"])
            await app(scope, receive, send)

        return run

    options: Any = {"guards": [only_for_ann], "middleware": [noting], "name": "chat", "opt": {"only": "ann"}}
    if how == "route":
        route: BaseRouteHandler = websocket_route("/ws/chat/{room:str}", greet, **options)
    else:
        route = mount("/ws", App([WebSocketRoute("/chat/{room}", greet)]), **options)
    app = served(route)
    assert app.get_handler_index_by_name("chat") is not None
    async with connect(app, "/ws/chat/lobby", headers={"X-Name": "ann"}) as ws:
        assert await ws.receive_model(Said) == Said(text="hello", by="lobby")
    await connect(app, "/ws/chat/lobby", headers={"X-Name": "bob"}).expect_denied(403)
    assert passed == ["websocket", "websocket"]
