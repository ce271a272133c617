"""Traversal of nested JSON Schemas: which keywords hold schemas, and which hold data. No types or documents here."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias, TypeVar, cast

__all__ = ["Schema", "rebuilt", "subschemas"]

Schema: TypeAlias = dict[str, Any]
"""A JSON Schema that is an object. ``true`` and ``false`` are schemas too, but occur only inside one."""

T = TypeVar("T")

# Keywords that hold one schema, a list of schemas, or a mapping of names to schemas. All others hold data, in which a
# key such as "properties" or "$ref" is a plain key: a default, an example, an enum.
_ONE: Final = frozenset(
    "additionalItems additionalProperties contains contentSchema else if items not propertyNames then "
    "unevaluatedItems unevaluatedProperties".split()
)
_LISTS: Final = frozenset("allOf anyOf oneOf prefixItems".split())
_MAPS: Final = frozenset("$defs dependentSchemas patternProperties properties".split())


def rebuilt(schema: Mapping[str, Any], change: Callable[[Schema], T]) -> T:
    """Apply ``change`` to a copy of every schema inside a schema, then of the schema itself; return the last result.

    Each call gets the results for the schemas inside in their place.
    """
    return change({keyword: _rebuilt_part(keyword, value, change) for keyword, value in schema.items()})


def _rebuilt_part(keyword: str, value: Any, change: Callable[[Schema], Any]) -> Any:
    # Below, "not" stands for any keyword with one schema, so that a list or mapping may also hold true and false.
    if keyword in _ONE and isinstance(value, dict):
        return rebuilt(cast(Schema, value), change)
    if keyword in _LISTS:
        return [_rebuilt_part("not", each, change) for each in value]
    if keyword in _MAPS:
        return {name: _rebuilt_part("not", each, change) for name, each in value.items()}
    return value


def subschemas(schema: Mapping[str, Any]) -> Iterator[Schema]:
    """Yield a schema and all schemas inside it, not copied; references are not followed."""
    yield cast(Schema, schema)
    for keyword, value in schema.items():
        parts: list[Any] = []
        if keyword in _ONE:
            parts = [value]
        elif keyword in _LISTS:
            parts = value
        elif keyword in _MAPS:
            parts = list(value.values())
        for part in parts:
            if isinstance(part, dict):
                yield from subschemas(cast(Schema, part))
