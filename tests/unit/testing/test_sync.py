"""`TestClient`, for tests that do not await: the application runs in another thread, which it may even block."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import anyio
import pytest

from tests.unit.testing.chat import Fail, Failure, Leave, Said, Say, app, chat
from typedws import App, Connection, Policy, endpoint
from typedws._protocol.outcomes import Closed
from typedws.testing import ConnectionDenied, ExpectationFailed, ServerBehaviour, TestClient, WaitTimeout
from typedws.testing.portal import Portal

LOBBY: Final = "/chat/lobby?name=ann"

Backend = Literal["asyncio", "trio"]


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(backend: str) -> Generator[TestClient]:
    with TestClient(app, backend=backend) as client:
        yield client


def test_messages_in_both_directions_are_typed_by_the_contract(client: TestClient) -> None:
    with client.websocket_connect(LOBBY, chat, subprotocols=["chat.v1.cbor"]) as ws:
        ws.send_model(Say(text="hello"))
        reply = ws.receive_model()
        assert reply == Said(text="hello", by="ann")
        assert (ws.subprotocol, ws.response_headers["x-room"], ws.end) == ("chat.v1.cbor", "lobby", None)


def test_each_kind_of_message_has_its_methods(client: TestClient) -> None:
    @endpoint
    async def echo(ws: Connection[Any, Any]) -> None:
        while True:
            await ws.send_json(await ws.receive_json())
            await ws.send_text(await ws.receive_text())
            await ws.send_bytes(await ws.receive_bytes())

    with TestClient(echo).websocket_connect() as ws:
        ws.send_json([1])
        assert ws.receive_json() == [1]
        ws.send_text("text")
        assert ws.receive_text() == "text"
        ws.send_bytes(b"bytes")
        assert ws.receive_bytes() == b"bytes"
        ws.send_json(3)
        assert ws.receive_model(int) == 3
        assert ws.close(1001, "bye") == Closed(1001, "bye", "application")


def test_iteration_ends_with_the_connection(client: TestClient) -> None:
    with client.websocket_connect(LOBBY, chat) as ws:
        ws.send_model(Say(text="one"))
        ws.send_model(Leave())
        assert list(ws) == [Said(text="one", by="ann")]
        assert ws.end == Closed(4001, "you asked for it", "peer")


def test_two_clients_receive_each_others_messages(client: TestClient) -> None:
    with (
        client.websocket_connect(LOBBY, chat) as ann,
        client.websocket_connect("/chat/lobby?name=bob", chat) as bob,
    ):
        ann.send_model(Say(text="hello"))
        assert bob.expect(Said, by="ann") == ann.expect(Said, text="hello")


def test_expectations_succeed_or_fail(client: TestClient) -> None:
    with client.websocket_connect(LOBBY, chat) as ws:
        ws.expect_nothing()
        ws.send_model(Leave())
        assert ws.expect_close(4001, "you asked for it").closed_by == "peer"
    with pytest.raises(ExpectationFailed), client.websocket_connect(LOBBY, chat) as ws:
        ws.send_model(Leave())
        ws.expect(Said)


def test_faults_reach_the_application(backend: str) -> None:
    with TestClient(app, backend=backend, server=ServerBehaviour(no_close_reason=True)) as client:
        with client.websocket_connect(LOBBY, chat) as ws:
            ws.stop_reading()
            ws.send_model(Say(text="hi"))
            ws.expect_nothing()
            ws.read_again()
            ws.expect(Said)
            ws.send_malformed("protocol_error")
            ws.expect_close(1002)
        with client.websocket_connect(LOBBY, chat) as ws:
            ws.shut_down_server()
            ws.expect_close(1012)
        with client.websocket_connect(LOBBY, chat) as ws:
            ws.lose(at_message=1)
            ws.send_model(Say(text="hi"))
            ws.expect_close(1006)
        with client.websocket_connect(LOBBY, chat) as ws:
            ws.lose()
            ws.expect_close(1006)


def test_a_denial_is_raised_or_can_be_expected(client: TestClient) -> None:
    with pytest.raises(ConnectionDenied), client.websocket_connect("/chat/lobby?name=mallory"):
        pass
    assert client.websocket_connect("/chat/lobby?name=mallory").expect_denied(401).status == 401


def test_leaving_raises_the_handlers_exception(client: TestClient) -> None:
    with pytest.raises(Failure), client.websocket_connect(LOBBY, chat) as ws:
        ws.send_model(Fail())
        ws.expect_close(1011)


def test_the_clock_of_the_application_can_be_advanced(backend: str) -> None:
    @endpoint(policy=Policy(idle_timeout=60))
    async def handler(ws: Connection[str, str]) -> None:
        async for _ in ws:
            pass

    with TestClient(handler, backend=backend) as client, client.websocket_connect() as ws:
        ws.expect_nothing()
        client.advance_clock(62)
        ws.expect_close(3008)


# --- the lifespan ---


@asynccontextmanager
async def run_lifespan(app: App) -> AsyncGenerator[Mapping[str, Any]]:
    starts.append(threading.current_thread().name)
    yield {"start": len(starts)}


starts: list[str] = []


def app_with_lifespan() -> App:
    starts.clear()
    app = App(lifespan=run_lifespan)

    @app.websocket("/")
    async def handler(ws: Connection[str, int]) -> None:
        await ws.send_model(ws.state.start)

    return app


def test_the_lifespan_runs_as_long_as_the_client() -> None:
    with TestClient(app_with_lifespan()) as client:
        for _ in range(2):
            with client.websocket_connect() as ws:
                assert ws.receive_json() == 1
    assert starts == ["typedws.testing"]


def test_without_a_block_the_lifespan_runs_for_each_connection() -> None:
    client = TestClient(app_with_lifespan())
    for number in (1, 2):
        with client.websocket_connect() as ws:
            assert ws.receive_json() == number


def test_a_lifespan_that_fails_is_raised() -> None:
    @asynccontextmanager
    async def fails(app: App) -> AsyncGenerator[None]:
        if not app.debug:
            raise Failure
        yield

    with pytest.raises(Failure), TestClient(App(lifespan=fails)):
        pass
    assert "typedws.testing" not in {thread.name for thread in threading.enumerate()}


# --- a blocked event loop ---


def test_a_handler_that_blocks_the_event_loop_fails_the_test_in_time() -> None:
    released = threading.Event()

    @endpoint
    async def handler(ws: Connection[str, str]) -> None:
        released.wait()  # blocks: without await, no other task runs

    started = time.monotonic()
    with pytest.raises(WaitTimeout) as caught, TestClient(handler, timeout=0.05).websocket_connect() as ws:
        ws.receive_text()
    assert time.monotonic() - started < 30
    caught.match(
        r"expected the event loop to go on within \S+ s, found it blocked at \S+test_sync.py:\d+ in .*handler: "
    )
    caught.match(r"released.wait\(\)")
    released.set()


def test_every_further_call_to_a_blocked_event_loop_fails_at_once() -> None:
    released = threading.Event()

    @endpoint
    async def handler(ws: Connection[str, str]) -> None:
        released.wait()

    with pytest.raises(WaitTimeout, match="it blocked"), TestClient(handler, timeout=0.05) as client:
        client.advance_clock(1)
        with client.websocket_connect() as ws:
            for _ in range(2):
                with pytest.raises(WaitTimeout, match="it blocked"):
                    ws.receive_text()
    released.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_event_loop_that_other_code_stops_fails_in_its_thread() -> None:
    portal = Portal("asyncio", {}, 0.1)
    portal.start()
    portal.call(lambda: asyncio.get_running_loop().stop())
    for thread in threading.enumerate():
        if thread.name == "typedws.testing":
            thread.join()
    with pytest.raises(RuntimeError, match="closed"):
        portal.call(anyio.sleep, 0)


def test_a_wait_on_a_running_event_loop_has_its_own_time_limit() -> None:
    @endpoint
    async def handler(ws: Connection[str, str]) -> None:
        await anyio.sleep_forever()

    with (
        pytest.raises(WaitTimeout, match="the application to end after its client has left"),
        TestClient(handler, timeout=0.05).websocket_connect() as ws,
        pytest.raises(WaitTimeout, match="a message from the application"),
    ):
        ws.receive_text()


def test_an_unknown_backend_raises() -> None:
    with pytest.raises(LookupError), TestClient(app, backend="curio"):
        pass
