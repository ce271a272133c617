"""What `typedws.closing` knows of close codes and reasons."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close
from websockets.frames import CloseCode as TheirCloseCode

from typedws.closing import MAX_REASON_BYTES, CloseCode, describe, is_sendable, truncate_reason


def test_every_code_of_the_websockets_library_is_here_under_its_name() -> None:
    theirs = {code.name: code.value for code in TheirCloseCode}
    assert theirs.items() <= {code.name: code.value for code in CloseCode}.items()


@given(st.integers(min_value=-1, max_value=70_000))
def test_what_may_be_sent_is_what_the_websockets_library_lets_out(code: int) -> None:
    try:
        Close(code, "").check()
    except Exception:
        allowed = False
    else:
        allowed = True
    # The library lets no unregistered code below 3000 out; neither do we.
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
def test_a_code_is_described(code: int, meaning: str) -> None:
    assert describe(code) == meaning


def test_every_registered_code_has_a_meaning_of_its_own() -> None:
    meanings = [describe(code) for code in CloseCode]
    assert len(set(meanings)) == len(CloseCode)
    assert not {"unknown", "registered", "private use"} & set(meanings)


@given(st.text(max_size=200))
def test_a_truncated_reason_fits_and_is_the_beginning(reason: str) -> None:
    cut = truncate_reason(reason)
    assert len(cut.encode()) <= MAX_REASON_BYTES
    assert reason.startswith(cut)
    if len(reason.encode()) <= MAX_REASON_BYTES:
        assert cut == reason
    else:  # no character more would have fitted
        assert len(reason[: len(cut) + 1].encode()) > MAX_REASON_BYTES


def test_a_lone_surrogate_in_a_reason_becomes_a_question_mark() -> None:
    assert truncate_reason("a\ud800b") == "a?b"
