"""Schemas of the parameters of a handshake, by source: path and query, headers, cookies. No documents here."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from typedws._contract.params import FromHeader, SourcedField, sourced_fields
from typedws._messages.adapter import MessageAdapter
from typedws._schema.definitions import Definitions
from typedws._schema.traversal import Schema

__all__ = ["Parameters", "parameters_of"]


@dataclass(frozen=True, slots=True)
class Parameters:
    """Schemas of objects whose properties have their names on the wire; path parameters are in ``query``."""

    query: Schema
    headers: Schema
    cookies: Schema

    def parts(self) -> dict[str, Schema]:
        """Return the schemas that are not empty, by source."""
        # A third keyword beside type and properties restricts the object, so it counts even without properties.
        parts = {"query": self.query, "headers": self.headers, "cookies": self.cookies}
        return {name: part for name, part in parts.items() if part["properties"] or len(part) > 2}


def parameters_of(adapter: MessageAdapter[Any], definitions: Definitions) -> Parameters:
    """Return the schemas of the parameters' fields, by source.

    Parameters that are a union of models, not one model, stay in ``query`` as one ``allOf``.
    """
    schema = definitions.resolved(definitions.add(adapter, "receive"))
    fields: dict[str, SourcedField] = {name: each for each in sourced_fields(adapter) for name in each.names}
    parameters = Parameters(_object(), _object(), _object())
    if "properties" not in schema:
        parameters.query["allOf"] = [schema]
    required: Collection[str] = schema.get("required", ())
    for name, described in schema.get("properties", {}).items():
        target, wire_name = parameters.query, name
        if (field := fields.get(name)) is not None:
            target = parameters.headers if isinstance(field.source, FromHeader) else parameters.cookies
            wire_name = field.source.name_for(field.name)
        target["properties"][wire_name] = described
        if name in required:
            target.setdefault("required", []).append(wire_name)
    # In the query only: a request always has headers, and may have cookies, that no field describes.
    if schema.get("additionalProperties") is False:
        parameters.query["additionalProperties"] = False
    return parameters


def _object() -> Schema:
    return {"type": "object", "properties": {}}
