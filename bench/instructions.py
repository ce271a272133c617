"""Instructions that a message costs in process, as valgrind counts them. ``python -m bench.instructions``

The applications and the stubs of `bench.inprocess`, for ``raw`` and typedws. Time depends on the machine and on what
else it does; a count of instructions is the same to some per mille, so that a change of a percent can be seen. It says
nothing of caches and branches. Each application does a task with few and with many messages, and the difference of the
counts divided by that of the messages is what one costs: start and handshake cancel out. The collector of garbage is
off meanwhile, as one collection more or less would be seen.

Needs valgrind, which a package of that name brings in most systems.
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
"""A function that nobody else calls: at each call, valgrind writes down what it counted since the last."""


def measure(scale: Scale) -> Iterator[Table]:
    titles = QUICK_TITLES if scale.is_quick else TITLES
    totals = iter(_totals(titles))
    for title in titles:
        few, many = MESSAGES[TASKS[title].size]
        costs: dict[str, list[float]] = {}
        for name in contestants(LIBRARIES):
            next(totals)  # what came before
            first, second = next(totals), next(totals)
            costs[name] = [(second - first) / (many - few)]
        yield table(title, "instructions", costs, REFERENCE)


def _totals(titles: tuple[str, ...]) -> list[int]:
    """Let valgrind run `talk`, and give its counts between the marks."""
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is not installed")
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out"
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}", f"--dump-before={MARK}"]
        talking = [sys.executable, "-c", "import sys, bench.instructions as b; b.talk(*sys.argv[1:])", *titles]
        subprocess.run([*valgrind, *talking], env={**os.environ, "PYTHONHASHSEED": "0"}, check=True)
        marks = len(titles) * len(contestants(LIBRARIES)) * 3
        return [_total(out.with_name(f"{out.name}.{number + 1}")) for number in range(marks)]


def _total(path: Path) -> int:
    [line] = [line for line in path.read_text().splitlines() if line.startswith("totals: ")]
    return int(line.removeprefix("totals: "))


def talk(*titles: str) -> None:
    """Let each application do each task, with marks in between."""
    for title in titles:
        for name in contestants(LIBRARIES):
            asyncio.run(_talk(title, name))


async def _talk(title: str, name: str) -> None:
    contestant, task = contestants(LIBRARIES)[name], TASKS[title]
    answer, _ = await check(contestant, task)
    few, many = (replace(task, count=count) for count in MESSAGES[task.size])
    async with running(contestant, few) as first, running(contestant, many) as second:
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
