"""Modes: the names of codecs, and the registry that knows them. No extra is imported before its use."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final, TypeAlias

from typedws.codecs.base import AnyCodec, Codec
from typedws.codecs.json import BinaryJSON, TextJSON
from typedws.exceptions import CodecNotInstalled, UnknownMode

__all__ = ["AnyCodec", "CodecRegistry", "Mode", "registry"]


Mode: TypeAlias = str | AnyCodec
"""How a message travels: the name of a codec in the registry, or a codec itself."""


class CodecRegistry:
    """Codecs by name. A connection uses the registry it was given, by default the shared `registry`."""

    def __init__(self) -> None:
        self._codecs: dict[str, AnyCodec | tuple[str, str]] = {}

    def register(self, mode: str, codec: AnyCodec, *, replace: bool = False) -> None:
        """Name a codec.

        :raises ValueError: when the name is taken, unless ``replace`` is true
        """
        self._put(mode, codec, replace)

    def register_extra(self, mode: str, codec_class: str, *, extra: str, replace: bool = False) -> None:
        """Name a codec, as ``"package.module:Class"``, to import at its first use; ``extra`` is what installs it."""
        self._put(mode, (codec_class, extra), replace)

    def _put(self, mode: str, codec: AnyCodec | tuple[str, str], replace: bool) -> None:
        if mode in self._codecs and not replace:
            raise ValueError(f"the mode {mode!r} is registered already: pass replace=True to replace it")
        self._codecs[mode] = codec

    def get(self, mode: Mode) -> AnyCodec:
        """Give the codec that a mode names; a codec itself is given back.

        :raises UnknownMode: when no codec has that name, or (`CodecNotInstalled`) its library is not installed
        """
        if isinstance(mode, Codec):
            return mode
        try:
            codec = self._codecs[mode]
        except KeyError:
            raise UnknownMode(mode, self) from None
        if isinstance(codec, tuple):
            codec = self._codecs[mode] = _import_codec(mode, *codec)
        return codec

    def copy(self) -> "CodecRegistry":
        """Give a registry of its own with the same codecs, to change in private."""
        other = CodecRegistry()
        other._codecs.update(self._codecs)
        return other

    def __iter__(self) -> Iterator[str]:
        return iter(self._codecs)

    def __contains__(self, mode: object) -> bool:
        return mode in self._codecs


def _import_codec(mode: str, path: str, extra: str) -> AnyCodec:
    module, _, name = path.partition(":")
    try:
        codec_class: Any = getattr(import_module(module), name)
    except ImportError as error:
        raise CodecNotInstalled(mode, extra) from error
    codec: AnyCodec = codec_class()
    return codec


registry: Final = CodecRegistry()
"""The codecs that every connection knows: ``text``, ``binary``, and with their extras ``msgpack`` and ``cbor``."""

registry.register("text", TextJSON())
registry.register("binary", BinaryJSON())
registry.register_extra("msgpack", "typedws.codecs.msgpack:MessagePack", extra="msgpack")
registry.register_extra("cbor", "typedws.codecs.cbor:CBOR", extra="cbor")
