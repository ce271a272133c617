"""An endpoint in Litestar: its router, guards, sessions, authentication, hooks and lifespan, on a real server."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import litestar
import pytest
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult, DefineMiddleware
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.types import ASGIApp, Receive, Scope, Send

from tests.e2e.serving import IMPLEMENTATIONS, Server, running
from tests.support import CONNECT, scope, text, wire
from tests.unit.integrations.frameworks import (
    CrashError,
    Leaving,
    Opening,
    Room,
    Said,
    Say,
    chat,
    check_closure,
    check_conversation,
    check_denial,
    each_closure,
    each_denial,
    mounted,
    said,
    talk,
)
from typedws import Connection, Outcome, endpoint
from typedws.integrations.litestar import mount, websocket_route

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
async def server(request: pytest.FixtureRequest) -> AsyncGenerator[Server]:
    async with running(request.param) as server:
        yield server


AnyConnection = ASGIConnection[Any, Any, Any, Any]


ROUTES: Final[Mapping[str, tuple[str, Callable[[], BaseRouteHandler]]]] = {
    "route": ("/chat/lobby", lambda: websocket_route("/chat/{room:str}", talk)),
    "mounted app": ("/ws/chat/lobby", lambda: mount("/ws", chat())),
}
both_ways = pytest.mark.parametrize("way", ROUTES)


@both_ways
async def test_a_conversation(server: Server, way: str) -> None:
    path, route = ROUTES[way]
    async with mounted(server, litestar.Litestar([route()])) as served:
        await check_conversation(served, path)


@both_ways
@each_denial
async def test_how_it_denies(server: Server, way: str, case: str) -> None:
    path, route = ROUTES[way]
    async with mounted(server, litestar.Litestar([route()])) as served:
        await check_denial(served, path, case)


@both_ways
@each_closure
async def test_how_it_closes(server: Server, way: str, case: str) -> None:
    path, route = ROUTES[way]
    async with mounted(server, litestar.Litestar([route()])) as served:
        await check_closure(served, path, case)


@both_ways
@pytest.mark.parametrize("query", ["?how=crash", "?how=crash-early", "?how=forbidden"])
async def test_hooks_see_what_nobody_foresaw_and_nothing_else(server: Server, way: str, query: str) -> None:
    seen: list[Exception] = []

    async def note(error: Exception, _: Scope) -> None:
        seen.append(error)

    path, route = ROUTES[way]
    async with mounted(server, litestar.Litestar([route()], after_exception=[note])) as served:
        if "early" in query:
            await served.denied(path + query)
        else:
            async with served.connect(path + query) as client:
                await client.wait_closed()
    assert [type(error) for error in seen] == ([] if "forbidden" in query else [CrashError])


async def test_a_crash_after_the_client_left_is_seen_by_hooks_and_sends_nothing(server: Server) -> None:
    seen: list[Exception] = []

    async def note(error: Exception, _: Scope) -> None:
        seen.append(error)

    leaving = Leaving()
    leaving.busy.set()
    app = litestar.Litestar([websocket_route("/chat/{room:str}", leaving.endpoint)], after_exception=[note])
    async with mounted(server, app) as served:
        async with served.connect("/chat/lobby?how=crash") as client:
            await client.close(4001, "bye")
        assert (await leaving.gone).code == 4001
    assert [type(error) for error in seen] == [CrashError]
    assert served.ends == [[]]


class Authentication(AbstractAuthenticationMiddleware):
    async def authenticate_request(self, connection: AnyConnection) -> AuthenticationResult:
        name = connection.headers.get("x-name")
        if name is None:
            raise NotAuthorizedException("who are you?")
        return AuthenticationResult(user=name, auth=None)


@endpoint
async def whoami(ws: Connection[Say, Said, Room]) -> None:
    async for say in ws:
        await ws.send_model(Said(text=f"{ws.scope['user']} {ws.scope['session'].get(say.text)}", by=ws.params.room))


@litestar.post("/login")
async def login(request: litestar.Request[Any, Any, Any]) -> None:
    request.scope["session"] = {"colour": "red"}


async def test_authentication_and_sessions_are_in_the_scope(server: Server) -> None:
    sessions = CookieBackendConfig(secret=b"sixteen bytes...")
    app = litestar.Litestar(
        [login, websocket_route("/chat/{room:str}", whoami)],
        middleware=[sessions.middleware, DefineMiddleware(Authentication, exclude="login")],
    )
    async with mounted(server, app) as served:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", trust_env=False) as http:
            cookies = (await http.post("/login")).cookies
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()), "X-Name": "ann"}
        async with served.connect("/chat/lobby", headers) as client:
            assert await said(client, "colour") == {"text": "ann red", "by": "lobby"}
        assert (await served.denied("/chat/lobby")).response.status_code == 403


def only_for_ann(connection: AnyConnection, route: BaseRouteHandler) -> None:
    if connection.headers.get("x-name") != route.opt["only"]:
        raise NotAuthorizedException


@pytest.mark.parametrize("way", ["route", "mount"])
async def test_guards_and_middleware_apply(server: Server, way: str) -> None:
    passed: list[str] = []

    def noting(app: ASGIApp) -> ASGIApp:
        async def run(scope: Scope, receive: Receive, send: Send) -> None:
            passed.append(scope["type"])
            await app(scope, receive, send)

        return run

    guards, opt = [only_for_ann], {"only": "ann"}
    if way == "route":
        route: BaseRouteHandler = websocket_route(
            "/ws/chat/{room:str}", talk, guards=guards, middleware=[noting], name="chat", opt=opt
        )
    else:
        route = mount("/ws", chat(), guards=guards, middleware=[noting], name="chat", opt=opt)
    app = litestar.Litestar([route])
    assert app.get_handler_index_by_name("chat") is not None
    async with mounted(server, app) as served:
        await check_conversation(served, "/ws/chat/lobby", {"X-Name": "ann"})
        assert (await served.denied("/ws/chat/lobby", {"X-Name": "bob"})).response.status_code == 403
    assert passed == ["websocket", "websocket"]


async def test_the_framework_is_the_application_and_its_lifespan_runs(server: Server) -> None:
    @asynccontextmanager
    async def lifespan(app: litestar.Litestar) -> AsyncGenerator[None]:
        app.state.colour = "red"
        yield
        app.state.colour = "none"

    @endpoint
    async def tell(handshake: Opening) -> Outcome:
        ws = await handshake.accept()
        await ws.send_model(Said(text=ws.app.state.colour))
        return await ws.close()

    app = litestar.Litestar([websocket_route(["/tell/{room:str}", "/told/{room:str}"], tell)], lifespan=[lifespan])
    async with mounted(server, app) as served:
        for path in ("/tell/lobby", "/told/lobby"):
            async with served.connect(path) as client:
                assert "red" in str(await client.recv())
    assert app.state.colour == "none"


async def test_an_exception_of_the_framework_denies_with_its_status(server: Server) -> None:
    @endpoint
    async def refuse(handshake: Opening) -> Outcome:
        raise NotAuthorizedException(f"not to {handshake.params.room}")

    async with mounted(server, litestar.Litestar([websocket_route("/{room:str}", refuse)])) as served:
        denied = await served.denied("/lobby")
    assert denied.response.status_code == 401
    assert b"not to lobby" in (denied.response.body or b"")


async def test_a_mounted_app_answers_what_it_does_not_serve(server: Server) -> None:
    async with mounted(server, litestar.Litestar([mount("/ws", chat())])) as served:
        assert (await served.denied("/ws/nowhere")).response.status_code == 404
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", trust_env=False) as http:
            assert (await http.get("/ws/chat/lobby")).status_code == 426


async def test_a_mount_below_a_root_path_that_is_like_a_path_of_the_app() -> None:
    receive, send, sent = wire(CONNECT, text('{"text": "bye"}'))
    asked: Any = scope(path="/chat/ws/chat/lobby", root_path="/chat")
    app: Any = litestar.Litestar([mount("/ws", chat())])
    await app(asked, receive, send)
    assert [event["type"] for event in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
