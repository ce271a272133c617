"""A chat application for the tests of `typedws.testing`."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from typedws import App, ApplicationCloseCode, Connection, Contract, ErrorReply, Group, Handshake, Outcome, Policy


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str


class Leave(BaseModel):
    type: Literal["leave"] = "leave"


class Fail(BaseModel):
    type: Literal["fail"] = "fail"


class Said(BaseModel):
    type: Literal["said"] = "said"
    text: str
    by: str


class Room(BaseModel):
    room: str
    name: str = "guest"


class Closes(ApplicationCloseCode):
    LEFT = 4001, "you asked for it"


ClientMessage = Annotated[Say | Leave | Fail, Field(discriminator="type")]
ServerMessage = Annotated[Said | ErrorReply, Field(discriminator="type")]
ChatHandshake = Handshake[ClientMessage, ServerMessage, Room]

chat = Contract(
    "chat", Connection[ClientMessage, ServerMessage, Room], modes=("text", "binary", "msgpack", "cbor"), closes=Closes
)
app = App(policy=Policy(on_invalid="reply"))
rooms: dict[str, Group[ServerMessage]] = {}


class Failure(Exception):
    """Raised by the handler on a `Fail` message."""


@app.websocket("/chat/{room}", chat)
async def talk(handshake: ChatHandshake) -> Outcome:
    params = handshake.params
    if params.name == "mallory":
        return await handshake.deny(401, detail="not you", headers={"WWW-Authenticate": "Bearer"})
    ws = await handshake.accept(headers={"x-room": params.room})
    room = rooms.setdefault(params.room, Group())
    async with room.joined(ws):
        async for message in ws:
            match message:
                case Say(text=text):
                    await room.send(Said(text=text, by=params.name))
                case Leave():
                    return await ws.close(Closes.LEFT)
                case Fail():
                    raise Failure("as it was asked to")
    return await ws.close()
