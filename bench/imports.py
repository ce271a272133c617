"""What ``import typedws`` costs, in fresh interpreters, as a multiple of importing what it stands on.

That is ``from pydantic import BaseModel, TypeAdapter`` with anyio and orjson. All contestants take turns in each round,
each in an interpreter of its own, which measures the processor time of the imports alone, of compiled modules. The last
table tells which modules typedws loads on top, by their own cost as ``-X importtime`` tells it (which measures itself
too), and which of our modules asked for one that is not ours.
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
"""pydantic and anyio import half of themselves when first used, which typedws does when it is imported."""

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
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, env=environment)


def cost(statement: str) -> list[float]:
    """Give milliseconds by the clock and of the processor, and the number of modules."""
    return [float(figure) for figure in child("-c", CHILD.format(statement=statement)).stdout.split()]


def compared(title: str, statements: dict[str, str], reference: str, rounds: int) -> Table:
    figures: dict[str, list[list[float]]] = {name: [] for name in statements}
    child("-c", "\n".join(statements.values()))  # so that all is compiled
    for _ in range(rounds):
        for name, statement in statements.items():
            figures[name].append(cost(statement))
    more = {
        name: {"ms by the clock": median(each[0] for each in values), "modules": values[0][2]}
        for name, values in figures.items()
    }
    costs = {name: [each[1] for each in values] for name, values in figures.items()}
    return table(title, "cpu ms", costs, reference, more=more)


def added() -> Iterator[tuple[str, float, float, str]]:
    """Give the modules that typedws loads after the reference: name, own and whole cost in us, and who asked."""
    mark = f"import sys; print({MARK!r}, file=sys.stderr, flush=True)"
    code = f"{CONTESTANTS[REFERENCE]}; {mark}; {CONTESTANTS['typedws']}"
    lines = child("-X", "importtime", "-c", code).stderr.partition(f"{MARK}\n")[2].splitlines()
    above: list[tuple[int, str]] = []
    for line in reversed(lines):  # who imports comes after what is imported, which is indented further
        own, whole, name = line.removeprefix("import time:").split("|")
        depth = len(name) - len(name.lstrip())
        while above and above[-1][0] >= depth:
            above.pop()
        asked = next((each for _, each in reversed(above) if is_ours(each)), "")
        above.append((depth, name.strip()))
        yield name.strip(), float(own), float(whole), asked


def is_ours(module: str) -> bool:
    return module.partition(".")[0] == "typedws"


def additions(count: int) -> Table:
    own: dict[str, list[float]] = {}
    whole: dict[str, list[float]] = {}
    marks: dict[str, str] = {}
    for _ in range(count):
        for name, self_cost, whole_cost, asked in added():
            own.setdefault(name, []).append(self_cost)
            whole.setdefault(name, []).append(whole_cost)
            marks[name] = "" if is_ours(name) else f"for {asked}"
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
