"""Endpoints in Quart, beyond the stories that all frameworks share: its sessions, hooks, error handlers and server."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import quart
import quart_auth
from anyio import wait_all_tasks_blocked
from quart import Blueprint, Quart, abort, current_app, g, session, url_for

from tests.e2e.hypercorn_serving import running_hypercorn
from tests.support import CONNECT, Event, disconnect, scope, wire
from tests.unit.integrations.handlers import CrashError, Decide, Room, Said, Say, Talk, echo_bytes
from tests.unit.integrations.playing import LIMIT
from typedws import App, Connection, Outcome, WebSocket, WebSocketDisconnect, WebSocketRoute, client, endpoint
from typedws.integrations.quart import WebsocketConnection, view
from typedws.testing import connect, lifespan

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


def application(*, is_ours: bool = True) -> Any:
    """Return an application of Quart, on the connection class of typedws or on Quart's own."""
    app = Quart(__name__)
    app.secret_key = "secret"
    app.logger.disabled = True
    if is_ours:
        app.asgi_websocket_class = WebsocketConnection
    return app


def answer(text: str, status: int) -> Callable[[Exception], tuple[str, int]]:
    """Return an error handler."""

    def handle(error: Exception) -> tuple[str, int]:
        return text, status

    return handle


async def test_error_handlers_answer_before_the_accept() -> None:
    @endpoint
    async def fail(handshake: Decide) -> Outcome:
        if handshake.params.before == "abort":
            abort(418, "short and stout")
        if handshake.params.after == "crash":
            await handshake.accept()
        raise CrashError

    app = application()
    app.add_websocket("/chat/<room>", view_func=view(fail))

    app.register_error_handler(CrashError, answer("handled", 409))
    assert (await connect(app, "/chat/lobby").expect_denied(409)).body == b"handled"
    denied = await connect(app, "/chat/lobby?before=abort").expect_denied(418)
    assert denied.problem is not None
    assert denied.problem.detail == "short and stout"
    app.register_error_handler(418, answer("a teapot", 418))
    assert (await connect(app, "/chat/lobby?before=abort").expect_denied(418)).body == b"a teapot"
    with pytest.raises(CrashError):
        async with connect(app, "/chat/lobby?after=crash") as ws:
            await ws.expect_close(1011)


async def test_authentication_sessions_blueprints_and_hooks_are_active() -> None:
    @endpoint
    async def tell(ws: Connection[Say, Said, Room]) -> None:
        name = quart_auth.current_user.auth_id
        await ws.send_model(Said(text=f"{name} {session.get('animal')} {g.colour} {ws.params.room}"))

    app = application()
    quart_auth.QuartAuth(app, cookie_secure=False)
    blueprint = Blueprint("chat", __name__, url_prefix="/in")
    blueprint.add_websocket("/chat/<room>", view_func=quart_auth.login_required(view(tell)))
    torn_down: list[str] = []

    @blueprint.before_websocket
    async def colour() -> None:
        g.colour = "red"

    async def teardown(error: BaseException | None) -> None:
        torn_down.append(quart.websocket.path)

    async def login() -> str:
        session["animal"] = "cat"
        quart_auth.login_user(quart_auth.AuthUser("ann"))
        return url_for("chat.tell", room="lobby")

    app.teardown_websocket(teardown)
    app.add_url_rule("/login", view_func=login)
    app.register_blueprint(blueprint)
    await connect(app, "/in/chat/lobby").expect_denied(401)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as http:
        response = await http.get("/login")
    assert response.text.endswith("/in/chat/lobby")
    cookies = "; ".join(f"{name}={value}" for name, value in response.cookies.items())
    async with connect(app, "/in/chat/lobby", headers={"Cookie": cookies}) as ws:
        assert await ws.receive_model(Said) == Said(text="ann cat red lobby")
    assert torn_down == ["/in/chat/lobby"] * 2


async def test_a_handler_has_the_current_application_and_a_view_has_a_name() -> None:
    @endpoint
    async def tell(ws: Talk) -> None:
        await ws.send_model(Said(text=str(ws.app.config is current_app.config)))

    app = application()
    app.add_websocket("/<room>", view_func=view(tell, name="another"))
    assert "another" in app.view_functions
    async with connect(app, "/lobby") as ws:
        assert await ws.receive_model(Said) == Said(text="True")


@pytest.mark.parametrize(
    ("events", "sends"),
    [([], ["websocket.accept", "websocket.close"]), ([disconnect(4001)], ["websocket.accept"])],
    ids=["while the client is connected", "after it has left"],
)
async def test_a_server_that_does_not_wait_cancels_the_handler(events: list[Event], sends: list[str]) -> None:
    received: list[object] = []

    @endpoint
    async def wait(handshake: Decide) -> Outcome:
        ws = await handshake.accept()
        await asyncio.Event().wait()
        try:
            received.append(await ws.receive_model())
        except WebSocketDisconnect as error:
            received.append(error)
        return await ws.close()

    app = application()
    app.add_websocket("/<room>", view_func=view(wait))
    receive, send, sent = wire(CONNECT, *events)
    accepted = asyncio.Event()

    async def receive_in_turn() -> Event:
        event = await receive()
        if event["type"] == "websocket.disconnect":  # a client can leave an accepted connection only
            await accepted.wait()
        return event

    async def send_and_notify(event: Any) -> None:
        await send(event)
        accepted.set()

    before = asyncio.all_tasks()
    task = asyncio.ensure_future(app(scope(path="/lobby"), receive_in_turn, send_and_notify))
    await wait_all_tasks_blocked()
    assert not task.done()
    async with asyncio.timeout(LIMIT):
        for each in asyncio.all_tasks() - before:  # as `asyncio.run` does at its end
            each.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while remaining := asyncio.all_tasks() - before:
            await asyncio.wait(remaining)
    assert [event["type"] for event in sent] == sends
    assert received == []


async def test_a_classic_handler_that_closes_before_the_accept_denies() -> None:
    async def close(ws: WebSocket[Any, Any, Any]) -> None:
        await ws.close()

    app = application()
    app.add_websocket("/<room>", view_func=view(App([WebSocketRoute("/{room}", close)])))
    await connect(app, "/lobby").expect_denied(403)


@pytest.mark.parametrize("is_ours", [True, False])
async def test_quarts_own_server_runs_views(is_ours: bool) -> None:
    @endpoint
    async def greet(handshake: Decide) -> Outcome:
        ws = await handshake.accept()
        await ws.send_model(Said(text=(await ws.receive_model()).text, by=ws.params.room))
        return await ws.close(4002)

    app = application(is_ours=is_ours)
    app.add_websocket("/chat/<room>", view_func=view(greet))
    app.add_websocket("/bytes/<room>", view_func=view(endpoint(echo_bytes)))
    async with asyncio.timeout(LIMIT), running_hypercorn("asyncio") as host, lifespan(app):
        host.app = app
        async with client.connect(f"ws://127.0.0.1:{host.port}/chat/lobby") as ws:
            await ws.send_model(Say(text="bye"))
            assert await ws.receive_model(Said) == Said(text="bye", by="lobby")
            with pytest.raises(WebSocketDisconnect) as end:
                await ws.receive_text()
            assert end.value.code == 4002
        async with client.connect(f"ws://127.0.0.1:{host.port}/bytes/lobby") as ws:
            for data in (b"", b"a", b""):
                await ws.send_bytes(data)
                assert await ws.receive_bytes() == data + b"!"
            with pytest.raises(WebSocketDisconnect) as end:
                await ws.receive_text()
            assert end.value.code == 1000
