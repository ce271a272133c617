"""What a codec is: one way to write values and models as messages of one kind of frame. No format is known here."""

import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Generic, Literal, TypeAlias, cast

from pydantic_core import PydanticSerializationError, to_jsonable_python
from typing_extensions import TypeVar

from typedws._messages.adapter import MessageAdapter, adapter_for_value, memoized
from typedws._messages.nonfinite import find_unsendable
from typedws._protocol.text import ENCODABLE_TEXT, check_text
from typedws.exceptions import InvalidMessage, UnsendableMessage

__all__ = [
    "AnyCodec",
    "BinaryCodec",
    "Codec",
    "FrameKind",
    "QuickDecoder",
    "Reader",
    "Writer",
    "convert_parts",
    "encoding_error",
    "reader_for",
    "writer_for",
    "wrong_frame",
]

T = TypeVar("T")
Frame = TypeVar("Frame", str, bytes)

FrameKind: TypeAlias = Literal["text", "binary"]
"""The two kinds of data frames (RFC 6455 section 5.6)."""


@dataclass(frozen=True, slots=True)
class QuickDecoder(Generic[Frame, T]):
    """Decodes the frames in which neither of ``unless`` is; where it raises, `Codec.decoder` tells why.

    In text these are letters, among bytes numbers: to look for one byte as bytes takes three times as long.
    """

    decode: Callable[[Frame], T]
    unless: tuple[str, str] | tuple[int, int]


class Codec(ABC, Generic[Frame]):
    """One format in one kind of frame: ``Codec[str]`` for text frames, ``Codec[bytes]`` for binary ones.

    A format of plain values (``None``, booleans, numbers, text, lists, dictionaries) needs ``encode`` and ``decode``
    only; models then pass through plain values. A format that can do better overrides ``encode_model`` and
    ``decode_model`` too.
    """

    name: str
    """What error messages and registries call it."""
    kind: FrameKind
    """Which frames it fills: ``"text"`` for a ``Codec[str]``, ``"binary"`` for a ``Codec[bytes]``."""
    content_type: str | None = None
    """The media type of its format, for documents; nothing is sent of it."""

    @abstractmethod
    def encode(self, value: object) -> Frame:
        """Write a plain value.

        :raises UnsendableMessage: for what the format cannot hold, or must not: a non-finite number, a lone surrogate
        """

    @abstractmethod
    def decode(self, data: Frame) -> Any:
        """Read a plain value.

        :raises InvalidMessage: with problem ``"malformed"``. Any other exception is taken to mean that too.
        """

    def encode_model(self, message: T, adapter: MessageAdapter[T]) -> Frame:
        """Write a message as its declared type says, by alias.

        :raises UnsendableMessage: for a message that is not of that type, or that the format cannot hold
        """
        return self.encode(adapter.to_plain(message))

    def decode_model(self, data: Frame, adapter: MessageAdapter[T]) -> T:
        """Read a message of the declared type, validated once.

        :raises InvalidMessage: for a malformed message, or one that fails validation
        """
        return adapter.from_plain(self.decode_or_refuse(data, adapter.name), self.name)

    def model_encoder(self, adapter: MessageAdapter[T]) -> Callable[[T], Frame]:
        """Make the function that encodes messages of one type; override it where that can be faster."""

        def encode(message: T) -> Frame:
            data = self.encode_model(message, adapter)
            if self.kind == "text":
                check_text(str(data))
            return data

        return encode

    def model_decoder(self, adapter: MessageAdapter[T]) -> Callable[[Frame], T]:
        """Make the function that decodes messages of one type; override it where that can be faster."""

        def decode(data: Frame) -> T:
            return self.decode_model(data, adapter)

        return decode

    def quick_decoder(self, adapter: MessageAdapter[T]) -> QuickDecoder[Frame, T] | None:
        """Give a quicker way to decode most messages of one type, if there is one: for ``async for``."""
        return None

    def quick_encoders(self, adapter: MessageAdapter[Any]) -> Mapping[type[Any], Callable[[Any], bytes]] | None:
        """Give what writes a message by its exact class, if there is that: for ``send_model``; text as UTF-8.

        Where it raises, or has nothing for a class, `encoder` knows better.
        """
        return None

    def encoder(self, adapter: MessageAdapter[T]) -> Callable[[T], Frame]:
        """Give the function that encodes messages of one type, made once."""
        return memoized(adapter.encoders, self, self.model_encoder, adapter)

    def decoder(self, adapter: MessageAdapter[T]) -> Callable[[Frame], T]:
        """Give the function that decodes messages of one type, made once."""
        return memoized(adapter.decoders, self, self.model_decoder, adapter)

    def decode_or_refuse(self, data: Frame, expected: str) -> Any:
        """``decode``, whose every failure is the peer's: an `InvalidMessage`."""
        try:
            return self.decode(data)
        except InvalidMessage:
            raise
        except Exception as error:  # third-party decoders raise many kinds, RecursionError among them
            raise InvalidMessage("malformed", expected, f"malformed {self.name}") from error


class BinaryCodec(Codec[bytes]):
    """A binary format of plain values that could itself hold what no message may: non-finite numbers."""

    kind: FrameKind = "binary"
    non_finite: ClassVar[re.Pattern[bytes]]
    """Matches all data that hold a non-finite number, and little else: what matches is looked into."""

    @abstractmethod
    def pack(self, value: object) -> bytes:
        """Write a value; any exception means that the format cannot hold it. `to_plain_value` helps with single values."""

    @abstractmethod
    def unpack(self, data: bytes) -> Any:
        """Read a value; any exception means that the data are malformed."""

    def encode(self, value: object) -> bytes:
        try:
            data = self.pack(value)
        except UnsendableMessage:
            raise
        except Exception as error:
            with suppress(RecursionError):
                convert_parts(value, self.to_plain_value)  # may tell why, where the format's library does not
            raise encoding_error(value, self.name, error) from error
        if self.non_finite.search(data) and (refused := find_unsendable(value, value)) is not None:
            raise refused
        return data

    def decode(self, data: bytes) -> Any:
        value = self.unpack(data)
        if self.non_finite.search(data) and find_unsendable(value, value):
            raise ValueError("a non-finite number")
        return value

    def to_plain_value(self, value: object) -> Any:
        """Make one value plain, as JSON would have it: what a format asks for a type that it does not know.

        :raises UnsendableMessage: for what JSON could not say either
        """
        if (adapter := adapter_for_value(value)) is not None:
            return adapter.to_plain(value)
        try:
            plain = to_jsonable_python(value, by_alias=True)
        except (PydanticSerializationError, ValueError, RecursionError) as error:
            raise encoding_error(value, self.name, error) from error
        if (refused := find_unsendable(value, value) or find_unsendable(plain, plain)) is not None:
            raise refused
        return plain


def convert_parts(value: object, convert: Callable[[object], object]) -> object:
    """Copy a plain value, with each part that is no container converted."""
    if isinstance(value, dict):
        return {key: convert_parts(each, convert) for key, each in cast(dict[object, object], value).items()}
    if isinstance(value, list | tuple | set | frozenset | deque):
        return [convert_parts(each, convert) for each in cast(Iterable[object], value)]
    return convert(value)


def encoding_error(value: object, name: str, error: Exception) -> UnsendableMessage:
    """Translate a format's refusal to write a value."""
    if "surrogates" in str(error):
        return UnsendableMessage(ENCODABLE_TEXT, "a lone surrogate")
    return UnsendableMessage(f"a value that {name} can hold", f"a {type(value).__name__} that it cannot")


AnyCodec: TypeAlias = Codec[str] | Codec[bytes]
"""A codec for either kind of frame."""


@dataclass(frozen=True, slots=True)
class Reader(Generic[T]):
    """How a message is read: which frame it must be in, what was expected, what decodes it, or most of them quicker."""

    kind: FrameKind
    expected: str
    decode: Callable[[Any], T]
    quick: QuickDecoder[Any, T] | None = None

    def read(self, frame: str | bytes) -> T:
        """Read a frame; raises `InvalidMessage` for one of the other kind, and as ``decode`` does."""
        if isinstance(frame, str) is not (self.kind == "text"):
            raise wrong_frame(f"{self.expected} in a {self.kind} frame", frame)
        return self.decode(frame)


@dataclass(frozen=True, slots=True)
class Writer:
    """How a message is written: what encodes it, and by its class what does so quicker."""

    encode: Callable[[Any], str | bytes]
    quick: Mapping[type[Any], Callable[[Any], bytes]] | None


def reader_for(codec: AnyCodec, adapter: MessageAdapter[T]) -> Reader[T]:
    """Give the reader of a type in a format, made once."""
    return memoized(adapter.readers, codec, partial(_reader, codec), adapter)


def writer_for(codec: AnyCodec, adapter: MessageAdapter[Any]) -> Writer:
    """Give the writer of a type in a format, made once."""
    return memoized(adapter.writers, codec, partial(_writer, codec), adapter)


def _reader(codec: AnyCodec, adapter: MessageAdapter[T]) -> Reader[T]:
    return Reader(codec.kind, adapter.name, codec.decoder(adapter), codec.quick_decoder(adapter))


def _writer(codec: AnyCodec, adapter: MessageAdapter[Any]) -> Writer:
    return Writer(codec.encoder(adapter), codec.quick_encoders(adapter))


def wrong_frame(expected: str, frame: str | bytes) -> InvalidMessage:
    """Give the error for a frame of the other kind."""
    return InvalidMessage("wrong_frame", expected, f"a {'text' if isinstance(frame, str) else 'binary'} frame")
