"""Sending: models outside the declared type, frames of the wrong kind, invalid modes."""

from typing import Any

from tests.typing.cases.messages import (
    ChatConnection,
    ChatWebSocket,
    Join,
    Joined,
    Order,
    Page,
    Point,
    RushOrder,
    Said,
    Say,
    Size,
)
from typedws import Connection
from typedws.asgi import WebSocketCloseEvent


async def models_that_are_not_said(ws: ChatConnection, whole: ChatWebSocket) -> None:
    await ws.send_model(Order())  # error: send_model Order Joined Said
    await ws.send_model(Say())  # error: send_model Say Joined Said
    await ws.send_model(message=Join())  # error: send_model Join Joined Said
    await ws.send_model([Said()])  # error: send_model list[Said] Joined
    await ws.send_model({"type": "said"})  # error: send_model dict[str, str] Said
    await ws.send_model("said")  # error: send_model Said
    await ws.send_model(None)  # error: send_model None Said
    await ws.send_model(Said)  # error: send_model type[Said] Joined
    await whole.send_model(Order())  # error: send_model Order Joined Said


async def other_kinds(
    orders: Connection[Any, RushOrder], pages: Connection[Any, Page[Order]], sizes: Connection[Any, Size]
) -> None:
    await orders.send_model(Order())  # error: send_model Order RushOrder
    await pages.send_model(Page[Join](items=[]))  # error: send_model Page[Join] Page[Order]
    await pages.send_model(Order())  # error: send_model Order Page[Order]
    await sizes.send_model(Point(1, 2))  # error: send_model Point Size


async def modes_that_are_none(ws: ChatConnection) -> None:
    await ws.send_model(Said(), mode=1)  # error: send_model mode
    await ws.send_model(Said(), Order())  # error: send_model Order
    await ws.send_json({}, mode=Order())  # error: send_json Order
    await ws.send_json({}, b"text")  # error: send_json bytes


async def frames_of_the_wrong_kind(ws: ChatConnection) -> None:
    await ws.send_text(b"hello")  # error: send_text str
    await ws.send_text(data=Said())  # error: send_text Said str
    await ws.send_bytes("hello")  # error: send_bytes bytes
    await ws.send_bytes(data=Said())  # error: send_bytes Said bytes
    await ws.send_text({"type": "said"})  # error: send_text dict[str, str]


async def arguments_too_few_or_too_many(ws: ChatConnection) -> None:
    await ws.send_model()  # error: message
    await ws.send_text()  # error: data
    await ws.send_bytes()  # error: data
    await ws.send_json()  # error: data
    await ws.send_text("hello", "utf-8")  # error: argument
    await ws.send_json(value={})  # error: value


async def forgotten_awaits(ws: ChatConnection) -> None:
    ws.send_model(Joined())  # error: used
    ws.send_text("hello")  # error: used
    sent: bool = await ws.send_model(Joined())  # error: None bool
    print(sent)


async def raw_events(ws: ChatWebSocket) -> None:
    await ws.send("hello")  # error: send str
    await ws.send(Order())  # error: send Order
    await ws.send()  # error: message
    await ws.send(event={})  # error: event
    misspelt: WebSocketCloseEvent = {"type": "websocket.closed"}  # error: type
    wrong: WebSocketCloseEvent = {"type": "websocket.close", "code": "1000"}  # error: int
    more: WebSocketCloseEvent = {"type": "websocket.close", "status": 1000}  # error: status
    print(misspelt, wrong, more)
