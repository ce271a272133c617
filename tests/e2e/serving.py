"""uvicorn in the event loop of the test, and the handlers that it serves. The test sees how each handler ended.

A handler that raises fails its test, whatever the client saw. Every wait is bounded.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from socket import socket
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, get_args

import anyio
import uvicorn
from websockets.asyncio.client import connect

from typedws import WebSocket
from typedws.asgi import ASGIApp, Receive, Scope, Send

R = TypeVar("R")

Implementation: TypeAlias = Literal["websockets-sansio", "wsproto"]
IMPLEMENTATIONS: Final = get_args(Implementation)

LIMIT: Final = 10.0
"""Seconds that any wait may take. Only a test that fails takes that long."""

Handler: TypeAlias = Callable[[WebSocket[Any, Any, Any]], Awaitable[R]]
"""What the server runs for each connection."""

Factory: TypeAlias = Callable[[Scope, Receive, Send], WebSocket[Any, Any, Any]]
Mount: TypeAlias = Callable[[Handler[None]], ASGIApp]
"""Makes an ASGI application from a handler."""


class Host:
    """A running server of any make, whose application each test chooses."""

    def __init__(self) -> None:
        self.port = 0
        self.app: ASGIApp | None = None
        self.stop: Callable[[], None] = lambda: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None, "a client connects to a server that serves nothing"
        await self.app(scope, receive, send)


class Server(Host):
    """A running uvicorn."""

    def __init__(self, implementation: Implementation) -> None:
        super().__init__()
        self.implementation: Implementation = implementation


class UvicornServer(uvicorn.Server):
    """A server that signals when it has started, including its application's lifespan."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_started = asyncio.Event()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.has_started.set()

    def stop(self) -> None:
        self.should_exit = True

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[int]:
        """Serve while the block runs; yield the port."""
        # uvicorn opens the socket: asyncio sets TCP_NODELAY on it, but not on a socket of `Config.bind_socket`.
        task = asyncio.create_task(self.serve())
        try:
            with anyio.fail_after(LIMIT):
                await self.has_started.wait()
            yield int(self.servers[0].sockets[0].getsockname()[1])
        finally:
            self.stop()
            with anyio.fail_after(LIMIT):
                await task


@asynccontextmanager
async def running(implementation: Implementation, **options: Any) -> AsyncGenerator[Server]:
    """Run uvicorn on a free port of the loopback interface while the block runs."""
    server = Server(implementation)
    options = {"log_level": "critical", "timeout_graceful_shutdown": 1, **options}
    config = uvicorn.Config(
        server,
        port=0,
        ws=implementation,
        lifespan="off",
        log_config=None,  # uvicorn must not configure the logging of the test run
        **options,
    )
    uvicorn_server = UvicornServer(config)
    server.stop = uvicorn_server.stop
    async with uvicorn_server.running() as server.port:
        yield server


class Served(Generic[R]):
    """A handler that is being served: its port, and how its runs ended."""

    def __init__(self, port: int, handler: Handler[R], mount: Mount) -> None:
        self.port = port
        self.results: list[R] = []
        self._handler = handler
        self._mounted = mount(self._run)
        self._failures: list[BaseException] = []
        self._running = 0
        self._has_run = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def connect(self, path: str = "/", **options: Any) -> connect:
        """Return a client of ``websockets``, without its size limit and without a proxy, even if one is configured."""
        return connect(f"ws://127.0.0.1:{self.port}{path}", proxy=None, max_size=None, **options)

    async def result(self) -> R:
        """Wait until the handler has run, and return what it returned, or raise what it raised."""
        await self._has_run.wait()
        await self.idle()
        self.check()
        return self.results[-1]

    async def idle(self) -> None:
        """Wait until no handler is running."""
        await self._is_idle.wait()

    def check(self) -> None:
        """Raise what the handlers raised."""
        if len(self._failures) > 1:
            raise BaseExceptionGroup("several handlers failed", self._failures)
        for failure in self._failures:
            raise failure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._running += 1
        self._is_idle.clear()
        try:
            with self._noting_failures():
                await self._mounted(scope, receive, send)
        finally:
            self._running -= 1
            self._has_run.set()
            if not self._running:
                self._is_idle.set()

    async def _run(self, ws: WebSocket[Any, Any, Any]) -> None:
        with self._noting_failures():  # here too: a framework may turn an exception into something else
            self.results.append(await self._handler(ws))

    @contextmanager
    def _noting_failures(self) -> Generator[None]:
        try:
            yield
        except BaseException as error:
            if error not in self._failures:
                self._failures.append(error)
            raise


def of(factory: Factory = WebSocket) -> Mount:
    """Return a mount whose application passes its connections to a handler, as objects of the given class."""

    def mount(handler: Handler[None]) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await handler(factory(scope, receive, send))

        return app

    return mount


DIRECTLY: Final = of()


@asynccontextmanager
async def serving(server: Server, handler: Handler[R], mount: Mount = DIRECTLY) -> AsyncGenerator[Served[R]]:
    """Serve a handler while the block runs, which may take `LIMIT` seconds. Fail if a handler fails or does not end."""
    server.app = served = Served(server.port, handler, mount)
    try:
        with anyio.fail_after(LIMIT):
            yield served
    finally:
        server.app = None
        with anyio.fail_after(LIMIT):
            await served.idle()
        served.check()
