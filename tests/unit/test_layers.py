"""Who may import whom: facts, pure rules, the shell. Read from the imports themselves."""

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import typedws

PACKAGE = Path(typedws.__file__).parent

CELLAR = "asgi closing errors exceptions outcome security".split()
GROUND = (
    "adapters codecs codecs.base codecs.cbor codecs.json codecs.modes codecs.msgpack contract coreschema declared "
    "denial endings events headers origins outspoken params paths query reader request schema schema.asyncapi "
    "schema.channels schema.contracts schema.definitions schema.digests schema.draft07 schema.examples "
    "schema.fingerprints schema.generator schema.naming schema.parameters schema.patterns schema.text "
    "schema.walking sendable servers state subprotocols typeforms url"
).split()
SHELL = (
    "answering client client.blocking client.connecting client.connection client.denied client.opening "
    "client.reconnection client.request client.retrying client.sync client.tolerant client.transport client.wire "
    "connection delivery endpoints evening group guarding handlers handshake outbox plain policy routing running "
    "session view watchdog watching websockets"
).split()
GUESTS = (
    "cli cli.commands cli.files cli.tables cli.targets "
    "integrations integrations.django integrations.fastapi integrations.litestar integrations.quart "
    "testing testing.behaviour testing.connecting testing.connection testing.dialogue testing.differences "
    "testing.failures testing.lifespans testing.loops testing.pipes testing.portal testing.pytest_plugin "
    "testing.requests testing.runs testing.standing testing.sync testing.transcript testing.wire"
).split()
FRONT_DOOR = "__init__"

CORE_LIBRARIES = {"anyio", "orjson", "pydantic", "pydantic_core", "typing_extensions"}
OPTIONAL_LIBRARIES = {
    "cbor2": "codecs.cbor",
    "fastapi": "integrations.fastapi",
    "litestar": "integrations.litestar",
    "ormsgpack": "codecs.msgpack",
    "pytest": "testing.pytest_plugin",
    "quart": "integrations.quart",
    "rich": "cli.tables",
    "typer": "cli.commands",
    "hypercorn": "integrations.quart",  # which Quart stands on
    "websockets": "client.wire",
    "werkzeug": "integrations.quart",
}


def modules() -> dict[str, ast.Module]:
    """Parse every module of the package, by its name inside it."""
    parsed: dict[str, ast.Module] = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts) if parts == (FRONT_DOOR,) else ".".join(part for part in parts if part != FRONT_DOOR)
        parsed[name] = ast.parse(path.read_text())
    return parsed


MODULES = modules()


def imports(name: str) -> Iterator[str]:
    """Give every module that a module imports, wherever in it."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield str(node.module)


def own(name: str) -> set[str]:
    return {each.partition(".")[2] or FRONT_DOOR for each in imports(name) if each.partition(".")[0] == "typedws"}


def foreign(name: str) -> set[str]:
    return {each.partition(".")[0] for each in imports(name)} - {"typedws"} - sys.stdlib_module_names


def test_every_module_has_its_floor() -> None:
    assert sorted([*CELLAR, *GROUND, *SHELL, *GUESTS, FRONT_DOOR]) == sorted(MODULES)


@pytest.mark.parametrize("name", CELLAR)
def test_facts_stand_on_the_standard_library(name: str) -> None:
    assert foreign(name) == set()
    assert own(name) <= set(CELLAR)


@pytest.mark.parametrize("name", GROUND)
def test_pure_rules_import_no_shell_and_await_nothing(name: str) -> None:
    assert own(name) <= {*CELLAR, *GROUND}
    assert "anyio" not in foreign(name)
    awaits = [node for node in ast.walk(MODULES[name]) if isinstance(node, ast.Await | ast.AsyncFunctionDef)]
    assert awaits == []


@pytest.mark.parametrize("name", SHELL)
def test_the_shell_stands_on_both(name: str) -> None:
    assert own(name) <= {*CELLAR, *GROUND, *SHELL}


@pytest.mark.parametrize("name", sorted(set(MODULES) - set(GUESTS)))
def test_nothing_imports_a_guest_room(name: str) -> None:
    assert not own(name) & set(GUESTS)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_libraries_are_those_of_the_core_and_each_optional_one_has_one_file(name: str) -> None:
    optional = {library for library, home in OPTIONAL_LIBRARIES.items() if home == name}
    assert foreign(name) <= CORE_LIBRARIES | optional


def test_imports_make_no_circle() -> None:
    graph = {name: own(name) - {name} for name in MODULES}
    tuple(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize(
    ("name", "strangers"),
    [
        ("state", {"codecs", "session", "adapters"}),
        ("denial", {"contract", "session"}),
        ("codecs.base", {"state", "session"}),
        ("codecs.json", {"state", "session"}),
    ],
)
def test_who_must_not_know_whom(name: str, strangers: set[str]) -> None:
    assert not own(name) & strangers


@pytest.mark.parametrize("name", sorted(set(MODULES) - {FRONT_DOOR}))
def test_a_module_says_in_its_first_sentence_what_lives_there(name: str) -> None:
    assert (ast.get_docstring(MODULES[name]) or "").partition("\n")[0].endswith(".")
