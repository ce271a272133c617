"""Describe how a value differs from the expected one, in one line per difference. Nothing is received here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final, cast

from pydantic import BaseModel

__all__ = ["differences", "short_repr"]

_MAX_LENGTH: Final = 500
_MISSING: Final = object()  # not None, which is a value that a field may have


def differences(message: object, expected: Mapping[str, object]) -> Iterator[str]:
    """Yield a line for each field of a message that differs: its path, the expected and the actual value."""
    parts = _parts(message)
    for name, value in expected.items():
        if parts is None or name not in parts:
            known = ", ".join(map(str, parts or ())) or "none"
            yield f"{name}: expected {short_repr(value)}, found no such field (there are: {known})"
        else:
            yield from _compare(name, value, parts[name])


def short_repr(value: object) -> str:
    """Return the ``repr`` of a value, shortened to 500 characters if it is longer."""
    text = repr(value)
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}... ({len(text)} characters)"


def _compare(path: str, expected: object, found: object) -> Iterator[str]:
    if expected == found:
        return
    expected_parts, found_parts = _parts(expected), _parts(found)
    if expected_parts is None or found_parts is None or type(expected) is not type(found):
        yield f"{path}: expected {short_repr(expected)}, found {short_repr(found)}"
        return
    prefix = f"{path}." if path else ""
    for name in {**expected_parts, **found_parts}:
        expected_part, found_part = expected_parts.get(name, _MISSING), found_parts.get(name, _MISSING)
        if expected_part is _MISSING:
            yield f"{prefix}{name}: expected no such field, found {short_repr(found_part)}"
        elif found_part is _MISSING:
            yield f"{prefix}{name}: expected {short_repr(expected_part)}, found no such field"
        else:
            yield from _compare(f"{prefix}{name}", expected_part, found_part)


def _parts(value: object) -> Mapping[Any, object] | None:
    """Return the fields, keys or indexes of a value with their values, or ``None`` for a value without parts."""
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in (*type(value).model_fields, *(value.model_extra or ()))}
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return cast(Mapping[Any, object], value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return dict(enumerate(cast(Sequence[object], value)))
    return None
