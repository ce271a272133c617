"""`Group`: each member receives its messages at its own pace; one that is slow, leaves or fails affects no other."""

import asyncio
import gc
import json
import tracemalloc
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio
from pydantic import BaseModel, Field

from tests.support import CONNECT, AnyWebSocket, Event, disconnect, not_connected, scope, text
from typedws._connection import session as session_module
from typedws._connection.session import Session
from typedws._groups import group as group_module
from typedws._groups import outbox as outbox_module
from typedws._groups.group import Group, GroupStatistics, Member
from typedws._groups.outbox import Closing, Counts, Overflow
from typedws._runtime.event_loop import running_trio
from typedws.codecs import TextJSON
from typedws.exceptions import InvalidState, UnsendableMessage, WebSocketDisconnect, WebSocketDisconnected
from typedws.websockets import WebSocket

pytestmark = pytest.mark.anyio


class Said(BaseModel):
    text: str = ""


class Price(BaseModel):
    symbol: str
    price: int


class Stored(Said):
    secret: str = "s"


class Peer:
    """A client that can stop reading, behind a server whose ``send`` then waits."""

    def __init__(self, *, reads: bool = True) -> None:
        self._put, self._get = anyio.create_memory_object_stream[Event](1000)
        self._may_read = anyio.Event()
        self._is_gone = False
        self.events: list[Event] = []
        self.closed_with: tuple[int, str] | None = None
        self.started_sends = 0
        self.ignores_close = False
        if reads:
            self.resume()

    def resume(self) -> None:
        self._may_read.set()

    def pause(self) -> None:
        self._may_read = anyio.Event()

    def vanish(self) -> None:
        """Make the server raise on each send, including the one that waits."""
        self._is_gone = True
        self._may_read.set()

    def deliver(self, *events: Event) -> None:
        for event in events:
            self._put.send_nowait(event)

    async def receive(self) -> Event:
        return await self._get.receive()

    async def send(self, event: Event) -> None:
        if event["type"] == "websocket.close":
            if self.ignores_close:
                await anyio.sleep_forever()
            self.closed_with = event["code"], event["reason"]
        elif event["type"] == "websocket.send":
            self.started_sends += 1
            if not self._may_read.is_set():
                await self._may_read.wait()
            if self._is_gone:
                raise OSError
            self.events.append(event)

    async def accepted(self, declared: Any = Said, **options: Any) -> AnyWebSocket:
        self.deliver(CONNECT)
        ws = WebSocket[Any, declared](scope(), self.receive, self.send, **options)
        await ws.accept()
        return ws

    @property
    def messages(self) -> list[Any]:
        return [json.loads(event["text"]) for event in self.events]

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.messages]

    def close(self) -> None:
        self._put.close()
        self._get.close()


class Peers:
    """Creates peers, and closes them at the end of the test."""

    def __init__(self) -> None:
        self.all: list[Peer] = []

    def peer(self, *, reads: bool = True) -> Peer:
        self.all.append(Peer(reads=reads))
        return self.all[-1]

    async def member(
        self, stack: AsyncExitStack, group: Group[Any], declared: Any = Said, *, reads: bool = True, **options: Any
    ) -> tuple[Peer, AnyWebSocket, Member]:
        peer = self.peer(reads=reads)
        ws = await peer.accepted(declared, **options)
        return peer, ws, await stack.enter_async_context(group.joined(ws))


@pytest.fixture
def peers() -> Iterator[Peers]:
    peers = Peers()
    yield peers
    for peer in peers.all:
        peer.close()


@pytest.fixture
async def stack(peers: Peers) -> AsyncGenerator[AsyncExitStack]:
    """Ends the memberships with the test, which may take ten seconds."""
    with anyio.fail_after(10):
        async with AsyncExitStack() as stack:
            yield stack
            for peer in peers.all:
                peer.resume()  # a member leaves once its pending messages are sent


settle = anyio.wait_all_tasks_blocked


# --- sending ---


async def test_all_members_receive_a_message_including_its_sender(peers: Peers, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    ann, _, _ = await peers.member(stack, group)
    bob, _, _ = await peers.member(stack, group)
    assert await group.send(Said(text="a")) == 2
    assert await group.send(Said(text="b")) == 2
    await settle()
    assert ann.texts == bob.texts == ["a", "b"]


async def test_recipients_may_be_excluded_or_selected(peers: Peers, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    ann, ann_ws, _ = await peers.member(stack, group)
    bob, bob_ws, _ = await peers.member(stack, group)
    eve, eve_ws, _ = await peers.member(stack, group)
    stranger = await peers.peer().accepted()
    assert await group.send(Said(text="not bob"), exclude=bob_ws) == 2
    assert await group.send(Said(text="eve alone"), exclude={ann_ws, bob_ws, stranger}) == 1
    assert await group.send(Said(text="to ann"), to=ann_ws) == 1
    assert await group.send(Said(text="to two"), to=(ws for ws in group if ws is not eve_ws)) == 2
    assert await group.send(Said(text="to eve"), to=[ann_ws, eve_ws, eve_ws, stranger], exclude=[ann_ws]) == 1
    assert await group.send(Said(text="to nobody"), to=stranger) == 0
    assert await group.send(Said(text="to nobody"), to=()) == 0
    await settle()
    assert ann.texts == ["not bob", "to ann", "to two"]
    assert bob.texts == ["to two"]
    assert eve.texts == ["not bob", "eve alone", "to eve"]


async def test_messages_to_a_part_of_the_members_keep_their_order(peers: Peers, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    ann, ann_ws, _ = await peers.member(stack, group)
    bob, bob_ws, _ = await peers.member(stack, group)
    for number, to in enumerate([ann_ws, ann_ws, None, bob_ws, None, bob_ws, bob_ws, ann_ws]):
        await settle()
        await group.send(Said(text=str(number)), to=to)
    await settle()
    assert ann.texts == ["0", "1", "2", "4", "7"]
    assert bob.texts == ["2", "3", "4", "5", "6"]


def tasks_alive() -> int:
    if running_trio():
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())


async def test_an_idle_group_has_no_task(peers: Peers, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    before = tasks_alive()
    members = [await peers.member(stack, group) for _ in range(300)]
    await group.send(Said(text="a"))
    await settle()
    assert tasks_alive() == before
    assert {len(peer.events) for peer, _, _ in members} == {1}


async def test_servers_whose_send_always_waits_need_few_turns_and_the_order_is_kept(stack: AsyncExitStack) -> None:
    events: dict[int, list[str]] = {number: [] for number in range(100)}

    def server(number: int) -> AnyWebSocket:
        async def receive() -> Event:
            return CONNECT

        async def send(event: Event) -> None:
            await anyio.lowlevel.checkpoint()
            if event["type"] == "websocket.send":
                events[number].append(json.loads(event["text"])["text"])

        return WebSocket[Any, Said](scope(), receive, send)

    group: Group[Said] = Group()
    for number in events:
        await (ws := server(number)).accept()
        await stack.enter_async_context(group.joined(ws))
    turns = 0
    for letter in "abc":
        await group.send(Said(text=letter))
        while not all(received[-1:] == [letter] for received in events.values()):
            await anyio.lowlevel.checkpoint()
            turns += 1
    assert all(received == ["a", "b", "c"] for received in events.values())
    assert turns <= 3 * 12, "the tasks double in each turn"


async def test_a_message_is_sent_in_the_context_of_its_sender(stack: AsyncExitStack) -> None:
    request: ContextVar[str] = ContextVar("request", default="none")
    contexts: list[str] = []

    async def receive() -> Event:
        return CONNECT

    async def send(event: Event) -> None:
        if event["type"] == "websocket.send":
            contexts.append(request.get())

    ws = WebSocket[Any, Said](scope(), receive, send)
    await ws.accept()
    group: Group[Said] = Group()
    await stack.enter_async_context(group.joined(ws))
    for name in ("first", "second"):
        request.set(name)
        await group.send(Said(text="a"))
        await settle()
    assert contexts == ["first", "second"]


async def test_a_send_that_swallows_its_cancellation_is_cancelled_again(peers: Peers) -> None:
    cancellations = 0

    async def receive() -> Event:
        return CONNECT

    async def send(event: Event) -> None:
        nonlocal cancellations
        while event["type"] == "websocket.send" and cancellations < 3:
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                cancellations += 1

    ws = WebSocket[Any, Said](scope(), receive, send)
    await ws.accept()
    group: Group[Said] = Group()
    with anyio.fail_after(5), pytest.raises(Failure):
        async with group.joined(ws):
            await group.send(Said(text="a"))
            await settle()
            raise Failure
    assert cancellations == 3


async def test_a_group_is_a_collection_of_its_members(peers: Peers, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    assert (len(group), list(group)) == (0, [])
    _, ann, _ = await peers.member(stack, group)
    _, bob, _ = await peers.member(stack, group)
    assert (len(group), list(group)) == (2, [ann, bob])
    assert ann in group
    assert "ann" not in group
    await stack.aclose()
    assert (len(group), list(group)) == (0, [])
    assert ann not in group


async def test_an_empty_group_accepts_any_message(peers: Peers) -> None:
    group: Group[Any] = Group()
    assert await group.send(object()) == 0


# --- encoding ---


class Counting(TextJSON):
    """A codec that counts the messages that it encodes."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def model_encoder(self, adapter: Any) -> Callable[[Any], str]:
        encode = super().model_encoder(adapter)

        def counted(message: Any) -> str:
            self.count += 1
            return encode(message)

        return counted


@pytest.mark.parametrize("declared", [Said, object, Said | Price])
async def test_a_message_is_encoded_once_for_each_mode(peers: Peers, stack: AsyncExitStack, declared: Any) -> None:
    group: Group[Any] = Group()
    codecs = Counting(), Counting()
    members = [await peers.member(stack, group, declared, mode=codecs[number % 2]) for number in range(10)]
    await group.send(Said(text="a"))
    await settle()
    assert [codec.count for codec in codecs] == [1, 1]
    assert [peer.texts for peer, _, _ in members] == [["a"]] * 10
    assert len({id(peer.events[0]) for peer, _, _ in members}) == 2


async def test_each_member_receives_a_message_in_its_own_mode(peers: Peers, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    ann, _, _ = await peers.member(stack, group)
    bob, _, _ = await peers.member(stack, group, mode="binary")
    await group.send(Said(text="a"))
    await settle()
    assert ann.events == [{"type": "websocket.send", "text": '{"text":"a"}'}]
    assert bob.events == [{"type": "websocket.send", "bytes": b'{"text":"a"}'}]


async def test_a_message_is_serialized_as_each_member_declares_it(peers: Peers, stack: AsyncExitStack) -> None:
    class Aliased(BaseModel):
        text: str = Field(alias="t")

    group: Group[Any] = Group()
    ann, ann_ws, _ = await peers.member(stack, group, Said)
    bob, bob_ws, _ = await peers.member(stack, group, object)
    eve, eve_ws, _ = await peers.member(stack, group, Aliased | Said)
    await group.send(Stored(text="a"))
    await group.send(Aliased(t="b"), to=[bob_ws, eve_ws])
    await settle()
    assert ann.messages == [{"text": "a"}]
    assert bob.messages == [{"text": "a", "secret": "s"}, {"t": "b"}]
    assert eve.messages == [{"text": "a"}, {"t": "b"}]
    assert ann_ws in group


async def test_a_message_that_one_member_cannot_send_is_sent_to_no_member(peers: Peers, stack: AsyncExitStack) -> None:
    group: Group[Any] = Group(on_overflow="conflate", key=lambda message: message)
    ann, _, _ = await peers.member(stack, group, Said | Price)
    bob, _, _ = await peers.member(stack, group, Said)
    with pytest.raises(UnsendableMessage):
        await group.send(Price(symbol="X", price=1))
    with pytest.raises(TypeError, match="unhashable"):
        await group.send(Said(text="a"))
    await settle()
    assert ann.started_sends == bob.started_sends == 0
    assert group.statistics == GroupStatistics(members=2, pending=0, sent=0, dropped=0, closed=0)


# --- slow members ---


async def send_to_stuck_member(
    peers: Peers, stack: AsyncExitStack, on_overflow: Overflow, count: int = 6, **options: Any
) -> tuple[Peer, Member, Group[Said]]:
    """Send "0", "1", ... to a member that reads nothing."""
    group: Group[Said] = Group(max_pending=2, on_overflow=on_overflow, **options)
    peer, _, member = await peers.member(stack, group, reads=False)
    for number in range(count):
        assert await group.send(Said(text=str(number))) == (on_overflow != "drop_newest" or number < 3)
        await settle()
    return peer, member, group


def counts(member: Member) -> tuple[int, int, int]:
    return member.sent, member.dropped, member.pending


async def test_drop_oldest_drops_the_oldest_waiting_message(peers: Peers, stack: AsyncExitStack) -> None:
    peer, member, group = await send_to_stuck_member(peers, stack, "drop_oldest")
    assert counts(member) == (0, 3, 3)
    peer.resume()
    await settle()
    assert peer.texts == ["0", "4", "5"]
    assert counts(member) == (3, 3, 0)
    assert group.statistics == GroupStatistics(members=1, pending=0, sent=3, dropped=3, closed=0)


async def test_drop_newest_drops_the_new_message(peers: Peers, stack: AsyncExitStack) -> None:
    peer, member, _ = await send_to_stuck_member(peers, stack, "drop_newest")
    assert counts(member) == (0, 3, 3)
    peer.resume()
    await settle()
    assert peer.texts == ["0", "1", "2"]


async def test_conflate_puts_a_message_in_the_place_of_the_old_one_of_its_key(
    peers: Peers, stack: AsyncExitStack
) -> None:
    group: Group[Price] = Group(max_pending=2, on_overflow="conflate", key=lambda price: price.symbol)
    peer, _, member = await peers.member(stack, group, Price, reads=False)
    for symbol, price in [("A", 1), ("A", 2), ("B", 3), ("A", 4), ("A", 5), ("B", 6)]:
        assert await group.send(Price(symbol=symbol, price=price)) == 1
        await settle()
    assert counts(member) == (0, 3, 3)
    peer.resume()
    await settle()
    assert [(price["symbol"], price["price"]) for price in peer.messages] == [("A", 1), ("A", 5), ("B", 6)]


def text_of(message: Said) -> str:
    return message.text


async def test_conflate_sends_the_newest_message_of_each_key_of_a_burst_once(
    peers: Peers, stack: AsyncExitStack
) -> None:
    group: Group[Price] = Group(on_overflow="conflate", key=lambda price: price.symbol)
    peer, _, member = await peers.member(stack, group, Price)
    async with anyio.create_task_group() as tasks:
        for symbol, price in [("A", 1), ("A", 2), ("B", 3), ("A", 4), ("B", 5)]:
            tasks.start_soon(group.send, Price(symbol=symbol, price=price))
    await settle()
    newest = {message["symbol"]: message["price"] for message in peer.messages}
    assert len(peer.messages) == len(newest) == 2
    assert counts(member) == (2, 3, 0)


@pytest.mark.parametrize("on_overflow", ["close", "conflate"])
async def test_a_slow_member_is_closed_with_1008_and_its_block_ends(peers: Peers, on_overflow: Overflow) -> None:
    group: Group[Said] = Group(
        max_pending=2, on_overflow=on_overflow, key=text_of if on_overflow == "conflate" else None
    )
    peer, other = peers.peer(reads=False), peers.peer()
    ws = await peer.accepted()
    ends: list[WebSocketDisconnect] = []
    members: list[Member] = []

    async def handle() -> None:
        with pytest.raises(WebSocketDisconnect) as caught:
            async with group.joined(ws) as member:
                members.append(member)
                try:
                    await anyio.sleep_forever()
                finally:
                    await ws.close(1000, "as always")
        ends.append(caught.value)

    with anyio.fail_after(5):
        async with group.joined(await other.accepted()), anyio.create_task_group() as tasks:
            tasks.start_soon(handle)
            await settle()
            for number in range(5):
                assert await group.send(Said(text=str(number))) == (2 if number < 3 else 1)
                await settle()
    assert other.texts == ["0", "1", "2", "3", "4"]
    assert peer.closed_with == (1008, "reads too slowly")
    [end] = ends
    assert type(end) is WebSocketDisconnect
    assert (end.code, end.reason, end.closed_by) == (1008, "reads too slowly", "application")
    assert end.__cause__ is None
    assert counts(members[0]) == (0, 4, 0)
    assert group.statistics == GroupStatistics(members=0, pending=0, sent=5, dropped=4, closed=1)


async def test_a_slow_member_leaves_the_group_before_its_close(peers: Peers) -> None:
    group: Group[Said] = Group(max_pending=1)
    ws = await peers.peer(reads=False).accepted()
    queued: list[int] = []

    async def send_text() -> None:
        queued.append(await group.send(Said(text="a")))

    with anyio.fail_after(5):
        with pytest.raises(WebSocketDisconnect):
            async with group.joined(ws):
                await fill(group, 2)
                with anyio.CancelScope(shield=True):
                    async with anyio.create_task_group() as tasks:
                        for _ in range(5):
                            tasks.start_soon(send_text)
    assert queued == [0] * 5
    assert group.statistics == GroupStatistics(members=0, pending=0, sent=0, dropped=3, closed=1)


async def test_a_slow_member_is_closed_even_if_its_handler_is_stuck_in_a_send(peers: Peers) -> None:
    group: Group[Said] = Group(max_pending=1)
    peer = peers.peer(reads=False)
    ws = await peer.accepted()

    async def handle() -> None:
        with pytest.raises(WebSocketDisconnect):
            async with group.joined(ws):
                await ws.send_model(Said(text="direct"))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(handle)
            await settle()
            for number in range(3):
                await group.send(Said(text=str(number)))
                await settle()
    assert peer.closed_with == (1008, "reads too slowly")


async def test_a_block_that_ends_while_its_member_is_closed_raises_the_disconnect(peers: Peers) -> None:
    group: Group[Said] = Group(max_pending=1)
    peer = peers.peer(reads=False)
    ws = await peer.accepted()
    with anyio.fail_after(5), pytest.raises(WebSocketDisconnect) as caught:
        async with group.joined(ws):
            await fill(group, 3)
    assert caught.value.code == 1008
    assert peer.closed_with == (1008, "reads too slowly")


async def test_a_write_that_ends_as_its_wait_times_out_is_not_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "_RECANCEL_AFTER", 0.0)

    class Racing(Closing):
        async def wait_until_written(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                self.writing = None

    outbox = Racing(Session(None, None), None, str, 1, Counts(), lambda: None, lambda _: None)
    outbox.writing = anyio.CancelScope()
    with anyio.fail_after(5):
        await outbox.wait_until_stopped()


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_stuck_close_delays_no_other_member_and_is_abandoned(
    peers: Peers, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, is_cancelled: bool
) -> None:
    monkeypatch.setattr(session_module, "CLOSE_TIMEOUT", 0.05)
    group: Group[Said] = Group(max_pending=1)
    other, _, _ = await peers.member(stack, group)
    peer = peers.peer(reads=False)
    peer.ignores_close = True
    ws = await peer.accepted()
    ends: list[int] = []
    outside = anyio.CancelScope()

    async def handle() -> None:
        with outside, pytest.raises(WebSocketDisconnect) as caught:
            async with group.joined(ws):
                await anyio.sleep_forever()
        ends.append(1000 if outside.cancelled_caught else caught.value.code)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(handle)
        await settle()
        for number in range(5):
            await group.send(Said(text=str(number)))
        if is_cancelled:
            outside.cancel()
        await group.send(Said(text="last"))
        assert other.texts[:5] == ["0", "1", "2", "3", "4"]
        assert ends == []
    assert ends == [1000 if is_cancelled else 1008]
    assert (await ws.close()).code == 1008
    assert group.statistics.closed == 1


class Failure(Exception):
    pass


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_block_with_a_nursery_of_its_own_is_cancelled_as_a_whole(peers: Peers) -> None:
    group: Group[Said] = Group(max_pending=1)
    ws = await peers.peer(reads=False).accepted()

    async def handle() -> None:
        with pytest.raises(WebSocketDisconnect):
            async with group.joined(ws), trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                await trio.sleep_forever()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(handle)
            await settle()
            await fill(group, 3)
    assert group.statistics.closed == 1


async def test_a_block_that_fails_while_its_member_is_closed_raises_its_own_exception(peers: Peers) -> None:
    group: Group[Said] = Group(max_pending=1)
    peer = peers.peer(reads=False)
    ws = await peer.accepted()
    with anyio.fail_after(5), pytest.raises(Failure):
        async with group.joined(ws):
            await anyio.lowlevel.checkpoint()
            with suppress(BaseException):
                await fill(group, 3)
            raise Failure
    assert peer.closed_with == (1008, "reads too slowly")


async def fill(group: Group[Said], count: int) -> None:
    for number in range(count):
        await group.send(Said(text=str(number)))
        with anyio.CancelScope(shield=True):
            await settle()


async def test_a_disconnected_member_is_not_closed_for_being_slow(peers: Peers) -> None:
    group: Group[Said] = Group(max_pending=1)
    peer = peers.peer(reads=False)
    ws = await peer.accepted()
    with anyio.fail_after(5):
        async with group.joined(ws) as member:
            await group.send(Said(text="a"))
            peer.deliver(disconnect(4001))
            with pytest.raises(WebSocketDisconnect):
                await ws.receive_text()
            for _ in range(3):
                await group.send(Said(text="a"))
                await settle()
            assert ws not in group
            assert counts(member) == (0, 3, 0)
    assert peer.closed_with is None
    assert group.statistics.closed == 0


async def test_a_burst_before_the_first_write_may_exceed_the_limit(peers: Peers) -> None:
    group: Group[Said] = Group(max_pending=2, on_overflow="drop_oldest")
    peer = peers.peer()
    with anyio.fail_after(5):
        async with group.joined(await peer.accepted()) as member:
            async with anyio.create_task_group() as tasks:
                for number in range(50):
                    tasks.start_soon(group.send, Said(text=str(number)))
            await settle()
            assert sorted(peer.texts, key=int) == [str(number) for number in range(50)]
            peer.pause()
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(group.send, Said(text="burst"))
            await settle()
            await group.send(Said(text="one more"))
            assert member.pending == 3
            peer.resume()
            await settle()
            assert peer.texts[50:] == ["burst", "burst", "one more"]
            assert counts(member) == (53, 8, 0)


# --- waiting for room ---


async def test_only_the_sender_waits_for_room(peers: Peers, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group(max_pending=1, on_overflow="block")
    slow, slow_ws, member = await peers.member(stack, group, reads=False)
    fast, fast_ws, _ = await peers.member(stack, group)
    returned: list[str] = []

    async def send_text(letter: str) -> None:
        assert await group.send(Said(text=letter)) == 2
        returned.append(letter)

    async with anyio.create_task_group() as tasks:
        for letter in "abcd":
            tasks.start_soon(send_text, letter)
            await settle()
        assert returned == ["a", "b"]
        assert fast.texts == ["a", "b", "c", "d"]
        assert counts(member) == (0, 0, 2)
        await group.send(Said(text="to fast"), to=fast_ws)
        slow.resume()
    await settle()
    assert sorted(returned) == ["a", "b", "c", "d"]
    assert slow.texts == ["a", "b", "c", "d"]
    assert slow_ws in group


async def test_a_sender_waits_for_several_members_and_is_not_overtaken(peers: Peers, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group(max_pending=1, on_overflow="block")
    slow = [await peers.member(stack, group, reads=False) for _ in range(2)]
    async with anyio.create_task_group() as tasks:
        for letter in "abcd":
            tasks.start_soon(group.send, Said(text=letter))
            await settle()
        slow[1][0].resume()
        await settle()
        assert slow[1][0].texts == ["a", "b", "c", "d"]
        await group.send(Said(text="e"), to=slow[1][1])
        slow[0][0].resume()
    await settle()
    assert slow[0][0].texts == ["a", "b", "c", "d"]
    assert slow[1][0].texts == ["a", "b", "c", "d", "e"]


async def test_a_sender_cancelled_while_it_waits_leaves_nothing_behind(peers: Peers, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group(max_pending=1, on_overflow="block")
    slow = [await peers.member(stack, group, reads=False) for _ in range(2)]
    fast, _, _ = await peers.member(stack, group)
    await group.send(Said(text="a"))
    await group.send(Said(text="b"))
    async with anyio.create_task_group() as tasks:
        cancel = anyio.CancelScope()

        async def send_text(letter: str) -> None:
            with cancel:
                await group.send(Said(text=letter))

        tasks.start_soon(send_text, "cancelled")
        await settle()
        tasks.start_soon(group.send, Said(text="c"))
        await settle()
        cancel.cancel()
        await settle()
        for peer, _, _ in slow:
            peer.resume()
    await settle()
    assert fast.texts == ["a", "b", "cancelled", "c"]
    assert [peer.texts for peer, _, _ in slow] == [["a", "b", "c"]] * 2
    assert [counts(member) for _, _, member in slow] == [(3, 0, 0)] * 2


@pytest.mark.parametrize("how", ["leaves", "goes"])
async def test_a_sender_does_not_wait_for_a_member_that_left_or_was_lost(
    peers: Peers, stack: AsyncExitStack, how: str
) -> None:
    group: Group[Said] = Group(max_pending=1, on_overflow="block")
    peer = peers.peer(reads=False)
    ws = await peer.accepted()
    end = anyio.Event()
    returned: list[int] = []

    async def handle() -> None:
        with suppress(Failure):
            async with group.joined(ws):
                await end.wait()
                raise Failure

    async def send_text() -> None:
        returned.append(await group.send(Said(text="too much")))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(handle)
        await settle()
        await fill(group, 2)
        tasks.start_soon(send_text)
        tasks.start_soon(send_text)
        await settle()
        assert returned == []
        if how == "leaves":
            end.set()
        else:
            peer.vanish()
        await settle()
        assert returned == [0, 0]
        assert group.statistics.dropped == 4
        assert len(group) == 0
        end.set()


# --- joining and leaving ---


@pytest.mark.parametrize("state", ["connecting", "closed", "denied"])
async def test_only_an_accepted_connection_can_join(state: str) -> None:
    ws = await not_connected(WebSocket, state)
    group: Group[Any] = Group()
    with pytest.raises(InvalidState if state == "connecting" else WebSocketDisconnected):
        async with group.joined(ws):
            pass
    assert len(group) == 0


async def test_a_disconnected_connection_cannot_join(peers: Peers) -> None:
    group: Group[Said] = Group()
    peer = peers.peer()
    ws = await peer.accepted()
    peer.deliver(disconnect(4001))
    with pytest.raises(WebSocketDisconnect):
        await ws.receive_text()
    with pytest.raises(WebSocketDisconnected) as caught:
        await group.joined(ws).__aenter__()
    assert caught.value.code == 4001


async def test_a_member_cannot_join_again(peers: Peers, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    peer, ws, _ = await peers.member(stack, group)
    with pytest.raises(InvalidState, match="this connection is already a member of the group"):
        async with group.joined(ws):
            pass
    assert ws in group
    await group.send(Said(text="a"))
    await settle()
    assert peer.texts == ["a"]


async def test_a_connection_may_join_again_and_join_several_groups(peers: Peers) -> None:
    one: Group[Said] = Group()
    two: Group[Said] = Group()
    peer = peers.peer()
    ws = await peer.accepted()
    joined = one.joined(ws)
    with anyio.fail_after(5):
        for letter in "ab":
            async with joined, two.joined(ws):
                await one.send(Said(text=letter))
                await two.send(Said(text=letter.upper()))
            await one.send(Said(text="unheard"))
    assert sorted(peer.texts) == ["A", "B", "a", "b"]


async def test_pending_messages_are_still_sent_when_a_block_ends(peers: Peers) -> None:
    group: Group[Said] = Group()
    peer = peers.peer(reads=False)
    ws = await peer.accepted()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks, group.joined(ws):
            await group.send(Said(text="a"))
            await group.send(Said(text="b"))
            tasks.start_soon(read_when_settled, peer, group)
    assert peer.texts == ["a", "b"]
    assert group.statistics == GroupStatistics(members=0, pending=0, sent=2, dropped=0, closed=0)


async def read_when_settled(peer: Peer, group: Group[Said]) -> None:
    await settle()
    assert len(group) == 0
    peer.resume()


async def test_a_leaving_member_waits_a_limited_time_for_a_peer_that_does_not_read(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_module, "LEAVE_TIMEOUT", 0.01)
    group: Group[Said] = Group()
    peer = peers.peer(reads=False)
    ws = await peer.accepted()
    with anyio.fail_after(5):
        async with group.joined(ws) as member:
            await fill(group, 3)
        assert counts(member) == (0, 3, 0)
        peer.resume()
        await ws.send_model(Said(text="as usable as before"))
    assert peer.texts == ["as usable as before"]


async def test_a_member_that_closed_inside_its_block_leaves_at_once(peers: Peers) -> None:
    group: Group[Said] = Group()
    peer = peers.peer()
    ws = await peer.accepted()
    with anyio.fail_after(5):
        async with group.joined(ws) as member:
            await ws.close(4000)
            await group.send(Said(text="a"))
            await settle()
            assert ws not in group
    assert (peer.events, peer.closed_with) == ([], (4000, ""))
    assert counts(member) == (0, 1, 0)


async def test_an_exception_of_the_block_passes_unchanged(peers: Peers) -> None:
    group: Group[Said] = Group()
    peer = peers.peer(reads=False)
    ws = await peer.accepted()
    failure = Failure()
    with anyio.fail_after(5), pytest.raises(Failure) as caught:
        async with group.joined(ws):
            await fill(group, 2)
            raise failure
    assert caught.value is failure
    assert failure.__cause__ is None
    assert failure.__context__ is None
    assert group.statistics == GroupStatistics(members=0, pending=0, sent=0, dropped=2, closed=0)


async def test_a_cancellation_from_outside_passes(peers: Peers) -> None:
    group: Group[Said] = Group()
    peer = peers.peer(reads=False)
    ws = await peer.accepted()
    with anyio.fail_after(5):
        with anyio.CancelScope() as outside:
            async with group.joined(ws):
                await fill(group, 2)
                outside.cancel()
                await anyio.sleep_forever()
        assert outside.cancelled_caught
        assert (len(group), group.statistics.dropped) == (0, 2)
        peer.resume()
        await ws.send_model(Said(text="as usable as before"))


async def test_a_cancellation_during_leaving_passes(peers: Peers) -> None:
    group: Group[Said] = Group()
    peer = peers.peer(reads=False)
    ws = await peer.accepted()
    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(5), anyio.CancelScope() as outside:

            async def cancel() -> None:
                await settle()
                outside.cancel()

            async with group.joined(ws):
                await fill(group, 2)
                tasks.start_soon(cancel)
        assert outside.cancelled_caught
    assert (len(group), group.statistics.dropped) == (0, 2)


@pytest.mark.parametrize("is_outside", [False, True])
@pytest.mark.parametrize("reads", [False, True])
async def test_joined_can_be_combined_with_cancelled_on_disconnect(peers: Peers, is_outside: bool, reads: bool) -> None:
    group: Group[Said] = Group(max_pending=1)
    peer = peers.peer(reads=reads)
    ws = await peer.accepted()
    blocks: list[AbstractAsyncContextManager[Any, None]] = [group.joined(ws), ws.cancelled_on_disconnect()]
    outer, inner = blocks[::-1] if is_outside else blocks
    ends: list[int] = []

    async def handle() -> None:
        with pytest.raises(WebSocketDisconnect) as caught:
            async with outer, inner:
                await anyio.sleep_forever()
        ends.append(caught.value.code)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(handle)
            await settle()
            await fill(group, 3)
            peer.deliver(disconnect(4001))
    assert ends == [4001 if reads else 1008]
    assert len(group) == 0


# --- members that fail ---


async def test_a_lost_member_affects_no_other_and_can_receive_earlier_messages(
    peers: Peers, stack: AsyncExitStack
) -> None:
    group: Group[Said] = Group()
    dead, dead_ws, member = await peers.member(stack, group)
    ann, ann_ws, _ = await peers.member(stack, group)
    dead.deliver(text("last words"), disconnect(4001))
    dead.vanish()
    assert await group.send(Said(text="a")) == 2
    await settle()
    assert list(group) == [ann_ws]
    assert await group.send(Said(text="b")) == 1
    await settle()
    assert ann.texts == ["a", "b"]
    assert counts(member) == (0, 1, 0)
    assert [message async for message in dead_ws.iter_text()] == ["last words"]


async def test_an_exception_of_the_server_ends_the_block(peers: Peers, stack: AsyncExitStack) -> None:
    async def broken(event: Event) -> None:
        if event["type"] == "websocket.send":
            raise Failure

    group: Group[Said] = Group()
    ann, _, _ = await peers.member(stack, group)
    peer = peers.peer()
    peer.deliver(CONNECT)
    ws = WebSocket[Any, Said](scope(), peer.receive, broken)
    await ws.accept()
    with pytest.raises(Failure):
        async with group.joined(ws):
            await group.send(Said(text="a"))
            await anyio.sleep_forever()
    assert ws not in group
    assert ann.texts == ["a"]


async def test_members_may_join_and_leave_during_a_send(peers: Peers, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group(max_pending=1, on_overflow="block")
    slow, _, _ = await peers.member(stack, group, reads=False)
    leaver, newcomer = peers.peer(), peers.peer()
    async with anyio.create_task_group() as tasks:
        leaves, stays = anyio.Event(), anyio.Event()
        tasks.start_soon(attend, group, await leaver.accepted(), leaves)
        await settle()
        await fill(group, 2)
        tasks.start_soon(group.send, Said(text="2"))
        await settle()
        leaves.set()
        tasks.start_soon(attend, group, await newcomer.accepted(), stays)
        await settle()
        slow.resume()
        await group.send(Said(text="3"))
        await settle()
        stays.set()
    assert slow.texts == ["0", "1", "2", "3"]
    assert leaver.texts == ["0", "1", "2"]
    assert newcomer.texts == ["3"]


async def attend(group: Group[Said], ws: AnyWebSocket, until: anyio.Event) -> None:
    async with group.joined(ws):
        await until.wait()


async def test_messages_of_several_tasks_are_sent_in_the_order_of_the_calls(
    peers: Peers, stack: AsyncExitStack
) -> None:
    group: Group[Said] = Group(max_pending=1000)
    receivers = [(await peers.member(stack, group))[0] for _ in range(3)]
    sent: list[str] = []

    async def send(name: str) -> None:
        for number in range(20):
            sent.append(f"{name}{number}")
            await group.send(Said(text=sent[-1]))

    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(send, name)
    await settle()
    assert [peer.texts for peer in receivers] == [sent] * 3


async def test_direct_sends_and_messages_of_the_group_are_all_sent(peers: Peers, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    peer, ws, _ = await peers.member(stack, group, reads=False)
    async with anyio.create_task_group() as tasks:
        await fill(group, 1)
        tasks.start_soon(ws.send_model, Said(text="direct"))
        await settle()
        await fill(group, 2)
        peer.resume()
    await settle()
    assert sorted(peer.texts) == ["0", "0", "1", "direct"]


async def test_a_cancelled_send_still_reaches_all_members(peers: Peers, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    peer, _, _ = await peers.member(stack, group)
    with anyio.CancelScope() as cancel:
        cancel.cancel()
        await group.send(Said(text="farewell"))
    await settle()
    assert peer.texts == ["farewell"]


def test_a_group_works_on_successive_event_loops(peers: Peers) -> None:
    group: Group[Said] = Group()

    async def serve() -> list[str]:
        peer = peers.peer()
        async with group.joined(await peer.accepted()):
            await settle()
            await group.send(Said(text="a"))
            await settle()
        return peer.texts

    assert [anyio.run(serve, backend=backend) for backend in ("asyncio", "trio", "asyncio")] == [["a"]] * 3


def test_an_event_loop_can_end_while_a_member_does_not_read(peers: Peers) -> None:
    group: Group[Said] = Group(max_pending=1)
    statistics: list[GroupStatistics] = []

    async def handle(*, ignores_close: bool) -> None:
        peer = peers.peer(reads=False)
        peer.ignores_close = ignores_close
        async with group.joined(await peer.accepted()):
            await anyio.sleep_forever()

    async def main() -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(handle(ignores_close=ignores_close)) for ignores_close in (False, True)]
        await settle()
        for _ in range(3):  # The last one exceeds the limit: both connections are being closed, one for ever.
            statistics.append(group.statistics)
            await group.send(Said(text="a"))
        return tasks

    tasks = asyncio.run(main())
    assert all(task.done() for task in tasks)
    assert [each.members for each in statistics] == [2, 2, 2]
    assert group.statistics == GroupStatistics(members=0, pending=0, sent=0, dropped=6, closed=1)


def test_an_event_loop_can_end_while_members_wait_for_their_turn(peers: Peers) -> None:
    group: Group[Said] = Group()

    async def handle() -> None:
        async with group.joined(await peers.peer(reads=False).accepted()):
            await anyio.sleep_forever()

    async def main() -> None:
        tasks.extend(asyncio.create_task(handle()) for _ in range(5))
        await settle()
        await group.send(Said(text="a"))

    tasks: list[asyncio.Task[None]] = []
    asyncio.run(main())
    assert all(task.done() for task in tasks)
    assert group.statistics == GroupStatistics(members=0, pending=0, sent=0, dropped=5, closed=0)


async def test_a_connection_that_left_is_freed(peers: Peers) -> None:
    group: Group[Said] = Group(max_pending=1)

    async def visit(*, reads: bool) -> "weakref.ref[AnyWebSocket]":
        ws = await peers.peer(reads=reads).accepted()
        with suppress(WebSocketDisconnect):
            async with group.joined(ws):
                await fill(group, 3)
        peers.all.pop().close()
        return weakref.ref(ws)

    with anyio.fail_after(5):
        for reads in (True, False):
            left = await visit(reads=reads)
            await settle()  # asyncio keeps what a task raised for one more turn
            gc.collect()
            assert left() is None
    assert group.statistics == GroupStatistics(members=0, pending=0, sent=3, dropped=3, closed=1)


# --- the options ---


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_pending": 0}, "expected max_pending to be at least 1, found 0"),
        ({"on_overflow": "drop"}, "expected on_overflow to be one of "),
        ({"on_overflow": "conflate"}, 'expected a key with on_overflow="conflate"'),
        ({"on_overflow": "close", "key": str}, 'expected no key with on_overflow="close"'),
    ],
)
def test_invalid_options_raise_at_once(options: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        Group[Any](**options)


# --- many members ---


class Servers:
    """A thousand servers whose clients read, except for the first ones. Each counts the messages it has written."""

    def __init__(self, stuck: int) -> None:
        self.written = [0] * 1000
        self.stuck = stuck
        self.resumed = anyio.Event()

    def fewest(self) -> int:
        """The number of messages that every reading client has received at least."""
        return min(self.written[self.stuck :])

    async def socket(self, number: int) -> AnyWebSocket:
        async def receive() -> Event:
            return CONNECT

        async def send(event: Event) -> None:
            if event["type"] == "websocket.send":
                if number < self.stuck:
                    await self.resumed.wait()
                self.written[number] += 1

        ws = WebSocket[Any, Said](scope(), receive, send)
        await ws.accept()
        return ws


async def turns_until(servers: Servers, count: int) -> int:
    """Yield until all reading clients have received so many messages, and return how many turns that took."""
    turns = 0
    while servers.fewest() < count:
        await anyio.lowlevel.checkpoint()
        turns += 1
    return turns


@pytest.mark.parametrize("on_overflow", ["close", "drop_oldest"])
async def test_ten_slow_members_of_a_thousand_cost_the_others_no_time_and_no_memory(
    on_overflow: Overflow,
) -> None:
    servers = Servers(stuck=10)
    group: Group[Said] = Group(max_pending=8, on_overflow=on_overflow)
    size = 10_000
    turns: list[int] = []
    kept: list[int] = []

    async def handle(ws: AnyWebSocket) -> None:
        with suppress(WebSocketDisconnect):
            async with group.joined(ws):
                await anyio.sleep_forever()

    with anyio.fail_after(50):
        async with anyio.create_task_group() as tasks:
            for number in range(1000):
                tasks.start_soon(handle, await servers.socket(number))
            await settle()
            tracemalloc.start()
            try:
                for number in range(24):
                    await group.send(Said(text="x" * size))
                    turns.append(await turns_until(servers, number + 1))
                    kept.append(tracemalloc.get_traced_memory()[0])
            finally:
                tracemalloc.stop()
            assert max(turns) <= 4, "turns of the event loop until 990 members have it, at most 256 in one turn"
            assert max(kept) - kept[0] < 10 * (8 + 1) * size, "bytes: ten outboxes and ten messages being sent"
            assert max(kept[12:]) - kept[12] < 2 * size, "bytes: of twelve more messages none is kept"
            assert group.statistics == GroupStatistics(
                members=990 if on_overflow == "close" else 1000,
                pending=0 if on_overflow == "close" else 10 * (8 + 1),
                sent=990 * 24,
                dropped=10 * (8 + 2) if on_overflow == "close" else 10 * (24 - 8 - 1),
                closed=10 if on_overflow == "close" else 0,
            )
            assert servers.written == [0] * 10 + [24] * 990
            tasks.cancel_scope.cancel()
    assert len(group) == 0
