"""Groups: messages of another type, connections that cannot send the group's messages, invalid options."""

from tests.typing.cases.messages import (
    ChatConnection,
    ChatHandshake,
    Joined,
    Order,
    RushOrder,
    Said,
    Say,
    ServerMessage,
)
from typedws import Connection
from typedws._groups.group import Group

lobby: Group[ServerMessage] = Group()
said: Group[Said] = Group()


def orders_by_id(order: Order) -> int:
    return order.id


def a_list(message: Said) -> list[Said]:
    return [message]


def options() -> None:
    Group[Said](max_pending="64")  # error: int
    Group[Said](max_pending=None)  # error: None int
    Group[Said](on_overflow="drop")  # error: drop
    Group[Said](on_overflow=Order())  # error: Order
    Group[Said](on_overflow="conflate", key="text")  # error: Said Hashable
    Group[Said](on_overflow="conflate", key=orders_by_id)  # error: Order Said
    Group[Said](on_overflow="conflate", key=a_list)  # error: list[Said] Hashable
    Group[Said](on_overflow="conflate", key=lambda message: message.txt)  # error: Said txt
    Group[Said](64)  # error: argument
    Group[Said](size=64)  # error: size
    other: Group[ServerMessage] = Group[Order]()  # error: Group[Order]
    wider: Group[ServerMessage] = said  # error: Group[Said]
    narrower: Group[Said] = lobby  # error: Group Said
    print(other, wider, narrower)


async def messages_that_are_not_said(ws: ChatConnection) -> None:
    await lobby.send(Order())  # error: send Order Joined Said
    await lobby.send(message=Say())  # error: send Say Joined Said
    await lobby.send("said")  # error: send Said
    await lobby.send()  # error: message
    await said.send(Joined())  # error: send Joined Said
    await said.send(Said(), ws)  # error: argument


async def a_view_that_does_not_receive_it(ws: ChatConnection, orders: Connection[object, Order]) -> None:
    await lobby.send(Said(), to="ann")  # error: send str Connection
    await lobby.send(Said(), to=orders)  # error: send Order
    await lobby.send(Said(), to=[orders])  # error: Order
    await lobby.send(Said(), exclude=7)  # error: send Connection
    await lobby.send(Said(), exclude=orders)  # error: send Order
    await lobby.send(Said(), exclude=None)  # error: send None Connection
    await lobby.send(Said(), but=ws)  # error: but


async def who_may_not_join(
    ws: ChatConnection,
    handshake: ChatHandshake,
    orders: Connection[object, Order],
    less: Connection[object, Said],
    rush: Connection[object, RushOrder],
) -> None:
    lobby.joined(orders)  # error: joined Order
    lobby.joined(ws=less)  # error: joined Said Joined
    lobby.joined(handshake)  # error: joined Handshake Connection
    lobby.joined("ann")  # error: joined Connection
    lobby.joined(ws, 64)  # error: argument
    Group[Order]().joined(rush)  # error: joined RushOrder Order
    with lobby.joined(ws):  # error: AbstractAsyncContextManager
        pass
    async with lobby.joined:  # error: __aenter__
        pass


async def what_is_told(ws: ChatConnection) -> None:
    async with lobby.joined(ws) as member:
        member.sent = 0  # error: sent
        member.dropped = 0  # error: dropped
        member.pending = 0  # error: pending
        await member.send_model(Said())  # error: send_model
    lobby.statistics.sent = 0  # error: sent
    lobby.statistics()  # error: GroupStatistics
    print(lobby.statistics.lost)  # error: GroupStatistics lost
    print(lobby[0])  # error: Group
    for each in lobby:
        await each.send_model(Order())  # error: send_model Order Joined Said
