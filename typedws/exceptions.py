"""What a handler raises to end a connection, under the classic names. What becomes of them is decided elsewhere."""

from collections.abc import Mapping
from http import HTTPStatus

from typedws.closing import ApplicationCloseCode
from typedws.errors import TypedWSError

__all__ = ["HTTPException", "WebSocketException"]


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
