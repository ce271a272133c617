"""Examples of messages, made from their schemas: always the same, and none that the message type would refuse.

A schema's own ``examples`` come first, then its ``default``; else a small value that looks like one. What a pattern or
a validator function asks for cannot be guessed: then there is no example.
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


def examples_of(adapter: MessageAdapter[Any], direction: Direction, schema: Schema, resolve: _Resolve) -> list[Any]:
    """Give examples of one message of a type: the author's own, or one that is made.

    :param schema: the message as it would be heard, whatever the direction
    :param resolve: gives what a schema refers to
    """
    return list(_checked(adapter, direction, _candidates(schema, resolve)))


def _candidates(schema: Schema, resolve: _Resolve) -> list[Any]:
    if own := resolve(schema).get("examples"):
        return list(own)
    with suppress(_NoValue, *_OF_ITS_OWN_KIND):
        return [_value(schema, _Place(resolve))]
    return []


def _checked(adapter: MessageAdapter[Any], direction: Direction, values: list[Any]) -> Iterator[Any]:
    for value in values:
        with suppress(TypedWSError):
            message = adapter.from_plain(value, "JSON")
            yield value if direction == "receive" else adapter.to_plain(message)


# --- making values up ---


class _NoValue(Exception):
    """No value can be made up."""


_OF_ITS_OWN_KIND: Final = (AttributeError, LookupError, TypeError, re.error)
"""What may come of an author's own schema, which may be anything, and of a pattern, which Rust takes and Python not."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value is made: how references are followed, and inside of which it is, so that it ends."""

    resolve: _Resolve
    refs: tuple[str, ...] = ()

    def inside(self, ref: str) -> "_Place":
        if ref in self.refs:
            raise _NoValue
        return replace(self, refs=(*self.refs, ref))


def _value(schema: Schema, place: _Place) -> Any:
    for listed in ("examples", "enum"):
        if schema.get(listed):
            return schema[listed][0]
    for stated in ("const", "default"):
        if stated in schema:
            return schema[stated]
    if (ref := schema.get("$ref")) is not None:
        return _value(place.resolve(schema), place.inside(ref))
    for choices in ("oneOf", "anyOf", "allOf"):
        if choices in schema:
            return _first(schema[choices], place)
    return _MAKERS[schema.get("type", "object")](schema, place)


def _first(choices: list[Schema], place: _Place) -> Any:
    for choice in choices:
        with suppress(_NoValue):
            return _value(choice, place)
    raise _NoValue


def _object(schema: Schema, place: _Place) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, described in schema.get("properties", {}).items():
        try:
            made[name] = _value(described, place)
        except _NoValue:
            if name in schema.get("required", ()):
                raise
    return made


def _array(schema: Schema, place: _Place) -> list[Any]:
    made = [_value(each, place) for each in schema.get("prefixItems", ())]
    least, most = schema.get("minItems", 0), schema.get("maxItems", 1)
    if isinstance(items := schema.get("items"), dict):
        try:
            made.extend(_value(cast(Schema, items), place) for _ in range(len(made), max(least, min(most, 1))))
        except _NoValue:
            if len(made) < least:
                raise
    return made


def _string(schema: Schema, _: _Place) -> str:
    least, most = schema.get("minLength", 0), schema.get("maxLength", len(_TEXT))
    likely = _LIKELY.get(schema.get("format", ""), (_TEXT[:most].ljust(least, "x"), *_TEXTS))
    for text in likely:
        if len(text) >= least and re.search(schema.get("pattern", ""), text):
            return text
    raise _NoValue


def _number(schema: Schema, _: _Place) -> Any:
    bounds: Mapping[str, Any] = schema
    low, high, step = (
        bounds.get("minimum", bounds.get("exclusiveMinimum", 0)),
        bounds.get("maximum", 0),
        bounds.get("multipleOf", 1),
    )
    for number in (0, step, low, low + step, high, schema.get("exclusiveMaximum", 0) - step):
        if all(is_kept(number, schema[bound]) for bound, is_kept in _BOUNDS.items() if bound in schema):
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
_TEXTS: Final = ("a", "A", "0", "aa", "AA", "00", "aaa", "AAA", "000", "a0", "A0", "a-a", "AAAA", "0000")
_LIKELY: Final[Mapping[str, tuple[str, ...]]] = {
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
"""Values of the formats that pydantic knows, reserved for documentation where they are names or addresses."""
