"""The base classes of codecs: a codec encodes values and models as frames of one kind. No format is defined here."""

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
    """A fast path of ``async for`` for the frames that contain neither of ``unless``.

    `Codec.decoder` decodes all other frames. It also decodes a frame again for which ``decode`` raised, and raises the
    right error. So the two must return equal messages for every frame that both decode.
    """

    decode: Callable[[Frame], T]
    """Returns the message in a frame, or raises ``ValueError`` or ``RecursionError`` to leave it to `Codec.decoder`.

    Any other exception propagates to the receiving task.
    """
    unless: tuple[str, str] | tuple[int, int]
    """Two characters for text frames, two byte values for binary frames.

    Byte values are integers: searching for ``bytes`` takes three times as long. Repeat a value if one is enough.
    """


class Codec(ABC, Generic[Frame]):
    """One format in one kind of frame: ``Codec[str]`` for text frames, ``Codec[bytes]`` for binary frames.

    A codec of your own sets ``name`` and ``kind``, and overrides `encode` and `decode`. These write and read plain
    values: ``None``, booleans, numbers, text, lists and dictionaries::

        class Hexadecimal(Codec[str]):
            name = "hexadecimal"
            kind = "text"
            content_type = "text/plain"

            def encode(self, value: object) -> str:
                if not isinstance(value, int):
                    raise UnsendableMessage("an integer", f"a {type(value).__name__}")
                return format(value, "x")

            def decode(self, data: str) -> int:
                return int(data, 16)  # any exception means that the peer sent a malformed message


        registry.register("hexadecimal", Hexadecimal())

    That is enough for models too: a model is serialized to plain values before `encode`, and validated after `decode`
    as if it had arrived as JSON. Derive from `BinaryCodec` if a binary format can represent non-finite numbers.

    The other methods are there to be overridden for speed. `encode_model` and `decode_model` handle one message of a
    type; `model_encoder` and `model_decoder` return functions that do the same for many messages of that type.
    `quick_encoders` and `quick_decoder` are fast paths for messages that need no checks. Call `encoder` and `decoder`
    instead of overriding them: they cache those functions.

    One codec object serves many connections and is the key of caches. It must be hashable, and must not keep the state
    of a connection.
    """

    name: str
    """The name of the format in error messages."""
    kind: FrameKind
    """The kind of its frames: ``"text"`` for a ``Codec[str]``, ``"binary"`` for a ``Codec[bytes]``."""
    content_type: str | None = None
    """The media type of the format, for schema documents. It is never sent."""

    @abstractmethod
    def encode(self, value: object) -> Frame:
        """Return a plain value as the data of one frame.

        A lone surrogate in the returned text is refused after this method, so a text codec need not look for it.

        :raises UnsendableMessage: if the format cannot represent the value, or must not, as with a non-finite number;
            any other exception propagates to the sending task as it is
        """

    @abstractmethod
    def decode(self, data: Frame) -> Any:
        """Return the plain value in the data of one frame.

        :raises InvalidMessage: with the problem ``"malformed"``, if the data are not in the format. Any other exception
            means the same: `decode_or_refuse` translates it.
        """

    def encode_model(self, message: T, adapter: MessageAdapter[T]) -> Frame:
        """Return a message of the adapter's type as the data of one frame, serialized by alias.

        :raises UnsendableMessage: if the message is not of that type, or the format cannot represent it
        """
        return self.encode(adapter.to_plain(message))

    def decode_model(self, data: Frame, adapter: MessageAdapter[T]) -> T:
        """Return the message of the adapter's type in the data of one frame, validated once.

        :raises InvalidMessage: if the message is malformed or fails validation
        """
        return adapter.from_plain(self.decode_or_refuse(data, adapter.name), self.name)

    def model_encoder(self, adapter: MessageAdapter[T]) -> Callable[[T], Frame]:
        """Return a new function that encodes messages of one type; override it if it can be faster than `encode_model`.

        The function raises as `encode_model` does, also for text with a lone surrogate.
        """

        def encode(message: T) -> Frame:
            data = self.encode_model(message, adapter)
            if self.kind == "text":
                check_text(str(data))
            return data

        return encode

    def model_decoder(self, adapter: MessageAdapter[T]) -> Callable[[Frame], T]:
        """Return a new function that decodes messages of one type; override it if it can be faster than `decode_model`.

        The function raises as `decode_model` does.
        """

        def decode(data: Frame) -> T:
            return self.decode_model(data, adapter)

        return decode

    def quick_decoder(self, adapter: MessageAdapter[T]) -> QuickDecoder[Frame, T] | None:
        """Return a fast path that decodes most messages of one type, for ``async for``, or ``None`` without one."""
        return None

    def quick_encoders(self, adapter: MessageAdapter[Any]) -> Mapping[type[Any], Callable[[Any], bytes]] | None:
        """Return fast functions that encode messages by their exact class, for ``send_model``, or ``None`` without any.

        They return bytes; those of a text codec return its text in UTF-8. If a class is missing or the function
        raises, `encoder` encodes the message or raises the right error.
        """
        return None

    def encoder(self, adapter: MessageAdapter[T]) -> Callable[[T], Frame]:
        """Return the function that `model_encoder` makes for a type, from a cache."""
        return memoized(adapter.encoders, self, self.model_encoder, adapter)

    def decoder(self, adapter: MessageAdapter[T]) -> Callable[[Frame], T]:
        """Return the function that `model_decoder` makes for a type, from a cache."""
        return memoized(adapter.decoders, self, self.model_decoder, adapter)

    def decode_or_refuse(self, data: Frame, expected: str) -> Any:
        """Return the plain value in the data of one frame; any exception of `decode` becomes an `InvalidMessage`.

        :param expected: what the caller expects, for the error
        :raises InvalidMessage: if `decode` raises
        """
        try:
            return self.decode(data)
        except InvalidMessage:
            raise
        except Exception as error:  # third-party decoders raise many kinds, RecursionError among them
            raise InvalidMessage("malformed", expected, f"malformed {self.name}") from error


class BinaryCodec(Codec[bytes]):
    """A binary format of plain values that can represent non-finite numbers, which no message may contain.

    Override `pack` and `unpack`, and set ``non_finite``. This class refuses non-finite numbers in both directions and
    translates errors.
    """

    kind: FrameKind = "binary"
    non_finite: ClassVar[re.Pattern[bytes]]
    """Must match all data that contain a non-finite number, and should match little else.

    Only the values in matching data are searched for such numbers, which is slow.
    """

    @abstractmethod
    def pack(self, value: object) -> bytes:
        """Return a value as data; any exception means that the format cannot represent the value.

        For ``send_json`` the value may contain models, times and other values that are not plain. `to_plain_value`
        converts them one by one: most libraries take it as the hook for types that they do not know.
        """

    @abstractmethod
    def unpack(self, data: bytes) -> Any:
        """Return the value in data; any exception means that the data are malformed.

        It must raise for trailing data too: many libraries ignore them.
        """

    def encode(self, value: object) -> bytes:
        try:
            data = self.pack(value)
        except UnsendableMessage:
            raise
        except Exception as error:
            # A library often does not name the cause. Converting the parts raises a precise error if one of them is it.
            with suppress(RecursionError):
                convert_parts(value, self.to_plain_value)
            raise encoding_error(value, self.name, error) from error
        if self.non_finite.search(data) and (unsendable := find_unsendable(value, value)) is not None:
            raise unsendable
        return data

    def decode(self, data: bytes) -> Any:
        value = self.unpack(data)
        if self.non_finite.search(data) and find_unsendable(value, value):
            raise ValueError("a non-finite number")
        return value

    def to_plain_value(self, value: object) -> Any:
        """Return a value of a type that the format does not know as a plain value, in the form that it has in JSON.

        :raises UnsendableMessage: if JSON cannot represent it either
        """
        if (adapter := adapter_for_value(value)) is not None:
            return adapter.to_plain(value)
        try:
            plain = to_jsonable_python(value, by_alias=True)
        except (PydanticSerializationError, ValueError, RecursionError) as error:
            raise encoding_error(value, self.name, error) from error
        if (unsendable := find_unsendable(value, value) or find_unsendable(plain, plain)) is not None:
            raise unsendable
        return plain


def convert_parts(value: object, convert: Callable[[object], object]) -> object:
    """Return a copy of a value in which each part that is not a container is converted. Sets become lists."""
    if isinstance(value, dict):
        return {key: convert_parts(each, convert) for key, each in cast(dict[object, object], value).items()}
    if isinstance(value, list | tuple | set | frozenset | deque):
        return [convert_parts(each, convert) for each in cast(Iterable[object], value)]
    return convert(value)


def encoding_error(value: object, name: str, error: Exception) -> UnsendableMessage:
    """Return the `UnsendableMessage` for a value that a format could not encode.

    :param name: the name of the format
    """
    # The libraries share no error type for text that UTF-8 cannot encode, but all their texts have this word.
    if "surrogates" in str(error):
        return UnsendableMessage(ENCODABLE_TEXT, "a lone surrogate")
    return UnsendableMessage(f"a value that {name} can express", f"a {type(value).__name__}")


AnyCodec: TypeAlias = Codec[str] | Codec[bytes]
"""A codec for either kind of frame."""


@dataclass(frozen=True, slots=True)
class Reader(Generic[T]):
    """How to read messages of one type in one format."""

    kind: FrameKind
    """The kind of frame in which a message must arrive."""
    expected: str
    """The name of what is expected, for errors."""
    decode: Callable[[Any], T]
    quick: QuickDecoder[Any, T] | None = None

    def read(self, frame: str | bytes) -> T:
        """Return the message in a frame.

        :raises InvalidMessage: for a frame of the other kind, and as ``decode`` does
        """
        if isinstance(frame, str) is not (self.kind == "text"):
            raise wrong_frame(f"{self.expected} in a {self.kind} frame", frame)
        return self.decode(frame)


@dataclass(frozen=True, slots=True)
class Writer:
    """How to write messages of one type in one format: `Codec.encoder` and `Codec.quick_encoders`."""

    encode: Callable[[Any], str | bytes]
    quick: Mapping[type[Any], Callable[[Any], bytes]] | None


def reader_for(codec: AnyCodec, adapter: MessageAdapter[T]) -> Reader[T]:
    """Return the reader of a type in a format, from a cache."""
    return memoized(adapter.readers, codec, partial(_reader, codec), adapter)


def writer_for(codec: AnyCodec, adapter: MessageAdapter[Any]) -> Writer:
    """Return the writer of a type in a format, from a cache."""
    return memoized(adapter.writers, codec, partial(_writer, codec), adapter)


def _reader(codec: AnyCodec, adapter: MessageAdapter[T]) -> Reader[T]:
    return Reader(codec.kind, adapter.name, codec.decoder(adapter), codec.quick_decoder(adapter))


def _writer(codec: AnyCodec, adapter: MessageAdapter[Any]) -> Writer:
    return Writer(codec.encoder(adapter), codec.quick_encoders(adapter))


def wrong_frame(expected: str, frame: str | bytes) -> InvalidMessage:
    """Return the error for a frame of the other kind."""
    return InvalidMessage("wrong_frame", expected, f"a {'text' if isinstance(frame, str) else 'binary'} frame")
