"""The load: connections that each keep some messages on their way, and check each echo. ``python -m bench.load``

One process under uvloop, without a WebSocket library. What is said is one frame, masked beforehand. A contestant's echo
of it is checked once as JSON; from then on, what each connection receives has to be that frame again and again, to the
byte. So an echo costs this process a comparison and a time stamp, far less than it costs any server, and the answers
that come in one read are followed by as many messages in one write.

An `Order` is a line of JSON on the standard input, and a list of `Result` the line that answers it.
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

TIMEOUT: Final = 30.0  # seconds, of what should take a moment
TICK: Final = 0.01  # seconds between looks at whether a turn is over
HANDSHAKE: Final = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be said, on how many connections, for how long; ``depths`` come one after another."""

    port: int
    pid: int
    """The process whose time is taken, with those that it has started."""
    content: Any
    connections: int
    depths: list[int]
    seconds: float
    warm_up: float


@dataclass(frozen=True, slots=True)
class Result:
    """What was counted at one depth; microseconds, and shares of a core."""

    per_second: float
    median: float
    slow: float
    """The round trip that one message in a hundred exceeds."""
    load_share: float
    failed: int
    """Connections that were not opened, or did not last."""
    server_share: float | None
    server_cost: float | None
    """For a message; like the server's share, known on Linux alone."""


def masked(opcode: int, payload: bytes) -> bytes:
    """Give a client's frame."""
    length, mask = len(payload), os.urandom(4)
    head = bytes([0x80 | opcode, 0x80 | length]) if length < 126 else bytes([0x80 | opcode, 0xFE]) + _short(length)
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


def _short(length: int) -> bytes:
    return length.to_bytes(2, "big")


CLOSE: Final = masked(0x8, _short(1000))


async def learn(port: int, content: Any) -> tuple[bytes, bytes]:
    """Give the frame that says some content, and the frame that echoes it, which is checked."""
    said = masked(0x1, json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await _connected(port)
        writer.write(HANDSHAKE)
        _check_accepted(await reader.readuntil(b"\r\n\r\n"))
        writer.write(said)
        head = await reader.readexactly(2)
        longer = await reader.readexactly(2) if head[1] == 126 else b""
        payload = await reader.readexactly(int.from_bytes(longer, "big") if longer else head[1])
        if head[0] != 0x81 or content_of(payload, "text") != content:
            raise AssertionError(f"expected an echo of {content}, got {head + longer + payload!r}")
        writer.write(CLOSE)
        await reader.read()
        writer.close()
    return said, head + longer + payload


async def _connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(TICK)  # a server that has not begun to listen


def _check_accepted(response: bytes) -> None:
    if b" 101 " not in response.partition(b"\r\n")[0]:
        raise ConnectionError(f"expected a handshake, got {response!r}")


class Load:
    """What the connections of an order have in common."""

    def __init__(self, said: bytes, echo: bytes) -> None:
        self.said, self.echo = said, echo
        self.saying = False
        self.closing = False
        self.count = 0
        self.trips: list[float] = []
        self.failed = 0
        self.wrong: bytes | None = None
        self.connections: set[Connection] = set()

    def begin(self, depth: int) -> None:
        """Let each connection say ``depth`` messages, and one more for each echo."""
        self.expected = self.echo * (depth + 1)
        self.messages = [self.said * count for count in range(depth + 1)]
        self.saying = True
        for each in self.connections:
            each.say(depth, time.perf_counter())


class Connection(asyncio.Protocol):
    """A client. It is ``opened`` after its handshake; ``sent`` are the times of the messages that are on their way."""

    def __init__(self, load: Load) -> None:
        loop = asyncio.get_running_loop()
        self.load = load
        self.opened = loop.create_future()
        self.closed = loop.create_future()
        self.sent: deque[float] = deque()
        self._place = 0
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        load = self.load
        if not self.opened.done():
            self._open(data)
            return
        end = self._place + len(data)
        if load.expected[self._place : end] != data:
            if not load.closing:
                load.wrong = data
                self._transport.abort()
            return
        count, self._place = divmod(end, len(load.echo))
        if not count:
            return
        now, trips, sent = time.perf_counter(), load.trips, self.sent
        for _ in range(count):
            trips.append(now - sent.popleft())
        load.count += count
        if load.saying:
            self.say(count, now)

    def say(self, count: int, now: float) -> None:
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
    """Open a connection, or count that it has failed."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(TIMEOUT):
            _, connection = await loop.create_connection(lambda: Connection(load), "127.0.0.1", port)
            await connection.opened
    except OSError:
        load.failed += 1


async def turn(order: Order) -> list[Result]:
    """Connect, measure at each depth, and close."""
    said, echo = await learn(order.port, order.content)
    load = Load(said, echo)
    await asyncio.gather(*(connect(load, order.port) for _ in range(order.connections)))
    processes = family(order.pid)
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
    """Keep ``depth`` messages of each connection on their way, and count, once all could have been answered once.

    A turn lasts until its time is over and all could have been answered twice.
    """
    on_their_way = depth * len(load.connections)
    load.begin(depth)
    await counted(load, on_their_way, order.warm_up)
    load.count, load.trips = 0, []
    began = clocks(processes)
    await counted(load, 2 * on_their_way, order.seconds)
    ended = clocks(processes)
    count, trips = load.count, sorted(load.trips)
    load.saying = False
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
    """Wait for so long, and until so many messages have been answered."""
    await asyncio.sleep(seconds)
    await until(load, lambda: load.count >= count)


async def until(load: Load, is_over: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + TIMEOUT
    while not is_over() or load.wrong is not None:
        if load.wrong is not None:
            raise AssertionError(f"expected {load.echo!r} again and again, got {load.wrong!r}")
        if not load.connections or time.perf_counter() > deadline:
            raise TimeoutError(f"{len(load.connections)} connections are left, {load.failed} failed")
        await asyncio.sleep(TICK)


def clocks(processes: list[int]) -> tuple[float, float, float]:
    """Give the time, and the processor's that this process has taken, and others."""
    return time.perf_counter(), time.process_time(), sum(map(processor_time, processes))


def processor_time(pid: int) -> float:
    """Give the seconds that all threads of another process have computed, to the nanosecond, as Linux alone does."""
    return time.clock_gettime(~pid << 3 | 2)  # as clock_getcpuclockid(3) names its clock


def family(pid: int) -> list[int]:
    """Give a process and those that it has started; none where their time cannot be told."""
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
        gc.disable()
        results = uvloop.run(turn(Order(**json.loads(line))))
        gc.enable()
        print(json.dumps([asdict(each) for each in results]), flush=True)


if __name__ == "__main__":
    main()
