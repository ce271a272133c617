"""The import rules: which component may reach which, directly or through others. Read from the imports."""

import ast
import graphlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import typedws

PACKAGE = Path(typedws.__file__).parent
INIT = "__init__"

FACTS = {"asgi", "close_codes"}
HTTP = {*FACTS, "exceptions", "_http"}
PROTOCOL = {*HTTP, "_protocol"}
MESSAGES = {*PROTOCOL, "_messages"}
CODECS = {*MESSAGES, "codecs"}
SCHEMA = {*CODECS, "_schema"}
CONTRACT = {*SCHEMA, "_contract"}
CONNECTION = {*CONTRACT, "_runtime", "_connection"}
ENDPOINT = {*CONNECTION, "websockets", "_endpoint"}

COMPONENTS: dict[str, set[str]] = {
    "asgi": {"asgi"},
    "close_codes": {"close_codes"},
    "exceptions": {"close_codes", "exceptions"},
    "_runtime": {"_runtime"},
    "_http": HTTP,
    "_protocol": PROTOCOL,
    "_messages": MESSAGES,
    "codecs": CODECS,
    "_schema": SCHEMA,
    "_contract": CONTRACT,
    "schema": {*CONTRACT, "schema"},
    "_connection": CONNECTION,
    "websockets": {*CONNECTION, "websockets"},
    "_groups": {*CONNECTION, "_groups"},
    "client": {*CONNECTION, "client"},
    "_endpoint": ENDPOINT,
    "routing": {*ENDPOINT, "routing", "schema"},
}
"""Which components each component may reach. A component is a folder, or a module beside the folders."""

OUTERMOST = {"cli", "integrations", "testing"}
"""They may reach everything, and nothing reaches them."""

PYDANTIC = {"pydantic", "pydantic_core", "typing_extensions"}
LIBRARIES: dict[str, set[str]] = {
    "asgi": set(),
    "close_codes": set(),
    "exceptions": set(),
    "_runtime": {"anyio"},
    "_http": set(),
    "_protocol": set(),
    "_messages": PYDANTIC,
    "codecs": {*PYDANTIC, "orjson", "cbor2", "ormsgpack"},
    "_schema": {*PYDANTIC, "orjson"},
    "_contract": {*PYDANTIC, "orjson"},
    "schema": {*PYDANTIC, "orjson"},
}
"""Which libraries a component may reach. A component without a row may reach those of the core."""

CORE_LIBRARIES = {*PYDANTIC, "anyio", "orjson"}
OPTIONAL_LIBRARIES = {
    "cbor2": "codecs.cbor",
    "fastapi": "integrations.fastapi",
    "litestar": "integrations.litestar",
    "ormsgpack": "codecs.msgpack",
    "pytest": "testing.pytest_plugin",
    "quart": "integrations.quart",
    "rich": "cli.tables",
    "typer": "cli.commands",
    "hypercorn": "integrations.quart",  # a dependency of Quart
    "websockets": "client.wire",
    "werkzeug": "integrations.quart",
}
"""The one file that may import each optional library."""

PURE = set("asgi close_codes exceptions _http _protocol _messages codecs _schema _contract schema".split())
"""Components in which nothing is awaited."""

LONGEST_CHAIN = 20


def modules() -> dict[str, ast.Module]:
    """Parse every module of the package, by its name inside it."""
    parsed: dict[str, ast.Module] = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        parsed[".".join(part for part in parts if part != INIT) or INIT] = ast.parse(path.read_text())
    return parsed


MODULES = modules()


def component_of(module: str) -> str:
    return module.partition(".")[0]


def imports(name: str) -> Iterator[str]:
    """Yield every module that a module imports, at its top or inside a function."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner.removeprefix("typedws.") in MODULES else str(node.module)


def own(name: str) -> set[str]:
    found = {each.partition(".")[2] or INIT for each in imports(name) if each.partition(".")[0] == "typedws"}
    return found - {name}


def foreign(name: str) -> set[str]:
    return {each.partition(".")[0] for each in imports(name)} - {"typedws"} - sys.stdlib_module_names


GRAPH = {name: own(name) for name in MODULES}


@cache
def reached(name: str) -> frozenset[str]:
    """Return a module and all that it imports, directly or through others."""
    found: set[str] = set()
    pending = [name]
    while pending:
        each = pending.pop()
        if each not in found:
            found.add(each)
            pending.extend(GRAPH[each])
    return frozenset(found)


@cache
def chain_from(name: str) -> tuple[str, ...]:
    """Return the longest chain of imports that begins with a module."""
    return (name, *max((chain_from(each) for each in GRAPH[name]), key=len, default=()))


def test_every_module_belongs_to_a_component() -> None:
    assert {component_of(name) for name in MODULES} == {*COMPONENTS, *OUTERMOST, INIT}


@pytest.mark.parametrize("name", [name for name in sorted(MODULES) if component_of(name) in COMPONENTS])
def test_a_module_reaches_only_the_components_below_its_own(name: str) -> None:
    assert {component_of(each) for each in reached(name)} <= COMPONENTS[component_of(name)]


@pytest.mark.parametrize("name", [name for name in sorted(MODULES) if component_of(name) in COMPONENTS])
def test_a_module_reaches_only_the_libraries_of_its_component(name: str) -> None:
    libraries = {library for each in reached(name) for library in foreign(each)}
    optional = {library for library, home in OPTIONAL_LIBRARIES.items() if component_of(home) == component_of(name)}
    assert libraries <= LIBRARIES.get(component_of(name), CORE_LIBRARIES) | optional


@pytest.mark.parametrize("name", [name for name in sorted(MODULES) if component_of(name) in PURE])
def test_a_pure_component_awaits_nothing(name: str) -> None:
    tree = MODULES[name]
    protocols = {
        each
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).startswith("Protocol") for base in node.bases)
        for each in ast.walk(node)
    }
    awaits = [node for node in ast.walk(tree) if isinstance(node, ast.Await | ast.AsyncFunctionDef)]
    assert [node for node in awaits if node not in protocols] == []


@pytest.mark.parametrize("name", [name for name in sorted(MODULES) if component_of(name) not in OUTERMOST])
def test_nothing_imports_an_outermost_component(name: str) -> None:
    assert not {component_of(each) for each in own(name)} & OUTERMOST


@pytest.mark.parametrize("name", sorted(MODULES))
def test_an_optional_library_has_one_file(name: str) -> None:
    optional = {library for library, home in OPTIONAL_LIBRARIES.items() if home == name}
    assert foreign(name) <= CORE_LIBRARIES | optional


def test_there_is_no_cycle_of_modules() -> None:
    tuple(graphlib.TopologicalSorter(GRAPH).static_order())


def test_there_is_no_cycle_of_components() -> None:
    components: dict[str, set[str]] = {}
    for name, imported in GRAPH.items():
        components.setdefault(component_of(name), set()).update(
            {component_of(each) for each in imported} - {component_of(name)}
        )
    tuple(graphlib.TopologicalSorter(components).static_order())


def test_no_chain_of_imports_is_long() -> None:
    longest = max(map(chain_from, MODULES), key=len)
    assert len(longest) <= LONGEST_CHAIN, " -> ".join(longest)


@pytest.mark.parametrize("name", sorted({name.rpartition(".")[0] or INIT for name in MODULES}))
def test_the_init_module_of_a_package_defines_nothing(name: str) -> None:
    defined = [node for node in MODULES[name].body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert defined == []


@pytest.mark.parametrize("name", sorted(set(MODULES) - {INIT}))
def test_the_first_sentence_of_a_module_docstring_ends_on_its_first_line(name: str) -> None:
    assert (ast.get_docstring(MODULES[name]) or "").partition("\n")[0].endswith(".")
