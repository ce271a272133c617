"""Serializers that write ``NaN`` for a non-finite number, where the serializers of pydantic's classes write ``null``.

The serialized data then show whether a number was ``None`` or non-finite, so the message itself need not be searched.
`typedws._messages.adapter` decides which types get such a serializer.
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
    """Return a serializer of a core schema that writes ``NaN``, or ``None`` if this version of pydantic cannot."""
    return _build(schema) if _is_supported() else None


def _build(schema: Mapping[str, Any]) -> SchemaSerializer:
    # Without ``_use_prebuilt=False``, pydantic-core takes the finished serializers of nested classes, which write null.
    return SchemaSerializer(_with_constants(schema), _CONSTANTS, _use_prebuilt=False)


@cache
def _is_supported() -> bool:
    """Whether this version of pydantic-core supports ``_use_prebuilt``, which is a private option.

    Without it, `typedws._messages.adapter` checks every ``null`` in the serialized data instead.
    """

    class Inner(BaseModel):
        number: float = float("nan")

    class Outer(BaseModel):
        inner: Inner = Inner()

    try:
        return _build(Outer.__pydantic_core_schema__).to_json(Outer()) == b'{"inner":{"number":NaN}}'
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
    # The configuration of a class takes precedence over that of the serializer, so each class gets the option too.
    if node.get("type") in ("dataclass", "model", "typed-dict"):
        copy["config"] = {**node.get("config", {}), **_CONSTANTS}
    return copy
