"""JSON over text and over binary frames: orjson for plain values, pydantic-core for models. No other format.

The path of models was chosen by measuring a 57-byte tagged union and a 6.7 KB nested message (microseconds, one run):

=======================================================  =====  ====
encode                                                   small   big
=======================================================  =====  ====
class serialiser's ``to_json`` (with ``.decode()``)       0.40  37.3
``orjson.dumps(serializer.to_python(message))``           0.43  33.2
union adapter's ``to_json``                               0.68  57.7
``model_dump_json()``                                     0.88  38.3
=======================================================  =====  ====

=======================================================  =====  ====
decode                                                   small   big
=======================================================  =====  ====
adapter's ``validator.validate_json``                     0.71    55
``orjson.loads`` and ``validate_python``                  0.88    66
=======================================================  =====  ====

``validate_json`` also is the one that takes a strict model with a ``datetime``, ``UUID`` or tuple field.

Non-finite numbers are refused both ways, whatever a model's configuration says: pydantic and orjson would write
``null``, which the peer's schema refuses, and take in ``NaN``, which is not JSON (RFC 8259 section 6).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import orjson
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json, to_jsonable_python

from typedws._messages.adapter import MessageAdapter, adapter_for_value, memoized
from typedws._messages.nonfinite import find_unsendable, holds_constants, is_suspicious
from typedws.codecs.base import Codec, Frame, FrameKind, QuickDecoder, T, convert_parts, encoding_error
from typedws.exceptions import InvalidMessage, UnsendableMessage

__all__ = ["BinaryJSON", "TextJSON"]


class _JSON(Codec[Frame]):
    """What both kinds of frame have in common.

    Integers outside -2**63 .. 2**64 - 1 are read as floats, as orjson does; with ``exact_integers`` they are read
    as they are, by a slower parser. They are always written exactly.
    """

    content_type: str | None = "application/json"
    _letters: tuple[str, str] | tuple[int, int]
    """In every number that JSON does not have is one of these."""

    def __init__(self, name: str = "json", *, exact_integers: bool = False) -> None:
        self.name = name
        self._load: Callable[[str | bytes], Any] = _load_exactly if exact_integers else orjson.loads

    def decode(self, data: Frame) -> Any:
        try:
            return self._load(data)
        except (ValueError, TypeError) as error:
            raise InvalidMessage("malformed", "JSON", "malformed JSON") from error

    def decode_model(self, data: Frame, adapter: MessageAdapter[T]) -> T:
        return self.decoder(adapter)(data)

    def model_decoder(self, adapter: MessageAdapter[T]) -> Callable[[Frame], T]:
        quick = self.quick_decoder(adapter)
        validate = quick.decode
        letters: tuple[Any, Any] = quick.unless  # in text these are text, among bytes numbers
        letter, other = letters

        def decode(data: Frame) -> T:
            if letter in data or other in data:
                _refuse_constants(data, adapter)
            try:
                return validate(data)
            except ValidationError as error:
                raise adapter.validation_error(error, "JSON") from None  # its text would repeat the message

        return decode

    def quick_decoder(self, adapter: MessageAdapter[T]) -> QuickDecoder[Frame, T]:
        # pydantic takes NaN and Infinity; two scans for a letter are the cheapest way to see that there is none.
        return QuickDecoder(adapter.validator.validate_json, self._letters)

    def quick_encoders(self, adapter: MessageAdapter[Any]) -> Mapping[type[Any], Callable[[Any], bytes]]:
        return _dumpers(adapter)


class TextJSON(_JSON[str]):
    """JSON in text frames: the mode ``"text"``."""

    kind: FrameKind = "text"
    _letters = ("N", "I")

    def encode(self, value: object) -> str:
        return _dump(value).decode()

    def encode_model(self, message: T, adapter: MessageAdapter[T]) -> str:
        return _model_dumper(adapter)(message).decode()

    def model_encoder(self, adapter: MessageAdapter[T]) -> Callable[[T], str]:
        dump = _model_dumper(adapter)

        def encode(message: T) -> str:
            return dump(message).decode()

        return encode


class BinaryJSON(_JSON[bytes]):
    """JSON in binary frames: the mode ``"binary"``."""

    kind: FrameKind = "binary"
    _letters = (ord("N"), ord("I"))

    def encode(self, value: object) -> bytes:
        return _dump(value)

    def encode_model(self, message: T, adapter: MessageAdapter[T]) -> bytes:
        return _model_dumper(adapter)(message)

    def model_encoder(self, adapter: MessageAdapter[T]) -> Callable[[T], bytes]:
        return _model_dumper(adapter)


# --- models ---


def _model_dumper(adapter: MessageAdapter[T]) -> Callable[[T], bytes]:
    dumpers = _dumpers(adapter)

    def dump(message: T) -> bytes:
        try:
            return dumpers[type(message)](message)
        except KeyError:
            return _dump_other(adapter, message)
        except PydanticSerializationError as error:
            raise adapter.serialization_error(message, error) from error

    return dump


def _dumpers(adapter: MessageAdapter[Any]) -> dict[type[Any], Callable[[Any], bytes]]:
    """Give what writes the members of a type, by their exact class, made once."""
    return memoized(adapter.encoders, _dumpers, _make_dumpers, adapter)


def _make_dumpers(adapter: MessageAdapter[Any]) -> dict[type[Any], Callable[[Any], bytes]]:
    return {class_: _dumper(member) for class_, member in adapter.members.items()}


def _dumper(adapter: MessageAdapter[T]) -> Callable[[T], bytes]:
    """Give the cheapest sound way to write instances of exactly one class."""
    dump: Callable[[T], bytes] = adapter.serializer.to_json
    if adapter.by_alias is not None:
        dump = partial(adapter.serializer.to_json, by_alias=adapter.by_alias)
    if not adapter.may_hold_unsendable:
        return dump

    def checked(message: T) -> bytes:
        data = dump(message)
        if adapter.is_suspicious(data):
            adapter.to_plain(message)
        return data

    return checked


def _dump_other(adapter: MessageAdapter[T], message: T) -> bytes:
    """Write what is no exact member: a subclass, or a type without a class of its own."""
    if (member := adapter.member_of(message)) is not adapter:
        return _dump_other(member, message)
    adapter.check(message)
    try:
        data = adapter.serializer.to_json(message, by_alias=adapter.by_alias, warnings="error")
    except PydanticSerializationError as error:
        raise adapter.serialization_error(message, error) from error
    if adapter.may_hold_unsendable and adapter.is_suspicious(data):
        adapter.to_plain(message)
    return data


# --- plain values ---

_WRITER: Final = BinaryJSON()
# Both are left to pydantic: orjson 3.13.0 writes a time of 19218 microseconds as one of 192180.
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


def _dump(value: object) -> bytes:
    try:
        data = orjson.dumps(value, _plainer, _OPTIONS)
    except orjson.JSONEncodeError as error:
        if isinstance(error.__cause__, UnsendableMessage):
            raise error.__cause__ from None
        data = _dump_slowly(value)
    if is_suspicious(data):
        _refuse_non_finite(value)
    return data


def _plainer(value: object) -> orjson.Fragment:
    if (adapter := adapter_for_value(value)) is not None:
        return orjson.Fragment(_WRITER.encoder(adapter)(value))
    return orjson.Fragment(to_json(value, by_alias=True, inf_nan_mode="null"))


def _dump_slowly(value: object) -> bytes:
    """Write what orjson refuses: integers beyond 64 bits, keys that are no text."""
    if (refused := find_unsendable(value, value)) is not None:
        raise refused
    try:
        return to_json(convert_parts(value, _without_model), by_alias=True, inf_nan_mode="null")
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise encoding_error(value, "JSON", error) from error


def _without_model(value: object) -> object:
    adapter = adapter_for_value(value)
    return value if adapter is None else adapter.to_plain(value)


def _load_exactly(data: str | bytes) -> Any:
    value = from_json(data, allow_inf_nan=False)
    if find_unsendable(value, value):  # 1e999 is beyond a double
        raise ValueError("a number beyond the range of a double")
    return value


# --- non-finite numbers ---


def _refuse_non_finite(value: object) -> None:
    """Refuse a value in which ``null`` or a word stands for a number that JSON cannot say."""
    probe = to_json(value, by_alias=True, inf_nan_mode="constants").decode()
    if "NaN" in probe or "Infinity" in probe:
        plain = to_jsonable_python(value, by_alias=True)
        refused = find_unsendable(value, value) or find_unsendable(plain, plain)
        if refused is not None:
            raise refused


def _refuse_constants(data: str | bytes, adapter: MessageAdapter[Any]) -> None:
    if not holds_constants(data):
        return
    try:
        from_json(data, allow_inf_nan=False)
    except (ValueError, TypeError) as error:
        raise InvalidMessage("malformed", adapter.name, "malformed JSON") from error
