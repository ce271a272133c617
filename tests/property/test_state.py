"""The tables of ``typedws._protocol.state``, compared with a grammar that is derived from the specification alone.

The grammar is a regular expression with one letter for each kind of event. Every part may end early, so that the
beginning of a legal connection matches too. The grammar does not contain parties, states or tables.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import CONNECT, binary, disconnect, text
from typedws._protocol.state import (
    APPLICATION_MOVES,
    CLIENT_MOVES,
    JOINT_RULE,
    Application,
    Client,
    ConnectionState,
    Move,
    move_of,
)
from typedws.exceptions import InvalidState

# ASGI, WebSocket. "Connect": sent when the client opens a connection; it "must be responded to with either an Accept
# message or a Close message before the socket will pass websocket.receive messages". "Disconnect": sent when "either
# connection to the client is lost", at any time from then on; afterwards nothing is sent. "Accept", "Receive",
# "Send": after the accept, data pass both ways. "Close": once, "after the socket is accepted" or before it, which
# denies; messages that were in flight when the application closed may still arrive. Extension "Websocket Denial
# Response": start and body "after the websocket.connect message", as in HTTP: one start, bodies as long as more_body
# says so; these "cannot be followed by any other websocket messages".
GRAMMAR = re.compile(
    r"""
    (c                              # connect
        (?: a [tbTB]*               # accept, then data both ways
            (?: k [tb]* )?          # close, after which data may still arrive
        |   k                       # close before the accept
        |   s m* e?                 # response start, more body, the end of the body
        )?
        d?                          # disconnect
    )?
    """,
    re.VERBOSE,
)

Flip = Callable[[pytest.MonkeyPatch], None]

SEND = {"type": "websocket.send"}
BODY = "websocket.http.response.body"
FROM_CLIENT: dict[str, dict[str, Any]] = {
    "c": CONNECT,
    "t": text("hello"),
    "b": binary(b"hello"),
    "d": disconnect(),
}
FROM_APPLICATION: dict[str, dict[str, Any]] = {
    "a": {"type": "websocket.accept"},
    "T": {**SEND, "text": "hello"},
    "B": {**SEND, "bytes": b"hello"},
    "k": {"type": "websocket.close"},
    "s": {"type": "websocket.http.response.start", "status": 401},
    "m": {"type": BODY, "body": b"", "more_body": True},
    "e": {"type": BODY, "body": b""},
    "x": {"type": "websocket.nonsense"},
}
LETTERS = [*FROM_CLIENT, *FROM_APPLICATION]


def play(state: ConnectionState, letter: str) -> bool:
    """Play one event and return whether it was legal."""
    try:
        if letter in FROM_CLIENT:
            state.client_moves(move_of(FROM_CLIENT[letter]))
        else:
            state.application_moves(move_of(FROM_APPLICATION[letter]))
    except InvalidState:
        return False
    return True


def copy_of(state: ConnectionState) -> ConnectionState:
    copy = ConnectionState()
    copy.client, copy.application = state.client, state.application
    return copy


def disagreements(depth: int) -> Iterator[str]:
    """Walk all sequences up to a length, and yield those on which the tables and the grammar disagree.

    The walk does not continue after an illegal event: it changes nothing, as is asserted, so the same events may follow
    as without it.
    """

    def walk(word: str, state: ConnectionState) -> Iterator[str]:
        for letter in LETTERS:
            after = copy_of(state)
            is_legal = play(after, letter)
            if not is_legal:
                assert (after.client, after.application) == (state.client, state.application)
            if is_legal is not bool(GRAMMAR.fullmatch(word + letter)):
                yield word + letter
            elif is_legal and len(word) + 1 < depth:
                yield from walk(word + letter, after)

    return walk("", ConnectionState())


def test_the_tables_and_the_grammar_agree_on_every_sequence_of_five_events() -> None:
    assert list(disagreements(5)) == []


def test_the_grammar_matches_legal_sequences_only() -> None:
    legal = ["", "c", "cd", "catTbBktbd", "ckd", "csmmed", "csd", "cad"]
    illegal = ["a", "ct", "caa", "cks", "cst", "csk", "cskd", "ckt", "cdk", "cadT", "cakT", "csea", "x", "cax", "dc"]
    assert [word for word in legal if not GRAMMAR.fullmatch(word)] == []
    assert [word for word in illegal if GRAMMAR.fullmatch(word)] == []


def drop(table: dict[Any, Any], row: Any) -> Flip:
    return lambda patch: patch.delitem(table, row)


def replace(table: dict[Any, Any], row: Any, by: Any) -> Flip:
    return lambda patch: patch.setitem(table, row, by)


def flips() -> Iterator[tuple[str, Flip]]:
    """Yield every way to falsify one row: drop it, change its next state, or change the states of the other party."""
    tables: list[tuple[dict[Any, Any], list[Any]]] = [
        (CLIENT_MOVES, list(Client)),
        (APPLICATION_MOVES, list(Application)),
    ]
    for table, states in tables:
        for row, end in table.items():
            yield f"{row} dropped", drop(table, row)
            for other in states:
                if other is not end:
                    yield f"{row} leads to {other}", replace(table, row, other)
    for move, allowed in JOINT_RULE.items():
        yield f"{move} is always allowed", drop(JOINT_RULE, move)
        for member in sorted(allowed, key=str):
            yield f"{move} forbidden at {member}", replace(JOINT_RULE, move, allowed - {member})
    for move, member in REACHABLE:
        yield f"{move} allowed at {member}", replace(JOINT_RULE, move, JOINT_RULE[move] | {member})


# The states that the other party may be in when a forbidden move is tried.
REACHABLE = [
    *((Move.RECEIVE, member) for member in (Application.CONNECTING, Application.RESPONSE, Application.DENIED)),
    *((move, Client.CONNECTING) for move in (Move.ACCEPT, Move.CLOSE, Move.RESPONSE_START)),
    *((move, Client.DISCONNECTED) for move in JOINT_RULE if move is not Move.RECEIVE),
]


@pytest.mark.parametrize("flip", [pytest.param(flip, id=name) for name, flip in flips()])
def test_a_falsified_row_is_detected(flip: Flip, monkeypatch: pytest.MonkeyPatch) -> None:
    flip(monkeypatch)
    assert next(disagreements(5), None) is not None
