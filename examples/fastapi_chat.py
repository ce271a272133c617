"""A chat in FastAPI: ``Depends`` checks the user before the accept, and each message has a database session."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, Field

from typedws import Connection, Contract, Group
from typedws.integrations.fastapi import typed_websocket


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str = Field(min_length=1, max_length=280)


class Said(BaseModel):
    type: Literal["said"] = "said"
    text: str
    by: str


class Room(BaseModel):
    room: Literal["lobby", "garden"]  # from the path


ChatConnection = Connection[Say, Said, Room]
chat = Contract("chat", ChatConnection)
users = {"token-of-ann": "ann", "token-of-bob": "bob"}
rooms: dict[str, Group[Said]] = {"lobby": Group(), "garden": Group()}
history: list[tuple[str, str, str]] = []
app = FastAPI()


@contextmanager
def session() -> Generator[list[tuple[str, str, str]]]:
    """Yield a stand-in for a database session: rows that are added in the block are kept if the block succeeds."""
    added: list[tuple[str, str, str]] = []
    yield added
    history.extend(added)


def current_user(token: str = "") -> str:
    if token not in users:
        raise HTTPException(401, "token missing or wrong")
    return users[token]


@app.websocket("/chat/{room}")
async def talk(
    ws: Annotated[ChatConnection, typed_websocket(chat)], user: Annotated[str, Depends(current_user)]
) -> None:
    room = rooms[ws.params.room]
    async with room.joined(ws):
        async for message in ws:
            with session() as rows:  # one for each message: a connection may last for hours, a session must not
                rows.append((ws.params.room, user, message.text))
            await room.send(Said(text=message.text, by=user))
