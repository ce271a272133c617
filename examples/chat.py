from typing import Annotated, Literal, assert_never

from pydantic import BaseModel, Field

from typedws import Connection, Handshake, InvalidMessage, Outcome, WebSocket
from typedws.asgi import Receive, Scope, Send


class Join(BaseModel):
    type: Literal["join"] = "join"
    room: str


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


class Refused(BaseModel):
    type: Literal["refused"] = "refused"
    problems: list[str]


class User(BaseModel):
    name: str = "guest"
    token: str = ""


ClientMessage = Annotated[Join | Say, Field(discriminator="type")]
ServerMessage = Annotated[Joined | Said | Refused, Field(discriminator="type")]


async def decide(handshake: Handshake[ClientMessage, ServerMessage, User]) -> Outcome:
    if handshake.params.token != "sesame":
        return await handshake.deny(401, detail="token missing or wrong")
    connection = await handshake.accept()
    while True:
        try:
            await talk(connection)
            return await connection.close()
        except InvalidMessage as error:  # the connection is as usable as before
            problems = [f"{where}: {kind}" for where, kind in error.locations()] or [error.problem]
            await connection.send_model(Refused(problems=problems))


async def talk(connection: Connection[ClientMessage, ServerMessage, User]) -> None:
    async for message in connection:  # Join | Say, validated; ends when the client goes
        match message:
            case Join(room=room):
                await connection.send_model(Joined(room=room))
            case Say(text=text):
                await connection.send_model(Said(text=text, by=connection.params.name))
            case _:
                assert_never(message)  # a new member of the union is a type error here


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await decide(WebSocket[ClientMessage, ServerMessage, User](scope, receive, send))
