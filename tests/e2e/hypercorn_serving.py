"""hypercorn: its asyncio worker in the event loop of the test, its trio worker in a thread of its own.

An application on trio does not run in the test's event loop: it must report through ``call_soon_threadsafe``.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, Coroutine
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, Literal, TypeAlias, get_args

import anyio
import hypercorn.asyncio
import hypercorn.trio
import trio
from hypercorn.config import Config

from tests.e2e.serving import LIMIT, Host
from typedws._endpoint.lifespan import answer_lifespan
from typedws.asgi import Receive, Scope, Send

__all__ = ["WORKERS", "Worker", "running_hypercorn"]

Worker: TypeAlias = Literal["asyncio", "trio"]
WORKERS: Final = get_args(Worker)


class Hypercorn(Host):
    """A running hypercorn. It sends a lifespan scope, which the application of a test need not handle."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await answer_lifespan(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


@asynccontextmanager
async def running_hypercorn(worker: Worker, **options: Any) -> AsyncGenerator[Hypercorn]:
    """Run hypercorn on a free port of the loopback interface while the block runs."""
    host = Hypercorn()
    config = Config.from_mapping({"errorlog": logging.getLogger("hypercorn.error"), "graceful_timeout": 1, **options})
    # Listen before the server does: an early client waits in the backlog, and nothing else has to wait.
    listener = socket.create_server(("127.0.0.1", 0))
    host.port = listener.getsockname()[1]
    config.bind = f"fd://{listener.detach()}"
    task = asyncio.create_task(_on_asyncio(host, config) if worker == "asyncio" else _on_trio(host, config))
    try:
        yield host
    finally:
        host.stop()
        with anyio.fail_after(LIMIT):
            await task


def _on_asyncio(host: Hypercorn, config: Config) -> Coroutine[Any, Any, None]:
    app: Any = host
    stopped = asyncio.Event()
    host.stop = stopped.set
    worker: Any = hypercorn.asyncio
    serving: Coroutine[Any, Any, None] = worker.serve(app, config, shutdown_trigger=stopped.wait, mode="asgi")
    return serving


def _on_trio(host: Hypercorn, config: Config) -> Coroutine[Any, Any, None]:
    app: Any = host
    stopped = trio.Event()
    token: Future[trio.lowlevel.TrioToken] = Future()

    async def run() -> None:
        token.set_result(trio.lowlevel.current_trio_token())
        worker: Any = hypercorn.trio
        await worker.serve(app, config, shutdown_trigger=stopped.wait, mode="asgi")

    def stop(started: Future[trio.lowlevel.TrioToken]) -> None:
        with suppress(trio.RunFinishedError):  # stopped twice
            started.result().run_sync_soon(stopped.set)

    host.stop = partial(token.add_done_callback, stop)
    return asyncio.to_thread(trio.run, run)
