"""Hashes of JSON Schemas: of all that they say, or of what validation depends on. No type is known here.

A reference counts as what it refers to, so that names of definitions do not matter, nor whether a schema stands in its
place or is referred to. Definitions that refer to one another in a circle are told apart as one tells apart the nodes
of a graph: each round hashes every one with the hashes that the last round gave to those it refers to.
"""

import json
from collections.abc import Iterable, Mapping
from functools import partial
from hashlib import sha256
from typing import Any, Final

from typedws._schema.traversal import Schema, rebuilt, subschemas

__all__ = ["MEANING", "Digests", "digest"]

MEANING: Final = frozenset(
    "additionalProperties allOf anyOf const contains contentEncoding contentMediaType contentSchema default "
    "dependentRequired dependentSchemas else enum exclusiveMaximum exclusiveMinimum format if items maxContains "
    "maxItems maxLength maxProperties maximum minContains minItems minLength minProperties minimum multipleOf not "
    "oneOf pattern patternProperties prefixItems properties propertyNames required then type unevaluatedItems "
    "unevaluatedProperties uniqueItems $ref".split()
)
"""The keywords that say which values are valid, and what stands for an absent one. The others are for people."""

_UNORDERED: Final = frozenset("allOf anyOf enum oneOf required type".split())


def digest(value: object) -> str:
    """Hash a value of JSON, whatever the order of its keys."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Digests:
    """The hashes of schemas that share definitions.

    :param definitions: by the ``$ref`` that refers to them
    :param keywords: those that count; by default all
    """

    def __init__(self, definitions: Mapping[str, Schema], keywords: Iterable[str] | None = None) -> None:
        self._keywords = None if keywords is None else frozenset(keywords)
        self._known: dict[str, str] = {}
        refs = {ref: {part.get("$ref") for part in subschemas(schema)} for ref, schema in definitions.items()}
        rest = dict(definitions)
        while ready := [ref for ref in rest if refs[ref].isdisjoint(rest)]:
            self._known.update({ref: self.of(rest.pop(ref)) for ref in ready})
        for _ in range(len(rest) + 1):
            self._known |= {ref: self.of(schema) for ref, schema in rest.items()}

    def of(self, schema: Mapping[str, Any]) -> str:
        """Hash a schema."""
        return rebuilt(schema, self._digest)

    def _digest(self, schema: Schema) -> str:
        counted = self._keywords
        facts = {word: each for word, each in schema.items() if counted is None or word in counted}
        if "$ref" in facts:
            facts["$ref"] = self._known.get(facts["$ref"], "")
            if len(facts) == 1:
                return str(facts["$ref"])
        for word in _UNORDERED & facts.keys():
            if isinstance(facts[word], list):
                facts[word] = sorted(facts[word], key=partial(json.dumps, sort_keys=True))
        return digest(facts)
