"""Receiving one message: the requested type is the type of the result, whatever kind of type it is."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, NewType, Optional, TypeAlias, TypeVar, Union, assert_type
from uuid import UUID

from annotated_types import Gt
from pydantic import Field, RootModel
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
from typedws import Connection, TextJSON, WebSocket
from typedws.asgi import Receive, Scope, Send
from typing_extensions import TypeAliasType, TypeForm

T = TypeVar("T")
AnyOrder: TypeAlias = Order | list[Order]
Event = TypeAliasType("Event", Join | Say)
Nested = TypeAliasType("Nested", "int | list[Nested]")
Number = NewType("Number", int)


@dataclass
class Pair(Generic[T]):
    """A generic dataclass."""

    first: T
    second: T


async def every_kind_of_type(ws: Connection) -> None:
    assert_type(await ws.receive_model(Order), Order)
    assert_type(await ws.receive_model(Point), Point)
    assert_type(await ws.receive_model(Size), Size)
    assert_type(await ws.receive_model(Join | Say), Join | Say)
    assert_type(await ws.receive_model(ClientMessage), Join | Say)
    assert_type(await ws.receive_model(Annotated[Join | Say, Field(discriminator="type")]), Join | Say)
    assert_type(await ws.receive_model(Annotated[int, Gt(0)]), int)
    assert_type(await ws.receive_model(list[Order]), list[Order])
    assert_type(await ws.receive_model(dict[str, Order]), dict[str, Order])
    assert_type(await ws.receive_model(tuple[int, Order]), tuple[int, Order])
    assert_type(await ws.receive_model(tuple[Order, ...]), tuple[Order, ...])
    assert_type(await ws.receive_model(Page[Order]), Page[Order])
    assert_type(await ws.receive_model(Pair[int]), Pair[int])
    assert_type(await ws.receive_model(Tree), Tree)
    assert_type(await ws.receive_model(Order | None), Order | None)
    assert_type(await ws.receive_model(Literal["go", "stop"]), Literal["go", "stop"])
    assert_type(await ws.receive_model(int), int)
    assert_type(await ws.receive_model(datetime | UUID), datetime | UUID)
    assert_type(await ws.receive_model(AnyOrder), Order | list[Order])
    assert_type(await ws.receive_model(Event), Join | Say)
    assert_type(await ws.receive_model(Nested), Nested)
    assert_type(await ws.receive_model(Number), Number)
    assert_type(await ws.receive_model(RootModel[list[Order]]), RootModel[list[Order]])
    assert_type(await ws.receive_model(Union[Join, Say]), Join | Say)
    assert_type(await ws.receive_model(Optional[Order]), Order | None)
    assert_type(await ws.receive_model(Any), Any)
    assert_type((await ws.receive_model(Tree)).children, list[Tree])
    assert_type((await ws.receive_model(Page[Order])).items, list[Order])


async def every_kind_of_type_on_the_class(ws: WebSocket) -> None:
    assert_type(await ws.receive_model(Order), Order)
    assert_type(await ws.receive_model(Join | Say), Join | Say)
    assert_type(await ws.receive_model(ClientMessage), Join | Say)


async def the_declared_type(ws: ChatConnection, whole: ChatWebSocket) -> None:
    assert_type(await ws.receive_model(), Join | Say)
    assert_type(await ws.receive_model(mode="binary"), Join | Say)
    assert_type(await ws.receive_model(mode=TextJSON()), Join | Say)
    assert_type(await whole.receive_model(), Join | Say)
    assert_type(await anext(ws), Join | Say)


async def a_narrower_type_than_declared(ws: ChatConnection) -> None:
    assert_type(await ws.receive_model(Join), Join)
    assert_type(await ws.receive_model(Join, "binary"), Join)
    assert_type(await ws.receive_model(Join, mode="msgpack"), Join)
    assert_type(await ws.receive_model(Join, mode=None), Join)


async def nothing_declared(scope: Scope, receive: Receive, send: Send) -> None:
    ws = WebSocket(scope, receive, send)
    await ws.accept()
    assert_type(await ws.receive_model(), object)
    assert_type(await ws.receive_model(Order), Order)


async def declared_by_the_call(scope: Scope, receive: Receive, send: Send) -> None:
    ws = WebSocket[ClientMessage, Order](scope, receive, send)
    assert_type(await ws.receive_model(), Join | Say)
    orders = WebSocket[list[Order], Any](scope, receive, send)
    assert_type(await orders.receive_model(), list[Order])


class Orders(WebSocket[Order, Order]):
    """A subclass that declares the types."""


class InThePark(WebSocket[T, Order, Point]):
    """A subclass that declares some of them."""


async def declared_by_a_subclass(scope: Scope, receive: Receive, send: Send) -> None:
    ws = Orders(scope, receive, send)
    assert_type(await ws.receive_model(), Order)
    assert_type(await ws.receive_model(Point), Point)
    park = InThePark[Join](scope, receive, send)
    assert_type(await park.receive_model(), Join)
    assert_type(park.params, Point)
    assert_type(await park.accept(), Connection[Join, Order, Point])


async def a_generic_function(ws: Connection, form: TypeForm[T]) -> T:
    return await ws.receive_model(form)


async def its_callers(ws: Connection) -> None:
    assert_type(await a_generic_function(ws, Order), Order)
    assert_type(await a_generic_function(ws, Join | Say), Join | Say)


async def a_generic_function_over_connections(ws: Connection[T, Any, Any]) -> T:
    return await ws.receive_model()


async def its_caller(ws: ChatConnection) -> None:
    assert_type(await a_generic_function_over_connections(ws), Join | Say)


async def a_class_in_a_variable(ws: Connection, wanted: type[T]) -> T:
    return await ws.receive_model(wanted)


async def in_tasks(ws: ChatConnection) -> None:
    assert_type(asyncio.create_task(ws.receive_model(Order)), asyncio.Task[Order])
    assert_type(await asyncio.wait_for(ws.receive_model(), 1), Join | Say)
    assert_type(await asyncio.gather(ws.receive_model(Order), ws.receive_text()), tuple[Order, str])
    receive: Callable[[], Awaitable[Join | Say]] = ws.receive_model
    assert_type(await receive(), Join | Say)


async def without_a_model(ws: ChatConnection) -> None:
    assert_type(await ws.receive_text(), str)
    assert_type(await ws.receive_bytes(), bytes)
    assert_type(await ws.receive_json(), Any)
    assert_type(await ws.receive_json("binary"), Any)
    assert_type(await ws.receive_json(mode=TextJSON(exact_integers=True)), Any)


async def raw_events(ws: ChatWebSocket) -> None:
    assert_type(await ws.receive(), Any)
