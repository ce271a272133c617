"""Compare all contestants on real servers: what is left of their differences end to end.

``python -m bench.served``

Each application has a server process of its own, kept on one core, and echoes what one other process sends, kept on
another core: `bench.load`. It sends the next message as soon as it has an echo, on 10 or on 1,000 connections, with 1
or with 8 messages in flight on each. All connections are open before the measurement, and each echo is checked. Small
messages have 57 bytes and big ones 7 KB, as text; nothing is compressed.

A ratio is the throughput of a contestant divided by that of ``raw``, which does the same validation and serialization
by hand on the same server, in the same round: above 1 is faster. ``server us`` is the CPU time of the server per
message, of all its threads and processes. Its ratio is that of ``raw`` divided by that of the contestant, and depends
less on what else runs on the machine than wall time does. ``server`` and ``load`` show how busy the two were, in
percent of a core. If the load was near its limit and the server was not, the row says so, and is a lower bound. If
neither was, something else ran on the machine: do not trust the messages per second.

Some rows are limits. ``no parsing`` is an ASGI application that sends messages back unread. picows is a server that
does not speak ASGI: its own interface is called for each frame, and it validates and serializes as ``raw`` does.

Servers are new in every round, because the layout of a process is worth a few percent. In a round, contestants take
turns with each load, in a different order every time, while the other servers are idle. Connections are new in every
turn. Few of them last for the second after which an endpoint begins to watch its sends; `bench.endpoint` shows what
that costs. ``--quick`` leaves out the 1,000 connections.
"""

import argparse
import contextlib
import json
import random
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from bench.contestants import LIBRARIES, Contestant, Size, Task, contestants
from bench.load import Order, Result
from bench.messages import plain
from bench.processes import answer, process, two_cores
from bench.report import Scale, Table, main, table
from bench.serving import ServerName, Serving

REFERENCE: Final = "raw"
ENDPOINT: Final = "typedws endpoint"
LEFT_OUT: Final = ("msgspec",)
"""Libraries without pydantic are compared in process only."""
ROUNDS: Final = 3
SECONDS: Final = 0.25
BUSY: Final = 0.9
TITLES: Final[dict[ServerName, str]] = {
    "uvicorn": "uvicorn, websockets-sansio, uvloop",
    "hypercorn": "hypercorn, uvloop",
    "granian": "granian, uvloop",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A row: the contestant, and its server if that is not the stage's."""

    library: str
    contestant: str
    mark: str = ""
    wrap: Any = None
    server: ServerName | None = None

    def content(self, size: Size) -> Any:
        return plain(size) if self.wrap is None else self.wrap(plain(size))


@dataclass(frozen=True, slots=True)
class Stage:
    """Servers that run together, and their loads: depths by number of connections."""

    server: ServerName
    size: Size
    loads: dict[int, list[int]]
    entries: dict[str, Entry]

    def title(self, connections: int, depth: int) -> str:
        messages = "message" if depth == 1 else "messages"
        return f"{TITLES[self.server]}: {connections:,} connections, {depth} {self.size} {messages} each on their way"


Results = dict[str, list[Result]]
"""The results under one load: by row, one for each round."""


def compared(title: str, rows: dict[str, Entry], results: Results) -> Table:
    rates = {name: [each.per_second for each in results[name]] for name in rows}
    marks = {name: _mark(entry, results[name]) for name, entry in rows.items()}
    more = {name: _more(results[name], results[REFERENCE]) for name in rows}
    return table(title, "messages/s", rates, REFERENCE, marks=marks, more=more, higher_is_better=True)


def _more(results: Sequence[Result], references: Sequence[Result]) -> dict[str, float]:
    figures = {
        "median us": [each.median for each in results],
        "99 % us": [each.slow for each in results],
        "load": [each.load_share * 100 for each in results],
        "server": [each.server_share * 100 for each in results if each.server_share],
        "server us": [each.server_cost for each in results if each.server_cost],
        "ratio of us": [
            reference.server_cost / each.server_cost
            for each, reference in zip(results, references, strict=True)
            if each.server_cost and reference.server_cost
        ],
    }
    return {name: median(values) for name, values in figures.items() if values}


def _mark(entry: Entry, results: Sequence[Result]) -> str:
    load = median(each.load_share for each in results)
    server = median(each.server_share or 0 for each in results)
    failed = sum(each.failed for each in results)
    marks = [
        entry.mark,
        "limited by the load" if load > BUSY > server else "",
        f"{failed} connections failed" if failed else "",
    ]
    return ", ".join(filter(None, marks))


def entries(only: Sequence[str]) -> dict[str, Entry]:
    """Return the rows of the contestants, the reference first."""
    chosen = contestants({*only, REFERENCE}) if only else contestants()
    by_library = {name: library for library in LIBRARIES for name in contestants([library])}
    return {
        name: _entry(by_library[name], each)
        for name, each in chosen.items()
        if each.takes(Task()) and (by_library[name] not in LEFT_OUT or only)
    }


def _entry(library: str, contestant: Contestant) -> Entry:
    marks = (contestant.mark, "" if contestant.does_validate else "does not validate")
    return Entry(library, contestant.name, ", ".join(filter(None, marks)), contestant.wrap)


LIMITS: Final = {
    "limit: no parsing": Entry("", "echo"),
    "limit: picows": Entry("raw", "raw", server="picows"),
    "limit: picows, no parsing": Entry("", "echo", server="picows"),
}


def stages(scale: Scale) -> list[Stage]:
    only = scale.options.only
    rows = entries(only)
    limits = {} if only else LIMITS
    pair: dict[str, Entry] = {name: rows[name] for name in (REFERENCE, ENDPOINT) if name in rows}
    loads = {10: [1, 8]} if scale.is_quick else {10: [1, 8], 1000: [1, 8]}
    return [
        Stage("uvicorn", "small", loads, rows | limits),
        Stage("uvicorn", "big", {10: [8]}, rows | limits),
        *(Stage(server, "small", {10: [8]}, pair) for server in ("hypercorn", "granian") if len(pair) == 2),
    ]


@dataclass(frozen=True, slots=True)
class Bench:
    """What a whole run shares: the load process, the core of the servers, and the seconds of a turn."""

    load: subprocess.Popen[str]
    core: int | None
    seconds: float

    def round(self, stage: Stage) -> Iterator[tuple[tuple[int, int], str, Result]]:
        """Start the servers of a stage, and measure each under each load. Yield the load, the row and the result."""
        with contextlib.ExitStack() as stack:
            children: dict[str, subprocess.Popen[str]] = {}
            for name, entry in stage.entries.items():
                serving = Serving(entry.server or stage.server, entry.library, entry.contestant, stage.size, self.core)
                children[name] = stack.enter_context(process("bench.serving", json.dumps(asdict(serving))))
            ports = {name: int(answer(child)) for name, child in children.items()}
            for name, child in children.items():
                self._turn(stage, name, child, ports[name], 1, [1], 0)  # waits until the server has started
            for connections, depths in stage.loads.items():
                for name in random.sample(list(children), len(children)):
                    child = children[name]
                    results = self._turn(stage, name, child, ports[name], connections, depths, self.seconds)
                    for depth, result in zip(depths, results, strict=True):
                        yield (connections, depth), name, result

    def _turn(
        self,
        stage: Stage,
        name: str,
        child: subprocess.Popen[str],
        port: int,
        connections: int,
        depths: list[int],
        seconds: float,
    ) -> list[Result]:
        content = stage.entries[name].content(stage.size)
        order = Order(port, child.pid, content, connections, depths, seconds, seconds / 5)
        return [Result(**each) for each in json.loads(answer(self.load, asdict(order)))]


def measure(scale: Scale) -> Iterator[Table]:
    rounds = scale.rounds(ROUNDS) if scale.exact_rounds or not scale.is_quick else 1
    cores = two_cores()
    results: dict[tuple[int, tuple[int, int]], Results] = {}
    chosen = stages(scale)
    with process("bench.load", json.dumps(cores and cores[1])) as load:
        answer(load)
        bench = Bench(load, cores and cores[0], SECONDS / 2 if scale.is_quick else SECONDS)
        for _ in range(rounds):
            for number, stage in enumerate(chosen):
                for at, name, result in bench.round(stage):
                    results.setdefault((number, at), defaultdict(list))[name].append(result)
    remark = "" if cores else "; NOT KEPT TO TWO CORES: server and load are in each other's way"
    for (number, at), each in results.items():
        stage = chosen[number]
        yield compared(stage.title(*at) + remark, stage.entries, each)


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="contestants or libraries beside raw")


if __name__ == "__main__":
    main("bench.served", measure, declare)
