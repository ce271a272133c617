"""How JSON Schemas nest: which keywords hold schemas, and which hold data. No type or document is known here."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias, TypeVar, cast

__all__ = ["Schema", "rebuilt", "subschemas"]

Schema: TypeAlias = dict[str, Any]
"""A JSON Schema that is an object. ``true`` and ``false``, which are schemas too, stand only inside one."""

T = TypeVar("T")

_ONE: Final = frozenset(
    "additionalItems additionalProperties contains contentSchema else if items not propertyNames then "
    "unevaluatedItems unevaluatedProperties".split()
)
_LISTS: Final = frozenset("allOf anyOf oneOf prefixItems".split())
_MAPS: Final = frozenset("$defs dependentSchemas patternProperties properties".split())


def rebuilt(schema: Mapping[str, Any], change: Callable[[Schema], T]) -> T:
    """Change a schema from the inside out: ``change`` gets it with what became of the schemas in it."""
    return change({keyword: _rebuilt_part(keyword, value, change) for keyword, value in schema.items()})


def _rebuilt_part(keyword: str, value: Any, change: Callable[[Schema], Any]) -> Any:
    if keyword in _ONE and isinstance(value, dict):
        return rebuilt(cast(Schema, value), change)
    if keyword in _LISTS:
        return [_rebuilt_part("not", each, change) for each in value]
    if keyword in _MAPS:
        return {name: _rebuilt_part("not", each, change) for name, each in value.items()}
    return value


def subschemas(schema: Mapping[str, Any]) -> Iterator[Schema]:
    """Give a schema and all in it, each as it stands there; definitions that it refers to are not in it."""
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
