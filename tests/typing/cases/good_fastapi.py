"""FastAPI: a function gets what its parameter is annotated with; endpoints are applications."""

from collections.abc import AsyncGenerator
from typing import Annotated, Never, TypeAlias, assert_never, assert_type

from fastapi import APIRouter, Depends, FastAPI
from fastapi.params import Depends as DependsType
from starlette.routing import Mount, WebSocketRoute

from tests.typing.cases.messages import (
    ChatConnection,
    ChatHandshake,
    Join,
    Joined,
    Room,
    Said,
    Say,
)
from typedws import App, Connection, Contract, Outcome, Policy, endpoint
from typedws.integrations.fastapi import typed_websocket

app, router = FastAPI(), APIRouter(prefix="/v1")
chat = Contract("chat", ChatConnection)
Chat: TypeAlias = Annotated[ChatConnection, typed_websocket(chat)]

assert_type(typed_websocket(), DependsType)
typed_websocket(chat, policy=Policy(origins="*"))
typed_websocket(policy=Policy(idle_timeout=60))
typed_websocket(contract=chat, policy=None)


async def database() -> AsyncGenerator[str]:
    yield "database"


def room_of(ws: Chat) -> str:
    return ws.params.room


@app.websocket("/chat/{room}")
async def talk(ws: Chat, name: Annotated[str, Depends(room_of)], db: Annotated[str, Depends(database)]) -> None:
    assert_type(ws, Connection[Join | Say, Joined | Said, Room])
    async for message in ws:
        match message:
            case Join():
                await ws.send_model(Joined(room=name))
            case Say(text=text):
                await ws.send_model(Said(text=text + db))
            case _:
                assert_never(message)


@router.websocket("/decide/{room}")
async def decide(handshake: Annotated[ChatHandshake, typed_websocket(chat)]) -> Outcome:
    if handshake.params.room == "closed":
        return await handshake.deny(404)
    ws = await handshake.accept()
    return await ws.close()


@app.websocket("/feed")
async def feed(ws: Annotated[Connection[Never, Said], typed_websocket(policy=Policy())]) -> None:
    await ws.send_model(Said(text="news"))


@endpoint
async def alone(ws: ChatConnection) -> None:
    await ws.send_model(Joined())


app.include_router(router)
app.mount("/alone/{room}", alone)
app.mount("/app", App())
app.router.routes.append(WebSocketRoute("/added/{room}", alone))
app.router.routes.append(Mount("/mounted", app=App()))
