"""The client's side of RFC 6455, in bytes: the opening handshake, frames, the closing handshake. Nothing is awaited.

It is built on the sans-I/O protocol of ``websockets``. The server's bytes go in and ASGI events come out; events to
send go in and bytes come out.
"""

import logging
import zlib
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from websockets.client import ClientProtocol
from websockets.datastructures import Headers as FieldHeaders
from websockets.exceptions import InvalidHeader, InvalidStatus, NegotiationError, ProtocolError, SecurityError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from typedws._connection.client_connection import Accepted
from typedws._connection.connection_denied import ConnectionDenied
from typedws._http.headers import Headers
from typedws._http.outgoing_request import OutgoingRequest
from typedws.close_codes import CloseCode, truncate_reason
from typedws.exceptions import ClosedBy, ConnectionFailed, InvalidResponse, ServerUnreachable

__all__ = ["Wire"]


class _Protocol(ClientProtocol):
    """Works around two faults of ``websockets``: closes between fragments, and compressed messages with a final block.

    ``recv_frame``, ``current_size`` and the decoder of the extension are not documented by ``websockets``.
    """

    def recv_frame(self, frame: Frame) -> None:
        # websockets fails the connection with 1002 if a close comes between the fragments of a message, which RFC 6455
        # section 5.4 allows. Without a current size it takes the message for complete; the rest will not come anyway.
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        for extension in self.extensions:
            if isinstance(extension, PerMessageDeflate) and frame.opcode in _DATA_OPCODES:
                _renew_decoder(extension, frame)
        super().recv_frame(frame)


def _renew_decoder(deflate: PerMessageDeflate, frame: Frame) -> None:
    """Replace a decoder that has met a final block, with which a message may end (RFC 7692 section 7.2.3.4).

    zlib's decoder stops for good at a block that is marked as final. ``websockets`` keeps using it, and all later
    messages would be empty.
    """
    # With `server_no_context_takeover`, websockets deletes the decoder after each message, and makes a new one.
    decoder = getattr(deflate, "decoder", None)
    if decoder is None or not decoder.eof:
        return
    if decoder.unused_data not in _AFTER_FINAL_BLOCK:
        raise ProtocolError("compressed data after the last block")
    # Before the end of the message the old decoder stays, so that the check above sees the rest of the fragments.
    if frame.fin:
        deflate.decoder = zlib.decompressobj(wbits=-deflate.remote_max_window_bits)


class Wire:
    """The protocol state of one client connection.

    ``events`` are the events to receive, in order, the disconnect last. ``outgoing`` are the bytes to write: about
    ``message_bytes`` of messages, and ``control_bytes`` of the handshake and of control frames. ``pong`` is the payload
    of the last ping that was answered.

    :param max_message_size: the limit of a server message in bytes, uncompressed; ``None`` for no limit
    :param is_compressing: whether to offer compression (RFC 7692)
    """

    __slots__ = (
        "_drops_messages",
        "_fragments",
        "_has_ended",
        "_headers",
        "_is_text",
        "_ping_payload",
        "_protocol",
        "control_bytes",
        "disconnect",
        "events",
        "message_bytes",
        "outgoing",
        "pong",
        "request_headers",
    )

    def __init__(self, request: OutgoingRequest, max_message_size: int | None, is_compressing: bool) -> None:
        uri = WebSocketURI(
            request.is_secure, request.host, request.port, request.path, request.query, *(request.user_info or ())
        )
        self._protocol = _Protocol(
            uri,
            extensions=[_DEFLATE] if is_compressing else None,
            subprotocols=[Subprotocol(each) for each in request.subprotocols] or None,
            max_size=max_message_size,
            logger=_logger,
        )
        self._headers = FieldHeaders()
        self._fragments: bytearray | None = None
        """The fragments so far of a message that is not complete."""
        self._is_text = False
        self._drops_messages = False
        """Whether messages are dropped, as this side closes the connection."""
        self._has_ended = False
        """Whether the server has ended its side of the TCP connection."""
        self.events: deque[Mapping[str, Any]] = deque()
        self.disconnect: Mapping[str, Any] | None = None
        """The disconnect event, once it is in ``events``."""
        self.outgoing: list[bytes] = []
        self.message_bytes: int = 0
        self.control_bytes: int = 0
        self._ping_payload = b""
        self.pong: bytes = b""

        self.request_headers: list[tuple[bytes, bytes]] = self._send_request(request)
        """All header fields of the request, as they are sent."""

    # --- the opening handshake ---

    def _send_request(self, request: OutgoingRequest) -> list[tuple[bytes, bytes]]:
        opening = self._protocol.connect()
        opening.headers["User-Agent"] = _USER_AGENT
        # Assigning to these headers adds a field, so the fields that the caller replaces are removed first.
        for replaced in {name.decode() for name, _ in request.headers}:
            opening.headers.pop(replaced, None)
        for name, value in request.headers:
            opening.headers[name.decode()] = value.decode("latin-1")
        self._protocol.send_request(opening)
        self._take_writes()
        return _raw_headers(opening.headers)

    def accepted(self) -> Accepted | None:
        """Return what the server's response accepted, or ``None`` if the response is not complete.

        :raises ConnectionDenied: if the server denied
        :raises InvalidResponse: if the response is not valid
        :raises ServerUnreachable: if the connection ended before the response
        """
        if (failure := self._protocol.handshake_exc) is not None:
            raise _translate_failure(failure, has_ended=self._has_ended) from failure
        if self._protocol.state is State.CONNECTING:
            return None
        return Accepted(self._protocol.subprotocol, Headers(raw=_raw_headers(self._headers)))

    @property
    def is_compressed(self) -> bool:
        """Whether the server may send compressed messages."""
        return bool(self._protocol.extensions)

    # --- in ---

    def feed(self, data: bytes) -> None:
        """Process bytes of the server; ``b""`` is the end of its side.

        :raises InvalidResponse: if the response has an extension with impossible parameters
        """
        protocol = self._protocol
        if data:
            try:
                protocol.receive_data(data)
            except ValueError as error:  # raised by zlib, and not caught by websockets before 17.2
                raise InvalidResponse(*_NOT_OFFERED) from error
        else:
            self._has_ended = True
            protocol.receive_eof()
        for event in protocol.events_received():
            if isinstance(event, Response):
                self._headers = event.headers
            # The protocol may have parsed frames after the one at which the connection failed here, for its UTF-8.
            elif isinstance(event, Frame) and self.disconnect is None:
                self._take(event)
        if protocol.writes:
            self._take_writes()
        if protocol.parser_exc is not None and self.disconnect is None:
            self._fail(protocol.parser_exc)

    def _take(self, frame: Frame) -> None:
        opcode, data = frame.opcode, frame.data
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            self._is_text = opcode is Opcode.TEXT
            if frame.fin:
                self._take_message(data)
            else:
                self._fragments = bytearray(data)
        elif opcode is Opcode.CONT and self._fragments is not None:
            self._fragments += data
            if frame.fin:
                data, self._fragments = self._fragments, None
                self._take_message(data)
        # Any other pong is unsolicited (RFC 6455 section 5.5.3): it must not hide the one that answers the ping.
        elif opcode is Opcode.PONG and data == self._ping_payload:
            self.pong = bytes(data)
        elif opcode is Opcode.CLOSE and (close := self._protocol.close_rcvd) is not None:
            self._end(int(close.code), close.reason)

    def _take_message(self, data: Any) -> None:
        if self._drops_messages:
            return
        if not self._is_text:
            self.events.append({"type": "websocket.receive", "bytes": bytes(data)})
            return
        try:
            self.events.append({"type": "websocket.receive", "text": str(data, "utf-8")})
        except UnicodeDecodeError:
            self._protocol.fail(CloseCode.INVALID_DATA, _NO_UTF_8)  # websockets does not check the encoding of text
            # Not left to _fail(): the protocol may have read on and have answered a close frame, so that its own close
            # code need not be 1007.
            self._end(CloseCode.INVALID_DATA, _NO_UTF_8, "application")

    def _fail(self, failure: Exception) -> None:
        """Record the end of a connection that this side failed (RFC 6455 section 7.1.7), or that was lost."""
        sent = self._protocol.close_sent
        # If this side was closing already, `close_sent` is that close, and not the reason of the failure.
        if sent is None or self._drops_messages or isinstance(failure, EOFError):
            self.mark_lost()
        else:
            self._end(int(sent.code), sent.reason, "application")

    def _end(self, code: int, reason: str, closed_by: ClosedBy | None = None) -> None:
        if self.disconnect is None:
            self.disconnect = {
                "type": "websocket.disconnect",
                "code": code,
                "reason": reason,
                "closed_by": closed_by,
            }
            self.events.append(self.disconnect)

    def mark_lost(self) -> None:
        """Record that the connection was lost, unless its end is known already."""
        self._end(CloseCode.ABNORMAL_CLOSURE, "", "network")

    # --- out ---

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent: neither side has closed."""
        return self._protocol.state is State.OPEN

    @property
    def has_sent_close(self) -> bool:
        """Whether a close frame was queued; it need not be written yet."""
        return self._protocol.close_sent is not None

    def send(self, event: Mapping[str, Any]) -> None:
        """Queue a message.

        :raises BrokenPipeError: if either side has closed
        """
        protocol = self._protocol
        if protocol.state is not State.OPEN:
            raise BrokenPipeError("the connection is closing")
        if (text := event.get("text")) is not None:
            data = text.encode()
            protocol.send_text(data)
        else:
            data = event["bytes"]
            protocol.send_binary(data)
        self.outgoing += protocol.data_to_send()
        self.message_bytes += len(data)

    def drop_messages(self) -> None:
        """Drop all messages of the server from now on."""
        self._drops_messages = True

    def close(self, code: int, reason: str) -> None:
        """Queue a close frame, unless either side has closed, and drop further messages."""
        self.drop_messages()
        if self.is_open:
            self._protocol.send_close(code, truncate_reason(reason))
            self._take_writes()

    def ping(self, payload: bytes) -> None:
        """Queue a ping, if the connection is open."""
        if self.is_open:
            self._ping_payload = payload
            self._protocol.send_ping(payload)
            self._take_writes()

    def take_outgoing(self) -> bytes:
        """Return the bytes to write, and count them as written."""
        data = b"".join(self.outgoing)
        self.outgoing.clear()
        self.message_bytes = self.control_bytes = 0
        return data

    def _take_writes(self) -> None:
        writes = self._protocol.data_to_send()
        self.outgoing += writes
        self.control_bytes += sum(map(len, writes))


# Not "typedws.client": at DEBUG this logs all frames, secrets included.
_logger: Final = logging.getLogger("typedws.wire")
_NOT_OFFERED: Final = ("a subprotocol and extensions that were offered", "others")
_DATA_OPCODES: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_AFTER_FINAL_BLOCK: Final = (b"", b"\0", b"\0\0\xff\xff", b"\0\0\0\xff\xff")
"""What may follow a final block: the sender's empty block (a zero byte), then the 4 bytes that websockets appends."""
_NO_UTF_8: Final = "text that is not UTF-8"
_USER_AGENT: Final = "typedws"
# The memory level that websockets itself uses for clients.
_DEFLATE: Final = ClientPerMessageDeflateFactory(compress_settings={"memLevel": 5})


def _raw_headers(fields: FieldHeaders) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in fields.raw_items()]


def _translate_failure(failure: Exception, *, has_ended: bool) -> ConnectionFailed:
    """Return the exception for a failed opening handshake."""
    if isinstance(failure, InvalidStatus):
        response = failure.response
        return ConnectionDenied(response.status_code, Headers(raw=_raw_headers(response.headers)), bytes(response.body))
    cause = failure.__cause__
    # websockets raises EOFError for a line without CR too, so it means the end only if the connection has ended.
    if isinstance(cause, EOFError) and has_ended:
        return ServerUnreachable("an answer to the opening handshake", "a closed connection")
    if isinstance(failure, NegotiationError):
        return InvalidResponse(*_NOT_OFFERED)
    if isinstance(failure, InvalidHeader):
        return InvalidResponse(f"the header {failure.name} of RFC 6455 section 4.2.2", "none, or a wrong value")
    if isinstance(failure, SecurityError) or isinstance(cause, SecurityError):
        return InvalidResponse("a response within the size limits", "a larger one")
    return InvalidResponse("an HTTP/1.1 response", "something else")
