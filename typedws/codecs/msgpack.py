"""MessagePack in binary frames, on ormsgpack (the extra ``msgpack``). No other format.

ormsgpack is typed, and writes and reads at about the speed of orjson (1.3 and 0.94 times). The ``msgpack`` package is
untyped and two to three times slower. The encoder of msgspec is as fast but has its own model of types.

Bytes and integer keys are kept as they are. An integer beyond 64 bits is refused, because the format has none.
"""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, cast

import ormsgpack
from pydantic_core import to_json

from typedws._messages.adapter import MessageAdapter, memoized
from typedws.codecs.base import BinaryCodec, QuickDecoder

__all__ = ["MessagePack"]

T = TypeVar("T")

_SECRET = os.urandom(16)
_END = b"\xc4\x10" + _SECRET
_FLOATS = (0xCA, 0xCB)
"""The bytes before a float of 32 or 64 bits. Data without them contain no float, and so no non-finite number."""
_PACK = ormsgpack.OPT_NON_STR_KEYS | ormsgpack.OPT_PASSTHROUGH_DATACLASS | ormsgpack.OPT_PASSTHROUGH_DATETIME


class MessagePack(BinaryCodec):
    """MessagePack: the mode ``"msgpack"``. It refuses integers beyond 64 bits and extension types."""

    name: str = "msgpack"
    content_type: str | None = "application/vnd.msgpack"
    # A float of 32 or 64 bits whose exponent bits are all set, which is how infinity and NaN are written.
    non_finite: ClassVar[re.Pattern[bytes]] = re.compile(
        rb"\xca[\x7f\xff][\x80-\xff]|\xcb[\x7f\xff][\xf0-\xff]", re.DOTALL
    )

    def pack(self, value: object) -> bytes:
        return ormsgpack.packb(value, self.to_plain_value, _PACK)

    def unpack(self, data: bytes) -> Any:
        # ormsgpack ignores what follows the first value. Here the data are the first of two elements of an array, and
        # the second one is a random value that the peer cannot know. Any trailing data would take its place.
        value, end = ormsgpack.unpackb(b"\x92" + data + _END, option=ormsgpack.OPT_NON_STR_KEYS)
        if end != _SECRET:
            raise ValueError("trailing data")
        return value

    def quick_decoder(self, adapter: MessageAdapter[T]) -> QuickDecoder[bytes, T]:
        # Through JSON, because a strict model takes a ``datetime`` or a tuple only from JSON.
        validate = adapter.validator.validate_json

        def decode(data: bytes) -> T:
            return cast(T, validate(to_json(self.unpack(data))))

        return QuickDecoder(decode, _FLOATS)

    def quick_encoders(self, adapter: MessageAdapter[Any]) -> Mapping[type[Any], Callable[[Any], bytes]]:
        return memoized(adapter.encoders, MessagePack.quick_encoders, _packers, adapter)


def _packers(adapter: MessageAdapter[Any]) -> dict[type[Any], Callable[[Any], bytes]]:
    """Return the functions that encode messages by their exact class, for the classes that need no search of values.

    In messages of other classes, U+FFFD in a key may stand for a lone surrogate, or ``None`` for a non-finite number.
    """
    members = adapter.members.items()
    return {
        class_: _packer(member)
        for class_, member in members
        if not (member.may_hold_free_keys or member.may_write_null_for_numbers)
    }


def _packer(adapter: MessageAdapter[Any]) -> Callable[[Any], bytes]:
    to_python, by_alias = adapter.serializer.to_python, adapter.by_alias
    non_finite = MessagePack.non_finite.search if adapter.may_hold_floats else None

    def pack(message: object) -> bytes:
        data = ormsgpack.packb(to_python(message, mode="json", by_alias=by_alias), None, _PACK)
        if non_finite is not None and non_finite(data):
            raise ValueError("possibly a non-finite number")  # `encoder` decides
        return data

    return pack
