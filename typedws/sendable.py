"""What no frame may hold: non-finite numbers and lone surrogates, and how to find them. Nothing is encoded here."""

from cmath import isfinite
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, cast

from typedws.errors import UnsendableMessage

__all__ = ["ENCODABLE_TEXT", "check_text", "find_unsendable", "is_suspicious"]

ENCODABLE_TEXT: Final = "text that UTF-8 can encode"
"""What is expected where a lone surrogate is found."""

_CONSTANTS: Final = ("NaN", "Infinity", "-Infinity")


def check_text(text: str) -> None:
    """Refuse text that UTF-8 cannot encode, and so no frame can carry.

    :raises UnsendableMessage: naming where the lone surrogate is
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UnsendableMessage(ENCODABLE_TEXT, f"a lone surrogate at index {error.start}") from None


def is_suspicious(data: bytes) -> bool:
    """Whether JSON holds anything that a non-finite number or a lone surrogate turns into when written."""
    text = data.decode()  # a scan of text is five times as fast as one of bytes
    return "null" in text or "\ufffd" in text or "NaN" in text or "Infinity" in text


def find_unsendable(value: object, plain: object) -> UnsendableMessage | None:
    """Find in a value what no frame may hold: a non-finite number, or a key that is or has such a thing.

    ``plain`` is what the value is written as, or the value itself: a number that a serialiser of the user's own writes
    as text is none. Only built-in containers are looked into.
    """
    pending: list[tuple[object, object]] = [(value, plain)]
    while pending:
        each, written = pending.pop()
        if isinstance(each, float | Decimal | complex):
            if not _is_finite(each) and (not isinstance(written, str) or written in _CONSTANTS):
                return UnsendableMessage("finite numbers", str(each))
        elif isinstance(each, Mapping):
            mapping = cast(Mapping[object, object], each)
            if (refused := _find_in_keys(mapping)) is not None:
                return refused
            values = list(mapping.values())
            pending.extend(zip(values, _parts(written, len(values)), strict=True))
        elif isinstance(each, list | tuple | set | frozenset | deque):
            items = list(cast(Iterable[object], each))
            pending.extend(zip(items, _parts(written, len(items)), strict=True))
    return None


def _find_in_keys(mapping: Iterable[object]) -> UnsendableMessage | None:
    for key in mapping:
        if isinstance(key, str):
            if not key.isascii() and not _is_encodable(key):
                return UnsendableMessage(ENCODABLE_TEXT, "a lone surrogate in a key")
        elif (refused := find_unsendable(key, key)) is not None:
            return refused
    return None


def _parts(written: object, count: int) -> Sequence[object]:
    """Give what the parts of a container are written as; where it is written otherwise, as nothing that is refused."""
    found: list[object] = []
    if isinstance(written, Mapping):
        found = list(cast(Mapping[Any, object], written).values())
    elif isinstance(written, list | tuple | set | frozenset | deque):
        found = list(cast(Iterable[object], written))
    return found if len(found) == count else [""] * count


def _is_finite(number: Decimal | complex) -> bool:
    return number.is_finite() if isinstance(number, Decimal) else isfinite(number)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
