"""Measure what ``import typedws`` costs in fresh interpreters, as a multiple of importing its dependencies.

These are ``from pydantic import BaseModel, TypeAdapter`` with anyio and orjson. All contestants take turns in each
round. Each runs in an interpreter of its own, which measures the CPU time of the imports alone, from compiled modules.
The last table lists the modules that typedws loads in addition, by their own cost as ``-X importtime`` reports it
(which includes its own overhead), and which of our modules imports one that is not ours.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from statistics import median
from typing import Final

from bench.report import Row, Scale, Table, main, table

REFERENCE: Final = "pydantic, anyio, orjson"
USE: Final = """
from pydantic import BaseModel, TypeAdapter
import anyio, orjson
class Model(BaseModel):
    text: str
TypeAdapter(Model)
anyio.run(anyio.sleep, 0)
"""
"""pydantic and anyio import half of their modules on first use, and importing typedws uses them."""

CONTESTANTS: Final = {
    REFERENCE: "from pydantic import BaseModel, TypeAdapter; import anyio, orjson",
    "the same, used once": USE,
    "typedws": "import typedws",
    "typedws, App alone": "from typedws import App",
    "typedws.client": "import typedws.client",
    "typedws.testing": "import typedws.testing",
    "starlette.websockets": "import starlette.websockets",
    "fastapi": "import fastapi",
    "litestar": "import litestar",
}
CHILD: Final = """
import sys, time
before, wall, cpu = len(sys.modules), time.perf_counter(), time.process_time()
{statement}
cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
print(wall * 1e3, cpu * 1e3, len(sys.modules) - before)
"""
MARK: Final = "---"


def child(*arguments: str) -> subprocess.CompletedProcess[str]:
    # With that variable the bytecode would not be kept, and every import would compile again.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, env=environment)


def cost(statement: str) -> list[float]:
    """Return the milliseconds of wall time and of CPU time, and the number of modules."""
    return [float(figure) for figure in child("-c", CHILD.format(statement=statement)).stdout.split()]


def compared(title: str, statements: dict[str, str], reference: str, rounds: int) -> Table:
    figures: dict[str, list[list[float]]] = {name: [] for name in statements}
    child("-c", "\n".join(statements.values()))  # so that all modules are compiled
    for _ in range(rounds):
        for name, statement in statements.items():
            figures[name].append(cost(statement))
    more = {
        name: {"ms by the clock": median(each[0] for each in values), "modules": values[0][2]}
        for name, values in figures.items()
    }
    costs = {name: [each[1] for each in values] for name, values in figures.items()}
    return table(title, "cpu ms", costs, reference, more=more)


def added_modules() -> Iterator[tuple[str, float, float, str]]:
    """Yield the modules that typedws loads after the reference: name, own and whole cost in us, and our importer."""
    mark = f"import sys; print({MARK!r}, file=sys.stderr, flush=True)"
    code = f"{CONTESTANTS[REFERENCE]}; {mark}; {CONTESTANTS['typedws']}"
    lines = child("-X", "importtime", "-c", code).stderr.partition(f"{MARK}\n")[2].splitlines()
    importers: list[tuple[int, str]] = []
    for line in reversed(lines):  # an importer comes after its imports, which are indented further
        own, whole, name = line.removeprefix("import time:").split("|")
        depth = len(name) - len(name.lstrip())
        while importers and importers[-1][0] >= depth:
            importers.pop()
        importer = next((each for _, each in reversed(importers) if is_ours(each)), "")
        importers.append((depth, name.strip()))
        yield name.strip(), float(own), float(whole), importer


def is_ours(module: str) -> bool:
    return module.partition(".")[0] == "typedws"


def additions(count: int) -> Table:
    own: dict[str, list[float]] = {}
    whole: dict[str, list[float]] = {}
    marks: dict[str, str] = {}
    for _ in range(count):
        for name, self_cost, whole_cost, importer in added_modules():
            own.setdefault(name, []).append(self_cost)
            whole.setdefault(name, []).append(whole_cost)
            marks[name] = "" if is_ours(name) else f"for {importer}"
    rows = {
        name: Row(None, None, round(median(own[name])), marks[name], {"with its imports": round(median(whole[name]))})
        for name in sorted(own, key=lambda name: -median(own[name]))
    }
    return Table(f"the {len(rows)} modules that typedws adds, the dearest first", "us of its own", None, rows, shown=15)


def measure(scale: Scale) -> Iterator[Table]:
    rounds = scale.rounds(15)
    yield compared("importing, in a fresh interpreter", CONTESTANTS, REFERENCE, rounds)
    yield additions(5 if not scale.is_quick else 1)


if __name__ == "__main__":
    main("bench.imports", measure)
