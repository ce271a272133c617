"""Definitions that the schemas of a document share: collected, named so that they stay apart, referred to by name."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from typedws._messages.adapter import MessageAdapter
from typedws._messages.type_forms import is_never
from typedws._schema.digests import Digests
from typedws._schema.generator import Direction, generated
from typedws._schema.naming import legal, told_apart
from typedws._schema.traversal import Schema, rebuilt, subschemas

__all__ = ["Definitions", "NamedDefinitions", "schema_of"]

_REF: Final = "#/$defs/"


class Definitions:
    """What the types of a document are made of. Add them all, then ask for `named`."""

    def __init__(self) -> None:
        self._schemas: dict[str, Schema] = {}

    def add(self, adapter: MessageAdapter[Any], direction: Direction) -> Schema:
        """Give the schema of a type. Its references are keys, for `NamedDefinitions.with_names`."""
        schema, definitions = generated(adapter, direction)
        self._schemas.update(definitions)
        return schema

    def resolved(self, schema: Schema) -> Schema:
        """Give what a schema refers to, as far as it is a reference."""
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].removeprefix(_REF)]
        return schema

    def digests(self, keywords: Iterable[str] | None = None) -> Digests:
        """Give the hashes of schemas with these definitions."""
        return Digests({_REF + key: schema for key, schema in self._schemas.items()}, keywords)

    def named(self, used_in: Iterable[Schema]) -> "NamedDefinitions":
        """Name all that these schemas refer to, and what that refers to."""
        roots = list(used_in)
        used = _reachable(roots, self._schemas)
        schemas = {key: self._schemas[key] for key in sorted(used)}
        _require_where_all_do(roots, schemas)
        return NamedDefinitions(schemas, _names(schemas))


def schema_of(adapter: MessageAdapter[Any] | None, direction: Direction, definitions: Definitions) -> Schema | None:
    """Give the schema of one direction: an empty one where it is undeclared, none for ``Never``."""
    if adapter is None:
        return {}
    return None if is_never(adapter.form) else definitions.add(adapter, direction)


@dataclass(frozen=True, slots=True)
class NamedDefinitions:
    """Definitions with the names that people read."""

    _schemas: Mapping[str, Schema]
    _names: Mapping[str, str]

    def with_names(self, schema: Schema, prefix: str = _REF) -> Schema:
        """Give a schema whose references are names behind ``prefix``."""

        def renamed(ref: str) -> str:
            return prefix + self._names[ref.removeprefix(_REF)]

        def change(part: Schema) -> Schema:
            if "$ref" in part:
                part["$ref"] = renamed(part["$ref"])
            if "discriminator" in part:
                mapping: dict[str, Any] = part["discriminator"]["mapping"]
                part["discriminator"] = {
                    **part["discriminator"],
                    "mapping": {tag: renamed(ref) for tag, ref in mapping.items() if isinstance(ref, str)},
                }
            return part

        return rebuilt(schema, change)

    def schemas(self, prefix: str = _REF) -> dict[str, Schema]:
        """Give all definitions by name."""
        return {name: self.with_names(self._schemas[key], prefix) for key, name in self._names.items()}


def _reachable(roots: Iterable[Schema], schemas: Mapping[str, Schema]) -> set[str]:
    pending, found = list(roots), set[str]()
    while pending:
        keys = {part["$ref"].removeprefix(_REF) for part in subschemas(pending.pop()) if "$ref" in part}
        pending.extend(schemas[key] for key in keys - found)
        found |= keys
    return found


def _require_where_all_do(roots: Iterable[Schema], schemas: Mapping[str, Schema]) -> None:
    """Let a definition itself require the tag that every reference to it requires beside it."""
    references: dict[str, list[Schema]] = {}
    for root in (*roots, *schemas.values()):
        for part in subschemas(root):
            if "$ref" in part:
                references.setdefault(part["$ref"].removeprefix(_REF), []).append(part)
    for key, parts in references.items():
        schema = schemas[key]
        common = set[str].intersection(*(set(part.get("required", ())) for part in parts))
        if "properties" in schema:
            required = {*schema.get("required", ()), *common}
            if required:
                schema["required"] = [name for name in schema["properties"] if name in required]
            for part in parts:
                if "required" in part and required.issuperset(part["required"]):
                    del part["required"]


# --- names ---


def _names(schemas: Mapping[str, Schema]) -> dict[str, str]:
    """Give the name of each definition.

    A class that is heard and said is one definition where both are the same. Classes that agree in module, name and
    schema are one too: nothing could tell them apart, but the address that they have in this process.
    """
    digests = Digests({_REF + key: schema for key, schema in schemas.items()})
    kinds = {key: (_ID.sub("", key.rpartition(" ")[0]), digests.of(schema)) for key, schema in schemas.items()}
    suffixes: dict[tuple[str, str], str] = {}
    for key, kind in kinds.items():
        type_, _, direction = key.rpartition(" ")
        other = kinds.get(f"{type_} {'send' if direction == 'receive' else 'receive'}")
        suffix = "" if other in (None, kind) else f"-{_TITLES[direction]}"
        suffixes[kind] = max(suffix, suffixes.get(kind, ""))
    names = told_apart({kind: _candidates(*kind, suffix) for kind, suffix in suffixes.items()})
    return {key: names[kind] for key, kind in kinds.items()}


def _candidates(name: str, found: str, suffix: str) -> list[str]:
    short, long = _key(_MODULE.sub("", name)) + suffix, _key(name) + suffix
    return [short, long, f"{long}-{found[:8]}"]


_ID: Final = re.compile(r":\d+(?=[\[\],]|$)")
_MODULE: Final = re.compile(r"(?:[^.\[\],]+\.)+(?=[^.\[\],]+)")
_TITLES: Final = {"receive": "Input", "send": "Output"}


def _key(name: str) -> str:
    """Make a key: a dot in one means a module, to generators of code."""
    return legal(name).replace(".", "__")
