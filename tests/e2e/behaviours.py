"""How one handler behaves on every server: a table of what is done, what is seen of it, and which server cannot.

What is seen are facts, in words: of the client on the wire, of the handler in the server's process, and what the server
complains of. Every fact is the same everywhere, but for those that a row names for a server.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias, cast

import anyio
import cbor2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response
from websockets.typing import Subprotocol

from tests.e2e import echoes
from tests.e2e.raw_client import Frame, Opcode, RawClient, frame, raw_client
from tests.e2e.servers import Run, RunningServer, ServerName
from tests.e2e.serving import LIMIT

__all__ = ["BEHAVIOURS", "Behaviour", "Facts", "observe"]

Facts: TypeAlias = Mapping[str, str]
Drive: TypeAlias = Callable[[RunningServer, Run], Awaitable[Facts]]


@dataclass(frozen=True)
class Behaviour:
    """One handler, what its client does, and what is seen."""

    group: str
    app: str
    """The handler, one of `tests.e2e.behaving`."""
    drive: Drive
    sees: Facts
    differs: Mapping[ServerName, Facts] = field(default_factory=dict[ServerName, Facts])
    """What is otherwise on a server that cannot do the same."""

    def expected(self, name: ServerName) -> Facts:
        """Give what is seen with a server."""
        return {**QUIET, **self.sees, **self.differs.get(name, {})}


QUIET: Final[Facts] = {"the application ends": "by itself", "the server logs": "nothing"}


async def observe(server: RunningServer, behaviour: Behaviour) -> Facts:
    """Let a server show a behaviour, and give what is seen."""
    before = len(server.log)
    async with server.run(f"tests.e2e.behaving:{behaviour.app}") as run:
        facts = await behaviour.drive(server, run)
        raised = await run.ended()
    await server.census()  # after which all is done that was to be done
    complaints = [line for line in server.log[before:] if not line.logger.startswith("typedws.")]
    return {
        **facts,
        "the application ends": "by itself" if raised is None else raised,
        "the server logs": "; ".join(f"{line.level} {line.told.splitlines()[0]}" for line in complaints) or "nothing",
    }


# --- clients ---


def client_of(run: Run, *, query: Mapping[str, str] | None = None, **options: Any) -> connect:
    """Give a client of ``websockets``, without its limits and whatever proxy is configured."""
    options = {"compression": None, "max_size": None, "proxy": None, **options}
    return connect(run.url(**(query or {})), **options)


def words(code: int, reason: str) -> str:
    return f'{code} "{reason}"' if reason else str(code)


def closed(client: ClientConnection) -> str:
    """Say what a client saw at the end."""
    received = client.protocol.close_rcvd
    return NO_FRAME if received is None else words(received.code, received.reason)


NO_FRAME: Final = "no close frame"


def frame_in_words(received: Frame | None) -> str:
    return NO_FRAME if received is None else words(received.close_code, received.payload[2:].decode())


async def hears(server: RunningServer, run: Run, *, reports: tuple[str, ...] = (), **options: Any) -> Facts:
    """Listen to the end, and tell what came, how it ended, and what the handler reported."""
    heard: list[str] = []
    async with client_of(run, **options) as client:
        with suppress(ConnectionClosed):
            while True:
                heard.append(str(await client.recv()))
    facts = {"the client sees": closed(client)}
    if heard:
        facts["the client hears"] = ", ".join(heard)
    for kind in reports:
        facts[f"the handler {kind}"] = (await run.report(kind))["how"]
    return facts


async def says_and_hears(server: RunningServer, run: Run, *, message: str) -> Facts:
    """Say something, and tell how the connection ends."""
    async with client_of(run) as client:
        await client.send(message)
        await client.wait_closed()
    return {"the client sees": closed(client)}


async def is_denied(
    server: RunningServer, run: Run, *, headers: tuple[str, ...] = (), reports: bool = False, **options: Any
) -> Facts:
    """Be denied, and tell with what."""
    with pytest.raises(InvalidStatus) as denied:
        async with client_of(run, **options):
            pass
    response = denied.value.response
    facts = {"the client sees": str(response.status_code), "the body": body_in_words(response)}
    if headers:
        facts["the headers"] = headers_in_words(response, headers)
    if reports:
        facts["the handler ends"] = (await run.report("left"))["how"]
    return facts


def body_in_words(response: Response) -> str:
    body = bytes(response.body or b"")
    if response.headers.get("Content-Type") == "application/problem+json":
        document = json.loads(body)
        members = {name: document[name] for name in document if name not in ("type", "status")}
        return ", ".join(f"{name}: {value}" for name, value in members.items())
    return "empty" if not body else ascii(body)[2:-1] if len(body) < 100 else f"{len(body)} bytes"


def headers_in_words(response: Response, names: Iterable[str]) -> str:
    told = {name: ", ".join(response.headers.get_all(name)) for name in names}
    return "; ".join(f"{name}: {value}" for name, value in told.items() if value) or "none of ours"


# --- messages ---


async def echoes_back(
    server: RunningServer, run: Run, *, names: Iterable[str], mode: str, messages: Mapping[str, str | bytes]
) -> Facts:
    """Send every message to every handler, each followed by one that surely comes back."""
    missing: set[str] = set()
    _, decode = echoes.FORMATS.get(mode, (None, None))
    plain = messages["plain"]
    for count, name in enumerate(names, 1):
        async with client_of(run, query={"echo": name, "mode": mode}) as client:
            for what, message in messages.items():
                await client.send(message)
                await client.send(plain)
                answers = [await client.recv()]
                while not _is_same(answers[-1], plain, decode):
                    answers.append(await client.recv())
                if what == "plain":
                    answers.append(await client.recv())
                if not (len(answers) == 2 and _is_same(answers[0], message, decode)):
                    missing.add(what)
        await run.ended(count)
    ends = {report["how"] for report in run.reports}
    return {
        "comes back": f"everything but {', '.join(sorted(missing))}" if missing else "everything",
        "the handler sees": ", ".join(sorted(ends)),
    }


def _is_same(answer: str | bytes, message: str | bytes, decode: Callable[[Any], Any] | None) -> bool:
    if decode is None or isinstance(answer, str) is not isinstance(message, str):
        return answer == message
    return bool(echoes.without_defaults(decode(answer)) == echoes.without_defaults(decode(message)))


LARGE: Final = 900_000
"""Bytes that every server lets through by default."""


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
    """Send a message in three frames, and a ping between them."""
    async with raw_client(server.port, run.path(echo="send_events")) as client:
        client.send(frame(Opcode.TEXT, "nä".encode()[:2], is_final=False))
        client.send(frame(Opcode.PING, b"?"))
        client.send(frame(Opcode.CONTINUATION, "nä".encode()[2:], is_final=False))
        client.send(frame(Opcode.CONTINUATION, b"!"))
        answers = [await client.next_frame(), await client.next_frame()]
        client.send(frame(Opcode.CLOSE, (1000).to_bytes(2)))
        await client.end()
    told = [f"{Opcode(answer.opcode).name.lower()} {answer.payload.decode()}" for answer in answers if answer]
    return {"the client hears": ", ".join(told)}


async def says_numbers(server: RunningServer, run: Run) -> Facts:
    """Send messages in a rhythm in which receives are given up, and before the first."""
    async with client_of(run) as client:
        await run.report("gives up")
        for number in range(1000):
            await client.send(str(number))
            if number % 25 == 0:
                await asyncio.wait_for(await client.ping(), LIMIT)
    counted = await run.report("counted")
    return {"the handler hears": f"{counted['count']} of 1000, {'in order' if counted['in_order'] else 'out of order'}"}


async def hears_numbers(server: RunningServer, run: Run) -> Facts:
    """Hear what many tasks send."""
    async with client_of(run) as client:
        heard = [int(message) async for message in client]
    return {"the client hears": "200 messages in order" if heard == list(range(200)) else f"{len(heard)} in disorder"}


# --- handshakes ---


async def is_accepted(server: RunningServer, run: Run, *, headers: tuple[str, ...] = (), **options: Any) -> Facts:
    """Be accepted, and tell with which headers and subprotocol."""
    async with client_of(run, **options) as client:
        with suppress(ConnectionClosed):
            await client.recv()
    assert client.response is not None
    told = {"the headers": headers_in_words(client.response, headers)} if headers else {}
    return {"the subprotocol": client.subprotocol or "none", **told, "the client sees": closed(client)}


async def chooses_cbor(server: RunningServer, run: Run) -> Facts:
    """Choose a mode by its subprotocol, and speak it."""
    offered = [Subprotocol("chat.v1.cbor"), Subprotocol("chat.v1.json")]
    async with client_of(run, subprotocols=offered) as client:
        await client.send(cbor2.dumps({"type": "say", "text": "four"}))
        heard = cbor2.loads(bytes(await client.recv(decode=False)))
        await client.send(cbor2.dumps({"type": "leave"}))
        await client.wait_closed()
    return {
        "the subprotocol": client.subprotocol or "none",
        "the client hears": str(heard),
        "the client sees": closed(client),
    }


async def leaves_undecided(server: RunningServer, run: Run) -> Facts:
    """Reset the connection while the handshake is undecided."""
    async with raw_client(server.port, run.path(), is_patient=False) as client:
        await run.report("waits")
        client.reset()
        left = await run.report("left")
    return {"the handler hears": (await run.report("hears"))["how"], "the handler ends": left["how"]}


# --- closing ---


Departure: TypeAlias = Callable[[RawClient], None]
CLOSURES: Final[Mapping[str, Departure]] = {
    "with 1000": lambda client: client.send(frame(Opcode.CLOSE, (1000).to_bytes(2))),
    "with 4001 and a reason": lambda client: client.send(frame(Opcode.CLOSE, (4001).to_bytes(2) + b"bye")),
    "without a code": lambda client: client.send(frame(Opcode.CLOSE)),
}
LOSSES: Final[Mapping[str, Departure]] = {"FIN": RawClient.finish, "RST": RawClient.reset}
DEPARTURES: Final = {**CLOSURES, **LOSSES}


async def departs(server: RunningServer, run: Run, *, departure: Departure) -> Facts:
    """Say two things and leave."""
    async with raw_client(server.port, run.path()) as client:
        await client.next_frame()
        client.send(frame(Opcode.TEXT, b"a") + frame(Opcode.BINARY, b"b"))
        departure(client)
        answer = None if departure in LOSSES.values() else await client.close_frame()
        end = await run.report("ends")
        facts = {"the handler sees": end["how"], "the handler heard before": str(end["heard"])}
        for what in ("sends", "receives", "closes"):
            facts[f"it then {what}"] = (await run.report(what))["how"]
    if departure not in LOSSES.values():
        facts["the client sees"] = frame_in_words(answer)
    return facts


async def depart(server: RunningServer, run: Run, *, departures: Mapping[str, Departure]) -> Facts:
    """Leave in several ways at once, and tell how and how soon the handler of each ended."""

    async def one(name: str, departure: Departure) -> str:
        async with raw_client(server.port, run.path(client=name)) as client:
            await client.next_frame()
            departure(client)
            began = asyncio.get_running_loop().time()
            left = await run.report("left", name)
            is_soon = asyncio.get_running_loop().time() - began < 1
        return f"{left['how']}, {'within a second' if is_soon else 'later'}"

    ends = await asyncio.gather(*(one(name, departure) for name, departure in departures.items()))
    await run.ended(len(departures))
    return {
        f"after a close {name}" if name in CLOSURES else f"after a {name}": end
        for name, end in zip(departures, ends, strict=True)
    }


# --- what is broken or too much ---


def too_big(client: RawClient) -> None:
    """Send a message beyond the maximum of every server."""
    size = (16 << 20) + 1
    client.send(bytes([0x81, 0xFF]) + size.to_bytes(8) + bytes(4) + b"x" * size)  # masked with zeros


BREACHES: Final[Mapping[str, Departure]] = {
    "a frame that is not masked": lambda client: client.send(frame(Opcode.TEXT, b"x", is_masked=False)),
    "a reserved bit": lambda client: client.send(frame(Opcode.TEXT, b"x", reserved_bits=2)),
    "text that is not UTF-8": lambda client: client.send(frame(Opcode.TEXT, b"\xff")),
    "a close code that does not exist": lambda client: client.send(frame(Opcode.CLOSE, (999).to_bytes(2))),
    "a message of more than 16 MiB": too_big,
}


async def breaks(server: RunningServer, run: Run, *, breach: Departure) -> Facts:
    """Break the protocol, and tell what both sides see of that."""
    async with raw_client(server.port, run.path()) as client:
        await client.next_frame()
        breach(client)
        answer = await client.close_frame()
        if answer is not None:
            client.send(frame(Opcode.CLOSE, answer.payload[:2]))
        await client.end()
        facts = {"the handler sees": (await run.report("ends"))["how"]}
    # Texts about a breach are each library's own, and no close frame may come before the end of the connection.
    facts["the client sees"] = NO_FRAME if answer is None else str(answer.close_code)
    facts["the handler sees"] = re.sub(' ".*"', "", facts["the handler sees"])
    return facts


async def does_not_read(server: RunningServer, run: Run) -> Facts:
    """Read nothing for a while, then all that there is, then leave; tell what of that ended the handler."""
    async with raw_client(server.port, run.path()) as client:
        client.stop_reading()
        when = "in time"
        last: Frame | None = None
        with anyio.move_on_after(1):
            await run.report("left")
        client.read_on()
        if not any(each["kind"] == "left" for each in run.reports):
            when = "once the peer reads"
        with anyio.move_on_after(1) as patience:
            last = await client.close_frame()
            await run.report("left")
        if patience.cancelled_caught:
            when = "once the peer leaves"
            client.send(frame(Opcode.CLOSE, (1000).to_bytes(2)))
            last = await client.close_frame()
        ends = (await run.report("left"))["how"]
    return {"the handler ends": f"{ends}, {when}", "the client sees": frame_in_words(last)}


async def does_not_read_and_leaves(server: RunningServer, run: Run) -> Facts:
    """Read nothing, and tell whether the handler's sends wait, and what is kept meanwhile; then be gone."""
    before = await server.census()
    async with raw_client(server.port, run.path()) as client:
        client.stop_reading()
        with anyio.move_on_after(0.3) as patience:
            await run.report("flooded")
        grown = (await server.census()).memory - before.memory
        client.reset()
        began = asyncio.get_running_loop().time()
        ends = (await run.report("left"))["how"]
        is_soon = asyncio.get_running_loop().time() - began < 1
    return {
        "a send waits": "yes" if patience.cancelled_caught else "no",
        "memory": "stays" if grown < 20 << 20 else "grows with what is sent",
        "the handler ends": f"{ends}, {'within a second' if is_soon else 'later'}",
    }


# --- the table ---

UVICORN: Final[tuple[ServerName, ...]] = ("uvicorn-sansio", "uvicorn-wsproto")
HYPERCORN: Final[tuple[ServerName, ...]] = ("hypercorn-asyncio", "hypercorn-trio")
UNTOLD: Final = "1006 by the network"
"""What hypercorn tells of each end, and every server of one without a close frame."""
GRANIANS: Final = "1005 by the peer"
"""What granian tells of an end without a close frame."""


def on(names: Iterable[ServerName], facts: Facts) -> dict[ServerName, Facts]:
    return dict.fromkeys(names, facts)


def denial(
    app: str,
    drive: Drive,
    sees: Facts,
    *,
    daphne: Facts,
    sansio: Facts | None = None,
) -> Behaviour:
    """Make a row of a denial: daphne has no extension for that, uvicorn's sansio complains of each."""
    complains = {"the server logs": "ERROR ASGI callable returned without completing handshake."}
    differs: dict[ServerName, Facts] = {"uvicorn-sansio": {**complains, **(sansio or {})}}
    plain = {
        "the client sees": "403",
        "the body": "empty",
        **({"the headers": "none of ours"} if "the headers" in sees else {}),
    }
    return Behaviour("handshakes", app, drive, sees, {**differs, "daphne": {**plain, **daphne}})


def problem(app: str, status: int, body: str, **options: Any) -> Behaviour:
    return denial(app, partial(is_denied, **options), {"the client sees": str(status), "the body": body}, daphne={})


def response(name: str, status: int, headers: str, body: str, **options: Any) -> Behaviour:
    sees = {"the client sees": str(status), "the headers": headers, "the body": body, "the handler ends": "returned"}
    drive = partial(is_denied, headers=("Content-Type", "X-Who", "Retry-After"), reports=True, query={"response": name})
    daphne = {"the handler ends": "DenialResponseUnsupported"}
    return denial("denies_with_response", drive, sees, daphne=daphne, **options)


def messages(drive: Drive, *, daphne: str = "") -> Behaviour:
    """Make a row of messages that come back: daphne sends no empty ones."""
    differs = on(HYPERCORN, {"the handler sees": UNTOLD})
    if daphne:
        differs["daphne"] = {"comes back": f"everything but {daphne}"}
    return Behaviour(
        "messages", "echo", drive, {"comes back": "everything", "the handler sees": "1000 by the peer"}, differs
    )


def ended(told: str, client: str | None) -> dict[str, str]:
    """Give what is seen of an end in a receive."""
    facts = {
        "the handler sees": told,
        "the handler heard before": "2",
        "it then sends": "WebSocketDisconnected",
        "it then receives": "WebSocketDisconnected",
        "it then closes": told,
    }
    return facts if client is None else {**facts, "the client sees": client}


def closure(name: str, told: str, client: str, *, reasonless: str) -> Behaviour:
    """Make a row of a client's close: hypercorn tells nothing of it, daphne answers all with 1000."""
    differs = on(HYPERCORN, ended(UNTOLD, client))
    differs |= {"daphne": ended(reasonless, "1000"), "granian": ended(reasonless, client)}
    drive = partial(departs, departure=CLOSURES[name])
    return Behaviour("closing", "receives", drive, ended(told, client), differs)


def loss(name: str) -> Behaviour:
    drive = partial(departs, departure=LOSSES[name])
    return Behaviour("closing", "receives", drive, ended(UNTOLD, None), {"granian": ended(GRANIANS, None)})


def departures(
    app: str, ends: Mapping[str, str], differs: Mapping[ServerName, Mapping[str, str]] | None = None
) -> Behaviour:
    """Make a row of all departures, each of which ends the handler within a second."""

    def told(ends: Mapping[str, str]) -> Facts:
        return {f"after a {name}": f"{end}, within a second" for name, end in ends.items()}

    other: dict[ServerName, Facts] = {name: told(ends) for name, ends in (differs or {}).items()}
    return Behaviour("peers that leave", app, partial(depart, departures=DEPARTURES), told(ends), other)


CLOSES: Final = ("close with 1000", "close with 4001 and a reason", "close without a code")


def by_disconnect(*told: str) -> dict[str, str]:
    """Give the ends of a handler that meets a `WebSocketDisconnect`, for each departure."""
    return {name: f"WebSocketDisconnect: {end}" for name, end in zip((*CLOSES, *LOSSES), told, strict=True)}


TOLD: Final = by_disconnect("1000 by the peer", '4001 "bye" by the peer', "1005 by the peer", UNTOLD, UNTOLD)
WITHOUT_REASON: Final = by_disconnect("1000 by the peer", "4001 by the peer", "1005 by the peer", UNTOLD, UNTOLD)
OF_GRANIAN: Final = by_disconnect("1000 by the peer", "4001 by the peer", "1005 by the peer", GRANIANS, GRANIANS)
NOTHING_TOLD: Final = by_disconnect(*[UNTOLD] * 5)
OTHERS: Final[dict[ServerName, Mapping[str, str]]] = {
    **dict.fromkeys(HYPERCORN, NOTHING_TOLD),
    "granian": OF_GRANIAN,
    "daphne": WITHOUT_REASON,
}


def breach(name: str, code: int, **differs: Facts) -> Behaviour:
    """Make a row of what breaks the protocol: hypercorn and daphne just drop the connection, granian says 1005."""
    sees = {"the handler sees": f"{code} by the server", "the client sees": str(code)}
    dropped = {"the handler sees": UNTOLD, "the client sees": NO_FRAME}
    others: dict[ServerName, Facts] = on((*HYPERCORN, "daphne"), dropped)
    others |= {
        "uvicorn-wsproto": {"the client sees": NO_FRAME},
        "granian": {"the handler sees": GRANIANS, "the client sees": "1005"},
    }
    others |= {cast(ServerName, server.replace("_", "-")): facts for server, facts in differs.items()}
    return Behaviour("what is broken", "receives", partial(breaks, breach=BREACHES[name]), sees, others)


BEHAVIOURS: Final[Mapping[str, Behaviour]] = {
    **{
        f"models in {mode}": messages(partial(echoes_back, names=echoes.OF_MODELS, mode=mode, messages=values_in(mode)))
        for mode in echoes.FORMATS
    },
    "text": messages(partial(echoes_back, names=echoes.OF_TEXT, mode="", messages=TEXTS), daphne="empty text"),
    "bytes": messages(partial(echoes_back, names=echoes.OF_BYTES, mode="", messages=BYTES), daphne="empty bytes"),
    "raw events": messages(
        partial(echoes_back, names=["send_events"], mode="", messages={**BYTES, **TEXTS}),
        daphne="empty bytes, empty text",
    ),
    "a message in fragments": Behaviour("messages", "echo", sends_fragments, {"the client hears": "pong ?, text nä!"}),
    "receives that are given up": Behaviour(
        "messages",
        "counts",
        says_numbers,
        {"the handler hears": "1000 of 1000, in order"},
    ),
    "sends from many tasks": Behaviour(
        "messages", "shouts", hears_numbers, {"the client hears": "200 messages in order"}
    ),
    # --- handshakes
    "deny()": denial(
        "denies",
        partial(is_denied, headers=("Content-Type", "WWW-Authenticate", "X-Who")),
        {
            "the client sees": "401",
            "the headers": 'Content-Type: application/problem+json; WWW-Authenticate: Bearer realm="chat"; X-Who: us',
            "the body": "title: Unauthorized, detail: token missing — où?",
        },
        daphne={},
    ),
    "a denial without a body": response(
        "nothing", 404, "none of ours", "empty", sansio={"the headers": "Content-Type: text/plain; charset=utf-8"}
    ),
    "a denial with bytes": response("bytes", 400, "Content-Type: application/octet-stream; X-Who: us", r"\x00\xff"),
    "a denial with a model": response(
        "model", 429, "Content-Type: application/json; Retry-After: 3", '{"error":"busy","retry_after":3}'
    ),
    "a denial in parts": response(
        "parts", 503, "Content-Type: text/csv; charset=utf-8; X-Who: us", r"part 0\npart 1\npart 2\n"
    ),
    "a denial in long parts": response(
        "long parts", 451, "Content-Type: text/plain; charset=utf-8; X-Who: us", "524288 bytes"
    ),
    "close() before the accept": Behaviour(
        "handshakes", "closes_before_the_accept", is_denied, {"the client sees": "403", "the body": "empty"}
    ),
    "no decision": problem("decides_nothing", 403, "title: Forbidden"),
    "no decision in time": problem("dawdles", 503, "title: Service Unavailable, detail: no decision in time"),
    "an exception before the accept": problem("fails_before_the_accept", 500, "title: Internal Server Error"),
    "invalid parameters": problem(
        "takes_parameters",
        422,
        "title: Unprocessable Entity, detail: expected Params, found parameters that fail validation "
        "(missing at room), errors: [{'name': 'room', 'problem': 'missing'}]",
    ),
    "a foreign origin": problem(
        "iterates", 403, "title: Forbidden, detail: this origin may not connect", origin="https://evil.example"
    ),
    "parameters": Behaviour(
        "handshakes",
        "takes_parameters",
        partial(hears, query={"room": "7"}),
        {"the client sees": "1000", "the client hears": '{"tick":7}'},
    ),
    "headers of an accept": Behaviour(
        "handshakes",
        "accepts_with_headers",
        partial(is_accepted, headers=("X-Who", "Set-Cookie")),
        {"the subprotocol": "none", "the headers": "X-Who: us; Set-Cookie: a=1, b=2", "the client sees": "1000"},
        on(("granian", "daphne"), {"the headers": "none of ours"}),
    ),
    "a subprotocol": Behaviour(
        "handshakes",
        "accepts_the_first_subprotocol",
        partial(is_accepted, subprotocols=[Subprotocol("chat"), Subprotocol("soap")]),
        {"the subprotocol": "chat", "the client sees": "1000"},
    ),
    "no subprotocol": Behaviour(
        "handshakes",
        "accepts_the_first_subprotocol",
        is_accepted,
        {"the subprotocol": "none", "the client sees": "1000"},
    ),
    "a subprotocol that was not offered": Behaviour(
        "handshakes",
        "accepts_another_subprotocol",
        is_accepted,
        {"the subprotocol": "none", "the client sees": "1000"},
    ),
    "a mode by its subprotocol": Behaviour(
        "handshakes",
        "speaks_the_chosen_mode",
        chooses_cbor,
        {"the subprotocol": "chat.v1.cbor", "the client hears": "{'tick': 4}", "the client sees": "1000"},
    ),
    "a client that leaves undecided": Behaviour(
        "handshakes",
        "accepts_whoever_has_left",
        leaves_undecided,
        {"the handler hears": "websocket.disconnect 1006", "the handler ends": f"WebSocketDisconnect: {UNTOLD}"},
        {"granian": {"the handler hears": "nothing", "the handler ends": f"WebSocketDisconnect: {GRANIANS}"}},
    ),
    # --- closing
    "close() with a code and a reason": Behaviour(
        "closing",
        "closes",
        partial(hears, reports=("ends", "ends again", "sends")),
        {
            "the client sees": '4001 "bye"',
            **dict.fromkeys(
                ("the handler ends", "the handler ends again", "the handler sends"), '4001 "bye" by the application'
            ),
        },
        {"daphne": {"the client sees": "4001"}},
    ),
    "close() with the longest reason": Behaviour(
        "closing",
        "closes_at_length",
        hears,
        {"the client sees": f'1000 "{"é" * 61}x"'},
        {"daphne": {"the client sees": "1000"}},
    ),
    "close() while another task receives": Behaviour(
        "closing",
        "closes_beside_a_receive",
        partial(hears, reports=("closes", "receives")),
        {
            "the client hears": "ready",
            "the client sees": '4001 "bye"',
            "the handler closes": '4001 "bye" by the application',
            "the handler receives": "WebSocketDisconnect",
        },
        {"daphne": {"the client sees": "4001"}},
    ),
    "a handler that returns": Behaviour(
        "closing", "returns", hears, {"the client sees": "1000", "the client hears": '{"tick":1}'}
    ),
    "a handler that raises": Behaviour(
        "closing",
        "fails",
        hears,
        {"the client sees": "1011", "the client hears": '{"tick":1}'},
        {"daphne": {"the client sees": "4011"}},
    ),
    "an invalid message": Behaviour(
        "closing",
        "refuses_what_is_invalid",
        partial(says_and_hears, message="{bad"),
        {"the client sees": '1007 "expected Say | Leave, found malformed JSON"'},
        {"daphne": {"the client sees": "4007"}},
    ),
    "a close with 1000": closure("with 1000", "1000 by the peer", "1000", reasonless="1000 by the peer"),
    "a close with 4001 and a reason": closure(
        "with 4001 and a reason", '4001 "bye" by the peer', '4001 "bye"', reasonless="4001 by the peer"
    ),
    "a close without a code": closure("without a code", "1005 by the peer", "1005", reasonless="1005 by the peer"),
    "a FIN in a receive": loss("FIN"),
    "a RST in a receive": loss("RST"),
    # --- peers that leave
    "a handler that iterates": departures("iterates", dict.fromkeys((*CLOSES, *LOSSES), "returned")),
    "a handler that only sends": departures("only_sends", TOLD, {**OTHERS, **dict.fromkeys(UVICORN, NOTHING_TOLD)}),
    "the classic class that only sends": departures(
        "only_sends_by_the_classic_class", TOLD, {**OTHERS, **dict.fromkeys(UVICORN, NOTHING_TOLD)}
    ),
    "a feed": departures("feeds", dict.fromkeys((*CLOSES, *LOSSES), "cancelled")),
    "cancelled_on_disconnect": departures("is_cancelled_on_disconnect", TOLD, OTHERS),
    # --- what is broken
    "a frame that is not masked": breach("a frame that is not masked", 1002),
    "a reserved bit": breach("a reserved bit", 1002),
    "text that is not UTF-8": breach(
        "text that is not UTF-8",
        1007,
        uvicorn_sansio={"the server logs": "ERROR Invalid UTF-8 sequence received from client."},
    ),
    "a close code that does not exist": breach("a close code that does not exist", 1002, granian={}),
    "a message of more than 16 MiB": breach(
        "a message of more than 16 MiB",
        1009,
        uvicorn_sansio={"the handler sees": "1009 by the peer"},
        uvicorn_wsproto={"the handler sees": "1009 by the peer"},
        hypercorn_asyncio={"the handler sees": UNTOLD},
        hypercorn_trio={"the handler sees": UNTOLD},
    ),
    # --- peers that do not read
    "a peer that does not read": Behaviour(
        "peers that do not read",
        "floods",
        does_not_read,
        {"the handler ends": "cancelled, in time", "the client sees": '1008 "messages are not read"'},
        {
            "hypercorn-trio": {"the handler ends": "cancelled, once the peer reads"},
            "daphne": {
                "the handler ends": "WebSocketDisconnect: 1000 by the peer, once the peer leaves",
                "the client sees": "1000",
            },
        },
    ),
    "a peer that does not read and leaves": Behaviour(
        "peers that do not read",
        "floods_for_long",
        does_not_read_and_leaves,
        {
            "a send waits": "yes",
            "memory": "stays",
            "the handler ends": f"WebSocketDisconnect: {UNTOLD}, within a second",
        },
        {
            "granian": {"the handler ends": f"WebSocketDisconnect: {GRANIANS}, within a second"},
            "daphne": {"a send waits": "no", "memory": "grows with what is sent"},
        },
    ),
}
