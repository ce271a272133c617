"""A scripted ASGI server: the client is a list of events, and the sent events are collected."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel

from typedws.websockets import WebSocket

AnyWebSocket = WebSocket[Any, Any, Any]

Event = dict[str, Any]

CONNECT: Event = {"type": "websocket.connect"}


def text(data: str) -> Event:
    """Return the event of a text message."""
    return {"type": "websocket.receive", "text": data}


def binary(data: bytes) -> Event:
    """Return the event of a binary message."""
    return {"type": "websocket.receive", "bytes": data}


def disconnect(code: int | None = 1000, reason: str | None = "") -> Event:
    """Return the event of a client that disconnects."""
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


def scope(**overrides: Any) -> Event:
    """Return a scope as a server makes it, with the Denial Response extension."""
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
        "state": {},
        **overrides,
    }


def wire(*events: Event) -> tuple[Callable[[], Awaitable[Event]], Callable[[Any], Awaitable[None]], list[Event]]:
    """Return ``receive``, ``send`` and the list of sent events; after the last event ``receive`` waits for ever."""
    remaining = iter(events)
    sent: list[Event] = []

    async def receive() -> Event:
        await anyio.lowlevel.checkpoint()
        for event in remaining:
            return event
        await anyio.Event().wait()
        raise AssertionError

    async def send(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        sent.append(event)

    return receive, send, sent


def connecting(kind: Any, *events: Event, **options: Any) -> tuple[AnyWebSocket, list[Event]]:
    """Return a socket whose client connects and then does this, and the list of sent events."""
    receive, send, sent = wire(CONNECT, *events)
    return kind(scope(), receive, send, **options), sent


async def accepted(kind: Any, *events: Event, **options: Any) -> tuple[AnyWebSocket, list[Event]]:
    """Return an accepted socket whose client does this, and the list of events sent after the accept."""
    ws, sent = connecting(kind, *events, **options)
    await ws.accept()
    sent.clear()
    return ws, sent


async def not_connected(kind: Any, state: str) -> AnyWebSocket:
    """Return a socket that is ``"connecting"``, ``"closed"`` after an accept, or ``"denied"``."""
    ws, _ = connecting(kind)
    if state == "closed":
        await ws.accept()
        await ws.close()
    elif state == "denied":
        await ws.deny()
    return ws


def stable_id(value: object) -> str:
    """Return the text of a value without memory addresses: parallel workers must agree on the names of tests."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


class Peer:
    """A client whose events arrive when the test sends them, and whose server gives each event to one receiver."""

    def __init__(self) -> None:
        self._put, self._get = anyio.create_memory_object_stream[Event](1000)
        self.sent: list[Event] = []
        self.is_reachable = True

    def does(self, *events: Event) -> None:
        for event in events:
            self._put.send_nowait(event)

    async def send(self, event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if not self.is_reachable:
            raise OSError
        self.sent.append(event)

    def connecting(self, **overrides: Any) -> AnyWebSocket:
        self.does(CONNECT)
        return WebSocket[Any, Any](scope(**overrides), self._get.receive, self.send)

    async def accepted(self, **overrides: Any) -> AnyWebSocket:
        ws = self.connecting(**overrides)
        await ws.accept()
        self.sent.clear()
        return ws

    def waiting(self) -> int:
        """Return the number of tasks that wait for an event of the server."""
        return self._get.statistics().tasks_waiting_receive

    def breaks(self) -> None:
        """Make the server's receive raise from now on."""
        self._put.close()

    def close(self) -> None:
        self._put.close()
        self._get.close()
