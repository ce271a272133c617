"""Running one handler: admission, timeouts, cancellation, and how the connection ends."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, Never

import anyio
import anyio.lowlevel
import pytest
import starlette.exceptions
import trio
from pydantic import BaseModel

from tests.support import CONNECT, Event, disconnect, scope, text
from typedws._connection import session
from typedws._connection.base import session_of
from typedws._contract.problem_documents import DenialResponse
from typedws._endpoint import runner as runner_module
from typedws._endpoint.admission import Admission
from typedws._endpoint.endpoints import Endpoint, endpoint
from typedws._endpoint.framework_exceptions import is_handled_outside
from typedws._endpoint.policy import Policy
from typedws._endpoint.runner import Runner
from typedws._endpoint.timeouts import TimeoutMonitor
from typedws._protocol.outcomes import Outcome
from typedws._runtime.watchdog import watchdog
from typedws.asgi import ASGIApp
from typedws.exceptions import HTTPException, WebSocketDisconnect, WebSocketException
from typedws.routing import App, WebSocketRoute
from typedws.websockets import Connection, Handshake, WebSocket

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t"


class Message(BaseModel):
    text: str


class Room(BaseModel):
    room: int


HELLO = Message(text="hello")
Chat = Connection[Message, Message]
ChatHandshake = Handshake[Message, Message]
ACCEPT = "websocket.accept"
CLOSE = "websocket.close"
SEND = "websocket.send"
START = "websocket.http.response.start"
BODY = "websocket.http.response.body"


class Wire:
    """A client and its server, which keeps the sent events. It may block on one type of event and raise on others."""

    def __init__(self, blocked: str = "", errors: dict[str, Exception] | None = None) -> None:
        self._put, self._get = anyio.create_memory_object_stream[Event](1000)
        self.sent: list[Event] = []
        self.blocked = blocked
        self.errors = errors or {}
        self.does(CONNECT)

    def does(self, *events: Event) -> None:
        for event in events:
            self._put.send_nowait(event)

    async def receive(self) -> Event:
        return await self._get.receive()

    async def send(self, event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if event["type"] == self.blocked:
            await anyio.sleep_forever()
        if event["type"] in self.errors:
            raise self.errors[event["type"]]
        self.sent.append(event)

    async def run(self, app: ASGIApp, /, **overrides: Any) -> list[Event]:
        with anyio.fail_after(8):
            await app(scope(**overrides), self.receive, self.send)
        return self.sent

    def close(self) -> None:
        self._put.close()
        self._get.close()


@pytest.fixture
def make_wire() -> Any:
    wires: list[Wire] = []

    def make(*arguments: Any) -> Wire:
        wires.append(Wire(*arguments))
        return wires[-1]

    yield make
    for each in wires:
        each.close()


MakeWire = Callable[..., Wire]


@pytest.fixture
def wire(make_wire: MakeWire) -> Wire:
    return make_wire()


Logs = Callable[[], list[tuple[str, str]]]


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> Logs:
    """Return a function that returns the levels and texts of the log records."""
    caplog.set_level(logging.DEBUG, "typedws.endpoint")

    def logs() -> list[tuple[str, str]]:
        records = [record for record in caplog.records if record.name == "typedws.endpoint"]
        return [(record.levelname, record.getMessage().partition(": ")[2]) for record in records]

    return logs


def closure(sent: list[Event]) -> tuple[int, str]:
    """Return the code and reason of the only close, which must be the last event."""
    assert [event["type"] for event in sent].count(CLOSE) == 1
    assert sent[-1]["type"] == CLOSE
    return sent[-1]["code"], sent[-1]["reason"]


def denial(sent: list[Event]) -> int:
    """Return the status of the denial. Nothing else may have been sent."""
    assert [event["type"] for event in sent] == [START, BODY]
    status: int = sent[0]["status"]
    assert json.loads(sent[1]["body"])["status"] == status
    return status


async def returning(ws: Chat) -> None:
    pass


async def forever(ws: Chat) -> None:
    await anyio.sleep_forever()


# --- a handler returns ---


async def test_a_connection_whose_handler_returns_is_closed(wire: Wire, logs: Logs) -> None:
    assert closure(await wire.run(endpoint(returning))) == (1000, "")
    assert logs() == [("DEBUG", "ended with 1000: the handler returned")]


@pytest.mark.parametrize(
    "policy", [Policy(), Policy(handshake_timeout=None, send_timeout=None)], ids=["default", "no timeouts"]
)
async def test_a_connection_that_the_handler_closed_is_not_closed_again(wire: Wire, logs: Logs, policy: Policy) -> None:
    @endpoint(policy=policy)
    async def leave(handshake: ChatHandshake) -> Outcome:
        ws = await handshake.accept()
        return await ws.close(4001, SECRET)

    assert closure(await wire.run(leave)) == (4001, SECRET)
    assert logs() == [("DEBUG", "ended with 4001: the handler returned")]


async def test_a_handshake_handler_may_return_without_closing(wire: Wire) -> None:
    async def accept_and_go(handshake: ChatHandshake) -> Any:
        await handshake.accept()

    assert closure(await wire.run(endpoint(accept_and_go))) == (1000, "")


@pytest.mark.parametrize("overrides", [{}, {"app": object()}], ids=["standalone", "mounted"])
async def test_a_handler_without_a_decision_denies_and_logs_a_warning(wire: Wire, logs: Logs, overrides: Event) -> None:
    async def undecided(ws: WebSocket) -> None:
        pass

    assert denial(await wire.run(WebSocketRoute("/", undecided).endpoint, **overrides)) == 403
    [(level, log_message)] = logs()
    assert (level, log_message.partition(":")[0]) == ("WARNING", "denied with 403")


async def test_a_peer_that_left_before_the_decision_causes_no_warning(wire: Wire, logs: Logs) -> None:
    async def wait(ws: WebSocket) -> None:
        assert (await ws.receive())["type"] == "websocket.connect"
        assert (await ws.receive())["type"] == "websocket.disconnect"

    wire.does(disconnect(1001, SECRET))
    assert await wire.run(WebSocketRoute("/", wait).endpoint) == []
    assert [level for level, _ in logs()] == ["DEBUG"]


@pytest.mark.parametrize("handler", ["connection", "handshake"])
async def test_a_peer_that_left_before_the_accept_is_logged_at_debug_level(
    make_wire: MakeWire, logs: Logs, handler: str
) -> None:
    async def decide(handshake: ChatHandshake) -> Outcome:
        ws = await handshake.accept()
        return await ws.close()

    wire = make_wire("", {ACCEPT: OSError(SECRET)})
    app = endpoint(returning) if handler == "connection" else endpoint(decide)
    assert await wire.run(app) == []
    assert [level for level, _ in logs()] == ["DEBUG"]


async def test_denying_a_peer_that_left_is_not_an_error(make_wire: MakeWire, logs: Logs) -> None:
    async def deny(handshake: ChatHandshake) -> Outcome:
        return await handshake.deny(401)

    assert await make_wire("", {START: OSError()}).run(endpoint(deny)) == []
    assert [level for level, _ in logs()] == ["DEBUG"]


@pytest.mark.parametrize("overrides", [{}, {"app": object()}], ids=["standalone", "mounted"])
async def test_sending_after_the_handlers_own_close_is_a_warning(wire: Wire, logs: Logs, overrides: Event) -> None:
    async def send_after_close(ws: Chat) -> None:
        await ws.close(4001, "bye")
        await ws.send_model(HELLO)

    assert closure(await wire.run(endpoint(send_after_close), **overrides)) == (4001, "bye")
    [(level, log_message)] = logs()
    assert level == "WARNING"
    assert "the handler used the connection after its end" in log_message


async def test_accepting_after_the_denial_is_a_warning(wire: Wire, logs: Logs) -> None:
    async def accept_after_deny(handshake: ChatHandshake) -> Any:
        await handshake.deny(401)
        await handshake.accept()

    assert denial(await wire.run(endpoint(accept_after_deny))) == 401
    assert [level for level, _ in logs()] == ["WARNING"]


async def test_iterating_ends_when_the_peer_leaves(wire: Wire, logs: Logs) -> None:
    received: list[str] = []

    async def receive_all(ws: Chat) -> None:
        async for message in ws:
            received.append(message.text)

    wire.does(text('{"text":"a"}'), disconnect(4001, SECRET))
    assert [event["type"] for event in await wire.run(endpoint(receive_all))] == [ACCEPT]
    assert received == ["a"]
    assert logs() == [("DEBUG", "ended with 4001: the handler returned")]


async def test_an_uncaught_disconnect_is_logged_at_debug_level_without_its_reason(wire: Wire, logs: Logs) -> None:
    async def receive_all(ws: Chat) -> None:
        while True:
            await ws.receive_model()

    wire.does(disconnect(4001, SECRET))
    assert [event["type"] for event in await wire.run(endpoint(receive_all))] == [ACCEPT]
    assert [level for level, _ in logs()] == ["DEBUG"]
    assert SECRET not in str(logs())


async def test_an_invalid_message_closes_with_its_code_and_its_content_is_not_repeated(wire: Wire, logs: Logs) -> None:
    async def receive_all(ws: Chat) -> None:
        await ws.receive_model()

    wire.does(text(f'{{"{SECRET}":"{SECRET}"}}'))
    sent = await wire.run(endpoint(receive_all))
    assert closure(sent)[0] == 1007
    [(level, _)] = logs()
    assert level == "INFO"
    assert SECRET not in str(sent) + str(logs())


async def test_nothing_is_logged_at_a_disabled_level(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "typedws.endpoint")
    assert closure(await wire.run(endpoint(returning))) == (1000, "")
    assert caplog.records == []


# --- an ending that cannot be sent ---


async def deny_halfway(handshake: ChatHandshake) -> Outcome:
    async def fail_after_start(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"10")]})
        raise ValueError(SECRET)

    return await handshake.send_denial_response(fail_after_start)


async def test_an_incomplete_denial_is_completed(wire: Wire, logs: Logs) -> None:
    sent = await wire.run(endpoint(deny_halfway))
    assert [(event["type"], event.get("body")) for event in sent] == [(START, None), (BODY, b"")]
    assert [level for level, _ in logs()] == ["ERROR"]


@pytest.mark.parametrize("refusal", [OSError(), KeyError(), ValueError("less than content-length")])
async def test_a_server_that_refuses_to_complete_a_denial_does_not_hide_the_exception(
    make_wire: MakeWire, refusal: Exception
) -> None:
    wire = make_wire("", {BODY: refusal})
    with pytest.raises(ValueError, match=SECRET):
        await wire.run(endpoint(deny_halfway), app=object())
    assert [event["type"] for event in wire.sent] == [START]


async def test_an_exception_of_the_server_during_a_denial_is_raised(make_wire: MakeWire) -> None:
    async def deny(handshake: ChatHandshake) -> Outcome:
        raise HTTPException(401)

    with pytest.raises(KeyError, match="broken"):
        await make_wire("", {START: KeyError("broken")}).run(endpoint(deny))


async def test_a_peer_that_leaves_during_the_last_close_is_not_an_error(make_wire: MakeWire, logs: Logs) -> None:
    wire = make_wire("", {CLOSE: OSError()})
    assert [event["type"] for event in await wire.run(endpoint(returning))] == [ACCEPT]
    assert [level for level, _ in logs()] == ["DEBUG"]


# --- exceptions that end the process ---


class Exit(BaseException):
    """A BaseException that is not an Exception, as KeyboardInterrupt and SystemExit are."""


@pytest.mark.parametrize("exit_", [Exit, KeyboardInterrupt, SystemExit])
async def test_an_exception_that_ends_the_process_is_raised(wire: Wire, logs: Logs, exit_: type[BaseException]) -> None:
    async def end(ws: Chat) -> None:
        raise exit_

    with pytest.raises(exit_):
        await wire.run(endpoint(end))
    assert [event["type"] for event in wire.sent] == [ACCEPT]
    assert logs() == []


async def test_a_group_with_an_exception_that_ends_the_process_is_raised(wire: Wire, logs: Logs) -> None:
    async def end(ws: Chat) -> None:
        raise BaseExceptionGroup("", [Exit(), ValueError()])

    with pytest.raises(BaseExceptionGroup):
        await wire.run(endpoint(end))
    assert logs() == []


# --- cancellation from outside ---


async def cancelled(app: ASGIApp, wire: Wire, how: Literal["scope", "task"], /, **overrides: Any) -> None:
    """Cancel an application while it waits, and check that it raises the cancellation."""
    raised: list[BaseException] = []

    async def run() -> None:
        try:
            await wire.run(app, **overrides)
        except BaseException as error:
            raised.append(error)
            raise

    if how == "task":
        task = asyncio.create_task(run())
        await anyio.wait_all_tasks_blocked()
        task.cancel()
        await asyncio.wait([task], timeout=8)
        assert task.cancelled()
    else:
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    assert [type(error) for error in raised] == [anyio.get_cancelled_exc_class()]


CANCELLATIONS = pytest.mark.parametrize(
    ("anyio_backend", "how"), [("asyncio", "scope"), ("asyncio", "task"), ("trio", "scope")]
)


def undecided_endpoint() -> Endpoint[Any, Any, Any]:
    async def wait(handshake: ChatHandshake) -> Outcome:
        await anyio.sleep_forever()
        raise AssertionError

    return endpoint(wait)


def receiving_endpoint() -> Endpoint[Any, Any, Any]:
    async def receive_all(ws: Chat) -> None:
        async for _ in ws:
            pass

    return endpoint(receive_all)


def feed_endpoint() -> Endpoint[Any, Any, Any]:
    async def feed(ws: Connection[Never, Message]) -> None:
        await anyio.sleep_forever()

    return endpoint(feed)


def task_group_endpoint() -> Endpoint[Any, Any, Any]:
    async def wait(ws: Chat) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            async with anyio.create_task_group() as inner:
                inner.start_soon(anyio.sleep_forever)

    return endpoint(wait)


def endpoint_without_timeouts() -> Endpoint[Any, Any, Any]:
    return endpoint(forever, policy=Policy(handshake_timeout=None, send_timeout=None))


@CANCELLATIONS
@pytest.mark.parametrize("make", [receiving_endpoint, feed_endpoint, task_group_endpoint, endpoint_without_timeouts])
@pytest.mark.parametrize("overrides", [{}, {"app": object()}], ids=["standalone", "mounted"])
async def test_the_connection_of_a_cancelled_handler_is_closed(
    wire: Wire, logs: Logs, how: Any, make: Callable[[], Endpoint[Any, Any, Any]], overrides: Event
) -> None:
    await cancelled(make(), wire, how, **overrides)
    assert closure(wire.sent) == (1012, "the server restarts")
    assert logs() == [("DEBUG", "closed with 1012: the handler was cancelled")]


@CANCELLATIONS
async def test_a_handler_that_is_cancelled_before_its_decision_denies(wire: Wire, logs: Logs, how: Any) -> None:
    await cancelled(undecided_endpoint(), wire, how)
    assert denial(wire.sent) == 503
    assert logs() == [("DEBUG", "denied with 503: the handler was cancelled")]


@CANCELLATIONS
async def test_a_handler_may_close_while_it_is_cancelled(wire: Wire, how: Any) -> None:
    async def close(ws: Chat) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            await ws.close(1001, "bye")

    await cancelled(endpoint(close), wire, how)
    assert closure(wire.sent) == (1001, "bye")


async def test_a_failure_of_a_cancelled_handler_is_logged_and_closes(wire: Wire, logs: Logs) -> None:
    async def fail_later() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError

    async def fail(ws: Chat) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(fail_later)
            group.start_soon(anyio.sleep_forever)

    with anyio.CancelScope() as outer:
        async with anyio.create_task_group() as group:
            group.start_soon(partial(wire.run, endpoint(fail)))
            await anyio.wait_all_tasks_blocked()
            outer.cancel()
    assert closure(wire.sent)[0] == 1011
    assert logs() == [("ERROR", "closed with 1011: the handler raised ValueError")]


@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.parametrize(("error", "code"), [(None, 1012), (WebSocketDisconnect(), 1012), (ValueError(), 1011)])
async def test_a_group_of_a_cancellation_and_exceptions_is_split(
    wire: Wire, logs: Logs, error: Exception | None, code: int
) -> None:
    async def wait(ws: Chat) -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled as cancellation:
            others = [] if error is None else [error]
            raise BaseExceptionGroup("", [BaseExceptionGroup("", [cancellation]), *others]) from None

    with anyio.CancelScope() as outer:
        async with anyio.create_task_group() as group:
            group.start_soon(partial(wire.run, endpoint(wait)))
            await anyio.wait_all_tasks_blocked()
            outer.cancel()
    assert closure(wire.sent)[0] == code
    assert len(logs()) == 1


# --- timeouts ---


def check_all(now: float) -> None:
    """Check the timeouts of all connections of this event loop, as if it were this time."""
    current: Any = watchdog()
    for watched in tuple(current._watched):
        watched.check(now)


async def run_and_check(
    app: ASGIApp, wire: Wire, *times: float, then: Callable[[float], None] | None = None
) -> list[Event]:
    """Run an application, and check its timeouts at each of these times, whenever all tasks wait."""
    with anyio.fail_after(8):
        async with anyio.create_task_group() as group:
            group.start_soon(partial(wire.run, app))
            for now in times:
                await anyio.wait_all_tasks_blocked()
                check_all(now)
                if then is not None:
                    then(now)
            await anyio.wait_all_tasks_blocked()
            # Closes a connection with 1012 if no timeout has ended it.
            group.cancel_scope.cancel()
    return wire.sent


TIMEOUTS = Policy(handshake_timeout=100, idle_timeout=100, send_timeout=100)


async def test_a_handshake_that_is_not_decided_in_time_is_denied(wire: Wire, logs: Logs) -> None:
    async def wait(handshake: ChatHandshake) -> Outcome:
        await anyio.sleep_forever()
        raise AssertionError

    app = endpoint(wait, policy=TIMEOUTS)
    assert denial(await run_and_check(app, wire, 0, 99, 101)) == 503
    [(level, log_message)] = logs()
    assert (level, log_message.partition(":")[0]) == ("WARNING", "denied with 503")
    assert "handshake_timeout" in log_message


async def test_a_decision_in_time_ends_the_handshake_timeout(wire: Wire) -> None:
    assert [event["type"] for event in await run_and_check(endpoint(forever, policy=TIMEOUTS), wire, 0, 99, 300)][
        :1
    ] == [ACCEPT]
    assert wire.sent[-1]["code"] == 1012  # cancelled at the end of the test, not by a timeout


async def test_the_connection_of_a_silent_peer_is_closed(wire: Wire, logs: Logs) -> None:
    async def receive_all(ws: Chat) -> None:
        async for _ in ws:
            pass

    sent = await run_and_check(endpoint(receive_all, policy=TIMEOUTS), wire, 0, 99, 101)
    assert closure(sent) == (3008, "no message in time")
    assert [level for level, _ in logs()] == ["INFO"]


@pytest.mark.parametrize("how", ["iterates", "receives", "watches"])
async def test_a_message_in_time_restarts_the_idle_timeout(wire: Wire, how: str) -> None:
    async def receive_all(ws: Chat) -> None:
        if how == "iterates":
            async for _ in ws:
                pass
        elif how == "receives":
            while True:
                await ws.receive_text()
        async with ws.cancelled_on_disconnect():
            while True:
                await ws.receive_model()

    def send_message(now: float) -> None:
        wire.does(text('{"text":"a"}'))

    sent = await run_and_check(endpoint(receive_all, policy=TIMEOUTS), wire, 0, 90, 180, 270, then=send_message)
    assert closure(sent)[0] == 1012


async def test_the_idle_timeout_does_not_run_while_the_handler_does_not_receive(wire: Wire) -> None:
    resume = anyio.Event()

    async def compute(ws: Chat) -> None:
        await ws.receive_model()
        await resume.wait()
        await ws.receive_model()

    def step(now: float) -> None:
        if now == 500:
            resume.set()

    wire.does(text('{"text":"a"}'))
    sent = await run_and_check(endpoint(compute, policy=TIMEOUTS), wire, 0, 500, 501, 600, then=step)
    assert closure(sent)[0] == 1012


async def test_a_feed_has_no_idle_timeout(wire: Wire) -> None:
    async def feed(ws: Connection[Never, Message]) -> None:
        await anyio.sleep_forever()

    assert closure(await run_and_check(endpoint(feed, policy=TIMEOUTS), wire, 0, 500))[0] == 1012


async def test_a_peer_that_does_not_read_is_closed_and_the_handler_is_cancelled(
    make_wire: MakeWire, logs: Logs
) -> None:
    async def send_one(ws: Chat) -> None:
        await ws.send_model(HELLO)

    sent = await run_and_check(endpoint(send_one, policy=TIMEOUTS), make_wire(SEND), 0, 99, 101)
    assert closure(sent) == (1008, "messages are not read")
    assert [level for level, _ in logs()] == ["INFO"]


async def test_sends_that_complete_in_time_do_not_expire(make_wire: MakeWire) -> None:
    permits = anyio.create_memory_object_stream[None](10)

    async def send_all(ws: Chat) -> None:
        while True:
            await ws.send_model(HELLO)

    wire = make_wire()
    send = wire.send

    async def send_slowly(event: Event) -> None:
        if event["type"] == SEND:
            await permits[1].receive()
        await send(event)

    setattr(wire, "send", send_slowly)  # noqa: B010 - type checkers refuse an assignment to a method

    def step(now: float) -> None:
        permits[0].send_nowait(None)

    sent = await run_and_check(endpoint(send_all, policy=TIMEOUTS), wire, 0, 90, 180, 270, then=step)
    assert closure(sent)[0] == 1012
    assert len(sent) == 6
    permits[0].close()
    permits[1].close()


async def test_an_accept_that_blocks_expires(make_wire: MakeWire, logs: Logs) -> None:
    sent = await run_and_check(endpoint(forever, policy=TIMEOUTS), make_wire(ACCEPT), 0, 101)
    assert [event["type"] for event in sent] == [CLOSE]
    assert [level for level, _ in logs()] == ["INFO"]


async def test_a_close_that_blocks_after_the_handler_returned_expires(make_wire: MakeWire, logs: Logs) -> None:
    sent = await run_and_check(endpoint(returning, policy=TIMEOUTS), make_wire(CLOSE), 0, 101)
    assert [event["type"] for event in sent] == [ACCEPT]
    assert logs() == [("INFO", "ended with 1000: the peer did not read within Policy(send_timeout=...)")]


async def test_a_close_that_blocks_is_abandoned_after_the_close_timeout(
    make_wire: MakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "CLOSE_TIMEOUT", 0.05)

    async def fail(ws: Chat) -> None:
        raise WebSocketException(4001)

    assert [event["type"] for event in await make_wire(CLOSE).run(endpoint(fail))] == [ACCEPT]


async def test_a_denial_that_blocks_is_abandoned_after_the_close_timeout(
    make_wire: MakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "CLOSE_TIMEOUT", 0.05)

    async def fail(handshake: ChatHandshake) -> Outcome:
        raise HTTPException(401)

    assert await make_wire(START).run(endpoint(fail)) == []


async def test_the_first_of_two_expired_timeouts_decides(make_wire: MakeWire, logs: Logs) -> None:
    async def both(ws: Chat) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(ws.send_model, HELLO)
            group.start_soon(ws.receive_model)

    sent = await run_and_check(endpoint(both, policy=TIMEOUTS), make_wire(SEND), 0, 101, 202)
    assert closure(sent) == (1008, "messages are not read")
    assert len(logs()) == 1


async def test_a_handler_that_swallows_its_cancellation_is_cancelled_again(make_wire: MakeWire) -> None:
    swallowed = 0

    async def swallow(ws: Chat) -> None:
        nonlocal swallowed
        while swallowed < 3:
            try:
                await ws.send_model(HELLO)
            except anyio.get_cancelled_exc_class():
                swallowed += 1

    seen: list[int] = []

    def count(now: float) -> None:
        seen.append(swallowed)

    app = endpoint(swallow, policy=TIMEOUTS)
    sent = await run_and_check(app, make_wire(SEND), 0, 101, 110, 120, 130, then=count)
    assert seen[-1] == 3
    assert closure(sent) == (1008, "messages are not read")


async def test_only_an_unexpected_exception_replaces_the_expired_timeout_as_the_reason(
    make_wire: MakeWire, logs: Logs
) -> None:
    async def clean_up(ws: Chat, error: Exception) -> None:
        try:
            await ws.send_model(HELLO)
        finally:
            raise error

    for error, code in ((WebSocketDisconnect(), 1008), (HTTPException(401), 1008), (ValueError(), 1011)):
        app = endpoint(partial(clean_up, error=error), policy=TIMEOUTS)
        assert closure(await run_and_check(app, make_wire(SEND), 0, 101))[0] == code
    assert [level for level, _ in logs()] == ["INFO", "INFO", "ERROR"]


@pytest.mark.parametrize("blocked", [SEND, "nothing"])
async def test_timeouts_expire_on_the_real_clock(make_wire: MakeWire, blocked: str) -> None:
    async def wait(ws: Chat) -> None:
        if blocked == SEND:
            await ws.send_model(HELLO)
        await ws.receive_model()

    policy = Policy(idle_timeout=0.05, send_timeout=0.05)
    started = anyio.current_time()
    code, _ = closure(await make_wire(blocked).run(endpoint(wait, policy=policy)))
    assert code == (1008 if blocked == SEND else 3008)
    assert anyio.current_time() - started < 2


async def test_a_connection_without_timeouts_is_not_watched(wire: Wire) -> None:
    async def is_not_watched(ws: Chat) -> None:
        current: Any = watchdog()
        assert len(current._watched) == before

    current: Any = watchdog()
    before = len(current._watched)
    no_timeouts = Policy(handshake_timeout=None, send_timeout=None)
    assert closure(await wire.run(endpoint(is_not_watched, policy=no_timeouts))) == (1000, "")


@pytest.mark.parametrize(
    "policy", [Policy(handshake_timeout=None, send_timeout=None), Policy()], ids=["no timeouts", "default"]
)
async def test_an_integration_may_declare_watch_and_finish_a_connection_itself(wire: Wire, policy: Policy) -> None:
    seen: list[Any] = []

    async def talk(ws: Connection[Message, Message, Room]) -> None:
        seen.append(ws.params.room)

    admission = Admission(policy)
    app = endpoint(talk)
    runner = Runner(app.handler, app.kind, app.contract, admission)
    ws = runner.make(scope(query_string=b"room=5"), wire.receive, wire.send)
    runner.declare(ws)
    error: Exception | None = None
    with TimeoutMonitor(session_of(ws), admission) as monitor:
        error = await runner.handle(ws)
    assert (error, monitor.expired, seen) == (None, None, [5])
    assert [event["type"] for event in wire.sent] == [ACCEPT]
    assert await runner.finish(ws, error, is_mounted=True) is None
    assert closure(wire.sent) == (1000, "")


async def test_every_timeout_works_without_the_others(make_wire: MakeWire) -> None:
    no_timeouts = {"handshake_timeout": None, "idle_timeout": None, "send_timeout": None}
    for name in no_timeouts:
        timeouts: dict[str, Any] = {**no_timeouts, name: 100}

        async def talk(ws: Chat) -> None:
            await ws.send_model(HELLO)
            await ws.receive_model()

        sent = await run_and_check(endpoint(talk, policy=Policy(**timeouts)), make_wire(), 0, 101)
        assert closure(sent)[0] == (3008 if name == "idle_timeout" else 1012)


# --- admission ---


async def test_connections_beyond_the_limit_are_denied_until_one_ends(make_wire: MakeWire, logs: Logs) -> None:
    app = endpoint(forever, policy=Policy(max_connections=2))
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(partial(make_wire().run, app))
            await anyio.wait_all_tasks_blocked()
        sent = await make_wire().run(app)
        assert denial(sent) == 503
        assert dict(sent[0]["headers"])[b"retry-after"] == b"5"
        [(level, log_message)] = logs()
        assert level == "INFO"
        assert "max_connections" in log_message
        group.cancel_scope.cancel()
    async with anyio.create_task_group() as group:
        admitted = make_wire()
        group.start_soon(partial(admitted.run, app))
        await anyio.wait_all_tasks_blocked()
        assert [event["type"] for event in admitted.sent] == [ACCEPT]
        group.cancel_scope.cancel()


async def fail(handshake: ChatHandshake) -> Outcome:
    raise ValueError


async def deny(handshake: ChatHandshake) -> Outcome:
    return await handshake.deny(401)


async def undecided(handshake: ChatHandshake) -> Any:
    return None


async def exit_process(handshake: ChatHandshake) -> Outcome:
    raise Exit


async def with_params(handshake: Handshake[Message, Message, Room]) -> Outcome:
    raise AssertionError


@pytest.mark.parametrize("handler", [fail, deny, undecided, exit_process, with_params])
@pytest.mark.parametrize("overrides", [{}, {"app": object()}], ids=["standalone", "mounted"])
async def test_every_ending_frees_a_place_for_the_next_connection(
    make_wire: MakeWire, handler: Any, overrides: Event
) -> None:
    app: Any = endpoint(handler, policy=Policy(max_connections=1))
    for _ in range(3):
        wire = make_wire()
        with contextlib.suppress(ValueError, Exit):
            await wire.run(app, **overrides)
        assert not any(event.get("status") == 503 for event in wire.sent)
    assert app._runner._admission.connections == 0


async def test_the_origin_is_checked_before_the_parameters_and_the_handler(wire: Wire, logs: Logs) -> None:
    headers = [(b"host", b"chat.example"), (b"origin", b"https://evil.example"), (b"cookie", SECRET.encode())]
    sent = await wire.run(endpoint(with_params), headers=headers, query_string=b"room=" + SECRET.encode())
    assert denial(sent) == 403
    [(level, log_message)] = logs()
    assert level == "INFO"
    assert "https://evil.example" in log_message
    assert "chat.example" in log_message
    assert 'Policy(origins=["https://evil.example"])' in log_message
    assert SECRET not in log_message


async def test_an_allowed_origin_is_admitted(wire: Wire) -> None:
    headers = [(b"host", b"chat.example"), (b"origin", b"https://app.example")]
    app = endpoint(returning, policy=Policy(origins=["https://app.example"]))
    assert closure(await wire.run(app, headers=headers)) == (1000, "")


async def test_parameters_are_validated_before_the_handler(wire: Wire, logs: Logs) -> None:
    sent = await wire.run(endpoint(with_params), query_string=b"room=" + SECRET.encode())
    assert denial(sent) == 422
    assert json.loads(sent[1]["body"])["errors"] == [{"name": "room", "problem": "int_parsing"}]
    assert [level for level, _ in logs()] == ["INFO"]
    assert SECRET not in str(sent) + str(logs())


# --- in a framework ---


def application_handler(request: object, error: object) -> None:
    """An exception handler of the application."""


def starlette_handler(request: object, error: object) -> None:
    """A default exception handler of the framework."""


starlette_handler.__module__ = "starlette.middleware.exceptions"
NOT_FOUND = starlette.exceptions.HTTPException(404)

EXCEPTION_HANDLERS: list[tuple[str, Exception, Any, bool]] = [
    ("no handlers in the scope", NOT_FOUND, None, False),
    ("no handlers", NOT_FOUND, ({}, {}), False),
    ("the class", NOT_FOUND, ({starlette.exceptions.HTTPException: application_handler}, {}), True),
    ("a base class", ValueError(), ({Exception: application_handler}, {}), True),
    (
        "the nearest class is the framework's",
        NOT_FOUND,
        ({type(NOT_FOUND): starlette_handler, Exception: application_handler}, {}),
        False,
    ),
    ("the status", NOT_FOUND, ({type(NOT_FOUND): starlette_handler}, {404: application_handler}), True),
    ("another status", NOT_FOUND, ({}, {401: application_handler}), False),
    ("the status of an exception that is not Starlette's", HTTPException(404), ({}, {404: application_handler}), False),
]


@pytest.mark.parametrize(
    ("error", "handlers", "is_handled"), [row[1:] for row in EXCEPTION_HANDLERS], ids=[r[0] for r in EXCEPTION_HANDLERS]
)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_exception_with_a_handler_of_the_application_is_raised_and_not_answered(
    wire: Wire, logs: Logs, error: Exception, handlers: Any, is_handled: bool, when: str
) -> None:
    async def failing(handshake: ChatHandshake) -> Outcome:
        if when == "after":
            await handshake.accept()
        raise error

    overrides: Event = {"app": object()}
    if handlers is not None:
        overrides["starlette.exception_handlers"] = handlers
    assert is_handled_outside(overrides, error) is is_handled
    with pytest.raises(type(error)) if is_handled else contextlib.nullcontext() as caught:
        await wire.run(endpoint(failing), **overrides)
    assert caught is None or caught.value is error
    is_answered = any(event["type"] in (START, CLOSE) for event in wire.sent)
    assert is_answered is not is_handled
    assert (logs() == []) is is_handled


async def test_an_integration_defines_which_exceptions_are_handled_outside() -> None:
    def handles(error: Exception) -> bool:
        return isinstance(error, KeyError)

    overrides: Event = {"typedws.handles": handles}
    assert is_handled_outside(overrides, KeyError())
    assert not is_handled_outside(overrides, ValueError())


async def test_a_standalone_endpoint_ignores_exception_handlers_in_the_scope(wire: Wire) -> None:
    overrides: Event = {"starlette.exception_handlers": ({Exception: application_handler}, {})}

    async def failing(ws: Chat) -> None:
        raise ValueError

    assert closure(await wire.run(endpoint(failing), **overrides))[0] == 1011


async def test_an_endpoint_in_an_app_of_typedws_is_standalone(wire: Wire, logs: Logs) -> None:
    async def failing(ws: Chat) -> None:
        assert ws.app is app
        raise ValueError

    app = App([WebSocketRoute("/", endpoint(failing))])
    assert closure(await wire.run(app))[0] == 1011
    assert [level for level, _ in logs()] == ["ERROR"]


async def test_a_denial_response_of_the_handler_is_kept(wire: Wire) -> None:
    async def redirect(handshake: ChatHandshake) -> Outcome:
        return await handshake.send_denial_response(DenialResponse(307, headers={"location": "/other"}))

    sent = await wire.run(endpoint(redirect))
    assert [event.get("status") for event in sent] == [307, None]
