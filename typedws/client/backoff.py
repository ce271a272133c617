"""Whether to connect again, and when: as the contract and the standards say, after a backoff. Nothing waits here.

What is not said to be retryable is not retried: whoever closed meant it, or would do it again.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from typedws._connection.connection_denied import ConnectionDenied
from typedws._contract.contract import Contract
from typedws._protocol.outcomes import Closed
from typedws.close_codes import CloseCode, Reconnect
from typedws.exceptions import ConnectionFailed, ConnectTimeout, InvalidDeclaration, ServerUnreachable

__all__ = ["Backoff", "after_close", "after_failure", "retry_after"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before connecting again: exponential, with full jitter.

    The n-th wait in a row is a random time of at most ``initial * factor ** (n - 1)`` seconds, and of at most
    ``maximum``. A connection that was open for ``healthy`` seconds ends the row. After ``max_failures`` failures in a
    row the last one is raised; ``None``: never.

    :raises InvalidDeclaration: for times that are negative or none, or a factor below 1
    """

    initial: float = 1.0
    maximum: float = 60.0
    factor: float = 2.0
    healthy: float = 10.0
    max_failures: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("initial", 0), ("maximum", 0), ("factor", 1), ("healthy", 0)):
            if not getattr(self, name) >= least:  # NaN is none
                raise InvalidDeclaration(f"{name} of a backoff to be at least {least}", repr(getattr(self, name)))

    def delay(self, failures: int, draw: Callable[[float, float], float] = random.uniform) -> float:
        """Draw how many seconds to wait after so many failures in a row, the one just met among them."""
        try:
            most = self.initial * self.factor ** (failures - 1)
        except OverflowError:
            most = self.maximum if self.initial else 0.0
        return draw(0, min(self.maximum, most))


_CLOSES: Final[Mapping[int, Reconnect]] = {
    CloseCode.GOING_AWAY: "backoff",  # RFC 6455 section 7.4.1: the server goes down
    CloseCode.ABNORMAL_CLOSURE: "backoff",  # RFC 6455 section 7.2.3
    CloseCode.SERVICE_RESTART: "backoff",  # as the IANA registry says
    CloseCode.TRY_AGAIN_LATER: "backoff",
    CloseCode.BAD_GATEWAY: "backoff",  # a gateway's word: the server itself said nothing
}

_LONGEST_ASKED: Final = 86_400.0

_STATUSES: Final[Mapping[int, Reconnect]] = {
    429: "backoff",  # RFC 6585 section 4
    502: "backoff",  # a gateway's word
    503: "backoff",  # RFC 9110 section 15.6.4
    504: "backoff",  # a gateway's word
}


def after_close(end: Closed, contract: Contract[Any, Any, Any] | None, retry: Mapping[int, Reconnect]) -> Reconnect:
    """Say whether to connect again after a connection that ended so; ``retry`` comes before what is said."""
    if end.closed_by == "application":
        return "never"
    if end.code in retry:
        return retry[end.code]
    for member in () if contract is None or contract.closes is None else contract.closes:
        if member == end.code:
            return member.reconnect
    return _CLOSES.get(end.code, "never")


def after_failure(failure: ConnectionFailed, retry: Mapping[int, Reconnect]) -> Reconnect:
    """Say whether to connect again after no connection came about; ``retry`` comes before all else."""
    if isinstance(failure, ConnectionDenied):
        return retry.get(failure.status) or _STATUSES.get(failure.status, "never")
    return "backoff" if isinstance(failure, ServerUnreachable | ConnectTimeout) else "never"


def retry_after(failure: object, now: datetime | None = None) -> float:
    """Give how many seconds a denial asks to wait at least (RFC 9110 section 10.2.3), at most a day; 0 for none."""
    value = failure.headers.get("retry-after", "").strip() if isinstance(failure, ConnectionDenied) else ""
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), _LONGEST_ASKED)
    try:
        then = parsedate_to_datetime(value)
        return min(max(0.0, (then - (now or datetime.now(UTC))).total_seconds()), _LONGEST_ASKED)
    except (ValueError, TypeError, OverflowError):  # none, or one without a zone, or one that cannot be
        return 0.0
