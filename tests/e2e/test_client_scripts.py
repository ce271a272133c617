"""Scripts that do not await, run as users run them: they exchange messages, fail, and end at once on Ctrl-C."""

import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from tests.e2e.conftest import Place
from tests.e2e.counting import APP
from tests.e2e.servers import ROOT, Run, RunningServer

UVICORN: Final[list[Place]] = [("uvicorn-sansio", "asyncio")]

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("place", UVICORN, indirect=True, ids=lambda place: place[0]),
]

PROMPTLY: Final = 2.0
"""Seconds within which Ctrl-C ends a script: it closes the connection, and Python exits."""
TRACEBACK: Final = "Traceback (most recent call last):"


class Script:
    """A running script: what it prints, line by line, and how it ends."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self._printed = TextReceiveStream(process.stdout)
        self._errors = TextReceiveStream(process.stderr)
        self._rest = ""

    async def line(self) -> str:
        """Return the next line that it prints."""
        while "\n" not in self._rest:
            self._rest += await self._printed.receive()
        line, _, self._rest = self._rest.partition("\n")
        return line

    async def end(self) -> tuple[int, list[str], list[str]]:
        """Wait for its end. Return its exit status, the rest of its output, and its errors."""
        printed = self._rest + "".join([part async for part in self._printed])
        errors = "".join([part async for part in self._errors])
        return await self.process.wait(), printed.splitlines(), errors.splitlines()


@asynccontextmanager
async def running(name: str, run: Run) -> AsyncGenerator[Script]:
    command = [sys.executable, "-W", "error", "-m", "tests.e2e.scripting", name, run.url("/count/{crowd}")]
    async with await anyio.open_process(command, cwd=ROOT, start_new_session=True) as process:
        try:
            yield Script(process)
        finally:
            with suppress(ProcessLookupError):
                process.kill()


async def test_a_script_receives_everything_until_the_server_closes(host: RunningServer) -> None:
    async with host.run(APP) as run, running("receives_all", run) as script:
        assert await script.end() == (0, ["0", "1", "2", "4000 all is answered"], [])
        [received] = await run.wait_for_reports("received", 1)
    assert received["numbers"] == [0, 1, 2]


async def test_a_script_closes_with_a_code_of_its_own(host: RunningServer) -> None:
    async with host.run(APP) as run, running("closes", run) as script:
        assert await script.end() == (0, ["0", "3000"], [])
        [received] = await run.wait_for_reports("received", 1)
    assert received["how"] == "3000 by the peer"


async def test_a_script_that_fails_closes_with_1001_and_prints_a_traceback(host: RunningServer) -> None:
    async with host.run(APP) as run, running("fails", run) as script:
        status, printed, errors = await script.end()
        [received] = await run.wait_for_reports("received", 1)
        assert (status, printed, errors[-1].split(":")[0]) == (1, [], "ZeroDivisionError")
    assert [line for line in errors if not line.startswith(" ")] == [TRACEBACK, errors[-1]]
    assert received["how"] == "1001 by the peer"


async def test_ctrl_c_ends_a_script_that_waits(host: RunningServer) -> None:
    async with host.run(APP) as run, running("waits", run) as script:
        assert await script.line() == "0"
        with anyio.fail_after(PROMPTLY):
            script.process.send_signal(signal.SIGINT)
            status, printed, errors = await script.end()
        [received] = await run.wait_for_reports("received", 1)
    assert (status, printed) == (-signal.SIGINT, [])
    assert [line for line in errors if not line.startswith(" ")] == [TRACEBACK, "KeyboardInterrupt"]
    assert received["how"] == "1001 by the peer"


async def test_a_script_that_catches_ctrl_c_goes_on_with_the_connection(host: RunningServer) -> None:
    async with host.run(APP) as run, running("waits_after_interrupt", run) as script:
        assert await script.line() == "0"
        script.process.send_signal(signal.SIGINT)
        assert await script.line() == "interrupted"
        assert await script.line() == "1"
        script.process.send_signal(signal.SIGINT)
        status, _, errors = await script.end()
    assert status == -signal.SIGINT
    assert [line for line in errors if not line.startswith(" ")] == [TRACEBACK, "KeyboardInterrupt"]
