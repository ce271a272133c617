"""Every exception that typedws raises, and the sentences they read as. No rule is decided here.

::

    TypedWSError
    ├── WebSocketDisconnect                    the peer is gone
    │   └── WebSocketDisconnected              used after the end            (RuntimeError too)
    ├── InvalidInput                           the peer gave what was not declared
    │   ├── InvalidMessage                     as a message
    │   └── InvalidParams                      as parameters of the handshake
    ├── UnknownSubprotocol                     the peer offers none that is spoken
    ├── InvalidState                           a move in the wrong state     (RuntimeError too)
    │   ├── ConcurrentReceive                  a second task receives
    │   ├── DenialResponseUnsupported          the server has no such extension
    │   └── UndeclaredMessageType              no message type declared, none given
    ├── UnsendableMessage                      what we say cannot be a frame (ValueError too)
    ├── InvalidHandshake                       accept or deny with a bad field (ValueError too)
    ├── InvalidClose                           a code or reason not to send  (ValueError too)
    ├── InvalidMessageType                     pydantic cannot build it      (TypeError too)
    ├── InvalidDeclaration                     made with a contradiction     (ValueError too)
    │   ├── InvalidContract
    │   ├── InvalidEndpoint                    a handler that no connection fits
    │   ├── InvalidGroup
    │   ├── InvalidPath                        a path template, or a value for one
    │   └── InvalidPolicy
    ├── UnknownMode                            no codec has that name        (RuntimeError too)
    │   └── CodecNotInstalled                  the extra is not installed
    ├── HTTPException                          a handler's own end, before the accept
    ├── WebSocketException                     a handler's own end, after it
    ├── ConnectionFailed                       a client got no connection
    │   ├── ConnectionDenied                   an HTTP response instead
    │   ├── ConnectTimeout                     no answer in time             (TimeoutError too)
    │   ├── InvalidResponse                    an answer that RFC 6455 does not know
    │   ├── ServerUnreachable                  no address, no TCP connection, or it broke
    │   └── TLSHandshakeFailed                 not trusted, or no TLS
    └── ClientNotInstalled                     the extra is not installed    (RuntimeError too)

Facts are fields, and ``str()`` makes one sentence of them: what was expected, what was found, what to do. Some live
elsewhere: the two that handlers raise in `typedws.exceptions`, `ConnectionDenied` in `typedws.client`. What tests are
told is in `typedws.testing`.
"""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, Literal, NotRequired, Protocol, TypeAlias, TypedDict, cast

from typedws.close_codes import MAX_REASON_BYTES, ApplicationCloseCode, CloseCode, describe

__all__ = [
    "ClientNotInstalled",
    "ClosedBy",
    "CodecNotInstalled",
    "ConcurrentReceive",
    "ConnectTimeout",
    "ConnectionFailed",
    "DenialResponseUnsupported",
    "ErrorDetail",
    "HTTPException",
    "InvalidClose",
    "InvalidContract",
    "InvalidDeclaration",
    "InvalidEndpoint",
    "InvalidGroup",
    "InvalidHandshake",
    "InvalidInput",
    "InvalidMessage",
    "InvalidMessageType",
    "InvalidParams",
    "InvalidPath",
    "InvalidPolicy",
    "InvalidResponse",
    "InvalidState",
    "MessageProblem",
    "ServerUnreachable",
    "TLSHandshakeFailed",
    "TypedWSError",
    "UndeclaredMessageType",
    "UnknownMode",
    "UnknownSubprotocol",
    "UnsendableMessage",
    "WebSocketDisconnect",
    "WebSocketDisconnected",
    "WebSocketException",
]

ClosedBy: TypeAlias = Literal["peer", "application", "server", "network"]
"""Who ended a connection: the other endpoint, this application, its server (a restart), or nobody (it was lost)."""

MessageProblem: TypeAlias = Literal["wrong_frame", "malformed", "invalid", "too_big"]
"""Why a message was refused: its kind of frame, its syntax, its content, its size."""


class TypedWSError(Exception):
    """The root of all exceptions of typedws."""


class WebSocketDisconnect(TypedWSError):
    """The connection is over; there is nothing more to receive, and nobody to send to.

    ``code`` is the close code (1005: none was given; 1006: there was no close frame), ``reason`` the close reason or
    ``""``, ``closed_by`` who ended it.
    """

    def __init__(self, code: int = 1000, reason: str | None = None, closed_by: ClosedBy | None = None) -> None:
        self.code = code
        self.reason: str = reason or ""
        self.closed_by: ClosedBy = closed_by or ("network" if code == CloseCode.ABNORMAL_CLOSURE else "peer")
        super().__init__(code, self.reason, self.closed_by)

    def __str__(self) -> str:
        meaning = describe(self.code)
        told = f"{int(self.code)} ({meaning})"
        if self.reason and self.reason != meaning:
            told += f", reason {self.reason!r}"
        if self.closed_by == "network":
            return f"the connection was lost: {told}"
        who = "this" if self.closed_by == "application" else "the"
        return f"{who} {self.closed_by} closed the connection: {told}"


class WebSocketDisconnected(WebSocketDisconnect, RuntimeError):
    """A connection was used after its end, whoever ended it; ``except WebSocketDisconnect`` catches it too."""

    def __str__(self) -> str:
        return f"expected an open connection, found one that is over ({super().__str__()}): stop using it"


class ErrorDetail(TypedDict):
    """One failure inside a message, as pydantic tells it (``pydantic_core.ErrorDetails``)."""

    type: str
    loc: tuple[int | str, ...]
    msg: str
    input: NotRequired[object]
    ctx: NotRequired[dict[str, Any]]


class ValidationFailure(Protocol):
    """The part of ``pydantic.ValidationError`` that is used here."""

    def errors(self, *, include_url: bool = ..., include_context: bool = ..., include_input: bool = ...) -> list[Any]:
        """Every failure, as a dictionary."""
        ...


_CLOSE_CODES: Final[dict[MessageProblem, CloseCode]] = {
    "wrong_frame": CloseCode.UNSUPPORTED_DATA,
    "malformed": CloseCode.INVALID_DATA,
    "invalid": CloseCode.INVALID_DATA,
    "too_big": CloseCode.MESSAGE_TOO_BIG,
}

_MAX_LOCATIONS: Final = 3


def _nothing_is_known(_: str) -> bool:
    return False


class InvalidInput(TypedWSError):
    """The peer gave something that is not what was declared: see its two kinds.

    ``problem`` says why, ``expected`` and ``found`` what. The text of this exception never repeats what the peer gave;
    ``errors()`` may.
    """

    def __init__(
        self,
        problem: MessageProblem,
        expected: str,
        found: str,
        failure: ValidationFailure | None = None,
        is_known: Callable[[str], bool] = _nothing_is_known,
    ) -> None:
        super().__init__(problem, expected, found)
        self.problem: MessageProblem = problem
        self.expected = expected
        self.found = found
        self._failure = failure
        self._is_known = is_known

    def errors(self, *, include_input: bool = False) -> list[ErrorDetail]:
        """Every failure as pydantic tells it, without the input unless asked for.

        Messages, locations and contexts repeat keys and tags that the peer sent: log them with care, and do not send
        them back. A message refused before validation has one entry, whose type is the ``problem``.
        """
        if self._failure is None:
            return [{"type": self.problem, "loc": (), "msg": str(self)}]
        details = self._failure.errors(include_url=False, include_input=include_input)
        return cast(list[ErrorDetail], details)

    def locations(self) -> list[tuple[str, str]]:
        """Every failure as (location, type), with nothing of the peer's in it: what may be sent back.

        A location is dotted (``items.3.price``); a key that the declared type does not name is shown as ``*``.
        """
        if self._failure is None:
            return []
        details: list[ErrorDetail] = self._failure.errors(include_url=False, include_context=False, include_input=False)
        return [(self._dotted(detail["loc"]), detail["type"]) for detail in details]

    def _dotted(self, location: Iterable[int | str]) -> str:
        return ".".join(str(part) if isinstance(part, int) or self._is_known(part) else "*" for part in location)

    def __str__(self) -> str:
        sentence = f"expected {self.expected}, found {self.found}"
        if self.problem == "invalid" and (where := self.locations()):
            shown = [f"{kind} at {location}" if location else kind for location, kind in where[:_MAX_LOCATIONS]]
            if len(where) > len(shown):
                shown.append(f"{len(where) - len(shown)} more")
            sentence += f" ({'; '.join(shown)})"
        return sentence


class InvalidMessage(InvalidInput):
    """The peer sent a message that is not one of those expected. It was consumed whole; the connection goes on.

    ``close_code`` is the close code that would answer it: 1003 for the wrong kind of frame, 1009 for too big, 1007 for
    the rest (RFC 6455 section 7.4.1).
    """

    @property
    def close_code(self) -> CloseCode:
        """The close code that fits."""
        return _CLOSE_CODES[self.problem]


class InvalidParams(InvalidInput):
    """The path and query parameters of a handshake are not those declared; ``status_code`` is what would answer it."""

    status_code = 422


class UnknownSubprotocol(TypedWSError):
    """The client offers subprotocols, and none that is spoken here; ``status_code`` is what would answer it.

    A browser fails a connection for which it offered some and none is selected. ``known`` are those spoken here; what
    was offered is not repeated, for it may carry a token.
    """

    status_code = 400

    def __init__(self, known: Iterable[str]) -> None:
        self.known: tuple[str, ...] = tuple(known)
        super().__init__(self.known)

    def __str__(self) -> str:
        if not self.known:
            return "expected no offer of subprotocols, found one: nothing is spoken here but the default"
        return f"expected an offer of the subprotocol {' or '.join(self.known)}, found only others"


class _Expectation(TypedWSError):
    """What was expected, what was found, and perhaps what to do."""

    def __init__(self, expected: str, found: str, hint: str = "") -> None:
        super().__init__(expected, found, hint)
        self.expected = expected
        self.found = found
        self.hint = hint

    def __str__(self) -> str:
        return f"expected {self.expected}, found {self.found}" + (f": {self.hint}" if self.hint else "")


class InvalidState(_Expectation, RuntimeError):
    """A move that the connection's state does not allow; it changed nothing."""


class ConcurrentReceive(InvalidState):
    """A second task receives while another one waits in a ``receive``; the first goes on undisturbed."""

    def __init__(self) -> None:
        super().__init__("one task that receives", "a second one", "receive in one task and hand messages on")
        self.args: tuple[Any, ...] = ()


class DenialResponseUnsupported(InvalidState):
    """The server lacks the WebSocket Denial Response extension, so that only ``close()`` can deny: a plain 403."""

    def __init__(self) -> None:
        super().__init__(
            "a server with the extension websocket.http.response", "one without it", "use close() or deny()"
        )
        self.args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"The server doesn't support the Websocket Denial Response extension: {self.hint}."


class UndeclaredMessageType(InvalidState):
    """A message type was neither declared on the connection nor given to the call."""

    def __init__(self) -> None:
        super().__init__(
            "a declared message type", "none", "name one, as in receive_model(Order) or WebSocket[Order, Reply]"
        )
        self.args: tuple[Any, ...] = ()


class UnsendableMessage(TypedWSError, ValueError):
    """What the application wants to say cannot be, or must not be, a message; nothing was sent."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(expected, found)
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"expected {self.expected}, found {self.found}: nothing was sent"


class InvalidHandshake(TypedWSError, ValueError):
    """An accept or a denial carries a field that must not be sent; nothing was sent."""

    def __init__(self, field: str, expected: str, found: str) -> None:
        super().__init__(field, expected, found)
        self.field = field
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected}, found {self.found}"


class InvalidClose(TypedWSError, ValueError):
    """A close code that must not be sent, or a reason that does not fit a close frame; nothing was sent."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        if self.reason:
            size = len(self.reason.encode(errors="surrogatepass"))
            found = f"{size} bytes" if size > MAX_REASON_BYTES else "a lone surrogate"
            limit = f"at most {MAX_REASON_BYTES} bytes of UTF-8"
            return f"expected a close reason of {limit}, found {found}: truncate_reason() cuts"
        return (
            f"expected a close code that may be sent (1000-1003, 1007-1014, 3000-4999), "
            f"found {self.code!r} ({describe(self.code)})"
        )


class InvalidMessageType(TypedWSError, TypeError):
    """A message type that pydantic cannot build, or that names types which are not defined yet."""

    def __init__(self, found: str, problem: str) -> None:
        super().__init__(found, problem)
        self.found = found
        self.problem = problem

    def __str__(self) -> str:
        return f"expected a message type that pydantic can build, found {self.found}: {self.problem}"


class InvalidDeclaration(_Expectation, ValueError):
    """Something that is declared once, before anybody connects, contradicts itself: see its kinds."""


class InvalidContract(InvalidDeclaration):
    """A contract that no connection could keep."""


class InvalidEndpoint(InvalidDeclaration):
    """A handler that cannot serve, or does not agree with its contract or its policy."""


class InvalidGroup(InvalidDeclaration):
    """A group whose outboxes could not work."""


class InvalidPath(InvalidDeclaration):
    """A path template that is none, or a value that does not fit into one."""


class InvalidPolicy(InvalidDeclaration):
    """A policy with a field that means nothing."""


class UnknownMode(TypedWSError, RuntimeError):
    """A mode that names no codec of the registry."""

    def __init__(self, mode: str, known: Iterable[str]) -> None:
        self.mode = mode
        self.known: tuple[str, ...] = tuple(known)
        super().__init__(mode, self.known)

    def __str__(self) -> str:
        known = ", ".join(f'"{name}"' for name in self.known)
        return f'The "mode" argument should be one of {known}, found {self.mode!r}: register a codec of that name'


class CodecNotInstalled(UnknownMode):
    """A mode whose codec stands on an optional library that is not installed."""

    def __init__(self, mode: str, extra: str) -> None:
        super().__init__(mode, ())
        self.extra = extra
        self.args: tuple[Any, ...] = (mode, extra)

    def __str__(self) -> str:
        return f'The mode "{self.mode}" needs an optional library: install typedws[{self.extra}]'


class HTTPException(TypedWSError):
    """Deny the handshake with an HTTP status; after the accept it closes with 1008.

    ``detail`` is what the client is told, by default the status's standard phrase.
    """

    def __init__(self, status_code: int, detail: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        known = status_code in HTTPStatus.__members__.values()
        self.status_code = status_code
        self.detail: str = detail if detail is not None else HTTPStatus(status_code).phrase if known else ""
        self.headers: Mapping[str, str] | None = headers
        super().__init__(status_code, self.detail, headers)

    def __str__(self) -> str:
        return f"{int(self.status_code)}: {self.detail}"


class WebSocketException(TypedWSError):
    """Close the connection with a code and a reason; before the accept the client is denied with 403.

    Of an `ApplicationCloseCode` the reason is its description, unless another is given.
    """

    def __init__(self, code: int, reason: str | None = None) -> None:
        self.code = code
        told = code.description if isinstance(code, ApplicationCloseCode) else ""
        self.reason: str = told if reason is None else reason
        super().__init__(code, self.reason)

    def __str__(self) -> str:
        return f"{int(self.code)}: {self.reason}"


class ConnectionFailed(TypedWSError):
    """A client got no connection: see its kinds, each a reason of its own."""


class ServerUnreachable(_Expectation, ConnectionFailed):
    """The server's name has no address, nobody listens there, or the connection broke before it answered."""


class ConnectTimeout(_Expectation, ConnectionFailed, TimeoutError):
    """The opening handshake was not over in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"an accepted connection within {seconds:g} s", "no answer yet")
        self.seconds = seconds
        self.args: tuple[Any, ...] = (seconds,)


class TLSHandshakeFailed(_Expectation, ConnectionFailed):
    """The server's certificate is not trusted, or it speaks no TLS that we do (close code 1015 stands for it)."""


class InvalidResponse(_Expectation, ConnectionFailed):
    """The server's answer to the opening handshake is none that RFC 6455 section 4.1 lets a client take."""


class ClientNotInstalled(TypedWSError, RuntimeError):
    """The client stands on an optional library that is not installed."""

    def __str__(self) -> str:
        return "The client needs an optional library: install typedws[client]"
