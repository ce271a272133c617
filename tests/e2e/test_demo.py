"""The program of `make demo`, run as users run it.

Without a terminal it converses and ends. At a terminal it then serves until Ctrl-C.
"""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import anyio
import pytest
from anyio.abc import Process
from websockets.asyncio.client import connect

ROOT: Final = Path(__file__).parents[2]
COMMAND: Final = [sys.executable, "-m", "examples.demo"]
ENVIRONMENT: Final = {**os.environ, "PYTHONUNBUFFERED": "1"}

CONVERSATION: Final = (
    'ann  > {"type":"join"}',
    'chat > {"type":"joined","room":"lobby"}',
    'ann  > {"type":"say","text":"hello"}',
    'chat > {"type":"said","text":"hello","by":"ann"}',
    'chat > {"type":"error","problem":"invalid",',
    'chat > {"type":"said","text":"still here","by":"ann"}',
    "ann leaves: 1000",
    "bob is denied without a token: 401",
    "'detail': 'token missing or wrong'",
)


def test_without_a_terminal_it_converses_and_ends() -> None:
    done = subprocess.run(
        COMMAND, cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = iter(done.stdout.splitlines())
    for expected in CONVERSATION:  # in this order
        assert any(expected in line for line in lines), done.stdout
    assert "Still serving" not in done.stdout


class Terminal:
    """The master's side of a pseudo-terminal: it reads and keeps what the program writes."""

    def __init__(self, master: int) -> None:
        self._master = master
        self.output = ""

    async def read_until(self, pattern: str) -> re.Match[str]:
        """Read until a line matches."""
        while not (match := re.search(pattern, self.output)):
            assert await self._read(), f"{pattern!r} is not in {self.output!r}"
        return match

    async def read_to_the_end(self) -> str:
        """Read until the program has ended, and return all of its output."""
        while await self._read():
            pass
        return self.output

    async def _read(self) -> bool:
        await anyio.wait_readable(self._master)
        data = b""
        with suppress(OSError):  # raised by Linux when no process has the terminal open any more
            data = os.read(self._master, 65536)
        self.output += data.decode(errors="replace")
        return bool(data)


@asynccontextmanager
async def demo_at_a_terminal() -> AsyncGenerator[tuple[Process, Terminal]]:
    """Run the demo at a pseudo-terminal while the block runs, which may take twenty seconds."""
    master, slave = pty.openpty()
    try:
        with anyio.fail_after(20):
            process = await anyio.open_process(
                COMMAND, cwd=ROOT, env=ENVIRONMENT, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
            )
            os.close(slave)
            try:
                yield process, Terminal(master)
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.aclose()
    finally:
        os.close(master)


@pytest.mark.anyio
async def test_at_a_terminal_it_serves_on_until_ctrl_c() -> None:
    async with demo_at_a_terminal() as (process, terminal):
        await terminal.read_until("Still serving")
        url = (await terminal.read_until(r'"(ws://\S+)"'))[1]
        async with connect(url, proxy=None) as client:
            await client.send('{"type":"say","text":"hello"}')
            assert await client.recv() == '{"type":"said","text":"hello","by":"you"}'
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
        assert "Traceback" not in await terminal.read_to_the_end()


@pytest.mark.anyio
async def test_ctrl_c_ends_it_while_a_client_is_connected() -> None:
    async with demo_at_a_terminal() as (process, terminal):
        url = (await terminal.read_until(r'"(ws://\S+)"'))[1]
        async with connect(url, proxy=None) as client:
            process.send_signal(signal.SIGINT)
            await client.wait_closed()
            assert client.close_code == 1012
        assert await process.wait() == 0
        assert "Traceback" not in await terminal.read_to_the_end()
