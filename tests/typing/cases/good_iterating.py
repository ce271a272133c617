"""Iterating: each message has the declared or requested type, and a match over it can be exhaustive."""

from collections.abc import AsyncIterator
from typing import Any, assert_never, assert_type

from tests.typing.cases.messages import (
    ChatConnection,
    ChatWebSocket,
    ClientMessage,
    Join,
    Joined,
    Order,
    Page,
    Said,
    Say,
    Size,
)
from typedws import BinaryJSON, Connection, WebSocket


async def declared_messages(ws: ChatConnection) -> None:
    async for message in ws:
        assert_type(message, Join | Say)
        match message:
            case Join(room=room):
                await ws.send_model(Joined(room=room))
            case Say(text=text):
                await ws.send_model(Said(text=text))
            case _:
                assert_never(message)


async def declared_messages_of_the_class(ws: ChatWebSocket) -> None:
    async for message in ws:
        assert_type(message, Join | Say)
        if message.type == "join":
            assert_type(message, Join)
        elif message.type == "say":
            assert_type(message, Say)
        else:
            assert_never(message)


async def one_result_for_each_member(ws: ChatConnection) -> list[str]:
    names: list[str] = []
    async for message in ws:
        match message:
            case Join():
                name = message.room
            case Say():
                name = message.text
        names.append(name)
    return names


async def messages_asked_for(ws: Connection) -> None:
    async for order in ws.iter_models(Order):
        assert_type(order, Order)
    async for event in ws.iter_models(ClientMessage):
        match event:
            case Join():
                assert_type(event, Join)
            case Say():
                assert_type(event, Say)
            case _:
                assert_never(event)
    async for page in ws.iter_models(Page[Order], "binary"):
        assert_type(page, Page[Order])
    async for size in ws.iter_models(Size, mode=BinaryJSON()):
        assert_type(size, Size)
    async for message in ws.iter_models(Join | Say):
        assert_type(message, Join | Say)


async def messages_declared_in_another_mode(ws: ChatConnection) -> None:
    async for message in ws.iter_models():
        assert_type(message, Join | Say)
    async for message in ws.iter_models(mode="cbor"):
        assert_type(message, Join | Say)


async def without_a_model(ws: ChatConnection) -> None:
    async for text in ws.iter_text():
        assert_type(text, str)
    async for data in ws.iter_bytes():
        assert_type(data, bytes)
    async for value in ws.iter_json():
        assert_type(value, Any)
    async for value in ws.iter_json("binary"):
        assert_type(value, Any)
    async for value in ws.iter_json(mode=BinaryJSON()):
        assert_type(value, Any)


async def iterators_are_values(ws: ChatConnection, whole: WebSocket[Order, Order]) -> None:
    assert_type(ws.iter_models(), AsyncIterator[Join | Say])
    assert_type(ws.iter_models(Order), AsyncIterator[Order])
    assert_type(ws.iter_text(), AsyncIterator[str])
    assert_type(ws.iter_bytes(), AsyncIterator[bytes])
    assert_type(ws.iter_json(), AsyncIterator[Any])
    assert_type([message async for message in ws], list[Join | Say])
    assert_type(await anext(ws.iter_models(Order), None), Order | None)
    messages: AsyncIterator[Join | Say] = ws
    assert_type(await anext(messages), Join | Say)
    orders: AsyncIterator[Order] = whole
    assert_type(await anext(orders), Order)
    await first_of(ws)
    await first_of(ws.iter_models(Order))


async def first_of(messages: AsyncIterator[Join | Say | Order]) -> None:
    assert_type(await anext(messages), Join | Say | Order)
