"""A server that answers each number once and reports what it received, and the contract that its clients share."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, Field

from tests.e2e.behaving import describe_end
from tests.e2e.stage import report
from typedws import App, ApplicationCloseCode, Connection, Contract, Handshake, Outcome
from typedws.client import ClientConnection

__all__ = ["APP", "Answer", "Ask", "Client", "Closes", "Counting", "Finish", "Question", "counting"]

APP: Final = "tests.e2e.counting:app"


class Ask(BaseModel):
    type: Literal["ask"] = "ask"
    number: int
    padding: str = ""


class Finish(BaseModel):
    type: Literal["finish"] = "finish"


class Answer(BaseModel):
    type: Literal["answer"] = "answer"
    client: str
    number: int
    padding: str = ""


class Client(BaseModel):
    crowd: Literal["small", "large"]
    client: str
    greetings: int = 0


class Closes(ApplicationCloseCode):
    FINISHED = 4000, "all is answered"


Question = Annotated[Ask | Finish, Field(discriminator="type")]
Counting: TypeAlias = ClientConnection[Answer, Question]

counting = Contract("counting", Connection[Question, Answer, Client], modes=("text", "msgpack"), closes=Closes)
app = App()

DENIALS: Final = {"nobody": 401, "mallory": 403}


@app.websocket("/count/{crowd}", counting)
async def count(handshake: Handshake[Question, Answer, Client]) -> Outcome:
    client = handshake.params.client
    if client in DENIALS:
        return await handshake.deny(DENIALS[client], detail=f"not you, {client}")
    ws = await handshake.accept()
    for number in range(handshake.params.greetings):
        await ws.send_model(Answer(client=client, number=number))
    received: list[int] = []
    try:
        async for message in ws:
            match message:
                case Ask(number=number, padding=padding):
                    received.append(number)
                    await ws.send_model(Answer(client=client, number=number, padding=padding))
                case Finish():
                    return await ws.close(Closes.FINISHED)
        return await ws.close()
    finally:
        report("received", numbers=received, how=describe_end(await ws.close()))
