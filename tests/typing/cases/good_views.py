"""Which view is assignable to which: `WebSocket` to both, wider inputs, narrower outputs, bare annotations to all."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, assert_type

from tests.typing.cases.messages import (
    ChatConnection,
    ChatHandshake,
    ChatWebSocket,
    ClientMessage,
    Join,
    Joined,
    Order,
    Room,
    RushOrder,
    Said,
    Say,
    ServerMessage,
)
from typedws import Connection, Handshake, Outcome, WebSocket


def takes_a_bare_websocket(ws: WebSocket) -> None: ...
def takes_a_bare_connection(ws: Connection) -> None: ...
def takes_a_bare_handshake(handshake: Handshake) -> None: ...
def takes_a_mapping(scope: Mapping[str, Any]) -> None: ...
def takes_a_handshake(handshake: ChatHandshake) -> None: ...
def takes_a_connection(ws: ChatConnection) -> None: ...
def receives_more(ws: Connection[Join | Say | Order, ServerMessage, Room]) -> None: ...
def sends_less(ws: Connection[ClientMessage, Said, Room]) -> None: ...
def receives_more_and_sends_less(ws: Connection[object, Joined]) -> None: ...
def ignores_the_parameters(ws: Connection[ClientMessage, ServerMessage]) -> None: ...
def decides_for_more(handshake: Handshake[Join | Say | Order, Said, Room | None]) -> None: ...
def receives_orders(ws: Connection[Order]) -> None: ...
def sends_rush_orders(ws: Connection[Any, RushOrder]) -> None: ...
def sends_anything(ws: Connection[ClientMessage, Any]) -> None: ...


def a_websocket_is_both(ws: ChatWebSocket) -> None:
    takes_a_handshake(ws)
    takes_a_connection(ws)
    takes_a_bare_handshake(ws)
    takes_a_bare_connection(ws)
    takes_a_bare_websocket(ws)
    takes_a_mapping(ws)


def bare_annotations_take_all(
    handshake: ChatHandshake,
    connection: ChatConnection,
    other: WebSocket[Order, RushOrder],
    bare: WebSocket,
    loose: WebSocket[Any, Any, Any],
) -> None:
    takes_a_bare_handshake(handshake)
    takes_a_bare_connection(connection)
    takes_a_bare_websocket(other)
    takes_a_bare_websocket(bare)
    takes_a_bare_websocket(loose)
    takes_a_mapping(handshake)
    takes_a_mapping(connection)


def a_view_that_receives_less_and_sends_more_is_accepted(connection: ChatConnection, handshake: ChatHandshake) -> None:
    receives_more(connection)
    sends_less(connection)
    receives_more_and_sends_less(connection)
    ignores_the_parameters(connection)
    decides_for_more(handshake)
    sends_anything(connection)


def subclasses(rush: Connection[RushOrder, Order]) -> None:
    receives_orders(rush)
    sends_rush_orders(rush)


async def accept_of_a_bare_handshake(handshake: Handshake) -> None:
    ws = await handshake.accept()
    assert_type(await ws.receive_model(), object)
    await ws.send_model(Order())


def decorator(handler: Callable[[ChatHandshake], Awaitable[Outcome]]) -> None: ...
def listener(handler: Callable[[ChatConnection], Awaitable[None]]) -> None: ...


@decorator
async def decides(handshake: ChatHandshake) -> Outcome:
    return await handshake.deny()


@decorator
async def decides_with_the_class(ws: ChatWebSocket | ChatHandshake) -> Outcome:
    return await ws.deny()


@listener
async def talks(ws: ChatConnection) -> None:
    await ws.send_model(Joined())


@listener
async def talks_in_general(ws: Connection) -> None:
    await ws.close()
