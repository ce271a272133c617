"""Measure an in-process echo as messages grow, and as their union grows.

Messages of 100 bytes to 10 MB are one text, or a list of small items. The cost is a multiple of the cost of the floor,
the hand-written loop of `bench.floor`, at the same size. Unions have 2 to 200 members, distinguished by a tag, and each
message is of another member than the one before. For unions, the last column shows the cost of each contestant as a
multiple of its own cost with 2 members. One union of 20 members has no tag: pydantic tries all of them, for every
contestant.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import reduce
from itertools import cycle, islice
from operator import or_
from statistics import median
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, TypeAdapter, create_model
from starlette.websockets import WebSocket as ClassicWebSocket
from starlette.websockets import WebSocketDisconnect

from bench.contestants.raw import echo_of
from bench.floor import SCOPE
from bench.report import Scale, Table, main, stacked, table
from typedws import WebSocket

Application = Callable[[Any, Any, Any], Awaitable[None]]

PROSE: Final = "In November, I said: no news is good news (or so they say), and 9 of 10 agreed. "
"""It has both capitals that begin NaN and Infinity, for which typedws searches, as most longer texts have."""


class Item(BaseModel):
    name: str
    price: float
    count: int
    is_new: bool


class Text(BaseModel):
    type: Literal["text"] = "text"
    text: str


class Items(BaseModel):
    type: Literal["items"] = "items"
    items: list[Item]


Messages = Annotated[Text | Items, Field(discriminator="type")]


def prose_of(size: int) -> str:
    """Return a message of ``size`` bytes that is one text."""
    overhead = len(Text(text="").model_dump_json())
    return Text(text=(PROSE * (size // len(PROSE) + 1))[: size - overhead]).model_dump_json()


def small_letters_of(size: int) -> str:
    return prose_of(size).lower()


def items_of(size: int) -> str:
    """Return a message of about ``size`` bytes that is a list."""
    item = Item(name="an item", price=12.5, count=3, is_new=True)
    count = round((size - len(Items(items=[]).model_dump_json())) / (len(item.model_dump_json()) + 1))
    return Items(items=[item] * max(count, 1)).model_dump_json()


# --- the contestants, each of any type ---


def floor_of(form: Any) -> Application:
    return echo_of(TypeAdapter[Any](form).validator.validate_json)


def typed_of(form: Any) -> Application:
    async def typed(scope: Any, receive: Any, send: Any) -> None:
        ws: WebSocket[Any, Any] = WebSocket[form, form](scope, receive, send)
        await ws.accept()
        async for message in ws:
            await ws.send_model(message)

    return typed


def classic_of(form: Any) -> Application:
    adapter = TypeAdapter[Any](form)

    async def classic(scope: Any, receive: Any, send: Any) -> None:
        ws = ClassicWebSocket(scope, receive, send)
        await ws.accept()
        try:
            while True:
                message = adapter.validate_json(await ws.receive_text())
                await ws.send_text(message.model_dump_json())
        except WebSocketDisconnect:
            pass

    return classic


def contestants(form: Any) -> dict[str, Application]:
    return {"floor": floor_of(form), "typedws": typed_of(form), "classic, text": classic_of(form)}


# --- measuring ---


async def cost(application: Application, frames: Sequence[str], count: int) -> float:
    """Run an application that echoes ``count`` messages, and return the microseconds per message after the accept."""
    events = iter([{"type": "websocket.receive", "text": text} for text in islice(cycle(frames), count)])
    expected = islice(cycle(frames), count)
    start = 0.0

    async def receive() -> dict[str, Any]:
        for event in events if start else ():
            return event
        return {"type": "websocket.disconnect", "code": 1000} if start else {"type": "websocket.connect"}

    async def send(event: Any) -> None:
        nonlocal start
        if event["type"] == "websocket.accept":
            start = time.perf_counter()
        elif event["text"] != next(expected):
            raise AssertionError(f"the echo is {event['text'][:80]}")

    await application(dict(SCOPE), receive, send)
    taken = time.perf_counter() - start
    if next(expected, None) is not None:
        raise AssertionError("some messages were not echoed")
    return taken / count * 1e6


def costs_of(
    applications: dict[str, Application], frames: Sequence[str], count: int, rounds: int
) -> dict[str, list[float]]:
    async def run() -> dict[str, list[float]]:
        costs: dict[str, list[float]] = {name: [] for name in applications}
        for _ in range(rounds):
            for name, application in applications.items():
                costs[name].append(await cost(application, frames, count))
        return costs

    return asyncio.run(run())


# --- sizes ---

SIZES: Final = {
    "100 B": (100, 4_000),
    "1 KB": (1_000, 2_000),
    "10 KB": (10_000, 400),
    "100 KB": (100_000, 40),
    "1 MB": (1_000_000, 6),
    "10 MB": (10_000_000, 1),
}
"""By name: the bytes, and how many messages a contestant echoes in each turn."""


def growing(title: str, make: Callable[[int], str], scale: Scale) -> Table:
    tables: dict[str, Table] = {}
    for name, (size, count) in SIZES.items():
        if scale.is_quick and size > 1_000_000:
            continue
        frame = make(size)
        costs = costs_of(
            contestants(Messages), [frame], scale.count(count), scale.rounds(7 if size > 1_000_000 else 11)
        )
        more = {name: {"MB/s": len(frame) / median(values)} for name, values in costs.items()}
        tables[name] = table(title, "us", costs, "floor", more=more)
    return stacked(title, tables)


# --- unions ---


def union_of(count: int, *, is_tagged: bool) -> tuple[Any, list[str]]:
    """Return a union, and a message of each member. Members differ only in the tag, or in the name of one field."""
    members: list[Any] = []
    frames: list[str] = []
    for number in range(count):
        text = "text" if is_tagged else f"text_{number}"
        fields: dict[str, Any] = {text: (str, ...), "room": (str, ...), "n": (int, ...)}
        if is_tagged:
            fields["type"] = (Literal[f"member-{number}"], f"member-{number}")
        member: Any = create_model(f"Member{number}", **fields)
        members.append(member)
        frames.append(member(**{text: "hello world", "room": "lobby", "n": 5}).model_dump_json())
    union = reduce(or_, members)
    return Annotated[union, Field(discriminator="type")] if is_tagged else union, frames


UNIONS: Final = {
    "2 members": (2, True),
    "20 members": (20, True),
    "200 members": (200, True),
    "20 members, no tag": (20, False),
}


def unions(scale: Scale) -> Table:
    title = "an echo by the members of a union"
    prepared = {name: union_of(count, is_tagged=is_tagged) for name, (count, is_tagged) in UNIONS.items()}
    applications = {name: contestants(form) for name, (form, _) in prepared.items()}
    all_costs: dict[str, dict[str, list[float]]] = {name: {} for name in UNIONS}
    for _ in range(scale.rounds(15)):
        for name, (_, frames) in prepared.items():
            for contestant, values in costs_of(applications[name], frames, scale.count(4_000), 1).items():
                all_costs[name].setdefault(contestant, []).extend(values)
    smallest = all_costs["2 members"]
    tables: dict[str, Table] = {}
    for name, costs in all_costs.items():
        more = {
            contestant: {"of itself with 2": median(a / b for a, b in zip(values, smallest[contestant], strict=True))}
            for contestant, values in costs.items()
        }
        tables[name] = table(title, "us", costs, "floor", more=more)
    return stacked(title, tables)


def measure(scale: Scale) -> Iterator[Table]:
    yield growing("an echo of one text", prose_of, scale)
    yield growing("an echo of one text of small letters", small_letters_of, scale)
    yield growing("an echo of a list of small items", items_of, scale)
    yield unions(scale)


if __name__ == "__main__":
    main("bench.sizes", measure)
