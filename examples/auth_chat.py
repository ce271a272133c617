"""A chat that requires a token, in the ``Authorization`` header or, from browsers, as a subprotocol."""

from typing import Annotated, Literal, TypeAlias, assert_never

from pydantic import BaseModel, Field

from typedws import App, ApplicationCloseCode, Connection, Contract, Group, Handshake, Outcome


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str = Field(max_length=280)


class Leave(BaseModel):
    type: Literal["leave"] = "leave"


class Said(BaseModel):
    type: Literal["said"] = "said"
    text: str
    by: str


class Left(BaseModel):
    type: Literal["left"] = "left"
    who: str


class Room(BaseModel):
    room: Literal["lobby", "garden"]  # from the path


class ChatClose(ApplicationCloseCode):
    SHOUTED = 4001, "no shouting here", "never"


ClientMessage: TypeAlias = Annotated[Say | Leave, Field(discriminator="type")]
ServerMessage: TypeAlias = Annotated[Said | Left, Field(discriminator="type")]

# The client chooses by subprotocol: chat.v1.json or chat.v1.msgpack.
chat = Contract("chat", Connection[ClientMessage, ServerMessage, Room], modes=("text", "msgpack"), closes=ChatClose)
users = {"token-of-ann": "ann", "token-of-bob": "bob"}
rooms: dict[str, Group[ServerMessage]] = {"lobby": Group(), "garden": Group()}
app = App()


@app.websocket("/chat/{room}", chat)
async def talk(handshake: Handshake[ClientMessage, ServerMessage, Room]) -> Outcome:
    name = users.get(handshake.bearer_token or "")
    if name is None:
        return await handshake.deny(401, detail="token missing or wrong", headers={"WWW-Authenticate": "Bearer"})
    ws = await handshake.accept()
    room = rooms[ws.params.room]
    async with room.joined(ws):
        async for message in ws:  # ends when either side closes
            match message:
                case Say(text=text) if text.isupper():
                    await ws.close(ChatClose.SHOUTED)
                case Say(text=text):
                    await room.send(Said(text=text, by=name))
                case Leave():
                    await ws.close()
                case _:
                    assert_never(message)
    await room.send(Left(who=name))
    return await ws.close()
