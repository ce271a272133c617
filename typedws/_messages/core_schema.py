"""What pydantic's core schema of a type says: which kinds of values it may hold, how they are named. Nothing is built.

A core schema is nested dictionaries: *nodes*, which have a type, and mappings of names to nodes.
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
"""The kinds of nodes that hold no number but integers; any other one might, functions and ``Any`` among them."""

NAME_ALL_KEYS: Final = (HOLD_NO_FLOATS | {"float", "enum"}) - {"dict"}
"""The kinds of nodes whose keys the type names."""

CLASSES: Final = frozenset({"dataclass", "model"})
"""Where strict validation of an instance ends: it is taken as it is."""

RUN_CODE_OR_PARSE: Final = frozenset(
    {"function-after", "function-before", "function-plain", "function-wrap", "generator", "json"}
)
"""The kinds of nodes whose validation does more than look at a value: it runs a function, or parses."""

NOT_SCHEMA: Final = frozenset({"metadata", "default", "cls", "function"})
"""What a node holds that is no part of the schema."""


def nodes(schema: object, leaves: Container[str] = ()) -> Iterator[Node]:
    """Give every dictionary of a core schema; a node whose kind is one of ``leaves`` is not looked into."""
    pending: list[object] = [schema]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            node = cast(Node, part)
            yield node
            if str(node.get("type")) in leaves:
                continue
            skipped = NOT_SCHEMA if isinstance(node.get("type"), str) else ()
            pending.extend(each for name, each in node.items() if name not in skipped)
        elif isinstance(part, list | tuple):
            pending.extend(cast(Iterable[object], part))


def kinds_of(node: Node) -> Iterator[str]:
    """Give the kinds that a node counts as: its type, and ``"extra"`` where it lets additional fields in."""
    if isinstance(kind := node.get("type"), str):
        whole = kind == "enum" and all(isinstance(member.value, int | str) for member in node["members"])
        yield "literal" if whole else "float" if node.get("allow_inf_nan") is True else kind
    if "allow" in (node.get("extra_behavior"), node.get("extra_fields_behavior")):
        yield "extra"


def words_in(node: Node) -> Iterator[str]:
    """Give the words in a node: names of fields, aliases, tags."""
    yield from node
    for value in node.values():
        for word in cast(list[object], value) if isinstance(value, list) else [value]:
            if isinstance(word, str):
                yield word


def fields_of(schema: Mapping[str, Any]) -> Iterator[tuple[str, Node]]:
    """Give the fields of every model, dataclass or ``TypedDict`` that a value of the type may be, by name."""
    definitions = _definitions(schema)
    for structure in _structures(schema, definitions, _UNIONS):
        node = structure
        while isinstance(node.get("schema"), dict):  # of a dataclass too, whose own fields are but names
            node = node["schema"]
        fields: dict[str, Node] | list[Node] = node.get("fields", [])
        pairs = fields.items() if isinstance(fields, dict) else [(field["name"], field) for field in fields]
        yield from ((name, _resolved(field, definitions)) for name, field in pairs)


def takes_many(field: Node) -> bool:
    """Whether a field takes several values."""
    node = field
    while node["type"] != "json" and isinstance(inner := node.get("schema") or node.get("json_schema"), dict):
        node = cast(Node, inner)
    return node["type"] in ("deque", "frozenset", "generator", "list", "set", "tuple")


def constants_of(schema: Mapping[str, Any]) -> frozenset[str]:
    """Give the names, as the peer writes them, of the fields that have but one value: a ``Literal`` of one."""
    constants = ((name, field) for name, field in fields_of(schema) if _is_constant(field))
    return frozenset(each for name, field in constants for each in names_of(name, field))


def _is_constant(field: Node) -> bool:
    node = field
    while isinstance(inner := node.get("schema"), dict):
        node = cast(Node, inner)
    return node["type"] == "literal" and len(node["expected"]) == 1


def metadata_of(field: Node, key: str) -> Any:
    """Give what a field's metadata has under ``key``, on the field itself or on a type inside it."""
    for node in nodes(field, _STRUCTURES):
        metadata: Node = node.get("metadata") or {}
        if key in metadata:
            return metadata[key]
    return None


def is_undiscriminated(schema: Mapping[str, Any]) -> bool:
    """Whether a type is a union of several structures of which nothing tells which one a message is."""
    return len(list(_structures(schema, _definitions(schema), ("union",)))) > 1


_UNIONS: Final = ("union", "tagged-union")
_STRUCTURES: Final = frozenset({"dataclass", "model", "tagged-union", "typed-dict"})


def _definitions(schema: Mapping[str, Any]) -> Mapping[str, Node]:
    return {node["ref"]: node for node in nodes(schema) if isinstance(node.get("ref"), str)}


def _structures(schema: Mapping[str, Any], definitions: Mapping[str, Node], unions: Container[str]) -> Iterator[Node]:
    """Give the structures that a value of the type may be: inside references, wrappers, and these kinds of unions."""
    pending: list[Any] = [schema]
    for node in pending:
        if node["type"] in unions:
            choices: dict[str, Any] | list[Any] = node["choices"]
            several: Iterable[object] = choices.values() if isinstance(choices, dict) else choices
            pending.extend(cast(tuple[object], each)[0] if isinstance(each, tuple) else each for each in several)
        elif node["type"] in _STRUCTURES and not node.get("root_model"):
            yield node
        elif isinstance(inner := _inner(node, definitions), dict) and not any(inner is each for each in pending):
            pending.append(inner)


def _inner(node: Node, definitions: Mapping[str, Node]) -> Node | None:
    return definitions[node["schema_ref"]] if node["type"] == "definition-ref" else node.get("schema")


def _resolved(node: Node, definitions: Mapping[str, Node]) -> Node:
    """Copy a node with what it refers to put inside it, as far as it is one value."""
    inner = None if node["type"] in _STRUCTURES else _inner(node, definitions)
    return {**node, "schema": _resolved(inner, definitions)} if isinstance(inner, dict) else node


def names_of(name: str, field: Node) -> Iterator[str]:
    """Give the names under which a field may come: its own, and the first words of its aliases."""
    yield name
    alias: object = field.get("validation_alias")
    if isinstance(alias, str):
        yield alias
    elif isinstance(alias, list):  # a path, or several of them
        paths = cast(list[object], alias)
        for path in paths if isinstance(paths[0], list) else [paths]:
            yield str(cast(list[object], path)[0])
