"""Count the instructions that a message costs in process, with valgrind.

``python -m bench.instructions``

It runs the applications and stubs of `bench.inprocess`, for ``raw`` and typedws. Time depends on the machine and on
its other load. A count of instructions is the same within a few per mille, so that a change of one percent is visible.
It says nothing about caches and branches. Each application does a task with few and with many messages. The difference
of the counts, divided by the difference in messages, is the cost of one message: startup and handshake cancel out. The
garbage collector is off meanwhile, because one collection more or less would show.

It needs valgrind, which most systems have in a package of that name.
"""

import asyncio
import gc
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from bench.contestants import Size, contestants
from bench.inprocess import REFERENCE, TASKS, check, keep_out_of_collections, running, talk_of, turn
from bench.report import Scale, Table, main, table

LIBRARIES: Final = ("raw", "typed")
TITLES: Final = ("echo small text", "receive small text", "send small text", "echo small binary", "echo big text")
QUICK_TITLES: Final = TITLES[:1]
MESSAGES: Final[dict[Size, tuple[int, int]]] = {"small": (200, 1_200), "big": (5, 25)}
MARK: Final = "getppid"
"""A function that no other code calls: at each call, valgrind writes the counts since the last one."""


def measure(scale: Scale) -> Iterator[Table]:
    titles = QUICK_TITLES if scale.is_quick else TITLES
    totals = iter(_totals(titles))
    for title in titles:
        few, many = MESSAGES[TASKS[title].size]
        costs: dict[str, list[float]] = {}
        for name in contestants(LIBRARIES):
            next(totals)  # what came before the first run
            first, second = next(totals), next(totals)
            costs[name] = [(second - first) / (many - few)]
        yield table(title, "instructions", costs, REFERENCE)


def _totals(titles: tuple[str, ...]) -> list[int]:
    """Run `talk` under valgrind, and return its counts between the marks."""
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is not installed")
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out"
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}", f"--dump-before={MARK}"]
        command = [sys.executable, "-c", "import sys, bench.instructions as b; b.talk(*sys.argv[1:])", *titles]
        # With random hashes, counts would differ from run to run.
        subprocess.run([*valgrind, *command], env={**os.environ, "PYTHONHASHSEED": "0"}, check=True)
        marks = len(titles) * len(contestants(LIBRARIES)) * 3
        return [_total(out.with_name(f"{out.name}.{number + 1}")) for number in range(marks)]


def _total(path: Path) -> int:
    [line] = [line for line in path.read_text().splitlines() if line.startswith("totals: ")]
    return int(line.removeprefix("totals: "))


def talk(*titles: str) -> None:
    """Run each application on each task, with marks in between."""
    for title in titles:
        for name in contestants(LIBRARIES):
            asyncio.run(_talk(title, name))


async def _talk(title: str, name: str) -> None:
    contestant, task = contestants(LIBRARIES)[name], TASKS[title]
    answer, _ = await check(contestant, task)
    few, many = (replace(task, count=count) for count in MESSAGES[task.size])
    async with running(contestant, few) as first, running(contestant, many) as second:
        # A warm-up, so that the caches are filled before the first mark.
        await turn(first, talk_of(contestant, few, few.count), answer)
        keep_out_of_collections()
        gc.disable()
        os.getppid()
        await turn(first, talk_of(contestant, few, few.count), answer)
        os.getppid()
        await turn(second, talk_of(contestant, many, many.count), answer)
        os.getppid()
        gc.enable()


if __name__ == "__main__":
    main("bench.instructions", measure)
