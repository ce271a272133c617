"""`connect`: a connection in process, typed by the contract, with the application on the test's own event loop."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from tests.unit.testing.chat import Closes, Fail, Failure, Leave, Said, Say, app, chat, talk
from typedws import (
    App,
    Connection,
    ErrorReply,
    Group,
    Handshake,
    InvalidHandshake,
    Outcome,
    UnsendableMessage,
    WebSocket,
    WebSocketDisconnect,
    endpoint,
)
from typedws._protocol.outcomes import Closed
from typedws.testing import ConnectionDenied, LifespanFailed, WaitTimeout, connect, lifespan, settle

pytestmark = pytest.mark.anyio

LOBBY = "/chat/lobby?name=ann"


async def test_messages_in_both_directions_are_typed_by_the_contract() -> None:
    async with connect(app, LOBBY, chat) as ws:
        await ws.send_model(Say(text="hello"))
        reply = await ws.receive_model()
        assert reply == Said(text="hello", by="ann")


@pytest.mark.parametrize("mode", ["json", "binary", "msgpack", "cbor"])
async def test_a_subprotocol_selects_the_mode_for_both_sides(mode: str) -> None:
    async with connect(app, LOBBY, chat, subprotocols=[f"chat.v1.{mode}"]) as ws:
        assert ws.subprotocol == f"chat.v1.{mode}"
        await ws.send_model(Say(text="hello"))
        assert await ws.receive_model() == Said(text="hello", by="ann")


async def test_the_contract_of_an_endpoint_is_known() -> None:
    async with connect(talk, path_params={"room": "lobby"}) as ws:
        await ws.send_model(Say(text="hello"))
        assert await ws.receive_model() == Said(text="hello", by="guest")


async def test_without_a_contract_text_bytes_json_and_models_can_be_exchanged() -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        ws = WebSocket[Any, Any](scope, receive, send)
        await ws.accept()
        while True:
            event = await ws.receive()
            if event["type"] == "websocket.disconnect":
                return
            await ws.send({**event, "type": "websocket.send"})

    async with connect(echo) as ws:
        await ws.send_text("text")
        assert await ws.receive_text() == "text"
        await ws.send_bytes(b"bytes")
        assert await ws.receive_bytes() == b"bytes"
        await ws.send_json({"a": 1})
        assert await ws.receive_json() == {"a": 1}
        await ws.send_model(Say(text="hi"))
        assert await ws.receive_model(Say) == Say(text="hi")


async def test_a_message_that_is_not_a_client_message_cannot_be_sent() -> None:
    async with connect(app, LOBBY, chat) as ws:
        wrong: Any = Said(text="hello", by="ann")
        with pytest.raises(UnsendableMessage):
            await ws.send_model(wrong)
        await ws.send_text("{bad")
        assert isinstance(await ws.receive_model(), ErrorReply)


async def test_the_response_headers_and_the_subprotocol_are_available() -> None:
    async with connect(app, LOBBY, chat) as ws:
        assert (ws.subprotocol, ws.response_headers["X-Room"]) == (None, "lobby")
        assert ws.url.path == "/chat/lobby"
        assert ws.end is None


async def test_the_end_has_the_code_the_reason_and_the_closing_party() -> None:
    async with connect(app, LOBBY, chat) as ws:
        await ws.send_model(Leave())
        with pytest.raises(WebSocketDisconnect):
            await ws.receive_model()
    assert ws.end == Closed(4001, "you asked for it", "peer")
    async with connect(app, LOBBY, chat) as ws:
        assert await ws.close(1001, "bye") == Closed(1001, "bye", "application")
    assert ws.end == Closed(1001, "bye", "application")


async def test_the_end_is_known_before_it_is_received_and_after_leaving() -> None:
    connecting = connect(app, LOBBY, chat)
    async with connecting as ws:
        await ws.send_model(Leave())
        await settle()
        assert ws.end == Closed(4001, "you asked for it", "peer")
    async with connecting as ws:  # the same object can connect again
        pass
    assert ws.end == Closed(1000, "", "application")
    with pytest.raises(WebSocketDisconnect, match="this application closed the connection: 1000"):
        await ws.send_model(Say(text="too late"))


async def test_iteration_ends_with_the_connection() -> None:
    async with connect(app, LOBBY, chat) as ws:
        await ws.send_model(Say(text="one"))
        await ws.send_model(Leave())
        assert [message async for message in ws] == [Said(text="one", by="ann")]


async def test_a_send_after_the_servers_close_raises_with_its_code() -> None:
    async with connect(app, LOBBY, chat) as ws:
        await ws.send_model(Leave())
        await settle()
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.send_model(Say(text="hello?"))
        assert (caught.value.code, caught.value.closed_by) == (Closes.LEFT, "peer")


async def test_two_clients_receive_each_others_messages() -> None:
    async with connect(app, LOBBY, chat) as ann, connect(app, "/chat/lobby?name=bob", chat) as bob:
        await ann.send_model(Say(text="hello"))
        assert await bob.receive_model() == await ann.receive_model() == Said(text="hello", by="ann")


async def test_a_denial_is_an_exception_with_its_problem_document() -> None:
    with pytest.raises(ConnectionDenied) as caught:
        async with connect(app, "/chat/lobby?name=mallory", chat):
            pass
    denied = caught.value
    assert (denied.status, denied.headers["www-authenticate"]) == (401, "Bearer")
    assert str(denied) == "the server denied the handshake with 401 (Unauthorized): not you"
    assert denied.problem is not None
    assert denied.problem.detail == "not you"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([], b""),
        ([(b"content-type", b"text/plain")], b"no"),
        ([(b"content-type", b"application/problem+json")], b"{bad"),
        ([(b"content-type", b"application/problem+json")], b"{}"),
    ],
)
async def test_a_denial_without_a_problem_document_shows_its_status(
    headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    async def deny(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 599, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": body[:1], "more_body": True})
        await send({"type": "websocket.http.response.body", "body": body[1:]})

    denied = await connect(deny).expect_denied(599)
    assert (denied.problem, denied.body) == (None, body)
    assert str(denied) == "the server denied the handshake with 599"


async def test_leaving_closes_and_waits_for_the_handler() -> None:
    ends: list[Closed] = []

    @endpoint
    async def handler(ws: Connection[str, str]) -> None:
        async for _ in ws:
            pass
        with anyio.CancelScope(shield=True):
            await settle()
        ends.append(await ws.close())

    async with connect(handler):
        pass
    assert ends == [Closed(1000, "", "peer")]


# --- what the handler raises ---


async def fails_in_a_group(ws: Connection[str, str]) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fail)
        await anyio.sleep_forever()


async def fail() -> None:
    raise Failure("as it was asked to")


async def raw_app(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await receive()
    await fail()


@pytest.mark.parametrize(
    ("under_test", "path"),
    [
        pytest.param(app, LOBBY, id="an application"),
        pytest.param(endpoint(fails_in_a_group), "/", id="a task group"),
        pytest.param(raw_app, "/", id="a raw application"),
    ],
)
async def test_leaving_raises_the_handlers_exception_as_itself(under_test: Any, path: str) -> None:
    with pytest.raises(Failure):
        async with connect(under_test, path) as ws:
            await ws.send_json(Fail().model_dump())
            await settle()


async def test_the_handlers_exception_replaces_a_failure_that_it_caused() -> None:
    with pytest.raises(Failure):
        async with connect(app, LOBBY, chat) as ws:
            await ws.send_model(Fail())
            await ws.expect(Said)


async def test_the_handlers_exception_is_a_note_on_the_tests_own_exception() -> None:
    with pytest.raises(LookupError, match="mine") as caught:
        async with connect(app, LOBBY, chat) as ws:
            await ws.send_model(Fail())
            await settle()
            raise LookupError("mine")
    assert caught.value.__notes__ == ["the application also failed with Failure: as it was asked to"]


async def test_an_exception_before_the_decision_is_raised_from_connect() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await fail()

    with pytest.raises(Failure):
        async with connect(app):
            pytest.fail("it is not connected")


async def test_an_endpoints_exception_before_the_decision_is_raised_from_connect() -> None:
    @endpoint
    async def handler(handshake: Handshake[str, str]) -> Outcome:
        raise Failure

    with pytest.raises(Failure):
        async with connect(handler):
            pytest.fail("it is not connected")


async def test_a_disconnect_error_that_leaves_the_application_is_not_a_failure() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        ws = WebSocket[Any, Any](scope, receive, send)
        await ws.accept()
        while True:
            await ws.receive_text()

    async with connect(app):
        pass


# --- the request ---


Request = Callable[[Any], Awaitable[object]]


@pytest.mark.parametrize(
    ("path", "options", "expected"),
    [
        pytest.param("/a%20b/ü?q=ö", {}, {"path": "/a b/ü", "query_string": b"q=%C3%B6"}, id="quoted"),
        pytest.param(
            "wss://chat.example/x",
            {},
            {"scheme": "wss", "path": "/x", "server": ("chat.example", 443)},
            id="a whole URL",
        ),
        pytest.param("/", {}, {"scheme": "ws", "server": ("testserver", 80)}, id="a path"),
        pytest.param("/", {"subprotocols": ["a", "b"]}, {"subprotocols": ["a", "b"]}, id="subprotocols"),
    ],
)
async def test_the_application_gets_the_scope_that_a_server_would_pass(
    path: str, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        scopes.append(scope)
        await WebSocket(scope, receive, send).deny(403)

    await connect(app, path, headers={"X-Own": "1", "Host": "mine"}, **options).expect_denied(403)
    (scope,) = scopes
    assert {name: scope[name] for name in expected} == expected
    headers = dict(scope["headers"])
    assert headers[b"x-own"] == b"1"
    assert headers[b"host"] == b"mine"
    assert headers[b"upgrade"] == b"websocket"
    assert headers.get(b"sec-websocket-protocol", b"").decode() == ", ".join(options.get("subprotocols", []))


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("chat", {}),
        ("http://chat.example/", {}),
        ("/#part", {}),
        ("/", {"subprotocols": ["two words"]}),
        ("/", {"subprotocols": ["a", "a"]}),
        ("/", {"subprotocols": "chat"}),
        ("/", {"headers": {"a b": "c"}}),
        ("/", {"headers": {"Sec-WebSocket-Protocol": "a"}}),
    ],
)
async def test_a_request_that_no_client_would_send_is_refused(path: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidHandshake):
        connect(app, path, **options)


# --- the lifespan ---


class CountedLifespan:
    """An application that counts the runs of its lifespan."""

    def __init__(self) -> None:
        self.started = self.stopped = 0
        self.app = App(lifespan=self.run_lifespan)

        @self.app.websocket("/")
        async def handler(ws: Connection[str, int]) -> None:
            async for _ in ws:
                await ws.send_model(ws.state.number)

    @asynccontextmanager
    async def run_lifespan(self, _: App) -> AsyncGenerator[Mapping[str, Any]]:
        self.started += 1
        yield {"number": 7}
        self.stopped += 1


async def test_the_lifespan_runs_and_its_state_reaches_the_handler() -> None:
    counted = CountedLifespan()
    async with connect(counted.app) as ws:
        await ws.send_text('"?"')
        assert await ws.receive_json() == 7
        assert counted.stopped == 0
    assert (counted.started, counted.stopped) == (1, 1)


async def test_connections_that_overlap_share_a_lifespan() -> None:
    counted = CountedLifespan()
    async with connect(counted.app), connect(counted.app):
        assert counted.started == 1
    assert counted.stopped == 1


async def test_a_lifespan_can_be_kept_running_between_connections() -> None:
    counted = CountedLifespan()
    async with lifespan(counted.app) as state:
        assert state == {"number": 7}
        for _ in range(2):
            async with connect(counted.app):
                pass
        assert (counted.started, counted.stopped) == (1, 0)


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
async def test_a_lifespan_that_raises_fails_with_its_own_exception(phase: str) -> None:
    @asynccontextmanager
    async def run_lifespan(_: App) -> AsyncGenerator[None]:
        if phase == "startup":
            raise Failure
        yield
        raise Failure

    with pytest.raises(Failure):
        async with lifespan(App(lifespan=run_lifespan)):
            assert phase == "shutdown"


async def test_a_lifespan_that_reports_a_failure_raises_lifespan_failed() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(LifespanFailed, match=r"found lifespan\.startup\.failed: no database"):
        async with lifespan(app):
            pass


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
async def test_a_lifespan_that_hangs_ends_in_time(phase: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if phase == "shutdown":
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await anyio.sleep_forever()

    with pytest.raises(
        WaitTimeout, match=rf"lifespan\.{phase}\.complete within 0.05 s, found nothing: .*sleep_forever"
    ):
        async with lifespan(app, timeout=0.05):
            assert phase == "shutdown"


async def test_a_lifespan_that_does_not_return_after_its_shutdown_is_cancelled() -> None:
    ends: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        try:
            await anyio.sleep_forever()
        finally:
            ends.append("cancelled")

    async with lifespan(app, timeout=0.05):
        pass
    assert ends == ["cancelled"]


# --- tasks and event loops ---


async def test_a_connection_may_be_opened_in_one_task_and_left_in_another() -> None:
    connecting = connect(app, LOBBY, chat)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connecting.__aenter__)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connecting.__aexit__, None, None, None)


async def test_a_test_that_is_cancelled_leaves_nothing_behind() -> None:
    ended = anyio.Event()

    @endpoint
    async def handler(ws: Connection[str, str]) -> None:
        try:
            async for _ in ws:
                pass
        finally:
            ended.set()

    with anyio.CancelScope() as scope:
        async with connect(handler):
            scope.cancel()
            await anyio.sleep_forever()
    assert ended.is_set()


async def test_a_group_made_in_the_lifespan_serves_two_clients() -> None:
    @asynccontextmanager
    async def run_lifespan(_: App) -> AsyncGenerator[Mapping[str, Any]]:
        yield {"lobby": Group[str]()}

    app = App(lifespan=run_lifespan)

    @app.websocket("/")
    async def handler(ws: Connection[str, str]) -> None:
        lobby: Group[str] = ws.state.lobby
        async with lobby.joined(ws):
            async for text in ws:
                await lobby.send(text)

    async with connect(app) as ann, connect(app) as bob:
        await ann.send_json("hello")
        assert await bob.receive_json() == "hello"


def test_asyncio_run_does_not_wait_for_a_connection_that_a_test_leaves_open() -> None:
    async def main() -> None:
        await connect(app, LOBBY, chat).__aenter__()

    asyncio.run(main())
