"""Every server that people run, each in a process of its own, started as its own command would and stopped by SIGTERM.

``async with running_server("daphne", "package.module:app") as server`` runs an application on a free port of the
loopback interface. What it reports by `tests.e2e.stage.report`, how it ends, and what its process logs comes back. A
server may be killed, and started again on its port. The tests may run on asyncio or on trio.
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
    """What a process logged: Python's warnings too, and exceptions that nobody could raise."""

    logger: str
    level: str
    told: str


@dataclass(frozen=True)
class Census:
    """What is alive in the process that runs the application: how many tasks and sockets, how many bytes."""

    tasks: int
    sockets: int
    memory: int


class Run:
    """The application for one test: where it is found, and what it reports."""

    def __init__(self, port: int, key: str, app: str | None) -> None:
        self._query = {"run": key, **({"app": app} if app else {})}
        self._port = port
        self._soon = _caller_soon()
        self._waiting: list[anyio.Event] = []
        self.reports: list[dict[str, Any]] = []
        """What was reported, in order, beside the starts and ends."""
        self.ends: list[str | None] = []
        """The class of the exception by which each connection's application ended, ``None`` where it returned."""
        self.starts = 0

    def path(self, path: str = "/", **query: str) -> str:
        """Give what a client asks for."""
        return f"{path}?{urlencode({**self._query, **query})}"

    def url(self, path: str = "/", **query: str) -> str:
        """Give the address that a client connects to."""
        return f"ws://127.0.0.1:{self._port}{self.path(path, **query)}"

    def put_soon(self, report: dict[str, Any]) -> None:
        """Take a report, from any thread."""
        with suppress(RuntimeError):  # the test has ended, and its loop
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

    async def _news(self) -> None:
        self._waiting.append(event := anyio.Event())
        await event.wait()

    async def told(self, kind: str, count: int) -> list[dict[str, Any]]:
        """Wait until so many reports of a kind have come, and give them all."""
        while len(found := [each for each in self.reports if each["kind"] == kind]) < count:
            await self._news()
        return found

    async def started(self, count: int = 1) -> None:
        """Wait until so many connections have reached the application."""
        while self.starts < count:
            await self._news()

    async def ended(self, count: int = 1) -> str | None:
        """Wait until so many connections were served to the end; tell how the last of them ended."""
        while len(self.ends) < count:
            await self._news()
        return self.ends[-1]

    async def report(self, kind: str, client: str = "") -> dict[str, Any]:
        """Wait for the first report of a kind, where a client named itself of its application, and give its facts."""
        while not (found := [each for each in self.reports if (each["kind"], each["client"]) == (kind, client)]):
            await self._news()
        return {name: fact for name, fact in found[0].items() if name not in ("kind", "client")}


def _caller_soon() -> Callable[..., object]:
    """Give what calls a function in this event loop, from any thread."""
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
        """What the processes of the server have logged."""
        self.printed = ""
        """What the processes have printed, once they have ended."""
        self._runs: dict[str, Run] = {}
        self._counted = threading.Semaphore(0)
        self._count = 0
        self._channel = socket.create_server(("127.0.0.1", 0))
        self._kept = self._bound(0)  # so that the port is nobody else's while no server listens
        self.port: int = self._kept.getsockname()[1]
        self._order = {"loop": loop, "port": self.port, "grace": grace, "options": options}
        self._environment = {
            **os.environ,
            CHANNEL: str(self._channel.getsockname()[1]),
            APPLICATION: app or "",
        }
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - end() closes it
        self._process: subprocess.Popen[bytes]
        self.start()
        self._is_over = False
        self._hearing = threading.Thread(target=self._hear, daemon=True)
        self._hearing.start()

    # --- starting and stopping ---

    def start(self) -> None:
        """Start the server, on the port that it had before if it was stopped."""
        # Clients need not wait for a server whose listener is there already; granian listens by itself.
        listener = None if self.name == "granian" else self._bound(self.port)
        if listener is not None:
            listener.listen(1024)
        number = (listener or self._kept).fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.serve", self.name, json.dumps({**self._order, "listener": number})],
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
                time.sleep(0.02)  # nothing else tells that it listens
            else:
                return

    def stop(self) -> None:
        """Ask the server to stop, as a supervisor does."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End all processes of the server at once, as the kernel does when memory runs out."""
        os.killpg(self._process.pid, signal.SIGKILL)

    def hang(self) -> None:
        """Let no process of the server do anything until it wakes."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Let a server that hangs go on."""
        os.killpg(self._process.pid, signal.SIGCONT)

    def wait_until_stopped(self) -> int:
        """Wait until the process has ended, and give its exit status."""
        return self._process.wait(LIMIT)

    def end(self) -> None:
        """End all that there is of the server, whatever state it is in; once."""
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
            socket.create_connection(self._channel.getsockname()).close()  # which wakes who hears
            self._hearing.join(LIMIT)
            self._channel.close()
            self._kept.close()
            self.printed = self._output_so_far()
            self._output.close()

    def _output_so_far(self) -> str:
        self._output.seek(0)
        return self._output.read().decode(errors="replace")

    # --- what comes back ---

    @asynccontextmanager
    async def run(self, app: str | None = None, *, limit: float = LIMIT) -> AsyncGenerator[Run]:
        """Let clients reach an application while the block runs, which may take ``limit`` seconds."""
        self._count += 1
        key = f"{os.getpid()}-{self._count}"
        run = self._runs[key] = Run(self.port, key, app)
        try:
            with anyio.fail_after(limit):
                yield run
        finally:
            del self._runs[key]

    async def census(self) -> Census:
        """Count what is alive in the process that runs the application; what it logged before is in the log then."""
        return Census(**json.loads(await anyio.to_thread.run_sync(self._take_census)))

    def _take_census(self) -> bytes:
        answer = self._answer_to("/?census")
        if not self._counted.acquire(timeout=LIMIT):
            raise TimeoutError(f"{self.name} has reported no census")
        return answer

    async def settled(self, before: Census) -> None:
        """Wait until no more tasks and sockets are alive than before: a server closes its end when it likes."""
        while (now := await self.census()).tasks > before.tasks or now.sockets > before.sockets:  # noqa: ASYNC110
            await anyio.sleep(0.02)  # for nothing tells

    def _answer_to(self, path: str) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), LIMIT) as client:
            client.settimeout(LIMIT)
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            with client.makefile("rb") as answer:
                head, _, body = answer.read().partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(f"{self.name} answers {head!r}")
        return body

    def _hear(self) -> None:
        """Take what the processes say, in a thread of its own, so that no process ever waits for a test."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            rests: dict[socket.socket, bytes] = {}
            while not self._is_over or rests:
                for key, _ in selector.select():
                    if key.fileobj is self._channel:
                        connection, _ = self._channel.accept()
                        rests[connection] = b""
                        selector.register(connection, selectors.EVENT_READ)
                        continue
                    connection = next(each for each in rests if each is key.fileobj)
                    with suppress(ConnectionError):
                        if data := connection.recv(1 << 16):
                            *lines, rests[connection] = (rests[connection] + data).split(b"\n")
                            for line in lines:
                                self._take(json.loads(line))
                            continue
                    selector.unregister(connection)
                    connection.close()
                    del rests[connection]

    def _take(self, report: dict[str, Any]) -> None:
        if report["kind"] == "census":
            self._counted.release()
        elif report["kind"] == "log":
            self.log.append(LogLine(report["logger"], report["level"], report["told"]))
        elif (run := self._runs.get(report.pop("run", ""))) is not None:
            run.put_soon(report)


@asynccontextmanager
async def running_server(
    name: ServerName, app: str | None = None, *, loop: Loop | None = None, grace: float = 1.0, **options: Any
) -> AsyncGenerator[RunningServer]:
    """Run a server while the block runs.

    :param app: the application for clients that name none, as ``package.module:name``
    :param loop: the event loop, by default the server's usual one
    :param grace: seconds that open connections have when the server is stopped, where it has a setting for that
    :param options: settings of the server itself
    """
    server = RunningServer(name, loop or LOOPS[name][0], app, grace, **options)
    try:
        await anyio.to_thread.run_sync(server.wait_until_ready)
        yield server
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(server.end)
