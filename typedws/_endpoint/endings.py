"""How a handler's end becomes the connection's: one row for each kind of exception. Nothing is sent or logged here."""

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
    """What becomes of a connection: a denial where it was not accepted, else a closure; and what is logged of it."""

    status: int = 500
    detail: str | None = None
    headers: HeadersInput | None = None
    members: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the problem document has besides."""
    code: int = CloseCode.INTERNAL_ERROR
    reason: str = ""
    level: int = logging.INFO
    log_message: str = ""
    """What is logged; nothing of the peer's is in it."""
    is_failure: bool = False
    """Whether nobody foresaw it: it is logged with its traceback, or raised for the framework that we are in."""


RETURNED: Final = Ending(
    status=403,
    code=CloseCode.NORMAL_CLOSURE,
    level=logging.DEBUG,
    log_message="the handler returned",
)
UNDECIDED: Final = Ending(
    status=403,
    level=logging.WARNING,
    log_message="the handler returned without a decision, which denies: return await handshake.deny(...), or accept()",
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
    log_message="there are as many connections as Policy(max_connections=...) allows",
)
STALLED: Final = Ending(
    status=503,
    detail="no decision in time",
    level=logging.WARNING,
    log_message="the handler has not decided within Policy(handshake_timeout=...)",
)
IDLE: Final = Ending(
    code=CloseCode.TIMEOUT,
    reason="no message in time",
    log_message="no message came within Policy(idle_timeout=...)",
)
UNREAD: Final = Ending(
    code=CloseCode.POLICY_VIOLATION,
    reason="messages are not read",
    log_message="the peer did not read within Policy(send_timeout=...)",
)


def origin_refused(refusal: OriginRefusal) -> Ending:
    """Give the ending for a page that must not connect."""
    return Ending(status=403, detail="this origin may not connect", log_message=str(refusal))


def root_cause(error: Exception) -> Exception:
    """Give what a group of exceptions stands for: the gravest of them, as itself; several failures stay a group."""
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
    """Give what becomes of a connection whose handler raised; with ``debug``, the peer is told what it was."""
    row = next((row for kind, row in _ROWS if kind(error)), _failed)
    ending: Ending = row(error)
    if not (debug and ending.is_failure):
        return ending
    log_message = f"{type(error).__name__}: {error}"
    return replace(ending, detail=log_message, reason=truncate_reason(log_message))


# --- rows: what an exception is, what becomes of it ---


def _failed(error: Exception) -> Ending:
    return Ending(level=logging.ERROR, log_message=f"the handler raised {type(error).__name__}", is_failure=True)


def _is_used_after_close(error: Exception) -> bool:
    return isinstance(error, WebSocketDisconnected) and error.closed_by == "application"


def _misused(error: Exception) -> Ending:
    log_message = f"the handler went on after its own close: {error}"
    return Ending(status=403, code=CloseCode.NORMAL_CLOSURE, level=logging.WARNING, log_message=log_message)


def _gone(error: Exception) -> Ending:
    return Ending(status=403, code=CloseCode.NORMAL_CLOSURE, level=logging.DEBUG, log_message="the peer left")


def _invalid(error: Any) -> Ending:
    refused: InvalidMessage = error
    reason = truncate_reason(str(refused))
    return Ending(
        400, str(refused), code=refused.close_code, reason=reason, log_message=f"an invalid message: {refused}"
    )


def _invalid_params(error: Any) -> Ending:
    refused: InvalidParams = error
    problems = [{"name": name, "problem": problem} for name, problem in refused.locations()]
    log_message = f"invalid parameters: {refused}"
    code = CloseCode.POLICY_VIOLATION
    return Ending(refused.status_code, str(refused), members={"errors": problems}, code=code, log_message=log_message)


def _unknown_subprotocol(error: Any) -> Ending:
    refused: UnknownSubprotocol = error
    return Ending(refused.status_code, str(refused), code=CloseCode.POLICY_VIOLATION, log_message=str(refused))


def _http(error: Any) -> Ending:
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    detail = getattr(error, "detail", None) or getattr(error, "description", None)
    if not isinstance(status, int) or not 300 <= status <= 599:
        return _raised_wrong(error, f"an HTTP status from 300 to 599, found {status!r}")
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
        return _raised_wrong(error, f"a close code that may be sent, found {code!r}")
    reason = truncate_reason(str(getattr(error, "reason", None) or getattr(error, "detail", None) or ""))
    log_message = f"the handler raised {type(error).__name__}({int(code)})"
    return Ending(403, reason or None, code=code, reason=reason, log_message=log_message)


def _raised_wrong(error: Exception, expected: str) -> Ending:
    return replace(_failed(error), log_message=f"the handler raised {type(error).__name__}: expected {expected}")


_Row: TypeAlias = tuple[Callable[[Exception], bool], Callable[[Any], Ending]]
_ROWS: Final[tuple[_Row, ...]] = (
    (_is_used_after_close, _misused),
    (lambda error: isinstance(error, WebSocketDisconnect), _gone),
    (is_named("WebSocketDisconnect"), _gone),
    (lambda error: isinstance(error, InvalidMessage), _invalid),
    (lambda error: isinstance(error, InvalidParams), _invalid_params),
    (lambda error: isinstance(error, UnknownSubprotocol), _unknown_subprotocol),
    (is_named("HTTPException"), _http),
    (is_named("WebSocketException"), _websocket),
)
