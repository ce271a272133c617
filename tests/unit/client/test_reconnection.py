"""`reconnecting`: the connections of its loop, the waits, and the reported changes; the network is scripted."""

import gc
import logging
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest

from tests.support import disconnect, scope, stable_id, text, wire
from typedws import ApplicationCloseCode, CloseCode, Connection, Contract, WebSocketDisconnect
from typedws._http.headers import Headers
from typedws._protocol.outcomes import Closed
from typedws.client import (
    Accepted,
    Backoff,
    Change,
    ClientConnection,
    ConnectionDenied,
    ConnectionFailed,
    ConnectTimeout,
    InvalidResponse,
    Reconnecting,
    ServerUnreachable,
    reconnecting,
    reconnection,
)
from typedws.client.opening import Opened, Plan
from typedws.client.transport import Transport
from typedws.close_codes import Reconnect

pytestmark = pytest.mark.anyio

URL = "ws://example.com/secret-path?secret=query"


class Closes(ApplicationCloseCode):
    KICKED = 4001, "removed", "never"
    MOVED = 4002, "moved", "resume"
    FULL = 4003, "too many", "backoff"


chat = Contract("chat", Connection[str, str], closes=Closes)

KICKED = Closed(4001, "", "peer")
MOVED = Closed(4002, "", "peer")
FULL = Closed(4003, "", "peer")
LOST = Closed(1006, "", "network")
DONE = Closed(1000, "", "peer")
BROKEN = Closed(1009, "too big", "application")  # failed by this side

REFUSED = ServerUnreachable("a server", "connection refused")
BUSY = ConnectionDenied(503, Headers({"Retry-After": "7"}))
UNKNOWN = ConnectionDenied(404)


class Network:
    """The outcome of each attempt, in order: a failure, or a connection that the server ends in this way."""

    def __init__(self, *outcomes: Closed | ConnectionFailed | None) -> None:
        self.outcomes = list(outcomes)
        self.closes: list[int] = []
        self.sleeps: list[float] = []
        self.slept: Callable[[], None] = lambda: None

    async def open_connection(self, plan: Plan) -> Opened:
        await anyio.lowlevel.checkpoint()
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, ConnectionFailed):
            raise outcome
        ends = [] if outcome is None else [_event(outcome)]
        receive, send, _ = wire(text('"hello"'), *ends)
        line = Line(self, outcome)
        connection = ClientConnection[Any, Any](scope(), receive, send, Accepted(None, Headers()), plan.contract, line)
        return Opened(connection, cast(Transport, line))

    async def sleep(self, delay: float) -> None:
        await anyio.lowlevel.checkpoint()
        self.sleeps.append(delay)
        self.slept()


def _event(end: Closed) -> dict[str, Any]:
    return {**disconnect(end.code, end.reason), "closed_by": end.closed_by}


class Line:
    """A transport: how the server ended it, and whether the client closed it."""

    def __init__(self, network: Network, end: Closed | None) -> None:
        self._network = network
        self.disconnect = None if end is None else _event(end)
        self.ended = anyio.Event()

    def read_on(self) -> None: ...

    def close(self, code: int, reason: str) -> None:
        self._network.closes.append(code)
        self.ended.set()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Network, list[Change], Reconnecting[str, str]]]:
    """Return a function that scripts the network, and returns it with the reported changes and the client."""

    def scripted(
        *outcomes: Closed | ConnectionFailed | None, **options: Any
    ) -> tuple[Network, list[Change], Reconnecting[str, str]]:
        network, changes = Network(*outcomes), list[Change]()
        monkeypatch.setattr(reconnection, "open_connection", network.open_connection)
        monkeypatch.setattr(reconnection, "sleep", network.sleep)
        options.setdefault("backoff", Backoff(initial=0))
        return network, changes, reconnecting(URL, chat, on_change=changes.append, **options)

    return scripted


Script = Callable[..., tuple[Network, list[Change], Reconnecting[str, str]]]


async def listen(client: Reconnecting[str, str]) -> int:
    """Receive from every connection until its end, and return how many there were."""
    count = 0
    async for ws in client:
        assert [message async for message in ws] == ["hello"]
        count += 1
    return count


@pytest.mark.parametrize(
    ("outcomes", "connections", "raised"),
    [
        ([DONE], 1, None),
        ([LOST, DONE], 2, None),
        ([LOST, FULL, MOVED, DONE], 4, None),
        ([REFUSED, REFUSED, LOST, REFUSED, DONE], 2, None),
        ([ConnectTimeout(1), BUSY, DONE], 1, None),
        ([KICKED], 1, WebSocketDisconnect(4001)),
        ([Closed(1011, "", "peer")], 1, WebSocketDisconnect(1011)),
        ([Closed(1005, "", "peer")], 1, WebSocketDisconnect(1005)),
        ([LOST, BROKEN], 2, WebSocketDisconnect(1009, "too big", "application")),
        ([LOST, UNKNOWN], 1, UNKNOWN),
        ([InvalidResponse("an answer", "none")], 0, InvalidResponse("an answer", "none")),
    ],
    ids=stable_id,
)
async def test_the_loop_continues_after_ends_that_are_retried(
    outcomes: list[Closed | ConnectionFailed], connections: int, raised: Exception | None, script: Script
) -> None:
    network, changes, client = script(*outcomes)
    with nullcontext() if raised is None else pytest.raises(type(raised)) as caught:
        await listen(client)
    assert raised is None or (caught is not None and caught.value.args == raised.args)
    assert sum(change.state == "open" for change in changes) == connections
    assert network.outcomes == []
    assert client.change.state == "ended"
    assert len(network.sleeps) == len(outcomes) - 1
    assert await anext(client, None) is None


async def test_every_change_of_state_is_reported(script: Script) -> None:
    _, changes, client = script(REFUSED, LOST, BUSY, DONE, backoff=Backoff(initial=0, healthy=1e9))
    assert client.change == Change("idle")
    assert await listen(client) == 2
    assert changes == [
        Change("connecting"),
        Change("waiting", 1, REFUSED, 0),
        Change("connecting", 1, REFUSED),
        Change("open", 1),
        Change("waiting", 2, LOST, 0),
        Change("connecting", 2, LOST),
        Change("waiting", 3, BUSY, 7),
        Change("connecting", 3, BUSY),
        Change("open", 3),
        Change("ended", 3, DONE),
    ]
    assert client.change == changes[-1]


async def test_a_healthy_connection_ends_the_row_of_failures(script: Script) -> None:
    _, changes, client = script(REFUSED, REFUSED, LOST, DONE, backoff=Backoff(initial=0, healthy=0))
    await listen(client)
    assert [change.failures for change in changes if change.state == "waiting"] == [1, 2, 1]


async def test_a_delay_is_random_and_added_to_retry_after(script: Script) -> None:
    network, _, client = script(REFUSED, BUSY, DONE, backoff=Backoff(initial=2, maximum=3))
    await listen(client)
    assert 0 <= network.sleeps[0] <= 2
    assert 7 <= network.sleeps[1] <= 7 + 3


async def test_a_resume_is_immediate_unless_the_connection_before_was_not_healthy_either(script: Script) -> None:
    network, _, client = script(MOVED, MOVED, DONE, backoff=Backoff(initial=100, maximum=100, healthy=1e9))
    await listen(client)
    assert network.sleeps[0] == 0
    assert network.sleeps[1] > 0  # A random time of up to 100 s is never 0.
    network, _, client = script(MOVED, MOVED, DONE, backoff=Backoff(initial=100, maximum=100, healthy=0))
    await listen(client)
    assert network.sleeps == [0, 0]


@pytest.mark.parametrize(("limit", "waits"), [(1, 0), (3, 2)])
async def test_the_last_of_max_failures_in_a_row_is_raised(limit: int, waits: int, script: Script) -> None:
    network, changes, client = script(*[REFUSED] * limit, backoff=Backoff(initial=0, max_failures=limit))
    with pytest.raises(ServerUnreachable):
        await listen(client)
    assert len(network.sleeps) == waits
    assert changes[-1] == Change("ended", limit, REFUSED)


async def test_a_close_counts_as_a_failure_in_a_row(script: Script) -> None:
    _, _, client = script(LOST, backoff=Backoff(initial=0, healthy=1e9, max_failures=1))
    with pytest.raises(WebSocketDisconnect):
        await listen(client)


@pytest.mark.parametrize(("retry", "count"), [({1011: "backoff"}, 2), ({1011: "resume"}, 2), ({1006: "never"}, 1)])
async def test_the_caller_overrides_what_follows_a_close_code(
    retry: dict[int, Reconnect], count: int, script: Script
) -> None:
    end = Closed(1011, "", "peer") if 1011 in retry else LOST
    _, changes, client = script(end, DONE, retry=retry)
    if count == 1:
        with pytest.raises(WebSocketDisconnect):
            await listen(client)
    else:
        assert await listen(client) == count
    assert sum(change.state == "open" for change in changes) == count


async def test_the_caller_may_retry_a_normal_closure(script: Script) -> None:
    _, _, client = script(DONE, KICKED, retry={1000: "backoff"})
    with pytest.raises(WebSocketDisconnect, match="4001"):
        await listen(client)


async def test_a_close_by_the_client_ends_the_loop(script: Script) -> None:
    network, changes, client = script(None)
    async for ws in client:
        await ws.close(4000)
    assert changes[-1] == Change("ended")
    assert network.sleeps == []


async def test_a_body_that_leaves_its_connection_open_gets_another_one(script: Script) -> None:
    network, changes, client = script(None, DONE)
    connections = [ws async for ws in client]
    assert len(connections) == 2
    assert connections[0].end == Closed(1000, "", "application")
    assert [change.cause for change in changes if change.state == "waiting"] == [None]
    assert network.closes[0] == CloseCode.NORMAL_CLOSURE


async def test_an_end_that_the_body_did_not_receive_counts(script: Script) -> None:
    _, _, client = script(KICKED)
    with pytest.raises(WebSocketDisconnect, match="4001"):
        async for _ in client:
            pass


async def test_a_body_may_continue_after_a_disconnect(script: Script) -> None:
    _, _, client = script(LOST, LOST, DONE)
    count = 0
    async for ws in client:
        count += 1
        try:
            while True:
                await ws.receive_model()
        except WebSocketDisconnect:
            continue
    assert count == 3


async def test_leaving_the_loop_closes_in_the_background(script: Script) -> None:
    network, _, client = script(None)
    async for _ in client:
        break
    assert network.closes == []
    del client
    gc.collect()
    assert network.closes == [CloseCode.GOING_AWAY]


async def test_an_exception_of_the_body_leaves_the_loop_too(script: Script) -> None:
    network, _, client = script(None)

    async def run(client: Reconnecting[str, str]) -> None:
        async for _ in client:
            raise ZeroDivisionError

    clients = [client]
    del client
    with pytest.raises(ZeroDivisionError):
        await run(clients.pop())
    gc.collect()
    assert network.closes == [CloseCode.GOING_AWAY]


async def test_aclose_closes_the_connection_once(script: Script) -> None:
    network, changes, client = script(None)
    async for _ in client:
        break
    await client.aclose()
    await client.aclose()
    assert network.closes == [CloseCode.NORMAL_CLOSURE]
    assert changes[-1] == Change("ended")
    assert len(changes) == 3
    assert await anext(client, None) is None
    del client
    gc.collect()
    assert network.closes == [CloseCode.NORMAL_CLOSURE]


async def test_after_aclose_there_are_no_connections(script: Script) -> None:
    _, changes, client = script()
    await client.aclose()
    assert await listen(client) == 0
    assert changes == [Change("ended")]


def test_a_client_collected_without_a_running_loop_does_nothing(script: Script) -> None:
    clients: list[Any] = []

    async def leave() -> None:
        network, _, client = script(None)
        async for _ in client:
            break
        clients.extend((network, client))

    anyio.run(leave)
    network = clients[0]
    clients.clear()
    gc.collect()
    assert network.closes == []


async def test_a_cancelled_wait_does_not_end_the_client(script: Script) -> None:
    network, _, client = script(REFUSED, DONE)
    with anyio.CancelScope() as cancelled:
        network.slept = cancelled.cancel
        async for _ in client:
            pass
    assert client.change.state == "connecting"
    assert await listen(client) == 1


async def test_changes_are_logged_without_secrets(script: Script, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "typedws.client")
    denial = ConnectionDenied(
        503,
        Headers({"Content-Type": "application/problem+json"}),
        b'{"title":"secret-title","status":503,"detail":"secret-detail"}',
    )
    _, _, client = script(denial, REFUSED, Closed(4003, "secret-reason", "peer"), DONE)
    await listen(client)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "the client of example.com:80 is connecting",
        "the client of example.com:80 is waiting for 0.0 s (denied with 503)",
        "the client of example.com:80 is connecting (denied with 503)",
        "the client of example.com:80 is waiting for 0.0 s (expected a server, found connection refused)",
        "the client of example.com:80 is connecting (expected a server, found connection refused)",
        "the client of example.com:80 is open",
        "the client of example.com:80 is waiting for 0.0 s (4003, private use, by the peer)",
        "the client of example.com:80 is connecting (4003, private use, by the peer)",
        "the client of example.com:80 is open",
        "the client of example.com:80 is ended (1000, normal closure, by the peer)",
    ]
    assert {record.levelname for record in caplog.records if "connecting" in record.getMessage()} == {"DEBUG"}
    assert {record.levelname for record in caplog.records if "connecting" not in record.getMessage()} == {"INFO"}


async def test_changes_need_no_callback_and_no_logger(monkeypatch: pytest.MonkeyPatch, script: Script) -> None:
    network, _, _ = script(DONE)
    monkeypatch.setattr(logging.getLogger("typedws.client"), "disabled", True)
    assert [ws async for ws in reconnecting(URL)]
    assert network.outcomes == []
