"""Views that are mistaken for each other, and declared types that do not fit."""

from collections.abc import Awaitable, Callable

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
    ServerMessage,
)
from typedws import Connection, Handshake, Outcome, WebSocket


def takes_a_websocket(ws: ChatWebSocket) -> None: ...
def takes_a_bare_websocket(ws: WebSocket) -> None: ...
def takes_a_connection(ws: ChatConnection) -> None: ...
def takes_a_bare_connection(ws: Connection) -> None: ...
def takes_a_handshake(handshake: ChatHandshake) -> None: ...
def takes_a_bare_handshake(handshake: Handshake) -> None: ...
def receives_less(ws: Connection[Join, ServerMessage, Room]) -> None: ...
def sends_more(ws: Connection[ClientMessage, Joined | Said | Order, Room]) -> None: ...
def has_other_parameters(ws: Connection[ClientMessage, ServerMessage, Order]) -> None: ...
def receives_rush_orders(ws: Connection[RushOrder]) -> None: ...
def sends_orders(ws: Connection[object, Order]) -> None: ...
def decides_for_others(handshake: Handshake[Order, ServerMessage, Room]) -> None: ...


def one_view_for_the_other(connection: ChatConnection, handshake: ChatHandshake) -> None:
    takes_a_connection(handshake)  # error: takes_a_connection Handshake Connection
    takes_a_bare_connection(handshake)  # error: takes_a_bare_connection Handshake Connection
    takes_a_handshake(connection)  # error: takes_a_handshake Connection Handshake
    takes_a_bare_handshake(connection)  # error: takes_a_bare_handshake Connection Handshake
    takes_a_websocket(connection)  # error: takes_a_websocket Connection WebSocket
    takes_a_websocket(handshake)  # error: takes_a_websocket Handshake WebSocket
    takes_a_bare_websocket(connection)  # error: takes_a_bare_websocket Connection WebSocket


def types_that_do_not_fit(connection: ChatConnection, handshake: ChatHandshake, whole: ChatWebSocket) -> None:
    receives_less(connection)  # error: receives_less Join Say
    sends_more(connection)  # error: sends_more Joined Said Order
    has_other_parameters(connection)  # error: has_other_parameters Room Order
    decides_for_others(handshake)  # error: decides_for_others Order Join
    receives_less(whole)  # error: receives_less Join Say
    sends_more(whole)  # error: sends_more Joined Said Order


def subclasses(orders: Connection[Order], rush: Connection[object, RushOrder]) -> None:
    receives_rush_orders(orders)  # error: receives_rush_orders Order RushOrder
    sends_orders(rush)  # error: sends_orders Order RushOrder


async def parameters(ws: ChatConnection, handshake: ChatHandshake, bare: WebSocket) -> None:
    print(ws.params.rooms)  # error: Room rooms
    print(handshake.params.rooms)  # error: Room rooms
    print(bare.params.room)  # error: object room
    order: Order = ws.params  # error: Room Order
    number: int = ws.params.room  # error: str int
    print(order, number)
    ws.params = Room()  # error: params


def too_many_types(ws: Connection[Join, Joined, Room, Order]) -> None: ...  # error: Connection
def handler(function: Callable[[ChatHandshake], Awaitable[Outcome]]) -> None: ...
def listener(function: Callable[[ChatConnection], Awaitable[None]]) -> None: ...


async def decides(handshake: ChatHandshake) -> Outcome:
    return await handshake.deny()


async def forgets(handshake: ChatHandshake) -> None:
    await handshake.deny()


async def listens(ws: ChatConnection) -> None: ...
async def listens_to_others(ws: Connection[Order]) -> None: ...


handler(listens)  # error: handler Connection Handshake
handler(forgets)  # error: handler None
listener(decides)  # error: listener Handshake
listener(listens_to_others)  # error: listener Order
