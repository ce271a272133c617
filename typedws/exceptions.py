"""All exceptions of typedws, and their sentences. No rule is decided here.

::

    TypedWSError
    ├── WebSocketDisconnect                    the peer is gone
    │   └── WebSocketDisconnected              used after the end                 (RuntimeError too)
    ├── InvalidInput                           the peer sent what was not declared
    │   ├── InvalidMessage                     a message
    │   └── InvalidParams                      parameters of the handshake
    ├── UnknownSubprotocol                     the client offers no supported subprotocol
    ├── InvalidState                           not allowed in this state          (RuntimeError too)
    │   ├── ConcurrentReceive                  a second task receives
    │   ├── DenialResponseUnsupported          the server lacks the extension
    │   └── UndeclaredMessageType              no message type declared or given
    ├── UnsendableMessage                      a message that must not be sent    (ValueError too)
    ├── InvalidHandshake                       a bad field in an accept or denial (ValueError too)
    ├── InvalidClose                           a bad close code or close reason   (ValueError too)
    ├── InvalidMessageType                     pydantic cannot build the type     (TypeError too)
    ├── InvalidDeclaration                     a declaration that contradicts itself (ValueError too)
    │   ├── InvalidContract
    │   ├── InvalidEndpoint                    an unsuitable handler
    │   ├── InvalidGroup
    │   ├── InvalidPath                        a path template, or a value for one
    │   └── InvalidPolicy
    ├── UnknownMode                            no codec has that name             (RuntimeError too)
    │   └── CodecNotInstalled                  the extra is not installed
    ├── HTTPException                          raised by a handler to deny
    ├── WebSocketException                     raised by a handler to close
    ├── ConnectionFailed                       a client could not connect
    │   ├── ConnectionDenied                   the server answered with an HTTP response
    │   ├── ConnectTimeout                     no answer in time                  (TimeoutError too)
    │   ├── InvalidResponse                    an answer that violates RFC 6455
    │   ├── ServerUnreachable                  no address, no TCP connection, or it broke
    │   └── TLSHandshakeFailed                 not trusted, or no TLS
    └── ClientNotInstalled                     the extra is not installed         (RuntimeError too)

Facts are fields, and ``str()`` makes one sentence of them. `ConnectionDenied` is defined in `typedws.client`, the
exceptions of tests in `typedws.testing`.
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
    "ValidationFailure",
    "WebSocketDisconnect",
    "WebSocketDisconnected",
    "WebSocketException",
]

ClosedBy: TypeAlias = Literal["peer", "application", "server", "network"]
"""Which side ended a connection: the peer, this application, its server (a restart), or a failure of the network."""

MessageProblem: TypeAlias = Literal["wrong_frame", "malformed", "invalid", "too_big"]
"""Why a message is invalid: its kind of frame, its syntax, its content, or its size."""


class TypedWSError(Exception):
    """The base class of all exceptions of typedws."""


class WebSocketDisconnect(TypedWSError):
    """The connection is over: nothing can be received or sent.

    ``code`` is the close code (1005: the close frame had none; 1006: there was no close frame), ``reason`` the close
    reason or ``""``, ``closed_by`` the side that ended it.
    """

    def __init__(self, code: int = 1000, reason: str | None = None, closed_by: ClosedBy | None = None) -> None:
        self.code = code
        self.reason: str = reason or ""
        self.closed_by: ClosedBy = closed_by or ("network" if code == CloseCode.ABNORMAL_CLOSURE else "peer")
        super().__init__(code, self.reason, self.closed_by)

    def __str__(self) -> str:
        meaning = describe(self.code)
        code = f"{int(self.code)} ({meaning})"
        if self.reason and self.reason != meaning:
            code += f", reason {self.reason!r}"
        if self.closed_by == "network":
            return f"the connection was lost: {code}"
        article = "this" if self.closed_by == "application" else "the"
        return f"{article} {self.closed_by} closed the connection: {code}"


class WebSocketDisconnected(WebSocketDisconnect, RuntimeError):
    """A connection was used after its end. ``except WebSocketDisconnect`` catches this exception too."""

    def __str__(self) -> str:
        return f"this connection is over and cannot be used: {super().__str__()}"


class ErrorDetail(TypedDict):
    """One validation error, as pydantic reports it (``pydantic_core.ErrorDetails``)."""

    type: str
    loc: tuple[int | str, ...]
    msg: str
    input: NotRequired[object]
    ctx: NotRequired[dict[str, Any]]


class ValidationFailure(Protocol):
    """The part of ``pydantic.ValidationError`` that is used here; this module does not import pydantic."""

    def errors(self, *, include_url: bool = ..., include_context: bool = ..., include_input: bool = ...) -> list[Any]:
        """Return every validation error as a dictionary."""
        ...


_CLOSE_CODES: Final[dict[MessageProblem, CloseCode]] = {
    "wrong_frame": CloseCode.UNSUPPORTED_DATA,
    "malformed": CloseCode.INVALID_DATA,
    "invalid": CloseCode.INVALID_DATA,
    "too_big": CloseCode.MESSAGE_TOO_BIG,
}

_MAX_LOCATIONS: Final = 3


def _no_name(_: str) -> bool:
    return False


class InvalidInput(TypedWSError):
    """The peer sent something other than was declared: see `InvalidMessage` and `InvalidParams`.

    ``problem`` is the kind of error, ``expected`` and ``found`` describe it. ``str()`` never repeats what the peer
    sent; ``errors()`` may.
    """

    def __init__(
        self,
        problem: MessageProblem,
        expected: str,
        found: str,
        failure: ValidationFailure | None = None,
        is_known: Callable[[str], bool] = _no_name,
    ) -> None:
        super().__init__(problem, expected, found)
        self.problem: MessageProblem = problem
        self.expected = expected
        self.found = found
        self._failure = failure
        self._is_known = is_known

    def errors(self, *, include_input: bool = False) -> list[ErrorDetail]:
        """Return every validation error as pydantic reports it.

        Messages, locations and contexts repeat keys and tags that the peer sent: log them with care, and do not send
        them back. A message that was refused before validation has one entry, whose type is ``problem``.

        :param include_input: whether each entry has the invalid value
        """
        if self._failure is None:
            return [{"type": self.problem, "loc": (), "msg": str(self)}]
        details = self._failure.errors(include_url=False, include_input=include_input)
        return cast(list[ErrorDetail], details)

    def locations(self) -> list[tuple[str, str]]:
        """Return every validation error as (location, type), without anything that the peer sent: safe to send back.

        A location is dotted (``items.3.price``). A key that the declared type does not name is shown as ``*``.
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
    """The peer sent an invalid message. It was consumed, and the connection stays open.

    ``close_code`` is the close code that fits: 1003 for the wrong kind of frame, 1009 for a message that is too big,
    1007 otherwise (RFC 6455 section 7.4.1).
    """

    @property
    def close_code(self) -> CloseCode:
        """The close code that fits, to close the connection with."""
        return _CLOSE_CODES[self.problem]


class InvalidParams(InvalidInput):
    """The parameters of a handshake fail validation; ``status_code`` is the HTTP status to deny it with."""

    status_code = 422


class UnknownSubprotocol(TypedWSError):
    """The client offers subprotocols, but none that is supported; ``status_code`` is the HTTP status to deny it with.

    A browser fails a connection if it offered subprotocols and none is selected. ``known`` are the supported ones. The
    offer is not repeated: it may contain a token.
    """

    status_code = 400

    def __init__(self, known: Iterable[str]) -> None:
        self.known: tuple[str, ...] = tuple(known)
        super().__init__(self.known)

    def __str__(self) -> str:
        if not self.known:
            return "the client offers subprotocols, but none is supported here"
        return f"the client offers subprotocols, but not {' or '.join(self.known)}"


class _Expectation(TypedWSError):
    """What was expected, what was found, and a hint. ``sentence`` replaces the usual form where it would read badly."""

    def __init__(self, expected: str, found: str, hint: str = "", *, sentence: str | None = None) -> None:
        super().__init__(expected, found, hint)
        self.expected = expected
        self.found = found
        self.hint = hint
        self._sentence = sentence

    def __str__(self) -> str:
        if self._sentence is not None:
            return self._sentence
        return f"expected {self.expected}, found {self.found}" + (f": {self.hint}" if self.hint else "")


class InvalidState(_Expectation, RuntimeError):
    """The state of the connection does not allow this call. Nothing was changed or sent."""


class ConcurrentReceive(InvalidState):
    """A task called ``receive`` while another one waits in it. The other task is not affected."""

    def __init__(self) -> None:
        super().__init__(
            "one task that receives",
            "a second one",
            sentence="another task is already receiving: receive in one task and pass the messages on",
        )
        self.args: tuple[Any, ...] = ()


class DenialResponseUnsupported(InvalidState):
    """The server lacks the WebSocket Denial Response extension: only a plain 403 can deny the handshake."""

    def __init__(self) -> None:
        super().__init__(
            "a server with the extension websocket.http.response", "one without it", "use close() or deny()"
        )
        self.args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"The server doesn't support the Websocket Denial Response extension: {self.hint}."


class UndeclaredMessageType(InvalidState):
    """No message type is declared on the connection, and none was given to the call."""

    def __init__(self) -> None:
        hint = "use receive_model(Order) or WebSocket[Order, Reply]"
        super().__init__("a declared message type", "none", hint, sentence=f"no message type is declared: {hint}")
        self.args: tuple[Any, ...] = ()


class UnsendableMessage(TypedWSError, ValueError):
    """A message has the wrong type, or no frame can or must carry it. Nothing was sent."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(expected, found)
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"expected {self.expected}, found {self.found}: nothing was sent"


class InvalidHandshake(TypedWSError, ValueError):
    """A field of an accept, a denial or a client's request must not be sent. Nothing was sent."""

    def __init__(self, field: str, expected: str, found: str) -> None:
        super().__init__(field, expected, found)
        self.field = field
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected}, found {self.found}"


class InvalidClose(TypedWSError, ValueError):
    """The close code must not be sent, or the close reason does not fit a close frame. Nothing was sent."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        if self.reason:
            size = len(self.reason.encode(errors="surrogatepass"))
            found = f"{size} bytes" if size > MAX_REASON_BYTES else "a lone surrogate"
            limit = f"at most {MAX_REASON_BYTES} bytes of UTF-8"
            return f"expected a close reason of {limit}, found {found}: shorten it with truncate_reason()"
        return (
            f"expected a close code that may be sent (1000-1003, 1007-1014, 3000-4999), "
            f"found {self.code!r} ({describe(self.code)})"
        )


class InvalidMessageType(TypedWSError, TypeError):
    """pydantic cannot build the message type, or the type refers to names that are not defined."""

    def __init__(self, found: str, problem: str) -> None:
        super().__init__(found, problem)
        self.found = found
        self.problem = problem

    def __str__(self) -> str:
        return f"expected a message type that pydantic can build, found {self.found}: {self.problem}"


class InvalidDeclaration(_Expectation, ValueError):
    """A declaration contradicts itself: see its subclasses. Raised when it is made, before any connection."""


class InvalidContract(InvalidDeclaration):
    """A contract that no connection could fulfil."""


class InvalidEndpoint(InvalidDeclaration):
    """An unsuitable handler, or one that does not agree with its contract or its policy."""


class InvalidGroup(InvalidDeclaration):
    """A group with an impossible queue limit or overflow policy."""


class InvalidPath(InvalidDeclaration):
    """An invalid path template, or a value that does not fit its parameter."""


class InvalidPolicy(InvalidDeclaration):
    """A policy with a value out of its range."""


class UnknownMode(TypedWSError, RuntimeError):
    """No codec of the registry has the name of this mode."""

    def __init__(self, mode: str, known: Iterable[str]) -> None:
        self.mode = mode
        self.known: tuple[str, ...] = tuple(known)
        super().__init__(mode, self.known)

    def __str__(self) -> str:
        known = ", ".join(f'"{name}"' for name in self.known)
        return f'The "mode" argument should be one of {known}, found {self.mode!r}: register a codec of that name'


class CodecNotInstalled(UnknownMode):
    """The codec of this mode needs an optional library that is not installed."""

    def __init__(self, mode: str, extra: str) -> None:
        super().__init__(mode, ())
        self.extra = extra
        self.args: tuple[Any, ...] = (mode, extra)

    def __str__(self) -> str:
        return f'The mode "{self.mode}" needs an optional library: install typedws[{self.extra}]'


class HTTPException(TypedWSError):
    """Raised by a handler to deny the handshake with an HTTP status; after the accept it closes with 1008.

    :param detail: the text for the client, by default the standard phrase of the status
    :param headers: header fields of the response
    """

    def __init__(self, status_code: int, detail: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        has_phrase = status_code in HTTPStatus.__members__.values()
        self.status_code = status_code
        self.detail: str = detail if detail is not None else HTTPStatus(status_code).phrase if has_phrase else ""
        self.headers: Mapping[str, str] | None = headers
        super().__init__(status_code, self.detail, headers)

    def __str__(self) -> str:
        return f"{int(self.status_code)}: {self.detail}"


class WebSocketException(TypedWSError):
    """Raised by a handler to close the connection; before the accept it denies with 403.

    :param code: a close code that may be sent, such as a member of an `ApplicationCloseCode`
    :param reason: the close reason, by default the description of the `ApplicationCloseCode`, or none
    """

    def __init__(self, code: int, reason: str | None = None) -> None:
        self.code = code
        description = code.description if isinstance(code, ApplicationCloseCode) else ""
        self.reason: str = description if reason is None else reason
        super().__init__(code, self.reason)

    def __str__(self) -> str:
        return f"{int(self.code)}: {self.reason}"


class ConnectionFailed(TypedWSError):
    """A client could not connect: see its subclasses for the reasons."""


class ServerUnreachable(_Expectation, ConnectionFailed):
    """The server's name has no address, no server listens there, or the connection broke before the answer."""


class ConnectTimeout(_Expectation, ConnectionFailed, TimeoutError):
    """The opening handshake did not finish in time."""

    def __init__(self, seconds: float) -> None:
        limit = f"{seconds:g} s"
        sentence = f"the server did not accept the connection within {limit}"
        super().__init__(f"an accepted connection within {limit}", "no answer yet", sentence=sentence)
        self.seconds = seconds
        self.args: tuple[Any, ...] = (seconds,)


class TLSHandshakeFailed(_Expectation, ConnectionFailed):
    """The TLS handshake failed: the certificate is not trusted, or no TLS version is shared (cf. close code 1015)."""


class InvalidResponse(_Expectation, ConnectionFailed):
    """The server's answer to the opening handshake violates RFC 6455 section 4.1."""


class ClientNotInstalled(TypedWSError, RuntimeError):
    """The client needs an optional library that is not installed."""

    def __str__(self) -> str:
        return "The client needs an optional library: install typedws[client]"
