"""`Connection`: an accepted connection. It receives, sends and closes; it has no method to accept or deny.

The session checks the state, a codec reads and writes the frames. ``__anext__`` and ``send_model`` are the hot paths:
they repeat inline what `Session` and `Reader` do in methods, since a call per step would cost a fifth of a message.
A change there needs the figures of ``python -m bench instructions``.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final, Self, cast, overload

from typing_extensions import TypeForm, TypeVar

from typedws._connection.base import BaseConnection, In_co, Out_contra, Params_co
from typedws._connection.read_ahead import MAX_PENDING, DisconnectWatch, OnOverflow
from typedws._messages.adapter import adapter_for
from typedws._protocol.events import binary_event, frame_of, message_event, text_event
from typedws._protocol.outcomes import Closed
from typedws.codecs.base import AnyCodec, Codec, Reader, reader_for, writer_for, wrong_frame
from typedws.codecs.modes import Mode
from typedws.exceptions import InvalidMessage, UndeclaredMessageType, WebSocketDisconnect

__all__ = ["AS_DECLARED", "Connection", "MessageIterator", "encoder_for"]

T = TypeVar("T")

AS_DECLARED: Final[Any] = object()
"""The default of ``form``: the declared type. ``None`` cannot be the default, as it is the type of a JSON null."""


class Connection(BaseConnection[In_co, Out_contra, Params_co], AsyncIterator[In_co]):
    """An accepted WebSocket connection: receives and sends validated messages, and closes.

    ``Connection[In, Out, Params]`` declares the type of the messages that it receives, the type of those that it
    sends, and the type of ``params``::

        async def talk(ws: Connection[Join | Say, Joined | Said, Room]) -> None:
            async for message in ws:  # Join | Say, validated
                await ws.send_model(Said(text=...))

    ``async for`` ends when the connection ends. An `InvalidMessage` ends the loop but not the connection: a new loop
    continues with the next message. An endpoint makes the connection and accepts it; see also `Handshake`.
    """

    __slots__ = ()

    # --- receiving ---

    @overload
    async def receive_model(self, /, *, mode: Mode | None = None) -> In_co: ...
    @overload
    async def receive_model(self, form: TypeForm[T], /, mode: Mode | None = None) -> T: ...
    async def receive_model(self, form: Any = AS_DECLARED, /, mode: Mode | None = None) -> Any:
        """Return the next message, validated as the declared type or as ``form``.

        :param form: any type that pydantic validates: a model, a union, ``list[Order]``, ... With a declared type, a
            narrower one, for a message that must be the next one
        :param mode: the mode of this message, by default that of the connection
        :raises InvalidMessage: if the message is not valid; it is consumed, and the connection stays open
        :raises WebSocketDisconnect: if the peer closes, or the connection is lost
        :raises WebSocketDisconnected: on later calls, and after our own close
        :raises ConcurrentReceive: while another task receives
        :raises UndeclaredMessageType: if no type is declared and none is given
        :raises InvalidMessageType: if pydantic cannot build the type
        """
        reader = self._reader_for(form, mode)
        return reader.read(await self._receive_frame(reader.expected))

    async def receive_text(self) -> str:
        """Return the next message, which must be text. Raises as `receive_model` does."""
        frame = await self._receive_frame("a text frame")
        if isinstance(frame, str):
            return frame
        raise wrong_frame("a text frame", frame)

    async def receive_bytes(self) -> bytes:
        """Return the next message, which must be binary. Raises as `receive_model` does."""
        frame = await self._receive_frame("a binary frame")
        if isinstance(frame, bytes):
            return frame
        raise wrong_frame("a binary frame", frame)

    async def receive_json(self, mode: Mode | None = None) -> Any:
        """Return the next message as plain values: dictionaries, lists, text, numbers. Raises as `receive_model` does.

        Integers outside -2**63 .. 2**64 - 1 become floats, as orjson reads them. For exact integers pass the codec
        ``TextJSON(exact_integers=True)`` as the mode.
        """
        codec = self._codec(mode)
        reader = Reader(codec.kind, codec.name, partial(cast(Codec[Any], codec).decode_or_refuse, expected=codec.name))
        return reader.read(await self._receive_frame(reader.expected))

    @overload
    def iter_models(self, /, *, mode: Mode | None = None) -> AsyncIterator[In_co]: ...
    @overload
    def iter_models(self, form: TypeForm[T], /, mode: Mode | None = None) -> AsyncIterator[T]: ...
    def iter_models(self, form: Any = AS_DECLARED, /, mode: Mode | None = None) -> AsyncIterator[Any]:
        """Iterate over validated messages until the connection ends. Raises as `receive_model` does."""
        reader = self._reader_for(form, mode)

        async def receive() -> Any:
            return reader.read(await self._receive_frame(reader.expected))

        return MessageIterator(receive)

    def iter_text(self) -> AsyncIterator[str]:
        """Iterate over text messages until the connection ends."""
        return MessageIterator(self.receive_text)

    def iter_bytes(self) -> AsyncIterator[bytes]:
        """Iterate over binary messages until the connection ends."""
        return MessageIterator(self.receive_bytes)

    def iter_json(self, mode: Mode | None = None) -> AsyncIterator[Any]:
        """Iterate over messages as plain values until the connection ends."""
        return MessageIterator(partial(self.receive_json, mode))

    def __aiter__(self) -> Self:
        reader = self._reader_for(AS_DECLARED, None)
        self._frame_key = "text" if reader.kind == "text" else "bytes"
        # "" is in every frame, so without a quick decoder every frame takes the checked path.
        self._slow_if_contains = self._or_contains = "" if reader.kind == "text" else b""
        self._decode = self._quick_decode = reader.decode
        if reader.quick is not None:
            self._quick_decode, (self._slow_if_contains, self._or_contains) = reader.quick.decode, reader.quick.unless
        if self._max_message_size is not None:
            self._decode = partial(self._decode_within_limit, reader.expected, self._decode)
            self._quick_decode = partial(self._decode_within_limit, reader.expected, self._quick_decode)
        return self

    async def __anext__(self) -> In_co:
        session = self._session
        if session.receiving is not None:
            try:
                return await self.receive_model()
            except WebSocketDisconnect:
                raise StopAsyncIteration from None
        session.receiving = "busy"
        try:
            event = await session.asgi_receive()
        finally:
            # Also when cancelled: a gate that is left busy would block every later receive.
            session.receiving = session.receiving_when_idle
        try:
            frame = event[self._frame_key]  # only a message has this key, so the event type need not be compared
        except KeyError:
            frame = None
        if frame:
            if self._slow_if_contains not in frame and self._or_contains not in frame:
                try:
                    quick: In_co = self._quick_decode(frame)
                    return quick
                except (ValueError, RecursionError):
                    pass  # the checked path raises the error with its reason
            message: In_co = self._decode(frame)
            return message
        if event["type"] != "websocket.receive":
            session.record_end(event)
            raise StopAsyncIteration
        # A frame of the other kind, or an empty one: servers differ in what they put under the other key.
        reader = self._reader_for(AS_DECLARED, None)
        last: In_co = reader.read(self._check_size(frame_of(event), reader.expected))
        return last

    def _decode_within_limit(self, expected: str, decode: Callable[[Any], T], frame: str | bytes) -> T:
        return decode(self._check_size(frame, expected))

    async def _receive_frame(self, expected: str) -> str | bytes:
        return self._check_size(frame_of(await self._session.receive_message()), expected)

    def _check_size(self, frame: str | bytes, expected: str) -> str | bytes:
        if len(frame) > self._always_within_limit and self._max_message_size is not None:
            size = len(frame) if isinstance(frame, bytes) else len(frame.encode(errors="surrogatepass"))
            if size > self._max_message_size:
                limit = f"{expected} of at most {self._max_message_size} bytes"
                raise InvalidMessage("too_big", limit, f"a message of {size} bytes")
        return frame

    # --- sending ---

    async def send_model(self, message: Out_contra, mode: Mode | None = None) -> None:
        """Send a message of the declared type; without a declared type, any model, dataclass or value.

        It is serialized by alias and without the additional fields of a subclass, and sent after all earlier messages.

        :param mode: the mode of this message, by default that of the connection
        :raises UnsendableMessage: if the message has another type, or no frame can carry it; nothing was sent
        :raises WebSocketDisconnect: if the peer is gone
        :raises WebSocketDisconnected: after the end of the connection
        :raises InvalidState: before the accept
        """
        encoders = self._quick_encoders
        if mode is None and encoders is not None:
            try:
                data = encoders[type(message)](message)
                event: Mapping[str, object] = (
                    {"type": "websocket.send", "text": data.decode()}
                    if self._sends_text
                    else {"type": "websocket.send", "bytes": data}
                )
            except Exception:  # noqa: BLE001 - the checked path sends it, or raises the right error
                event = self._model_event(message, mode)
        else:
            event = self._model_event(message, mode)
        session = self._session
        if session.sending is not None:
            await session.send(event)
            return
        session.sending = "busy"
        try:
            await session.asgi_send(event)
        except Exception as error:
            await session.send_failed(error)
            raise
        finally:
            if session.send_queue is None:
                session.sending = session.sending_when_idle
            else:
                session.release_send()

    async def send_text(self, data: str) -> None:
        """Send a text message. Raises as `send_model` does."""
        await self._session.send_message(text_event(data))

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message. Raises as `send_model` does."""
        await self._session.send_message(binary_event(data))

    async def send_json(self, data: Any, mode: Mode | None = None) -> None:
        """Send plain values, or any value that pydantic serializes to JSON: models, dataclasses, times, sets, ...

        Raises as `send_model` does. A non-finite number is refused in every mode.
        """
        await self._session.send_message(message_event(self._codec(mode).encode(data)))

    def _model_event(self, message: Any, mode: Mode | None) -> Mapping[str, object]:
        encode = self._encode if mode is None else None
        if encode is None:
            codec, declared = self._codec(mode), self._declared()[1]
            if declared is None:
                encode, quick = encoder_for(codec, None), None
            else:
                writer = writer_for(codec, adapter_for(declared))
                encode, quick = writer.encode, writer.quick
            if mode is None:
                self._encode, self._quick_encoders, self._sends_text = encode, quick, codec.kind == "text"
        return message_event(encode(message))

    # --- the end ---

    async def close(self, code: int = 1000, reason: str | None = None) -> Closed:
        """Close the connection and return how it ended. Does nothing if it has already ended.

        Safe in ``finally``: it is shielded from cancellation, and abandoned after five seconds.

        :param code: 1000-1003, 1007-1014 or 3000-4999 (RFC 6455 section 7.4)
        :param reason: at most 123 bytes of UTF-8; `truncate_reason` shortens one. By default none, or the description
            of an `ApplicationCloseCode`
        :raises InvalidClose: if the code or the reason must not be sent, in any state; nothing was sent
        """
        return await self._session.close(code, reason)

    def cancelled_on_disconnect(
        self, *, max_pending: int = MAX_PENDING, on_overflow: OnOverflow = "close"
    ) -> AbstractAsyncContextManager[None, None]:
        """Cancel the block when the peer disconnects, then raise `WebSocketDisconnect`. For code that only sends.

        Messages that arrive meanwhile are queued for ``receive_*``, in the block or after it. An exception of the block
        propagates unchanged.

        :param max_pending: limit of the queue in messages
        :param on_overflow: what to do if the peer sends more: ``"close"`` the connection with 1008, or
            ``"discard"`` the message
        :raises ConcurrentReceive: on entry, while another task receives
        :raises WebSocketDisconnected: on entry, after the end of the connection
        :raises InvalidState: on entry, before the accept
        """
        return DisconnectWatch(self._session, max_pending, on_overflow)

    # --- codecs ---

    def _codec(self, mode: Mode | None) -> AnyCodec:
        return self._registry.get(self._mode if mode is None else mode)

    def _reader_for(self, form: Any, mode: Mode | None) -> Reader[Any]:
        is_usual = form is AS_DECLARED and mode is None
        if is_usual and self._reader is not None:
            return self._reader
        codec, adapter = self._codec(mode), adapter_for(self._received_type() if form is AS_DECLARED else form)
        reader = reader_for(codec, adapter)
        if is_usual:
            self._reader = reader
        return reader

    def _received_type(self) -> Any:
        declared = self._declared()[0]
        if declared is None:
            raise UndeclaredMessageType
        return declared


def encoder_for(codec: AnyCodec, declared: Any) -> Callable[[Any], str | bytes]:
    """Return the function that encodes messages of the declared type; with ``None``, each one by its own class."""
    if declared is not None:
        return codec.encoder(adapter_for(declared))

    def encode(message: object) -> str | bytes:
        return codec.encoder(adapter_for(type(message)))(message)

    return encode


class MessageIterator(AsyncIterator[T]):
    """Iterates until the connection ends. A class, as an async generator would end at the first `InvalidMessage`."""

    __slots__ = ("_receive",)

    def __init__(self, receive: Callable[[], Awaitable[T]]) -> None:
        self._receive = receive

    async def __anext__(self) -> T:
        try:
            return await self._receive()
        except WebSocketDisconnect:
            raise StopAsyncIteration from None
