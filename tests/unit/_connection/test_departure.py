"""`detect_departure`: a handler that only sends learns that the peer left, on servers whose ``send`` does not raise."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any, Final

import anyio
import anyio.lowlevel
import pytest

from tests.support import AnyWebSocket, Peer, disconnect, text
from typedws._connection import read_ahead
from typedws._connection.base import session_of
from typedws._connection.inbox import Inbox
from typedws._connection.read_ahead import MAX_PENDING
from typedws._connection.session import Session
from typedws._runtime.watchdog import watchdog
from typedws.exceptions import WebSocketDisconnect
from typedws.testing import settle

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fast_checks")]

OLDER: Final[dict[str, Any]] = {"asgi": {"version": "3.0", "spec_version": "2.3"}}
"""The part of a scope that identifies a server before ASGI 2.4: its ``send`` does not raise when the peer is gone."""


async def wait_until(condition: Callable[[], bool], ws: AnyWebSocket | None = None) -> None:
    """Wait until a condition holds, and send on ``ws`` meanwhile. No test can await a check: a timer starts it."""
    with anyio.fail_after(5):
        while not condition():
            await (ws.send_text("tick") if ws else anyio.lowlevel.checkpoint())


def is_read_ahead(session: Session) -> bool:
    return session.inbox is not None and session.inbox.is_fed


async def wait_for_two_checks(second_peer: Peer) -> None:
    """Wait until all earlier connections are checked twice more: a new one is read ahead at its second check."""
    ws = await second_peer.accepted(**OLDER)
    await wait_until(lambda: is_read_ahead(session_of(ws)), ws)


def is_any_connection_checked() -> bool:
    return bool(vars(watchdog())["_watched"])


async def test_a_handler_that_only_sends_learns_that_the_peer_left(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    peer.does(disconnect(4001, "bye"))
    with pytest.raises(WebSocketDisconnect) as caught:
        await wait_until(lambda: False, ws)
    assert (caught.value.code, caught.value.reason, caught.value.closed_by) == (4001, "bye", "peer")
    sent = len(peer.sent)
    with pytest.raises(WebSocketDisconnect):
        await ws.send_text("and again")
    assert len(peer.sent) == sent


async def test_the_detected_disconnect_can_still_be_received(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    await wait_until(lambda: is_read_ahead(session_of(ws)), ws)
    peer.does(text("last"), disconnect(4001))
    await wait_until(lambda: session_of(ws).end is not None)
    assert await ws.receive_text() == "last"
    assert await ws.receive() == disconnect(4001)


async def test_messages_read_ahead_are_received_in_order_and_the_fast_path_reopens(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    session = session_of(ws)
    peer.does(text("1"), text("2"))
    await wait_until(lambda: session.inbox is not None and len(session.inbox.events) == 2, ws)
    received = [await ws.receive_text(), await ws.receive_text()]
    async with anyio.create_task_group() as tasks:

        async def receive_two() -> None:
            received.extend([await ws.receive_text(), await ws.receive_text()])
            assert (session.inbox, session.receiving) == (None, None)  # before a check closes the fast path again

        tasks.start_soon(receive_two)
        await anyio.wait_all_tasks_blocked()
        peer.does(text("3"), text("4"))
    assert received == ["1", "2", "3", "4"]


async def test_there_is_no_reading_ahead_if_the_application_also_receives(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    slow_checks = 0
    with anyio.fail_after(5):
        while slow_checks < 20:
            slow_checks += session_of(ws).receiving == "slow"
            peer.does(text("a"))
            await ws.receive_text()
            await ws.send_text("b")
            assert session_of(ws).inbox is None


async def test_there_is_no_reading_ahead_if_the_application_is_idle(peer: Peer, second_peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    peer.does(text("a"))
    await wait_for_two_checks(second_peer)
    assert session_of(ws).inbox is None


@pytest.mark.parametrize(("size", "kept"), [(1, MAX_PENDING), (1 << 15, 2)])
async def test_the_number_and_the_size_of_kept_messages_are_limited(
    peer: Peer, second_peer: Peer, size: int, kept: int
) -> None:
    ws = await peer.accepted(**OLDER)
    session = session_of(ws)
    peer.does(*[text("x" * size)] * 100)
    await wait_until(lambda: session.inbox is not None and not session.inbox.is_fed, ws)
    await ws.send_text("tick")
    await wait_for_two_checks(second_peer)
    assert session.inbox is not None
    assert len(session.inbox.events) == kept
    assert [await ws.receive_text() for _ in range(100)] == ["x" * size] * 100


async def test_an_error_while_reading_ahead_is_raised_by_the_next_receive(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    session = session_of(ws)
    await wait_until(lambda: is_read_ahead(session), ws)
    peer.breaks()
    await wait_until(lambda: not is_read_ahead(session))
    with pytest.raises(anyio.EndOfStream):
        await ws.receive_text()


async def test_a_closed_connection_is_neither_checked_nor_read_ahead(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    await wait_until(lambda: is_read_ahead(session_of(ws)), ws)
    assert is_any_connection_checked()
    await ws.close()
    await wait_until(lambda: not is_any_connection_checked() and not is_read_ahead(session_of(ws)))


async def test_an_unreferenced_connection_is_no_longer_checked(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    assert is_any_connection_checked()
    del ws
    gc.collect()
    await wait_until(lambda: not is_any_connection_checked())


async def test_reading_ahead_stops_for_an_unreferenced_connection(peer: Peer) -> None:
    inbox = await inbox_of_an_unreferenced_connection(peer)
    gc.collect()
    await wait_until(lambda: not inbox.is_fed)


async def inbox_of_an_unreferenced_connection(peer: Peer) -> Inbox:
    ws = await peer.accepted(**OLDER)
    await wait_until(lambda: is_read_ahead(session_of(ws)), ws)
    await settle()  # the reading task now waits in the server's receive
    inbox = session_of(ws).inbox
    assert inbox is not None
    return inbox


async def test_an_event_for_an_unreferenced_connection_is_dropped() -> None:
    inbox = Inbox()
    detector = vars(read_ahead)["_DepartureDetector"](Session(None, None), watchdog())
    gc.collect()
    detector._keep(text("late"), inbox)
    assert not inbox.events


def test_detection_works_without_an_anyio_context() -> None:
    """As on a server: the callbacks of the clock run outside of any task and of any context that anyio has set up."""

    async def only_sends() -> None:
        peer = Peer()
        ws = await peer.accepted(**OLDER)
        peer.does(disconnect(4001))
        with pytest.raises(WebSocketDisconnect):
            await wait_until(lambda: False, ws)
        peer.close()

    asyncio.run(only_sends())


async def test_a_connection_is_not_checked_if_its_server_raises_when_the_peer_is_gone(peer: Peer) -> None:
    await peer.accepted()
    assert not is_any_connection_checked()
