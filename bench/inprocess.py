"""All contestants in one process, over stubbed callables, beside each other. ``python -m bench.inprocess``

Each is an ASGI application that echoes, receives or sends messages on one connection, with nothing below it: what a
server and a network would cost on top is the same for all. Costs are microseconds a message; ratios are to ``raw``, the
floor, in the same round. In a round the contestants take turns, in another order every time; one that is slow says
fewer messages in its turn.

The stubs never wait, as if the next message were always there: a library that hands messages from one task to another
gets them by the thousand, which is kind to it. The connection ends when the last answer has come.

Before anything is measured, each contestant is checked: the messages that it says are those it should, and it is told
an invalid one. One that answers it with itself does not validate, and its rows say so. An endpoint begins to watch its
sends after the first second of a connection, which these do not last.
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
LONGEST_TURN: Final = 0.025  # seconds, of a contestant that says fewer messages for it
TIMEOUT: Final = 5.0  # seconds, of what is checked


# --- the stubs ---


@dataclass(frozen=True, slots=True)
class Talk:
    """What is said to an application, how often, and how many answers it owes."""

    mode: Mode
    frame: Frame
    said: int
    owed: int

    @property
    def key(self) -> str:
        return "text" if self.mode == "text" else "bytes"


def talk_of(contestant: Contestant, task: Task, messages: int) -> Talk:
    """Give what an application that was made for ``messages`` messages hears."""
    frame = PACKERS[task.mode](contestant.wrap(plain(task.size)))
    said = 0 if task.workload == "send" else messages
    return Talk(task.mode, frame, said, 1 if task.workload == "receive" else messages)


def receiver(talk: Talk, over: asyncio.Event) -> Callable[[], Any]:
    """Make a ``receive`` that says all there is to say, and disconnects when it is over."""
    key, frame, last = talk.key, talk.frame, talk.said + 1
    calls = 0

    async def receive() -> dict[str, Any]:
        nonlocal calls
        calls += 1
        if calls == 1:
            return {"type": "websocket.connect"}
        if calls <= last:
            return {"type": "websocket.receive", key: frame}
        await over.wait()
        return {"type": "websocket.disconnect", "code": 1000}

    return receive


async def turn(application: Application, talk: Talk, answer: Frame) -> float:
    """Let an application do its task once, each message being answered as expected: microseconds a message."""
    over = asyncio.Event()
    key, owed, right = talk.key, talk.owed, 0

    async def send(event: dict[str, Any]) -> None:
        nonlocal right
        if event["type"] == "websocket.send":
            right += event[key] == answer
            if right == owed:
                over.set()

    receive = receiver(talk, over)
    gc.collect()
    start = time.perf_counter()
    await application(scope(), receive, send)
    cost = time.perf_counter() - start
    if right != owed:
        raise AssertionError(f"{application} answered {right} of {owed} times as expected")
    return cost / max(talk.said, owed) * 1e6


async def answers(application: Application, talk: Talk) -> list[Frame]:
    """Let an application do its task once, and give what it said, whatever that is, and however it ended."""
    over = asyncio.Event()
    said: list[Frame] = []

    async def send(event: dict[str, Any]) -> None:
        if event["type"] == "websocket.send":
            said.append(event[talk.key])
        if len(said) == talk.owed or event["type"] == "websocket.close":
            over.set()

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(TIMEOUT):
            await application(scope(), receiver(talk, over), send)
    return said


def scope() -> dict[str, Any]:
    return {**SCOPE, "state": {}}


@contextlib.asynccontextmanager
async def running(contestant: Contestant, task: Task) -> AsyncGenerator[Application]:
    """Make the application of a task, and run its lifespan around it where it has one."""
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
    """Check that a contestant does its task, and give its answer to each message, and whether it validates."""
    task = replace(task, count=2)
    talk = talk_of(contestant, task, task.count)
    with quiet():
        async with running(contestant, task) as application:
            said = await answers(application, talk)
        does_validate = task.workload == "send" or await refuses(contestant, replace(task, count=1))
    right = contestant.wrap(plain(task.size))
    contents = [content_of(frame, task.mode) for frame in said]
    if contents != [right] * talk.owed:
        raise AssertionError(f"{contestant.name}, {task}: expected {talk.owed} times {right}, got {contents}")
    if task.workload != "send" and does_validate is not contestant.does_validate:
        raise AssertionError(f"{contestant.name}, {task}: does_validate is {does_validate}")
    return said[0], does_validate


async def refuses(contestant: Contestant, task: Task) -> bool:
    """Whether a contestant does anything but answer an invalid message with itself."""
    wrong = contestant.wrap(invalid(task.size))
    talk = replace(talk_of(contestant, task, 1), frame=PACKERS[task.mode](wrong))
    said: list[Frame] = []
    # Many let the exception of a failed validation through.
    with contextlib.suppress(Exception):
        async with running(contestant, task) as application:
            said = await answers(application, talk)
    return wrong not in [content_of(frame, task.mode) for frame in said]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what libraries log and print of an invalid message from the terminal."""
    logging.disable()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


# --- measuring ---


async def compare(title: str, task: Task, taking_part: dict[str, Contestant], rounds: int, messages: int) -> Table:
    """Check all contestants that take a task, and let each take its turn in every round."""
    turns: dict[str, tuple[Application, Talk, Frame]] = {}
    marks: dict[str, str] = {}
    keep_out_of_collections()
    async with contextlib.AsyncExitStack() as stack:
        for name, contestant in taking_part.items():
            answer, does_validate = await check(contestant, task)
            marks[name] = ", ".join(filter(None, (contestant.mark, "" if does_validate else "does not validate")))
            count = await fitting(contestant, task, answer, messages)
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
    """Let the collector pass over what is there, so that nobody pays for what others have imported."""
    gc.collect()
    gc.freeze()


async def fitting(contestant: Contestant, task: Task, answer: Frame, messages: int) -> int:
    """Give how many messages a contestant says in a turn: all, or as many as it can in time, but a tenth at least."""
    few = max(messages // 10, 1)
    async with running(contestant, replace(task, count=few)) as application:
        cost = await turn(application, talk_of(contestant, task, few), answer)
    return max(min(messages, int(LONGEST_TURN / cost * 1e6)), few)


def measure(scale: Scale) -> Iterator[Table]:
    only = scale.options.only
    everybody = contestants({*only, REFERENCE} if only else ())
    for title, task in TASKS.items():
        if set(scale.options.tasks) <= set(title.split()):
            taking_part = {name: each for name, each in everybody.items() if each.takes(task)}
            messages = scale.count(MESSAGES[task.size])
            yield asyncio.run(compare(title, task, taking_part, scale.rounds(ROUNDS), messages))


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="contestants or libraries beside raw")
    parser.add_argument("--tasks", nargs="+", default=[], metavar="WORD", help='as in "echo small text"')


if __name__ == "__main__":
    main("bench.inprocess", measure, declare)
