"""Compare clients against one echo server: typedws, ``websockets``, picows, httpx-ws and trio-websocket.

``python -m bench.client``

The server has a process of its own, and so has each client. So no client pays for another's garbage, timers or
imports, and the CPU time of a process is that of one client. The processes are new in every round, because the layout
of a process is worth a few percent. In a round, the clients take turns with each workload, in a different order every
time. The tables show medians over the rounds. Ratios are medians (and quartiles) of the speed of a client in a round,
as a multiple of the speed of ``websockets`` on asyncio in the same round: by wall time, and by CPU time, which depends
less on what else runs on the machine. Above 1 is faster.

Every client receives exactly what it sent, in order; each message is checked. asyncio is the event loop of the
standard library. The client of picows is about as fast as the server, so by wall time it shows a lower bound.
"""

import argparse
import contextlib
import json
import os
import platform
import random
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

from bench.clients import CONTESTANTS, WARM_UP, WORKLOADS
from bench.processes import answer, process

REFERENCE: Final = "websockets, asyncio"
RESULTS: Final = Path(__file__).parent / "results" / "client.json"
PACKAGES: Final = "typedws websockets picows httpx-ws trio-websocket wsproto anyio trio pydantic uvloop".split()

Round = dict[str, dict[str, dict[str, float]]]
"""The cost of one turn, by workload and contestant."""


def one_round(url: str, names: list[str], counts: dict[str, int]) -> Round:
    """Run each contestant once with each workload, and return the costs."""
    result: Round = {}
    with contextlib.ExitStack() as stack:
        children = {name: stack.enter_context(process("bench.clients", name, url)) for name in names}
        for child in children.values():
            answer(child)  # a child prints "ready" first
        for workload, count in counts.items():
            taking_part = [name for name in names if takes_part(name, workload)]
            random.shuffle(taking_part)
            turns = {name: json.loads(answer(children[name], (workload, count))) for name in taking_part}
            result[workload] = {name: turns[name] for name in names if name in turns}
    return result


def takes_part(name: str, workload: str) -> bool:
    if WORKLOADS[workload].is_typed:
        return CONTESTANTS[name].models is not None
    return name != "websockets, in bytes"  # the reference itself, except with models


def summary(rounds: list[Round], workload: str, count: int) -> dict[str, dict[str, Any]]:
    """Return the rows of a workload's table, by contestant."""
    turns = [each[workload] for each in rounds]
    result: dict[str, dict[str, Any]] = {}
    for name in turns[0]:
        ratio, cpu_ratio = ([turn[REFERENCE][by] / turn[name][by] for turn in turns] for by in ("wall", "cpu"))
        result[name] = {
            "messages a second": round(median(count / turn[name]["wall"] for turn in turns)),
            "cpu us a message": round(median(turn[name]["cpu"] / count * 1e6 for turn in turns), 2),
            "ratio": round(median(ratio), 3),
            "quartiles of the ratio": quartiles(ratio),
            "ratio of cpu": round(median(cpu_ratio), 3),
            "quartiles of the ratio of cpu": quartiles(cpu_ratio),
        }
        if "trip" in turns[0][name]:
            result[name]["us a trip"] = round(median(turn[name]["trip"] for turn in turns), 1)
            result[name]["us a trip, 99th percentile"] = round(median(turn[name]["slow trip"] for turn in turns), 1)
    return result


def quartiles(values: list[float]) -> list[float]:
    low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return [round(low, 3), round(high, 3)]


def show(title: str, rows: dict[str, dict[str, Any]]) -> None:
    has_trips = any("us a trip" in row for row in rows.values())
    print(f"\n{title}")
    print(f"{'':22s}{'messages/s':>10s}  ratio     quartiles   cpu us  ratio     quartiles", end="")
    print("  us a trip    99 %" if has_trips else "")
    for name, row in rows.items():
        print(f"{name:22s}{row['messages a second']:10,d}", end="")
        for before, ratio in (("", "ratio"), (f"  {row['cpu us a message']:7.1f}", "ratio of cpu")):
            low, high = row[f"quartiles of the {ratio}"]
            print(f"{before}  {row[ratio]:5.2f} {f'{low:.2f} - {high:.2f}':>13s}", end="")
        print(f"  {row['us a trip']:9.0f}  {row['us a trip, 99th percentile']:6.0f}" if has_trips else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="two rounds of few messages, for a first look")
    parser.add_argument("--server", choices=["picows", "uvicorn"], default="picows")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=[*CONTESTANTS], metavar="CLIENT")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=[*WORKLOADS], metavar="WORKLOAD")
    parser.add_argument("--json", action="store_true", help=f"write {RESULTS.parent.name}/{RESULTS.name}")
    options = parser.parse_args()
    names = [name for name in CONTESTANTS if name in options.only or name == REFERENCE]
    share, count = (4, 2) if options.quick else (1, options.rounds)
    counts = {name: max(WORKLOADS[name].count // share, WARM_UP) for name in options.workloads}
    with process("bench.echoing", "--server", options.server) as server:
        url = f"ws://127.0.0.1:{int(answer(server))}/"
        rounds = [one_round(url, names, counts) for _ in range(count)]
    print(f"Python {platform.python_version()}, echo on {options.server}, medians of {count} rounds")
    results = {name: summary(rounds, name, messages) for name, messages in counts.items()}
    for name, rows in results.items():
        show(f"{name}: {WORKLOADS[name].title}; {counts[name]:,} messages a round", rows)
    if options.json:
        about = {
            "python": platform.python_version(),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "server": options.server,
            "rounds": count,
            "versions": {name: version(name) for name in PACKAGES},
        }
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps({**about, "workloads": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
