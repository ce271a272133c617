"""JSON Schemas as AsyncAPI has them: its Schema Object is a superset of draft 07. What they say is not changed here."""

from typing import Any

from typedws._schema.traversal import Schema, rebuilt

__all__ = ["as_draft_07"]


def as_draft_07(schema: Schema) -> Schema:
    """Say in the words of draft 07 what a schema of draft 2020-12 says.

    A tuple is a list of ``items``, and nothing may stand beside a ``$ref``. AsyncAPI's ``discriminator`` is another
    than OpenAPI's, which pydantic writes: the tags themselves say as much.
    """
    return rebuilt(schema, _converted)


def _converted(schema: Schema) -> Schema:
    converted: dict[str, Any] = {word: value for word, value in schema.items() if word != "discriminator"}
    if "prefixItems" in converted:
        if "items" in converted:
            converted["additionalItems"] = converted["items"]
        converted["items"] = converted.pop("prefixItems")
    if "$ref" in converted and len(converted) > 1:
        converted["allOf"] = [{"$ref": converted.pop("$ref")}, *converted.get("allOf", [])]
    return converted
