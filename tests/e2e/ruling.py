"""A server that ends one connection of a client after another, each in the way that the client requests."""

from collections import Counter
from time import monotonic
from typing import Annotated, Final

from pydantic import BaseModel

from tests.e2e.stage import report
from typedws import App, ApplicationCloseCode, Connection, Contract, FromHeader, Handshake, Outcome

__all__ = ["APP", "SECRET", "Closes", "Params", "Step", "ruling"]

APP: Final = "tests.e2e.ruling:app"
SECRET: Final = "hush"
"""Part of everything that both sides send; it must not be in any log."""


class Step(BaseModel):
    step: str
    text: str = f"{SECRET}-payload"


class Params(BaseModel):
    name: str
    steps: list[str]
    """For each connection: a close code, the name of one, the status of a denial, or ``serve`` to echo messages."""
    token: Annotated[str, FromHeader("authorization")] = f"Bearer {SECRET}-header"


class Closes(ApplicationCloseCode):
    NEVER = 4001, f"{SECRET}-reason", "never"
    RESUME = 4002, f"{SECRET}-reason", "resume"
    BACKOFF = 4003, f"{SECRET}-reason", "backoff"


ruling = Contract("ruling", Connection[Step, Step, Params], closes=Closes)
app = App()
visits: Counter[str] = Counter()


@app.websocket("/rule/{name}", ruling)
async def rule(handshake: Handshake[Step, Step, Params]) -> Outcome:
    params = handshake.params
    step = params.steps[visits[params.name]]
    visits[params.name] += 1
    report("visited", step=step, at=monotonic())
    if step.isdigit() and len(step) == 3:
        headers = {"Retry-After": "1"} if step == "503" else {}
        return await handshake.deny(int(step), detail=f"{SECRET}-detail", headers=headers)
    ws = await handshake.accept()
    await ws.send_model(Step(step=step))
    if step == "serve":
        async for message in ws:
            await ws.send_model(message)
        return await ws.close()
    if step.isdigit():
        return await ws.close(int(step), f"{SECRET}-reason")
    return await ws.close(Closes[step])
