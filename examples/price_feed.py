"""A price feed: a slow client receives the newest price of each symbol, and does not delay the others."""

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Never

import anyio
from pydantic import BaseModel

from typedws import App, Connection, Group


class Tick(BaseModel):
    symbol: str
    price: float


def symbol_of(tick: Tick) -> str:
    return tick.symbol


PAUSE = 0.1
newest = {symbol: Tick(symbol=symbol, price=100.0) for symbol in ("ACME", "GLOBEX", "INITECH")}
subscribers: Group[Tick] = Group(on_overflow="conflate", key=symbol_of)


async def publish(tick: Tick) -> None:
    newest[tick.symbol] = tick
    await subscribers.send(tick)


async def follow_the_market() -> None:
    while True:
        await anyio.sleep(PAUSE)
        last = random.choice(list(newest.values()))
        await publish(Tick(symbol=last.symbol, price=round(last.price * random.uniform(0.99, 1.01), 2)))


@asynccontextmanager
async def lifespan(_: App) -> AsyncGenerator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow_the_market)
        yield
        tasks.cancel_scope.cancel()


app = App(lifespan=lifespan)


@app.websocket("/prices")
async def subscribe(ws: Connection[Never, Tick]) -> None:  # receives nothing: cancelled as soon as the peer disconnects
    async with subscribers.joined(ws):
        for tick in list(newest.values()):
            await subscribers.send(tick, to=ws)
        await anyio.sleep_forever()
