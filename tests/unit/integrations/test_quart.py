"""An endpoint as a view of Quart: its sessions, authentication, hooks, blueprints and errors, on real servers."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import hypercorn.asyncio
import hypercorn.config
import pytest
import quart
import quart_auth
from anyio import wait_all_tasks_blocked
from quart import Blueprint, Quart, abort, current_app, g, got_websocket_exception, session, url_for
from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.serving import IMPLEMENTATIONS, LIMIT, Server, running
from tests.support import CONNECT, Event, disconnect, scope, wire
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
from typedws import App, Connection, Outcome, WebSocket, WebSocketDisconnect, WebSocketRoute, endpoint
from typedws.integrations.quart import WebsocketConnection, view

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
async def server(request: pytest.FixtureRequest) -> AsyncGenerator[Server]:
    async with running(request.param) as server:
        yield server


def application(*, is_ours: bool = True) -> Quart:
    app = Quart(__name__)
    app.secret_key = "secret"
    app.logger.disabled = True
    if is_ours:
        app.asgi_websocket_class = WebsocketConnection
    return app


def with_view() -> Quart:
    app = application()
    app.add_websocket("/chat/<room>", view_func=view(talk))
    return app


def with_the_class_of_quart() -> Quart:
    app = application(is_ours=False)
    app.add_websocket("/chat/<room>", view_func=view(talk))
    return app


def with_app() -> Quart:
    app = application()
    app.add_websocket("/chat/<path:rest>", view_func=view(chat()))
    return app


def beside() -> Quart:
    typed = chat()
    app = application()
    inner = app.asgi_app

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        is_typed = scope["type"] == "websocket" and scope["path"].startswith("/chat/")
        await (typed if is_typed else inner)(scope, receive, send)

    app.asgi_app = dispatch  # type: ignore[method-assign]
    return app


WAYS = {each.__name__: each for each in (with_view, with_the_class_of_quart, with_app, beside)}
every_way = pytest.mark.parametrize("way", WAYS)


@every_way
async def test_a_conversation(server: Server, way: str) -> None:
    async with mounted(server, WAYS[way]()) as served:
        await check_conversation(served, "/chat/lobby")


@every_way
@each_denial
async def test_how_it_denies(server: Server, way: str, case: str) -> None:
    async with mounted(server, WAYS[way]()) as served:
        await check_denial(served, "/chat/lobby", case)


@every_way
@each_closure
async def test_how_it_closes(server: Server, way: str, case: str) -> None:
    async with mounted(server, WAYS[way]()) as served:
        await check_closure(served, "/chat/lobby", case)


@pytest.mark.parametrize("query", ["?how=crash", "?how=crash-early", "?how=forbidden"])
async def test_the_signal_tells_what_nobody_foresaw_and_nothing_else(server: Server, query: str) -> None:
    seen: list[Exception] = []

    async def note(sender: Quart, exception: Exception, **_: Any) -> None:
        seen.append(exception)

    app = with_view()
    with got_websocket_exception.connected_to(note, app):
        async with mounted(server, app) as served:
            if "early" in query:
                await served.denied("/chat/lobby" + query)
            else:
                async with served.connect("/chat/lobby" + query) as client:
                    await client.wait_closed()
    assert [type(error) for error in seen] == ([] if "forbidden" in query else [CrashError])


async def test_error_handlers_answer_before_the_accept(server: Server) -> None:
    @endpoint
    async def refuse(handshake: Opening) -> Outcome:
        if handshake.params.how == "abort":
            abort(418, "short and stout")
        raise CrashError

    app = application()
    app.add_websocket("/chat/<room>", view_func=view(refuse))
    handler = view(talk)
    app.add_websocket("/talk/<room>", view_func=handler)

    @app.errorhandler(CrashError)
    async def crashed(error: CrashError) -> tuple[str, int]:
        return "handled", 409

    async with mounted(server, app) as served:
        denied = await served.denied("/chat/lobby")
        assert (denied.response.status_code, denied.response.body) == (409, b"handled")
        denied = await served.denied("/chat/lobby?how=abort")
        assert denied.response.status_code == 418
        assert json.loads(denied.response.body or b"")["detail"] == "short and stout"
        app.register_error_handler(418, lambda error: ("a teapot", 418))
        denied = await served.denied("/chat/lobby?how=abort")
        assert (denied.response.status_code, denied.response.body) == (418, b"a teapot")
        async with served.connect("/talk/lobby?how=crash") as client:
            await client.wait_closed()
        assert client.close_code == 1011


@endpoint
async def whoami(ws: Connection[Say, Said, Room]) -> None:
    async for say in ws:
        name = quart_auth.current_user.auth_id
        await ws.send_model(Said(text=f"{name} {session.get(say.text)} {g.colour} {ws.params.room}"))


async def test_authentication_sessions_blueprints_and_hooks_are_active(server: Server) -> None:
    app = application()
    quart_auth.QuartAuth(app, cookie_secure=False)
    blueprint = Blueprint("chat", __name__, url_prefix="/in")
    blueprint.add_websocket("/chat/<room>", view_func=quart_auth.login_required(view(whoami)))
    torn_down: list[str] = []

    @blueprint.before_websocket
    async def colour() -> None:
        g.colour = "red"

    @app.teardown_websocket
    async def teardown(error: BaseException | None) -> None:
        torn_down.append(quart.websocket.path)

    @app.get("/login")
    async def login() -> str:
        session["animal"] = "cat"
        quart_auth.login_user(quart_auth.AuthUser("ann"))
        return url_for("chat.whoami", room="lobby")

    app.register_blueprint(blueprint)
    async with mounted(server, app) as served:
        assert (await served.denied("/in/chat/lobby")).response.status_code == 401
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", trust_env=False) as http:
            response = await http.get("/login")
            path = response.text
        assert path.endswith("/in/chat/lobby")
        cookies = "; ".join(f"{name}={value}" for name, value in response.cookies.items())
        async with served.connect("/in/chat/lobby", {"Cookie": cookies}) as client:
            assert (await said(client, "animal"))["text"] == "ann cat red lobby"
    assert torn_down == ["/in/chat/lobby"] * 2


async def test_the_framework_is_the_application_and_its_lifespan_runs(server: Server) -> None:
    app = application()

    @app.while_serving
    async def lifespan() -> AsyncGenerator[None]:
        app.config["COLOUR"] = "red"
        yield
        app.config["COLOUR"] = "none"

    @endpoint
    async def tell(handshake: Opening) -> Outcome:
        ws = await handshake.accept(headers={"X-Colour": "blue"})
        await ws.send_model(Said(text=ws.app.config["COLOUR"]))
        assert ws.app.config is current_app.config
        return await ws.close()

    app.add_websocket("/<room>", view_func=view(tell, name="another"))
    assert "another" in app.view_functions
    async with mounted(server, app) as served, served.connect("/lobby") as client:
        assert client.response is not None
        assert client.response.headers["X-Colour"] == "blue"
        assert "red" in str(await client.recv())
    assert app.config["COLOUR"] == "none"


@pytest.mark.parametrize(("is_ours", "code"), [(True, 4001), (False, 1005)])
async def test_a_busy_handler_is_told_that_its_client_left_after_all_that_it_said(
    server: Server, is_ours: bool, code: int
) -> None:
    leaving = Leaving()
    app = application(is_ours=is_ours)
    app.add_websocket("/<room>", view_func=view(leaving.endpoint))
    async with mounted(server, app) as served:
        async with served.connect("/lobby?how=busy") as client:
            for text in ("one", "two", "three"):
                await client.send(json.dumps({"text": text}))
            await client.close(4001, "bye")
        leaving.busy.set()
        gone = await leaving.gone
    assert leaving.heard == ["one", "two", "three"]
    assert isinstance(gone, WebSocketDisconnect)
    assert gone.code == code


async def test_a_crash_after_the_client_left_is_told_by_the_signal(server: Server) -> None:
    seen: list[Exception] = []

    async def note(sender: Quart, exception: Exception, **_: Any) -> None:
        seen.append(exception)

    leaving = Leaving()
    leaving.busy.set()
    app = application()
    app.add_websocket("/<room>", view_func=view(leaving.endpoint))
    with got_websocket_exception.connected_to(note, app):
        async with mounted(server, app) as served, served.connect("/lobby?how=crash"):
            pass
    assert [type(error) for error in seen] == [CrashError]


async def test_a_close_to_a_client_that_has_left_is_no_error(server: Server) -> None:
    seen: list[Exception] = []
    has_left, closed = asyncio.Event(), asyncio.Event()

    async def note(sender: Quart, exception: Exception, **_: Any) -> None:
        seen.append(exception)

    @endpoint
    async def pay_no_attention(handshake: Opening) -> Outcome:
        ws = await handshake.accept()
        await has_left.wait()
        outcome = await ws.close()
        closed.set()
        return outcome

    app = application()
    app.add_websocket("/<room>", view_func=view(pay_no_attention))
    with got_websocket_exception.connected_to(note, app):
        async with mounted(server, app) as served:
            async with served.connect("/lobby"):
                pass
            await wait_all_tasks_blocked()
            has_left.set()
            await closed.wait()
    assert seen == []


@endpoint
async def count(handshake: Opening) -> Outcome:
    ws = await handshake.accept()
    for _ in range(3):
        await ws.send_bytes(await ws.receive_bytes() + b"!")
    return await ws.close()


async def check_empty_messages(client: ClientConnection) -> None:
    for data in (b"", b"a", b""):
        await client.send(data)
        assert await client.recv() == data + b"!"
    await client.wait_closed()
    assert client.close_code == 1000


async def test_an_empty_message_in_binary_is_a_message(server: Server) -> None:
    app = application()
    app.add_websocket("/<room>", view_func=view(count))
    async with mounted(server, app) as served, served.connect("/lobby") as client:
        await check_empty_messages(client)


@pytest.mark.parametrize(
    ("events", "sends"),
    [([], ["websocket.accept", "websocket.close"]), ([disconnect(4001)], ["websocket.accept"])],
    ids=["while the client is there", "after it has left"],
)
async def test_a_server_that_does_not_wait_cancels_the_handler(events: list[Event], sends: list[str]) -> None:
    leaving = Leaving()
    app = application()
    app.add_websocket("/<room>", view_func=view(leaving.endpoint))
    receive, send, sent = wire(CONNECT, *events)
    accepted = asyncio.Event()

    async def receive_in_turn() -> Event:
        event = await receive()
        if event["type"] == "websocket.disconnect":  # the client leaves a connection that it has
            await accepted.wait()
        return event

    async def send_and_tell(event: Any) -> None:
        await send(event)
        accepted.set()

    before = asyncio.all_tasks()
    serve: Any = app
    task = asyncio.ensure_future(serve(scope(path="/lobby", query_string=b"how=busy"), receive_in_turn, send_and_tell))
    await wait_all_tasks_blocked()
    assert not task.done()
    async with asyncio.timeout(LIMIT):
        for each in asyncio.all_tasks() - before:  # as `asyncio.run` does in the end
            each.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while remaining := asyncio.all_tasks() - before:
            await asyncio.wait(remaining)
    assert [event["type"] for event in sent] == sends
    assert not leaving.gone.done()


async def test_a_classic_handler_that_closes_before_the_accept_denies(server: Server) -> None:
    async def close(ws: WebSocket[Any, Any, Any]) -> None:
        await ws.close()

    app = application()
    app.add_websocket("/<room>", view_func=view(App([WebSocketRoute("/{room}", close)])))
    async with mounted(server, app) as served:
        assert (await served.denied("/lobby")).response.status_code == 403


async def test_a_send_to_a_client_that_has_left_tells_so(server: Server) -> None:
    found: asyncio.Future[WebSocketDisconnect] = asyncio.get_running_loop().create_future()

    @endpoint
    async def send_on(handshake: Opening) -> Outcome:
        ws = await handshake.accept()
        try:
            while True:
                await ws.send_model(Said(text="more"))
        except WebSocketDisconnect as error:
            found.set_result(error)
        return await ws.close()

    app = application()
    app.add_websocket("/<room>", view_func=view(send_on))
    async with mounted(server, app) as served:
        async with served.connect("/lobby") as client:
            await client.recv()
        await found


@pytest.mark.parametrize("is_ours", [True, False])
async def test_on_the_server_of_quart(is_ours: bool) -> None:
    app = application(is_ours=is_ours)
    app.add_websocket("/chat/<room>", view_func=view(talk))
    app.add_websocket("/count/<room>", view_func=view(count))
    config = hypercorn.config.Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = None
    sockets = config.create_sockets()
    sockets.insecure_sockets[0].listen()
    port = sockets.insecure_sockets[0].getsockname()[1]
    config.create_sockets = lambda: sockets  # type: ignore[method-assign]
    stop = asyncio.Event()

    async def until_stopped() -> None:
        await stop.wait()

    started = asyncio.Event()

    @app.before_serving
    async def start() -> None:
        started.set()

    hypercorn_asyncio: Any = hypercorn.asyncio  # whose types are partial
    serving = asyncio.ensure_future(hypercorn_asyncio.serve(app, config, shutdown_trigger=until_stopped))
    async with asyncio.timeout(LIMIT):
        await started.wait()
        async with connect(f"ws://127.0.0.1:{port}/chat/lobby", proxy=None) as client:
            assert await said(client, "bye") == {"text": "bye", "by": "lobby"}
            await client.wait_closed()
            assert client.close_code == 4002
        async with connect(f"ws://127.0.0.1:{port}/count/lobby", proxy=None) as client:
            await check_empty_messages(client)
        stop.set()
        await serving
