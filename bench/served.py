"""All contestants on real servers: what is left of their differences end to end. ``python -m bench.served``

Each application has a server process of its own, kept to one core, and echoes what one process sends it, kept to
another: `bench.load`, which says the next message as soon as it has an echo, on 10 or on 1,000 connections, with 1 or
with 8 messages of each on their way. All connections are open before anything counts, and each echo is checked. Small
messages have 57 bytes and big ones 7 KB, in text; nothing is compressed.

A ratio is the throughput of a contestant divided by that of ``raw``, the same validation and serialisation by hand on
the same server, in the same round: above 1 is faster. ``server us`` is the processor time of the server for a message,
of all its threads and processes, and the ratio of it is ``raw``'s divided by the contestant's: it suffers less from
what else runs on the machine than the clock does. ``server`` and ``load`` are how busy the two were, in percent of a
core; where the load was near its limit and the server was not, the row says so, and is a lower bound; where neither
was, something else ran on the machine, and messages a second are not to be believed. The limits: ``no parsing`` is an
ASGI application that sends back what it hears unread; picows is a server with an interface of its own, not ASGI's,
which is called for each frame, and validates and serialises as ``raw`` does.

Servers are new in every round, as the layout of a process is worth a few percent; in a round, contestants take turns
with each load, in another order every time, while the other servers are idle. Connections are new in every turn, and
few last for the second after which an endpoint begins to watch its sends: `bench.endpoint` says what that costs.
``--quick`` does without the thousand connections.
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
"""Who does not use pydantic is compared in process."""
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
    """A row: who is served, and by whom if not by the stage's server."""

    library: str
    contestant: str
    mark: str = ""
    wrap: Any = None
    server: ServerName | None = None

    def content(self, size: Size) -> Any:
        return plain(size) if self.wrap is None else self.wrap(plain(size))


@dataclass(frozen=True, slots=True)
class Stage:
    """Servers that are up together, and the loads that they get: connections and depths."""

    server: ServerName
    size: Size
    loads: dict[int, list[int]]
    entries: dict[str, Entry]

    def title(self, connections: int, depth: int) -> str:
        messages = "message" if depth == 1 else "messages"
        return f"{TITLES[self.server]}: {connections:,} connections, {depth} {self.size} {messages} each on their way"


Results = dict[str, list[Result]]
"""What was measured under one load, by row, a result for each round."""


def compared(title: str, rows: dict[str, Entry], results: Results) -> Table:
    rates = {name: [each.per_second for each in results[name]] for name in rows}
    marks = {name: _slow_if_contains(entry, results[name]) for name, entry in rows.items()}
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


def _slow_if_contains(entry: Entry, results: Sequence[Result]) -> str:
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
    """Give the rows of the contestants, the reference first."""
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
    """What a run has throughout: the process that makes the load, the core of the servers, how long a turn takes."""

    load: subprocess.Popen[str]
    core: int | None
    seconds: float

    def round(self, stage: Stage) -> Iterator[tuple[tuple[int, int], str, Result]]:
        """Start the servers of a stage, and let each take its turn: the load, the row and the result."""
        with contextlib.ExitStack() as stack:
            children: dict[str, subprocess.Popen[str]] = {}
            for name, entry in stage.entries.items():
                serving = Serving(entry.server or stage.server, entry.library, entry.contestant, stage.size, self.core)
                children[name] = stack.enter_context(process("bench.serving", json.dumps(asdict(serving))))
            ports = {name: int(answer(child)) for name, child in children.items()}
            for name, child in children.items():
                self._turn(stage, name, child, ports[name], 1, [1], 0)  # so that all have started
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
