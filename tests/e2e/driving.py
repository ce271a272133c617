"""Clients of the handlers of `tests.e2e.behaving`, and what both sides see, as facts in words."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

import anyio
import cbor2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response
from websockets.typing import Subprotocol

from tests.e2e import echoes
from tests.e2e.raw_client import Frame, Opcode, RawClient, frame, raw_client
from tests.e2e.servers import Run, RunningServer
from tests.e2e.serving import LIMIT

__all__ = [
    "BYTES",
    "CLOSES",
    "DEPARTURES",
    "LOSSES",
    "NO_FRAME",
    "PROTOCOL_ERRORS",
    "TEXTS",
    "Departure",
    "Drive",
    "Facts",
    "breaks_the_protocol",
    "chooses_cbor",
    "client_of",
    "close_seen_by",
    "closes_before_it_reads",
    "does_not_read",
    "does_not_read_and_leaves",
    "echoes_back",
    "is_accepted",
    "is_denied",
    "leaves_after_two_messages",
    "leaves_before_the_decision",
    "leaves_in_every_way",
    "receives_all",
    "receives_numbers",
    "sends_fragments",
    "sends_numbers",
    "sends_one_message",
    "values_in",
]

Facts: TypeAlias = Mapping[str, str]
"""What was seen: by the client on the wire, and by the handler in the server's process."""
Drive: TypeAlias = Callable[[RunningServer, Run], Awaitable[Facts]]
"""Runs a client, and returns what was seen."""


# --- clients ---


def client_of(run: Run, *, query: Mapping[str, str] | None = None, **options: Any) -> connect:
    """Return a client of ``websockets`` without compression, a size limit or a proxy."""
    options = {"compression": None, "max_size": None, "proxy": None, **options}
    return connect(run.url(**(query or {})), **options)


def describe_close(code: int, reason: str) -> str:
    return f'{code} "{reason}"' if reason else str(code)


def close_seen_by(client: ClientConnection) -> str:
    """Describe the close frame that a client received."""
    received = client.protocol.close_rcvd
    return NO_FRAME if received is None else describe_close(received.code, received.reason)


NO_FRAME: Final = "no close frame"


def describe_close_frame(received: Frame | None) -> str:
    return NO_FRAME if received is None else describe_close(received.close_code, received.payload[2:].decode())


async def receives_all(server: RunningServer, run: Run, *, reports: tuple[str, ...] = (), **options: Any) -> Facts:
    """Receive to the end. Return the messages, how the connection ended, and what the handler reported."""
    received: list[str] = []
    async with client_of(run, **options) as client:
        with suppress(ConnectionClosed):
            while True:
                received.append(str(await client.recv()))
    facts = {"the client sees": close_seen_by(client)}
    if received:
        facts["the client receives"] = ", ".join(received)
    for kind in reports:
        facts[f"the handler {kind}"] = (await run.report(kind))["how"]
    return facts


async def sends_one_message(server: RunningServer, run: Run, *, message: str) -> Facts:
    """Send a message, and return how the connection ends."""
    async with client_of(run) as client:
        await client.send(message)
        await client.wait_closed()
    return {"the client sees": close_seen_by(client)}


async def is_denied(
    server: RunningServer, run: Run, *, headers: tuple[str, ...] = (), reports: bool = False, **options: Any
) -> Facts:
    """Connect, and return what the denial contains."""
    with pytest.raises(InvalidStatus) as denied:
        async with client_of(run, **options):
            pass
    response = denied.value.response
    facts = {"the client sees": str(response.status_code), "the body": describe_body(response)}
    if headers:
        facts["the headers"] = describe_headers(response, headers)
    if reports:
        facts["the handler ends"] = (await run.report("left"))["how"]
    return facts


def describe_body(response: Response) -> str:
    body = bytes(response.body or b"")
    if response.headers.get("Content-Type") == "application/problem+json":
        document = json.loads(body)
        members = {name: document[name] for name in document if name not in ("type", "status")}
        return ", ".join(f"{name}: {value}" for name, value in members.items())
    return "empty" if not body else ascii(body)[2:-1] if len(body) < 100 else f"{len(body)} bytes"


def describe_headers(response: Response, names: Iterable[str]) -> str:
    values = {name: ", ".join(response.headers.get_all(name)) for name in names}
    return "; ".join(f"{name}: {value}" for name, value in values.items() if value) or "none"


# --- messages ---


async def echoes_back(
    server: RunningServer, run: Run, *, names: Iterable[str], mode: str, messages: Mapping[str, str | bytes]
) -> Facts:
    """Send every message to every handler, and return which do not come back.

    A plain message follows each of them. Once it comes back, the message before it has come back or is lost.
    """
    missing: set[str] = set()
    _, decode = echoes.FORMATS.get(mode, (None, None))
    plain = messages["plain"]
    for count, name in enumerate(names, 1):
        async with client_of(run, query={"echo": name, "mode": mode}) as client:
            for message_name, message in messages.items():
                await client.send(message)
                await client.send(plain)
                answers = [await client.recv()]
                while not _are_equal(answers[-1], plain, decode):
                    answers.append(await client.recv())
                if message_name == "plain":  # both come back, and the loop above stops at the first
                    answers.append(await client.recv())
                if not (len(answers) == 2 and _are_equal(answers[0], message, decode)):
                    missing.add(message_name)
        await run.ended(count)
    ends = {report["how"] for report in run.reports}
    return {
        "comes back": f"everything but {', '.join(sorted(missing))}" if missing else "everything",
        "the handler sees": ", ".join(sorted(ends)),
    }


def _are_equal(answer: str | bytes, message: str | bytes, decode: Callable[[Any], Any] | None) -> bool:
    if decode is None or isinstance(answer, str) is not isinstance(message, str):
        return answer == message
    return bool(echoes.without_defaults(decode(answer)) == echoes.without_defaults(decode(message)))


LARGE: Final = 900_000
"""A size in bytes that every server accepts by default."""


def values_in(mode: str) -> dict[str, str | bytes]:
    encode, _ = echoes.FORMATS[mode]
    values = {name: value for name, value in echoes.VALUES.items() if name != "a mebibyte"}
    values |= {"plain": {**echoes.POINT, "x": 1}, "large": {**echoes.POINT, "name": "x" * LARGE}}
    return {name: encode(value) for name, value in values.items()}


TEXTS: Final[dict[str, str | bytes]] = {
    "plain": "plain",
    "empty text": "",
    "unicode": "naïve 東京 🦊 \u2028 \x00\ufeff",
    "large": "x" * LARGE,
    "large unicode": "é" * (LARGE // 2),
}
BYTES: Final[dict[str, str | bytes]] = {
    "plain": b"plain",
    "empty bytes": b"",
    "each byte": bytes(range(256)),
    "large": bytes(LARGE),
}


async def sends_fragments(server: RunningServer, run: Run) -> Facts:
    """Send a message in three frames, with a ping after the first, and return both answers."""
    async with raw_client(server.port, run.path(echo="send_events")) as client:
        client.send(frame(Opcode.TEXT, "nä".encode()[:2], is_final=False))
        client.send(frame(Opcode.PING, b"?"))
        client.send(frame(Opcode.CONTINUATION, "nä".encode()[2:], is_final=False))
        client.send(frame(Opcode.CONTINUATION, b"!"))
        answers = [await client.next_frame(), await client.next_frame()]
        client.send(frame(Opcode.CLOSE, (1000).to_bytes(2)))
        await client.end()
    received = [f"{Opcode(answer.opcode).name.lower()} {answer.payload.decode()}" for answer in answers if answer]
    return {"the client receives": ", ".join(received)}


async def sends_numbers(server: RunningServer, run: Run) -> Facts:
    """Wait until a receive has timed out, then send 1000 numbers. Pauses for pings make more receives time out."""
    async with client_of(run) as client:
        await run.report("timed out")
        for number in range(1000):
            await client.send(str(number))
            if number % 25 == 0:
                await asyncio.wait_for(await client.ping(), LIMIT)
    counted = await run.report("counted")
    return {
        "the handler receives": f"{counted['count']} of 1000, {'in order' if counted['in_order'] else 'out of order'}"
    }


async def receives_numbers(server: RunningServer, run: Run) -> Facts:
    """Receive the numbers that many tasks send, and return how many came, and whether in order."""
    async with client_of(run) as client:
        numbers = [int(message) async for message in client]
    return {
        "the client receives": "200 messages in order" if numbers == list(range(200)) else f"{len(numbers)} in disorder"
    }


# --- handshakes ---


async def is_accepted(server: RunningServer, run: Run, *, headers: tuple[str, ...] = (), **options: Any) -> Facts:
    """Connect, and return the headers and the subprotocol of the accept, and how the connection ends."""
    async with client_of(run, **options) as client:
        with suppress(ConnectionClosed):
            await client.recv()
    assert client.response is not None
    facts = {"the headers": describe_headers(client.response, headers)} if headers else {}
    return {"the subprotocol": client.subprotocol or "none", **facts, "the client sees": close_seen_by(client)}


async def chooses_cbor(server: RunningServer, run: Run) -> Facts:
    """Choose a mode by its subprotocol, and exchange messages in it."""
    offered = [Subprotocol("chat.v1.cbor"), Subprotocol("chat.v1.json")]
    async with client_of(run, subprotocols=offered) as client:
        await client.send(cbor2.dumps({"type": "say", "text": "four"}))
        received = cbor2.loads(bytes(await client.recv(decode=False)))
        await client.send(cbor2.dumps({"type": "leave"}))
        await client.wait_closed()
    return {
        "the subprotocol": client.subprotocol or "none",
        "the client receives": str(received),
        "the client sees": close_seen_by(client),
    }


async def leaves_before_the_decision(server: RunningServer, run: Run) -> Facts:
    """Reset the connection while the handshake is undecided, and return what the handler sees."""
    async with raw_client(server.port, run.path(), wait_for_handshake=False) as client:
        await run.report("waits")
        client.reset()
        left = await run.report("left")
    return {"the handler receives": (await run.report("receives"))["how"], "the handler ends": left["how"]}


# --- closing ---


Departure: TypeAlias = Callable[[RawClient], None]
CLOSES: Final[Mapping[str, Departure]] = {
    "with 1000": lambda client: client.send(frame(Opcode.CLOSE, (1000).to_bytes(2))),
    "with 4001 and a reason": lambda client: client.send(frame(Opcode.CLOSE, (4001).to_bytes(2) + b"bye")),
    "without a code": lambda client: client.send(frame(Opcode.CLOSE)),
}
LOSSES: Final[Mapping[str, Departure]] = {"FIN": RawClient.finish, "RST": RawClient.reset}
DEPARTURES: Final = {**CLOSES, **LOSSES}


async def leaves_after_two_messages(server: RunningServer, run: Run, *, departure: Departure) -> Facts:
    """Send two messages and leave. Return what both sides see, during and after the end."""
    async with raw_client(server.port, run.path()) as client:
        await client.next_frame()
        client.send(frame(Opcode.TEXT, b"a") + frame(Opcode.BINARY, b"b"))
        departure(client)
        answer = None if departure in LOSSES.values() else await client.close_frame()
        end = await run.report("ends")
        facts = {"the handler sees": end["how"], "messages before the end": str(end["received"])}
        for kind in ("sends", "receives", "closes"):
            facts[f"it then {kind}"] = (await run.report(kind))["how"]
    if departure not in LOSSES.values():
        facts["the client sees"] = describe_close_frame(answer)
    return facts


async def leaves_in_every_way(server: RunningServer, run: Run, *, departures: Mapping[str, Departure]) -> Facts:
    """Leave in several ways at once, and return how and how soon the handler of each client ended."""

    async def leave(name: str, departure: Departure) -> str:
        async with raw_client(server.port, run.path(client=name)) as client:
            await client.next_frame()
            departure(client)
            began = asyncio.get_running_loop().time()
            left = await run.report("left", name)
            is_soon = asyncio.get_running_loop().time() - began < 1
        return f"{left['how']}, {'within a second' if is_soon else 'later'}"

    ends = await asyncio.gather(*(leave(name, departure) for name, departure in departures.items()))
    await run.ended(len(departures))
    return {
        f"after a close {name}" if name in CLOSES else f"after a {name}": end
        for name, end in zip(departures, ends, strict=True)
    }


# --- protocol errors and oversized messages ---


def send_oversized_message(client: RawClient) -> None:
    """Send a message that is larger than the limit of every server."""
    size = (16 << 20) + 1
    # The mask is four zero bytes: masking leaves the payload as it is.
    client.send(bytes([0x81, 0xFF]) + size.to_bytes(8) + bytes(4) + b"x" * size)


PROTOCOL_ERRORS: Final[Mapping[str, Departure]] = {
    "a frame that is not masked": lambda client: client.send(frame(Opcode.TEXT, b"x", is_masked=False)),
    "a reserved bit": lambda client: client.send(frame(Opcode.TEXT, b"x", reserved_bits=2)),
    "text that is not UTF-8": lambda client: client.send(frame(Opcode.TEXT, b"\xff")),
    "a close code that does not exist": lambda client: client.send(frame(Opcode.CLOSE, (999).to_bytes(2))),
    "a message of more than 16 MiB": send_oversized_message,
}


async def breaks_the_protocol(server: RunningServer, run: Run, *, error: Departure) -> Facts:
    """Break the protocol, and return what both sides see."""
    async with raw_client(server.port, run.path()) as client:
        await client.next_frame()
        error(client)
        answer = await client.close_frame()
        if answer is not None:
            client.send(frame(Opcode.CLOSE, answer.payload[:2]))
        await client.end()
        facts = {"the handler sees": (await run.report("ends"))["how"]}
    # Close reasons of protocol errors differ between libraries. Some servers drop the connection without a close frame.
    facts["the client sees"] = NO_FRAME if answer is None else str(answer.close_code)
    facts["the handler sees"] = re.sub(' ".*"', "", facts["the handler sees"])
    return facts


async def does_not_read(server: RunningServer, run: Run) -> Facts:
    """Return what ended the handler of a client that reads nothing for a second, then the whole flood, then leaves."""
    async with raw_client(server.port, run.path()) as client:
        client.stop_reading()
        when = "in time"
        with anyio.move_on_after(1):
            await run.report("left")
        client.resume_reading()
        if not any(report["kind"] == "left" for report in run.reports):
            when = "once the peer reads"
        last = await _frame_after_flood(client)
        if last is not None and last.opcode != Opcode.CLOSE:
            when = "once the peer leaves"
            client.send(frame(Opcode.CLOSE, (1000).to_bytes(2)))
            last = await client.close_frame()
        ends = (await run.report("left"))["how"]
    return {"the handler ends": f"{ends}, {when}", "the client sees": describe_close_frame(last)}


async def _frame_after_flood(client: RawClient) -> Frame | None:
    """Return the close frame that interrupts the flood, else the first short message, which is sent after all of it."""
    while (received := await client.next_frame()) is not None:
        if received.opcode == Opcode.CLOSE or len(received.payload) == 1:
            break
    return received


async def closes_before_it_reads(server: RunningServer, run: Run) -> Facts:
    """Return what both sides see when a client sends a close frame while the flood is unread, and reads only then."""
    async with raw_client(server.port, run.path()) as client:
        client.stop_reading()
        with anyio.move_on_after(0.3):  # no server but daphne takes the whole flood
            await run.report("flooded")
        client.send(frame(Opcode.CLOSE, (1000).to_bytes(2)))
        client.resume_reading()
        last = await client.close_frame()
        ends = (await run.report("left"))["how"]
    return {"the handler ends": ends, "the client sees": describe_close_frame(last)}


async def does_not_read_and_leaves(server: RunningServer, run: Run, *, departure: Departure) -> Facts:
    """Read nothing, then leave. Return whether sends wait, whether memory grows, and how the handler ends."""
    before = await server.census()
    async with raw_client(server.port, run.path()) as client:
        client.stop_reading()
        with anyio.move_on_after(0.3) as scope:
            await run.report("flooded")
        grown = (await server.census()).memory - before.memory
        departure(client)
        ends, when = "", "within a second"
        with anyio.move_on_after(1):
            ends = (await run.report("left"))["how"]
        if not ends:
            when = "once it is reset"
            client.reset()
            ends = (await run.report("left"))["how"]
    return {
        "a send waits": "yes" if scope.cancelled_caught else "no",
        "memory": "does not grow" if grown < 20 << 20 else "grows with every send",
        "the handler ends": f"{ends}, {when}",
    }
