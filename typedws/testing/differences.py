"""How a value differs from what was expected of it, as lines for people. Nothing is received here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final, cast

from pydantic import BaseModel

__all__ = ["differences", "shown"]

_LONGEST: Final = 500
_NOTHING: Final = object()


def differences(message: object, expected: Mapping[str, object]) -> Iterator[str]:
    """Give a line for each part of a message that is not as expected: where, what was expected, what was found."""
    parts = _parts(message)
    for name, value in expected.items():
        if parts is None or name not in parts:
            known = ", ".join(map(str, parts or ())) or "none"
            yield f"{name}: expected {shown(value)}, found no such field (there are: {known})"
        else:
            yield from _between(name, value, parts[name])


def shown(value: object) -> str:
    """Show a value, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def _between(path: str, expected: object, found: object) -> Iterator[str]:
    if expected == found:
        return
    wanted, had = _parts(expected), _parts(found)
    if wanted is None or had is None or type(expected) is not type(found):
        yield f"{path}: expected {shown(expected)}, found {shown(found)}"
        return
    before = f"{path}." if path else ""
    for name in {**wanted, **had}:
        each, other = wanted.get(name, _NOTHING), had.get(name, _NOTHING)
        if each is _NOTHING:
            yield f"{before}{name}: expected none, found {shown(other)}"
        elif other is _NOTHING:
            yield f"{before}{name}: expected {shown(each)}, found none"
        else:
            yield from _between(f"{before}{name}", each, other)


def _parts(value: object) -> Mapping[Any, object] | None:
    """Give the named or numbered parts of a value; ``None`` for one without parts."""
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in (*type(value).model_fields, *(value.model_extra or ()))}
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return cast(Mapping[Any, object], value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return dict(enumerate(cast(Sequence[object], value)))
    return None
