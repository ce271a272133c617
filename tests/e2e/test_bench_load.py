"""The load generator of the benchmarks on servers counts correct echoes, and nothing else."""

import os
from importlib.util import find_spec
from typing import Any

import pytest

from tests.e2e.serving import running

# `make test` does without the libraries that typedws is compared with.
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(find_spec("chanx") is None, reason="needs the group bench"),
]


async def results(app: Any) -> list[Any]:
    from bench.load import Order, turn
    from bench.messages import plain

    async with running("websockets-sansio") as server:
        server.app = app
        return await turn(Order(server.port, os.getpid(), plain("small"), 4, [1, 2], 0.01, 0.0))


class Echo:
    """Echoes, unless a test overrides it. Connections are counted; the first one is that of ``bench.load.learn``."""

    def __init__(self) -> None:
        self.connections = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.connections += 1
        await receive()
        await self.talk(self.connections, receive, send)

    async def talk(self, number: int, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": self.answer(number, event["text"])})

    def answer(self, number: int, text: str) -> str:
        return text


async def test_echoes_are_counted_at_each_depth() -> None:
    first, second = await results(Echo())
    assert first.per_second > 0
    assert 0 < second.median <= second.slow
    assert (first.failed, second.failed) == (0, 0)


async def test_a_wrong_echo_is_detected() -> None:
    class Wrong(Echo):
        def answer(self, number: int, text: str) -> str:
            return text.replace("5", "6") if number == 3 else text

    with pytest.raises(AssertionError, match="again and again"):
        await results(Wrong())


async def test_connections_that_are_refused_are_counted() -> None:
    class Refusing(Echo):
        async def talk(self, number: int, receive: Any, send: Any) -> None:
            if number == 3:
                await send({"type": "websocket.close"})
            else:
                await super().talk(number, receive, send)

    first, second = await results(Refusing())
    assert (first.failed, second.failed) == (1, 1)
