from typing import Annotated, Literal, assert_never

from pydantic import BaseModel, Field

from typedws import App, ErrorReply, Group, Handshake, Outcome, Policy


class Join(BaseModel):
    type: Literal["join"] = "join"


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str = Field(max_length=280)


class Joined(BaseModel):
    type: Literal["joined"] = "joined"
    room: str


class Said(BaseModel):
    type: Literal["said"] = "said"
    text: str
    by: str


class Room(BaseModel):
    room: Literal["lobby", "garden"]  # from the path; the rest from the query
    name: str = "guest"
    token: str = ""


ClientMessage = Annotated[Join | Say, Field(discriminator="type")]
ServerMessage = Annotated[Joined | Said | ErrorReply, Field(discriminator="type")]

app = App(policy=Policy(on_invalid="reply"))
rooms: dict[str, Group[ServerMessage]] = {"lobby": Group(), "garden": Group()}


@app.websocket("/chat/{room}")
async def chat(handshake: Handshake[ClientMessage, ServerMessage, Room]) -> Outcome:
    params = handshake.params  # a Room, validated; else the client was denied with 422
    if params.token != "sesame":
        return await handshake.deny(401, detail="token missing or wrong")
    ws = await handshake.accept()
    async with rooms[params.room].joined(ws):
        async for message in ws:  # Join | Say, validated; an invalid one is answered with an ErrorReply
            match message:
                case Join():
                    await ws.send_model(Joined(room=params.room))
                case Say(text=text):
                    await rooms[params.room].send(Said(text=text, by=params.name))
                case _:
                    assert_never(message)  # a new member of the union is a type error here
    return await ws.close()
