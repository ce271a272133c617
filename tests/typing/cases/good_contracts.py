"""Contracts: the types that are inferred, and every way to make a contract."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Never, assert_type

from pydantic import BaseModel, Field
from tests.typing.cases.messages import (
    ChatConnection,
    ChatHandshake,
    ChatWebSocket,
    ClientMessage,
    Join,
    Joined,
    Order,
    Point,
    Room,
    Said,
    Say,
)
from typedws import (
    ApplicationCloseCode,
    CodecRegistry,
    Connection,
    Contract,
    ErrorReply,
    FieldProblem,
    FromCookie,
    FromHeader,
    InvalidMessage,
    TextJSON,
)
from typedws.close_codes import Reconnect
from typedws.codecs import Mode


class ChatClose(ApplicationCloseCode):
    KICKED = 4001, "removed by a moderator", "never"
    MOVED = 4002, "the room moved", "resume"
    BUSY = 4003


class Refused(ErrorReply):
    where: list[str] = []

    @classmethod
    def of(cls, error: InvalidMessage) -> "Refused":
        return cls(problem=error.problem, detail="no", where=[where for where, _ in error.locations()])


class Tenant(BaseModel):
    room: str
    tenant: Annotated[str, FromHeader("x-tenant")]
    trace_id: Annotated[str | None, FromHeader()] = None
    session: Annotated[str, FromCookie(name="session_id")] = ""
    theme: Annotated[str, FromCookie()] = "dark"


def what_is_inferred(loose: Connection[Any, Any, Any]) -> None:
    chat = Contract("chat", ChatConnection)
    assert_type(chat, Contract[Join | Say, Joined | Said, Room])
    assert_type(Contract("chat", ChatWebSocket), Contract[Join | Say, Joined | Said, Room])
    assert_type(Contract("chat", ChatHandshake), Contract[Join | Say, Joined | Said, Room])
    assert_type(Contract("one", Connection[Order, Order]), Contract[Order, Order, object])
    assert_type(Contract("points", Connection[list[Point], Point, Tenant]), Contract[list[Point], Point, Tenant])
    assert_type(Contract("feed", Connection[Never, Joined]), Contract[Never, Joined, object])
    assert_type(Contract("ear", Connection[Joined, Never]), Contract[Joined, Never, object])


def every_way_to_make_one(codecs: CodecRegistry) -> None:
    Contract(name="chat", connection=ChatConnection)
    Contract("chat", ChatConnection, version="1.2.0", title="Chat", description="A chat.")
    Contract("chat", ChatConnection, title=None, description=None, closes=None, error=None)
    Contract("chat", ChatConnection, modes=("text", "msgpack"))
    Contract("chat", ChatConnection, modes=["binary", TextJSON()])
    Contract("chat", ChatConnection, modes={"chat.json": "text", "chat.exact": TextJSON(exact_integers=True)})
    Contract("chat", ChatConnection, closes=ChatClose)
    Contract("chat", Connection[ClientMessage, Annotated[Said | Refused, Field(discriminator="type")]], error=Refused)
    Contract("chat", Connection[ClientMessage, Annotated[Said | ErrorReply, Field(discriminator="type")]], error=ErrorReply, codecs=codecs)


def what_it_holds() -> None:
    chat = Contract("chat", ChatConnection)
    assert_type(chat.name, str)
    assert_type(chat.version, str)
    assert_type(chat.title, str | None)
    assert_type(chat.description, str | None)
    assert_type(chat.modes, tuple[Mode, ...])
    assert_type(chat.subprotocols, Mapping[str, Mode])
    assert_type(chat.closes, type[ApplicationCloseCode] | None)
    assert_type(chat.error, type[ErrorReply] | None)
    assert_type(chat.is_feed, bool)
    assert_type(chat.fingerprint, str)


def close_codes(code: ChatClose) -> Literal["no"] | None:
    assert_type(ChatClose.KICKED.description, str)
    assert_type(ChatClose.MOVED.reconnect, Reconnect)
    assert_type(ChatClose(4001), ChatClose)
    number: int = ChatClose.BUSY
    match code:
        case ChatClose.KICKED:
            return "no"
        case ChatClose.MOVED | ChatClose.BUSY:
            return print(number)


async def closing_with_one(ws: ChatConnection) -> None:
    await ws.close(ChatClose.KICKED)
    await ws.close(ChatClose.MOVED, "to the attic")


def replies(error: InvalidMessage) -> None:
    assert_type(ErrorReply.of(error), ErrorReply)
    assert_type(Refused.of(error), Refused)
    ErrorReply(problem="invalid", detail="no", errors=[FieldProblem(location="text", problem="missing")])
    ErrorReply(type="error", problem="too_big", detail="no")


async def replying(ws: Connection[ClientMessage, Annotated[Said | Refused, Field(discriminator="type")]]) -> None:
    await ws.send_model(Refused(problem="malformed", detail="no"))
