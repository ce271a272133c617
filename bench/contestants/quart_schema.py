"""Quart with quart-schema: ``receive_as`` and ``send_as``.

They take a class, so the type to receive is a ``RootModel`` of the union.
"""

from typing import Any, Final, cast

import quart
from pydantic import RootModel
from quart_schema import QuartSchema

from bench.contestants import Application, Contestant, Size, Task
from bench.floor import Message
from bench.messages import MODELS, OrderMessage

websocket: Final = cast(Any, quart.websocket)
"""Its own type lacks the methods that quart-schema adds."""


class SmallMessage(RootModel[Message]):
    pass


class BigMessage(RootModel[OrderMessage]):
    pass


FORMS: Final[dict[Size, Any]] = {"small": SmallMessage, "big": BigMessage}


def make(task: Task) -> Application:
    form, count = FORMS[task.size], task.count
    outgoing = MODELS[task.size]
    app = quart.Quart(__name__)
    QuartSchema(app)

    async def echo() -> None:
        while True:
            message = await websocket.receive_as(form)
            await websocket.send_as(message.root, type(message.root))

    async def receive() -> None:
        received = 0
        while True:
            message = await websocket.receive_as(form)
            received += 1
            if received % count == 0:
                await websocket.send_as(message.root, type(message.root))

    async def send() -> None:
        for _ in range(count):
            await websocket.send_as(outgoing, type(outgoing))

    app.websocket("/")({"echo": echo, "receive": receive, "send": send}[task.workload])
    return app


CONTESTANTS = (Contestant("quart-schema", make, has_lifespan=True),)
