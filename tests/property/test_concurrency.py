"""Whichever tasks are cancelled, and whenever: no message is lost, duplicated or reordered, in either direction."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import CONNECT, AnyWebSocket, Event, scope, text
from typedws.exceptions import ConcurrentReceive
from typedws.websockets import WebSocket

pytestmark = pytest.mark.anyio

thorough = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Server:
    """Keeps events until they are received, and waits some turns of the event loop before it writes."""

    def __init__(self, delays: list[int] | None = None) -> None:
        self.events: deque[Event] = deque([CONNECT])
        self.has_event = anyio.Event()
        self.sent: list[str] = []
        self.delays = deque(delays or [])

    def deliver(self, event: Event) -> None:
        self.events.append(event)
        self.has_event.set()
        self.has_event = anyio.Event()

    async def receive(self) -> Event:
        await anyio.lowlevel.checkpoint()
        while not self.events:
            await self.has_event.wait()
        return self.events.popleft()

    async def send(self, event: Event) -> None:
        for _ in range(self.delays.popleft() if self.delays else 0):
            await anyio.lowlevel.checkpoint()
        if "text" in event:
            self.sent.append(event["text"])

    async def accepted(self) -> AnyWebSocket:
        ws = WebSocket[int, int](scope(), self.receive, self.send)
        await ws.accept()
        aiter(ws)
        return ws


RECEIVES: dict[str, Callable[[AnyWebSocket], Any]] = {
    "receive_text": lambda ws: ws.receive_text(),
    "receive_json": lambda ws: ws.receive_json(),
    "receive_model": lambda ws: ws.receive_model(),
    "anext": lambda ws: anext(ws),
    "iter_text": lambda ws: anext(ws.iter_text()),
    "receive": lambda ws: ws.receive(),
}
STEPS = [*RECEIVES, "deliver", "deliver", "cancel", "settle", "watch", "unwatch"]


def number_in(message: Any) -> int:
    return int(cast(Event, message)["text"] if isinstance(message, dict) else message)


@given(st.lists(st.sampled_from(STEPS), max_size=30))
@thorough
async def test_a_cancelled_receive_loses_no_message(steps: list[str]) -> None:
    server = Server()
    ws = await server.accepted()
    received: list[int] = []
    delivered = 0
    cancels: list[anyio.CancelScope] = []
    watching: list[Any] = []

    async def receive_one(receive: Callable[[AnyWebSocket], Any], cancel: anyio.CancelScope) -> None:
        with cancel, suppress(ConcurrentReceive):
            received.append(number_in(await receive(ws)))

    async def watch(stop: anyio.Event) -> None:
        with suppress(ConcurrentReceive):
            async with ws.cancelled_on_disconnect():
                await stop.wait()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for step in steps:
                if step == "deliver":
                    server.deliver(text(str(delivered)))
                    delivered += 1
                elif step == "cancel":
                    for cancel in cancels:
                        cancel.cancel()
                elif step == "settle":
                    await anyio.wait_all_tasks_blocked()
                elif step == "watch":
                    watching.append(anyio.Event())
                    tasks.start_soon(watch, watching[-1])
                elif step == "unwatch":
                    for stop in watching:
                        stop.set()
                else:
                    cancels.append(anyio.CancelScope())
                    tasks.start_soon(receive_one, RECEIVES[step], cancels[-1])
            for stop in watching:
                stop.set()
            for cancel in cancels:
                cancel.cancel()
        while len(received) < delivered:
            received.append(number_in(await ws.receive_text()))
    assert received == list(range(delivered))


SENDS: list[Callable[[AnyWebSocket, int], Any]] = [
    lambda ws, number: ws.send_text(str(number)),
    lambda ws, number: ws.send_model(number),
    lambda ws, number: ws.send_json(number),
    lambda ws, number: ws.send({"type": "websocket.send", "text": str(number)}),
]


@given(
    st.lists(st.tuples(st.integers(0, len(SENDS) - 1), st.sampled_from(["go", "go", "cancel"])), max_size=20),
    st.lists(st.integers(0, 4)),
    st.integers(0, 4),
)
@thorough
async def test_sends_keep_the_order_of_the_calls_whichever_are_cancelled(
    plan: list[tuple[int, str]], delays: list[int], pause: int
) -> None:
    server = Server()
    ws = await server.accepted()
    server.delays = deque(delays)
    cancelled: set[int] = set()

    async with anyio.create_task_group() as tasks:
        for number, (method, then) in enumerate(plan):
            cancel = anyio.CancelScope()

            async def send_one(number: int = number, method: int = method, cancel: anyio.CancelScope = cancel) -> None:
                with cancel:
                    await SENDS[method](ws, number)
                if cancel.cancelled_caught:
                    cancelled.add(number)

            await tasks.start(started, send_one)
            for _ in range(pause):
                await anyio.lowlevel.checkpoint()
            if then == "cancel":
                cancel.cancel()
    numbers = [int(data) for data in server.sent]
    assert numbers == sorted(numbers), "none overtook another"
    assert set(numbers) == set(range(len(plan))) - cancelled
    with anyio.fail_after(1):
        await ws.send_text("the way is free")


async def started(run: Callable[[], Any], *, task_status: anyio.abc.TaskStatus[None]) -> None:
    """Report that the task has started, so that the calls are made in order, and run it."""
    task_status.started()
    await run()
