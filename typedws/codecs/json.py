"""JSON in text frames and in binary frames: orjson for plain values, pydantic-core for models. No other format.

Measurements decided how models are encoded and decoded. They used a 57-byte tagged union (small) and a 6.7 KB nested
message (big). Times are in microseconds, from one run:

=======================================================  =====  ====
encode                                                   small   big
=======================================================  =====  ====
class serializer's ``to_json`` (with ``.decode()``)       0.40  37.3
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

Of the two, only ``validate_json`` accepts a strict model with a ``datetime``, ``UUID`` or tuple field.

Non-finite numbers are refused in both directions, whatever the configuration of a model is. pydantic and orjson would
write ``null``, which the peer's schema refuses. pydantic would also accept ``NaN``, which is not JSON (RFC 8259
section 6).
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
    """JSON in either kind of frame."""

    content_type: str | None = "application/json"
    _letters: tuple[str, str] | tuple[int, int]
    """Every constant for a non-finite number has one of these: ``NaN``, ``Infinity`` and ``-Infinity``."""

    def __init__(self, name: str = "json", *, exact_integers: bool = False) -> None:
        """Make a codec for JSON.

        Integers of any size are encoded exactly, and decoded exactly into models.

        :param name: the name of the format in error messages
        :param exact_integers: whether plain values keep integers outside -2**63 .. 2**64 - 1 too, with a slower parser;
            by default these are decoded as floats, as in orjson
        """
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
        letters: tuple[Any, Any] = quick.unless  # characters or byte values
        letter, other = letters

        def decode(data: Frame) -> T:
            if letter in data or other in data:
                _refuse_constants(data, adapter)
            try:
                return validate(data)
            except ValidationError as error:
                # From None: the text of pydantic's error repeats the message, and a traceback would show it.
                raise adapter.validation_error(error, "JSON") from None

        return decode

    def quick_decoder(self, adapter: MessageAdapter[T]) -> QuickDecoder[Frame, T]:
        # pydantic accepts NaN and Infinity, and ``validate_json`` has no option to refuse them. Two searches for a
        # letter are the cheapest proof that a frame has neither.
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
        except KeyError:  # not exactly one of the member classes
            return _dump_other(adapter, message)
        except PydanticSerializationError as error:
            raise adapter.serialization_error(message, error) from error

    return dump


def _dumpers(adapter: MessageAdapter[Any]) -> dict[type[Any], Callable[[Any], bytes]]:
    """Return the functions that encode messages of a type by their exact class, from a cache."""
    # The key is not the codec: text and binary frames share these functions.
    return memoized(adapter.encoders, _dumpers, _make_dumpers, adapter)


def _make_dumpers(adapter: MessageAdapter[Any]) -> dict[type[Any], Callable[[Any], bytes]]:
    return {class_: _dumper(member) for class_, member in adapter.members.items()}


def _dumper(adapter: MessageAdapter[T]) -> Callable[[T], bytes]:
    """Return the fastest function that correctly encodes instances of exactly one class."""
    # A type without aliases does not need the argument, and calling the bare method is faster than calling a partial.
    dump: Callable[[T], bytes] = adapter.serializer.to_json
    if adapter.by_alias is not None:
        dump = partial(adapter.serializer.to_json, by_alias=adapter.by_alias)
    if not adapter.may_hold_unsendable:
        return dump

    def checked(message: T) -> bytes:
        data = dump(message)
        if adapter.is_suspicious(data):
            adapter.to_plain(message)  # raises if the message is unsendable
        return data

    return checked


def _dump_other(adapter: MessageAdapter[T], message: T) -> bytes:
    """Encode a message that is not exactly of a member class: of a subclass, or of a type such as ``list[int]``."""
    if (member := adapter.member_of(message)) is not adapter:
        return _dump_other(member, message)
    adapter.check(message)
    try:
        data = adapter.serializer.to_json(message, by_alias=adapter.by_alias, warnings="error")
    except PydanticSerializationError as error:
        raise adapter.serialization_error(message, error) from error
    if adapter.may_hold_unsendable and adapter.is_suspicious(data):
        adapter.to_plain(message)  # raises if the message is unsendable
    return data


# --- plain values ---

_WRITER: Final = BinaryJSON()
# Both are left to pydantic. orjson would ignore aliases and serializers of a pydantic dataclass, and orjson 3.13.0
# writes a time of 19218 microseconds as one of 192180.
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


def _dump(value: object) -> bytes:
    try:
        data = orjson.dumps(value, _to_fragment, _OPTIONS)
    except orjson.JSONEncodeError as error:
        # orjson wraps what ``_to_fragment`` raises.
        if isinstance(error.__cause__, UnsendableMessage):
            raise error.__cause__ from None
        data = _dump_slowly(value)
    if is_suspicious(data):  # orjson writes null for a non-finite number
        _refuse_non_finite(value)
    return data


def _to_fragment(value: object) -> orjson.Fragment:
    """Encode a value of a type that orjson does not know, for orjson to insert as it is."""
    if (adapter := adapter_for_value(value)) is not None:
        return orjson.Fragment(_WRITER.encoder(adapter)(value))
    return orjson.Fragment(to_json(value, by_alias=True, inf_nan_mode="null"))


def _dump_slowly(value: object) -> bytes:
    """Encode a value that orjson refuses: with integers beyond 64 bits, or with keys that are not text."""
    if (unsendable := find_unsendable(value, value)) is not None:
        raise unsendable
    try:
        return to_json(convert_parts(value, _without_model), by_alias=True, inf_nan_mode="null")
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise encoding_error(value, "JSON", error) from error


def _without_model(value: object) -> object:
    adapter = adapter_for_value(value)
    return value if adapter is None else adapter.to_plain(value)


def _load_exactly(data: str | bytes) -> Any:
    value = from_json(data, allow_inf_nan=False)
    if find_unsendable(value, value):  # 1e999 is valid JSON, but becomes infinity
        raise ValueError("a number beyond the range of a double")
    return value


# --- non-finite numbers ---


def _refuse_non_finite(value: object) -> None:
    """Raise if a value contains a non-finite number, for which its JSON has ``null`` or a word.

    :raises UnsendableMessage: if it does
    """
    # With constants, only ``None`` is null. This decides most cases without the slower search below.
    probe = to_json(value, by_alias=True, inf_nan_mode="constants").decode()
    if "NaN" in probe or "Infinity" in probe:
        plain = to_jsonable_python(value, by_alias=True)
        # Both are searched: the fields of models only show in the plain form, in which decimals and keys are text.
        unsendable = find_unsendable(value, value) or find_unsendable(plain, plain)
        if unsendable is not None:
            raise unsendable


def _refuse_constants(data: str | bytes, adapter: MessageAdapter[Any]) -> None:
    """Raise `InvalidMessage` if JSON has ``NaN`` or ``Infinity`` as a number, and not only inside a string."""
    if not holds_constants(data):
        return
    try:
        from_json(data, allow_inf_nan=False)
    except (ValueError, TypeError) as error:
        raise InvalidMessage("malformed", adapter.name, "malformed JSON") from error
