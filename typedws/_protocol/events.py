"""Single ASGI events: reading those that servers send, which differ; building and checking those that are sent.

Each function is pure and handles one event. The order of events is checked in `typedws._protocol.state`, the content of
messages in the codecs.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from typedws._http.headers import HeadersInput, header_list
from typedws._http.subprotocols import read_offer
from typedws._protocol.outcomes import Closed
from typedws._protocol.server_profiles import CURRENT, ServerProfile
from typedws._protocol.text import check_text
from typedws.asgi import BinarySendEvent, TextSendEvent, WebSocketAcceptEvent, WebSocketCloseEvent
from typedws.close_codes import MAX_REASON_BYTES, ApplicationCloseCode, CloseCode, is_sendable, truncate_reason
from typedws.exceptions import ClosedBy, InvalidClose, InvalidHandshake, TypedWSError

__all__ = [
    "accept_event",
    "binary_event",
    "check_event",
    "close_event",
    "disconnect_of",
    "frame_of",
    "is_disconnect_error",
    "means_disconnected",
    "message_event",
    "private_range_close",
    "text_event",
]


# Fields that the server writes itself. A subprotocol has its own key in the event.
_HANDSHAKE_FIELDS: Final = frozenset(
    {b"connection", b"sec-websocket-accept", b"sec-websocket-extensions", b"sec-websocket-protocol", b"upgrade"}
)


def frame_of(event: Mapping[str, Any]) -> str | bytes:
    """Return the message of a ``websocket.receive`` event: ``str`` for a text frame, ``bytes`` for a binary one.

    The other key may be missing, ``None`` or empty, because servers differ.
    """
    # An empty text decides nothing: a server that sets both keys may leave it beside the bytes of a binary frame.
    text: str | None = event.get("text")
    if text:
        return text
    data: bytes | None = event.get("bytes")
    if data or text is None:
        return data or b""
    return text


# The codes that mean that something other than the peer ended the connection.
_CLOSED_BY: Final[dict[int, ClosedBy]] = {
    CloseCode.ABNORMAL_CLOSURE: "network",
    CloseCode.SERVICE_RESTART: "server",  # a server that shuts down reports this code to its application
    # A server reports these two if its peer broke the protocol. A peer would send them only if the server broke it.
    CloseCode.PROTOCOL_ERROR: "server",
    CloseCode.INVALID_DATA: "server",
}


def disconnect_of(event: Mapping[str, Any], server: ServerProfile = CURRENT) -> Closed:
    """Return how the connection ended, as a ``websocket.disconnect`` event reports it.

    A missing code is 1005, as in ASGI. A server that reports close reasons reports 1005 without a reason if no close
    frame arrived: the result is then 1006 (RFC 6455 section 7.4.1). A transport of typedws itself sets ``closed_by`` if
    the peer did not close. If the contract names the code, the result has that `ApplicationCloseCode`.
    """
    code = event.get("code")
    if code is None:
        code = CloseCode.NO_STATUS_RCVD
    elif code == CloseCode.NO_STATUS_RCVD and server.reports_close_reasons and "reason" not in event:
        code = CloseCode.ABNORMAL_CLOSURE
    closed_by: ClosedBy = event.get("closed_by") or _CLOSED_BY.get(code, "peer")
    # To a client, the server is the peer.
    if server.is_peer and closed_by == "server":
        closed_by = "peer"
    return Closed(_as_contract_code(int(code), server.closes), event.get("reason") or "", closed_by)


def _as_contract_code(code: int, closes: type[ApplicationCloseCode] | None) -> int:
    """Return the member of the contract's close codes, or the code itself if the contract does not name it."""
    try:
        return code if closes is None else closes(code)
    except ValueError:
        return code


def means_disconnected(error: Exception) -> bool:
    """Whether an exception that the server's ``send`` raised means that the peer is gone.

    That is an ``OSError`` (ASGI), a ``RuntimeError`` if the server itself has closed, or any exception that is called
    ``WebSocketDisconnect``: a framework that wraps ``send`` converts the others to its own.
    """
    # Some of our own derive from RuntimeError, such as `InvalidState`; they do not come from the server.
    if isinstance(error, TypedWSError):
        return False
    return isinstance(error, OSError | RuntimeError) or is_disconnect_error(error)


def is_disconnect_error(error: BaseException) -> bool:
    """Whether an exception is a ``WebSocketDisconnect``, of typedws or of a framework."""
    # By name: importing the frameworks would make them dependencies.
    return any(class_.__name__ == "WebSocketDisconnect" for class_ in type(error).__mro__)


def message_event(data: str | bytes) -> TextSendEvent | BinarySendEvent:
    """Return the event that sends a message, in a text or a binary frame; raises as `text_event` does."""
    return text_event(data) if isinstance(data, str) else binary_event(data)


def text_event(data: str) -> TextSendEvent:
    """Return the event that sends a text message.

    :raises UnsendableMessage: if UTF-8 cannot encode the text
    """
    check_text(data)
    return {"type": "websocket.send", "text": data}


def binary_event(data: bytes) -> BinarySendEvent:
    """Return the event that sends a binary message."""
    return {"type": "websocket.send", "bytes": data}


def close_event(code: int, reason: str | None) -> WebSocketCloseEvent:
    """Return the event that closes the connection. The default reason is the description of an `ApplicationCloseCode`.

    :raises InvalidClose: if the code or the reason must not be sent
    """
    if not is_sendable(code):
        raise InvalidClose(code)
    if reason is None:
        reason = truncate_reason(code.description) if isinstance(code, ApplicationCloseCode) else ""
    try:
        fits = len(reason.encode()) <= MAX_REASON_BYTES
    except UnicodeEncodeError:
        fits = False
    if not fits:
        raise InvalidClose(code, reason)
    return {"type": "websocket.close", "code": int(code), "reason": reason}


def private_range_close(event: Mapping[str, Any]) -> WebSocketCloseEvent | None:
    """Return the close event to send if a server refuses this one: with a code in the private range, 4011 for 1011.

    ``None`` if the event is not a close, or has no such code. daphne accepts only the codes that a browser may send:
    1000 and 3000-4999.
    """
    code: int = event.get("code", CloseCode.NORMAL_CLOSURE)
    if event["type"] != "websocket.close" or not CloseCode.NORMAL_CLOSURE < code < CloseCode.UNAUTHORIZED:
        return None
    return {"type": "websocket.close", "code": code + 3000, "reason": event.get("reason")}


def accept_event(
    subprotocol: str | None, headers: HeadersInput | None, offered: Collection[str]
) -> WebSocketAcceptEvent:
    """Return the event that accepts the handshake.

    The subprotocol must be one that the client offered (RFC 6455 section 4.2.2). The error does not repeat the offer,
    which may contain a token.

    :raises InvalidHandshake: if the subprotocol or a header must not be sent
    """
    if subprotocol is not None:
        offer = read_offer(tuple(offered))
        if subprotocol == offer.token and subprotocol not in offer.names:
            raise InvalidHandshake("subprotocol", "a subprotocol", "the token after 'bearer', which is never sent back")
        if subprotocol not in (*offer.names, offer.marker):
            count = len(offered)
            raise InvalidHandshake("subprotocol", f"one of the {count} that the client offered", repr(subprotocol))
    fields = header_list(headers)
    for name, _ in fields:
        if name in _HANDSHAKE_FIELDS:
            raise InvalidHandshake("headers", "no header of the handshake itself", repr(name.decode()))
    return {"type": "websocket.accept", "subprotocol": subprotocol, "headers": fields}


def check_event(event: Mapping[str, Any], offered: Collection[str]) -> None:
    """Check an event that the application built itself, by the rules of the events that are built here.

    :raises InvalidHandshake, InvalidClose, UnsendableMessage: as `accept_event`, `close_event` and `text_event` do
    """
    match event["type"]:
        case "websocket.accept":
            accept_event(event.get("subprotocol"), event.get("headers"), offered)
        case "websocket.close":
            close_event(event.get("code", CloseCode.NORMAL_CLOSURE), event.get("reason"))
        case "websocket.send":
            check_text(event.get("text") or "")
        case _:
            pass
