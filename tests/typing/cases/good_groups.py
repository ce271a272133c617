"""Groups: a connection that sends at least the group's messages may join."""

from collections.abc import Hashable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, assert_type

from tests.typing.cases.messages import (
    ChatConnection,
    ChatHandshake,
    ChatWebSocket,
    Joined,
    Order,
    RushOrder,
    Said,
    ServerMessage,
)
from typedws import Closed, Connection, Outcome, WebSocketDisconnect
from typedws._groups.group import Group, GroupStatistics, Member, Overflow

lobby: Group[ServerMessage] = Group()


def text_of(message: Said) -> str:
    return message.text


def ways_to_make_one(policy: Overflow) -> None:
    assert_type(Group[Said](), Group[Said])
    assert_type(Group[Said](on_overflow="conflate", key=text_of), Group[Said])
    newest: Group[Said] = Group(on_overflow="conflate", key=lambda message: message.text)
    any_key: Group[Said] = Group(on_overflow="conflate", key=hash_of)
    chosen: Group[Joined | Said] = Group(max_pending=8, on_overflow=policy, key=None)
    print(newest, any_key, chosen)


def hash_of(message: object) -> Hashable:
    return id(message)


async def a_chat(ws: ChatConnection) -> Closed:
    async with lobby.joined(ws):
        async for message in ws:
            await lobby.send(Said(text=message.type))
    return await ws.close()


async def an_endless_loop(handshake: ChatHandshake) -> Outcome:
    ws = await handshake.accept()
    async with lobby.joined(ws), ws.cancelled_on_disconnect():
        while True:
            await lobby.send(Said())


async def an_endless_loop_that_ends_well(ws: ChatConnection) -> Outcome:
    try:
        async with lobby.joined(ws):
            while True:
                await lobby.send(Said())
    except WebSocketDisconnect as gone:
        assert_type(gone.code, int)
    return await ws.close()


async def who_may_join(
    whole: ChatWebSocket,
    bare: Connection,
    more: Connection[object, Joined | Said | Order],
    anything: Connection[Any, Any, Any],
    orders: Connection[Any, Order],
) -> None:
    said: Group[Said] = Group()
    rush: Group[RushOrder] = Group()
    async with lobby.joined(whole), lobby.joined(bare), lobby.joined(more), lobby.joined(anything):
        pass
    async with said.joined(whole), said.joined(more), said.joined(bare):
        pass
    async with rush.joined(orders):
        await rush.send(RushOrder())


async def sending(ws: ChatConnection, other: ChatWebSocket, message: ServerMessage) -> None:
    assert_type(await lobby.send(message), int)
    await lobby.send(message=Joined())
    await lobby.send(Said(), exclude=ws)
    await lobby.send(Said(), exclude=[ws, other])
    await lobby.send(Said(), exclude={ws})
    await lobby.send(Said(), to=other)
    await lobby.send(Said(), to=(ws, other), exclude=ws)
    await lobby.send(Said(), to=None)
    await lobby.send(Said(), to=(each for each in lobby if each is not ws))


async def what_is_told(ws: ChatConnection) -> None:
    assert_type(lobby.joined(ws), AbstractAsyncContextManager[Member, None])
    async with lobby.joined(ws) as member:
        assert_type(member, Member)
        assert_type(member.pending + member.sent + member.dropped, int)
    assert_type(len(lobby), int)
    assert_type(ws in lobby, bool)
    assert_type(iter(lobby), Iterator[Connection[object, ServerMessage]])
    for each in lobby:
        await each.send_model(Said())
    counted = lobby.statistics
    assert_type(counted, GroupStatistics)
    assert_type(counted.members + counted.pending + counted.sent + counted.dropped + counted.closed, int)
