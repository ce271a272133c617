"""The parameters of a handshake by where they come from: path, query, headers, cookies. No document is made here."""

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
    """Parameters as objects, whose properties are named as on the wire. What is in the path is in the query too."""

    query: Schema
    headers: Schema
    cookies: Schema

    def parts(self) -> dict[str, Schema]:
        """Give those that there are, by name."""
        parts = {"query": self.query, "headers": self.headers, "cookies": self.cookies}
        return {name: part for name, part in parts.items() if part["properties"] or len(part) > 2}


def parameters_of(adapter: MessageAdapter[Any], definitions: Definitions) -> Parameters:
    """Sort the fields of the parameters by where they come from.

    Parameters that are no one model, but a union of some, are left in the query as they are.
    """
    schema = definitions.resolved(definitions.add(adapter, "receive"))
    fields: dict[str, SourcedField] = {name: each for each in sourced_fields(adapter) for name in each.names}
    parameters = Parameters(_object(), _object(), _object())
    if "properties" not in schema:
        parameters.query["allOf"] = [schema]
    required: Collection[str] = schema.get("required", ())
    for name, described in schema.get("properties", {}).items():
        target, shown = parameters.query, name
        if (field := fields.get(name)) is not None:
            target = parameters.headers if isinstance(field.source, FromHeader) else parameters.cookies
            shown = field.source.name_for(field.name)
        target["properties"][shown] = described
        if name in required:
            target.setdefault("required", []).append(shown)
    if schema.get("additionalProperties") is False:
        parameters.query["additionalProperties"] = False
    return parameters


def _object() -> Schema:
    return {"type": "object", "properties": {}}
