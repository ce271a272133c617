"""The HTTP response that denies a handshake, and problem documents (RFC 9457). Nothing is sent here."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from typedws._http.headers import HeadersInput, header_list
from typedws._messages.adapter import adapter_for
from typedws._protocol.text import check_text
from typedws.asgi import WebSocketResponseBodyEvent, WebSocketResponseStartEvent
from typedws.codecs.json import BinaryJSON
from typedws.exceptions import InvalidHandshake

__all__ = ["DenialResponse", "ProblemDocument", "supports_denial_response"]

_JSON: Final = BinaryJSON()


def _is_none(value: object) -> bool:
    return value is None


class ProblemDocument(BaseModel):
    """A problem document (RFC 9457, ``application/problem+json``). Additional members are allowed."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", defer_build=True)

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = Field(default=None, exclude_if=_is_none)
    instance: str | None = Field(default=None, exclude_if=_is_none)

    @classmethod
    def of(cls, status: int, detail: str | None = None, **members: Any) -> "ProblemDocument":
        """Return the document for an HTTP status; its title is the standard phrase of the status."""
        has_phrase = status in HTTPStatus.__members__.values()
        check_text(detail or "")
        return cls(title=HTTPStatus(status).phrase if has_phrase else "Denied", status=status, detail=detail, **members)


class DenialResponse:
    """An HTTP response that denies a handshake.

    ``content-type`` is set by the kind of body unless given. ``content-length`` is always set.

    :param status: 300 to 599; a 2xx would mean that the request succeeded, a 1xx that a response follows
    :param headers: header fields of the response
    :param body: bytes, text, or a model, which is serialized as JSON
    :raises InvalidHandshake: if the status or a header must not be sent
    """

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, status: int = 403, *, headers: HeadersInput | None = None, body: bytes | str | BaseModel = b""
    ) -> None:
        if not 300 <= status <= 599:
            raise InvalidHandshake("status", "an HTTP status from 300 to 599", str(int(status)))
        self.status: int = int(status)
        self.body: bytes
        self.body, content_type = _rendered(body)
        self.headers: list[tuple[bytes, bytes]] = [
            field for field in header_list(headers) if field[0] != b"content-length"
        ]
        if content_type and not any(name == b"content-type" for name, _ in self.headers):
            self.headers.append((b"content-type", content_type))
        self.headers.append((b"content-length", str(len(self.body)).encode()))

    def events(self) -> tuple[WebSocketResponseStartEvent, WebSocketResponseBodyEvent]:
        """Return the two events of the Denial Response extension. One body event, as granian refuses several."""
        return (
            {"type": "websocket.http.response.start", "status": self.status, "headers": self.headers},
            {"type": "websocket.http.response.body", "body": self.body},
        )


def _rendered(body: bytes | str | BaseModel) -> tuple[bytes, bytes | None]:
    if isinstance(body, bytes):
        return body, b"application/octet-stream" if body else None
    if isinstance(body, str):
        check_text(body)
        return body.encode(), b"text/plain; charset=utf-8"
    if isinstance(body, ProblemDocument):
        return body.model_dump_json(exclude_none=True).encode(), b"application/problem+json"
    return _JSON.encode_model(body, adapter_for(type(body))), b"application/json"


def supports_denial_response(scope: Mapping[str, Any]) -> bool:
    """Whether the server has the Denial Response extension. daphne has ``None`` for all extensions."""
    return "websocket.http.response" in (scope.get("extensions") or {})
