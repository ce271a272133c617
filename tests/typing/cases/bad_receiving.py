"""Receiving: results mistaken for other types, and invalid modes."""

from collections.abc import AsyncIterator
from typing import Any, assert_never

from tests.typing.cases.messages import (
    ChatConnection,
    ChatWebSocket,
    ClientMessage,
    Join,
    Order,
    Page,
    Point,
    Say,
    Size,
    Tree,
)
from typedws import Connection, Handshake, WebSocket


async def a_result_of_another_type(ws: Connection) -> None:
    join: Join = await ws.receive_model(Order)  # error: Order Join
    order: Order = await ws.receive_model(Join | Say)  # error: Join Say Order
    say: Say = await ws.receive_model(ClientMessage)  # error: Join Say
    point: Point = await ws.receive_model(Size)  # error: Size Point
    size: Size = await ws.receive_model(Point)  # error: Point Size
    page: Page[Join] = await ws.receive_model(Page[Order])  # error: Page[Order] Page[Join]
    orders: list[Join] = await ws.receive_model(list[Order])  # error: list[Order] list[Join]
    tree: Order = await ws.receive_model(Tree)  # error: Tree Order
    print(join, order, say, point, size, page, orders, tree)


async def a_declared_result_of_another_type(ws: ChatConnection, whole: ChatWebSocket, bare: Connection) -> None:
    order: Order = await ws.receive_model()  # error: Join Order
    join: Join = await whole.receive_model(mode="binary")  # error: Join Say
    first: Say = await anext(ws)  # error: Join Say
    undeclared: Order = await bare.receive_model()  # error: object Order
    print(order, join, first, undeclared)


async def what_is_no_type(ws: ChatConnection) -> None:
    await ws.receive_model(Order())  # error: receive_model Order
    await ws.receive_model("order")  # error: receive_model
    await ws.receive_model(7)  # error: receive_model
    await ws.receive_model(form=Order)  # error: receive_model
    ws.iter_models(Order())  # error: iter_models Order


async def modes_that_are_none(ws: ChatConnection, whole: ChatWebSocket) -> None:
    await ws.receive_model(Join, mode=Order)  # error: receive_model Order
    await ws.receive_model(mode=1)  # error: receive_model
    await ws.receive_model(Join, 1)  # error: receive_model
    await ws.receive_json(mode=Order())  # error: receive_json Order
    await ws.receive_json(b"text")  # error: receive_json bytes
    ws.iter_models(Join, mode=Order())  # error: iter_models Order
    ws.iter_models(mode=1)  # error: iter_models
    ws.iter_json(mode=Order())  # error: iter_json Order
    whole.iter_json(1)  # error: iter_json Codec[str]


async def text_and_bytes_taken_for_each_other(ws: ChatConnection) -> None:
    data: bytes = await ws.receive_text()  # error: str bytes
    text: str = await ws.receive_bytes()  # error: bytes str
    print(data, text)
    async for line in ws.iter_text():
        data = line  # error: str bytes
    async for packet in ws.iter_bytes():
        text = packet  # error: bytes str


async def arguments_too_many(ws: ChatConnection) -> None:
    await ws.receive_text("utf-8")  # error: argument
    await ws.receive_bytes(10)  # error: argument
    ws.iter_text("utf-8")  # error: argument
    ws.iter_bytes(10)  # error: argument
    await ws.receive_json(timeout=1)  # error: timeout


async def forgotten_members(ws: ChatConnection) -> None:
    async for message in ws:
        match message:
            case Join():
                pass
            case _:
                assert_never(message)  # error: Say Never
    async for event in ws.iter_models(Join | Say | Order):
        if isinstance(event, Say):
            continue
        assert_never(event)  # error: Join Order Never
    async for other in ws.iter_models():
        if other.type == "join":
            continue
        assert_never(other)  # error: Say Never


async def messages_taken_for_others(ws: ChatConnection) -> None:
    async for message in ws:
        print(message.text)  # error: Join text
        print(message.id)  # error: Join Say id
    async for order in ws.iter_models(Order):
        print(order.room)  # error: Order room
    async for line in ws.iter_text():
        print(line.room)  # error: str room


async def iterators_of_another_type(ws: ChatConnection) -> None:
    orders: AsyncIterator[Order] = ws.iter_models(Join)  # error: Join Order
    joins: AsyncIterator[Join] = ws.iter_models()  # error: Join Say
    messages: AsyncIterator[Join] = ws  # error: Join Say
    lines: AsyncIterator[bytes] = ws.iter_text()  # error: str bytes
    packets: AsyncIterator[str] = ws.iter_bytes()  # error: bytes str
    values: AsyncIterator[Any] = ws.iter_json  # error: AsyncIterator
    print(orders, joins, messages, lines, packets, values)


async def iterated_the_wrong_way(ws: ChatConnection, handshake: Handshake[Join, Order]) -> None:
    async for message in handshake:  # error: Handshake
        pass
    async for text in ws.receive_text():  # error: Coroutine
        pass


async def forgotten_awaits(ws: ChatConnection) -> None:
    ws.receive_model()  # error: used
    order: Order = ws.receive_model(Order)  # error: Coroutine Order
    print(order)


async def raw_events(ws: WebSocket) -> None:
    await ws.receive("text")  # error: argument
