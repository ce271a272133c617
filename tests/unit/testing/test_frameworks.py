"""`typedws.testing` with other frameworks: the same messages, denial and failure inside each of them."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Annotated, Any, Final

import fastapi
import pytest
from litestar import Litestar
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute as StarletteRoute

from tests.unit.testing.chat import ChatHandshake, Fail, Failure, Leave, Said, Say, chat, talk
from typedws import App, Connection, Endpoint, WebSocketRoute, endpoint
from typedws.asgi import ASGIApp
from typedws.integrations.django import routed
from typedws.integrations.fastapi import typed_websocket
from typedws.integrations.litestar import websocket_route
from typedws.testing import TestClient, connect

pytestmark = pytest.mark.anyio


def in_django(talk: Endpoint[Any, Any, Any]) -> ASGIApp:
    urls: Any = import_module("django.urls")  # imported by name: neither library has types
    routing: Any = import_module("channels.routing")
    app: ASGIApp = routing.URLRouter([urls.path("chat/<str:room>", routed(talk))])
    return app


def unused_dependency() -> str:
    return "somebody"


def in_fastapi(talk: Endpoint[Any, Any, Any]) -> ASGIApp:
    app = fastapi.FastAPI()

    @app.websocket("/chat/{room}")
    async def route(
        ws: Annotated[ChatHandshake, typed_websocket(chat)], dependency: Annotated[str, fastapi.Depends(lambda: "ann")]
    ) -> Any:
        assert dependency == "ann"
        return await talk.handler(ws)

    return app


MOUNTS: Final[Mapping[str, Callable[[Endpoint[Any, Any, Any]], ASGIApp]]] = {
    "typedws": lambda talk: App([WebSocketRoute("/chat/{room}", talk)]),
    "Starlette": lambda talk: Starlette(routes=[StarletteRoute("/chat/{room}", talk)]),
    "FastAPI": in_fastapi,
    "Litestar": lambda talk: Litestar([websocket_route("/chat/{room:str}", talk)]),
    "Django": in_django,
}

each_framework = pytest.mark.parametrize("name", MOUNTS)


@each_framework
async def test_messages_and_the_close_are_the_same_in_each_framework(name: str) -> None:
    async with connect(MOUNTS[name](talk), "/chat/lobby?name=ann", chat) as ws:
        await ws.send_model(Say(text="hello"))
        assert await ws.expect(Said) == Said(text="hello", by="ann")
        await ws.send_model(Leave())
        await ws.expect_close(4001, "you asked for it")


@each_framework
async def test_a_denial_is_the_same_in_each_framework(name: str) -> None:
    denied = await connect(MOUNTS[name](talk), "/chat/lobby?name=mallory", chat).expect_denied(401)
    assert denied.problem is not None
    assert denied.problem.detail == "not you"


@each_framework
async def test_a_handlers_exception_is_raised_from_each_framework(name: str) -> None:
    with pytest.raises(Failure):
        async with connect(MOUNTS[name](talk), "/chat/lobby?name=ann", chat) as ws:
            await ws.send_model(Fail())
            await ws.expect_close(1011)


# --- the lifespan of a framework ---


@asynccontextmanager
async def run_lifespan(_: object) -> AsyncGenerator[Mapping[str, Any]]:
    yield {"greeting": "hello"}


@endpoint
async def greet(ws: Connection[str, str]) -> None:
    await ws.send_model(ws.state.greeting)


async def test_the_lifespan_of_a_framework_runs_and_its_state_reaches_the_handler() -> None:
    app = Starlette(routes=[StarletteRoute("/", greet)], lifespan=run_lifespan)
    async with connect(app) as ws:
        assert await ws.expect(str) == "hello"


def test_a_framework_works_with_the_synchronous_client() -> None:
    app = fastapi.FastAPI(lifespan=run_lifespan)
    app.router.routes.append(StarletteRoute("/", greet))
    with TestClient(app) as client, client.websocket_connect() as ws:
        assert ws.expect(str) == "hello"
