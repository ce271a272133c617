"""A send that the server refuses before it has the disconnect event, as daphne does after the peer's close frame."""

import anyio
import pytest

from tests.support import AnyWebSocket, Peer, disconnect, text
from tests.unit._connection.test_departure import OLDER
from typedws._connection.base import session_of
from typedws._protocol.outcomes import Closed
from typedws.exceptions import WebSocketDisconnect

pytestmark = pytest.mark.anyio


async def code_of_refused_send(ws: AnyWebSocket) -> int:
    """Return the close code that a send raises."""
    with pytest.raises(WebSocketDisconnect) as caught:
        await ws.send_text("x")
    return int(caught.value.code)


async def test_a_refused_send_waits_for_the_disconnect_event_and_raises_its_code(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    peer.is_reachable = False
    codes: list[int] = []

    async def send() -> None:
        codes.append(await code_of_refused_send(ws))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        assert codes == []
        peer.does(text("last"), disconnect(4001))
    assert codes == [4001]
    assert await code_of_refused_send(ws) == 4001
    assert await ws.receive_text() == "last"
    assert await ws.receive() == disconnect(4001)


@pytest.mark.parametrize("is_first", [True, False], ids=["before the send", "after the send"])
async def test_a_task_that_receives_beside_a_refused_send_gets_all_messages(peer: Peer, *, is_first: bool) -> None:
    ws = await peer.accepted(**OLDER)
    peer.is_reachable = False
    codes: list[int] = []
    received: list[str] = []

    async def send() -> None:
        codes.append(await code_of_refused_send(ws))

    async def receive() -> None:
        with pytest.raises(WebSocketDisconnect) as caught:
            while True:
                received.append(await ws.receive_text())
        codes.append(int(caught.value.code))

    async with anyio.create_task_group() as tasks:
        for task in (receive, send) if is_first else (send, receive):
            tasks.start_soon(task)
            await anyio.wait_all_tasks_blocked()
        peer.does(text("1"), text("2"), disconnect(4001))
    assert codes == [4001, 4001]
    assert received == ["1", "2"]


@pytest.mark.parametrize("receives", [False, True], ids=["", "beside a receive"])
async def test_a_refused_send_raises_1006_if_no_disconnect_event_comes_in_time(peer: Peer, *, receives: bool) -> None:
    ws = await peer.accepted(**OLDER)
    session_of(ws).close_timeout = 0.01
    peer.is_reachable = False
    async with anyio.create_task_group() as tasks:
        if receives:
            tasks.start_soon(ws.receive)
            await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            assert await code_of_refused_send(ws) == 1006
        tasks.cancel_scope.cancel()


async def test_a_refused_send_that_is_cancelled_leaves_the_code_to_the_next_one(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    peer.is_reachable = False
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ws.send_text, "x")
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    peer.does(disconnect(4001))
    assert await code_of_refused_send(ws) == 4001


async def test_a_refused_close_does_not_wait(peer: Peer) -> None:
    ws = await peer.accepted(**OLDER)
    session_of(ws).close_timeout = float("inf")
    peer.is_reachable = False
    with anyio.fail_after(5):
        assert await ws.close() == Closed(1006, "", "network")


async def test_a_refused_accept_does_not_wait(peer: Peer) -> None:
    ws = peer.connecting(**OLDER)
    session_of(ws).close_timeout = float("inf")
    peer.is_reachable = False
    with anyio.fail_after(5), pytest.raises(WebSocketDisconnect):
        await ws.accept()
