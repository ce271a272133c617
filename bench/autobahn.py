"""Run every case of the Autobahn test suite against our client, on asyncio and on trio.

``python -m bench.autobahn``

The fuzzing server of ``autobahntestsuite`` 0.8.2 (the last release that can be run) needs Python 2.7. The first run
installs it into a virtual environment of its own. If that is impossible, the program prints one sentence and exits
with status 2. It exits with status 1 if the suite found a failure.

Each case is one connection: the client echoes what it receives, text and binary, until the server closes it.
Sections 12 and 13 are about compression and run with compression only. All other sections run without it and with it
on offer. ``--json`` writes the results by section, and each result other than OK by case, to
``bench/results/autobahn.json``.
"""

import argparse
import contextlib
import json
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import anyio

from typedws import WebSocketDisconnect
from typedws.client import Compression, connect

SUITE: Final = "0.8.2"
PASSED: Final = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED")
"""Results that are not failures, by the colours of the suite's own report."""
OF_COMPRESSION: Final = ("12", "13")
CASE_TIMEOUT: Final = 120
"""Seconds that one case may take: the largest ones echo 16 MB in fragments of 64 bytes, with a server in Python 2.7."""
RESULTS: Final = Path(__file__).parent / "results" / "autobahn.json"


class SuiteUnavailable(Exception):
    """The suite cannot run on this machine."""


# --- the suite ---


def suite(directory: Path, python2: str) -> Path:
    """Return the path of the suite's command, and install the suite first if necessary."""
    wstest = directory / "bin" / "wstest"
    if wstest.exists():
        return wstest
    if shutil.which(python2) is None:
        raise SuiteUnavailable(f"there is no {python2} on this machine: name one with --python2")
    executable = run([python2, "-c", "import sys; sys.stdout.write(sys.executable)"], f"{python2} does not run")
    run(
        [sys.executable, "-m", "virtualenv", "--quiet", "--python", executable, str(directory)],
        'virtualenv makes no environment for Python 2.7: pip install "virtualenv<20.22"',
    )
    install = [str(directory / "bin" / "pip"), "install", "--quiet", f"autobahntestsuite=={SUITE}"]
    run(install, f"autobahntestsuite {SUITE} cannot be installed")
    return wstest


def run(command: list[str], message: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SuiteUnavailable(message)
    return result.stdout


@contextlib.contextmanager
def fuzzing_server(wstest: Path, cases: list[str], directory: Path) -> Iterator[str]:
    """Run the fuzzing server, which writes its reports into the directory. Yield its URL."""
    # The spec needs a port number, so take one that is free now.
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    url = f"ws://127.0.0.1:{port}"
    spec_path = directory / "spec.json"
    spec = {"url": url, "outdir": str(directory), "cases": cases, "exclude-cases": [], "exclude-agent-cases": {}}
    spec_path.write_text(json.dumps(spec))
    with (directory / "log").open("w") as log:
        command = [str(wstest), "--mode", "fuzzingserver", "--spec", str(spec_path), "--webport", "0"]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory)
        try:
            wait_for(port, process)
            yield url
        finally:
            process.terminate()
            process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.1)
    raise SuiteUnavailable("the fuzzing server does not start")


# --- our client ---


@dataclass(frozen=True)
class Agent:
    """One configuration of our client: its event loop and its compression."""

    backend: str
    compression: Compression | None

    @property
    def name(self) -> str:
        return f"typedws-{self.backend}-{self.compression or 'plain'}"

    def runs(self, case: str) -> bool:
        return self.compression is not None or case.split(".")[0] not in OF_COMPRESSION


AGENTS: Final = {
    agent.name: agent
    for agent in (Agent(backend, compression) for backend in ("asyncio", "trio") for compression in (None, "deflate"))
}


async def fetch(url: str) -> Any:
    async with connect(url) as ws:
        return await ws.receive_json()


async def wait_for_close(url: str) -> None:
    """Connect to a URL at which the server only closes."""
    with contextlib.suppress(WebSocketDisconnect):
        async with connect(url, close_timeout=60) as ws:
            await ws.receive_text()


async def all_cases(url: str) -> dict[int, str]:
    """Return the name of each case by its number."""
    count = await fetch(f"{url}/getCaseCount")
    return {number: (await fetch(f"{url}/getCaseInfo?case={number}"))["id"] for number in range(1, count + 1)}


async def echo(url: str, compression: Compression | None) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        async with connect(url, max_message_size=None, compression=compression, open_timeout=30) as ws:
            while True:
                frame = await ws._receive_frame("a frame")  # noqa: SLF001 - the server chooses the kind of frame
                if isinstance(frame, str):
                    await ws.send_text(frame)
                else:
                    await ws.send_bytes(frame)


async def drive(url: str, agent: Agent, cases: dict[int, str]) -> dict[str, str]:
    """Run all cases of an agent, and return the errors on our side by case."""
    errors: dict[str, str] = {}
    for number, case in cases.items():
        try:
            with anyio.fail_after(CASE_TIMEOUT):
                await echo(f"{url}/runCase?case={number}&agent={agent.name}", agent.compression)
        except Exception as error:
            errors[case] = type(error).__name__
    await wait_for_close(f"{url}/updateReports?agent={agent.name}")
    return errors


# --- the results ---


def summarize(index: dict[str, dict[str, str]], errors: dict[str, str]) -> dict[str, Any]:
    """Summarize the suite's results for one agent: its behaviour, and how it closed."""
    sections: dict[str, Counter[str]] = {}
    not_ok: dict[str, str] = {}
    failed: list[str] = []
    for case, result in sorted(index.items(), key=lambda item: order(item[0])):
        behaviour, close = result["behavior"], result["behaviorClose"]
        sections.setdefault(case.split(".")[0], Counter())[behaviour] += 1
        if behaviour != "OK" or close not in ("OK", "INFORMATIONAL"):
            not_ok[case] = behaviour if close in PASSED else f"{behaviour}, close {close}"
        if behaviour not in PASSED or close not in PASSED:
            failed.append(case)
    return {
        "cases": len(index),
        "verdicts": dict(sum(sections.values(), Counter[str]())),
        "sections": {name: dict(counts) for name, counts in sections.items()},
        "other than OK": not_ok,
        "failed": failed,
        "errors of the client": errors,
    }


def order(case: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", case)]


def versions() -> dict[str, str]:
    ours = {each: version(each) for each in ("typedws", "websockets", "anyio", "trio")}
    return {"autobahntestsuite": SUITE, "python": platform.python_version(), **ours}


def record(runs: dict[str, Any]) -> None:
    """Write the results, and keep those of other agents that were recorded with the same versions."""
    about = {"versions": versions()}
    recorded = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if recorded.get("versions") == about["versions"]:
        runs = {name: (recorded["runs"] | runs)[name] for name in AGENTS if name in recorded["runs"] | runs}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**about, "runs": runs}, indent=2) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=["*"], help='patterns such as "7.*"')
    parser.add_argument("--agents", nargs="+", choices=[*AGENTS], default=[*AGENTS], metavar="AGENT", help="which ways")
    parser.add_argument("--json", action="store_true", help=f"write {RESULTS.parent.name}/{RESULTS.name}")
    parser.add_argument("--python2", default="python2.7", help="a Python 2.7, for the suite")
    parser.add_argument("--environment", type=Path, default=Path(".venv/autobahn"), help="where the suite is installed")
    options = parser.parse_args()
    runs: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        try:
            wstest = suite(options.environment, options.python2).absolute()
            with fuzzing_server(wstest, options.cases, directory) as url:
                cases = anyio.run(all_cases, url)
                for agent in map(AGENTS.__getitem__, options.agents):
                    own_cases = {number: case for number, case in cases.items() if agent.runs(case)}
                    errors = anyio.run(drive, url, agent, own_cases, backend=agent.backend)
                    index = json.loads((directory / "index.json").read_text())
                    missing = {case: {"behavior": "MISSING", "behaviorClose": "MISSING"} for case in own_cases.values()}
                    runs[agent.name] = summarize(missing | index.get(agent.name, {}), errors)
                    show(agent, runs[agent.name])
                    if options.json:
                        record(runs)
        except SuiteUnavailable as error:
            print(f"The Autobahn suite cannot be run: {error}.")
            return 2
    return int(any(each["failed"] or each["errors of the client"] for each in runs.values()))


def show(agent: Agent, run: dict[str, Any]) -> None:
    print(f"{agent.name}: {run['cases']} cases, {listed(run['verdicts'])}", flush=True)
    for section, counts in run["sections"].items():
        print(f"  section {section + ':':4s}{listed(counts)}")
    for case, result in run["other than OK"].items():
        print(f"  {case + ':':9s}{result}{'  FAILURE' if case in run['failed'] else ''}")
    for case, error in run["errors of the client"].items():
        print(f"  {case + ':':9s}our client raised {error}")


def listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {result}" for result, count in counts.items())


if __name__ == "__main__":
    sys.exit(main())
