"""`typedws.testing` runs the lifespans of frameworks; `tests.unit.integrations.playing` uses it with each of them."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import fastapi
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from typedws import Connection, endpoint
from typedws.testing import TestClient, connect


@asynccontextmanager
async def run_lifespan(_: object) -> AsyncGenerator[Mapping[str, Any]]:
    yield {"greeting": "hello"}


@endpoint
async def greet(ws: Connection[str, str]) -> None:
    await ws.send_model(ws.state.greeting)


@pytest.mark.anyio
async def test_the_lifespan_of_a_framework_runs_and_its_state_reaches_the_handler() -> None:
    app = Starlette(routes=[WebSocketRoute("/", greet)], lifespan=run_lifespan)
    async with connect(app) as ws:
        assert await ws.expect(str) == "hello"


def test_a_framework_works_with_the_synchronous_client() -> None:
    app = fastapi.FastAPI(lifespan=run_lifespan)
    app.router.routes.append(WebSocketRoute("/", greet))
    with TestClient(app) as client, client.websocket_connect() as ws:
        assert ws.expect(str) == "hello"
