"""FastAPI: the annotation applies in the function, and in what is declared."""

from typing import Annotated

from fastapi import FastAPI
from starlette.routing import Mount

from tests.typing.cases.messages import ChatConnection, ChatHandshake, Join, Room, Say
from typedws import Connection, Contract, Outcome, Policy
from typedws.integrations.fastapi import typed_websocket

app = FastAPI()
chat = Contract("chat", ChatConnection)

typed_websocket("chat")  # error: typed_websocket Contract
typed_websocket(ChatConnection)  # error: typed_websocket Contract
typed_websocket(contract=Policy())  # error: typed_websocket Policy Contract
typed_websocket(chat, Policy())  # error: positional argument
typed_websocket(chat, policy="close")  # error: typed_websocket Policy
typed_websocket(chat, origins="*")  # error: origins


@app.websocket("/chat/{room}")
async def talk(ws: Annotated[ChatConnection, typed_websocket(chat)]) -> None:
    await ws.send_model(Say(text="hello"))  # error: Say Joined Said
    await ws.send_model(await ws.receive_model())  # error: Join Joined
    await ws.accept()  # error: accept
    await ws.deny()  # error: deny
    print(ws.params.name)  # error: Room name


@app.websocket("/decide/{room}")
async def decide(handshake: Annotated[ChatHandshake, typed_websocket(chat)]) -> Outcome:  # error: return
    if handshake.params.room == "closed":
        await handshake.deny(404)
    else:
        ws = await handshake.accept()
        await handshake.send_model(Join())  # error: send_model
        return await ws.close()


def as_a_default(ws: Connection[Say, Say, Room] = typed_websocket()) -> None:  # error: Connection Depends
    print(ws)


app.mount("/chat", talk)  # error: mount
Mount("/chat", app=decide)  # error: app
