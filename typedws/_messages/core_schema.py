"""Queries on pydantic's core schemas: the kinds of values and the names of fields in a type. Nothing is built here.

A core schema consists of nested dictionaries. Those with a type are *nodes*; the others map names to nodes.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Final, cast

__all__ = [
    "CLASSES",
    "HOLD_NO_FLOATS",
    "NAME_ALL_KEYS",
    "NOT_SCHEMA",
    "RUN_CODE_OR_PARSE",
    "constants_of",
    "fields_of",
    "is_undiscriminated",
    "kinds_of",
    "metadata_of",
    "names_of",
    "nodes",
    "takes_many",
    "words_in",
]

Node = dict[str, Any]

HOLD_NO_FLOATS: Final = frozenset(
    "bool bytes chain computed-field custom-error dataclass dataclass-args dataclass-field date datetime decimal "
    "default definition-ref definitions dict frozenset function-after function-before int json-or-python "
    "lax-or-strict list literal missing-sentinel model model-field model-fields multi-host-url no-info none "
    "nullable set str tagged-union time timedelta tuple typed-dict typed-dict-field union url uuid with-info".split()
)
"""The kinds of nodes that are never a non-finite number themselves; their parts are separate nodes.

Any other kind may hold one, including ``Any`` and functions. The list names the safe kinds, so that kinds which a later
pydantic adds are checked.
"""

NAME_ALL_KEYS: Final = (HOLD_NO_FLOATS | {"float", "enum"}) - {"dict"}
"""The kinds of nodes that have no keys, or only keys that the type names."""

CLASSES: Final = frozenset({"dataclass", "model"})
"""The kinds of nodes whose instances strict validation accepts as they are, without validating their fields."""

RUN_CODE_OR_PARSE: Final = frozenset(
    {"function-after", "function-before", "function-plain", "function-wrap", "generator", "json"}
)
"""The kinds of nodes whose validation runs a function of the user or parses text."""

NOT_SCHEMA: Final = frozenset({"metadata", "default", "cls", "function"})
"""The keys of a node whose values are not part of the schema: a default or metadata may look like a node."""


def nodes(schema: object, leaves: Container[str] = ()) -> Iterator[Node]:
    """Yield every dictionary of a core schema; do not descend into a node whose kind is in ``leaves``."""
    pending: list[object] = [schema]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            node = cast(Node, part)
            yield node
            if str(node.get("type")) in leaves:
                continue
            # Only a node has such keys; in a mapping of names to nodes, "default" may be the name of a field.
            skipped = NOT_SCHEMA if isinstance(node.get("type"), str) else ()
            pending.extend(each for name, each in node.items() if name not in skipped)
        elif isinstance(part, list | tuple):
            pending.extend(cast(Iterable[object], part))


def kinds_of(node: Node) -> Iterator[str]:
    """Yield the kinds that a node counts as: its type, and ``"extra"`` if it allows additional fields.

    An enum of integers and strings counts as ``"literal"``, a node that allows NaN, such as a decimal, as ``"float"``.
    """
    if isinstance(kind := node.get("type"), str):
        is_plain_enum = kind == "enum" and all(isinstance(member.value, int | str) for member in node["members"])
        yield "literal" if is_plain_enum else "float" if node.get("allow_inf_nan") is True else kind
    if "allow" in (node.get("extra_behavior"), node.get("extra_fields_behavior")):
        yield "extra"


def words_in(node: Node) -> Iterator[str]:
    """Yield the words in a node: names of fields, aliases, tags."""
    yield from node
    for value in node.values():
        for word in cast(list[object], value) if isinstance(value, list) else [value]:
            if isinstance(word, str):
                yield word


def fields_of(schema: Mapping[str, Any]) -> Iterator[tuple[str, Node]]:
    """Yield (name, field) for each field of every model, dataclass or ``TypedDict`` that a value may be."""
    definitions = _definitions(schema)
    for structure in _structures(schema, definitions, _UNIONS):
        node = structure
        while isinstance(node.get("schema"), dict):  # a dataclass node lists mere names: its fields are further inside
            node = node["schema"]
        fields: dict[str, Node] | list[Node] = node.get("fields", [])
        pairs = fields.items() if isinstance(fields, dict) else [(field["name"], field) for field in fields]
        yield from ((name, _resolved(field, definitions)) for name, field in pairs)


def takes_many(field: Node) -> bool:
    """Whether a field takes several values: a list, a set, a tuple, ..."""
    node = field
    while node["type"] != "json" and isinstance(inner := node.get("schema") or node.get("json_schema"), dict):
        node = cast(Node, inner)
    return node["type"] in ("deque", "frozenset", "generator", "list", "set", "tuple")


def constants_of(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the names and aliases, as the peer writes them, of the fields that are a ``Literal`` of one value."""
    constants = ((name, field) for name, field in fields_of(schema) if _is_constant(field))
    return frozenset(each for name, field in constants for each in names_of(name, field))


def _is_constant(field: Node) -> bool:
    node = field
    while isinstance(inner := node.get("schema"), dict):
        node = cast(Node, inner)
    return node["type"] == "literal" and len(node["expected"]) == 1


def metadata_of(field: Node, key: str) -> Any:
    """Return the metadata of a field under ``key``, or ``None``; it may be on the field or on a type inside it."""
    for node in nodes(field, _STRUCTURES):
        metadata: Node = node.get("metadata") or {}
        if key in metadata:
            return metadata[key]
    return None


def is_undiscriminated(schema: Mapping[str, Any]) -> bool:
    """Whether a type is a union of several structures without a discriminator."""
    return len(list(_structures(schema, _definitions(schema), ("union",)))) > 1


_UNIONS: Final = ("union", "tagged-union")
_STRUCTURES: Final = frozenset({"dataclass", "model", "tagged-union", "typed-dict"})


def _definitions(schema: Mapping[str, Any]) -> Mapping[str, Node]:
    return {node["ref"]: node for node in nodes(schema) if isinstance(node.get("ref"), str)}


def _structures(schema: Mapping[str, Any], definitions: Mapping[str, Node], unions: Container[str]) -> Iterator[Node]:
    """Yield the structures that a value may be, inside references, wrappers and unions of the given kinds."""
    pending: list[Any] = [schema]
    # The list grows during the iteration.
    for node in pending:
        if node["type"] in unions:
            choices: dict[str, Any] | list[Any] = node["choices"]
            members: Iterable[object] = choices.values() if isinstance(choices, dict) else choices
            # pydantic allows a choice to be (schema, label).
            pending.extend(cast(tuple[object], each)[0] if isinstance(each, tuple) else each for each in members)
        elif node["type"] in _STRUCTURES and not node.get("root_model"):
            yield node
        # A recursive type refers to itself: without the second condition this would not end.
        elif isinstance(inner := _inner(node, definitions), dict) and not any(inner is each for each in pending):
            pending.append(inner)


def _inner(node: Node, definitions: Mapping[str, Node]) -> Node | None:
    return definitions[node["schema_ref"]] if node["type"] == "definition-ref" else node.get("schema")


def _resolved(node: Node, definitions: Mapping[str, Node]) -> Node:
    """Return a copy of a node with its references resolved, down to the first structure or container."""
    inner = None if node["type"] in _STRUCTURES else _inner(node, definitions)
    return {**node, "schema": _resolved(inner, definitions)} if isinstance(inner, dict) else node


def names_of(name: str, field: Node) -> Iterator[str]:
    """Yield the names under which a field may arrive: its own name, and the first part of each alias."""
    yield name
    alias: object = field.get("validation_alias")
    if isinstance(alias, str):
        yield alias
    elif isinstance(alias, list):  # an alias path, or a list of alias paths
        paths = cast(list[object], alias)
        for path in paths if isinstance(paths[0], list) else [paths]:
            yield str(cast(list[object], path)[0])
