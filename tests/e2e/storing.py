"""A server that acknowledges what it has stored. Its store is a file, which outlives the server."""

import os
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel

from tests.e2e.stage import report
from typedws import App, Connection, Contract, FromHeader
from typedws.client import ClientConnection

__all__ = ["APP", "Deposit", "Put", "Stored", "Storing", "stored_in", "storing"]

APP: Final = "tests.e2e.storing:app"


class Put(BaseModel):
    """Store this id. If ``more`` is set, it is acknowledged together with the next one."""

    type: Literal["put"] = "put"
    id: str
    more: bool = False


class Stored(BaseModel):
    type: Literal["stored"] = "stored"
    ids: list[str]


class Deposit(BaseModel):
    name: str
    store: Annotated[str, FromHeader("x-store")]


Storing: TypeAlias = ClientConnection[Stored, Put]

storing = Contract("storing", Connection[Put, Stored, Deposit])
app = App()


@app.websocket("/store/{name}", storing)
async def store(ws: Connection[Put, Stored, Deposit]) -> None:
    file = os.open(ws.params.store, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        unacknowledged: list[str] = []
        async for put in ws:
            os.write(file, f"{put.id}\n".encode())  # a process that is killed has done this, or not
            unacknowledged.append(put.id)
            if put.more:
                report("owes", id=put.id)
                continue
            await ws.send_model(Stored(ids=unacknowledged))
            unacknowledged = []
    finally:
        os.close(file)


def stored_in(store: Path) -> list[str]:
    """Return the stored ids, in the order in which they came."""
    return store.read_text().splitlines()
