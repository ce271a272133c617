"""What the benchmarks share: rounds, two runs in fresh processes, tables on the terminal, and JSON in ``results/``.

A benchmark is a function from a `Scale` to tables; `main` makes a command of it. Each run has a process of its own,
because the layout of a process is worth a few percent. Tables show two runs side by side: do not trust a figure on
which they disagree. A ratio is the median, over the rounds of a run, of the cost of a row divided by the cost of the
reference in the same round. Where a table says that more is better, rates take the place of costs.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

from rich.console import Console
from rich.table import Table as Grid

RESULTS: Final = Path(__file__).parent / "results"
PACKAGES: Final = (
    "typedws pydantic pydantic-core anyio orjson msgspec ormsgpack cbor2 starlette fastapi litestar quart quart-schema "
    "chanx channels django uvicorn uvloop websockets wsproto hypercorn granian daphne picows trio"
).split()


@dataclass(frozen=True, slots=True)
class Scale:
    """How much to measure: everything, or a first look."""

    is_quick: bool = False
    exact_rounds: int | None = None
    """The number of rounds given on the command line, if any."""
    options: argparse.Namespace = field(default_factory=argparse.Namespace)
    """The benchmark's own arguments."""

    def rounds(self, usual: int) -> int:
        if self.exact_rounds is not None:
            return self.exact_rounds
        return max(usual // 5, 3) if self.is_quick else usual

    def count(self, usual: int) -> int:
        return max(usual // 4, 1) if self.is_quick else usual


@dataclass(frozen=True, slots=True)
class Row:
    """What one contestant cost; ``ratio`` is a multiple of the reference."""

    ratio: float | None
    quartiles: tuple[float, float] | None
    cost: float
    mark: str = ""
    more: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class Table:
    """The contestants of one workload, one row each; ``more`` of a row holds further columns."""

    title: str
    unit: str
    reference: str | None
    rows: dict[str, Row]
    shown: int | None = None
    """How many rows to show on a terminal, if not all."""
    higher_is_better: bool = False


def table(
    title: str,
    unit: str,
    costs: dict[str, list[float]],
    reference: str | None = None,
    *,
    marks: dict[str, str] | None = None,
    more: dict[str, dict[str, float]] | None = None,
    higher_is_better: bool = False,
) -> Table:
    """Summarize the costs of contestants over some rounds; values at the same index are of the same round.

    :param reference: the row that the others are a multiple of, or ``None`` if there is nothing to compare
    :param marks: remarks on rows, such as "does not validate"
    :param more: further figures of rows, by column name
    :param higher_is_better: the values are not costs but rates per second
    """
    rows: dict[str, Row] = {}
    for name, values in costs.items():
        ratios = [] if reference is None else [a / b for a, b in zip(values, costs[reference], strict=True)]
        rows[name] = Row(
            ratio=round(median(ratios), 3) if ratios else None,
            quartiles=_quartiles(ratios) if ratios else None,
            cost=_rounded(median(values)),
            mark=(marks or {}).get(name, ""),
            more={key: _rounded(value) for key, value in (more or {}).get(name, {}).items()},
        )
    return Table(title, unit, reference, rows, higher_is_better=higher_is_better)


def stacked(title: str, tables: Mapping[str, Table]) -> Table:
    """Combine tables of one unit and one reference into one, whose rows are named after the row and its table."""
    first = next(iter(tables.values()))
    rows = {f"{name}, {key}": row for name, each in tables.items() for key, row in each.rows.items()}
    return Table(title, first.unit, first.reference, rows)


def _quartiles(values: list[float]) -> tuple[float, float]:
    low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return round(low, 3), round(high, 3)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


Measure = Callable[[Scale], Iterable[Table]]


def main(module: str, measure: Measure, declare: Callable[[argparse.ArgumentParser], None] | None = None) -> None:
    """Run a benchmark as the command ``python -m module``, with the docstring of the module as its help.

    :param declare: adds the benchmark's own arguments, which end up in ``Scale.options``
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=sys.modules["__main__"].__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds of fewer messages, for a first look")
    parser.add_argument("--rounds", type=int, help="rounds in each run")
    parser.add_argument("--runs", type=int, default=2, help="runs in fresh processes, beside each other")
    parser.add_argument("--json", action="store_true", help="write bench/results/PYTHON/NAME.json")
    parser.add_argument("--one-run", action="store_true", help=argparse.SUPPRESS)
    if declare is not None:
        declare(parser)
    options = parser.parse_args()
    if options.one_run:
        for each in measure(Scale(options.quick, options.rounds, options)):
            print(json.dumps(asdict(each)), flush=True)
        return
    runs = [_run(module, sys.argv[1:]) for _ in range(options.runs)]
    console = Console(width=None if sys.stdout.isatty() else 170, highlight=False)
    console.print(f"[bold]{module}[/], {machine()}, {options.runs} runs")
    for same_table in zip(*runs, strict=True):
        console.print(_grid(same_table))
    if options.json:
        path = RESULTS / ".".join(platform.python_version_tuple()[:2]) / f"{module.rpartition('.')[2]}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**about(), "quick": options.quick, "runs": runs}, indent=1) + "\n")


def _run(module: str, arguments: Sequence[str]) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", module, "--one-run", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        tables = [json.loads(line) for line in child.stdout]
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} has failed")
    return tables


def machine() -> str:
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"


def about() -> dict[str, Any]:
    """Return what a result depends on: the versions, and the kind of machine."""
    versions: dict[str, str] = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "versions": versions,
    }


def _grid(runs: Sequence[dict[str, Any]]) -> Grid:
    """Draw one table, with the figures of all runs side by side."""
    first = runs[0]
    more = list(dict.fromkeys(key for row in first["rows"].values() for key in row["more"]))
    title = f"{first['title']} (more is better)" if first["higher_is_better"] else first["title"]
    grid = Grid(title=title, title_justify="left", title_style="bold")
    grid.add_column("")
    if first["reference"] is not None:
        for number in range(len(runs)):
            grid.add_column("ratio" if not number else "again", justify="right", style="bold")
        grid.add_column("quartiles", justify="right", style="dim")
    for _ in runs:
        grid.add_column(first["unit"], justify="right")
    for key in more:
        grid.add_column(key, justify="right")
    for name, row in islice(first["rows"].items(), first["shown"]):
        rows = [each["rows"][name] for each in runs]
        cells = [f"{name} ({row['mark']})" if row["mark"] else name]
        if first["reference"] is not None:
            cells += [f"{each['ratio']:.2f}" for each in rows]
            cells.append("{:.2f} - {:.2f}".format(*row["quartiles"]))
        cells += [_figure(each["cost"]) for each in rows]
        cells += [_figure(row["more"][key]) if key in row["more"] else "" for key in more]
        grid.add_row(*cells)
    return grid


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
