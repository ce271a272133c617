"""How one handler behaves on every server: a table of cases, what both sides see, and the servers that differ.

Every fact is the same on every server and event loop, except those that a row names for a server.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast

from websockets.typing import Subprotocol

from tests.e2e import echoes
from tests.e2e.driving import (
    BYTES,
    CLOSES,
    DEPARTURES,
    LOSSES,
    NO_FRAME,
    PROTOCOL_ERRORS,
    TEXTS,
    Drive,
    Facts,
    breaks_the_protocol,
    chooses_cbor,
    closes_before_it_reads,
    does_not_read,
    does_not_read_and_leaves,
    echoes_back,
    is_accepted,
    is_denied,
    leaves_after_two_messages,
    leaves_before_the_decision,
    leaves_in_every_way,
    receives_all,
    receives_numbers,
    sends_fragments,
    sends_numbers,
    sends_one_message,
    values_in,
)
from tests.e2e.servers import RunningServer, ServerName

__all__ = ["BEHAVIOURS", "HYPERCORN", "Behaviour", "Row", "observe", "on"]


@dataclass(frozen=True)
class Row:
    """What is seen, and what differs on a server that cannot do the same."""

    sees: Facts
    differs: Mapping[ServerName, Facts] = field(default_factory=dict[ServerName, Facts])

    def expected(self, name: ServerName) -> Facts:
        """Return what must be seen with a server."""
        return {**self.sees, **self.differs.get(name, {})}


@dataclass(frozen=True, kw_only=True)
class Behaviour(Row):
    """One handler, and what its client does."""

    group: str
    app: str
    """The handler, one of `tests.e2e.behaving`."""
    drive: Drive


def behaviour(
    group: str, app: str, drive: Drive, sees: Facts, differs: Mapping[ServerName, Facts] | None = None
) -> Behaviour:
    """Return a row. By default the application returns, and the server logs nothing."""
    return Behaviour({**QUIET, **sees}, differs or {}, group=group, app=app, drive=drive)


QUIET: Final[Facts] = {"the application ends": "by itself", "the server logs": "nothing"}


async def observe(server: RunningServer, behaviour: Behaviour) -> Facts:
    """Run a handler and its client on a server, and return what is seen."""
    before = len(server.log)
    async with server.run(f"tests.e2e.behaving:{behaviour.app}") as run:
        facts = await behaviour.drive(server, run)
        raised = await run.ended()
    await server.census()  # the log is complete once the server has answered another request
    lines = [line for line in server.log[before:] if not line.logger.startswith("typedws.")]
    return {
        **facts,
        "the application ends": "by itself" if raised is None else raised,
        "the server logs": "; ".join(f"{line.level} {line.message.splitlines()[0]}" for line in lines) or "nothing",
    }


# --- the table ---

UVICORN: Final[tuple[ServerName, ...]] = ("uvicorn-sansio", "uvicorn-wsproto")
HYPERCORN: Final[tuple[ServerName, ...]] = ("hypercorn-asyncio", "hypercorn-trio")
LOST: Final = "1006 by the network"
"""An end without a close frame, on every server but granian. hypercorn reports every end so."""
LOST_ON_GRANIAN: Final = "1005 by the peer"
"""An end without a close frame, as granian reports it."""


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
    """Return a row of a denial. daphne has no extension for denials, and uvicorn-sansio logs an error for each."""
    logs = {"the server logs": "ERROR ASGI callable returned without completing handshake."}
    differs: dict[ServerName, Facts] = {"uvicorn-sansio": {**logs, **(sansio or {})}}
    plain = {
        "the client sees": "403",
        "the body": "empty",
        **({"the headers": "none"} if "the headers" in sees else {}),
    }
    return behaviour("handshakes", app, drive, sees, {**differs, "daphne": {**plain, **daphne}})


def problem(app: str, status: int, body: str, **options: Any) -> Behaviour:
    return denial(app, partial(is_denied, **options), {"the client sees": str(status), "the body": body}, daphne={})


def response(name: str, status: int, headers: str, body: str, **options: Any) -> Behaviour:
    sees = {"the client sees": str(status), "the headers": headers, "the body": body, "the handler ends": "returned"}
    drive = partial(is_denied, headers=("Content-Type", "X-Who", "Retry-After"), reports=True, query={"response": name})
    daphne = {"the handler ends": "DenialResponseUnsupported"}
    return denial("denies_with_response", drive, sees, daphne=daphne, **options)


def messages(drive: Drive, *, daphne: str = "") -> Behaviour:
    """Return a row of messages that come back. daphne does not send empty messages."""
    differs = on(HYPERCORN, {"the handler sees": LOST})
    if daphne:
        differs["daphne"] = {"comes back": f"everything but {daphne}"}
    return behaviour(
        "messages", "echo", drive, {"comes back": "everything", "the handler sees": "1000 by the peer"}, differs
    )


def ended(end: str, client: str | None) -> dict[str, str]:
    """Return what is seen of an end during a receive."""
    facts = {
        "the handler sees": end,
        "messages before the end": "2",
        "it then sends": "WebSocketDisconnected",
        "it then receives": "WebSocketDisconnected",
        "it then closes": end,
    }
    return facts if client is None else {**facts, "the client sees": client}


def close_by_client(name: str, end: str, client: str, *, reasonless: str) -> Behaviour:
    """Return a row of a client's close. hypercorn does not report it, and daphne answers each one with 1000."""
    differs = on(HYPERCORN, ended(LOST, client))
    differs |= {"daphne": ended(reasonless, "1000"), "granian": ended(reasonless, client)}
    drive = partial(leaves_after_two_messages, departure=CLOSES[name])
    return behaviour("closing", "receives", drive, ended(end, client), differs)


def loss(name: str) -> Behaviour:
    drive = partial(leaves_after_two_messages, departure=LOSSES[name])
    return behaviour("closing", "receives", drive, ended(LOST, None), {"granian": ended(LOST_ON_GRANIAN, None)})


def unread(loss: str, when: str) -> Behaviour:
    """Return a row of a peer that reads nothing and is then lost, which ends the send that waits for it."""
    return behaviour(
        "peers that do not read",
        "floods_with_the_default_timeout",
        partial(does_not_read_and_leaves, departure=LOSSES[loss]),
        {"a send waits": "yes", "memory": "does not grow", "the handler ends": f"WebSocketDisconnect: {LOST}, {when}"},
        {
            "granian": {"the handler ends": f"WebSocketDisconnect: {LOST_ON_GRANIAN}, {when}"},
            "daphne": {
                "a send waits": "no",
                "memory": "grows with every send",
                "the handler ends": f"WebSocketDisconnect: {LOST}, within a second",
            },
        },
    )


def departures(
    app: str, ends: Mapping[str, str], differs: Mapping[ServerName, Mapping[str, str]] | None = None
) -> Behaviour:
    """Return a row of all departures, each of which ends the handler within a second."""

    def facts(ends: Mapping[str, str]) -> Facts:
        return {f"after a {name}": f"{end}, within a second" for name, end in ends.items()}

    other: dict[ServerName, Facts] = {name: facts(ends) for name, ends in (differs or {}).items()}
    return behaviour("peers that leave", app, partial(leaves_in_every_way, departures=DEPARTURES), facts(ends), other)


CLOSE_NAMES: Final = ("close with 1000", "close with 4001 and a reason", "close without a code")


def by_disconnect(*ends: str) -> dict[str, str]:
    """Return the ends of a handler that raises `WebSocketDisconnect`, by the name of the departure."""
    return {name: f"WebSocketDisconnect: {end}" for name, end in zip((*CLOSE_NAMES, *LOSSES), ends, strict=True)}


ENDS: Final = by_disconnect("1000 by the peer", '4001 "bye" by the peer', "1005 by the peer", LOST, LOST)
ENDS_WITHOUT_REASON: Final = by_disconnect("1000 by the peer", "4001 by the peer", "1005 by the peer", LOST, LOST)
ENDS_ON_GRANIAN: Final = by_disconnect(
    "1000 by the peer", "4001 by the peer", "1005 by the peer", LOST_ON_GRANIAN, LOST_ON_GRANIAN
)
ENDS_ON_HYPERCORN: Final = by_disconnect(*[LOST] * 5)
OTHER_ENDS: Final[dict[ServerName, Mapping[str, str]]] = {
    **dict.fromkeys(HYPERCORN, ENDS_ON_HYPERCORN),
    "granian": ENDS_ON_GRANIAN,
    "daphne": ENDS_WITHOUT_REASON,
}


def protocol_error(name: str, code: int, *, by: str = "server", **differs: Facts) -> Behaviour:
    """Return a row of a protocol error. hypercorn and daphne drop the connection, and granian reports 1005."""
    sees = {"the handler sees": f"{code} by the {by}", "the client sees": str(code)}
    dropped = {"the handler sees": LOST, "the client sees": NO_FRAME}
    others: dict[ServerName, Facts] = on((*HYPERCORN, "daphne"), dropped)
    others |= {
        "uvicorn-wsproto": {"the client sees": NO_FRAME},
        "granian": {"the handler sees": LOST_ON_GRANIAN, "the client sees": "1005"},
    }
    others |= {cast(ServerName, server.replace("_", "-")): facts for server, facts in differs.items()}
    return behaviour(
        "protocol errors and oversized messages",
        "receives",
        partial(breaks_the_protocol, error=PROTOCOL_ERRORS[name]),
        sees,
        others,
    )


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
    "a message in fragments": behaviour(
        "messages", "echo", sends_fragments, {"the client receives": "pong ?, text nä!"}
    ),
    "receives that time out": behaviour(
        "messages",
        "counts_numbers",
        sends_numbers,
        {"the handler receives": "1000 of 1000, in order"},
    ),
    "sends from many tasks": behaviour(
        "messages", "sends_from_many_tasks", receives_numbers, {"the client receives": "200 messages in order"}
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
        "nothing", 404, "none", "empty", sansio={"the headers": "Content-Type: text/plain; charset=utf-8"}
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
    "close() before the accept": behaviour(
        "handshakes", "closes_before_the_accept", is_denied, {"the client sees": "403", "the body": "empty"}
    ),
    "no decision": problem("decides_nothing", 403, "title: Forbidden"),
    "no decision in time": problem("decides_too_late", 503, "title: Service Unavailable, detail: no decision in time"),
    "an exception before the accept": problem("fails_before_the_accept", 500, "title: Internal Server Error"),
    "invalid parameters": problem(
        "takes_parameters",
        422,
        f"title: {HTTPStatus(422).phrase}, detail: expected Params, found parameters that fail validation "
        "(missing at room), errors: [{'name': 'room', 'problem': 'missing'}]",
    ),
    "a foreign origin": problem(
        "iterates", 403, "title: Forbidden, detail: this origin may not connect", origin="https://evil.example"
    ),
    "parameters": behaviour(
        "handshakes",
        "takes_parameters",
        partial(receives_all, query={"room": "7"}),
        {"the client sees": "1000", "the client receives": '{"tick":7}'},
    ),
    "headers of an accept": behaviour(
        "handshakes",
        "accepts_with_headers",
        partial(is_accepted, headers=("X-Who", "Set-Cookie")),
        {"the subprotocol": "none", "the headers": "X-Who: us; Set-Cookie: a=1, b=2", "the client sees": "1000"},
        on(("granian", "daphne"), {"the headers": "none"}),
    ),
    "a subprotocol": behaviour(
        "handshakes",
        "accepts_the_first_subprotocol",
        partial(is_accepted, subprotocols=[Subprotocol("chat"), Subprotocol("soap")]),
        {"the subprotocol": "chat", "the client sees": "1000"},
    ),
    "no subprotocol": behaviour(
        "handshakes",
        "accepts_the_first_subprotocol",
        is_accepted,
        {"the subprotocol": "none", "the client sees": "1000"},
    ),
    "a subprotocol that was not offered": behaviour(
        "handshakes",
        "accepts_another_subprotocol",
        is_accepted,
        {"the subprotocol": "none", "the client sees": "1000"},
    ),
    "a mode by its subprotocol": behaviour(
        "handshakes",
        "answers_in_the_chosen_mode",
        chooses_cbor,
        {"the subprotocol": "chat.v1.cbor", "the client receives": "{'tick': 4}", "the client sees": "1000"},
    ),
    "a client that leaves before the decision": behaviour(
        "handshakes",
        "accepts_after_the_client_left",
        leaves_before_the_decision,
        {"the handler receives": "websocket.disconnect 1006", "the handler ends": f"WebSocketDisconnect: {LOST}"},
        {"granian": {"the handler receives": "nothing", "the handler ends": f"WebSocketDisconnect: {LOST_ON_GRANIAN}"}},
    ),
    # --- closing
    "close() with a code and a reason": behaviour(
        "closing",
        "closes",
        partial(receives_all, reports=("ends", "ends again", "sends")),
        {
            "the client sees": '4001 "bye"',
            **dict.fromkeys(
                ("the handler ends", "the handler ends again", "the handler sends"), '4001 "bye" by the application'
            ),
        },
        {"daphne": {"the client sees": "4001"}},
    ),
    "close() with the longest reason": behaviour(
        "closing",
        "closes_with_the_longest_reason",
        receives_all,
        {"the client sees": f'1000 "{"é" * 61}x"'},
        {"daphne": {"the client sees": "1000"}},
    ),
    "close() while another task receives": behaviour(
        "closing",
        "closes_during_a_receive",
        partial(receives_all, reports=("closes", "receives")),
        {
            "the client receives": "ready",
            "the client sees": '4001 "bye"',
            "the handler closes": '4001 "bye" by the application',
            "the handler receives": "WebSocketDisconnect",
        },
        {"daphne": {"the client sees": "4001"}},
    ),
    "a handler that returns": behaviour(
        "closing", "returns", receives_all, {"the client sees": "1000", "the client receives": '{"tick":1}'}
    ),
    "a handler that raises": behaviour(
        "closing",
        "fails",
        receives_all,
        {"the client sees": "1011", "the client receives": '{"tick":1}'},
        {"daphne": {"the client sees": "4011"}},
    ),
    "an invalid message": behaviour(
        "closing",
        "receives_an_invalid_message",
        partial(sends_one_message, message="{bad"),
        {"the client sees": '1007 "expected Say | Leave, found malformed JSON"'},
        {"daphne": {"the client sees": "4007"}},
    ),
    "a close with 1000": close_by_client("with 1000", "1000 by the peer", "1000", reasonless="1000 by the peer"),
    "a close with 4001 and a reason": close_by_client(
        "with 4001 and a reason", '4001 "bye" by the peer', '4001 "bye"', reasonless="4001 by the peer"
    ),
    "a close without a code": close_by_client(
        "without a code", "1005 by the peer", "1005", reasonless="1005 by the peer"
    ),
    "a FIN during a receive": loss("FIN"),
    "a RST during a receive": loss("RST"),
    # --- peers that leave
    "a handler that iterates": departures("iterates", dict.fromkeys((*CLOSE_NAMES, *LOSSES), "returned")),
    "a handler that only sends": departures("only_sends", ENDS, OTHER_ENDS),
    "a handler of the whole WebSocket that only sends": departures("only_sends_without_an_endpoint", ENDS, OTHER_ENDS),
    "a feed": departures("feeds", dict.fromkeys((*CLOSE_NAMES, *LOSSES), "cancelled")),
    "cancelled_on_disconnect": departures("is_cancelled_on_disconnect", ENDS, OTHER_ENDS),
    # --- protocol errors and oversized messages
    "a frame that is not masked": protocol_error("a frame that is not masked", 1002),
    "a reserved bit": protocol_error("a reserved bit", 1002),
    "text that is not UTF-8": protocol_error(
        "text that is not UTF-8",
        1007,
        uvicorn_sansio={"the server logs": "ERROR Invalid UTF-8 sequence received from client."},
    ),
    "a close code that does not exist": protocol_error("a close code that does not exist", 1002, granian={}),
    "a message of more than 16 MiB": protocol_error(
        "a message of more than 16 MiB",
        1009,
        by="peer",  # a peer may close with 1009 as well, because of what we send
        uvicorn_wsproto={},
        hypercorn_asyncio={"the handler sees": LOST},
        hypercorn_trio={"the handler sees": LOST},
    ),
    # --- peers that do not read
    "a peer that does not read": behaviour(
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
    "a peer that closes before it reads": behaviour(
        "peers that do not read",
        "floods_with_the_default_timeout",
        closes_before_it_reads,
        {"the handler ends": "WebSocketDisconnect: 1000 by the peer", "the client sees": "1000"},
        on(HYPERCORN, {"the handler ends": f"WebSocketDisconnect: {LOST}"}),
    ),
    "a peer that does not read and resets": unread("RST", "within a second"),
    "a peer that does not read and sends FIN": unread("FIN", "once it is reset"),
}
