"""Examples of messages, generated from their schemas. They are deterministic, and valid for the message type.

A schema's own ``examples`` come first, then its constants and ``default``, else a small plausible value. Values for a
rare pattern or a validator function cannot be guessed: then there is no example.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import ge, gt, le, lt
from typing import Any, Final, cast

from typedws._messages.adapter import MessageAdapter
from typedws._schema.generator import Direction
from typedws._schema.traversal import Schema
from typedws.exceptions import TypedWSError

__all__ = ["examples_of"]

_Resolve = Callable[[Schema], Schema]
"""Returns the schema that a reference refers to, and any other schema itself."""


def examples_of(adapter: MessageAdapter[Any], direction: Direction, schema: Schema, resolve: _Resolve) -> list[Any]:
    """Return examples of a message, each as it is in this direction: the author's own, else at most one generated.

    :param schema: the schema of the message as it validates, whatever the direction
    :param resolve: follows the references of a schema
    """
    return list(_checked(adapter, direction, _candidates(schema, resolve)))


def _candidates(schema: Schema, resolve: _Resolve) -> list[Any]:
    if own := resolve(schema).get("examples"):
        return list(own)
    with suppress(_NoValue, *_UNEXPECTED_SCHEMA):
        return [_value(schema, _Place(resolve))]
    return []


def _checked(adapter: MessageAdapter[Any], direction: Direction, values: list[Any]) -> Iterator[Any]:
    for value in values:
        # Invalid values are dropped, the author's too: an example that its own type refuses would mislead.
        with suppress(TypedWSError):
            message = adapter.from_plain(value, "JSON")
            yield value if direction == "receive" else adapter.to_plain(message)


# --- generating values ---


class _NoValue(Exception):
    """No value can be generated."""


_UNEXPECTED_SCHEMA: Final = (AttributeError, LookupError, TypeError, re.error)
"""Errors on a schema of the author's own, which may hold anything, and on a pattern for Rust's regex, not Python's."""


@dataclass(frozen=True, slots=True)
class _Place:
    """The position of a value: the references that lead to it, so that a recursive type ends."""

    resolve: _Resolve
    refs: tuple[str, ...] = ()

    def inside(self, ref: str) -> "_Place":
        """Return the position behind a reference; raise `_NoValue` if it is inside that reference already."""
        if ref in self.refs:
            raise _NoValue
        return replace(self, refs=(*self.refs, ref))


def _value(schema: Schema, place: _Place) -> Any:
    for keyword in ("examples", "enum"):
        if schema.get(keyword):
            return schema[keyword][0]
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if (ref := schema.get("$ref")) is not None:
        return _value(place.resolve(schema), place.inside(ref))
    for keyword in ("oneOf", "anyOf", "allOf"):
        if keyword in schema:
            return _first(schema[keyword], place)
    # Without a type, any value is valid: an empty object will do.
    return _MAKERS[schema.get("type", "object")](schema, place)


def _first(choices: list[Schema], place: _Place) -> Any:
    for choice in choices:
        with suppress(_NoValue):
            return _value(choice, place)
    raise _NoValue


def _object(schema: Schema, place: _Place) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, described in schema.get("properties", {}).items():
        try:
            values[name] = _value(described, place)
        except _NoValue:
            if name in schema.get("required", ()):
                raise
    return values


def _array(schema: Schema, place: _Place) -> list[Any]:
    values = [_value(each, place) for each in schema.get("prefixItems", ())]
    minimum, limit = schema.get("minItems", 0), schema.get("maxItems", 1)
    if isinstance(items := schema.get("items"), dict):
        try:
            values.extend(_value(cast(Schema, items), place) for _ in range(len(values), max(minimum, min(limit, 1))))
        except _NoValue:
            if len(values) < minimum:
                raise
    return values


def _string(schema: Schema, _: _Place) -> str:
    minimum, limit = schema.get("minLength", 0), schema.get("maxLength", len(_TEXT))
    candidates = _BY_FORMAT.get(schema.get("format", ""), (_TEXT[:limit].ljust(minimum, "x"), *_TEXTS))
    for text in candidates:
        if len(text) >= minimum and re.search(schema.get("pattern", ""), text):
            return text
    raise _NoValue


def _number(schema: Schema, _: _Place) -> Any:
    bounds: Mapping[str, Any] = schema
    low, high, step = (
        bounds.get("minimum", bounds.get("exclusiveMinimum", 0)),
        bounds.get("maximum", 0),
        bounds.get("multipleOf", 1),
    )
    # Zero if it is valid, else a number at or next to a bound.
    for number in (0, step, low, low + step, high, schema.get("exclusiveMaximum", 0) - step):
        if all(is_within(number, schema[bound]) for bound, is_within in _BOUNDS.items() if bound in schema):
            return number
    raise _NoValue


_MAKERS: Final[Mapping[str, Callable[[Schema, _Place], Any]]] = {
    "array": _array,
    "boolean": lambda _, __: True,
    "integer": _number,
    "null": lambda _, __: None,
    "number": _number,
    "object": _object,
    "string": _string,
}
_BOUNDS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "minimum": ge,
    "exclusiveMinimum": gt,
    "maximum": le,
    "exclusiveMaximum": lt,
    "multipleOf": lambda number, step: number % step == 0,
}
_TEXT: Final = "text"
# Tried in turn where "text" does not match a pattern: letters and digits of common lengths, such as codes.
_TEXTS: Final = ("a", "A", "0", "aa", "AA", "00", "aaa", "AAA", "000", "a0", "A0", "a-a", "AAAA", "0000")
_BY_FORMAT: Final[Mapping[str, tuple[str, ...]]] = {
    "date": ("2024-02-29",),
    "date-time": ("2024-02-29T12:30:00Z", "2024-02-29T12:30:00"),
    "duration": ("PT1M30S",),
    "email": ("ann@example.com",),
    "ipv4": ("192.0.2.1",),
    "ipv6": ("2001:db8::1",),
    "time": ("12:30:00Z", "12:30:00"),
    "uri": ("https://example.com/",),
    "uuid": tuple(f"01234567-89ab-{version}def-8123-456789abcdef" for version in range(1, 9)),
}
"""Values of the formats that pydantic writes. Names and addresses are those reserved for documentation."""
