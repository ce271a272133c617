"""What is evened out where servers differ: a peer's leave that no send tells, a receive that loses what it is given."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any, Final

import anyio
import anyio.lowlevel
import pytest

from tests.support import AnyWebSocket, Event, Peer, disconnect, text
from typedws._connection import read_ahead
from typedws._connection import server_workarounds as workarounds
from typedws._connection.base import session_of
from typedws._connection.inbox import Inbox
from typedws._connection.read_ahead import MAX_PENDING
from typedws._connection.server_workarounds import CancellationSafeReceive
from typedws._connection.session import MAX_JOINED_BODY, Session
from typedws._runtime.watchdog import watchdog
from typedws.exceptions import InvalidHandshake, WebSocketDisconnect
from typedws.testing import settle

pytestmark = pytest.mark.anyio

OLDER: Final[dict[str, Any]] = {"asgi": {"version": "3.0", "spec_version": "2.3"}}
GRANIAN: Final[dict[str, Any]] = {
    **OLDER,
    "extensions": {"websocket.http.response": {}, "http.response.pathsend": {}},
}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typedws._connection.read_ahead._PERIOD", 0.005)


@pytest.fixture
def peer() -> Any:
    peer = Peer()
    yield peer
    peer.close()


other = peer


async def until(holds: Callable[[], bool], ws: AnyWebSocket | None = None) -> None:
    """Let time pass, sending all the while where there is a socket; a look comes at a time of its own."""
    with anyio.fail_after(5):
        while not holds():
            await (ws.send_text("tick") if ws else anyio.lowlevel.checkpoint())


def is_listened_to(session: Session) -> bool:
    return session.inbox is not None and session.inbox.is_fed


async def looked_at_again(other: Peer) -> None:
    """Wait until all that was there before has been looked at: so has another, twice."""
    ws = await other.accepted(**OLDER)
    await until(lambda: is_listened_to(session_of(ws)), ws)


def is_looked_at() -> bool:
    return bool(vars(watchdog())["_watched"])


# --- the peer leaves while the application only sends ---


async def test_who_only_sends_learns_that_the_peer_has_left(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    peer.does(disconnect(4001, "bye"))
    with pytest.raises(WebSocketDisconnect) as caught:
        await until(lambda: False, ws)
    assert (caught.value.code, caught.value.reason, caught.value.closed_by) == (4001, "bye", "peer")
    sent = len(peer.sent)
    with pytest.raises(WebSocketDisconnect):
        await ws.send_text("and again")
    assert len(peer.sent) == sent


async def test_the_disconnect_can_be_received_all_the_same(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    await until(lambda: is_listened_to(session_of(ws)), ws)
    peer.does(text("last"), disconnect(4001))
    await until(lambda: session_of(ws).end is not None)
    assert await ws.receive_text() == "last"
    assert await ws.receive() == disconnect(4001)


async def test_messages_that_came_meanwhile_are_received_in_order_and_the_fast_way_is_free_again(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    session = session_of(ws)
    peer.does(text("1"), text("2"))
    await until(lambda: session.inbox is not None and len(session.inbox.events) == 2, ws)
    heard = [await ws.receive_text(), await ws.receive_text()]
    async with anyio.create_task_group() as tasks:

        async def hear() -> None:
            heard.extend([await ws.receive_text(), await ws.receive_text()])

        tasks.start_soon(hear)
        await anyio.wait_all_tasks_blocked()
        peer.does(text("3"), text("4"))
    assert heard == ["1", "2", "3", "4"]
    assert (session.inbox, session.receiving) == (None, None)


async def test_an_application_that_receives_too_is_not_read_ahead_of(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    shut = 0
    with anyio.fail_after(5):
        while shut < 20:
            shut += session_of(ws).receiving == "slow"
            peer.does(text("a"))
            await ws.receive_text()
            await ws.send_text("b")
            assert session_of(ws).inbox is None


async def test_an_application_that_does_neither_is_not_read_ahead_of(peer: Peer, other: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    peer.does(text("a"))
    await looked_at_again(other)
    assert session_of(ws).inbox is None


@pytest.mark.parametrize(("size", "kept"), [(1, MAX_PENDING), (1 << 15, 2)])
async def test_so_much_is_kept_and_no_more(peer: Peer, other: Peer, size: int, kept: int) -> None:
    ws = await peer.accepted(**OLDER)
    session = session_of(ws)
    peer.does(*[text("x" * size)] * 100)
    await until(lambda: session.inbox is not None and not session.inbox.is_fed, ws)
    await ws.send_text("tick")
    await looked_at_again(other)
    assert session.inbox is not None
    assert len(session.inbox.events) == kept
    assert [await ws.receive_text() for _ in range(100)] == ["x" * size] * 100


async def test_a_receive_that_fails_fails_for_who_receives(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    session = session_of(ws)
    await until(lambda: is_listened_to(session), ws)
    peer.breaks()
    await until(lambda: not is_listened_to(session))
    with pytest.raises(anyio.EndOfStream):
        await ws.receive_text()


async def test_a_closed_connection_is_looked_at_and_listened_to_no_more(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    await until(lambda: is_listened_to(session_of(ws)), ws)
    assert is_looked_at()
    await ws.close()
    await until(lambda: not is_looked_at() and not is_listened_to(session_of(ws)))


async def test_a_forgotten_connection_is_looked_at_no_more(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    assert is_looked_at()
    del ws
    gc.collect()
    await until(lambda: not is_looked_at())


async def test_a_forgotten_connection_is_listened_to_no_more(peer: Peer) -> None:
    inbox = await inbox_of_a_forgotten_one(peer)
    gc.collect()
    await until(lambda: not inbox.is_fed)


async def inbox_of_a_forgotten_one(peer: Peer) -> Inbox:
    ws = await peer.accepted(**OLDER)
    await until(lambda: is_listened_to(session_of(ws)), ws)
    await settle()  # it listens by now
    inbox = session_of(ws).inbox
    assert inbox is not None
    return inbox


async def test_what_comes_for_a_forgotten_connection_is_dropped() -> None:
    inbox = Inbox()
    listener = vars(read_ahead)["_DepartureDetector"](Session(None, None), watchdog())
    gc.collect()
    listener._keep(text("late"), inbox)
    assert not inbox.events


def test_it_needs_nobody_to_say_on_which_event_loop_it_is() -> None:
    """As in a server, where no task and no context of anyio's surrounds the clock."""

    async def only_sends() -> None:
        peer = Peer()
        ws = await peer.accepted(**OLDER)
        peer.does(disconnect(4001))
        with pytest.raises(WebSocketDisconnect):
            await until(lambda: False, ws)
        peer.close()

    asyncio.run(only_sends())


def test_a_session_of_a_current_server_stays_as_it_is() -> None:
    session = Session(None, None)
    workarounds.apply_workarounds(session)
    assert (session.on_accept, session.before_close) == (None, None)


async def test_a_server_that_tells_is_left_alone(peer: Peer) -> None:
    await peer.accepted()
    assert not is_looked_at()


# --- a cancelled receive ---


class Lossy:
    """A server whose cancelled receive loses the event that comes next."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[Event]] = []

    def receive(self) -> asyncio.Future[Event]:
        self.asked.append(asyncio.get_running_loop().create_future())
        return self.asked[-1]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancelled_receive_loses_nothing() -> None:
    server = Lossy()
    lossless = CancellationSafeReceive(server.receive)
    for _ in range(3):
        with anyio.move_on_after(0):
            await lossless.receive()
    task = asyncio.create_task(lossless.receive())
    await anyio.wait_all_tasks_blocked()
    server.asked[0].set_result(text("a"))
    await anyio.lowlevel.checkpoint()
    task.cancel()  # as the event comes
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await lossless.receive() == text("a")
    assert len(server.asked) == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_error_of_the_server_is_told_once() -> None:
    server = Lossy()
    lossless = CancellationSafeReceive(server.receive)
    for error in (OSError("first"), OSError("second")):
        task = asyncio.create_task(lossless.receive())
        await anyio.wait_all_tasks_blocked()
        server.asked[-1].set_exception(error)
        with pytest.raises(OSError, match=str(error)):
            await task


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_server_is_asked_no_more_before_it_closes(peer: Peer) -> None:
    """For granian does not close while it is asked."""
    ws = await peer.accepted(**GRANIAN)
    waiting: list[int] = []

    async def send(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        waiting.append(peer.waiting())

    session_of(ws).asgi_send = send
    heard: list[Event] = []

    async def hear() -> None:
        heard.append(await ws.receive())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hear)
        await anyio.wait_all_tasks_blocked()
        assert peer.waiting() == 1
        await ws.close(4001)
    assert waiting == [0]
    assert heard == [{"type": "websocket.disconnect", "code": 1005}]
    assert (await ws.close()).code == 4001
    assert await session_of(ws).asgi_receive() == heard[0]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_forgotten_connection_asks_its_server_no_more(peer: Peer) -> None:
    ws = await peer.accepted(**GRANIAN)
    with anyio.move_on_after(0):
        await ws.receive()
    await anyio.wait_all_tasks_blocked()
    assert peer.waiting() == 1
    del ws
    gc.collect()
    await until(lambda: peer.waiting() == 0)


async def test_no_message_is_lost_on_granian_however_often_a_receive_is_given_up(anyio_backend_name: str) -> None:
    peer = Peer()
    ws = await peer.accepted(**GRANIAN)
    assert isinstance(getattr(session_of(ws).asgi_receive, "__self__", None), CancellationSafeReceive) is (
        anyio_backend_name == "asyncio"
    )
    heard: list[str] = []
    for number in range(50):
        with anyio.move_on_after(0):
            heard.append(await ws.receive_text())
        peer.does(text(str(number)))
    peer.does(disconnect())
    heard += [message async for message in ws.iter_text()]
    assert heard == [str(number) for number in range(50)]
    peer.close()


# --- a denial in parts ---


def start(status: int = 401) -> Event:
    return {"type": "websocket.http.response.start", "status": status, "headers": []}


def part(body: bytes | None, *, more: bool) -> Event:
    told = {} if body is None else {"body": body}
    return {"type": "websocket.http.response.body", **told, "more_body": more}


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        ([part(b"a", more=False)], b"a"),
        ([part(b"a", more=True), part(b"b", more=True), part(b"c", more=False)], b"abc"),
        ([part(b"a", more=True), part(None, more=False)], b"a"),
    ],
)
async def test_parts_go_out_as_one_where_the_server_takes_one(peer: Peer, parts: list[Event], joined: bytes) -> None:
    ws = peer.connecting(**GRANIAN)
    await ws.receive()
    for event in (start(), *parts):
        await ws.send(event)
    assert peer.sent == [start(), part(joined, more=False)]


async def test_more_than_is_joined_is_refused_and_the_denial_ends_without_it(peer: Peer) -> None:
    ws = peer.connecting(**GRANIAN)
    await ws.receive()
    await ws.send(start())
    await ws.send(part(bytes(MAX_JOINED_BODY), more=True))
    with pytest.raises(InvalidHandshake, match="at most 1048576 bytes"):
        await ws.send(part(b"x", more=True))
    await ws.send(part(b"", more=False))
    assert peer.sent == [start(), part(b"", more=False)]
