"""How a connection ends, by how its handler ended: one row per kind of exception. Nothing is sent or logged here."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, cast

from typedws._endpoint.framework_exceptions import is_named
from typedws._endpoint.origins import OriginRefusal
from typedws._http.headers import HeadersInput
from typedws.close_codes import CloseCode, is_sendable, truncate_reason
from typedws.exceptions import (
    InvalidMessage,
    InvalidParams,
    UnknownSubprotocol,
    WebSocketDisconnect,
    WebSocketDisconnected,
)

__all__ = [
    "CANCELLED",
    "FULL",
    "IDLE",
    "RETURNED",
    "STALLED",
    "UNDECIDED",
    "UNREAD",
    "Ending",
    "ending_for",
    "origin_refused",
    "root_cause",
]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection ends: denied if it was not accepted, else closed; and what is logged."""

    status: int = 500
    detail: str | None = None
    headers: HeadersInput | None = None
    members: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Additional members of the problem document."""
    code: int = CloseCode.INTERNAL_ERROR
    reason: str = ""
    level: int = logging.INFO
    log_message: str = ""
    """The log line. It contains nothing that the peer sent."""
    is_failure: bool = False
    """Whether it is an unexpected exception: logged with its traceback, or raised to the framework around."""


RETURNED: Final = Ending(
    status=403,
    code=CloseCode.NORMAL_CLOSURE,
    level=logging.DEBUG,
    log_message="the handler returned",
)
UNDECIDED: Final = Ending(
    status=403,
    level=logging.WARNING,
    log_message="the handler returned without a decision, which denies the handshake: call accept() or deny(...)",
)
CANCELLED: Final = Ending(
    status=503,
    detail="the server restarts",
    code=CloseCode.SERVICE_RESTART,
    reason="the server restarts",
    level=logging.DEBUG,
    log_message="the handler was cancelled",
)
FULL: Final = Ending(
    status=503,
    detail="too many connections",
    headers={"Retry-After": "5"},
    log_message="the limit of Policy(max_connections=...) is reached",
)
STALLED: Final = Ending(
    status=503,
    detail="no decision in time",
    level=logging.WARNING,
    log_message="the handler did not decide within Policy(handshake_timeout=...)",
)
IDLE: Final = Ending(
    code=CloseCode.TIMEOUT,
    reason="no message in time",
    log_message="no message arrived within Policy(idle_timeout=...)",
)
UNREAD: Final = Ending(
    code=CloseCode.POLICY_VIOLATION,
    reason="messages are not read",
    log_message="the peer did not read within Policy(send_timeout=...)",
)


def origin_refused(refusal: OriginRefusal) -> Ending:
    """Return the ending for a handshake whose origin or host is refused."""
    return Ending(status=403, detail="this origin may not connect", log_message=str(refusal))


def root_cause(error: Exception) -> Exception:
    """Return the most severe exception of a group; the group itself if it contains several unexpected ones."""
    if not isinstance(error, ExceptionGroup):
        return error
    group = cast(ExceptionGroup[Exception], error)
    leaves = list(_leaves(group))
    failures = [leaf for leaf in leaves if ending_for(leaf).is_failure]
    if len(failures) > 1:
        return group
    return failures[0] if failures else max(leaves, key=lambda leaf: ending_for(leaf).level)


def _leaves(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(cast(ExceptionGroup[Exception], error))
        else:
            yield error


def ending_for(error: Exception, *, debug: bool = False) -> Ending:
    """Return how a connection ends after an exception. With ``debug`` the peer sees the text of an unexpected error."""
    make_ending = next((make for matches, make in _ROWS if matches(error)), _failed)
    ending: Ending = make_ending(error)
    if not (debug and ending.is_failure):
        return ending
    text = f"{type(error).__name__}: {error}"
    return replace(ending, detail=text, reason=truncate_reason(text))


# --- the rows: a kind of exception, and the ending for it ---


def _failed(error: Exception) -> Ending:
    return Ending(level=logging.ERROR, log_message=f"the handler raised {type(error).__name__}", is_failure=True)


def _is_used_after_close(error: Exception) -> bool:
    return isinstance(error, WebSocketDisconnected) and error.closed_by == "application"


def _used_after_end(error: Exception) -> Ending:
    log_message = f"the handler used the connection after its end: {error}"
    return Ending(status=403, code=CloseCode.NORMAL_CLOSURE, level=logging.WARNING, log_message=log_message)


def _peer_left(error: Exception) -> Ending:
    return Ending(status=403, code=CloseCode.NORMAL_CLOSURE, level=logging.DEBUG, log_message="the peer left")


def _invalid(error: Any) -> Ending:
    invalid: InvalidMessage = error
    reason = truncate_reason(str(invalid))
    return Ending(
        400, str(invalid), code=invalid.close_code, reason=reason, log_message=f"an invalid message: {invalid}"
    )


def _invalid_params(error: Any) -> Ending:
    invalid: InvalidParams = error
    problems = [{"name": name, "problem": problem} for name, problem in invalid.locations()]
    log_message = f"invalid parameters: {invalid}"
    code = CloseCode.POLICY_VIOLATION
    return Ending(invalid.status_code, str(invalid), members={"errors": problems}, code=code, log_message=log_message)


def _unknown_subprotocol(error: Any) -> Ending:
    unknown: UnknownSubprotocol = error
    return Ending(unknown.status_code, str(unknown), code=CloseCode.POLICY_VIOLATION, log_message=str(unknown))


def _http(error: Any) -> Ending:
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    detail = getattr(error, "detail", None) or getattr(error, "description", None)
    if not isinstance(status, int) or not 300 <= status <= 599:
        return _unsendable(error, f"an HTTP status from 300 to 599, found {status!r}")
    text = detail if isinstance(detail, str) else None
    members = {} if text is not None or detail is None else {"errors": detail}
    return Ending(
        int(status),
        text,
        getattr(error, "headers", None),
        members,
        CloseCode.POLICY_VIOLATION,
        truncate_reason(text or ""),
        log_message=f"the handler raised {type(error).__name__}({int(status)})",
    )


def _websocket(error: Any) -> Ending:
    code: object = getattr(error, "code", None)
    if not isinstance(code, int) or not is_sendable(code):
        return _unsendable(error, f"a close code that may be sent, found {code!r}")
    reason = truncate_reason(str(getattr(error, "reason", None) or getattr(error, "detail", None) or ""))
    log_message = f"the handler raised {type(error).__name__}({int(code)})"
    return Ending(403, reason or None, code=code, reason=reason, log_message=log_message)


def _unsendable(error: Exception, expected: str) -> Ending:
    return replace(_failed(error), log_message=f"the handler raised {type(error).__name__}: expected {expected}")


# In this order: a row may match exceptions that a later one matches too.
_Row: TypeAlias = tuple[Callable[[Exception], bool], Callable[[Any], Ending]]
_ROWS: Final[tuple[_Row, ...]] = (
    (_is_used_after_close, _used_after_end),
    (lambda error: isinstance(error, WebSocketDisconnect), _peer_left),
    (is_named("WebSocketDisconnect"), _peer_left),
    (lambda error: isinstance(error, InvalidMessage), _invalid),
    (lambda error: isinstance(error, InvalidParams), _invalid_params),
    (lambda error: isinstance(error, UnknownSubprotocol), _unknown_subprotocol),
    (is_named("HTTPException"), _http),
    (is_named("WebSocketException"), _websocket),
)
