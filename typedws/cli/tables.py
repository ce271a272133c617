"""Tables of an application's contracts for the terminal, drawn with rich. All facts come from the documents."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from typedws._contract.contract import Contract
from typedws._http.path_templates import PathTemplate
from typedws._schema.traversal import Schema
from typedws.routing import App
from typedws.schema import contract_document

__all__ = ["show_app", "show_contract"]


def show_app(app: App) -> None:
    """Print the contracts of an application, path by path."""
    for route in app.routes:
        show_contract(route.endpoint.contract, route.path)


def show_contract(contract: Contract[Any, Any, Any], path: PathTemplate | None = None) -> None:
    """Print one contract, under the path that it is served on."""
    title = f"{contract.name} {contract.version}"
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for column in ("", title, contract.fingerprint):
        table.add_column(column, overflow="fold")
    for row in _rows(contract_document(contract), () if path is None else path.names):
        table.add_row(*map(escape, row))  # rich would take "[integer, string]" for markup
    console = Console()
    console.print(escape(title if path is None else path.template), style="bold")
    console.print(table)
    console.print()


def _rows(document: Mapping[str, Any], in_path: Collection[str]) -> Iterator[tuple[str, str, str]]:
    definitions: Mapping[str, Any] = document.get("$defs", {})
    for source, schema in document.get("params", {}).items():
        for name, field in _fields(schema):
            yield "path" if name in in_path else _SOURCES[source], name, field
    for label, key in (("client message", "clientMessages"), ("server message", "serverMessages")):
        for name, schema in _messages(document[key], definitions):
            yield label, name, "\n".join(f"{name}: {field}" for name, field in _fields(schema))
    for mode in document["modes"]:
        facts = f"{mode.get('contentType', mode['mode'])} in {mode['frame']} frames"
        yield "mode", mode.get("subprotocol", mode["mode"]), facts
    for close in document.get("closes", ()):
        yield "closes", f"{close['code']} {close['name']}", f"{close['description']} (reconnect: {close['reconnect']})"


_SOURCES: Final = {"query": "query", "headers": "header", "cookies": "cookie"}


def _messages(schema: Any, definitions: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(schema, bool):
        yield ("anything" if schema else "nothing"), {}
        return
    choices = schema.get("oneOf") or schema.get("anyOf") or [schema]
    for choice in choices:
        yield _type(choice), definitions.get(_ref(choice), choice)


def _fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        yield name, _type(field) if name in required else f"{_type(field)}, optional"


def _ref(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _type(schema: Schema | bool) -> str:
    """Return a type in a few words."""
    if isinstance(schema, bool):
        return "any"
    if "$ref" in schema:
        return _ref(schema)
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return " | ".join(map(repr, schema["enum"]))
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return " | ".join(map(_type, schema[union]))
    if "prefixItems" in schema:
        return f"[{', '.join(map(_type, schema['prefixItems']))}]"
    if "items" in schema:
        return f"array of {_type(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return str(schema.get("format") or schema.get("type", "any"))
