"""Serialisers that write a non-finite number as one, ``NaN``, where those of pydantic's classes write ``null``.

So it is told from ``None`` by what is written, and the message need not be looked through. Which types can have one,
`typedws._messages.adapter` knows.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, cast

from pydantic import BaseModel
from pydantic_core import CoreConfig, SchemaSerializer

from typedws._messages.core_schema import NOT_SCHEMA

__all__ = ["nonfinite_serializer"]

_CONSTANTS: Final[CoreConfig] = {"ser_json_inf_nan": "constants"}


def nonfinite_serializer(schema: Mapping[str, Any]) -> SchemaSerializer | None:
    """Make the outspoken serialiser of a core schema; ``None`` where this pydantic cannot."""
    return _made(schema) if _can_be_made() else None


def _made(schema: Mapping[str, Any]) -> SchemaSerializer:
    # Without the serialisers that the classes in it have already, which write null.
    return SchemaSerializer(_with_constants(schema), _CONSTANTS, _use_prebuilt=False)


@cache
def _can_be_made() -> bool:
    """Whether it works: not to use what is built already is a private option."""

    class Inner(BaseModel):
        number: float = float("nan")

    class Outer(BaseModel):
        inner: Inner = Inner()

    try:
        return _made(Outer.__pydantic_core_schema__).to_json(Outer()) == b'{"inner":{"number":NaN}}'
    except TypeError:
        return False


def _with_constants(schema: object) -> Any:
    if isinstance(schema, list):
        return [_with_constants(part) for part in cast(list[object], schema)]
    if isinstance(schema, tuple):
        return tuple(_with_constants(part) for part in cast(tuple[object, ...], schema))
    if not isinstance(schema, dict):
        return schema
    node = cast(dict[str, Any], schema)
    skipped = NOT_SCHEMA if isinstance(node.get("type"), str) else ()
    copy = {name: each if name in skipped else _with_constants(each) for name, each in node.items()}
    if node.get("type") in ("dataclass", "model", "typed-dict"):
        copy["config"] = {**node.get("config", {}), **_CONSTANTS}
    return copy
