"""Running one handler: who is let in, what it is cancelled for, and what the connection ends with then."""

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
from typedws._endpoint import runner as running
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
Deciding = Handshake[Message, Message]
ACCEPT = "websocket.accept"
CLOSE = "websocket.close"
SEND = "websocket.send"
START = "websocket.http.response.start"
BODY = "websocket.http.response.body"


class Wire:
    """A client and its server: what comes is put in, what is sent is kept, and some kinds of events are never sent."""

    def __init__(self, stuck: str = "", broken: dict[str, Exception] | None = None) -> None:
        self._put, self._get = anyio.create_memory_object_stream[Event](1000)
        self.sent: list[Event] = []
        self.stuck = stuck
        self.broken = broken or {}
        self.does(CONNECT)

    def does(self, *events: Event) -> None:
        for event in events:
            self._put.send_nowait(event)

    async def receive(self) -> Event:
        return await self._get.receive()

    async def send(self, event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if event["type"] == self.stuck:
            await anyio.sleep_forever()
        if event["type"] in self.broken:
            raise self.broken[event["type"]]
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
    made: list[Wire] = []

    def make(*arguments: Any) -> Wire:
        made.append(Wire(*arguments))
        return made[-1]

    yield make
    for each in made:
        each.close()


MakeWire = Callable[..., Wire]


@pytest.fixture
def wire(make_wire: MakeWire) -> Wire:
    return make_wire()


Logs = Callable[[], list[tuple[str, str]]]


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> Logs:
    """Give the levels and texts of what was logged."""
    caplog.set_level(logging.DEBUG, "typedws.endpoint")

    def logs() -> list[tuple[str, str]]:
        records = [record for record in caplog.records if record.name == "typedws.endpoint"]
        return [(record.levelname, record.getMessage().partition(": ")[2]) for record in records]

    return logs


def closure(sent: list[Event]) -> tuple[int, str]:
    """Give the code and reason that a connection was closed with, in the end and once."""
    assert [event["type"] for event in sent].count(CLOSE) == 1
    assert sent[-1]["type"] == CLOSE
    return sent[-1]["code"], sent[-1]["reason"]


def denial(sent: list[Event]) -> int:
    """Give the status of a denial that was all."""
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


@pytest.mark.parametrize("policy", [Policy(), Policy(handshake_timeout=None, send_timeout=None)], ids=["", "unwatched"])
async def test_what_the_handler_closed_is_left_as_it_is(wire: Wire, logs: Logs, policy: Policy) -> None:
    @endpoint(policy=policy)
    async def leave(handshake: Deciding) -> Outcome:
        ws = await handshake.accept()
        return await ws.close(4001, SECRET)

    assert closure(await wire.run(leave)) == (4001, SECRET)
    assert logs() == [("DEBUG", "ended with 4001: the handler returned")]


async def test_a_handshake_handler_may_return_without_closing(wire: Wire) -> None:
    async def accept_and_go(handshake: Deciding) -> Any:
        await handshake.accept()

    assert closure(await wire.run(endpoint(accept_and_go))) == (1000, "")


@pytest.mark.parametrize("around", [{}, {"app": object()}], ids=["alone", "mounted"])
async def test_a_handler_without_a_decision_denies_and_warns(wire: Wire, logs: Logs, around: Event) -> None:
    async def undecided(ws: WebSocket) -> None:
        pass

    assert denial(await wire.run(WebSocketRoute("/", undecided).endpoint, **around)) == 403
    [(level, told)] = logs()
    assert (level, told.partition(":")[0]) == ("WARNING", "denied with 403")


async def test_a_peer_that_left_before_the_decision_is_not_the_handlers_fault(wire: Wire, logs: Logs) -> None:
    async def wait(ws: WebSocket) -> None:
        assert (await ws.receive())["type"] == "websocket.connect"
        assert (await ws.receive())["type"] == "websocket.disconnect"

    wire.does(disconnect(1001, SECRET))
    assert await wire.run(WebSocketRoute("/", wait).endpoint) == []
    assert [level for level, _ in logs()] == ["DEBUG"]


@pytest.mark.parametrize("handler", ["connection", "handshake"])
async def test_a_peer_that_left_before_the_accept_ends_the_handler_quietly(
    make_wire: MakeWire, logs: Logs, handler: str
) -> None:
    async def decide(handshake: Deciding) -> Outcome:
        ws = await handshake.accept()
        return await ws.close()

    wire = make_wire("", {ACCEPT: OSError(SECRET)})
    app = endpoint(returning) if handler == "connection" else endpoint(decide)
    assert await wire.run(app) == []
    assert [level for level, _ in logs()] == ["DEBUG"]


async def test_denying_a_peer_that_left_is_no_error(make_wire: MakeWire, logs: Logs) -> None:
    async def deny(handshake: Deciding) -> Outcome:
        return await handshake.deny(401)

    assert await make_wire("", {START: OSError()}).run(endpoint(deny)) == []
    assert [level for level, _ in logs()] == ["DEBUG"]


@pytest.mark.parametrize("around", [{}, {"app": object()}], ids=["alone", "mounted"])
async def test_going_on_after_ones_own_close_is_a_warning(wire: Wire, logs: Logs, around: Event) -> None:
    async def go_on(ws: Chat) -> None:
        await ws.close(4001, "bye")
        await ws.send_model(HELLO)

    assert closure(await wire.run(endpoint(go_on), **around)) == (4001, "bye")
    [(level, told)] = logs()
    assert level == "WARNING"
    assert "the handler used the connection after its end" in told


async def test_accepting_after_the_denial_is_a_warning(wire: Wire, logs: Logs) -> None:
    async def go_on(handshake: Deciding) -> Any:
        await handshake.deny(401)
        await handshake.accept()

    assert denial(await wire.run(endpoint(go_on))) == 401
    assert [level for level, _ in logs()] == ["WARNING"]


async def test_a_handler_that_iterates_until_the_peer_leaves_ends_quietly(wire: Wire, logs: Logs) -> None:
    heard: list[str] = []

    async def hear(ws: Chat) -> None:
        async for message in ws:
            heard.append(message.text)

    wire.does(text('{"text":"a"}'), disconnect(4001, SECRET))
    assert [event["type"] for event in await wire.run(endpoint(hear))] == [ACCEPT]
    assert heard == ["a"]
    assert logs() == [("DEBUG", "ended with 4001: the handler returned")]


async def test_the_peers_disconnect_passes_through_the_handler(wire: Wire, logs: Logs) -> None:
    async def hear(ws: Chat) -> None:
        while True:
            await ws.receive_model()

    wire.does(disconnect(4001, SECRET))
    assert [event["type"] for event in await wire.run(endpoint(hear))] == [ACCEPT]
    assert [level for level, _ in logs()] == ["DEBUG"]
    assert SECRET not in str(logs())


async def test_an_invalid_message_closes_with_its_code_and_repeats_nothing(wire: Wire, logs: Logs) -> None:
    async def hear(ws: Chat) -> None:
        await ws.receive_model()

    wire.does(text(f'{{"{SECRET}":"{SECRET}"}}'))
    sent = await wire.run(endpoint(hear))
    assert closure(sent)[0] == 1007
    [(level, _)] = logs()
    assert level == "INFO"
    assert SECRET not in str(sent) + str(logs())


async def test_nothing_is_done_for_a_level_that_is_not_logged(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "typedws.endpoint")
    assert closure(await wire.run(endpoint(returning))) == (1000, "")
    assert caplog.records == []


# --- it cannot be ended as it should ---


async def halfway(handshake: Deciding) -> Outcome:
    async def dying(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"10")]})
        raise ValueError(SECRET)

    return await handshake.send_denial_response(dying)


async def test_a_denial_that_is_half_said_is_ended(wire: Wire, logs: Logs) -> None:
    sent = await wire.run(endpoint(halfway))
    assert [(event["type"], event.get("body")) for event in sent] == [(START, None), (BODY, b"")]
    assert [level for level, _ in logs()] == ["ERROR"]


@pytest.mark.parametrize("refusal", [OSError(), KeyError(), ValueError("less than content-length")])
async def test_a_server_that_refuses_the_end_of_half_a_denial_hides_nothing(
    make_wire: MakeWire, refusal: Exception
) -> None:
    wire = make_wire("", {BODY: refusal})
    with pytest.raises(ValueError, match=SECRET):
        await wire.run(endpoint(halfway), app=object())
    assert [event["type"] for event in wire.sent] == [START]


async def test_what_a_server_says_to_a_denial_is_the_servers_matter(make_wire: MakeWire) -> None:
    async def deny(handshake: Deciding) -> Outcome:
        raise HTTPException(401)

    with pytest.raises(KeyError, match="broken"):
        await make_wire("", {START: KeyError("broken")}).run(endpoint(deny))


async def test_a_peer_that_leaves_during_the_last_close_is_no_error(make_wire: MakeWire, logs: Logs) -> None:
    wire = make_wire("", {CLOSE: OSError()})
    assert [event["type"] for event in await wire.run(endpoint(returning))] == [ACCEPT]
    assert [level for level, _ in logs()] == ["DEBUG"]


# --- what is no Exception ---


class Exit(BaseException):
    """As KeyboardInterrupt and SystemExit are."""


@pytest.mark.parametrize("exit_", [Exit, KeyboardInterrupt, SystemExit])
async def test_what_ends_the_process_passes(wire: Wire, logs: Logs, exit_: type[BaseException]) -> None:
    async def end(ws: Chat) -> None:
        raise exit_

    with pytest.raises(exit_):
        await wire.run(endpoint(end))
    assert [event["type"] for event in wire.sent] == [ACCEPT]
    assert logs() == []


async def test_what_ends_the_process_passes_in_a_group_too(wire: Wire, logs: Logs) -> None:
    async def end(ws: Chat) -> None:
        raise BaseExceptionGroup("", [Exit(), ValueError()])

    with pytest.raises(BaseExceptionGroup):
        await wire.run(endpoint(end))
    assert logs() == []


# --- cancellation from outside ---


async def cancelled(app: ASGIApp, wire: Wire, how: Literal["scope", "task"], /, **overrides: Any) -> None:
    """Cancel an application where it waits, and see that it lets the cancellation pass."""
    passed: list[BaseException] = []

    async def watched() -> None:
        try:
            await wire.run(app, **overrides)
        except BaseException as error:
            passed.append(error)
            raise

    if how == "task":
        task = asyncio.create_task(watched())
        await anyio.wait_all_tasks_blocked()
        task.cancel()
        await asyncio.wait([task], timeout=8)
        assert task.cancelled()
    else:
        async with anyio.create_task_group() as group:
            group.start_soon(watched)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    assert [type(error) for error in passed] == [anyio.get_cancelled_exc_class()]


HOWS = pytest.mark.parametrize(("anyio_backend", "how"), [("asyncio", "scope"), ("asyncio", "task"), ("trio", "scope")])


def waiting_handshake() -> Endpoint[Any, Any, Any]:
    async def wait(handshake: Deciding) -> Outcome:
        await anyio.sleep_forever()
        raise AssertionError

    return endpoint(wait)


def hearing() -> Endpoint[Any, Any, Any]:
    async def hear(ws: Chat) -> None:
        async for _ in ws:
            pass

    return endpoint(hear)


def feeding() -> Endpoint[Any, Any, Any]:
    async def feed(ws: Connection[Never, Message]) -> None:
        await anyio.sleep_forever()

    return endpoint(feed)


def in_groups() -> Endpoint[Any, Any, Any]:
    async def wait(ws: Chat) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            async with anyio.create_task_group() as inner:
                inner.start_soon(anyio.sleep_forever)

    return endpoint(wait)


def unwatched() -> Endpoint[Any, Any, Any]:
    return endpoint(forever, policy=Policy(handshake_timeout=None, send_timeout=None))


@HOWS
@pytest.mark.parametrize("make", [hearing, feeding, in_groups, unwatched])
@pytest.mark.parametrize("around", [{}, {"app": object()}], ids=["alone", "mounted"])
async def test_a_cancelled_handler_leaves_a_closed_connection(
    wire: Wire, logs: Logs, how: Any, make: Callable[[], Endpoint[Any, Any, Any]], around: Event
) -> None:
    await cancelled(make(), wire, how, **around)
    assert closure(wire.sent) == (1012, "the server restarts")
    assert logs() == [("DEBUG", "closed with 1012: the handler was cancelled")]


@HOWS
async def test_a_handler_that_is_cancelled_before_its_decision_denies(wire: Wire, logs: Logs, how: Any) -> None:
    await cancelled(waiting_handshake(), wire, how)
    assert denial(wire.sent) == 503
    assert logs() == [("DEBUG", "denied with 503: the handler was cancelled")]


@HOWS
async def test_a_handler_that_closes_when_it_is_cancelled_has_closed(wire: Wire, how: Any) -> None:
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
async def test_a_group_with_a_cancellation_is_taken_apart(
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


# --- monitor ---


def look(now: float) -> None:
    """Look at all connections of this event loop, at a time that we say."""
    dog: Any = watchdog()
    for each in tuple(dog._watched):
        each.check(now)


async def looked_at(
    app: ASGIApp, wire: Wire, *times: float, then: Callable[[float], None] | None = None
) -> list[Event]:
    """Run an application while it is looked at, each time when all that can be done is done."""
    with anyio.fail_after(8):
        async with anyio.create_task_group() as group:
            group.start_soon(partial(wire.run, app))
            for now in times:
                await anyio.wait_all_tasks_blocked()
                look(now)
                if then is not None:
                    then(now)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    return wire.sent


PATIENT = Policy(handshake_timeout=100, idle_timeout=100, send_timeout=100)


async def test_a_handshake_that_is_not_decided_in_time_is_denied(wire: Wire, logs: Logs) -> None:
    async def wait(handshake: Deciding) -> Outcome:
        await anyio.sleep_forever()
        raise AssertionError

    app = endpoint(wait, policy=PATIENT)
    assert denial(await looked_at(app, wire, 0, 99, 101)) == 503
    [(level, told)] = logs()
    assert (level, told.partition(":")[0]) == ("WARNING", "denied with 503")
    assert "handshake_timeout" in told


async def test_a_decision_in_time_is_final(wire: Wire) -> None:
    assert [event["type"] for event in await looked_at(endpoint(forever, policy=PATIENT), wire, 0, 99, 300)][:1] == [
        ACCEPT
    ]
    assert wire.sent[-1]["code"] == 1012  # only the end of the test ended it


async def test_a_silent_peer_is_closed(wire: Wire, logs: Logs) -> None:
    async def hear(ws: Chat) -> None:
        async for _ in ws:
            pass

    sent = await looked_at(endpoint(hear, policy=PATIENT), wire, 0, 99, 101)
    assert closure(sent) == (3008, "no message in time")
    assert [level for level, _ in logs()] == ["INFO"]


@pytest.mark.parametrize("how", ["iterates", "receives", "watches"])
async def test_a_peer_that_says_something_in_time_is_not_silent(wire: Wire, how: str) -> None:
    async def hear(ws: Chat) -> None:
        if how == "iterates":
            async for _ in ws:
                pass
        elif how == "receives":
            while True:
                await ws.receive_text()
        async with ws.cancelled_on_disconnect():
            while True:
                await ws.receive_model()

    def say(now: float) -> None:
        wire.does(text('{"text":"a"}'))

    sent = await looked_at(endpoint(hear, policy=PATIENT), wire, 0, 90, 180, 270, then=say)
    assert closure(sent)[0] == 1012


async def test_a_handler_that_is_busy_does_not_make_its_peer_idle(wire: Wire) -> None:
    go_on = anyio.Event()

    async def compute(ws: Chat) -> None:
        await ws.receive_model()
        await go_on.wait()
        await ws.receive_model()

    def step(now: float) -> None:
        if now == 500:
            go_on.set()

    wire.does(text('{"text":"a"}'))
    sent = await looked_at(endpoint(compute, policy=PATIENT), wire, 0, 500, 501, 600, then=step)
    assert closure(sent)[0] == 1012


async def test_a_feed_that_hears_nothing_is_not_idle(wire: Wire) -> None:
    async def feed(ws: Connection[Never, Message]) -> None:
        await anyio.sleep_forever()

    assert closure(await looked_at(endpoint(feed, policy=PATIENT), wire, 0, 500))[0] == 1012


async def test_a_peer_that_does_not_read_is_closed_and_the_handler_cancelled(make_wire: MakeWire, logs: Logs) -> None:
    async def say(ws: Chat) -> None:
        await ws.send_model(HELLO)

    sent = await looked_at(endpoint(say, policy=PATIENT), make_wire(SEND), 0, 99, 101)
    assert closure(sent) == (1008, "messages are not read")
    assert [level for level, _ in logs()] == ["INFO"]


async def test_sending_that_goes_on_is_not_stuck(make_wire: MakeWire) -> None:
    turn = anyio.create_memory_object_stream[None](10)

    async def say(ws: Chat) -> None:
        while True:
            await ws.send_model(HELLO)

    wire = make_wire()
    send = wire.send

    async def send_slowly(event: Event) -> None:
        if event["type"] == SEND:
            await turn[1].receive()
        await send(event)

    setattr(wire, "send", send_slowly)  # noqa: B010

    def step(now: float) -> None:
        turn[0].send_nowait(None)

    sent = await looked_at(endpoint(say, policy=PATIENT), wire, 0, 90, 180, 270, then=step)
    assert closure(sent)[0] == 1012
    assert len(sent) == 6
    turn[0].close()
    turn[1].close()


async def test_an_accept_that_is_not_taken_ends_it(make_wire: MakeWire, logs: Logs) -> None:
    sent = await looked_at(endpoint(forever, policy=PATIENT), make_wire(ACCEPT), 0, 101)
    assert [event["type"] for event in sent] == [CLOSE]
    assert [level for level, _ in logs()] == ["INFO"]


async def test_a_close_after_the_return_that_is_not_taken_ends(make_wire: MakeWire, logs: Logs) -> None:
    sent = await looked_at(endpoint(returning, policy=PATIENT), make_wire(CLOSE), 0, 101)
    assert [event["type"] for event in sent] == [ACCEPT]
    assert logs() == [("INFO", "ended with 1000: the peer did not read within Policy(send_timeout=...)")]


async def test_a_close_that_the_server_does_not_take_is_given_up(
    make_wire: MakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "CLOSE_TIMEOUT", 0.05)

    async def fail(ws: Chat) -> None:
        raise WebSocketException(4001)

    assert [event["type"] for event in await make_wire(CLOSE).run(endpoint(fail))] == [ACCEPT]


async def test_a_denial_that_the_server_does_not_take_is_given_up(
    make_wire: MakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "CLOSE_TIMEOUT", 0.05)

    async def fail(handshake: Deciding) -> Outcome:
        raise HTTPException(401)

    assert await make_wire(START).run(endpoint(fail)) == []


async def test_the_first_reason_of_two_at_once_counts(make_wire: MakeWire, logs: Logs) -> None:
    async def both(ws: Chat) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(ws.send_model, HELLO)
            group.start_soon(ws.receive_model)

    sent = await looked_at(endpoint(both, policy=PATIENT), make_wire(SEND), 0, 101, 202)
    assert closure(sent) == (1008, "messages are not read")
    assert len(logs()) == 1


async def test_a_handler_that_swallows_its_cancellation_is_cancelled_again(make_wire: MakeWire) -> None:
    swallowed = 0

    async def stubborn(ws: Chat) -> None:
        nonlocal swallowed
        while swallowed < 3:
            try:
                await ws.send_model(HELLO)
            except anyio.get_cancelled_exc_class():
                swallowed += 1

    seen: list[int] = []

    def count(now: float) -> None:
        seen.append(swallowed)

    app = endpoint(stubborn, policy=PATIENT)
    sent = await looked_at(app, make_wire(SEND), 0, 101, 110, 120, 130, then=count)
    assert seen[-1] == 3
    assert closure(sent) == (1008, "messages are not read")


async def test_what_a_cancelled_handler_raises_is_not_why_it_ended_unless_it_is_a_failure(
    make_wire: MakeWire, logs: Logs
) -> None:
    async def clean_up(ws: Chat, error: Exception) -> None:
        try:
            await ws.send_model(HELLO)
        finally:
            raise error

    for error, code in ((WebSocketDisconnect(), 1008), (HTTPException(401), 1008), (ValueError(), 1011)):
        app = endpoint(partial(clean_up, error=error), policy=PATIENT)
        assert closure(await looked_at(app, make_wire(SEND), 0, 101))[0] == code
    assert [level for level, _ in logs()] == ["INFO", "INFO", "ERROR"]


@pytest.mark.parametrize("stuck", [SEND, "nothing"])
async def test_a_real_clock_ends_it_in_time(make_wire: MakeWire, stuck: str) -> None:
    async def wait(ws: Chat) -> None:
        if stuck == SEND:
            await ws.send_model(HELLO)
        await ws.receive_model()

    policy = Policy(idle_timeout=0.05, send_timeout=0.05)
    started = anyio.current_time()
    code, _ = closure(await make_wire(stuck).run(endpoint(wait, policy=policy)))
    assert code == (1008 if stuck == SEND else 3008)
    assert anyio.current_time() - started < 2


async def test_no_limit_is_no_watch(wire: Wire) -> None:
    async def seen(ws: Chat) -> None:
        dog: Any = watchdog()
        assert len(dog._watched) == before

    dog: Any = watchdog()
    before = len(dog._watched)
    no_limits = Policy(handshake_timeout=None, send_timeout=None)
    assert closure(await wire.run(endpoint(seen, policy=no_limits))) == (1000, "")


@pytest.mark.parametrize("policy", [Policy(handshake_timeout=None, send_timeout=None), Policy()], ids=["no limit", ""])
async def test_an_integration_watches_and_finishes_by_itself(wire: Wire, policy: Policy) -> None:
    seen: list[Any] = []

    async def talk(ws: Connection[Message, Message, Room]) -> None:
        seen.append(ws.params.room)

    admission = Admission(policy)
    made = endpoint(talk)
    runner = Runner(made.handler, made.kind, made.contract, admission)
    ws = runner.make(scope(query_string=b"room=5"), wire.receive, wire.send)
    runner.declare(ws)
    found: Exception | None = None
    with TimeoutMonitor(session_of(ws), admission) as monitor:
        found = await runner.handle(ws)
    assert (found, monitor.expired, seen) == (None, None, [5])
    assert [event["type"] for event in wire.sent] == [ACCEPT]
    assert await runner.finish(ws, found, is_mounted=True) is None
    assert closure(wire.sent) == (1000, "")


async def test_each_limit_stands_alone(make_wire: MakeWire) -> None:
    none = {"handshake_timeout": None, "idle_timeout": None, "send_timeout": None}
    for limit in none:
        limits: dict[str, Any] = {**none, limit: 100}

        async def talk(ws: Chat) -> None:
            await ws.send_model(HELLO)
            await ws.receive_model()

        sent = await looked_at(endpoint(talk, policy=Policy(**limits)), make_wire(), 0, 101)
        assert closure(sent)[0] == (3008 if limit == "idle_timeout" else 1012)


# --- who is let in ---


async def test_connections_beyond_the_limit_are_denied_until_one_ends(make_wire: MakeWire, logs: Logs) -> None:
    app = endpoint(forever, policy=Policy(max_connections=2))
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(partial(make_wire().run, app))
            await anyio.wait_all_tasks_blocked()
        sent = await make_wire().run(app)
        assert denial(sent) == 503
        assert dict(sent[0]["headers"])[b"retry-after"] == b"5"
        [(level, told)] = logs()
        assert level == "INFO"
        assert "max_connections" in told
        group.cancel_scope.cancel()
    async with anyio.create_task_group() as group:
        again = make_wire()
        group.start_soon(partial(again.run, app))
        await anyio.wait_all_tasks_blocked()
        assert [event["type"] for event in again.sent] == [ACCEPT]
        group.cancel_scope.cancel()


async def fail(handshake: Deciding) -> Outcome:
    raise ValueError


async def deny(handshake: Deciding) -> Outcome:
    return await handshake.deny(401)


async def undecided(handshake: Deciding) -> Any:
    return None


async def leave(handshake: Deciding) -> Outcome:
    raise Exit


async def with_params(handshake: Handshake[Message, Message, Room]) -> Outcome:
    raise AssertionError


@pytest.mark.parametrize("handler", [fail, deny, undecided, leave, with_params])
@pytest.mark.parametrize("around", [{}, {"app": object()}], ids=["alone", "mounted"])
async def test_every_end_makes_room_for_the_next(make_wire: MakeWire, handler: Any, around: Event) -> None:
    app: Any = endpoint(handler, policy=Policy(max_connections=1))
    for _ in range(3):
        wire = make_wire()
        with contextlib.suppress(ValueError, Exit):
            await wire.run(app, **around)
        assert not any(event.get("status") == 503 for event in wire.sent)
    assert app._runner._admission.connections == 0


async def test_an_origin_is_refused_before_the_handler_and_its_parameters(wire: Wire, logs: Logs) -> None:
    headers = [(b"host", b"chat.example"), (b"origin", b"https://evil.example"), (b"cookie", SECRET.encode())]
    sent = await wire.run(endpoint(with_params), headers=headers, query_string=b"room=" + SECRET.encode())
    assert denial(sent) == 403
    [(level, told)] = logs()
    assert level == "INFO"
    assert "https://evil.example" in told
    assert "chat.example" in told
    assert 'Policy(origins=["https://evil.example"])' in told
    assert SECRET not in told


async def test_an_allowed_origin_passes(wire: Wire) -> None:
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


def of_ours(request: object, error: object) -> None:
    """A handler that the application has for an exception."""


def of_starlette(request: object, error: object) -> None:
    """A default handler of the framework."""


of_starlette.__module__ = "starlette.middleware.exceptions"
NOT_FOUND = starlette.exceptions.HTTPException(404)

COVERING: list[tuple[str, Exception, Any, bool]] = [
    ("nothing is told", NOT_FOUND, None, False),
    ("nothing is there", NOT_FOUND, ({}, {}), False),
    ("the class", NOT_FOUND, ({starlette.exceptions.HTTPException: of_ours}, {}), True),
    ("a base class", ValueError(), ({Exception: of_ours}, {}), True),
    (
        "the nearest class is the framework's",
        NOT_FOUND,
        ({type(NOT_FOUND): of_starlette, Exception: of_ours}, {}),
        False,
    ),
    ("the status", NOT_FOUND, ({type(NOT_FOUND): of_starlette}, {404: of_ours}), True),
    ("another status", NOT_FOUND, ({}, {401: of_ours}), False),
    ("the status is asked of Starlette's only", HTTPException(404), ({}, {404: of_ours}), False),
]


@pytest.mark.parametrize(
    ("error", "handlers", "is_covered"), [row[1:] for row in COVERING], ids=[r[0] for r in COVERING]
)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_the_application_around_handles_is_raised_before_anything_is_answered(
    wire: Wire, logs: Logs, error: Exception, handlers: Any, is_covered: bool, when: str
) -> None:
    async def dying(handshake: Deciding) -> Outcome:
        if when == "after":
            await handshake.accept()
        raise error

    around: Event = {"app": object()}
    if handlers is not None:
        around["starlette.exception_handlers"] = handlers
    assert is_handled_outside(around, error) is is_covered
    with pytest.raises(type(error)) if is_covered else contextlib.nullcontext() as caught:
        await wire.run(endpoint(dying), **around)
    assert caught is None or caught.value is error
    is_answered = any(event["type"] in (START, CLOSE) for event in wire.sent)
    assert is_answered is not is_covered
    assert (logs() == []) is is_covered


async def test_an_integration_says_itself_what_is_handled_around_it() -> None:
    def handles(error: Exception) -> bool:
        return isinstance(error, KeyError)

    around: Event = {"typedws.handles": handles}
    assert is_handled_outside(around, KeyError())
    assert not is_handled_outside(around, ValueError())


async def test_alone_nobody_else_handles_anything(wire: Wire) -> None:
    around: Event = {"starlette.exception_handlers": ({Exception: of_ours}, {})}

    async def dying(ws: Chat) -> None:
        raise ValueError

    assert closure(await wire.run(endpoint(dying), **around))[0] == 1011


async def test_within_our_own_app_an_endpoint_is_alone(wire: Wire, logs: Logs) -> None:
    async def dying(ws: Chat) -> None:
        assert ws.app is app
        raise ValueError

    app = App([WebSocketRoute("/", endpoint(dying))])
    assert closure(await wire.run(app))[0] == 1011
    assert [level for level, _ in logs()] == ["ERROR"]


async def test_a_denial_of_the_handlers_own_stays(wire: Wire) -> None:
    async def redirect(handshake: Deciding) -> Outcome:
        return await handshake.send_denial_response(DenialResponse(307, headers={"location": "/other"}))

    sent = await wire.run(endpoint(redirect))
    assert [event.get("status") for event in sent] == [307, None]
