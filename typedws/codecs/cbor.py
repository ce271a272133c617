"""CBOR (RFC 8949) in binary frames, on cbor2 (the extra ``cbor``). No other format.

Bytes, integers of up to 4,300 digits and keys of any type are kept as they are. Times, UUIDs, decimals and sets are
written with CBOR's own tags.
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
    raise ValueError("an unsupported tag")


def _positive(data: bytes, *_: object) -> int:
    if len(data) > _MAX_INTEGER_BYTES:  # some operations take time that grows with the square of the size
        raise ValueError("an integer out of range")
    return int.from_bytes(data)


def _negative(data: bytes, *_: object) -> int:
    return -1 - _positive(data)


def _decimal(parts: Any, *_: object) -> Decimal:
    exponent, digits = parts
    if abs(exponent) > _MAX_EXPONENT:  # a frame of eight bytes could become an integer of a million digits
        raise ValueError("a decimal fraction out of range")
    return Decimal(f"{digits:d}E{exponent:d}")  # exact, while scaleb() rounds to the precision of the context


_MAX_INTEGER_BYTES = 1785  # 4,300 decimal digits, the most that Python and pydantic convert from text
_MAX_EXPONENT = 6144  # that of decimal128 (IEEE 754), and of JSON numbers in most languages

# These tags are refused, because no message needs them. With shared references (28, 29) a value may contain itself.
# Tags 25 and 256 refer to strings elsewhere in the data. Tags 35 and 36 make objects of other libraries from the peer's
# text. Tags 5, 30 and 43000 are numbers that JSON does not have.
_SEMANTICS: dict[int, Any] = dict.fromkeys((5, 25, 28, 29, 30, 35, 36, 256, 43000), _refuse_tag) | {
    2: _positive,
    3: _negative,
    4: _decimal,
}


class CBOR(BinaryCodec):
    """CBOR: the mode ``"cbor"``. It refuses to read integers of more than 4,300 digits and unknown tags."""

    name: str = "cbor"
    content_type: str | None = "application/cbor"
    # A float of 16, 32 or 64 bits whose exponent bits are all set, which is how infinity and NaN are written.
    non_finite: ClassVar[re.Pattern[bytes]] = re.compile(
        rb"\xf9[\x7c-\x7f\xfc-\xff]|\xfa[\x7f\xff][\x80-\xff]|\xfb[\x7f\xff][\xf0-\xff]", re.DOTALL
    )

    def pack(self, value: object) -> bytes:
        # cbor2 refuses a naive time without calling ``default``, so a second attempt converts such times in advance.
        try:
            return cbor2.dumps(value, default=lambda encoder, each: encoder.encode(self.to_plain_value(each)))
        except cbor2.CBOREncodeError:
            return cbor2.dumps(convert_parts(value, self._without_naive_time))

    def _without_naive_time(self, value: object) -> object:
        # The times of CBOR have a time zone (RFC 8949 section 3.4.1).
        return self.to_plain_value(value) if isinstance(value, datetime) and value.tzinfo is None else value

    def unpack(self, data: bytes) -> Any:
        stream = BytesIO(data)
        value = cbor2.load(stream, semantic_decoders=_SEMANTICS, tag_hook=_refuse_tag)
        if stream.tell() != len(data):  # cbor2 ignores what follows the first value
            raise ValueError("trailing data")
        return value
