"""What a server of `tests.e2e.servers` runs in its process: the application that the client names, and its reports.

A client names the application in its query, ``?run=17&app=package.module:name``. If there are several clients, it also
names itself, ``&client=ann``. The reports of the application, how it ended, and log records go to the process of the
tests, line by line. The answer to ``?census`` is what is alive in the process.
"""

import asyncio
import json
import logging
import os
import socket
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl

from typedws._endpoint.lifespan import answer_lifespan
from typedws.asgi import ASGIApp, Receive, Scope, Send

__all__ = ["APPLICATION", "CHANNEL", "app", "open_channel", "report"]

CHANNEL: Final = "TYPEDWS_TESTS_CHANNEL"
"""The environment variable that names the port to which reports go."""
APPLICATION: Final = "TYPEDWS_TESTS_APPLICATION"
"""The environment variable that names the application of clients that do not name one."""

_run: ContextVar[Mapping[str, str]] = ContextVar("run", default=MappingProxyType({}))


class Channel(logging.Handler):
    """The connection that carries reports to the process of the tests. When that process ends, this one exits too."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._socket = socket.create_connection(("127.0.0.1", port))
        threading.Thread(target=self._exit_with_the_tests, daemon=True).start()

    def _exit_with_the_tests(self) -> None:
        with suppress(OSError):  # the tests were killed before they had read everything
            self._socket.recv(1)
        os._exit(1)

    def write(self, **report: Any) -> None:
        """Send one report, whole."""
        line = json.dumps(report).encode() + b"\n"
        with self.lock or threading.Lock():
            self._socket.sendall(line)

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.exc_info and not record.name.startswith("typedws."):
            message += "\n" + "".join(traceback.format_exception(*record.exc_info))
        self.write(kind="log", logger=record.name, level=record.levelname, message=message)


_channels: Final[list[Channel]] = []


def open_channel() -> Channel:
    """Open the channel, once per process. From then on it carries log records and Python's warnings."""
    if not _channels:
        channel = Channel(int(os.environ[CHANNEL]))
        _channels.append(channel)
        root = logging.getLogger()
        root.addHandler(channel)
        root.setLevel(logging.WARNING)
        logging.getLogger("typedws").setLevel(logging.DEBUG)
        logging.captureWarnings(capture=True)
        sys.unraisablehook = partial(_unraisable, channel)
    return _channels[0]


def _unraisable(channel: Channel, unraisable: Any) -> None:
    lines = "".join(traceback.format_exception(unraisable.exc_value))
    channel.write(kind="log", logger="unraisable", level="ERROR", message=f"{unraisable.object!r}: {lines}")


def report(kind: str, **facts: Any) -> None:
    """Send a report to the test, from within the application that it runs. The facts are plain values."""
    open_channel().write(**_run.get(), kind=kind, **facts)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Run the application that the client names. Report that it started, and how it ended."""
    open_channel()
    if scope["type"] == "lifespan":
        await answer_lifespan(scope, receive, send)
        return
    query = dict(parse_qsl((scope.get("query_string") or b"").decode(), keep_blank_values=True))
    if "census" in query:
        open_channel().write(kind="census")  # after all earlier log records
        await _answer(send, _census())
        return
    _run.set({name: query.get(name, "") for name in ("run", "client")})
    chosen: ASGIApp = resolve_name(query.get("app") or os.environ[APPLICATION])
    report("started")
    raised: BaseException | None = None
    try:
        await chosen(scope, receive, send)
    except BaseException as error:
        raised = error
        raise
    finally:
        report("ended", raised=raised and type(raised).__name__)


def _census() -> dict[str, int]:
    trio = sys.modules.get("trio")
    is_trio: bool = trio is not None and trio.lowlevel.in_trio_run()
    return {
        "tasks": trio.lowlevel.current_statistics().tasks_living if trio and is_trio else len(asyncio.all_tasks()),
        "sockets": sum(link.startswith("socket:") for link in _open_files()),
        "memory": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
    }


def _open_files() -> Iterable[str]:
    for name in os.listdir("/proc/self/fd"):
        try:
            yield os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # the descriptor of the listing itself
            continue


async def _answer(send: Send, values: dict[str, int]) -> None:
    body = json.dumps(values).encode()
    fields = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})
