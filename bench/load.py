"""The load generator: connections that each keep some messages in flight, and check each echo.

``python -m bench.load``

It is one process under uvloop, without a WebSocket library. Every message is the same frame, masked beforehand. The
first echo of a contestant is checked as JSON. From then on, each connection must receive that frame again and again,
byte for byte. So an echo costs this process a comparison and a time stamp, far less than it costs any server, and the
answers that come in one read are followed by as many messages in one write.

An `Order` is a line of JSON on the standard input. The answer is one line, a list of `Result`.
"""

import asyncio
import gc
import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast

import uvloop

from bench.messages import content_of
from bench.processes import allow_many_files, pin

__all__ = ["Order", "Result"]

TIMEOUT: Final = 30.0  # seconds, for waits that should take a moment
TICK: Final = 0.01  # seconds between checks whether a turn is over
HANDSHAKE: Final = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Order:
    """What to send, on how many connections, and for how long. ``depths`` are measured one after another."""

    port: int
    pid: int
    """The process whose CPU time is measured, together with that of its child processes."""
    content: Any
    connections: int
    depths: list[int]
    seconds: float
    warm_up: float


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one depth: microseconds, and shares of a core."""

    per_second: float
    median: float
    slow: float
    """The round trip that one message in a hundred exceeds."""
    load_share: float
    failed: int
    """Connections that did not open, or did not last."""
    server_share: float | None
    server_cost: float | None
    """Per message. Like the server's share, it is known on Linux only."""


def masked(opcode: int, payload: bytes) -> bytes:
    """Return a client's frame."""
    length, mask = len(payload), os.urandom(4)
    head = bytes([0x80 | opcode, 0x80 | length]) if length < 126 else bytes([0x80 | opcode, 0xFE]) + _short(length)
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


def _short(length: int) -> bytes:
    return length.to_bytes(2, "big")


CLOSE: Final = masked(0x8, _short(1000))


async def learn(port: int, content: Any) -> tuple[bytes, bytes]:
    """Check one echo. Return the frame that sends the content, and the frame that echoes it."""
    message = masked(0x1, json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await _connected(port)
        writer.write(HANDSHAKE)
        _check_accepted(await reader.readuntil(b"\r\n\r\n"))
        writer.write(message)
        head = await reader.readexactly(2)
        longer = await reader.readexactly(2) if head[1] == 126 else b""
        payload = await reader.readexactly(int.from_bytes(longer, "big") if longer else head[1])
        if head[0] != 0x81 or content_of(payload, "text") != content:
            raise AssertionError(f"expected an echo of {content}, got {head + longer + payload!r}")
        writer.write(CLOSE)
        await reader.read()
        writer.close()
    return message, head + longer + payload


async def _connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(TICK)  # the server does not listen yet


def _check_accepted(response: bytes) -> None:
    if b" 101 " not in response.partition(b"\r\n")[0]:
        raise ConnectionError(f"expected a handshake, got {response!r}")


class Load:
    """The state that the connections of an order share."""

    def __init__(self, message: bytes, echo: bytes) -> None:
        self.message, self.echo = message, echo
        self.is_sending = False
        self.closing = False
        self.count = 0
        self.trips: list[float] = []
        self.failed = 0
        self.wrong: bytes | None = None
        self.connections: set[Connection] = set()

    def begin(self, depth: int) -> None:
        """Make each connection send ``depth`` messages, and then one more for each echo."""
        # A read has at most ``depth`` echoes, and may begin in the middle of one.
        self.expected = self.echo * (depth + 1)
        self.messages = [self.message * count for count in range(depth + 1)]
        self.is_sending = True
        for each in self.connections:
            each.send(depth, time.perf_counter())


class Connection(asyncio.Protocol):
    """A client. ``opened`` is done after the handshake; ``sent`` has the send times of the messages in flight."""

    def __init__(self, load: Load) -> None:
        loop = asyncio.get_running_loop()
        self.load = load
        self.opened = loop.create_future()
        self.closed = loop.create_future()
        self.sent: deque[float] = deque()
        self._offset = 0  # within the current echo
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        load = self.load
        if not self.opened.done():
            self._open(data)
            return
        end = self._offset + len(data)
        if load.expected[self._offset : end] != data:
            if not load.closing:
                load.wrong = data
                self._transport.abort()
            return
        count, self._offset = divmod(end, len(load.echo))
        if not count:
            return
        now, trips, sent = time.perf_counter(), load.trips, self.sent
        for _ in range(count):
            trips.append(now - sent.popleft())
        load.count += count
        if load.is_sending:
            self.send(count, now)

    def send(self, count: int, now: float) -> None:
        self._transport.write(self.load.messages[count])
        self.sent.extend((now,) * count)

    def _open(self, data: bytes) -> None:
        self._head += data
        if self._head.endswith(b"\r\n\r\n"):
            try:
                _check_accepted(self._head)
            except ConnectionError as error:
                self.opened.set_exception(error)
            else:
                self.opened.set_result(None)
                self.load.connections.add(self)

    def close(self) -> None:
        self._transport.write(CLOSE)

    def abort(self) -> None:
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionResetError())
        elif self in self.load.connections and not self.load.closing:
            self.load.connections.remove(self)
            self.load.failed += 1
        self.closed.set_result(None)


async def connect(load: Load, port: int) -> None:
    """Open a connection, or count it as failed."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(TIMEOUT):
            _, connection = await loop.create_connection(lambda: Connection(load), "127.0.0.1", port)
            await connection.opened
    except OSError:
        load.failed += 1


async def turn(order: Order) -> list[Result]:
    """Connect, measure at each depth, and close."""
    message, echo = await learn(order.port, order.content)
    load = Load(message, echo)
    await asyncio.gather(*(connect(load, order.port) for _ in range(order.connections)))
    processes = with_children(order.pid)
    results = [await measure(load, depth, order, processes) for depth in order.depths]
    load.closing = True
    for each in load.connections:
        each.close()
    closing = [each.closed for each in load.connections]
    if closing:
        await asyncio.wait(closing, timeout=TIMEOUT)
    for each in load.connections:
        each.abort()
    return results


async def measure(load: Load, depth: int, order: Order, processes: list[int]) -> Result:
    """Keep ``depth`` messages of each connection in flight, and count after as many echoes as messages are in flight.

    A turn lasts until its time is over and twice as many echoes have come.
    """
    in_flight = depth * len(load.connections)
    load.begin(depth)
    await counted(load, in_flight, order.warm_up)
    load.count, load.trips = 0, []
    began = clocks(processes)
    await counted(load, 2 * in_flight, order.seconds)
    ended = clocks(processes)
    count, trips = load.count, sorted(load.trips)
    load.is_sending = False
    await until(load, lambda: not any(each.sent for each in load.connections))
    wall, own, theirs = (after - before for before, after in zip(began, ended, strict=True))
    return Result(
        per_second=count / wall,
        median=trips[len(trips) // 2] * 1e6,
        slow=trips[len(trips) * 99 // 100] * 1e6,
        load_share=own / wall,
        failed=load.failed,
        server_share=theirs / wall if processes else None,
        server_cost=theirs / count * 1e6 if processes else None,
    )


async def counted(load: Load, count: int, seconds: float) -> None:
    """Wait this many seconds, and until this many messages have been answered."""
    await asyncio.sleep(seconds)
    await until(load, lambda: load.count >= count)


async def until(load: Load, is_over: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + TIMEOUT
    # A wrong echo is reported even if the turn is over.
    while not is_over() or load.wrong is not None:
        if load.wrong is not None:
            raise AssertionError(f"expected {load.echo!r} again and again, got {load.wrong!r}")
        if not load.connections or time.perf_counter() > deadline:
            raise TimeoutError(f"{len(load.connections)} connections are left, {load.failed} failed")
        await asyncio.sleep(TICK)


def clocks(processes: list[int]) -> tuple[float, float, float]:
    """Return the wall time, the CPU time of this process, and the CPU time of the other processes."""
    return time.perf_counter(), time.process_time(), sum(map(processor_time, processes))


def processor_time(pid: int) -> float:
    """Return the CPU seconds of all threads of another process, to the nanosecond. Linux only."""
    return time.clock_gettime(~pid << 3 | 2)  # the clock that clock_getcpuclockid(3) returns


def with_children(pid: int) -> list[int]:
    """Return a process and its child processes, or an empty list where their CPU time cannot be read."""
    if sys.platform != "linux":
        return []
    started = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, started)]


def main() -> None:
    core = json.loads(sys.argv[1])
    pin(core)
    allow_many_files()
    print("ready", flush=True)
    for line in sys.stdin:
        gc.collect()
        gc.disable()  # a collection in the middle of a turn would delay the answers
        results = uvloop.run(turn(Order(**json.loads(line))))
        gc.enable()
        print(json.dumps([asdict(each) for each in results]), flush=True)


if __name__ == "__main__":
    main()
