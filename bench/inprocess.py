"""Compare all contestants in one process, over stubbed callables.

``python -m bench.inprocess``

Each is an ASGI application that echoes, receives or sends messages on one connection, with nothing below it: the cost
of a server and a network on top is the same for all. Costs are microseconds per message. Ratios are to ``raw``, the
floor, in the same round. In a round the contestants take turns, in a different order every time. A slow contestant
gets fewer messages in its turn.

The stubs never wait, as if the next message were always there. A library that passes messages from one task to another
gets them by the thousand, which is to its advantage. The connection ends when the last answer has come.

Before the measurement, each contestant is checked: it must send the right messages, and it receives an invalid one. A
contestant that echoes the invalid message does not validate, and its rows say so. An endpoint begins to watch its
sends after the first second of a connection; these connections do not last that long.
"""

import argparse
import asyncio
import contextlib
import gc
import io
import logging
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from bench.contestants import Application, Contestant, Mode, Size, Task, Workload, contestants
from bench.floor import SCOPE
from bench.messages import PACKERS, Frame, content_of, invalid, plain
from bench.report import Scale, Table, main, table

REFERENCE: Final = "raw"
WORKLOADS: Final[tuple[Workload, ...]] = ("echo", "receive", "send")
SIZES: Final[tuple[Size, ...]] = ("small", "big")
MODES: Final[tuple[Mode, ...]] = ("text", "binary", "msgpack")
TASKS: Final = {
    f"{workload} {size} {mode}": Task(workload, size, mode)
    for mode in MODES
    for workload in WORKLOADS
    for size in SIZES
}
MESSAGES: Final[dict[Size, int]] = {"small": 10_000, "big": 400}
ROUNDS: Final = 21
LONGEST_TURN: Final = 0.025  # seconds; a slow contestant gets fewer messages to stay within it
TIMEOUT: Final = 5.0  # seconds that a check may take


# --- the stubs ---


@dataclass(frozen=True, slots=True)
class Talk:
    """The frame that an application receives, how often, and how many answers it must send."""

    mode: Mode
    frame: Frame
    incoming: int
    expected: int

    @property
    def key(self) -> str:
        return "text" if self.mode == "text" else "bytes"


def talk_of(contestant: Contestant, task: Task, messages: int) -> Talk:
    """Return what an application that was made for ``messages`` messages receives."""
    frame = PACKERS[task.mode](contestant.wrap(plain(task.size)))
    incoming = 0 if task.workload == "send" else messages
    return Talk(task.mode, frame, incoming, 1 if task.workload == "receive" else messages)


def receiver(talk: Talk, done: asyncio.Event) -> Callable[[], Any]:
    """Make a ``receive`` that delivers all messages, waits until the answers have come, and then disconnects."""
    key, frame, last = talk.key, talk.frame, talk.incoming + 1
    calls = 0

    async def receive() -> dict[str, Any]:
        nonlocal calls
        calls += 1
        if calls == 1:
            return {"type": "websocket.connect"}
        if calls <= last:
            return {"type": "websocket.receive", key: frame}
        await done.wait()
        return {"type": "websocket.disconnect", "code": 1000}

    return receive


async def turn(application: Application, talk: Talk, answer: Frame) -> float:
    """Run an application's task once, check all of its answers, and return the microseconds per message."""
    done = asyncio.Event()
    key, expected, correct = talk.key, talk.expected, 0

    async def send(event: dict[str, Any]) -> None:
        nonlocal correct
        if event["type"] == "websocket.send":
            correct += event[key] == answer
            if correct == expected:
                done.set()

    receive = receiver(talk, done)
    gc.collect()
    start = time.perf_counter()
    await application(scope(), receive, send)
    cost = time.perf_counter() - start
    if correct != expected:
        raise AssertionError(f"{application} answered {correct} of {expected} times as expected")
    return cost / max(talk.incoming, expected) * 1e6


async def answers(application: Application, talk: Talk) -> list[Frame]:
    """Run an application's task once, and return whatever it sent, however it ended."""
    done = asyncio.Event()
    sent: list[Frame] = []

    async def send(event: dict[str, Any]) -> None:
        if event["type"] == "websocket.send":
            sent.append(event[talk.key])
        if len(sent) == talk.expected or event["type"] == "websocket.close":
            done.set()

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(TIMEOUT):
            await application(scope(), receiver(talk, done), send)
    return sent


def scope() -> dict[str, Any]:
    return {**SCOPE, "state": {}}


@contextlib.asynccontextmanager
async def running(contestant: Contestant, task: Task) -> AsyncGenerator[Application]:
    """Make the application of a task, and run its lifespan around the block if it has one."""
    application = contestant.make(task)
    if not contestant.has_lifespan:
        yield application
        return
    events = iter(("lifespan.startup", "lifespan.shutdown"))
    started, stopping = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        if started.is_set():
            await stopping.wait()
        return {"type": next(events)}

    async def send(event: dict[str, Any]) -> None:
        assert event["type"] in ("lifespan.startup.complete", "lifespan.shutdown.complete"), event
        started.set()

    lifespan = {"type": "lifespan", "asgi": SCOPE["asgi"], "state": {}}
    running_task = asyncio.ensure_future(application(lifespan, receive, send))
    async with asyncio.timeout(TIMEOUT):
        await started.wait()
    try:
        yield application
    finally:
        stopping.set()
        await running_task


# --- checking ---


async def check(contestant: Contestant, task: Task) -> tuple[Frame, bool]:
    """Check that a contestant does its task. Return its answer to each message, and whether it validates."""
    task = replace(task, count=2)
    talk = talk_of(contestant, task, task.count)
    with quiet():
        async with running(contestant, task) as application:
            sent = await answers(application, talk)
        does_validate = task.workload == "send" or await refuses(contestant, replace(task, count=1))
    content = contestant.wrap(plain(task.size))
    contents = [content_of(frame, task.mode) for frame in sent]
    if contents != [content] * talk.expected:
        raise AssertionError(f"{contestant.name}, {task}: expected {talk.expected} times {content}, got {contents}")
    if task.workload != "send" and does_validate is not contestant.does_validate:
        raise AssertionError(f"{contestant.name}, {task}: does_validate is {does_validate}")
    return sent[0], does_validate


async def refuses(contestant: Contestant, task: Task) -> bool:
    """Whether a contestant does anything other than answer an invalid message with itself."""
    wrong = contestant.wrap(invalid(task.size))
    talk = replace(talk_of(contestant, task, 1), frame=PACKERS[task.mode](wrong))
    sent: list[Frame] = []
    # Many libraries let the exception of a failed validation through.
    with contextlib.suppress(Exception):
        async with running(contestant, task) as application:
            sent = await answers(application, talk)
    return wrong not in [content_of(frame, task.mode) for frame in sent]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what libraries log and print about an invalid message off the terminal."""
    logging.disable()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


# --- measuring ---


async def compare(title: str, task: Task, taking_part: dict[str, Contestant], rounds: int, messages: int) -> Table:
    """Check all contestants that take part in a task, and run each once in every round."""
    turns: dict[str, tuple[Application, Talk, Frame]] = {}
    marks: dict[str, str] = {}
    keep_out_of_collections()
    async with contextlib.AsyncExitStack() as stack:
        for name, contestant in taking_part.items():
            answer, does_validate = await check(contestant, task)
            marks[name] = ", ".join(filter(None, (contestant.mark, "" if does_validate else "does not validate")))
            count = await fitting_count(contestant, task, answer, messages)
            application = await stack.enter_async_context(running(contestant, replace(task, count=count)))
            turns[name] = application, talk_of(contestant, task, count), answer
        keep_out_of_collections()
        costs: dict[str, list[float]] = {name: [] for name in turns}
        names = list(turns)
        for _ in range(rounds):
            random.shuffle(names)
            for name in names:
                costs[name].append(await turn(*turns[name]))
    gc.unfreeze()
    return table(title, "us", costs, REFERENCE, marks=marks)


def keep_out_of_collections() -> None:
    """Exclude existing objects from garbage collection: no contestant must pay for what others have imported."""
    gc.collect()
    gc.freeze()


async def fitting_count(contestant: Contestant, task: Task, answer: Frame, messages: int) -> int:
    """Return how many messages a contestant gets in a turn: all, or as many as fit in time, but at least a tenth."""
    few = max(messages // 10, 1)
    async with running(contestant, replace(task, count=few)) as application:
        cost = await turn(application, talk_of(contestant, task, few), answer)
    return max(min(messages, int(LONGEST_TURN / cost * 1e6)), few)


def measure(scale: Scale) -> Iterator[Table]:
    only = scale.options.only
    chosen = contestants({*only, REFERENCE} if only else ())
    for title, task in TASKS.items():
        if set(scale.options.tasks) <= set(title.split()):
            taking_part = {name: each for name, each in chosen.items() if each.takes(task)}
            messages = scale.count(MESSAGES[task.size])
            yield asyncio.run(compare(title, task, taking_part, scale.rounds(ROUNDS), messages))


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="contestants or libraries beside raw")
    parser.add_argument("--tasks", nargs="+", default=[], metavar="WORD", help='as in "echo small text"')


if __name__ == "__main__":
    main("bench.inprocess", measure, declare)
