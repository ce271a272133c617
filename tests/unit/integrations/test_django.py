"""An endpoint beside Django: behind the middleware and the router of channels, or behind a plain dispatcher."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, Final

import httpx
import pytest

from tests.e2e.serving import IMPLEMENTATIONS, Server, running
from tests.unit.integrations.frameworks import (
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
from typedws import App, Connection, Outcome, WebSocketRoute, endpoint
from typedws.asgi import ASGIApp, Receive, Scope, Send
from typedws.integrations.django import routed

pytestmark = pytest.mark.anyio

# Neither Django nor channels has types.
conf: Final[Any] = import_module("django.conf")
conf.settings.configure(
    SECRET_KEY="secret",
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    AUTHENTICATION_BACKENDS=[f"{__name__}.Memory"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    ROOT_URLCONF=__name__,
    LOGGING_CONFIG=None,
    USE_TZ=True,
)
import_module("django").setup()

urls: Final[Any] = import_module("django.urls")
auth: Final[Any] = import_module("django.contrib.auth")
http: Final[Any] = import_module("django.http")
asgi: Final[Any] = import_module("django.core.asgi")
channels_auth: Final[Any] = import_module("channels.auth")
channels_routing: Final[Any] = import_module("channels.routing")


import_module("django.contrib.auth.signals").user_logged_in.disconnect(dispatch_uid="update_last_login")


class Memory:
    """Users without a database."""

    def get_user(self, key: int) -> Any:
        return auth.get_user_model()(pk=key, username="ann")


def log_in(request: Any) -> Any:
    request.session["colour"] = "red"
    auth.login(request, Memory().get_user(1))
    return http.HttpResponse("welcome")


urlpatterns: Final = [urls.path("login", log_in)]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
async def server(request: pytest.FixtureRequest) -> AsyncGenerator[Server]:
    async with running(request.param) as server:
        yield server


def by_channels(*routes: Any) -> ASGIApp:
    """Make the application that channels' documentation has its readers make."""
    router = channels_routing.URLRouter([*routes, urls.re_path("", routed(App()))])
    protocols = {"http": asgi.get_asgi_application(), "websocket": channels_auth.AuthMiddlewareStack(router)}
    application: ASGIApp = channels_routing.ProtocolTypeRouter(protocols)
    return application


def beside_django(app: ASGIApp) -> ASGIApp:
    django = asgi.get_asgi_application()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await (django if scope["type"] == "http" else app)(scope, receive, send)

    return application


WAYS: Final[Mapping[str, tuple[str, Callable[[], ASGIApp], bool]]] = {
    "channels": ("/chat/lobby", lambda: by_channels(urls.path("chat/<str:room>", routed(talk))), False),
    "channels, nested": (
        "/in/chat/lobby",
        lambda: by_channels(urls.path("in/", channels_routing.URLRouter([urls.path("chat/<str:room>", routed(talk))]))),
        False,
    ),
    "channels, an app": ("/ws/chat/lobby", lambda: by_channels(urls.re_path("^ws/", routed(chat()))), False),
    "a dispatcher": ("/chat/lobby", lambda: beside_django(chat()), True),
}
every_way = pytest.mark.parametrize("way", WAYS)


@every_way
async def test_a_conversation(server: Server, way: str) -> None:
    path, make, has_lifespan = WAYS[way]
    async with mounted(server, make(), has_lifespan=has_lifespan) as served:
        await check_conversation(served, path)


@every_way
@each_denial
async def test_how_it_denies(server: Server, way: str, case: str) -> None:
    path, make, has_lifespan = WAYS[way]
    async with mounted(server, make(), has_lifespan=has_lifespan) as served:
        await check_denial(served, path, case)


@every_way
@each_closure
async def test_how_it_closes(server: Server, way: str, case: str) -> None:
    path, make, has_lifespan = WAYS[way]
    async with mounted(server, make(), has_lifespan=has_lifespan) as served:
        await check_closure(served, path, case)


@every_way
async def test_a_crash_is_logged_once_with_its_traceback(
    server: Server, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    path, make, has_lifespan = WAYS[way]
    async with (
        mounted(server, make(), has_lifespan=has_lifespan) as served,
        served.connect(f"{path}?how=crash") as client,
    ):
        await client.wait_closed()
    (record,) = [each for each in caplog.records if each.exc_info]
    assert record.name == "typedws.endpoint"


async def logged_in(port: int) -> str:
    """Log in, and give the cookies."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        response = await client.get("/login")
    assert response.text == "welcome"
    return "; ".join(f"{name}={value}" for name, value in response.cookies.items())


@endpoint
async def whoami(ws: Connection[Say, Said, Room]) -> None:
    user, session = ws.scope["user"], ws.scope["session"]
    async for say in ws:
        await ws.send_model(Said(text=f"{user.username or 'nobody'} {session.get(say.text)}", by=ws.params.room))


async def test_the_user_and_the_session_are_in_the_scope(server: Server) -> None:
    async with mounted(server, by_channels(urls.path("chat/<str:room>", routed(whoami))), has_lifespan=False) as served:
        async with served.connect("/chat/lobby") as client:
            assert await said(client, "colour") == {"text": "nobody None", "by": "lobby"}
        async with served.connect("/chat/lobby", {"Cookie": await logged_in(served.port)}) as client:
            assert await said(client, "colour") == {"text": "ann red", "by": "lobby"}


@endpoint
async def only_with_a_session(handshake: Opening) -> Outcome:
    store = import_module(conf.settings.SESSION_ENGINE).SessionStore
    session = store(handshake.cookies.get(conf.settings.SESSION_COOKIE_NAME))
    colour = await session.aget("colour")
    if colour is None:
        return await handshake.deny(401)
    ws = await handshake.accept()
    await ws.send_model(Said(text=f"{colour} {ws.state.animal}"))
    return await ws.close()


async def test_without_channels_a_handler_reads_the_session_and_a_lifespan_runs(server: Server) -> None:
    phases: list[str] = []

    @asynccontextmanager
    async def lifespan(app: App) -> AsyncGenerator[dict[str, Any]]:
        phases.append("start")
        yield {"animal": "cat"}
        phases.append("stop")

    app = App([WebSocketRoute("/chat/{room}", only_with_a_session)], lifespan=lifespan)
    async with mounted(server, beside_django(app)) as served:
        assert (await served.denied("/chat/lobby")).response.status_code == 401
        async with served.connect("/chat/lobby", {"Cookie": await logged_in(served.port)}) as client:
            assert "red cat" in str(await client.recv())
    assert phases == ["start", "stop"]


async def test_converters_give_their_values_and_what_nothing_serves_is_denied(server: Server) -> None:
    @endpoint
    async def tell(handshake: Opening) -> Outcome:
        ws = await handshake.accept()
        await ws.send_model(Said(text=f"{ws.path_params['limit']!r} {ws.params.limit!r}"))
        return await ws.close()

    route = urls.path("<room>/<int:limit>", routed(tell), {"how": "by default"})
    async with mounted(server, by_channels(route), has_lifespan=False) as served:
        async with served.connect("/lobby/10") as client:
            assert "10 10" in str(await client.recv())
        assert (await served.denied("/lobby/ten")).response.status_code == 404
