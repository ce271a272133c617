"""Contracts: arguments of the wrong type, and inferred types mistaken for others."""

from typing import Annotated, Never

from pydantic import BaseModel
from tests.typing.cases.messages import (
    ChatConnection,
    ClientMessage,
    Join,
    Joined,
    Order,
    Point,
    Room,
    Said,
    Say,
    ServerMessage,
)
from typedws import (
    ApplicationCloseCode,
    CloseCode,
    Contract,
    ErrorReply,
    FieldProblem,
    FromCookie,
    FromHeader,
    InvalidMessage,
)


class ChatClose(ApplicationCloseCode):
    KICKED = 4001, "removed by a moderator", "never"


def arguments(connection: ChatConnection) -> None:
    Contract()  # error: name connection
    Contract("chat")  # error: connection
    Contract(4, ChatConnection)  # error: str
    Contract(name=Order(), connection=ChatConnection)  # error: Order str
    Contract("chat", connection)  # error: Contract type
    Contract("chat", connection=Order)  # error: connection Contract Order
    Contract("chat", ClientMessage)  # error: Contract
    Contract("chat", ChatConnection, "1.0.0")  # error: argument
    Contract("chat", ChatConnection, version=1)  # error: version str
    Contract("chat", ChatConnection, title=b"Chat")  # error: title str
    Contract("chat", ChatConnection, description=Order())  # error: description Order str
    Contract("chat", ChatConnection, modes=1)  # error: modes
    Contract("chat", ChatConnection, modes=("text", 1))  # error: modes tuple Mapping
    Contract("chat", ChatConnection, modes={"chat.json": Order()})  # error: Order
    Contract("chat", ChatConnection, closes=ChatClose.KICKED)  # error: closes ChatClose type[ApplicationCloseCode]
    Contract("chat", ChatConnection, closes=CloseCode)  # error: closes CloseCode ApplicationCloseCode
    Contract("chat", ChatConnection, error=Said)  # error: error Said ErrorReply
    Contract("chat", ChatConnection, error=ErrorReply(problem="invalid", detail=""))  # error: type[ErrorReply]
    Contract("chat", ChatConnection, codecs={"text": "json"})  # error: codecs CodecRegistry
    Contract("chat", ChatConnection, mode="text")  # error: mode


def what_is_inferred() -> None:
    chat = Contract("chat", ChatConnection)
    swapped: Contract[ServerMessage, ClientMessage, Room] = chat  # error: Contract
    other: Contract[ClientMessage, ServerMessage, Order] = chat  # error: Contract Room Order
    feed: Contract[Never, ServerMessage, Room] = chat  # error: Contract Never
    narrow: Contract[Join, ServerMessage, Room] = chat  # error: Contract Join
    print(swapped, other, feed, narrow)


def what_it_holds(chat: Contract[ClientMessage, ServerMessage, Room]) -> None:
    print(chat.messages)  # error: Contract messages
    chat.is_feed = True  # error: is_feed
    chat.fingerprint = "0"  # error: fingerprint
    name: Order = chat.name  # error: str Order
    print(name, chat.is_feed())  # error: callable
    chat.modes = "text"  # error: tuple


def close_codes() -> None:
    print(ChatClose.BANNED)  # error: BANNED
    again: Order = ChatClose.KICKED.reconnect  # error: Order
    print(again, ChatClose.KICKED.why)  # error: why
    ChatClose.KICKED = 4002  # error: KICKED


async def closing_with_one(ws: ChatConnection) -> None:
    await ws.close(ChatClose)  # error: close type[ChatClose] int
    await ws.close(ChatClose.KICKED.description)  # error: close str int


def replies(error: InvalidMessage) -> None:
    ErrorReply(type="problem", problem="invalid", detail="")  # error: type Literal['error']
    ErrorReply(problem="wrong", detail="")  # error: problem wrong malformed
    ErrorReply(problem="invalid", detail=Order())  # error: detail Order str
    ErrorReply(problem="invalid", detail="", errors=[Order()])  # error: Order FieldProblem
    ErrorReply(problem="invalid")  # error: detail
    ErrorReply.of(Order())  # error: of Order InvalidMessage
    said: Said = ErrorReply.of(error)  # error: ErrorReply Said
    FieldProblem(location=("text",), problem="missing")  # error: tuple str
    FieldProblem(location="text", problem=Order())  # error: problem Order str
    FieldProblem("text", "missing")  # error: argument
    print(said)


async def replying(ws: ChatConnection) -> None:
    await ws.send_model(ErrorReply(problem="invalid", detail=""))  # error: send_model ErrorReply Joined Said


def fields_from_elsewhere(params: Room) -> None:
    FromHeader(b"x-tenant")  # error: str
    FromHeader(name=Order())  # error: name Order str
    FromHeader("x-tenant", "x-other")  # error: argument
    FromCookie(1)  # error: str
    FromCookie(name=Order())  # error: name Order str
    FromCookie(key="session")  # error: key
    FromHeader("x-tenant").name = "x-other"  # error: name
    FromCookie("session").name = "other"  # error: name
    FromHeader().values({}, "x")  # error: values HandshakeRequest
    FromHeader().header(7, "x")  # error: header str
    FromCookie().header("x", text=7)  # error: header str
    FromHeader().values(request=Order(), field="x")  # error: values Order HandshakeRequest
    FromCookie().values({}, field=b"x")  # error: values HandshakeRequest
    FromHeader().name_for(1)  # error: name_for str
    FromCookie().name_for(field=b"x")  # error: name_for str


class Tenant(BaseModel):
    tenant: Annotated[str, FromHeader("x-tenant")]


def a_marked_field_has_its_type(tenant: Tenant) -> None:
    number: int = tenant.tenant  # error: str int
    print(number, Tenant(tenant=Point(1, 2)), Join, Joined, Say)  # error: tenant Point str
