"""The definitions that the schemas of a document share: collection, unique names, references by name."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from typedws._messages.adapter import MessageAdapter
from typedws._messages.type_forms import is_never
from typedws._schema.digests import Digests
from typedws._schema.generator import Direction, generated
from typedws._schema.naming import distinct_names, legal
from typedws._schema.traversal import Schema, rebuilt, subschemas

__all__ = ["Definitions", "NamedDefinitions", "schema_of"]

_REF: Final = "#/$defs/"


class Definitions:
    """The definitions of a document: `add` every message type, then call `named`."""

    def __init__(self) -> None:
        self._schemas: dict[str, Schema] = {}

    def add(self, adapter: MessageAdapter[Any], direction: Direction) -> Schema:
        """Return the schema of a type. Its references hold keys, which `NamedDefinitions.with_names` replaces."""
        schema, definitions = generated(adapter, direction)
        self._schemas.update(definitions)
        return schema

    def resolved(self, schema: Schema) -> Schema:
        """Follow the references of a schema; return the first schema that is not a reference."""
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].removeprefix(_REF)]
        return schema

    def digests(self, keywords: Iterable[str] | None = None) -> Digests:
        """Return the hashes of schemas with these definitions.

        :param keywords: the keywords that count; by default all
        """
        return Digests({_REF + key: schema for key, schema in self._schemas.items()}, keywords)

    def named(self, used_in: Iterable[Schema]) -> "NamedDefinitions":
        """Name all definitions reachable from these schemas.

        This may move a ``required`` from a reference into its definition; it changes both in place.
        """
        roots = list(used_in)
        used = _reachable(roots, self._schemas)
        schemas = {key: self._schemas[key] for key in sorted(used)}
        _move_common_required(roots, schemas)
        return NamedDefinitions(schemas, _names(schemas))


def schema_of(adapter: MessageAdapter[Any] | None, direction: Direction, definitions: Definitions) -> Schema | None:
    """Return the schema of one direction: an empty one if it is undeclared, ``None`` for ``Never``."""
    if adapter is None:
        return {}
    return None if is_never(adapter.form) else definitions.add(adapter, direction)


@dataclass(frozen=True, slots=True)
class NamedDefinitions:
    """Definitions with readable, unique names."""

    _schemas: Mapping[str, Schema]
    _names: Mapping[str, str]

    def with_names(self, schema: Schema, prefix: str = _REF) -> Schema:
        """Return a schema whose references are ``prefix`` and a name."""

        def renamed(ref: str) -> str:
            return prefix + self._names[ref.removeprefix(_REF)]

        def change(part: Schema) -> Schema:
            if "$ref" in part:
                part["$ref"] = renamed(part["$ref"])
            if "discriminator" in part:
                # For a member that is not a definition, pydantic puts the schema itself into the mapping: leave it out.
                mapping: dict[str, Any] = part["discriminator"]["mapping"]
                part["discriminator"] = {
                    **part["discriminator"],
                    "mapping": {tag: renamed(ref) for tag, ref in mapping.items() if isinstance(ref, str)},
                }
            return part

        return rebuilt(schema, change)

    def schemas(self, prefix: str = _REF) -> dict[str, Schema]:
        """Return all definitions by name."""
        return {name: self.with_names(self._schemas[key], prefix) for key, name in self._names.items()}


def _reachable(roots: Iterable[Schema], schemas: Mapping[str, Schema]) -> set[str]:
    pending, reached = list(roots), set[str]()
    while pending:
        keys = {part["$ref"].removeprefix(_REF) for part in subschemas(pending.pop()) if "$ref" in part}
        pending.extend(schemas[key] for key in keys - reached)
        reached |= keys
    return reached


def _move_common_required(roots: Iterable[Schema], schemas: Mapping[str, Schema]) -> None:
    """Move the tag that every reference to a definition requires into the definition.

    The generator puts ``required`` beside the reference, since only the union knows its tag. A definition that is also
    used outside the union must not require it. Changes ``roots`` and ``schemas`` in place.
    """
    references: dict[str, list[Schema]] = {}
    for root in (*roots, *schemas.values()):
        for part in subschemas(root):
            if "$ref" in part:
                references.setdefault(part["$ref"].removeprefix(_REF), []).append(part)
    for key, parts in references.items():
        schema = schemas[key]
        common = set[str].intersection(*(set(part.get("required", ())) for part in parts))
        if "properties" in schema:  # only the definition of an object can require a property
            required = {*schema.get("required", ()), *common}
            if required:
                # In the order of the fields: a set of strings is iterated in another order in each process.
                schema["required"] = [name for name in schema["properties"] if name in required]
            for part in parts:
                if "required" in part and required.issuperset(part["required"]):
                    del part["required"]


# --- names ---


def _names(schemas: Mapping[str, Schema]) -> dict[str, str]:
    """Return the name of each definition by its key.

    A class that is received and sent is one definition if both schemas are the same. Classes with the same module, name
    and schema are one definition too: nothing distinguishes them but their address in this process.
    """
    digests = Digests({_REF + key: schema for key, schema in schemas.items()})
    kinds = {key: (_ID.sub("", key.rpartition(" ")[0]), digests.of(schema)) for key, schema in schemas.items()}
    suffixes: dict[tuple[str, str], str] = {}
    for key, kind in kinds.items():
        type_, _, direction = key.rpartition(" ")
        other = kinds.get(f"{type_} {'send' if direction == 'receive' else 'receive'}")
        suffix = "" if other in (None, kind) else f"-{_TITLES[direction]}"
        # Of several classes of one kind, only some may need a suffix: it counts, whichever class comes first.
        suffixes[kind] = max(suffix, suffixes.get(kind, ""))
    names = distinct_names({kind: _candidates(*kind, suffix) for kind, suffix in suffixes.items()})
    return {key: names[kind] for key, kind in kinds.items()}


def _candidates(name: str, digest: str, suffix: str) -> list[str]:
    short, long = _key(_MODULE.sub("", name)) + suffix, _key(name) + suffix
    return [short, long, f"{long}-{digest[:8]}"]


# Pydantic's references look like "module.Class:94021[Argument:94022]". The number is the class's id(), which
# differs from process to process: a name that kept it would change with every run.
_ID: Final = re.compile(r":\d+(?=[\[\],]|$)")
_MODULE: Final = re.compile(r"(?:[^.\[\],]+\.)+(?=[^.\[\],]+)")
_TITLES: Final = {"receive": "Input", "send": "Output"}
"""The suffixes for a class whose schemas differ by direction, as pydantic writes them."""


def _key(name: str) -> str:
    """Make a key of a name: without dots, which code generators take for module names."""
    return legal(name).replace(".", "__")
