"""Each server that users run, in a process of its own, started as its own command starts it, and stopped by SIGTERM.

``async with running_server("daphne", "package.module:app") as server`` runs an application on a free port of the
loopback interface. The test gets what the application reports with `tests.e2e.stage.report`, how it ends, and what its
process logs. A server may be killed, and started again on its port. The tests may run on asyncio or on trio.
"""

import asyncio
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args
from urllib.parse import urlencode

import anyio
import anyio.to_thread

from tests.e2e.serving import LIMIT
from tests.e2e.stage import APPLICATION, CHANNEL
from typedws._runtime.event_loop import running_trio

__all__ = ["LOOPS", "SERVERS", "Census", "LogLine", "Loop", "Run", "RunningServer", "ServerName", "running_server"]

ServerName: TypeAlias = Literal[
    "uvicorn-sansio", "uvicorn-wsproto", "hypercorn-asyncio", "hypercorn-trio", "granian", "daphne"
]
SERVERS: Final[tuple[ServerName, ...]] = get_args(ServerName)

Loop: TypeAlias = Literal["asyncio", "uvloop", "trio"]
LOOPS: Final[dict[ServerName, tuple[Loop, ...]]] = {
    "uvicorn-sansio": ("asyncio", "uvloop"),
    "uvicorn-wsproto": ("asyncio", "uvloop"),
    "hypercorn-asyncio": ("asyncio", "uvloop"),
    "hypercorn-trio": ("trio",),
    "granian": ("asyncio", "uvloop"),
    "daphne": ("asyncio",),
}
"""The event loops that each server offers, its usual one first."""

ROOT: Final = Path(__file__).parents[2]


class LogLine(NamedTuple):
    """A log record of a server's process. Python's warnings and unraisable exceptions are logged too."""

    logger: str
    level: str
    message: str


@dataclass(frozen=True)
class Census:
    """What is alive in the process of the application: the number of tasks, of sockets, and of bytes in memory."""

    tasks: int
    sockets: int
    memory: int


class Run:
    """The application of one test: its URL, and what it reports."""

    def __init__(self, port: int, key: str, app: str | None) -> None:
        self._query = {"run": key, **({"app": app} if app else {})}
        self._port = port
        self._soon = _scheduler()
        self._waiting: list[anyio.Event] = []
        self.reports: list[dict[str, Any]] = []
        """All reports in order, except the starts and ends."""
        self.ends: list[str | None] = []
        """The class of the exception that ended each connection's application, or ``None`` if it returned."""
        self.starts = 0

    def path(self, path: str = "/", **query: str) -> str:
        """Return the path and query that a client requests."""
        return f"{path}?{urlencode({**self._query, **query})}"

    def url(self, path: str = "/", **query: str) -> str:
        """Return the URL that a client connects to."""
        return f"ws://127.0.0.1:{self._port}{self.path(path, **query)}"

    def put_soon(self, report: dict[str, Any]) -> None:
        """Add a report, from any thread."""
        with suppress(RuntimeError):  # the test and its event loop have ended
            self._soon(self._put, report)

    def _put(self, report: dict[str, Any]) -> None:
        if report["kind"] == "started":
            self.starts += 1
        elif report["kind"] == "ended":
            self.ends.append(report["raised"])
        else:
            self.reports.append(report)
        while self._waiting:
            self._waiting.pop().set()

    async def _next_report(self) -> None:
        self._waiting.append(event := anyio.Event())
        await event.wait()

    async def wait_for_reports(self, kind: str, count: int) -> list[dict[str, Any]]:
        """Wait for this many reports of a kind, and return all of them."""
        while len(reports := [each for each in self.reports if each["kind"] == kind]) < count:
            await self._next_report()
        return reports

    async def started(self, count: int = 1) -> None:
        """Wait until this many connections have reached the application."""
        while self.starts < count:
            await self._next_report()

    async def ended(self, count: int = 1) -> str | None:
        """Wait until this many connections have ended, and return how the last of them ended."""
        while len(self.ends) < count:
            await self._next_report()
        return self.ends[-1]

    async def report(self, kind: str, client: str = "") -> dict[str, Any]:
        """Wait for the first report of a kind, for the given client if clients have names, and return its facts."""
        while not (reports := [each for each in self.reports if (each["kind"], each["client"]) == (kind, client)]):
            await self._next_report()
        return {name: fact for name, fact in reports[0].items() if name not in ("kind", "client")}


def _scheduler() -> Callable[..., object]:
    """Return a function that schedules a call in this event loop, from any thread."""
    if (trio := running_trio()) is not None:
        soon: Callable[..., object] = trio.lowlevel.current_trio_token().run_sync_soon
        return soon
    return asyncio.get_running_loop().call_soon_threadsafe


class RunningServer:
    """A server in a process of its own."""

    def __init__(
        self, name: ServerName, loop: Loop, app: str | None = None, grace: float = 1.0, **options: Any
    ) -> None:
        self.name: ServerName = name
        self.loop: Loop = loop
        self.log: list[LogLine] = []
        """The log records of the server's processes."""
        self.printed = ""
        """What the processes have printed, set once they have ended."""
        self._runs: dict[str, Run] = {}
        self._counted = threading.Semaphore(0)
        self._count = 0
        self._channel = socket.create_server(("127.0.0.1", 0))
        self._reserved = self._bound(0)  # keeps the port from other processes while no server listens
        self.port: int = self._reserved.getsockname()[1]
        self._settings = {"loop": loop, "port": self.port, "grace": grace, "options": options}
        self._environment = {
            **os.environ,
            CHANNEL: str(self._channel.getsockname()[1]),
            APPLICATION: app or "",
        }
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - end() closes it
        self._process: subprocess.Popen[bytes]
        self.start()
        self._is_over = False
        self._reader = threading.Thread(target=self._read_reports, daemon=True)
        self._reader.start()

    # --- starting and stopping ---

    def start(self) -> None:
        """Start the server, on the port that it had before if it was stopped."""
        # Clients need not wait for a server whose listener exists already. granian makes its own listener.
        listener = None if self.name == "granian" else self._bound(self.port)
        if listener is not None:
            listener.listen(1024)
        number = (listener or self._reserved).fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.serve", self.name, json.dumps({**self._settings, "listener": number})],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            pass_fds=[number],
            start_new_session=True,
        )
        if listener is not None:
            listener.close()

    def _bound(self, port: int) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.name == "granian":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(("127.0.0.1", port))
        return bound

    def wait_until_ready(self) -> None:
        """Wait until a client can connect."""
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                self._take_census()
            except OSError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    error.add_note(f"{self.name} does not start: {self._output_so_far()}")
                    raise
                time.sleep(0.02)  # nothing signals that the server listens
            else:
                return

    def stop(self) -> None:
        """Ask the server to stop, as a supervisor does."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill all processes of the server at once, as the kernel does when memory runs out."""
        os.killpg(self._process.pid, signal.SIGKILL)

    def hang(self) -> None:
        """Suspend all processes of the server, until `wake`."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Resume a server that hangs."""
        os.killpg(self._process.pid, signal.SIGCONT)

    def wait_until_stopped(self) -> int:
        """Wait until the process has ended, and return its exit status."""
        return self._process.wait(LIMIT)

    def end(self) -> None:
        """End all processes of the server and release its resources, in any state. Later calls do nothing."""
        if self._is_over:
            return
        try:
            if self._process.poll() is None:
                self.stop()
                self.wait_until_stopped()
        except subprocess.TimeoutExpired as error:
            error.add_note(f"{self.name} does not stop: {self._output_so_far()}")
            raise
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(LIMIT)
            self._is_over = True
            socket.create_connection(self._channel.getsockname()).close()  # wakes the thread that reads reports
            self._reader.join(LIMIT)
            self._channel.close()
            self._reserved.close()
            self.printed = self._output_so_far()
            self._output.close()

    def _output_so_far(self) -> str:
        self._output.seek(0)
        return self._output.read().decode(errors="replace")

    # --- what comes back ---

    @asynccontextmanager
    async def run(self, app: str | None = None, *, limit: float = LIMIT) -> AsyncGenerator[Run]:
        """Make an application available to clients while the block runs, which may take ``limit`` seconds."""
        self._count += 1
        key = f"{os.getpid()}-{self._count}"
        run = self._runs[key] = Run(self.port, key, app)
        try:
            with anyio.fail_after(limit):
                yield run
        finally:
            del self._runs[key]

    async def census(self) -> Census:
        """Count what is alive in the process of the application. What it logged before is in the log afterwards."""
        return Census(**json.loads(await anyio.to_thread.run_sync(self._take_census)))

    def _take_census(self) -> bytes:
        answer = self._answer_to("/?census")
        if not self._counted.acquire(timeout=LIMIT):
            raise TimeoutError(f"{self.name} has reported no census")
        return answer

    async def settled(self, before: Census) -> None:
        """Wait until there are no more tasks and sockets than before: a server may close its end late."""
        while (now := await self.census()).tasks > before.tasks or now.sockets > before.sockets:  # noqa: ASYNC110
            await anyio.sleep(0.02)  # nothing signals it

    def _answer_to(self, path: str) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), LIMIT) as client:
            client.settimeout(LIMIT)
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            with client.makefile("rb") as answer:
                head, _, body = answer.read().partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(f"{self.name} answers {head!r}")
        return body

    def _read_reports(self) -> None:
        """Read the reports of the processes, in a thread of its own, so that no process ever waits for a test."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            buffers: dict[socket.socket, bytes] = {}
            while not self._is_over or buffers:
                for key, _ in selector.select():
                    if key.fileobj is self._channel:
                        connection, _ = self._channel.accept()
                        buffers[connection] = b""
                        selector.register(connection, selectors.EVENT_READ)
                        continue
                    connection = next(each for each in buffers if each is key.fileobj)
                    with suppress(ConnectionError):
                        if data := connection.recv(1 << 16):
                            *lines, buffers[connection] = (buffers[connection] + data).split(b"\n")
                            for line in lines:
                                self._take(json.loads(line))
                            continue
                    selector.unregister(connection)
                    connection.close()
                    del buffers[connection]

    def _take(self, report: dict[str, Any]) -> None:
        if report["kind"] == "census":
            self._counted.release()
        elif report["kind"] == "log":
            self.log.append(LogLine(report["logger"], report["level"], report["message"]))
        elif (run := self._runs.get(report.pop("run", ""))) is not None:
            run.put_soon(report)


@asynccontextmanager
async def running_server(
    name: ServerName, app: str | None = None, *, loop: Loop | None = None, grace: float = 1.0, **options: Any
) -> AsyncGenerator[RunningServer]:
    """Run a server while the block runs.

    :param app: the application of clients that do not name one, as ``package.module:name``
    :param loop: the event loop, by default the server's usual one
    :param grace: seconds that open connections have when the server is stopped, if it has a setting for that
    :param options: settings of the server itself
    """
    server = RunningServer(name, loop or LOOPS[name][0], app, grace, **options)
    try:
        await anyio.to_thread.run_sync(server.wait_until_ready)
        yield server
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(server.end)
