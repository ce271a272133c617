"""`cancelled_on_disconnect`: the block is cancelled when the peer disconnects, and its messages are kept."""

import anyio
import pytest
import trio

from tests.support import CONNECT, Peer, accepted, disconnect, not_connected, text
from typedws.exceptions import ConcurrentReceive, InvalidState, WebSocketDisconnect, WebSocketDisconnected
from typedws.websockets import WebSocket

pytestmark = pytest.mark.anyio


async def test_the_block_is_cancelled_when_the_peer_disconnects(peer: Peer) -> None:
    ws = await peer.accepted()
    with anyio.fail_after(5), pytest.raises(WebSocketDisconnect) as caught:
        async with ws.cancelled_on_disconnect():
            await ws.send_text("a")
            peer.does(disconnect(4001, "bye"))
            await anyio.sleep_forever()
    assert type(caught.value) is WebSocketDisconnect
    assert (caught.value.code, caught.value.reason, caught.value.closed_by) == (4001, "bye", "peer")
    assert caught.value.__cause__ is None
    assert len(peer.sent) == 1


async def test_a_block_that_ends_by_itself_raises_nothing_and_loses_no_message(peer: Peer) -> None:
    ws = await peer.accepted()
    with anyio.fail_after(5):
        async with ws.cancelled_on_disconnect():
            peer.does(text("kept 1"), text("kept 2"))
            await anyio.wait_all_tasks_blocked()
        peer.does(text("later"), disconnect())
        assert [message async for message in ws.iter_text()] == ["kept 1", "kept 2", "later"]


async def test_kept_messages_can_be_received_inside_the_block(peer: Peer) -> None:
    ws = await peer.accepted()
    received: list[str] = []
    with anyio.fail_after(5), pytest.raises(WebSocketDisconnect):
        async with ws.cancelled_on_disconnect():
            peer.does(text("1"))
            received.append(await ws.receive_text())
            peer.does(text("2"), text("3"))
            received.append(await ws.receive_text())
            received.append(await ws.receive_text())
            peer.does(disconnect())
            await ws.receive_text()
    assert received == ["1", "2", "3"]


async def test_kept_messages_can_be_received_after_the_peer_left(peer: Peer) -> None:
    ws = await peer.accepted()
    with anyio.fail_after(5):
        with pytest.raises(WebSocketDisconnect):
            async with ws.cancelled_on_disconnect():
                peer.does(text("last words"), disconnect(4001, "bye"))
                await anyio.sleep_forever()
        assert await ws.receive_text() == "last words"
        with pytest.raises(WebSocketDisconnected) as caught:
            await ws.receive_text()
    assert caught.value.code == 4001


class Failure(Exception):
    pass


async def test_an_exception_of_the_block_propagates_unchanged(peer: Peer) -> None:
    ws = await peer.accepted()
    failure = Failure()
    with anyio.fail_after(5), pytest.raises(Failure) as caught:
        async with ws.cancelled_on_disconnect():
            raise failure
    assert caught.value is failure
    assert failure.__cause__ is None
    assert failure.__context__ is None


async def test_an_exception_of_the_block_propagates_even_if_the_peer_left_meanwhile(peer: Peer) -> None:
    ws = await peer.accepted()
    with anyio.fail_after(5), pytest.raises(Failure):
        async with ws.cancelled_on_disconnect():
            peer.does(disconnect())
            try:
                await anyio.sleep_forever()
            finally:
                raise Failure


async def test_a_block_with_its_own_task_group_is_cancelled_as_a_whole(peer: Peer) -> None:
    ws = await peer.accepted()
    with anyio.fail_after(5), pytest.raises(WebSocketDisconnect):
        async with ws.cancelled_on_disconnect(), anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            tasks.start_soon(anyio.sleep_forever)
            peer.does(disconnect())
            await anyio.sleep_forever()


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_block_with_its_own_nursery_is_cancelled_as_a_whole(peer: Peer) -> None:
    ws = await peer.accepted()
    with anyio.fail_after(5), pytest.raises(WebSocketDisconnect):
        async with ws.cancelled_on_disconnect(), trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            peer.does(disconnect())
            await trio.sleep_forever()


async def test_a_cancellation_from_outside_propagates(peer: Peer) -> None:
    ws = await peer.accepted()
    with anyio.fail_after(5):
        with anyio.CancelScope() as outer:
            async with ws.cancelled_on_disconnect():
                outer.cancel()
                await anyio.sleep_forever()
        assert outer.cancelled_caught
        peer.does(text("a"))
        assert await ws.receive_text() == "a"


async def test_a_failed_send_in_the_block_ends_it(peer: Peer) -> None:
    ws = await peer.accepted()
    with anyio.fail_after(5):
        with pytest.raises(WebSocketDisconnect) as caught:
            async with ws.cancelled_on_disconnect():
                peer.does(text("before"))
                peer.is_reachable = False
                await ws.send_text("a")
        assert caught.value.code == 1006
        peer.does(disconnect(4001))
        assert await ws.receive_text() == "before"


@pytest.mark.parametrize("state", ["connecting", "closed", "denied"])
async def test_a_block_starts_only_on_an_accepted_connection(state: str) -> None:
    ws = await not_connected(WebSocket, state)
    with pytest.raises(InvalidState if state == "connecting" else WebSocketDisconnected):
        async with ws.cancelled_on_disconnect():
            pass


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_a_peer_that_sends_more_than_max_pending_is_closed_with_1008(peer: Peer, count: int) -> None:
    ws = await peer.accepted()
    with anyio.fail_after(5):
        with pytest.raises(WebSocketDisconnect) as caught:
            async with ws.cancelled_on_disconnect(max_pending=count):
                peer.does(*(text(str(number)) for number in range(count + 1)))
                await anyio.sleep_forever()
        assert (caught.value.code, caught.value.closed_by) == (1008, "application")
        assert peer.sent == [{"type": "websocket.close", "code": 1008, "reason": "too many messages unread"}]
        with pytest.raises(WebSocketDisconnected):
            await ws.send_text("a")


async def test_messages_beyond_max_pending_can_be_discarded_instead(peer: Peer) -> None:
    ws = await peer.accepted()
    with anyio.fail_after(5):
        with pytest.raises(WebSocketDisconnect) as caught:
            async with ws.cancelled_on_disconnect(max_pending=2, on_overflow="discard"):
                peer.does(*(text(str(number)) for number in range(50)), disconnect(4001))
                await anyio.sleep_forever()
        assert caught.value.code == 4001
        assert [await ws.receive_text(), await ws.receive_text()] == ["0", "1"]
        with pytest.raises(WebSocketDisconnected):
            await ws.receive_text()


async def test_a_second_block_keeps_the_messages_of_the_first(peer: Peer) -> None:
    ws = await peer.accepted()
    with anyio.fail_after(5):
        for number in range(2):
            async with ws.cancelled_on_disconnect(max_pending=2):
                peer.does(text(str(number)))
                await anyio.wait_all_tasks_blocked()
        assert [await ws.receive_text(), await ws.receive_text()] == ["0", "1"]


async def test_a_block_cannot_start_while_another_task_receives(peer: Peer) -> None:
    ws = await peer.accepted()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ws.receive_text)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(ConcurrentReceive):
                async with ws.cancelled_on_disconnect():
                    pass
            peer.does(text("a"))


async def test_a_block_cannot_start_inside_another(peer: Peer) -> None:
    ws = await peer.accepted()
    with anyio.fail_after(5):
        async with ws.cancelled_on_disconnect():
            with pytest.raises(ConcurrentReceive):
                async with ws.cancelled_on_disconnect():
                    pass
            peer.does(text("a"))
            assert await ws.receive_text() == "a"


async def test_a_block_cannot_start_after_the_disconnect() -> None:
    ws, _ = await accepted(WebSocket, disconnect(4001))
    with pytest.raises(WebSocketDisconnect):
        await ws.receive_text()
    with pytest.raises(WebSocketDisconnected) as caught:
        async with ws.cancelled_on_disconnect():
            pass
    assert caught.value.code == 4001


async def test_an_event_that_the_server_must_not_send_ends_the_block_with_an_error(peer: Peer) -> None:
    ws = await peer.accepted()
    with anyio.fail_after(5), pytest.raises(InvalidState):
        async with ws.cancelled_on_disconnect():
            peer.does(CONNECT)
            await anyio.sleep_forever()


async def test_closing_inside_the_block_ends_it_when_the_disconnect_arrives(peer: Peer) -> None:
    ws = await peer.accepted()
    with anyio.fail_after(5), pytest.raises(WebSocketDisconnect) as caught:
        async with ws.cancelled_on_disconnect():
            await ws.close(4000)
            peer.does(disconnect(4000))
            await anyio.sleep_forever()
    assert (caught.value.code, caught.value.closed_by) == (4000, "application")
