"""A chat whose first message must be `Auth`, for clients that cannot send a token in another way."""

from typing import Annotated, Literal, TypeAlias, assert_never

import anyio
from pydantic import BaseModel, Field, PlainSerializer, SecretStr

from typedws import App, ApplicationCloseCode, Connection, Group, InvalidMessage

# Masked in logs and tracebacks, but not in messages that a client sends: SecretStr itself serializes to "**********".
Token: TypeAlias = Annotated[SecretStr, PlainSerializer(SecretStr.get_secret_value, when_used="json")]


class Auth(BaseModel):
    type: Literal["auth"] = "auth"
    token: Token


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str = Field(max_length=280)


class Rename(BaseModel):
    type: Literal["rename"] = "rename"
    name: str = Field(max_length=40)


class Welcome(BaseModel):
    type: Literal["welcome"] = "welcome"
    name: str


class Said(BaseModel):
    type: Literal["said"] = "said"
    text: str
    by: str


class ChatClose(ApplicationCloseCode):
    AUTH_EXPECTED = 4001, "expected an auth message first", "never"
    WRONG_TOKEN = 4003, "the token is unknown", "never"


ClientMessage: TypeAlias = Annotated[Auth | Say | Rename, Field(discriminator="type")]
AfterAuth: TypeAlias = Annotated[Say | Rename, Field(discriminator="type")]
ServerMessage: TypeAlias = Annotated[Welcome | Said, Field(discriminator="type")]

AUTH_TIMEOUT = 5.0
users = {"token-of-ann": "ann", "token-of-bob": "bob"}
room: Group[ServerMessage] = Group()
app = App()


@app.websocket("/chat")
async def talk(ws: Connection[ClientMessage, ServerMessage]) -> None:
    try:
        with anyio.fail_after(AUTH_TIMEOUT):
            auth = await ws.receive_model(Auth)
    except (TimeoutError, InvalidMessage):
        await ws.close(ChatClose.AUTH_EXPECTED)
        return
    name = users.get(auth.token.get_secret_value())
    if name is None:
        await ws.close(ChatClose.WRONG_TOKEN)
        return
    async with room.joined(ws):  # only now: a client receives nothing before its token is checked
        await room.send(Welcome(name=name))
        async for message in ws.iter_models(AfterAuth):
            match message:
                case Say(text=text):
                    await room.send(Said(text=text, by=name))
                case Rename():
                    name = message.name
                case _:
                    assert_never(message)
