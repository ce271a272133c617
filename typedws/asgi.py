"""The ASGI WebSocket protocol as types: the scope, the events and the callables. No behaviour.

The dictionaries follow the `WebSocket section of the ASGI specification
<https://asgi.readthedocs.io/en/latest/specs/www.html#websocket>`_ (spec version 2.5) and its Denial Response
extension. Text and binary messages are separate types, so that a type checker narrows them by their keys.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Literal, NotRequired, Protocol, TypeAlias, TypedDict

__all__ = [
    "ASGIApp",
    "ASGIVersions",
    "BinaryReceiveEvent",
    "BinarySendEvent",
    "Receive",
    "Scope",
    "Send",
    "TextReceiveEvent",
    "TextSendEvent",
    "WebSocketAcceptEvent",
    "WebSocketCloseEvent",
    "WebSocketConnectEvent",
    "WebSocketDisconnectEvent",
    "WebSocketReceiveEvent",
    "WebSocketResponseBodyEvent",
    "WebSocketResponseStartEvent",
    "WebSocketScope",
    "WebSocketSendEvent",
]


class ASGIVersions(TypedDict):
    """The versions of ASGI that the server speaks: ``scope["asgi"]``. A missing ``spec_version`` means ``"2.0"``."""

    version: str
    spec_version: NotRequired[str]


class WebSocketScope(TypedDict):
    """What a server passes to an application about one connection, its *scope*. It lives as long as the connection."""

    type: Literal["websocket"]
    asgi: ASGIVersions
    http_version: NotRequired[str]
    scheme: NotRequired[str]
    path: str
    raw_path: NotRequired[bytes | None]
    query_string: NotRequired[bytes | None]
    root_path: NotRequired[str]
    headers: Iterable[tuple[bytes, bytes]]
    client: NotRequired[tuple[str, int] | None]
    server: NotRequired[tuple[str, int | None] | None]
    subprotocols: NotRequired[Iterable[str]]
    state: NotRequired[dict[str, Any]]
    extensions: NotRequired[dict[str, dict[str, Any]] | None]


class WebSocketConnectEvent(TypedDict):
    """The client has opened a connection and waits for the opening handshake to complete."""

    type: Literal["websocket.connect"]


class TextReceiveEvent(TypedDict):
    """A text message has arrived."""

    type: Literal["websocket.receive"]
    text: str
    bytes: NotRequired[None]


class BinaryReceiveEvent(TypedDict):
    """A binary message has arrived."""

    type: Literal["websocket.receive"]
    bytes: bytes
    text: NotRequired[None]


class WebSocketDisconnectEvent(TypedDict):
    """The connection is over. Code 1005 means that the close frame had no code."""

    type: Literal["websocket.disconnect"]
    code: NotRequired[int | None]
    reason: NotRequired[str | None]


class WebSocketAcceptEvent(TypedDict):
    """Accept the connection. Header names are in lower case, and never ``sec-websocket-protocol``."""

    type: Literal["websocket.accept"]
    subprotocol: NotRequired[str | None]
    headers: NotRequired[Iterable[tuple[bytes, bytes]]]


class TextSendEvent(TypedDict):
    """Send a text message."""

    type: Literal["websocket.send"]
    text: str
    bytes: NotRequired[None]


class BinarySendEvent(TypedDict):
    """Send a binary message."""

    type: Literal["websocket.send"]
    bytes: bytes
    text: NotRequired[None]


class WebSocketCloseEvent(TypedDict):
    """Close the connection. Before the accept, deny the handshake with HTTP status 403."""

    type: Literal["websocket.close"]
    code: NotRequired[int]
    reason: NotRequired[str | None]


class WebSocketResponseStartEvent(TypedDict):
    """Deny the handshake with an HTTP response of this status and these headers (Denial Response extension)."""

    type: Literal["websocket.http.response.start"]
    status: int
    headers: NotRequired[Iterable[tuple[bytes, bytes]]]


class WebSocketResponseBodyEvent(TypedDict):
    """Send a part of the denial's body, the last one unless ``more_body`` is true (Denial Response extension)."""

    type: Literal["websocket.http.response.body"]
    body: NotRequired[bytes]
    more_body: NotRequired[bool]


WebSocketReceiveEvent: TypeAlias = (
    WebSocketConnectEvent | TextReceiveEvent | BinaryReceiveEvent | WebSocketDisconnectEvent
)
"""What ``receive()`` returns: the events that a server sends to an application."""

WebSocketSendEvent: TypeAlias = (
    WebSocketAcceptEvent
    | TextSendEvent
    | BinarySendEvent
    | WebSocketCloseEvent
    | WebSocketResponseStartEvent
    | WebSocketResponseBodyEvent
)
"""What ``send()`` takes: the events that an application sends to a server."""

# TypedDict and MutableMapping[str, Any] are not assignable to each other, and servers and frameworks use both. These
# loose aliases accept the aliases of Starlette, Litestar and uvicorn, and are accepted for them.
Scope: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]


class ASGIApp(Protocol):
    """Any ASGI application or response callable, whichever type aliases it is annotated with."""

    def __call__(self, scope: Any, receive: Any, send: Any, /) -> Awaitable[None]: ...
