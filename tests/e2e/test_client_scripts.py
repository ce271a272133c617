"""Scripts that do not await, run as people run them: they converse, they fail, and Ctrl-C ends them at once."""

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
"""Seconds within which Ctrl-C ends a script: it closes, and Python ends."""
TRACEBACK: Final = "Traceback (most recent call last):"


class Script:
    """A script that runs: what it prints, line by line, and how it ends."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self._printed = TextReceiveStream(process.stdout)
        self._complained = TextReceiveStream(process.stderr)
        self._rest = ""

    async def line(self) -> str:
        """Give the next line that it prints."""
        while "\n" not in self._rest:
            self._rest += await self._printed.receive()
        line, _, self._rest = self._rest.partition("\n")
        return line

    async def end(self) -> tuple[int, list[str], list[str]]:
        """Wait for its end: its status, the rest of what it printed, and all that it complained of."""
        printed = self._rest + "".join([part async for part in self._printed])
        complained = "".join([part async for part in self._complained])
        return await self.process.wait(), printed.splitlines(), complained.splitlines()


@asynccontextmanager
async def running(name: str, run: Run) -> AsyncGenerator[Script]:
    command = [sys.executable, "-W", "error", "-m", "tests.e2e.scripting", name, run.url("/count/{crowd}")]
    async with await anyio.open_process(command, cwd=ROOT, start_new_session=True) as process:
        try:
            yield Script(process)
        finally:
            with suppress(ProcessLookupError):
                process.kill()


async def test_a_script_hears_all_until_the_server_closes(host: RunningServer) -> None:
    async with host.run(APP) as run, running("hears_all", run) as script:
        assert await script.end() == (0, ["0", "1", "2", "4000 all is answered"], [])
        [heard] = await run.told("heard", 1)
    assert heard["numbers"] == [0, 1, 2]


async def test_a_script_closes_with_a_code_of_its_own(host: RunningServer) -> None:
    async with host.run(APP) as run, running("closes", run) as script:
        assert await script.end() == (0, ["0", "3000"], [])
        [heard] = await run.told("heard", 1)
    assert heard["how"] == "3000 by the peer"


async def test_a_script_that_fails_closes_with_1001_and_tells_why(host: RunningServer) -> None:
    async with host.run(APP) as run, running("fails", run) as script:
        status, printed, complained = await script.end()
        [heard] = await run.told("heard", 1)
    assert (status, printed, complained[-1]) == (1, [], "ZeroDivisionError: integer division or modulo by zero")
    assert [line for line in complained if not line.startswith(" ")] == [TRACEBACK, complained[-1]]
    assert heard["how"] == "1001 by the peer"


async def test_ctrl_c_ends_a_script_that_waits(host: RunningServer) -> None:
    async with host.run(APP) as run, running("waits", run) as script:
        assert await script.line() == "0"
        with anyio.fail_after(PROMPTLY):
            script.process.send_signal(signal.SIGINT)
            status, printed, complained = await script.end()
        [heard] = await run.told("heard", 1)
    assert (status, printed) == (-signal.SIGINT, [])
    assert [line for line in complained if not line.startswith(" ")] == [TRACEBACK, "KeyboardInterrupt"]
    assert heard["how"] == "1001 by the peer"


async def test_who_catches_ctrl_c_goes_on_with_the_connection(host: RunningServer) -> None:
    async with host.run(APP) as run, running("waits_again", run) as script:
        assert await script.line() == "0"
        script.process.send_signal(signal.SIGINT)
        assert await script.line() == "interrupted"
        assert await script.line() == "1"
        script.process.send_signal(signal.SIGINT)
        status, _, complained = await script.end()
    assert status == -signal.SIGINT
    assert [line for line in complained if not line.startswith(" ")] == [TRACEBACK, "KeyboardInterrupt"]
