"""Codecs, which turn values and models into frames and back, and the registry of the modes that name them."""

from typedws._messages.adapter import MessageAdapter
from typedws.codecs.base import AnyCodec, BinaryCodec, Codec, FrameKind, QuickDecoder
from typedws.codecs.json import BinaryJSON, TextJSON
from typedws.codecs.modes import CodecRegistry, Mode, registry

__all__ = [
    "AnyCodec",
    "BinaryCodec",
    "BinaryJSON",
    "Codec",
    "CodecRegistry",
    "FrameKind",
    "MessageAdapter",
    "Mode",
    "QuickDecoder",
    "TextJSON",
    "registry",
]
