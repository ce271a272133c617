"""The handlers of the stories, their messages and exceptions. No framework is imported here."""

from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal, Never, TypeAlias, cast

import anyio
from anyio.lowlevel import checkpoint
from pydantic import BaseModel, Field

from tests.unit.integrations.sites import Site
from typedws import (
    Connection,
    ErrorReply,
    FromHeader,
    Handshake,
    HTTPException,
    InvalidMessage,
    Outcome,
    UnsendableMessage,
    WebSocketDisconnect,
    WebSocketException,
)


class Say(BaseModel):
    text: str


class Said(BaseModel):
    type: Literal["said"] = "said"
    text: str
    by: str = ""


class Room(BaseModel):
    room: str
    limit: int = 0
    tenant: Annotated[str, FromHeader("x-tenant")] = ""
    before: str = ""
    """What the handler raises before it accepts, as `ERRORS` names it."""
    after: str = ""
    """What it raises, or waits for, after that."""


class CrashError(Exception):
    """What an application does not expect."""


class Unwelcome(Exception):
    """The application's own exception."""


class Stop(BaseException):
    """An exception that ends more than a handler."""


Answer: TypeAlias = Annotated[Said | ErrorReply, Field(discriminator="type")]
Talk: TypeAlias = Connection[Say, Answer, Room]
Decide: TypeAlias = Handshake[Say, Answer, Room]

ERRORS: Final[Mapping[str, Callable[[Site], BaseException]]] = {
    "crash": lambda _: CrashError("secret"),
    "http": lambda _: HTTPException(401, "token missing", {"WWW-Authenticate": "Bearer"}),
    "framework-http": lambda site: site.framework.http_error(401, "not to you"),
    "websocket": lambda _: WebSocketException(4001, "bye"),
    "framework-websocket": lambda site: site.framework.websocket_error(4001, "ours"),
    "group": lambda site: ExceptionGroup("of tasks", [site.framework.http_error(404, "nothing here")]),
    "disconnect": lambda _: WebSocketDisconnect(1001),
    "unwelcome": lambda _: Unwelcome(),
    "stop": lambda _: Stop(),
}

# --- handlers ---


async def talk(handshake: Decide) -> Outcome:
    """Echo until the client says "bye", or fail as the parameters say."""
    site, params = Site.of(handshake), handshake.params
    if params.before:
        raise ERRORS[params.before](site)
    ws = await handshake.accept(headers={"X-Room": params.room})
    if params.after:
        raise ERRORS[params.after](site)
    async for say in ws:
        await ws.send_model(Said(text=say.text, by=params.room))
        if say.text == "bye":
            break
    return await ws.close(4002, "over")


async def echo(ws: Talk) -> None:
    """Echo until the client says "bye"."""
    async for say in ws:
        await ws.send_model(Said(text=say.text, by=ws.params.room))
        if say.text == "bye":
            return


async def deny(handshake: Decide) -> Outcome:
    denied = await handshake.deny(401, detail="token missing", headers={"WWW-Authenticate": "Bearer"})
    return Site.of(handshake).note(denied)


async def decide_nothing(handshake: Decide) -> Outcome:
    return cast(Outcome, None)


async def decide_never(handshake: Decide) -> Outcome:
    await anyio.sleep_forever()
    raise AssertionError


async def send_parameters(ws: Talk) -> None:
    params = ws.params
    await ws.send_model(Said(text=f"{params.room} {params.limit} {params.tenant}", by=str(ws.path_params["room"])))


async def send_colour(ws: Talk) -> None:
    """Send what the framework's lifespan started; note whether the connection has the framework's application."""
    framework = Site.of(ws).framework
    await ws.send_model(Said(text=framework.colour(ws)))
    Site.of(ws).note(type(ws.app) is framework.app_class)


async def listen(handshake: Decide) -> Outcome:
    """Note what the client sends, and how it leaves."""
    ws, site = await handshake.accept(), Site.of(handshake)
    if ws.params.after == "client-left":
        await site.client_left.wait()
    try:
        while True:
            site.note((await ws.receive_model()).text)
    except WebSocketDisconnect as error:
        site.note((error.code, error.reason))
        if ws.params.after == "crash":
            raise CrashError from error
    return site.note(await ws.close())


async def close_late(handshake: Decide) -> Outcome:
    """Close when the client has left, without having received that."""
    ws, site = await handshake.accept(), Site.of(handshake)
    await site.client_left.wait()
    return site.note(await ws.close())


async def send_on(handshake: Decide) -> Outcome:
    """Send, without ever receiving, until the client has left."""
    ws = await handshake.accept()
    try:
        while True:
            await ws.send_model(Said(text="more"))
            await checkpoint()
    except WebSocketDisconnect:
        Site.of(ws).note("left")
    return await ws.close()


async def feed(ws: Connection[Never, Said]) -> None:
    await ws.send_model(Said(text="first"))
    try:
        await anyio.sleep_forever()
    finally:
        Site.of(ws).note("cancelled")


async def echo_bytes(ws: Talk) -> None:
    for _ in range(3):
        await ws.send_bytes(await ws.receive_bytes() + b"!")


async def go_on(handshake: Decide) -> Outcome:
    """Answer invalid messages until a valid one comes."""
    ws = await handshake.accept()
    while True:
        try:
            text = (await ws.receive_model()).text
            return Site.of(ws).note(await ws.close(4001, text))
        except InvalidMessage as error:
            await ws.send_json({"problem": error.problem})


async def send_undeclared(ws: Talk) -> None:
    try:
        await ws.send_model(Say(text="undeclared"))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    except UnsendableMessage:
        Site.of(ws).note("unsendable")
