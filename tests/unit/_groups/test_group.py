"""`Group`: each member hears all that is said to it, at its own pace; who is slow, leaves or fails is so alone."""

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

from tests.support import CONNECT, AnyWebSocket, Event, connecting, disconnect, scope, text
from typedws._connection import session as session_module
from typedws._groups import group as group_module
from typedws._groups.group import Group, GroupStatistics, Member
from typedws._groups.outbox import Overflow
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
    """A client that reads only while it is told to, on a server that waits for it."""

    def __init__(self, *, reads: bool = True) -> None:
        self._put, self._get = anyio.create_memory_object_stream[Event](1000)
        self._may_read = anyio.Event()
        self._is_gone = False
        self.events: list[Event] = []
        self.closed_with: tuple[int, str] | None = None
        self.begun = 0
        self.is_deaf = False
        if reads:
            self.reads()

    def reads(self) -> None:
        self._may_read.set()

    def stops(self) -> None:
        self._may_read = anyio.Event()

    def goes(self) -> None:
        """Vanish: the server raises on each send, that which waits included."""
        self._is_gone = True
        self._may_read.set()

    def does(self, *events: Event) -> None:
        for event in events:
            self._put.send_nowait(event)

    async def receive(self) -> Event:
        return await self._get.receive()

    async def send(self, event: Event) -> None:
        if event["type"] == "websocket.close":
            if self.is_deaf:
                await anyio.sleep_forever()
            self.closed_with = event["code"], event["reason"]
        elif event["type"] == "websocket.send":
            self.begun += 1
            if not self._may_read.is_set():
                await self._may_read.wait()
            if self._is_gone:
                raise OSError
            self.events.append(event)

    async def accepted(self, says: Any = Said, **options: Any) -> AnyWebSocket:
        self.does(CONNECT)
        ws = WebSocket[Any, says](scope(), self.receive, self.send, **options)
        await ws.accept()
        return ws

    @property
    def heard(self) -> list[Any]:
        return [json.loads(event["text"]) for event in self.events]

    @property
    def words(self) -> list[str]:
        return [message["text"] for message in self.heard]

    def close(self) -> None:
        self._put.close()
        self._get.close()


class Everybody:
    """Makes peers, and ends them with the test."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []

    def peer(self, *, reads: bool = True) -> Peer:
        self.peers.append(Peer(reads=reads))
        return self.peers[-1]

    async def member(
        self, stack: AsyncExitStack, group: Group[Any], says: Any = Said, *, reads: bool = True, **options: Any
    ) -> tuple[Peer, AnyWebSocket, Member]:
        peer = self.peer(reads=reads)
        ws = await peer.accepted(says, **options)
        return peer, ws, await stack.enter_async_context(group.joined(ws))


@pytest.fixture
def everybody() -> Iterator[Everybody]:
    everybody = Everybody()
    yield everybody
    for peer in everybody.peers:
        peer.close()


@pytest.fixture
async def stack(everybody: Everybody) -> AsyncGenerator[AsyncExitStack]:
    """Ends the memberships with the test, which has ten seconds."""
    with anyio.fail_after(10):
        async with AsyncExitStack() as stack:
            yield stack
            for peer in everybody.peers:
                peer.reads()  # a member leaves when it has heard what is pending


settled = anyio.wait_all_tasks_blocked


# --- saying ---


async def test_all_members_hear_what_is_said_and_its_sender_too(everybody: Everybody, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    ann, _, _ = await everybody.member(stack, group)
    bob, _, _ = await everybody.member(stack, group)
    assert await group.send(Said(text="a")) == 2
    assert await group.send(Said(text="b")) == 2
    await settled()
    assert ann.words == bob.words == ["a", "b"]


async def test_some_are_left_out_or_asked_for(everybody: Everybody, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    ann, anns, _ = await everybody.member(stack, group)
    bob, bobs, _ = await everybody.member(stack, group)
    eve, eves, _ = await everybody.member(stack, group)
    stranger = await everybody.peer().accepted()
    assert await group.send(Said(text="not bob"), exclude=bobs) == 2
    assert await group.send(Said(text="eve alone"), exclude={anns, bobs, stranger}) == 1
    assert await group.send(Said(text="to ann"), to=anns) == 1
    assert await group.send(Said(text="to two"), to=(ws for ws in group if ws is not eves)) == 2
    assert await group.send(Said(text="to eve"), to=[anns, eves, eves, stranger], exclude=[anns]) == 1
    assert await group.send(Said(text="to nobody"), to=stranger) == 0
    assert await group.send(Said(text="to nobody"), to=()) == 0
    await settled()
    assert ann.words == ["not bob", "to ann", "to two"]
    assert bob.words == ["to two"]
    assert eve.words == ["not bob", "eve alone", "to eve"]


async def test_a_member_woken_for_others_hears_what_comes_later(everybody: Everybody, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    ann, anns, _ = await everybody.member(stack, group)
    bob, bobs, _ = await everybody.member(stack, group)
    for number, to in enumerate([anns, anns, None, bobs, None, bobs, bobs, anns]):
        await settled()
        await group.send(Said(text=str(number)), to=to)
    await settled()
    assert ann.words == ["0", "1", "2", "4", "7"]
    assert bob.words == ["2", "3", "4", "5", "6"]


def tasks_alive() -> int:
    if running_trio():
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())


async def test_a_group_at_rest_has_no_task(everybody: Everybody, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    before = tasks_alive()
    members = [await everybody.member(stack, group) for _ in range(300)]
    await group.send(Said(text="a"))
    await settled()
    assert tasks_alive() == before
    assert {len(peer.events) for peer, _, _ in members} == {1}


async def test_where_every_send_waits_few_turns_are_enough_and_the_order_is_kept(stack: AsyncExitStack) -> None:
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
    for word in "abc":
        await group.send(Said(text=word))
        while not all(heard[-1:] == [word] for heard in events.values()):
            await anyio.lowlevel.checkpoint()
            turns += 1
    assert all(heard == ["a", "b", "c"] for heard in events.values())
    assert turns <= 3 * 12, "the tasks double in each turn"


async def test_it_is_sent_in_the_context_of_who_says_it(stack: AsyncExitStack) -> None:
    request: ContextVar[str] = ContextVar("request", default="none")
    found: list[str] = []

    async def receive() -> Event:
        return CONNECT

    async def send(event: Event) -> None:
        if event["type"] == "websocket.send":
            found.append(request.get())

    ws = WebSocket[Any, Said](scope(), receive, send)
    await ws.accept()
    group: Group[Said] = Group()
    await stack.enter_async_context(group.joined(ws))
    for name in ("first", "second"):
        request.set(name)
        await group.send(Said(text="a"))
        await settled()
    assert found == ["first", "second"]


async def test_a_send_that_does_not_heed_its_cancellation_is_cancelled_again(everybody: Everybody) -> None:
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
            await settled()
            raise Failure
    assert cancellations == 3


async def test_a_group_tells_who_its_members_are(everybody: Everybody, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    assert (len(group), list(group)) == (0, [])
    _, ann, _ = await everybody.member(stack, group)
    _, bob, _ = await everybody.member(stack, group)
    assert (len(group), list(group)) == (2, [ann, bob])
    assert ann in group
    assert "ann" not in group
    await stack.aclose()
    assert (len(group), list(group)) == (0, [])
    assert ann not in group


async def test_an_empty_group_hears_anything(everybody: Everybody) -> None:
    group: Group[Any] = Group()
    assert await group.send(object()) == 0


# --- encoding ---


class Counting(TextJSON):
    """A codec that counts what it encodes."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def model_encoder(self, adapter: Any) -> Callable[[Any], str]:
        encode = super().model_encoder(adapter)

        def counted(message: Any) -> str:
            self.count += 1
            return encode(message)

        return counted


@pytest.mark.parametrize("says", [Said, object, Said | Price])
async def test_a_message_is_encoded_once_for_each_mode(everybody: Everybody, stack: AsyncExitStack, says: Any) -> None:
    group: Group[Any] = Group()
    codecs = Counting(), Counting()
    members = [await everybody.member(stack, group, says, mode=codecs[number % 2]) for number in range(10)]
    await group.send(Said(text="a"))
    await settled()
    assert [codec.count for codec in codecs] == [1, 1]
    assert [peer.words for peer, _, _ in members] == [["a"]] * 10
    assert len({id(peer.events[0]) for peer, _, _ in members}) == 2


async def test_each_member_hears_it_in_its_own_mode(everybody: Everybody, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    ann, _, _ = await everybody.member(stack, group)
    bob, _, _ = await everybody.member(stack, group, mode="binary")
    await group.send(Said(text="a"))
    await settled()
    assert ann.events == [{"type": "websocket.send", "text": '{"text":"a"}'}]
    assert bob.events == [{"type": "websocket.send", "bytes": b'{"text":"a"}'}]


async def test_it_goes_out_as_each_member_declares_it(everybody: Everybody, stack: AsyncExitStack) -> None:
    class Aliased(BaseModel):
        text: str = Field(alias="t")

    group: Group[Any] = Group()
    ann, anns, _ = await everybody.member(stack, group, Said)
    bob, bobs, _ = await everybody.member(stack, group, object)
    eve, eves, _ = await everybody.member(stack, group, Aliased | Said)
    await group.send(Stored(text="a"))
    await group.send(Aliased(t="b"), to=[bobs, eves])
    await settled()
    assert ann.heard == [{"text": "a"}]
    assert bob.heard == [{"text": "a", "secret": "s"}, {"t": "b"}]
    assert eve.heard == [{"text": "a"}, {"t": "b"}]
    assert anns in group


async def test_what_one_member_cannot_say_nobody_hears(everybody: Everybody, stack: AsyncExitStack) -> None:
    group: Group[Any] = Group(on_overflow="conflate", key=lambda message: message)
    ann, _, _ = await everybody.member(stack, group, Said | Price)
    bob, _, _ = await everybody.member(stack, group, Said)
    with pytest.raises(UnsendableMessage):
        await group.send(Price(symbol="X", price=1))
    with pytest.raises(TypeError, match="unhashable"):
        await group.send(Said(text="a"))
    await settled()
    assert ann.begun == bob.begun == 0
    assert group.statistics == GroupStatistics(members=2, pending=0, sent=0, dropped=0, closed=0)


# --- who reads slowly ---


async def stuck(
    everybody: Everybody, stack: AsyncExitStack, on_overflow: Overflow, count: int = 6, **options: Any
) -> tuple[Peer, Member, Group[Said]]:
    """Say "0", "1", ... to a member that reads nothing."""
    group: Group[Said] = Group(max_pending=2, on_overflow=on_overflow, **options)
    peer, _, member = await everybody.member(stack, group, reads=False)
    for number in range(count):
        assert await group.send(Said(text=str(number))) == (on_overflow != "drop_newest" or number < 3)
        await settled()
    return peer, member, group


def counts(member: Member) -> tuple[int, int, int]:
    return member.sent, member.dropped, member.pending


async def test_the_oldest_is_dropped(everybody: Everybody, stack: AsyncExitStack) -> None:
    peer, member, group = await stuck(everybody, stack, "drop_oldest")
    assert counts(member) == (0, 3, 3)
    peer.reads()
    await settled()
    assert peer.words == ["0", "4", "5"]
    assert counts(member) == (3, 3, 0)
    assert group.statistics == GroupStatistics(members=1, pending=0, sent=3, dropped=3, closed=0)


async def test_the_newest_is_dropped(everybody: Everybody, stack: AsyncExitStack) -> None:
    peer, member, _ = await stuck(everybody, stack, "drop_newest")
    assert counts(member) == (0, 3, 3)
    peer.reads()
    await settled()
    assert peer.words == ["0", "1", "2"]


async def test_the_newest_of_each_key_stands_at_the_place_of_the_old_one(
    everybody: Everybody, stack: AsyncExitStack
) -> None:
    group: Group[Price] = Group(max_pending=2, on_overflow="conflate", key=lambda price: price.symbol)
    peer, _, member = await everybody.member(stack, group, Price, reads=False)
    for symbol, price in [("A", 1), ("A", 2), ("B", 3), ("A", 4), ("A", 5), ("B", 6)]:
        assert await group.send(Price(symbol=symbol, price=price)) == 1
        await settled()
    assert counts(member) == (0, 3, 3)
    peer.reads()
    await settled()
    assert [(said["symbol"], said["price"]) for said in peer.heard] == [("A", 1), ("A", 5), ("B", 6)]


def word(message: Said) -> str:
    return message.text


async def test_in_a_burst_the_newest_of_each_key_is_heard_once(everybody: Everybody, stack: AsyncExitStack) -> None:
    group: Group[Price] = Group(on_overflow="conflate", key=lambda price: price.symbol)
    peer, _, member = await everybody.member(stack, group, Price)
    async with anyio.create_task_group() as tasks:
        for symbol, price in [("A", 1), ("A", 2), ("B", 3), ("A", 4), ("B", 5)]:
            tasks.start_soon(group.send, Price(symbol=symbol, price=price))
    await settled()
    heard = {message["symbol"]: message["price"] for message in peer.heard}
    assert len(peer.heard) == len(heard) == 2
    assert counts(member) == (2, 3, 0)


@pytest.mark.parametrize("on_overflow", ["close", "conflate"])
async def test_who_reads_too_slowly_is_closed_with_1008_and_its_block_ends(
    everybody: Everybody, on_overflow: Overflow
) -> None:
    group: Group[Said] = Group(max_pending=2, on_overflow=on_overflow, key=word if on_overflow == "conflate" else None)
    peer, other = everybody.peer(reads=False), everybody.peer()
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
            await settled()
            for number in range(5):
                assert await group.send(Said(text=str(number))) == (2 if number < 3 else 1)
                await settled()
    assert other.words == ["0", "1", "2", "3", "4"]
    assert peer.closed_with == (1008, "reads too slowly")
    [end] = ends
    assert type(end) is WebSocketDisconnect
    assert (end.code, end.reason, end.closed_by) == (1008, "reads too slowly", "application")
    assert end.__cause__ is None
    assert counts(members[0]) == (0, 4, 0)
    assert group.statistics == GroupStatistics(members=0, pending=0, sent=5, dropped=4, closed=1)


async def test_who_is_given_up_is_no_member_from_then_on(everybody: Everybody) -> None:
    group: Group[Said] = Group(max_pending=1)
    ws = await everybody.peer(reads=False).accepted()
    queued: list[int] = []

    async def say() -> None:
        queued.append(await group.send(Said(text="a")))

    with anyio.fail_after(5):
        with pytest.raises(WebSocketDisconnect):
            async with group.joined(ws):
                await fill(group, 2)
                with anyio.CancelScope(shield=True):
                    async with anyio.create_task_group() as tasks:
                        for _ in range(5):
                            tasks.start_soon(say)
    assert queued == [0] * 5
    assert group.statistics == GroupStatistics(members=0, pending=0, sent=0, dropped=3, closed=1)


async def test_the_close_has_its_turn_even_where_the_handler_itself_is_stuck_in_a_send(everybody: Everybody) -> None:
    group: Group[Said] = Group(max_pending=1)
    peer = everybody.peer(reads=False)
    ws = await peer.accepted()

    async def handle() -> None:
        with pytest.raises(WebSocketDisconnect):
            async with group.joined(ws):
                await ws.send_model(Said(text="direct"))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(handle)
            await settled()
            for number in range(3):
                await group.send(Said(text=str(number)))
                await settled()
    assert peer.closed_with == (1008, "reads too slowly")


async def test_a_block_that_ends_as_its_member_is_given_up_tells_it(everybody: Everybody) -> None:
    group: Group[Said] = Group(max_pending=1)
    peer = everybody.peer(reads=False)
    ws = await peer.accepted()
    with anyio.fail_after(5), pytest.raises(WebSocketDisconnect) as caught:
        async with group.joined(ws):
            await fill(group, 3)
    assert caught.value.code == 1008
    assert peer.closed_with == (1008, "reads too slowly")


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_close_that_is_stuck_delays_nobody_and_is_given_up(
    everybody: Everybody, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, is_cancelled: bool
) -> None:
    monkeypatch.setattr(session_module, "CLOSE_TIMEOUT", 0.05)
    group: Group[Said] = Group(max_pending=1)
    other, _, _ = await everybody.member(stack, group)
    peer = everybody.peer(reads=False)
    peer.is_deaf = True
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
        await settled()
        for number in range(5):
            await group.send(Said(text=str(number)))
        if is_cancelled:
            outside.cancel()
        await group.send(Said(text="last"))
        assert other.words[:5] == ["0", "1", "2", "3", "4"]
        assert ends == []
    assert ends == [1000 if is_cancelled else 1008]
    assert (await ws.close()).code == 1008
    assert group.statistics.closed == 1


class Failure(Exception):
    pass


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_block_with_a_nursery_of_its_own_is_cancelled_whole(everybody: Everybody) -> None:
    group: Group[Said] = Group(max_pending=1)
    ws = await everybody.peer(reads=False).accepted()

    async def handle() -> None:
        with pytest.raises(WebSocketDisconnect):
            async with group.joined(ws), trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                await trio.sleep_forever()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(handle)
            await settled()
            await fill(group, 3)
    assert group.statistics.closed == 1


async def test_a_block_that_fails_as_its_member_is_given_up_fails_as_it_did(everybody: Everybody) -> None:
    group: Group[Said] = Group(max_pending=1)
    peer = everybody.peer(reads=False)
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
            await settled()


async def test_who_was_gone_already_is_not_closed_for_being_slow(everybody: Everybody) -> None:
    group: Group[Said] = Group(max_pending=1)
    peer = everybody.peer(reads=False)
    ws = await peer.accepted()
    with anyio.fail_after(5):
        async with group.joined(ws) as member:
            await group.send(Said(text="a"))
            peer.does(disconnect(4001))
            with pytest.raises(WebSocketDisconnect):
                await ws.receive_text()
            for _ in range(3):
                await group.send(Said(text="a"))
                await settled()
            assert ws not in group
            assert counts(member) == (0, 3, 0)
    assert peer.closed_with is None
    assert group.statistics.closed == 0


async def test_a_burst_before_a_member_had_its_turn_is_no_fault_of_it(everybody: Everybody) -> None:
    group: Group[Said] = Group(max_pending=2, on_overflow="drop_oldest")
    peer = everybody.peer()
    with anyio.fail_after(5):
        async with group.joined(await peer.accepted()) as member:
            async with anyio.create_task_group() as tasks:
                for number in range(50):
                    tasks.start_soon(group.send, Said(text=str(number)))
            await settled()
            assert sorted(peer.words, key=int) == [str(number) for number in range(50)]
            peer.stops()
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(group.send, Said(text="burst"))
            await settled()
            await group.send(Said(text="one more"))
            assert member.pending == 3
            peer.reads()
            await settled()
            assert peer.words[50:] == ["burst", "burst", "one more"]
            assert counts(member) == (53, 8, 0)


# --- waiting for room ---


async def test_a_sender_waits_for_room_and_nobody_else_does(everybody: Everybody, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group(max_pending=1, on_overflow="block")
    slow, slows, member = await everybody.member(stack, group, reads=False)
    fast, fasts, _ = await everybody.member(stack, group)
    returned: list[str] = []

    async def say(word: str) -> None:
        assert await group.send(Said(text=word)) == 2
        returned.append(word)

    async with anyio.create_task_group() as tasks:
        for word in "abcd":
            tasks.start_soon(say, word)
            await settled()
        assert returned == ["a", "b"]
        assert fast.words == ["a", "b", "c", "d"]
        assert counts(member) == (0, 0, 2)
        await group.send(Said(text="to fast"), to=fasts)
        slow.reads()
    await settled()
    assert sorted(returned) == ["a", "b", "c", "d"]
    assert slow.words == ["a", "b", "c", "d"]
    assert slows in group


async def test_a_sender_waits_for_several_and_none_overtakes_it(everybody: Everybody, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group(max_pending=1, on_overflow="block")
    slow = [await everybody.member(stack, group, reads=False) for _ in range(2)]
    async with anyio.create_task_group() as tasks:
        for word in "abcd":
            tasks.start_soon(group.send, Said(text=word))
            await settled()
        slow[1][0].reads()
        await settled()
        assert slow[1][0].words == ["a", "b", "c", "d"]
        await group.send(Said(text="e"), to=slow[1][1])
        slow[0][0].reads()
    await settled()
    assert slow[0][0].words == ["a", "b", "c", "d"]
    assert slow[1][0].words == ["a", "b", "c", "d", "e"]


async def test_a_sender_that_waits_no_more_leaves_no_trace(everybody: Everybody, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group(max_pending=1, on_overflow="block")
    slow = [await everybody.member(stack, group, reads=False) for _ in range(2)]
    fast, _, _ = await everybody.member(stack, group)
    await group.send(Said(text="a"))
    await group.send(Said(text="b"))
    async with anyio.create_task_group() as tasks:
        cancel = anyio.CancelScope()

        async def say(word: str) -> None:
            with cancel:
                await group.send(Said(text=word))

        tasks.start_soon(say, "cancelled")
        await settled()
        tasks.start_soon(group.send, Said(text="c"))
        await settled()
        cancel.cancel()
        await settled()
        for peer, _, _ in slow:
            peer.reads()
    await settled()
    assert fast.words == ["a", "b", "cancelled", "c"]
    assert [peer.words for peer, _, _ in slow] == [["a", "b", "c"]] * 2
    assert [counts(member) for _, _, member in slow] == [(3, 0, 0)] * 2


@pytest.mark.parametrize("how", ["leaves", "goes"])
async def test_a_sender_does_not_wait_for_who_is_no_member_any_more(
    everybody: Everybody, stack: AsyncExitStack, how: str
) -> None:
    group: Group[Said] = Group(max_pending=1, on_overflow="block")
    peer = everybody.peer(reads=False)
    ws = await peer.accepted()
    end = anyio.Event()
    returned: list[int] = []

    async def handle() -> None:
        with suppress(Failure):
            async with group.joined(ws):
                await end.wait()
                raise Failure

    async def say() -> None:
        returned.append(await group.send(Said(text="too much")))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(handle)
        await settled()
        await fill(group, 2)
        tasks.start_soon(say)
        tasks.start_soon(say)
        await settled()
        assert returned == []
        if how == "leaves":
            end.set()
        else:
            peer.goes()
        await settled()
        assert returned == [0, 0]
        assert group.statistics.dropped == 4
        assert len(group) == 0
        end.set()


# --- joining and leaving ---


@pytest.mark.parametrize("state", ["connecting", "closed", "denied"])
async def test_only_an_accepted_connection_joins(state: str) -> None:
    ws, _ = connecting(WebSocket)
    if state == "closed":
        await ws.accept()
        await ws.close()
    elif state == "denied":
        await ws.deny()
    group: Group[Any] = Group()
    with pytest.raises(InvalidState if state == "connecting" else WebSocketDisconnected):
        async with group.joined(ws):
            pass
    assert len(group) == 0


async def test_who_has_gone_does_not_join(everybody: Everybody) -> None:
    group: Group[Said] = Group()
    peer = everybody.peer()
    ws = await peer.accepted()
    peer.does(disconnect(4001))
    with pytest.raises(WebSocketDisconnect):
        await ws.receive_text()
    with pytest.raises(WebSocketDisconnected) as caught:
        await group.joined(ws).__aenter__()
    assert caught.value.code == 4001


async def test_who_is_a_member_does_not_join_again(everybody: Everybody, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    peer, ws, _ = await everybody.member(stack, group)
    with pytest.raises(InvalidState, match="expected a connection that is no member, found one that is"):
        async with group.joined(ws):
            pass
    assert ws in group
    await group.send(Said(text="a"))
    await settled()
    assert peer.words == ["a"]


async def test_who_left_may_join_again_and_be_in_other_groups(everybody: Everybody) -> None:
    one: Group[Said] = Group()
    two: Group[Said] = Group()
    peer = everybody.peer()
    ws = await peer.accepted()
    joined = one.joined(ws)
    with anyio.fail_after(5):
        for word in "ab":
            async with joined, two.joined(ws):
                await one.send(Said(text=word))
                await two.send(Said(text=word.upper()))
            await one.send(Said(text="unheard"))
    assert sorted(peer.words) == ["A", "B", "a", "b"]


async def test_what_is_pending_when_a_block_ends_is_still_sent(everybody: Everybody) -> None:
    group: Group[Said] = Group()
    peer = everybody.peer(reads=False)
    ws = await peer.accepted()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks, group.joined(ws):
            await group.send(Said(text="a"))
            await group.send(Said(text="b"))
            tasks.start_soon(read_when_settled, peer, group)
    assert peer.words == ["a", "b"]
    assert group.statistics == GroupStatistics(members=0, pending=0, sent=2, dropped=0, closed=0)


async def read_when_settled(peer: Peer, group: Group[Said]) -> None:
    await settled()
    assert len(group) == 0
    peer.reads()


async def test_what_a_peer_does_not_read_holds_a_leaving_member_for_a_limited_time(
    everybody: Everybody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_module, "LEAVE_TIMEOUT", 0.01)
    group: Group[Said] = Group()
    peer = everybody.peer(reads=False)
    ws = await peer.accepted()
    with anyio.fail_after(5):
        async with group.joined(ws) as member:
            await fill(group, 3)
        assert counts(member) == (0, 3, 0)
        peer.reads()
        await ws.send_model(Said(text="as usable as before"))
    assert peer.words == ["as usable as before"]


async def test_who_closed_inside_the_block_leaves_at_once(everybody: Everybody) -> None:
    group: Group[Said] = Group()
    peer = everybody.peer()
    ws = await peer.accepted()
    with anyio.fail_after(5):
        async with group.joined(ws) as member:
            await ws.close(4000)
            await group.send(Said(text="a"))
            await settled()
            assert ws not in group
    assert (peer.events, peer.closed_with) == ([], (4000, ""))
    assert counts(member) == (0, 1, 0)


async def test_an_exception_of_the_block_passes_as_it_is(everybody: Everybody) -> None:
    group: Group[Said] = Group()
    peer = everybody.peer(reads=False)
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


async def test_a_cancellation_from_outside_passes(everybody: Everybody) -> None:
    group: Group[Said] = Group()
    peer = everybody.peer(reads=False)
    ws = await peer.accepted()
    with anyio.fail_after(5):
        with anyio.CancelScope() as outside:
            async with group.joined(ws):
                await fill(group, 2)
                outside.cancel()
                await anyio.sleep_forever()
        assert outside.cancelled_caught
        assert (len(group), group.statistics.dropped) == (0, 2)
        peer.reads()
        await ws.send_model(Said(text="as usable as before"))


async def test_a_cancellation_while_it_leaves_passes(everybody: Everybody) -> None:
    group: Group[Said] = Group()
    peer = everybody.peer(reads=False)
    ws = await peer.accepted()
    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(5), anyio.CancelScope() as outside:

            async def cancel() -> None:
                await settled()
                outside.cancel()

            async with group.joined(ws):
                await fill(group, 2)
                tasks.start_soon(cancel)
        assert outside.cancelled_caught
    assert (len(group), group.statistics.dropped) == (0, 2)


@pytest.mark.parametrize("is_outside", [False, True])
@pytest.mark.parametrize("reads", [False, True])
async def test_it_goes_together_with_cancelled_on_disconnect(
    everybody: Everybody, is_outside: bool, reads: bool
) -> None:
    group: Group[Said] = Group(max_pending=1)
    peer = everybody.peer(reads=reads)
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
            await settled()
            await fill(group, 3)
            peer.does(disconnect(4001))
    assert ends == [4001 if reads else 1008]
    assert len(group) == 0


# --- members that fail ---


async def test_a_member_that_is_gone_disturbs_nobody_and_reads_what_the_peer_said_before(
    everybody: Everybody, stack: AsyncExitStack
) -> None:
    group: Group[Said] = Group()
    dead, deads, member = await everybody.member(stack, group)
    ann, anns, _ = await everybody.member(stack, group)
    dead.does(text("last words"), disconnect(4001))
    dead.goes()
    assert await group.send(Said(text="a")) == 2
    await settled()
    assert list(group) == [anns]
    assert await group.send(Said(text="b")) == 1
    await settled()
    assert ann.words == ["a", "b"]
    assert counts(member) == (0, 1, 0)
    assert [word async for word in deads.iter_text()] == ["last words"]


async def test_a_server_that_breaks_ends_the_block_with_its_error(everybody: Everybody, stack: AsyncExitStack) -> None:
    async def broken(event: Event) -> None:
        if event["type"] == "websocket.send":
            raise Failure

    group: Group[Said] = Group()
    ann, _, _ = await everybody.member(stack, group)
    peer = everybody.peer()
    peer.does(CONNECT)
    ws = WebSocket[Any, Said](scope(), peer.receive, broken)
    await ws.accept()
    with pytest.raises(Failure):
        async with group.joined(ws):
            await group.send(Said(text="a"))
            await anyio.sleep_forever()
    assert ws not in group
    assert ann.words == ["a"]


async def test_members_come_and_go_during_a_send(everybody: Everybody, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group(max_pending=1, on_overflow="block")
    slow, _, _ = await everybody.member(stack, group, reads=False)
    leaver, newcomer = everybody.peer(), everybody.peer()
    async with anyio.create_task_group() as tasks:
        leaves, stays = anyio.Event(), anyio.Event()
        tasks.start_soon(attend, group, await leaver.accepted(), leaves)
        await settled()
        await fill(group, 2)
        tasks.start_soon(group.send, Said(text="2"))
        await settled()
        leaves.set()
        tasks.start_soon(attend, group, await newcomer.accepted(), stays)
        await settled()
        slow.reads()
        await group.send(Said(text="3"))
        await settled()
        stays.set()
    assert slow.words == ["0", "1", "2", "3"]
    assert leaver.words == ["0", "1", "2"]
    assert newcomer.words == ["3"]


async def attend(group: Group[Said], ws: AnyWebSocket, until: anyio.Event) -> None:
    async with group.joined(ws):
        await until.wait()


async def test_several_tasks_send_in_the_order_of_their_calls(everybody: Everybody, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group(max_pending=1000)
    peers = [(await everybody.member(stack, group))[0] for _ in range(3)]
    said: list[str] = []

    async def say(name: str) -> None:
        for number in range(20):
            said.append(f"{name}{number}")
            await group.send(Said(text=said[-1]))

    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(say, name)
    await settled()
    assert [peer.words for peer in peers] == [said] * 3


async def test_direct_sends_go_out_beside_those_of_the_group(everybody: Everybody, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    peer, ws, _ = await everybody.member(stack, group, reads=False)
    async with anyio.create_task_group() as tasks:
        await fill(group, 1)
        tasks.start_soon(ws.send_model, Said(text="direct"))
        await settled()
        await fill(group, 2)
        peer.reads()
    await settled()
    assert sorted(peer.words) == ["0", "0", "1", "direct"]


async def test_a_cancelled_sender_has_told_everybody(everybody: Everybody, stack: AsyncExitStack) -> None:
    group: Group[Said] = Group()
    peer, _, _ = await everybody.member(stack, group)
    with anyio.CancelScope() as cancel:
        cancel.cancel()
        await group.send(Said(text="farewell"))
    await settled()
    assert peer.words == ["farewell"]


def test_one_group_serves_several_event_loops_one_after_another(everybody: Everybody) -> None:
    group: Group[Said] = Group()

    async def serve() -> list[str]:
        peer = everybody.peer()
        async with group.joined(await peer.accepted()):
            await settled()
            await group.send(Said(text="a"))
            await settled()
        return peer.words

    assert [anyio.run(serve, backend=backend) for backend in ("asyncio", "trio", "asyncio")] == [["a"]] * 3


def test_an_event_loop_ends_though_a_member_does_not_read(everybody: Everybody) -> None:
    group: Group[Said] = Group(max_pending=1)
    statistics: list[GroupStatistics] = []

    async def handle(*, is_deaf: bool) -> None:
        peer = everybody.peer(reads=False)
        peer.is_deaf = is_deaf
        async with group.joined(await peer.accepted()):
            await anyio.sleep_forever()

    async def main() -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(handle(is_deaf=is_deaf)) for is_deaf in (False, True)]
        await settled()
        for _ in range(3):  # the last one is too much: both connections are being closed, one for ever
            statistics.append(group.statistics)
            await group.send(Said(text="a"))
        return tasks

    tasks = asyncio.run(main())
    assert all(task.done() for task in tasks)
    assert [each.members for each in statistics] == [2, 2, 2]
    assert group.statistics == GroupStatistics(members=0, pending=0, sent=0, dropped=6, closed=1)


def test_an_event_loop_ends_though_members_wait_for_their_turn(everybody: Everybody) -> None:
    group: Group[Said] = Group()

    async def handle() -> None:
        async with group.joined(await everybody.peer(reads=False).accepted()):
            await anyio.sleep_forever()

    async def main() -> None:
        tasks.extend(asyncio.create_task(handle()) for _ in range(5))
        await settled()
        await group.send(Said(text="a"))

    tasks: list[asyncio.Task[None]] = []
    asyncio.run(main())
    assert all(task.done() for task in tasks)
    assert group.statistics == GroupStatistics(members=0, pending=0, sent=0, dropped=5, closed=0)


async def test_nothing_is_left_of_who_left(everybody: Everybody) -> None:
    group: Group[Said] = Group(max_pending=1)

    async def visit(*, reads: bool) -> "weakref.ref[AnyWebSocket]":
        ws = await everybody.peer(reads=reads).accepted()
        with suppress(WebSocketDisconnect):
            async with group.joined(ws):
                await fill(group, 3)
        everybody.peers.pop().close()
        return weakref.ref(ws)

    with anyio.fail_after(5):
        for reads in (True, False):
            left = await visit(reads=reads)
            await settled()  # asyncio keeps what a task raised for one more turn
            gc.collect()
            assert left() is None
    assert group.statistics == GroupStatistics(members=0, pending=0, sent=3, dropped=3, closed=1)


# --- making one ---


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_pending": 0}, "expected a max_pending of at least 1, found 0"),
        ({"on_overflow": "drop"}, "found 'drop': choose one of them"),
        ({"on_overflow": "conflate"}, 'expected a key with on_overflow="conflate"'),
        ({"on_overflow": "close", "key": str}, 'expected no key with on_overflow="close"'),
    ],
)
def test_options_that_make_no_sense_are_refused_at_once(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Group[Any](**options)


# --- many ---


class Receivers:
    """A thousand servers whose clients read, but for the first ones; each keeps only how much it has written."""

    def __init__(self, stuck: int) -> None:
        self.written = [0] * 1000
        self.stuck = stuck
        self.resumed = anyio.Event()

    def fewest(self) -> int:
        """How many messages each of those that read has been given at least."""
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


async def turns_until(receivers: Receivers, count: int) -> int:
    """Let the event loop turn until all who read have been given so many messages, and say how often."""
    turns = 0
    while receivers.fewest() < count:
        await anyio.lowlevel.checkpoint()
        turns += 1
    return turns


@pytest.mark.parametrize("on_overflow", ["close", "drop_oldest"])
async def test_ten_of_a_thousand_that_do_not_read_cost_the_others_neither_time_nor_memory(
    on_overflow: Overflow,
) -> None:
    receivers = Receivers(stuck=10)
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
                tasks.start_soon(handle, await receivers.socket(number))
            await settled()
            tracemalloc.start()
            try:
                for number in range(24):
                    await group.send(Said(text="x" * size))
                    turns.append(await turns_until(receivers, number + 1))
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
            assert receivers.written == [0] * 10 + [24] * 990
            tasks.cancel_scope.cancel()
    assert len(group) == 0
