"""The client's side of RFC 6455, as bytes: the opening handshake, frames, the closing handshake. Nothing is awaited.

It stands on the sans-I/O protocol of ``websockets``. The server's bytes go in and ASGI events come out; what is sent
goes the other way.
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

from typedws._connection.connection_denied import ConnectionDenied
from typedws._http.headers import Headers
from typedws._http.outgoing_request import OutgoingRequest
from typedws._protocol.outcomes import Accepted
from typedws.close_codes import CloseCode, truncate_reason
from typedws.exceptions import ClosedBy, ConnectionFailed, InvalidResponse, ServerUnreachable

__all__ = ["Wire"]


class _Protocol(ClientProtocol):
    """Does what ``websockets`` does not: take a close between fragments, and messages that end with a last block."""

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:  # it may come between fragments (RFC 6455 section 5.4)
            self.current_size = None  # the message will not be finished
        for extension in self.extensions:
            if isinstance(extension, PerMessageDeflate) and frame.opcode in _DATA:
                _begin_anew(extension, frame)
        super().recv_frame(frame)


def _begin_anew(deflate: PerMessageDeflate, frame: Frame) -> None:
    """Decompress on after a last block, which a message may end with (RFC 7692 section 7.2.3.4), but zlib ends with."""
    decoder = getattr(deflate, "decoder", None)  # none where each message has its own
    if decoder is None or not decoder.eof:
        return
    if decoder.unused_data not in _AFTER_THE_LAST_BLOCK:
        raise ProtocolError("compressed data after the last block")
    if frame.fin:
        deflate.decoder = zlib.decompressobj(wbits=-deflate.remote_max_window_bits)


class Wire:
    """What one client's end reads and writes.

    ``events`` are those for who receives, in order, the disconnect last. ``outgoing`` is what has to be written: about
    ``size`` bytes of messages, and ``answers`` bytes of what the protocol says by itself. ``pong`` is the payload of
    the last ping that was answered.

    :param max_message_size: bytes, uncompressed, that a message of the server may have; ``None`` for any
    :param is_compressing: whether compression is offered (RFC 7692)
    """

    __slots__ = (
        "_fragments",
        "_headers",
        "_is_deaf",
        "_is_over",
        "_is_text",
        "_pinged",
        "_protocol",
        "answers",
        "asked",
        "disconnect",
        "events",
        "outgoing",
        "pong",
        "size",
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
        """The first fragments of a message."""
        self._is_text = False
        self._is_deaf = False
        """Whether messages are dropped: whoever closes hears no more of them."""
        self._is_over = False
        """Whether the server has written all that it ever will."""
        self.events: deque[Mapping[str, Any]] = deque()
        self.disconnect: Mapping[str, Any] | None = None
        """The last of all events, once it is among them."""
        self.outgoing: list[bytes] = []
        self.size: int = 0
        self.answers: int = 0
        self._pinged = b""
        self.pong: bytes = b""

        self.asked: list[tuple[bytes, bytes]] = self._ask(request)
        """All header fields of the request."""

    # --- the opening handshake ---

    def _ask(self, request: OutgoingRequest) -> list[tuple[bytes, bytes]]:
        opening = self._protocol.connect()
        opening.headers["User-Agent"] = _USER_AGENT
        for replaced in {name.decode() for name, _ in request.headers}:
            opening.headers.pop(replaced, None)
        for name, value in request.headers:
            opening.headers[name.decode()] = value.decode("latin-1")
        self._protocol.send_request(opening)
        self._take_writes()
        return _pairs(opening.headers)

    def accepted(self) -> Accepted | None:
        """Give what the server said when it accepted; ``None`` while it has not answered in full.

        :raises ConnectionDenied: where it denied
        :raises InvalidResponse: where its answer is none
        :raises ServerUnreachable: where the connection ended before
        """
        if (failure := self._protocol.handshake_exc) is not None:
            raise _told(failure, is_over=self._is_over) from failure
        if self._protocol.state is State.CONNECTING:
            return None
        return Accepted(self._protocol.subprotocol, Headers(raw=_pairs(self._headers)))

    @property
    def is_compressed(self) -> bool:
        """Whether messages may come compressed."""
        return bool(self._protocol.extensions)

    # --- in ---

    def feed(self, data: bytes) -> None:
        """Take what the server wrote; no bytes stand for its end.

        :raises InvalidResponse: for an extension with parameters that cannot be
        """
        protocol = self._protocol
        if data:
            try:
                protocol.receive_data(data)
            except ValueError as error:  # of zlib, which websockets before 17.2 lets out
                raise InvalidResponse(*_NOT_OFFERED) from error
        else:
            self._is_over = True
            protocol.receive_eof()
        for event in protocol.events_received():
            if isinstance(event, Response):
                self._headers = event.headers
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
        elif opcode is Opcode.PONG and data == self._pinged:  # others are no answer (RFC 6455 section 5.5.3)
            self.pong = bytes(data)
        elif opcode is Opcode.CLOSE and (close := self._protocol.close_rcvd) is not None:
            self._end(int(close.code), close.reason)

    def _take_message(self, data: Any) -> None:
        if self._is_deaf:
            return
        if not self._is_text:
            self.events.append({"type": "websocket.receive", "bytes": bytes(data)})
            return
        try:
            self.events.append({"type": "websocket.receive", "text": str(data, "utf-8")})
        except UnicodeDecodeError:
            self._protocol.fail(CloseCode.INVALID_DATA, _NO_UTF_8)
            # Said here, for the protocol may have read on, and have answered a close frame.
            self._end(CloseCode.INVALID_DATA, _NO_UTF_8, "application")

    def _fail(self, failure: Exception) -> None:
        """Tell that the connection was failed (RFC 6455 section 7.1.7): by us, or by the network."""
        sent = self._protocol.close_sent
        if sent is None or self._is_deaf or isinstance(failure, EOFError):
            self.lose()
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

    def lose(self) -> None:
        """Take the connection for lost: nothing more is heard or said."""
        self._end(CloseCode.ABNORMAL_CLOSURE, "", "network")

    # --- out ---

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent: nobody has closed."""
        return self._protocol.state is State.OPEN

    @property
    def has_sent_close(self) -> bool:
        """Whether a close frame was sent, written already or not."""
        return self._protocol.close_sent is not None

    def send(self, event: Mapping[str, Any]) -> None:
        """Send a message.

        :raises BrokenPipeError: where either side has closed
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
        self.size += len(data)

    def drop_messages(self) -> None:
        """Drop the messages that come from now on."""
        self._is_deaf = True

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, unless one was sent, and drop what is still said."""
        self.drop_messages()
        if self.is_open:
            self._protocol.send_close(code, truncate_reason(reason))
            self._take_writes()

    def ping(self, payload: bytes) -> None:
        """Send a ping."""
        if self.is_open:
            self._pinged = payload
            self._protocol.send_ping(payload)
            self._take_writes()

    def take_outgoing(self) -> bytes:
        """Give all that has to be written, which is then taken as written."""
        data = b"".join(self.outgoing)
        self.outgoing.clear()
        self.size = self.answers = 0
        return data

    def _take_writes(self) -> None:
        writes = self._protocol.data_to_send()
        self.outgoing += writes
        self.answers += sum(map(len, writes))


_logger: Final = logging.getLogger("typedws.wire")
_NOT_OFFERED: Final = ("a subprotocol and extensions that were offered", "another")
_DATA: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_AFTER_THE_LAST_BLOCK: Final = (b"", b"\0", b"\0\0\xff\xff", b"\0\0\0\xff\xff")
"""The empty block, or as much of it as has come, that ends a message."""
_NO_UTF_8: Final = "text that is no UTF-8"
_USER_AGENT: Final = "typedws"
_DEFLATE: Final = ClientPerMessageDeflateFactory(compress_settings={"memLevel": 5})


def _pairs(fields: FieldHeaders) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in fields.raw_items()]


def _told(failure: Exception, *, is_over: bool) -> ConnectionFailed:
    """Translate what the protocol found wrong with an answer; it says ``EOFError`` of a line without CR too."""
    if isinstance(failure, InvalidStatus):
        response = failure.response
        return ConnectionDenied(response.status_code, Headers(raw=_pairs(response.headers)), bytes(response.body))
    cause = failure.__cause__
    if isinstance(cause, EOFError) and is_over:
        return ServerUnreachable("an answer to the opening handshake", "the end of the connection before it")
    if isinstance(failure, NegotiationError):
        return InvalidResponse(*_NOT_OFFERED)
    if isinstance(failure, InvalidHeader):
        return InvalidResponse(f"the header {failure.name} of RFC 6455 section 4.2.2", "none, or another value")
    if isinstance(failure, SecurityError) or isinstance(cause, SecurityError):
        return InvalidResponse("an answer of a sensible size", "a larger one")
    return InvalidResponse("an HTTP/1.1 response", "something else")
