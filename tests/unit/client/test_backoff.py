"""Whether to connect again, and when: by the contract, the standards, the caller and the backoff."""

from datetime import UTC, datetime
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import stable_id
from typedws import ApplicationCloseCode, CloseCode, Connection, Contract, InvalidDeclaration
from typedws._http.headers import Headers
from typedws._protocol.outcomes import Closed
from typedws.client import (
    Backoff,
    ConnectionDenied,
    ConnectionFailed,
    ConnectTimeout,
    InvalidResponse,
    ServerUnreachable,
    TLSHandshakeFailed,
)
from typedws.client.backoff import after_close, after_failure, retry_after
from typedws.close_codes import Reconnect


class Closes(ApplicationCloseCode):
    KICKED = 4001, "removed", "never"
    MOVED = 4002, "moved", "resume"
    FULL = 4003, "too many", "backoff"


chat = Contract("chat", Connection[str, str], closes=Closes)
RETRIED = {1001, 1006, 1012, 1013, 1014}


@pytest.mark.parametrize(
    ("code", "decision"), [(4001, "never"), (4002, "resume"), (4003, "backoff"), (4004, "never"), (1012, "backoff")]
)
def test_the_contract_decides_what_follows_its_close_codes(code: int, decision: Reconnect) -> None:
    assert after_close(Closed(code, "", "peer"), chat, {}) == decision


@pytest.mark.parametrize("contract", [None, Contract("chat", Connection[str, str])])
@pytest.mark.parametrize("code", [*CloseCode, 2999, 3999, *Closes])
def test_other_close_codes_are_retried_only_if_a_standard_says_so(
    code: int, contract: Contract[Any, Any, Any] | None
) -> None:
    decision = after_close(Closed(int(code), "", "peer"), contract, {})
    assert decision == ("backoff" if code in RETRIED else "never")


@pytest.mark.parametrize("code", [1000, 1006, 1009, 4002, 4003])
def test_a_connection_closed_by_this_side_is_never_retried(code: int) -> None:
    assert after_close(Closed(code, "", "application"), chat, {code: "resume"}) == "never"


@pytest.mark.parametrize("code", [1000, 1011, 1012, 4001, 4002])
@pytest.mark.parametrize("override", ["never", "resume", "backoff"])
def test_the_caller_overrides_the_contract_and_the_standards(code: int, override: Reconnect) -> None:
    assert after_close(Closed(code, "", "peer"), chat, {code: override}) == override
    assert after_close(Closed(1013, "", "peer"), chat, {code: override}) == "backoff"


FAILURES: list[tuple[ConnectionFailed, Reconnect]] = [
    (ServerUnreachable("a server", "none"), "backoff"),
    (ConnectTimeout(1), "backoff"),
    (TLSHandshakeFailed("trust", "none"), "never"),
    (InvalidResponse("an answer", "none"), "never"),
    *((ConnectionDenied(status), "backoff") for status in (429, 502, 503, 504)),
    *((ConnectionDenied(status), "never") for status in (200, 301, 400, 401, 403, 404, 408, 409, 422, 500, 501)),
]


@pytest.mark.parametrize(("failure", "decision"), FAILURES, ids=stable_id)
def test_the_kind_of_a_failure_decides_whether_to_retry(failure: ConnectionFailed, decision: Reconnect) -> None:
    assert after_failure(failure, {}) == decision


def test_the_caller_overrides_the_standards_for_a_denial() -> None:
    assert after_failure(ConnectionDenied(500), {500: "backoff"}) == "backoff"
    assert after_failure(ConnectionDenied(503), {503: "never"}) == "never"


NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 3 ", 3),
        ("0", 0),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 86_400),
        ("Wed, 31 Dec 2025 23:59:30 GMT", 0),
        ("", 0),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("²", 0),
        ("9" * 5000, 86_400),
        ("Thu, 01 Jan 2026 00:00:30", 0),
        ("Thu, 01 Jan 2026 00:00:30 +99999999999999999999", 0),
    ],
)
def test_a_denial_may_ask_for_a_delay(value: str, seconds: float) -> None:
    assert retry_after(ConnectionDenied(503, Headers({"Retry-After": value})), NOW) == seconds


@pytest.mark.parametrize("cause", [ConnectionDenied(503), ConnectTimeout(1), Closed(1012, "", "peer"), None])
def test_without_retry_after_there_is_no_additional_delay(cause: object) -> None:
    assert retry_after(cause) == 0


def test_a_date_is_compared_with_the_current_time() -> None:
    assert retry_after(ConnectionDenied(503, Headers({"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}))) > 0


@given(
    failures=st.integers(1, 5000),
    initial=st.floats(0, 100),
    maximum=st.floats(0, 100),
    factor=st.floats(1, 100),
)
def test_a_delay_is_random_up_to_a_growing_limit(failures: int, initial: float, maximum: float, factor: float) -> None:
    backoff = Backoff(initial, maximum, factor)

    def upper_bound(_: float, limit_of_draw: float) -> float:
        return limit_of_draw

    limit = backoff.delay(failures, upper_bound)
    assert 0 <= limit <= maximum
    assert backoff.delay(failures + 1, upper_bound) >= limit
    assert backoff.delay(1, upper_bound) == min(initial, maximum)
    assert 0 <= backoff.delay(failures) <= limit
    assert limit > 0 or not initial or not maximum


@pytest.mark.parametrize("wrong", [{"initial": -1}, {"maximum": nan}, {"factor": 0.5}, {"healthy": -inf}])
def test_an_invalid_backoff_raises(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidDeclaration, match=f"expected {next(iter(wrong))} of Backoff"):
        Backoff(**wrong)  # type: ignore[arg-type]
