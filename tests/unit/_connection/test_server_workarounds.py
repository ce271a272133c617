"""`CancellationSafeReceive` and joined denial bodies. The tests of `detect_departure` are in ``test_departure.py``."""

import asyncio
import gc
from typing import Any, Final

import anyio
import anyio.lowlevel
import pytest

from tests.support import Event, Peer, disconnect, text
from typedws._connection import server_workarounds as workarounds
from typedws._connection.base import session_of
from typedws._connection.server_workarounds import CancellationSafeReceive
from typedws._connection.session import MAX_JOINED_BODY, Session
from typedws.exceptions import InvalidHandshake

# Connections to granian are also checked for a departure. Fast checks let both workarounds run side by side.
pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fast_checks")]

GRANIAN: Final[dict[str, Any]] = {
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "extensions": {"websocket.http.response": {}, "http.response.pathsend": {}},
}


def test_a_session_on_a_current_server_is_not_changed() -> None:
    session = Session(None, None)
    workarounds.apply_workarounds(session)
    assert (session.on_accept, session.before_close) == (None, None)


# --- a cancelled receive ---


class LossyServer:
    """A server whose next event is lost when a receive is cancelled."""

    def __init__(self) -> None:
        self.receives: list[asyncio.Future[Event]] = []

    def receive(self) -> asyncio.Future[Event]:
        self.receives.append(asyncio.get_running_loop().create_future())
        return self.receives[-1]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancelled_receive_loses_no_event() -> None:
    server = LossyServer()
    safe = CancellationSafeReceive(server.receive)
    for _ in range(3):
        with anyio.move_on_after(0):
            await safe.receive()
    task = asyncio.create_task(safe.receive())
    await anyio.wait_all_tasks_blocked()
    server.receives[0].set_result(text("a"))
    await anyio.lowlevel.checkpoint()
    task.cancel()  # after the event arrived, before the task has resumed
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await safe.receive() == text("a")
    assert len(server.receives) == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_error_of_the_server_is_raised_once() -> None:
    server = LossyServer()
    safe = CancellationSafeReceive(server.receive)
    for error in (OSError("first"), OSError("second")):
        task = asyncio.create_task(safe.receive())
        await anyio.wait_all_tasks_blocked()
        server.receives[-1].set_exception(error)
        with pytest.raises(OSError, match=str(error)):
            await task


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_pending_receive_is_cancelled_before_a_close(peer: Peer) -> None:
    """Granian does not close a connection while a receive is pending."""
    ws = await peer.accepted(**GRANIAN)
    waiting: list[int] = []

    async def send(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        waiting.append(peer.waiting())

    session_of(ws).asgi_send = send
    received: list[Event] = []

    async def receive() -> None:
        received.append(await ws.receive())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        assert peer.waiting() == 1
        await ws.close(4001)
    assert waiting == [0]
    assert received == [{"type": "websocket.disconnect", "code": 1005}]
    assert (await ws.close()).code == 4001
    assert await session_of(ws).asgi_receive() == received[0]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_pending_receive_of_an_unreferenced_connection_is_cancelled(peer: Peer) -> None:
    ws = await peer.accepted(**GRANIAN)
    with anyio.move_on_after(0):
        await ws.receive()
    await anyio.wait_all_tasks_blocked()
    assert peer.waiting() == 1
    del ws
    gc.collect()
    with anyio.fail_after(5):
        while peer.waiting() != 0:
            await anyio.lowlevel.checkpoint()


async def test_no_message_is_lost_on_granian_when_receives_are_cancelled(anyio_backend_name: str) -> None:
    peer = Peer()
    ws = await peer.accepted(**GRANIAN)
    assert isinstance(getattr(session_of(ws).asgi_receive, "__self__", None), CancellationSafeReceive) is (
        anyio_backend_name == "asyncio"
    )
    received: list[str] = []
    for number in range(50):
        with anyio.move_on_after(0):
            received.append(await ws.receive_text())
        peer.does(text(str(number)))
    peer.does(disconnect())
    received += [message async for message in ws.iter_text()]
    assert received == [str(number) for number in range(50)]
    peer.close()


# --- denial bodies in parts ---


def start(status: int = 401) -> Event:
    return {"type": "websocket.http.response.start", "status": status, "headers": []}


def part(body: bytes | None, *, more: bool) -> Event:
    fields = {} if body is None else {"body": body}
    return {"type": "websocket.http.response.body", **fields, "more_body": more}


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        ([part(b"a", more=False)], b"a"),
        ([part(b"a", more=True), part(b"b", more=True), part(b"c", more=False)], b"abc"),
        ([part(b"a", more=True), part(None, more=False)], b"a"),
    ],
)
async def test_body_parts_are_joined_if_the_server_takes_only_one(
    peer: Peer, parts: list[Event], joined: bytes
) -> None:
    ws = peer.connecting(**GRANIAN)
    await ws.receive()
    for event in (start(), *parts):
        await ws.send(event)
    assert peer.sent == [start(), part(joined, more=False)]


async def test_a_joined_body_above_the_limit_is_refused_and_the_denial_ends_without_it(peer: Peer) -> None:
    ws = peer.connecting(**GRANIAN)
    await ws.receive()
    await ws.send(start())
    await ws.send(part(bytes(MAX_JOINED_BODY), more=True))
    with pytest.raises(InvalidHandshake, match="at most 1048576 bytes"):
        await ws.send(part(b"x", more=True))
    await ws.send(part(b"", more=False))
    assert peer.sent == [start(), part(b"", more=False)]
