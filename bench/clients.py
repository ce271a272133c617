"""The clients that `bench.client` compares, each used as its documentation shows, and their workloads.

Run as a process, this module is one client, and reads its turns from the standard input. Compression is off for all.
Size limits are the defaults of each library, which all suffice. Everything else is default too, keepalive included.
"""

import asyncio
import contextlib
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, quantiles
from typing import Annotated, Any, Final, Protocol

import anyio
import httpx
import httpx_ws
import picows
import trio_websocket
import websockets.asyncio.client
import websockets.trio.client
from pydantic import Field

from bench.floor import ADAPTER, Leave, Say
from typedws import Connection, Contract
from typedws.client import connect

WARM_UP: Final = 200
"""Messages on each connection before the measured ones."""


# --- the messages: all different, so that a lost or reordered one is noticed ---


def small(number: int) -> str:
    """Return a message of 57 bytes with one non-ASCII character, as in `bench.floor`."""
    return f'{{"type":"say","room":"lobby","text":"hi wörld","n":{1000 + number % 9000}}}'


def large(number: int) -> str:
    """Return a message of 10,000 bytes."""
    head, tail = '{"type":"say","room":"lobby","text":"', f'","n":{1000 + number % 9000}}}'
    return head + "x" * (10_000 - len(head) - len(tail)) + tail


def model(number: int) -> Say:
    return Say.model_validate_json(small(number))


# --- what the clients do ---


class Client(Protocol):
    """A connected client."""

    async def stream(self, messages: Sequence[Any]) -> None:
        """Send all messages, and receive all of them meanwhile."""
        ...

    async def ping_pong(self, messages: Sequence[Any], depth: int) -> list[float]:
        """Send a message for each that comes back, with ``depth`` in flight. Return the time of each reply."""
        ...


def check(received: object, sent: object) -> None:
    if received != sent:
        raise AssertionError(f"expected {str(sent)[:80]}, found {str(received)[:80]}")


class Texts:
    """Text messages through the library's own two coroutine functions, without a wrapper around them."""

    def __init__(self, send: Callable[[str], Awaitable[None]], receive: Callable[[], Awaitable[Any]]) -> None:
        self._send = send
        self._receive = receive

    async def stream(self, messages: Sequence[str]) -> None:
        receive = self._receive
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._send_all, messages)
            for message in messages:
                received = await receive()
                if received != message:  # compared inline: a call for each message would count as the client's cost
                    check(received, message)

    async def _send_all(self, messages: Sequence[str]) -> None:
        send = self._send
        for message in messages:
            await send(message)

    async def ping_pong(self, messages: Sequence[str], depth: int) -> list[float]:
        send, receive, now, times = self._send, self._receive, time.perf_counter, list[float]()
        remaining = iter(messages)
        for _ in range(depth):
            await send(next(remaining))
        for message in messages:
            received = await receive()
            times.append(now())
            if received != message:
                check(received, message)
            if (following := next(remaining, None)) is not None:
                await send(following)
        return times


class Typed:
    """Models through typedws: ``send_model`` and ``async for``."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def stream(self, messages: Sequence[Say]) -> None:
        count = 0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._send_all, messages)
            async for message in self._connection:
                if message.n != messages[count].n:
                    check(message, messages[count])
                if (count := count + 1) == len(messages):
                    break

    async def _send_all(self, messages: Sequence[Say]) -> None:
        for message in messages:
            await self._connection.send_model(message)

    async def ping_pong(self, messages: Sequence[Say], depth: int) -> list[float]:
        raise NotImplementedError


class TypedByHand(Typed):
    """Models through ``websockets`` and pydantic: ``model_dump_json``, and ``validate_json`` of the same union."""

    async def stream(self, messages: Sequence[Say]) -> None:
        receive = self._connection.recv
        validate: Any = ADAPTER.validate_json  # Any: a Leave has no number
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._send_all, messages)
            for sent in messages:
                message = validate(await receive())
                if message.n != sent.n:
                    check(message, sent)

    async def _send_all(self, messages: Sequence[Say]) -> None:
        for message in messages:
            await self._connection.send(message.model_dump_json())


class TypedByBytes(Typed):
    """The same, as fast as it can be written: no str between the frame and pydantic-core."""

    async def stream(self, messages: Sequence[Say]) -> None:
        receive, validate = self._connection.recv, ADAPTER.validator.validate_json
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._send_all, messages)
            for sent in messages:
                message = validate(await receive(decode=False))
                if message.n != sent.n:
                    check(message, sent)

    async def _send_all(self, messages: Sequence[Say]) -> None:
        for message in messages:
            await self._connection.send(type(message).__pydantic_serializer__.to_json(message), text=True)


class Callbacks(picows.WSListener):
    """Text through picows, which calls a method for each frame, and sends without waiting unless it asks to pause."""

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._done = asyncio.Event()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type is not picows.WSMsgType.TEXT:
            return
        received, sent = frame.get_payload_as_utf8_text(), self._messages[self._received]
        if received != sent:
            check(received, sent)
        self._received += 1
        if self._remaining is not None:
            self._times.append(time.perf_counter())
            if (following := next(self._remaining, None)) is not None:
                transport.send(picows.WSMsgType.TEXT, following.encode())
        if self._received == len(self._messages):
            self._done.set()

    def _begin(self, messages: Sequence[str]) -> None:
        self._messages = messages
        self._received = 0
        self._remaining: Iterator[str] | None = None
        self._times: list[float] = []
        self._done.clear()

    async def stream(self, messages: Sequence[str]) -> None:
        self._begin(messages)
        send, text, may_write = self._transport.send, picows.WSMsgType.TEXT, self._may_write
        for message in messages:
            if not may_write.is_set():
                await may_write.wait()
            send(text, message.encode())
        await self._done.wait()

    async def ping_pong(self, messages: Sequence[str], depth: int) -> list[float]:
        self._begin(messages)
        self._remaining = remaining = iter(messages)
        for _ in range(depth):
            self._transport.send(picows.WSMsgType.TEXT, next(remaining).encode())
        await self._done.wait()
        return self._times


# --- the contestants ---

Messages = Annotated[Say | Leave, Field(discriminator="type")]
CONTRACT: Final = Contract("echo", Connection[Messages, Messages])


@contextlib.asynccontextmanager
async def by_typedws(url: str) -> AsyncIterator[Client]:
    async with connect(url) as ws:
        yield Texts(ws.send_text, ws.receive_text)


@contextlib.asynccontextmanager
async def by_websockets(url: str) -> AsyncIterator[Client]:
    async with websockets.asyncio.client.connect(url, compression=None, proxy=None) as ws:
        yield Texts(ws.send, ws.recv)


@contextlib.asynccontextmanager
async def by_websockets_on_trio(url: str) -> AsyncIterator[Client]:
    async with websockets.trio.client.connect(url, compression=None, proxy=None) as ws:
        yield Texts(ws.send, ws.recv)


@contextlib.asynccontextmanager
async def by_picows(url: str) -> AsyncIterator[Client]:
    transport, client = await picows.ws_connect(Callbacks, url)
    assert isinstance(client, Callbacks)
    yield client
    transport.send_close(picows.WSCloseCode.OK)
    await transport.wait_disconnected()


@contextlib.asynccontextmanager
async def by_httpx_ws(url: str) -> AsyncIterator[Client]:
    ws: httpx_ws.AsyncWebSocketSession
    async with httpx.AsyncClient(trust_env=False) as client, httpx_ws.aconnect_ws(url, client) as ws:
        yield Texts(ws.send_text, ws.receive_text)


@contextlib.asynccontextmanager
async def by_trio_websocket(url: str) -> AsyncIterator[Client]:
    async with trio_websocket.open_websocket_url(url) as ws:
        yield Texts(ws.send_message, ws.get_message)


@contextlib.asynccontextmanager
async def typed_by_typedws(url: str) -> AsyncIterator[Client]:
    async with connect(url, CONTRACT) as ws:
        yield Typed(ws)


@contextlib.asynccontextmanager
async def typed_by_websockets(url: str) -> AsyncIterator[Client]:
    async with websockets.asyncio.client.connect(url, compression=None, proxy=None) as ws:
        yield TypedByHand(ws)


@contextlib.asynccontextmanager
async def typed_by_websockets_in_bytes(url: str) -> AsyncIterator[Client]:
    async with websockets.asyncio.client.connect(url, compression=None, proxy=None) as ws:
        yield TypedByBytes(ws)


@contextlib.asynccontextmanager
async def typed_by_websockets_on_trio(url: str) -> AsyncIterator[Client]:
    async with websockets.trio.client.connect(url, compression=None, proxy=None) as ws:
        yield TypedByHand(ws)


Opening = Callable[[str], contextlib.AbstractAsyncContextManager[Client]]


@dataclass(frozen=True)
class Contestant:
    """A client on an event loop: how to open it for text, and for models if it takes part in that."""

    backend: str
    texts: Opening
    models: Opening | None = None


CONTESTANTS: Final[dict[str, Contestant]] = {
    "websockets, asyncio": Contestant("asyncio", by_websockets, typed_by_websockets),
    "typedws, asyncio": Contestant("asyncio", by_typedws, typed_by_typedws),
    "typedws, trio": Contestant("trio", by_typedws, typed_by_typedws),
    "websockets, trio": Contestant("trio", by_websockets_on_trio, typed_by_websockets_on_trio),
    "picows, asyncio": Contestant("asyncio", by_picows),
    "httpx-ws, asyncio": Contestant("asyncio", by_httpx_ws),
    "httpx-ws, trio": Contestant("trio", by_httpx_ws),
    "trio-websocket, trio": Contestant("trio", by_trio_websocket),
    "websockets, in bytes": Contestant("asyncio", by_websockets, typed_by_websockets_in_bytes),
}


@dataclass(frozen=True)
class Workload:
    """What a client does. ``depth`` is the number of messages in flight, ``None`` for any number."""

    title: str
    message: Callable[[int], Any]
    count: int
    depth: int | None = None

    @property
    def is_typed(self) -> bool:
        return self.message is model


WORKLOADS: Final[dict[str, Workload]] = {
    "small": Workload("57 bytes, one task sends and one receives", small, 20_000),
    "large": Workload("10 KB, one task sends and one receives", large, 3_000),
    "depth 1": Workload("57 bytes, ping-pong", small, 3_000, 1),
    "depth 8": Workload("57 bytes, 8 on their way", small, 8_000, 8),
    "typed": Workload("models of 57 bytes, sent and validated", model, 20_000),
}


async def turn(url: str, contestant: Contestant, workload: Workload, count: int) -> dict[str, float]:
    """Open a connection, and return what the workload cost: wall and CPU seconds, and microseconds of a round trip."""
    messages = [workload.message(number) for number in range(count)]
    opening = contestant.models if workload.is_typed else contestant.texts
    assert opening is not None
    async with opening(url) as client:
        await client.stream(messages[:WARM_UP])
        gc.collect()
        times: list[float] = []
        began, cpu = time.perf_counter(), time.process_time()
        if workload.depth is None:
            await client.stream(messages)
        else:
            times = await client.ping_pong(messages, workload.depth)
        result = {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    if workload.depth == 1:
        trips = [(after - before) * 1e6 for before, after in pairwise(times)]
        result |= {"trip": median(trips), "slow trip": quantiles(trips, n=100)[-1]}
    return result


def main() -> None:
    name, url = sys.argv[1:]
    contestant = CONTESTANTS[name]
    print("ready", flush=True)
    for line in sys.stdin:
        workload, count = json.loads(line)
        result = anyio.run(turn, url, contestant, WORKLOADS[workload], count, backend=contestant.backend)
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
