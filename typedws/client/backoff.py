"""Whether to connect again, and when: by the contract, the standards and a backoff. Nothing waits here.

A close code or a status is retried only if the caller, the contract or a standard says so. Any other was intended by
the server, or would be the same again.
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
    """The waiting times between attempts to connect: exponential, with full jitter.

    After the n-th failure in a row, the wait is a random time up to ``initial * factor ** (n - 1)`` seconds, at most
    ``maximum`` seconds. A connection that was open for ``healthy`` seconds resets the count.

    :param initial: the limit of the first wait, in seconds
    :param maximum: the limit of every wait, in seconds
    :param factor: by how much the limit grows with each failure in a row
    :param healthy: the seconds for which a connection must have been open to reset the count of failures
    :param max_failures: the number of failures in a row after which the last one is raised; ``None`` for no limit
    :raises InvalidDeclaration: if a time is negative or NaN, or the factor is below 1 or NaN
    """

    initial: float = 1.0
    maximum: float = 60.0
    factor: float = 2.0
    healthy: float = 10.0
    max_failures: int | None = None

    def __post_init__(self) -> None:
        for name, minimum in (("initial", 0), ("maximum", 0), ("factor", 1), ("healthy", 0)):
            if not getattr(self, name) >= minimum:  # Not `<`: NaN must be refused, and compares as false.
                raise InvalidDeclaration(f"{name} of Backoff to be at least {minimum}", repr(getattr(self, name)))

    def delay(self, failures: int, draw: Callable[[float, float], float] = random.uniform) -> float:
        """Return a random wait in seconds after this number of failures in a row.

        :param failures: the number of failures, including the last one; at least 1
        :param draw: returns a random number between two bounds
        """
        try:
            limit = self.initial * self.factor ** (failures - 1)
        except OverflowError:  # after many failures the power exceeds a float
            limit = self.maximum if self.initial else 0.0
        return draw(0, min(self.maximum, limit))


_RETRIED_CLOSES: Final[Mapping[int, Reconnect]] = {
    CloseCode.GOING_AWAY: "backoff",  # RFC 6455 section 7.4.1: the server shuts down
    CloseCode.ABNORMAL_CLOSURE: "backoff",  # RFC 6455 section 7.2.3
    CloseCode.SERVICE_RESTART: "backoff",  # by its description in the IANA registry
    CloseCode.TRY_AGAIN_LATER: "backoff",
    CloseCode.BAD_GATEWAY: "backoff",  # sent by a gateway, not by the server itself
}

_MAX_RETRY_AFTER: Final = 86_400.0
"""Seconds for which a server can ask at most. A hostile one must not stop a client for ever."""

_RETRIED_STATUSES: Final[Mapping[int, Reconnect]] = {
    429: "backoff",  # RFC 6585 section 4
    502: "backoff",  # sent by a gateway, not by the server itself
    503: "backoff",  # RFC 9110 section 15.6.4
    504: "backoff",  # as 502
}


def after_close(end: Closed, contract: Contract[Any, Any, Any] | None, retry: Mapping[int, Reconnect]) -> Reconnect:
    """Return whether to connect again after this end. ``retry`` overrides the contract and the standards."""
    if end.closed_by == "application":
        return "never"
    if end.code in retry:
        return retry[end.code]
    for member in () if contract is None or contract.closes is None else contract.closes:
        if member == end.code:
            return member.reconnect
    return _RETRIED_CLOSES.get(end.code, "never")


def after_failure(failure: ConnectionFailed, retry: Mapping[int, Reconnect]) -> Reconnect:
    """Return whether to connect again after this failure to connect. ``retry`` overrides the standards."""
    if isinstance(failure, ConnectionDenied):
        return retry.get(failure.status) or _RETRIED_STATUSES.get(failure.status, "never")
    return "backoff" if isinstance(failure, ServerUnreachable | ConnectTimeout) else "never"


def retry_after(failure: object, now: datetime | None = None) -> float:
    """Return the seconds that a denial asks to wait (RFC 9110 section 10.2.3), up to a day; 0 if it asks for none."""
    value = failure.headers.get("retry-after", "").strip() if isinstance(failure, ConnectionDenied) else ""
    if value.isascii() and value.isdigit():
        # Nine digits are more than a day already; a header may have thousands.
        return min(float(value[:9]), _MAX_RETRY_AFTER)
    try:
        then = parsedate_to_datetime(value)
        return min(max(0.0, (then - (now or datetime.now(UTC))).total_seconds()), _MAX_RETRY_AFTER)
    except (ValueError, TypeError, OverflowError):  # no date, one without a time zone, or an impossible zone
        return 0.0
