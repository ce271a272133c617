"""`SyncConnection`: a client's connection for code that does not await. The event loop runs elsewhere."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar, overload

from typing_extensions import TypeForm

from typedws._connection.client_connection import ClientConnection
from typedws._connection.connection import AS_DECLARED
from typedws._http.headers import Headers
from typedws._messages.type_parameters import In_co, Out_contra
from typedws._protocol.outcomes import Closed
from typedws.codecs.modes import Mode
from typedws.exceptions import WebSocketDisconnect

__all__ = ["Caller", "SyncConnection"]

T = TypeVar("T")


class Caller(Protocol):
    """Runs a function on an event loop in another thread, and waits for its result."""

    @overload
    def call(self, function: Callable[..., Awaitable[T]], /, *arguments: Any) -> T: ...
    @overload
    def call(self, function: Callable[..., T], /, *arguments: Any) -> T: ...
    def call(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Call the function and return its result; raises what the function raises."""
        ...


class SyncConnection(Generic[In_co, Out_contra]):
    """A client's connection with blocking methods: each does the same as in `ClientConnection`."""

    def __init__(self, connection: ClientConnection[In_co, Out_contra], caller: Caller) -> None:
        self._connection = connection
        self._call = caller.call

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server selected."""
        return self._connection.subprotocol

    @property
    def response_headers(self) -> Headers:
        """The header fields of the server's response."""
        return self._connection.response_headers

    @property
    def end(self) -> Closed | None:
        """How the connection ended, or ``None`` while that is not known."""
        return self._connection.end

    # --- receiving ---

    @overload
    def receive_model(self, /, *, mode: Mode | None = None) -> In_co: ...
    @overload
    def receive_model(self, form: TypeForm[T], /, mode: Mode | None = None) -> T: ...
    def receive_model(self, form: Any = AS_DECLARED, /, mode: Mode | None = None) -> Any:
        """Return the next message, validated as the declared type or as ``form``."""
        return self._call(self._connection.receive_model, form, mode)

    def receive_text(self) -> str:
        """Return the next message, which must be text."""
        return self._call(self._connection.receive_text)

    def receive_bytes(self) -> bytes:
        """Return the next message, which must be binary."""
        return self._call(self._connection.receive_bytes)

    def receive_json(self, mode: Mode | None = None) -> Any:
        """Return the next message as plain values."""
        return self._call(self._connection.receive_json, mode)

    def __iter__(self) -> Iterator[In_co]:
        """Iterate over validated messages until the connection ends."""
        while True:
            try:
                message = self.receive_model()
            except WebSocketDisconnect:
                return
            yield message

    # --- sending ---

    def send_model(self, message: Out_contra, mode: Mode | None = None) -> None:
        """Send a message of the declared type."""
        self._call(self._connection.send_model, message, mode)

    def send_text(self, data: str) -> None:
        """Send a text message."""
        self._call(self._connection.send_text, data)

    def send_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        self._call(self._connection.send_bytes, data)

    def send_json(self, data: Any, mode: Mode | None = None) -> None:
        """Send plain values, or any value that pydantic serializes to JSON."""
        self._call(self._connection.send_json, data, mode)

    def close(self, code: int = 1000, reason: str | None = None) -> Closed:
        """Close the connection and return how it ended. Does nothing if it has already ended."""
        return self._call(self._connection.close, code, reason)
