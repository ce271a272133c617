"""Endpoints beside Django, beyond the stories that all frameworks share: its users, sessions and URL converters."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import httpx
import pytest

from tests.unit.integrations.django_site import asgi, by_channels, conf, urls
from tests.unit.integrations.handlers import Decide, Room, Said, Say, Talk
from tests.unit.integrations.sites import beside
from typedws import App, Connection, Outcome, WebSocketRoute, endpoint
from typedws.asgi import ASGIApp
from typedws.integrations.django import routed
from typedws.testing import connect, lifespan

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


async def log_in(app: ASGIApp) -> dict[str, str]:
    """Log in, and return the header of the cookies."""
    asgi: Any = app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(asgi), base_url="http://testserver") as client:
        response = await client.get("/login")
    assert response.text == "welcome"
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in response.cookies.items())}


async def test_the_user_and_the_session_are_in_the_scope() -> None:
    @endpoint
    async def send_user_and_colour(ws: Connection[Say, Said, Room]) -> None:
        user, session = ws.scope["user"], ws.scope["session"]
        await ws.send_model(Said(text=f"{user.username or 'nobody'} {session.get('colour')}", by=ws.params.room))

    app = by_channels(urls.path("chat/<str:room>", routed(send_user_and_colour)))
    async with connect(app, "/chat/lobby") as ws:
        assert await ws.receive_model(Said) == Said(text="nobody None", by="lobby")
    async with connect(app, "/chat/lobby", headers=await log_in(app)) as ws:
        assert await ws.receive_model(Said) == Said(text="ann red", by="lobby")


async def test_without_channels_a_handler_reads_the_session_and_the_lifespan_of_the_app_runs() -> None:
    phases: list[str] = []

    @endpoint
    async def decide(handshake: Decide) -> Outcome:
        store = import_module(conf.settings.SESSION_ENGINE).SessionStore
        session = store(handshake.cookies.get(conf.settings.SESSION_COOKIE_NAME))
        colour = await session.aget("colour")
        if colour is None:
            return await handshake.deny(401)
        ws = await handshake.accept()
        await ws.send_model(Said(text=f"{colour} {ws.state.animal}"))
        return await ws.close()

    @asynccontextmanager
    async def live(app: App) -> AsyncGenerator[dict[str, Any]]:
        phases.append("start")
        yield {"animal": "cat"}
        phases.append("stop")

    app = beside(asgi.get_asgi_application(), App([WebSocketRoute("/chat/{room}", decide)], lifespan=live))
    async with lifespan(app):
        await connect(app, "/chat/lobby").expect_denied(401)
        async with connect(app, "/chat/lobby", headers=await log_in(app)) as ws:
            assert await ws.receive_model(Said) == Said(text="red cat")
    assert phases == ["start", "stop"]


async def test_converters_convert_and_a_path_that_none_matches_is_denied() -> None:
    @endpoint
    async def send_limit(ws: Talk) -> None:
        params = ws.params
        await ws.send_model(Said(text=f"{ws.path_params['limit']!r} {params.limit!r}", by=params.after))

    app = by_channels(urls.path("<room>/<int:limit>", routed(send_limit), {"after": "by default"}))
    async with connect(app, "/lobby/10") as ws:
        assert await ws.receive_model(Said) == Said(text="10 10", by="by default")
    await connect(app, "/lobby/ten").expect_denied(404)
