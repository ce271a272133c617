"""`typedws.close_codes`: close codes, their meanings, and close reasons."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close
from websockets.frames import CloseCode as TheirCloseCode

from tests.support import accepted
from typedws._protocol.events import close_event
from typedws._protocol.outcomes import Closed
from typedws.close_codes import (
    MAX_REASON_BYTES,
    ApplicationCloseCode,
    CloseCode,
    Reconnect,
    describe,
    is_sendable,
    truncate_reason,
)
from typedws.websockets import WebSocket


def test_every_code_of_the_websockets_library_has_the_same_name_here() -> None:
    theirs = {code.name: code.value for code in TheirCloseCode}
    assert theirs.items() <= {code.name: code.value for code in CloseCode}.items()


@given(st.integers(min_value=-1, max_value=70_000))
def test_the_sendable_codes_are_those_of_the_websockets_library(code: int) -> None:
    try:
        Close(code, "").check()
    except Exception:
        allowed = False
    else:
        allowed = True
    # Like the library, `is_sendable` refuses unregistered codes below 3000.
    assert is_sendable(code) == allowed


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (1000, "normal closure"),
        (1006, "abnormal closure, no close frame"),
        (CloseCode.TLS_HANDSHAKE, "TLS handshake failure"),
        (3001, "registered"),
        (3003, "forbidden"),
        (4999, "private use"),
        (999, "unknown"),
        (5000, "unknown"),
        (1016, "unknown"),
    ],
)
def test_a_code_has_a_description(code: int, meaning: str) -> None:
    assert describe(code) == meaning


def test_every_registered_code_has_its_own_meaning() -> None:
    meanings = [describe(code) for code in CloseCode]
    assert len(set(meanings)) == len(CloseCode)
    assert not {"unknown", "registered", "private use"} & set(meanings)


@given(st.text(max_size=200))
def test_a_truncated_reason_is_the_longest_beginning_that_fits(reason: str) -> None:
    truncated = truncate_reason(reason)
    assert len(truncated.encode()) <= MAX_REASON_BYTES
    assert reason.startswith(truncated)
    if len(reason.encode()) <= MAX_REASON_BYTES:
        assert truncated == reason
    else:  # one more character would not fit
        assert len(reason[: len(truncated) + 1].encode()) > MAX_REASON_BYTES


def test_a_lone_surrogate_in_a_reason_becomes_a_question_mark() -> None:
    assert truncate_reason("a\ud800b") == "a?b"


class ChatClose(ApplicationCloseCode):
    KICKED = 4001, "removed by a moderator"
    MOVED = 4002, "the room moved to another server", "resume"
    FULL = 4003, "\u00e9" * 100, "backoff"
    BARE = 4004


def test_an_application_close_code_is_a_number_with_a_description() -> None:
    code: int = ChatClose.KICKED
    assert code == 4001
    assert ChatClose(4002) is ChatClose.MOVED
    assert ChatClose.KICKED < ChatClose.MOVED
    assert f"{ChatClose.KICKED}" == "4001"
    assert is_sendable(ChatClose.KICKED)
    members = [(each.value, each.description, each.reconnect) for each in ChatClose]
    assert members == [
        (4001, "removed by a moderator", "never"),
        (4002, "the room moved to another server", "resume"),
        (4003, "\u00e9" * 100, "backoff"),
        (4004, "", "never"),
    ]
    description: str = ChatClose.MOVED.description
    reconnect: Reconnect = ChatClose.MOVED.reconnect
    assert (description, reconnect) == ("the room moved to another server", "resume")


@pytest.mark.parametrize("code", ChatClose)
def test_an_application_close_code_survives_a_copy_and_a_pickle(code: ChatClose) -> None:
    for copied in (copy.copy(code), copy.deepcopy(code), pickle.loads(pickle.dumps(code))):
        assert copied is code


@pytest.mark.parametrize(
    ("code", "reason", "sent"),
    [
        (ChatClose.KICKED, None, "removed by a moderator"),
        (ChatClose.KICKED, "spam", "spam"),
        (ChatClose.KICKED, "", ""),
        (ChatClose.BARE, None, ""),
        (ChatClose.FULL, None, "\u00e9" * 61),
        (4001, None, ""),
    ],
)
def test_closing_with_an_application_close_code_sends_its_description(code: int, reason: str | None, sent: str) -> None:
    event = close_event(code, reason)
    assert event == {"type": "websocket.close", "code": int(code), "reason": sent}
    assert type(event.get("code")) is int


@pytest.mark.anyio
async def test_a_connection_closes_with_the_description() -> None:
    ws, sent = await accepted(WebSocket)
    assert await ws.close(ChatClose.FULL) == Closed(4003, "\u00e9" * 61, "application")
    assert sent == [{"type": "websocket.close", "code": 4003, "reason": "\u00e9" * 61}]
