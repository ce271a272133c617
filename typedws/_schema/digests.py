"""Hashes of JSON Schemas: of the whole schema, or of the keywords that validation depends on. No types here.

A reference counts as the schema that it refers to. So the names of definitions do not matter, nor whether a schema is
inline or a definition. Definitions that refer to one another in a cycle are distinguished by colour refinement, as the
nodes of a graph are: each round hashes every definition with the last round's hashes of those that it refers to.
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
"""The keywords that decide which values are valid, and the default of an absent one. The others are for readers."""

_UNORDERED: Final = frozenset("allOf anyOf enum oneOf required type".split())
"""The keywords whose list means the same in any order."""


def digest(value: object) -> str:
    """Return the SHA-256 of a JSON value, in hexadecimal; the order of keys does not matter."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Digests:
    """The hashes of schemas that share definitions.

    :param definitions: the definitions by the ``$ref`` that refers to them
    :param keywords: the keywords that count; by default all
    """

    def __init__(self, definitions: Mapping[str, Schema], keywords: Iterable[str] | None = None) -> None:
        self._keywords = None if keywords is None else frozenset(keywords)
        self._known: dict[str, str] = {}
        refs = {ref: {part.get("$ref") for part in subschemas(schema)} for ref, schema in definitions.items()}
        rest = dict(definitions)
        # First those that depend on no unhashed definition, from the leaves up: one hash each is enough.
        while ready := [ref for ref in rest if refs[ref].isdisjoint(rest)]:
            self._known.update({ref: self.of(rest.pop(ref)) for ref in ready})
        # The rest is in a cycle, or refers to one. A difference travels one reference per round: after one round more
        # than there are definitions, it has reached all that depend on it.
        for _ in range(len(rest) + 1):
            # All hashes of a round are computed before any is stored: else the order of definitions would count.
            self._known |= {ref: self.of(schema) for ref, schema in rest.items()}

    def of(self, schema: Mapping[str, Any]) -> str:
        """Return the hash of a schema."""
        return rebuilt(schema, self._digest)

    def _digest(self, schema: Schema) -> str:
        # The schemas inside this one are hashes already: `rebuilt` works from the inside out.
        counted = self._keywords
        facts = {keyword: each for keyword, each in schema.items() if counted is None or keyword in counted}
        if "$ref" in facts:
            facts["$ref"] = self._known.get(facts["$ref"], "")  # none yet in the first round of a cycle
            if len(facts) == 1:
                return str(facts["$ref"])  # the hash of the definition itself, as if it were inline
        for keyword in _UNORDERED & facts.keys():
            if isinstance(facts[keyword], list):
                # Members of an enum may be of any JSON type, which Python cannot compare: compare their text.
                facts[keyword] = sorted(facts[keyword], key=partial(json.dumps, sort_keys=True))
        return digest(facts)
