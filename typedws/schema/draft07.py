"""JSON Schemas as AsyncAPI has them: its Schema Object is a superset of draft 07. Their meaning stays the same."""

from typing import Any

from typedws._schema.traversal import Schema, rebuilt

__all__ = ["as_draft_07"]


def as_draft_07(schema: Schema) -> Schema:
    """Return a schema of draft 2020-12 as one of draft 07.

    In draft 07 a tuple is a list of ``items``, and keywords next to a ``$ref`` are ignored: the ``$ref`` moves into an
    ``allOf``. The ``discriminator``, which pydantic writes as OpenAPI defines it, is dropped: AsyncAPI defines it
    differently, and the constant tags of the members are enough.
    """
    return rebuilt(schema, _converted)


def _converted(schema: Schema) -> Schema:
    converted: dict[str, Any] = {keyword: value for keyword, value in schema.items() if keyword != "discriminator"}
    if "prefixItems" in converted:
        if "items" in converted:  # in draft 2020-12, the schema of the elements after prefixItems
            converted["additionalItems"] = converted["items"]
        converted["items"] = converted.pop("prefixItems")
    if "$ref" in converted and len(converted) > 1:
        converted["allOf"] = [{"$ref": converted.pop("$ref")}, *converted.get("allOf", [])]
    return converted
