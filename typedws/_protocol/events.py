"""Reading and making single ASGI events: what servers say is evened out, what applications say is checked.

Pure functions over one event each. The order of events is `typedws._protocol.state`'s, the content of messages the codecs'.
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


_NOT_IN_ACCEPT: Final = frozenset(
    {b"connection", b"sec-websocket-accept", b"sec-websocket-extensions", b"sec-websocket-protocol", b"upgrade"}
)


def frame_of(event: Mapping[str, Any]) -> str | bytes:
    """Give a ``websocket.receive`` event's message: ``str`` for a text frame, ``bytes`` for a binary one.

    The other key may be absent, ``None`` or empty, as servers differ.
    """
    text: str | None = event.get("text")
    if text:
        return text
    data: bytes | None = event.get("bytes")
    if data or text is None:
        return data or b""
    return text


_NOT_THE_PEER: Final[dict[int, ClosedBy]] = {
    CloseCode.ABNORMAL_CLOSURE: "network",
    CloseCode.SERVICE_RESTART: "server",  # what a server that shuts down tells its application
    # What a server tells whose peer broke the protocol; a peer says it only of a server that does.
    CloseCode.PROTOCOL_ERROR: "server",
    CloseCode.INVALID_DATA: "server",
}


def disconnect_of(event: Mapping[str, Any], server: ServerProfile = CURRENT) -> Closed:
    """Give how a ``websocket.disconnect`` event says that the connection ended; a missing code is 1005, as in ASGI.

    A server that tells reasons says 1005 without one where no close frame came: that is 1006 (RFC 6455 section 7.4.1).
    A transport of our own says in ``closed_by`` when it was not the peer. Where a contract names the code, it is that
    `ApplicationCloseCode`.
    """
    code = event.get("code")
    if code is None:
        code = CloseCode.NO_STATUS_RCVD
    elif code == CloseCode.NO_STATUS_RCVD and server.reports_close_reasons and "reason" not in event:
        code = CloseCode.ABNORMAL_CLOSURE
    closed_by: ClosedBy = event.get("closed_by") or _NOT_THE_PEER.get(code, "peer")
    if server.is_peer and closed_by == "server":
        closed_by = "peer"
    return Closed(_as_contract_code(int(code), server.closes), event.get("reason") or "", closed_by)


def _as_contract_code(code: int, closes: type[ApplicationCloseCode] | None) -> int:
    """Give the close code of a contract where it is one."""
    try:
        return code if closes is None else closes(code)
    except ValueError:
        return code


def means_disconnected(error: Exception) -> bool:
    """Whether an exception of the server's ``send`` says that there is nobody left to send to.

    That is an ``OSError`` (ASGI), a ``RuntimeError`` where the server has closed by itself, and what the socket of a
    framework, whose ``send`` was given to us, makes of these: some exception called ``WebSocketDisconnect``.
    """
    if isinstance(error, TypedWSError):
        return False
    return isinstance(error, OSError | RuntimeError) or is_disconnect_error(error)


def is_disconnect_error(error: BaseException) -> bool:
    """Whether an exception is a ``WebSocketDisconnect``, ours or a framework's."""
    return any(class_.__name__ == "WebSocketDisconnect" for class_ in type(error).__mro__)


def message_event(data: str | bytes) -> TextSendEvent | BinarySendEvent:
    """Make the event that sends a message, in the kind of frame that fits; raises as `text_event` does."""
    return text_event(data) if isinstance(data, str) else binary_event(data)


def text_event(data: str) -> TextSendEvent:
    """Make the event that sends a text message; raises `UnsendableMessage` for text that UTF-8 cannot encode."""
    check_text(data)
    return {"type": "websocket.send", "text": data}


def binary_event(data: bytes) -> BinarySendEvent:
    """Make the event that sends a binary message."""
    return {"type": "websocket.send", "bytes": data}


def close_event(code: int, reason: str | None) -> WebSocketCloseEvent:
    """Make the event that closes; raises `InvalidClose` for a code or a reason that must not be sent."""
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
    """Give what to send where a server refuses to close with a code: the code in the private range, 1011 as 4011.

    daphne's only takes those that a browser may send: 1000 and 3000-4999.
    """
    code: int = event.get("code", CloseCode.NORMAL_CLOSURE)
    if event["type"] != "websocket.close" or not CloseCode.NORMAL_CLOSURE < code < CloseCode.UNAUTHORIZED:
        return None
    return {"type": "websocket.close", "code": code + 3000, "reason": event.get("reason")}


def accept_event(
    subprotocol: str | None, headers: HeadersInput | None, offered: Collection[str]
) -> WebSocketAcceptEvent:
    """Make the event that accepts; raises `InvalidHandshake` for a subprotocol or a header that must not be sent.

    The subprotocol must be one that the client offered (RFC 6455 section 4.2.2). The error does not repeat the
    offer, which may carry a token.
    """
    if subprotocol is not None:
        offer = read_offer(tuple(offered))
        if subprotocol == offer.token and subprotocol not in offer.names:
            raise InvalidHandshake(
                "subprotocol", "one that may be answered", "the client's token, which is never echoed"
            )
        if subprotocol not in (*offer.names, offer.marker):
            count = len(offered)
            raise InvalidHandshake("subprotocol", f"one of the {count} that the client offered", repr(subprotocol))
    fields = header_list(headers)
    for name, _ in fields:
        if name in _NOT_IN_ACCEPT:
            raise InvalidHandshake("headers", "none that belongs to the handshake itself", repr(name.decode()))
    return {"type": "websocket.accept", "subprotocol": subprotocol, "headers": fields}


def check_event(event: Mapping[str, Any], offered: Collection[str]) -> None:
    """Hold an event that the application wrote itself to the rules of those that are made here.

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
