"""`WebSocket`, and the two views of it that typed handlers take: `Handshake` and `Connection`.

The rules are `typedws.state`'s, the traffic `typedws.session`'s, the formats those of `typedws.codecs`; here they meet. Two
methods, ``__anext__`` and ``send_model``, write out what they could call: a call for each step would cost a fifth.
"""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Self, cast, get_args, get_origin, overload
from typing import TypeVar as TypingTypeVar

from typing_extensions import TypeForm, TypeVar

from typedws.adapters import adapter_for
from typedws.asgi import ASGIApp, BinarySendEvent, Receive, Scope, Send, TextSendEvent
from typedws.codecs import AnyCodec, Codec, CodecRegistry, FrameKind, Mode, registry
from typedws.denial import DenialResponse, ProblemDocument, supports_denial_response
from typedws.errors import (
    DenialResponseUnsupported,
    InvalidMessage,
    UndeclaredMessageType,
    WebSocketDisconnect,
    WebSocketDisconnected,
)
from typedws.events import HeadersInput, accept_event, binary_event, check_event, close_event, frame_of, text_event
from typedws.outcome import Closed, Denied, Outcome
from typedws.params import read_params
from typedws.request import HandshakeRequest
from typedws.session import Session
from typedws.state import Move, WebSocketState, classic
from typedws.watching import MAX_PENDING, OnOverflow, Watch

__all__ = [
    "Closed",
    "Connection",
    "Denied",
    "Handshake",
    "Outcome",
    "WebSocket",
    "WebSocketClose",
    "WebSocketDisconnect",
    "WebSocketDisconnected",
    "WebSocketState",
]

T = TypeVar("T")
In_co = TypeVar("In_co", covariant=True, default=object)
Out_contra = TypeVar("Out_contra", contravariant=True, default=Any)
Params_co = TypeVar("Params_co", covariant=True, default=object)


class _Session(HandshakeRequest, Generic[Params_co]):
    """What both views stand on: the request, the traffic, the codecs in use."""

    __slots__ = (
        "__orig_class__",
        "_decode",
        "_encode",
        "_in_key",
        "_max_message_size",
        "_mode",
        "_out_key",
        "_params",
        "_reader",
        "_registry",
        "_session",
        "_sure_size",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive | None = None,
        send: Send | None = None,
        *,
        mode: Mode = "text",
        codecs: CodecRegistry = registry,
        max_message_size: int | None = None,
    ) -> None:
        super().__init__(scope)
        self._session = Session(receive, send)
        self._mode = mode
        self._registry = codecs
        self._max_message_size = max_message_size
        # A character is at most four bytes of UTF-8: text of up to a quarter of the limit is certainly within it.
        self._sure_size = sys.maxsize if max_message_size is None else max_message_size // 4
        self._reader: _Reader[Any] | None = None
        self._decode: Callable[[Any], Any] | None = None
        self._encode: Callable[[Any], str | bytes] | None = None
        self._in_key = self._out_key = "text"
        self._params: Params_co | None = None

    @property
    def params(self) -> Params_co:
        """The path and query parameters, validated as the declared type says; once, when first asked for.

        :raises InvalidParams: for parameters that fail validation
        :raises UndeclaredMessageType: when no type is declared for them
        """
        if self._params is None:
            declared = _declared_types(self)[2]
            if declared is None:
                raise UndeclaredMessageType
            self._params = read_params(self, adapter_for(declared))
        return cast(Params_co, self._params)


class Handshake(_Session[Params_co], Generic[In_co, Out_contra, Params_co]):
    """An opening handshake to decide: all that the request says, ``accept`` and ``deny``; no sending, no receiving."""

    __slots__ = ()

    async def accept(
        self, subprotocol: str | None = None, headers: HeadersInput | None = None
    ) -> "Connection[In_co, Out_contra, Params_co]":
        """Accept the connection, and give the view of it that sends and receives.

        :param subprotocol: one of those that the client offered, or ``None`` for none
        :param headers: additional fields of the response, none that belongs to the handshake itself
        :raises InvalidHandshake: for a subprotocol or header that must not be sent; nothing was sent
        :raises InvalidState: after an accept or a denial
        :raises WebSocketDisconnect: when the client has left
        """
        event = accept_event(subprotocol, headers, self.subprotocols)
        await self._session.connect()
        await self._session.send(event)
        return cast("Connection[In_co, Out_contra, Params_co]", self)

    async def deny(
        self, status: int = 403, *, detail: str | None = None, headers: HeadersInput | None = None
    ) -> Denied:
        """Deny the connection with an RFC 9457 problem document, in one body event.

        Where the server lacks the Denial Response extension, the client gets the plain 403 of a closure. A client that
        has left already is no error.

        :raises InvalidHandshake: for a status outside 300-599, or a header that must not be sent; nothing was sent
        :raises InvalidState: after an accept
        """
        response = DenialResponse(status, headers=headers, body=ProblemDocument.of(status, detail))
        if supports_denial_response(self.scope):
            return await self._send_response(response)
        await self._session.connect()
        with suppress(WebSocketDisconnect):
            await self._session.send(close_event(1000, None))
        return Denied(403)

    async def send_denial_response(self, response: DenialResponse | ASGIApp) -> Denied:
        """Deny the connection with an HTTP response: a `DenialResponse`, or any framework's response object.

        :raises DenialResponseUnsupported: where the server lacks the extension; `deny` falls back instead
        :raises InvalidState: after an accept
        """
        if not supports_denial_response(self.scope):
            raise DenialResponseUnsupported
        if isinstance(response, DenialResponse):
            return await self._send_response(response)
        await self._session.connect()
        relay = _ResponseRelay(self._session)
        # Other extensions are those of plain HTTP responses, of which a response may not make use here.
        scope = {**self.scope, "extensions": {"websocket.http.response": {}}}
        await response(scope, self._session.receive, relay.send)
        return Denied(relay.status)

    async def _send_response(self, response: DenialResponse) -> Denied:
        await self._session.connect()
        with suppress(WebSocketDisconnect):
            for event in response.events():
                await self._session.send(event)
        return Denied(response.status)


class Connection(_Session[Params_co], AsyncIterator[In_co], Generic[In_co, Out_contra, Params_co]):
    """An accepted connection: all that the request says, receiving, sending, closing; no accepting, no denying.

    ``Connection[In, Out, Params]`` declares what it hears, what it says, and its parameters. ``async for message in
    connection`` gives each validated message until the connection ends. An `InvalidMessage` ends a loop but not the connection: a new loop goes on.
    """

    __slots__ = ()

    # --- receiving ---

    @overload
    async def receive_model(self, /, *, mode: Mode | None = None) -> In_co: ...
    @overload
    async def receive_model(self, form: TypeForm[T], /, mode: Mode | None = None) -> T: ...
    async def receive_model(self, form: Any = None, /, mode: Mode | None = None) -> Any:
        """Give the next message, validated: of the declared type, or of the one given.

        :param form: any type that pydantic takes: a model, a union, ``list[Order]``, ...; where a type is declared too, a
            narrower one says what must come now
        :param mode: how it must have come, if not as the connection's own mode says
        :raises InvalidMessage: for another message, which is consumed; the connection goes on
        :raises WebSocketDisconnect: when the peer goes
        :raises ConcurrentReceive: while another task receives
        :raises UndeclaredMessageType: when no type is declared and none is given
        :raises InvalidMessageType: for a type that pydantic cannot build
        """
        reader = self._reader_of(form, mode)
        return reader.read(await self._receive_frame(reader.expected))

    async def receive_text(self) -> str:
        """Give the next message, which must be text. Raises as `receive_model` does."""
        frame = await self._receive_frame("a text frame")
        if isinstance(frame, str):
            return frame
        raise _wrong_frame("a text frame", frame)

    async def receive_bytes(self) -> bytes:
        """Give the next message, which must be binary. Raises as `receive_model` does."""
        frame = await self._receive_frame("a binary frame")
        if isinstance(frame, bytes):
            return frame
        raise _wrong_frame("a binary frame", frame)

    async def receive_json(self, mode: Mode | None = None) -> Any:
        """Give the next message as plain values. Raises as `receive_model` does.

        orjson reads it: integers outside -2**63 .. 2**64 - 1 become floats. For exact ones, pass the codec
        ``TextJSON(exact_integers=True)`` as the mode.
        """
        codec = self._codec(mode)
        reader = _Reader(codec.kind, codec.name, partial(cast(Codec[Any], codec).decode_or_refuse, expected=codec.name))
        return reader.read(await self._receive_frame(reader.expected))

    @overload
    def iter_models(self, /, *, mode: Mode | None = None) -> AsyncIterator[In_co]: ...
    @overload
    def iter_models(self, form: TypeForm[T], /, mode: Mode | None = None) -> AsyncIterator[T]: ...
    def iter_models(self, form: Any = None, /, mode: Mode | None = None) -> AsyncIterator[Any]:
        """Iterate over validated messages until the connection ends. Raises as `receive_model` does."""
        reader = self._reader_of(form, mode)

        async def receive() -> Any:
            return reader.read(await self._receive_frame(reader.expected))

        return _Messages(receive)

    def iter_text(self) -> AsyncIterator[str]:
        """Iterate over text messages until the connection ends."""
        return _Messages(self.receive_text)

    def iter_bytes(self) -> AsyncIterator[bytes]:
        """Iterate over binary messages until the connection ends."""
        return _Messages(self.receive_bytes)

    def iter_json(self, mode: Mode | None = None) -> AsyncIterator[Any]:
        """Iterate over messages as plain values until the connection ends."""

        async def receive() -> Any:
            return await self.receive_json(mode)

        return _Messages(receive)

    def __aiter__(self) -> Self:
        reader = self._reader_of(None, None)
        self._in_key = "text" if reader.kind == "text" else "bytes"
        self._decode = reader.decode if self._max_message_size is None else partial(self._decode_within_limit, reader)
        return self

    async def __anext__(self) -> In_co:
        session, decode = self._session, self._decode
        if session.receiving is not None or decode is None:
            try:
                return await self.receive_model()
            except WebSocketDisconnect:
                raise StopAsyncIteration from None
        session.receiving = "busy"
        try:
            event = await session.asgi_receive()
        finally:
            session.receiving = session.receiving_at_rest
        try:
            frame = event[self._in_key]  # of all events, only a message has this key
        except KeyError:
            frame = None
        if frame:
            message: In_co = decode(frame)
            return message
        if event["type"] != Move.RECEIVE:
            session.disconnected(event)
            raise StopAsyncIteration
        reader = self._reader_of(None, None)
        last: In_co = reader.read(self._within_limit(frame_of(event), reader.expected))
        return last

    def _decode_within_limit(self, reader: "_Reader[T]", frame: str | bytes) -> T:
        return reader.decode(self._within_limit(frame, reader.expected))

    async def _receive_frame(self, expected: str) -> str | bytes:
        return self._within_limit(frame_of(await self._session.receive_message()), expected)

    def _within_limit(self, frame: str | bytes, expected: str) -> str | bytes:
        if len(frame) > self._sure_size and self._max_message_size is not None:
            size = len(frame) if isinstance(frame, bytes) else len(frame.encode(errors="surrogatepass"))
            if size > self._max_message_size:
                limit = f"{expected} of at most {self._max_message_size} bytes"
                raise InvalidMessage("too_big", limit, f"a message of {size} bytes")
        return frame

    # --- sending ---

    async def send_model(self, message: Out_contra, mode: Mode | None = None) -> None:
        """Send a message as its declared type says; where none is declared, as its own class says.

        It goes out by alias, without the additional fields of a subclass, after all messages sent before it.

        :param mode: how it goes, if not as the connection's own mode says
        :raises UnsendableMessage: for a message of another type, or one that cannot be a frame; nothing was sent
        :raises WebSocketDisconnect: when the peer is gone
        :raises InvalidState: before the accept
        """
        encode = self._encode
        if mode is None and encode is not None:
            event: Mapping[str, object] = {"type": "websocket.send", self._out_key: encode(message)}
        else:
            event = self._model_event(message, mode)
        session = self._session
        if session.sending is not None:
            await session.send(event)
            return
        session.sending = "busy"
        try:
            await session.asgi_send(event)
        except OSError as error:
            raise session.lost() from error
        finally:
            if session.waiting is None:
                session.sending = session.sending_at_rest
            else:
                session.pass_turn()

    async def send_text(self, data: str) -> None:
        """Send a text message. Raises as `send_model` does."""
        await self._session.send(text_event(data))

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message. Raises as `send_model` does."""
        await self._session.send(binary_event(data))

    async def send_json(self, data: Any, mode: Mode | None = None) -> None:
        """Send plain values, or whatever JSON can say of a value: models, dataclasses, times, UUIDs, sets, ...

        Raises as `send_model` does; a non-finite number is refused, in every mode alike.
        """
        await self._session.send(_data_event(self._codec(mode).encode(data)))

    def _model_event(self, message: Any, mode: Mode | None) -> Mapping[str, object]:
        codec = self._codec(mode)
        declared = _declared_types(self)[1]
        encode = _encoder_by_class(codec) if declared is None else codec.encoder(adapter_for(declared))
        if mode is None:
            self._encode, self._out_key = encode, "text" if codec.kind == "text" else "bytes"
        return _data_event(encode(message))

    # --- the end ---

    async def close(self, code: int = 1000, reason: str | None = None) -> Closed:
        """Close the connection, and say how it ended; does nothing where it is over.

        Safe in ``finally``: it is shielded from cancellation, and given up after five seconds.

        :param code: 1000-1003, 1007-1014 or 3000-4999
        :param reason: at most 123 bytes of UTF-8; `truncate_reason` cuts
        :raises InvalidClose: for another code or reason, whatever the state; nothing was sent
        """
        return await self._session.close(code, reason)

    def cancelled_on_disconnect(
        self, *, max_pending: int = MAX_PENDING, on_overflow: OnOverflow = "close"
    ) -> AbstractAsyncContextManager[None, bool]:
        """Cancel the block as soon as the peer goes, then raise `WebSocketDisconnect`; for who sends without receiving.

        Messages that arrive meanwhile are kept for ``receive_*``, in the block or after it. An exception of the block
        passes as it is.

        :param max_pending: how many messages are kept at most
        :param on_overflow: what happens to a peer that says more: ``"close"`` with 1008, or ``"discard"`` what it says
        :raises ConcurrentReceive: on entry, while another task receives
        """
        return Watch(self._session, max_pending, on_overflow)

    # --- codecs ---

    def _codec(self, mode: Mode | None) -> AnyCodec:
        return self._registry.get(self._mode if mode is None else mode)

    def _reader_of(self, form: Any, mode: Mode | None) -> "_Reader[Any]":
        if form is None and mode is None and self._reader is not None:
            return self._reader
        declared = _declared_types(self)[0] if form is None else form
        if declared is None:
            raise UndeclaredMessageType
        codec, adapter = self._codec(mode), adapter_for(declared)
        reader = _Reader(codec.kind, adapter.name, codec.decoder(adapter))
        if form is None and mode is None:
            self._reader = reader
        return reader


class WebSocket(Handshake[In_co, Out_contra, Params_co], Connection[In_co, Out_contra, Params_co]):
    """A WebSocket connection over ASGI's ``scope``, ``receive`` and ``send``: all of the classic API, typed.

    ``WebSocket[In, Out, Params]`` declares what it hears, what it says, and its parameters. It does everything, and checks at run time what the
    state allows; the views `Handshake` and `Connection` show parts of it, so that a checker does.

    :param mode: how messages travel where a call does not say: the name of a codec, or a codec
    :param codecs: the registry that knows the modes
    :param max_message_size: bytes that a message may have at most, beside the server's own limit; text counts as UTF-8
    """

    __slots__ = ()

    @property
    def client_state(self) -> WebSocketState:
        """Where the client stands, as far as the server has told."""
        return classic(self._session.state.client)

    @property
    def application_state(self) -> WebSocketState:
        """Where the application stands; ``DISCONNECTED`` too once a send has failed."""
        state = classic(self._session.state.application)
        is_lost = state is WebSocketState.CONNECTED and self._session.end is not None
        return WebSocketState.DISCONNECTED if is_lost else state

    async def receive(self) -> Any:
        """Give the next raw ASGI event: annotate it as ``typedws.asgi.WebSocketReceiveEvent`` to have it checked.

        :raises InvalidState: for an event that the server must not send now
        :raises WebSocketDisconnected: after the disconnect
        """
        return await self._session.receive()

    async def send(self, message: Any) -> None:
        """Send a raw ASGI event, one of ``typedws.asgi.WebSocketSendEvent``. What it says is sent as it is.

        :raises InvalidState: for an event that the state does not allow; nothing was sent
        :raises WebSocketDisconnect: when the peer is gone
        """
        check_event(message, self.subprotocols)
        await self._session.send(message)


class WebSocketClose:
    """An ASGI application that closes, or before an accept denies with 403: a router's answer to an unknown path."""

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        self._event = close_event(code, reason)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(self._event)


# --- what the methods share ---


@dataclass(frozen=True, slots=True)
class _Reader(Generic[T]):
    """How a message is read: which frame it must be in, what was expected, what decodes it."""

    kind: FrameKind
    expected: str
    decode: Callable[[Any], T]

    def read(self, frame: str | bytes) -> T:
        if isinstance(frame, str) is not (self.kind == "text"):
            raise _wrong_frame(f"{self.expected} in a {self.kind} frame", frame)
        return self.decode(frame)


def _wrong_frame(expected: str, frame: str | bytes) -> InvalidMessage:
    return InvalidMessage("wrong_frame", expected, f"a {'text' if isinstance(frame, str) else 'binary'} frame")


def _data_event(data: str | bytes) -> TextSendEvent | BinarySendEvent:
    return text_event(data) if isinstance(data, str) else binary_event(data)


def _encoder_by_class(codec: AnyCodec) -> Callable[[Any], str | bytes]:
    def encode(message: Any) -> str | bytes:
        return codec.encoder(adapter_for(type(message)))(message)

    return encode


class _Messages(AsyncIterator[T]):
    """Iterates until the connection ends; goes on after an exception, which an async generator would not."""

    __slots__ = ("_receive",)

    def __init__(self, receive: Callable[[], Awaitable[T]]) -> None:
        self._receive = receive

    async def __anext__(self) -> T:
        try:
            return await self._receive()
        except WebSocketDisconnect:
            raise StopAsyncIteration from None


class _ResponseRelay:
    """Takes the events of any framework's response, and sends them as those of a denial."""

    __slots__ = ("_session", "status")

    def __init__(self, session: Session) -> None:
        self._session = session
        self.status = 403

    async def send(self, event: Mapping[str, Any]) -> None:
        kind: str = event["type"]
        if kind.startswith("http."):
            event = {**event, "type": f"websocket.{kind}"}
        if event["type"] == Move.RESPONSE_START:
            self.status = event["status"]
        await self._session.send(event)


# --- the declared types, at run time ---


def _declared_types(websocket: _Session[object]) -> list[Any]:
    """Read ``WebSocket[In, Out, Params]`` from the alias that made the object, or from its class; ``None`` where undeclared."""
    alias = getattr(websocket, "__orig_class__", None)
    arguments = _arguments_of(type(websocket), get_args(alias))
    return [None if _says_nothing(argument) else argument for argument in (*arguments, None, None, None)]


def _says_nothing(argument: object) -> bool:
    return argument is None or argument is Any or argument is object or isinstance(argument, TypingTypeVar)


def _arguments_of(class_: type[Any], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Follow type arguments from a subclass to `WebSocket`."""
    if class_ is WebSocket:
        return arguments
    given = dict(zip(getattr(class_, "__parameters__", ()), arguments, strict=False))
    for base in class_.__dict__.get("__orig_bases__", class_.__bases__):
        origin = get_origin(base) or base
        if isinstance(origin, type) and issubclass(origin, WebSocket):
            return _arguments_of(origin, tuple(_substituted(argument, given) for argument in get_args(base)))
    return ()


def _substituted(argument: Any, given: Mapping[Any, Any]) -> Any:
    if isinstance(argument, TypingTypeVar):
        return given.get(argument, argument)
    parameters = getattr(argument, "__parameters__", ())
    return argument[tuple(given.get(each, each) for each in parameters)] if parameters else argument
