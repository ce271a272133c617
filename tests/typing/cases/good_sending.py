"""Sending: members of the declared type, their subclasses, and anything where nothing is declared."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar, assert_type

import anyio
from tests.typing.cases.messages import (
    ChatConnection,
    ChatWebSocket,
    Joined,
    Order,
    Page,
    Point,
    RushOrder,
    Said,
    ServerMessage,
    Size,
)
from typedws import BinaryJSON, Connection, WebSocket
from typedws.asgi import TextSendEvent, WebSocketAcceptEvent, WebSocketSendEvent

T = TypeVar("T")


async def members_of_the_declared_type(ws: ChatConnection, whole: ChatWebSocket, message: ServerMessage) -> None:
    assert_type(await ws.send_model(Joined()), None)
    await ws.send_model(Said(text="hello"))
    await ws.send_model(message)
    await ws.send_model(message=Said())
    await whole.send_model(Said())


async def subclasses(ws: Connection[Any, Order]) -> None:
    await ws.send_model(RushOrder())


async def every_kind_of_message(
    points: Connection[Any, Point], sizes: Connection[Any, Size], pages: Connection[Any, Page[Order] | list[Order]]
) -> None:
    await points.send_model(Point(1, 2))
    await sizes.send_model({"width": 1, "height": 2})
    await pages.send_model(Page(items=[Order()]))
    await pages.send_model([Order(), RushOrder()])


async def nothing_declared(ws: Connection, whole: WebSocket) -> None:
    await ws.send_model(Order())
    await ws.send_model([1, "two"])
    await whole.send_model(Point(1, 2))


async def every_mode(ws: ChatConnection) -> None:
    await ws.send_model(Said(), "binary")
    await ws.send_model(Said(), mode="msgpack")
    await ws.send_model(Said(), mode=BinaryJSON())
    await ws.send_model(Said(), mode=None)


async def in_tasks(ws: ChatConnection) -> None:
    async with ws.cancelled_on_disconnect(), anyio.create_task_group() as tasks:
        tasks.start_soon(ws.send_model, Said())
        tasks.start_soon(ws.send_text, "hello")
        tasks.start_soon(ws.close, 1000, "bye")
    say: Callable[[Said], Awaitable[None]] = ws.send_model
    await say(Said())


async def relay(source: Connection[T], target: Connection[Any, T]) -> None:
    await target.send_model(await source.receive_model())
    async for message in source:
        await target.send_model(message)


async def relayed(source: Connection[Said], target: ChatConnection, bare: Connection) -> None:
    await relay(source, target)
    await relay(target, bare)


async def one_of_two(ws: Connection[Any, Order | Said] | Connection[Any, Order | Point]) -> None:
    await ws.send_model(Order())


async def without_a_model(ws: ChatConnection) -> None:
    await ws.send_text("hello")
    await ws.send_text(data="hello")
    await ws.send_bytes(b"hello")
    await ws.send_bytes(data=b"hello")
    await ws.send_json({"at": datetime.now(), "who": [Order(), Point(1, 2)]})
    await ws.send_json(data=None, mode="binary")


async def raw_events(ws: ChatWebSocket, event: WebSocketSendEvent) -> None:
    accept: WebSocketAcceptEvent = {"type": "websocket.accept", "subprotocol": None, "headers": []}
    text: TextSendEvent = {"type": "websocket.send", "text": "hello"}
    await ws.send(accept)
    await ws.send(text)
    await ws.send({"type": "websocket.close", "code": 1000})
    await ws.send(message=event)
