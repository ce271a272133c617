"""Codecs: how values and models become messages, and the registry of the modes that name them."""

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
    "Mode",
    "QuickDecoder",
    "TextJSON",
    "registry",
]
