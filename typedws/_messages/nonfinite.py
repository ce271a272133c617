"""Checks for what no frame may contain: non-finite numbers and lone surrogates. Nothing is encoded here."""

from cmath import isfinite
from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, AnyStr, Final, cast

from pydantic_core import from_json

from typedws._protocol.text import ENCODABLE_TEXT, surrogate_in
from typedws.exceptions import UnsendableMessage

__all__ = ["find_unsendable", "holds_constants", "is_suspicious"]


_CONSTANTS: Final = ("NaN", "Infinity", "-Infinity")


def is_suspicious(data: bytes, *, is_null: bool = True, is_key: bool = True) -> bool:
    """Whether JSON data contain anything that may stand for a non-finite number or a lone surrogate.

    pydantic writes ``null``, ``NaN`` or ``Infinity`` for such a number, by configuration, and U+FFFD for a surrogate in
    a key. It refuses a surrogate in any other text.

    :param is_null: whether ``null`` may stand for a number
    :param is_key: whether U+FFFD may stand for a surrogate in a key
    """
    if holds_constants(data):
        return True
    if is_null or is_key:
        text = data.decode()  # searching text is five times as fast as searching bytes
        return (is_key and "\ufffd" in text) or (is_null and "null" in text)
    return False


def holds_constants(data: str | bytes) -> bool:
    """Whether JSON data contain ``NaN`` or ``Infinity`` as a number; may also be true if only a string has the word."""
    return _holds(data, _IN_TEXT, '"') if isinstance(data, str) else _holds(data, _IN_BYTES, b'"')


_IN_TEXT: Final = (("N", "NaN"), ("I", "Infinity"))
_IN_BYTES: Final = ((b"N", b"NaN"), (b"I", b"Infinity"))
_SHORT: Final = 2048
_MAX_LETTERS: Final = 8
_SAMPLE: Final = 4096
_FEW_QUOTES: Final = 32


def _holds(data: AnyStr, words: tuple[tuple[AnyStr, AnyStr], tuple[AnyStr, AnyStr]], quote: AnyStr) -> bool:
    if len(data) < _SHORT:
        return words[0][1] in data or words[1][1] in data
    # Going from letter to letter costs next to nothing if there are few. The limit bounds the time for data that
    # contain little else, which a peer may send.
    has_many = False
    for letter, word in words:
        count, at = 0, data.find(letter)
        while at != -1 and not has_many:
            if data.startswith(word, at):
                return True
            count += 1
            has_many = count == _MAX_LETTERS
            at = data.find(letter, at + 1)
    if not has_many:
        return False
    # To parse JSON of long strings takes a tenth of the time of searching it. To parse JSON of many short strings takes
    # several times as long as searching it.
    if len(data) > _SAMPLE and data.count(quote, 0, _SAMPLE) < _FEW_QUOTES:
        try:
            from_json(data, allow_inf_nan=False)
        except ValueError:  # a constant, or malformed data: either way the checked path decides
            return True
        return False
    return words[0][1] in data or words[1][1] in data


def find_unsendable(value: object, plain: object) -> UnsendableMessage | None:
    """Return the error for a non-finite number or a key with a lone surrogate in a value, or ``None``.

    Only built-in containers are searched. A non-finite number is accepted if a user's serializer writes other text
    for it. It is also accepted as a key of a value that has been serialized, because all keys are text by then.

    :param value: the value before serialization
    :param plain: the value after serialization, or the value itself if it is not serialized
    """
    pending: list[tuple[object, object]] = [(value, plain)]
    seen: set[int] = set()  # a value may contain itself
    while pending:
        each, written = pending.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, float | Decimal | complex):
            if not _is_finite(each) and (not isinstance(written, str) or written in _CONSTANTS):
                return UnsendableMessage("finite numbers", str(each))
        elif isinstance(each, Mapping):
            mapping = cast(Mapping[object, object], each)
            if any(isinstance(key, str) and surrogate_in(key) is not None for key in mapping):
                return UnsendableMessage(ENCODABLE_TEXT, "a lone surrogate in a key")
            pending.extend(_paired(list(mapping.values()), written))
            if written is each:  # not serialized: a number that is a key is still a number
                pending.extend((key, key) for key in mapping)
        elif isinstance(each, list | tuple | deque):
            pending.extend(_paired(list(cast(Iterable[object], each)), written))
        elif isinstance(each, set | frozenset):
            pending.extend(_paired_in_any_order(list(cast(Iterable[object], each)), written))
    return None


def _paired(parts: list[object], written: object) -> Iterable[tuple[object, object]]:
    """Pair the parts of a container with their serialized forms, or with ``""`` if these cannot be matched.

    The number of parts differs if a serializer of the user rewrote the container: the result is accepted.
    """
    serialized: list[object] = []
    if isinstance(written, Mapping):
        serialized = list(cast(Mapping[Any, object], written).values())
    elif isinstance(written, list | tuple | deque):
        serialized = list(cast(Iterable[object], written))
    if len(serialized) != len(parts):
        return [(part, "") for part in parts]
    return zip(parts, serialized, strict=True)


def _paired_in_any_order(parts: list[object], written: object) -> Iterable[tuple[object, object]]:
    """Pair the parts of a set. A set has no order, so one ``null`` or number in the list counts for every part."""
    if isinstance(written, list):
        plain = cast(list[object], written)
        may_be_a_number = any(each is None or (isinstance(each, float) and not isfinite(each)) for each in plain)
        return [(part, None if may_be_a_number else "") for part in parts]
    return [(part, part) for part in parts]


def _is_finite(number: Decimal | complex) -> bool:
    return number.is_finite() if isinstance(number, Decimal) else isfinite(number)
