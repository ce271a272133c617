"""Modes, which name codecs, and the registry of modes. No optional library is imported before its first use."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final, TypeAlias

from typedws.codecs.base import AnyCodec, Codec
from typedws.codecs.json import BinaryJSON, TextJSON
from typedws.exceptions import CodecNotInstalled, UnknownMode

__all__ = ["AnyCodec", "CodecRegistry", "Mode", "registry"]


Mode: TypeAlias = str | AnyCodec
"""How a message is encoded: the name of a codec in the registry, or a codec itself."""


class CodecRegistry:
    """The codecs by mode. A connection uses the registry that it is created with, by default the shared `registry`.

    Iteration yields the modes, and ``in`` tests for one.
    """

    def __init__(self) -> None:
        self._codecs: dict[str, AnyCodec | tuple[str, str]] = {}

    def register(self, mode: str, codec: AnyCodec, *, replace: bool = False) -> None:
        """Register a codec under a mode.

        :param mode: the name that connections pass as ``mode``
        :param replace: whether to replace a codec that has this name
        :raises ValueError: if the mode is registered already, unless ``replace`` is true
        """
        self._put(mode, codec, replace)

    def register_extra(self, mode: str, codec_class: str, *, extra: str, replace: bool = False) -> None:
        """Register a codec class under a mode, to be imported and instantiated at the first use of the mode.

        :param mode: the name that connections pass as ``mode``
        :param codec_class: the class, as ``"package.module:Class"``; it is called without arguments
        :param extra: the extra of typedws that installs the library of the codec, for `CodecNotInstalled`
        :param replace: whether to replace a codec that has this name
        :raises ValueError: if the mode is registered already, unless ``replace`` is true
        """
        self._put(mode, (codec_class, extra), replace)

    def _put(self, mode: str, codec: AnyCodec | tuple[str, str], replace: bool) -> None:
        if mode in self._codecs and not replace:
            raise ValueError(f"the mode {mode!r} is registered already: pass replace=True to replace it")
        self._codecs[mode] = codec

    def get(self, mode: Mode) -> AnyCodec:
        """Return the codec of a mode; a codec is returned as it is.

        :raises UnknownMode: if no codec has that name
        :raises CodecNotInstalled: if its optional library is not installed; it is an `UnknownMode` too
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
        """Return a new registry with the same codecs; changing it does not change this one."""
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
"""The codecs of every connection by default: ``text``, ``binary``, and with their extras ``msgpack`` and ``cbor``."""

registry.register("text", TextJSON())
registry.register("binary", BinaryJSON())
registry.register_extra("msgpack", "typedws.codecs.msgpack:MessagePack", extra="msgpack")
registry.register_extra("cbor", "typedws.codecs.cbor:CBOR", extra="cbor")
