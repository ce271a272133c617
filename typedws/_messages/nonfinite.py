"""What no frame may hold: non-finite numbers and lone surrogates, and how to find them. Nothing is encoded here."""

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
    """Whether JSON holds anything that a non-finite number or a lone surrogate turns into when written.

    :param is_null: whether ``null`` may stand for a number
    :param is_key: whether U+FFFD may stand for a surrogate in a key
    """
    if holds_constants(data):
        return True
    if is_null or is_key:
        text = data.decode()  # a scan of text is five times as fast as one of bytes
        return (is_key and "\ufffd" in text) or (is_null and "null" in text)
    return False


def holds_constants(data: str | bytes) -> bool:
    """Whether a number that JSON does not have stands in what else is JSON; perhaps also where it is but in a text."""
    return _holds(data, _IN_TEXT, '"') if isinstance(data, str) else _holds(data, _IN_BYTES, b'"')


_IN_TEXT: Final = (("N", "NaN"), ("I", "Infinity"))
_IN_BYTES: Final = ((b"N", b"NaN"), (b"I", b"Infinity"))
_SHORT: Final = 2048
_MOST_LETTERS: Final = 8
_SAMPLE: Final = 4096
_FEW_QUOTES: Final = 32


def _holds(data: AnyStr, words: tuple[tuple[AnyStr, AnyStr], tuple[AnyStr, AnyStr]], quote: AnyStr) -> bool:
    if len(data) < _SHORT:
        return words[0][1] in data or words[1][1] in data
    has_many = False
    for letter, word in words:  # from letter to letter is next to nothing, where there are few
        found, at = 0, data.find(letter)
        while at != -1 and not has_many:
            if data.startswith(word, at):
                return True
            found += 1
            has_many = found == _MOST_LETTERS
            at = data.find(letter, at + 1)
    if not has_many:
        return False
    # Long texts are parsed in a tenth of what it takes to search them, many short ones in several times that.
    if len(data) > _SAMPLE and data.count(quote, 0, _SAMPLE) < _FEW_QUOTES:
        try:
            from_json(data, allow_inf_nan=False)
        except ValueError:
            return True
        return False
    return words[0][1] in data or words[1][1] in data


def find_unsendable(value: object, plain: object) -> UnsendableMessage | None:
    """Find in a value what no frame may hold: a non-finite number, a key with a lone surrogate.

    ``plain`` is what the value is written as, or the value itself: a number that a serialiser of the user's own writes
    as text is none, nor is one that becomes a key, and so text. Only built-in containers are looked into.
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
            if written is each:
                pending.extend((key, key) for key in mapping)
        elif isinstance(each, list | tuple | deque):
            pending.extend(_paired(list(cast(Iterable[object], each)), written))
        elif isinstance(each, set | frozenset):
            pending.extend(_paired_in_any_order(list(cast(Iterable[object], each)), written))
    return None


def _paired(parts: list[object], written: object) -> Iterable[tuple[object, object]]:
    """Pair the parts of a container with what they are written as; where that cannot be told, with harmless text."""
    found: list[object] = []
    if isinstance(written, Mapping):
        found = list(cast(Mapping[Any, object], written).values())
    elif isinstance(written, list | tuple | deque):
        found = list(cast(Iterable[object], written))
    if len(found) != len(parts):
        return [(part, "") for part in parts]
    return zip(parts, found, strict=True)


def _paired_in_any_order(parts: list[object], written: object) -> Iterable[tuple[object, object]]:
    """Pair the parts of a set: what is written for any number counts for each, as a set has no order."""
    if isinstance(written, list):
        plain = cast(list[object], written)
        stands_for_a_number = any(each is None or (isinstance(each, float) and not isfinite(each)) for each in plain)
        return [(part, None if stands_for_a_number else "") for part in parts]
    return [(part, part) for part in parts]


def _is_finite(number: Decimal | complex) -> bool:
    return number.is_finite() if isinstance(number, Decimal) else isfinite(number)
