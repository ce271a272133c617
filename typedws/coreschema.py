"""What pydantic's core schema of a type says: which kinds of values it may hold, how they are named. Nothing is built.

A core schema is nested dictionaries: *nodes*, which have a type, and mappings of names to nodes.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Final, cast

__all__ = [
    "CLASSES",
    "HOLD_NO_FLOATS",
    "NAME_ALL_KEYS",
    "NOT_ONLY_LOOKED_AT",
    "fields_of",
    "found_in",
    "is_undiscriminated",
    "kinds_of",
    "names_of",
    "nodes",
    "takes_many",
    "words_of",
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

NOT_ONLY_LOOKED_AT: Final = frozenset(
    {"function-after", "function-before", "function-plain", "function-wrap", "generator", "json"}
)
"""The kinds of nodes whose validation does more than look at a value: it runs a function, or parses."""

_NOT_SCHEMA: Final = frozenset({"metadata", "default", "cls", "function"})


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
            skipped = _NOT_SCHEMA if isinstance(node.get("type"), str) else ()
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


def words_of(node: Node) -> Iterator[str]:
    """Give the words in a node: names of fields, aliases, tags."""
    yield from node
    for value in node.values():
        for word in cast(list[object], value) if isinstance(value, list) else [value]:
            if isinstance(word, str):
                yield word


def fields_of(schema: Mapping[str, Any]) -> Iterator[tuple[str, Node]]:
    """Give the fields of a type that is one model, dataclass or ``TypedDict``, by name; of another type, none."""
    definitions = {node["ref"]: node for node in nodes(schema) if isinstance(node.get("ref"), str)}
    node: Any = schema
    while "fields" not in node or node["type"] == "dataclass":  # whose fields are but names
        if node.get("type") == "definition-ref":
            node = definitions[node["schema_ref"]]
        elif isinstance(node.get("schema"), dict):
            node = node["schema"]
        else:
            return
    if isinstance(node["fields"], dict):
        yield from cast(dict[str, Node], node["fields"]).items()
    else:
        yield from ((field["name"], field) for field in cast(list[Node], node["fields"]))


def takes_many(field: Node) -> bool:
    """Whether a field takes several values."""
    node = field
    while isinstance(node.get("schema"), dict):
        node = node["schema"]
    return node.get("type") in ("frozenset", "list", "set", "tuple")


def found_in(field: Node, key: str) -> Any:
    """Give what a field's metadata has under ``key``, on the field itself or on the type inside its wrappers."""
    node: Any = field
    while isinstance(node, dict):
        node = cast(Node, node)
        if key in (metadata := node.get("metadata") or {}):
            return metadata[key]
        node = node.get("schema")
    return None


def is_undiscriminated(schema: Mapping[str, Any]) -> bool:
    """Whether a type is a union of several structures of which nothing tells which one a message is."""
    definitions = {node["ref"]: node for node in nodes(schema) if isinstance(node.get("ref"), str)}
    node: Any = schema
    while node["type"] != "union":
        if node["type"] == "definition-ref":
            node = definitions[node["schema_ref"]]
        elif isinstance(node.get("schema"), dict) and node["type"] not in _STRUCTURES:
            node = node["schema"]
        else:
            return False
    choices = [choice[0] if isinstance(choice, tuple) else choice for choice in node["choices"]]
    resolved = [definitions[each["schema_ref"]] if each["type"] == "definition-ref" else each for each in choices]
    return sum(each["type"] in _STRUCTURES for each in resolved) > 1


_STRUCTURES: Final = frozenset({"dataclass", "model", "tagged-union", "typed-dict"})


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
