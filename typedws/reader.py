"""How frames are read as messages of one type in one format, and written. Nothing is received or sent here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from typedws.adapters import MessageAdapter
from typedws.codecs import AnyCodec, FrameKind
from typedws.codecs.base import QuickDecoder, kept
from typedws.errors import InvalidMessage

__all__ = ["Reader", "Writer", "reader_for", "writer_for", "wrong_frame"]

T = TypeVar("T")


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
    return kept(adapter.readers, codec, partial(_reader, codec), adapter)


def writer_for(codec: AnyCodec, adapter: MessageAdapter[Any]) -> Writer:
    """Give the writer of a type in a format, made once."""
    return kept(adapter.writers, codec, partial(_writer, codec), adapter)


def _reader(codec: AnyCodec, adapter: MessageAdapter[T]) -> Reader[T]:
    return Reader(codec.kind, adapter.name, codec.decoder(adapter), codec.quick_decoder(adapter))


def _writer(codec: AnyCodec, adapter: MessageAdapter[Any]) -> Writer:
    return Writer(codec.encoder(adapter), codec.quick_encoders(adapter))


def wrong_frame(expected: str, frame: str | bytes) -> InvalidMessage:
    """Give the error for a frame of the other kind."""
    return InvalidMessage("wrong_frame", expected, f"a {'text' if isinstance(frame, str) else 'binary'} frame")
