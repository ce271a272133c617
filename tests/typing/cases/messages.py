"""The messages of all cases: a chat, and orders that are not part of it."""

from dataclasses import dataclass
from typing import Annotated, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, Field
from typedws import Connection, Handshake, WebSocket
from typing_extensions import TypedDict

T = TypeVar("T")


class Join(BaseModel):
    """A client enters a room."""

    type: Literal["join"] = "join"
    room: str = "lobby"


class Say(BaseModel):
    """A client sends a text."""

    type: Literal["say"] = "say"
    text: str = ""


class Joined(BaseModel):
    """A client has entered a room."""

    type: Literal["joined"] = "joined"
    room: str = "lobby"


class Said(BaseModel):
    """A client has sent a text."""

    type: Literal["said"] = "said"
    text: str = ""


class Room(BaseModel):
    """The parameters of the chat."""

    room: str = "lobby"
    limit: int = 10


class Order(BaseModel):
    """A message that is not part of the chat."""

    id: int = 0


class RushOrder(Order):
    """An order with one more field."""

    by: str = "noon"


@dataclass
class Point:
    """A message that is a dataclass."""

    x: int
    y: int


class Size(TypedDict):
    """A message that is a dictionary."""

    width: int
    height: int


class Page(BaseModel, Generic[T]):
    """A generic message."""

    items: list[T]
    total: int = 0


class Tree(BaseModel):
    """A message that contains itself."""

    name: str
    children: "list[Tree]" = []


ClientMessage = Annotated[Join | Say, Field(discriminator="type")]
ServerMessage = Annotated[Joined | Said, Field(discriminator="type")]

ChatHandshake: TypeAlias = Handshake[ClientMessage, ServerMessage, Room]
ChatConnection: TypeAlias = Connection[ClientMessage, ServerMessage, Room]
ChatWebSocket: TypeAlias = WebSocket[ClientMessage, ServerMessage, Room]
