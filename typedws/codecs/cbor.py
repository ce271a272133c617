"""CBOR (RFC 8949) in binary frames, on cbor2 (the extra ``cbor``). No other format.

Bytes, integers of up to 4,300 digits and keys of any type travel as they are; times, UUIDs, decimals and sets as
CBOR's own tags.
"""

import re
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from typing import Any, ClassVar, NoReturn

import cbor2

from typedws.codecs.base import BinaryCodec, convert_parts

__all__ = ["CBOR"]


def _refuse_tag(*_: object) -> NoReturn:
    raise ValueError("a tag that no message needs")


def _positive(data: bytes, *_: object) -> int:
    if len(data) > _MAX_INTEGER_BYTES:  # what is done with an integer may take time that grows with its square
        raise ValueError("an integer out of range")
    return int.from_bytes(data)


def _negative(data: bytes, *_: object) -> int:
    return -1 - _positive(data)


def _decimal(parts: Any, *_: object) -> Decimal:
    exponent, digits = parts
    if abs(exponent) > _MAX_EXPONENT:  # eight bytes could make an integer of a million digits
        raise ValueError("a decimal fraction out of range")
    return Decimal(f"{digits:d}E{exponent:d}")  # exact, where scaleb() rounds


_MAX_INTEGER_BYTES = 1785  # 4,300 decimal digits, where Python and pydantic stop reading text as a number
_MAX_EXPONENT = 6144  # that of decimal128 (IEEE 754), and of JSON numbers in most languages

# Shared references (28, 29) can make a value contain itself, 25 and 256 refer to strings elsewhere, 35 and 36 make
# objects of other libraries from the peer's text, 5, 30 and 43000 are numbers that JSON does not have: none is a value
# that a message could mean.
_SEMANTICS: dict[int, Any] = dict.fromkeys((5, 25, 28, 29, 30, 35, 36, 256, 43000), _refuse_tag) | {
    2: _positive,
    3: _negative,
    4: _decimal,
}


class CBOR(BinaryCodec):
    """CBOR: the mode ``"cbor"``."""

    name: str = "cbor"
    content_type: str | None = "application/cbor"
    non_finite: ClassVar[re.Pattern[bytes]] = re.compile(
        rb"\xf9[\x7c-\x7f\xfc-\xff]|\xfa[\x7f\xff][\x80-\xff]|\xfb[\x7f\xff][\xf0-\xff]", re.DOTALL
    )

    def pack(self, value: object) -> bytes:
        try:
            return cbor2.dumps(value, default=lambda encoder, each: encoder.encode(self.to_plain_value(each)))
        except cbor2.CBOREncodeError:
            return cbor2.dumps(convert_parts(value, self._without_naive_time))

    def _without_naive_time(self, value: object) -> object:
        # CBOR's own times have a zone (RFC 8949 section 3.4.1).
        return self.to_plain_value(value) if isinstance(value, datetime) and value.tzinfo is None else value

    def unpack(self, data: bytes) -> Any:
        stream = BytesIO(data)
        value = cbor2.load(stream, semantic_decoders=_SEMANTICS, tag_hook=_refuse_tag)
        if stream.tell() != len(data):
            raise ValueError("something follows the value")
        return value
