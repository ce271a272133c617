"""mypy and pyright agree, line by line, on the programs in ``cases``, both in their strict modes.

A line of a ``bad_*.py`` is marked with ``# error: words`` when both checkers must refuse it. The message of each must
have all of these words: the types and names that the user wrote. Neither may report anything on other lines.
"""

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from typedws import (
    App,
    BinaryJSON,
    CodecRegistry,
    Connection,
    Contract,
    DenialResponse,
    Endpoint,
    ErrorReply,
    FieldProblem,
    FromCookie,
    FromHeader,
    Group,
    Handshake,
    HTTPException,
    Policy,
    TextJSON,
    WebSocket,
    WebSocketClose,
    WebSocketException,
    WebSocketRoute,
    endpoint,
    truncate_reason,
)
from typedws.client import Backoff, ClientConnection, Reconnecting, SyncConnection, connect_sync, reconnecting
from typedws.testing import (
    ConnectionDenied,
    ServerBehaviour,
    SyncTestConnecting,
    SyncTestConnection,
    TestClient,
    TestConnecting,
    TestConnection,
    advance_clock,
    connect,
    lifespan,
    settle,
)

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = Path(__file__).with_name("cases")
CASES: Final = sorted(FOLDER.glob("*.py"))
MARK: Final = re.compile(r"  # error: (.+)$")
OWNERS: Final = (
    App,
    Contract,
    Endpoint,
    ErrorReply,
    FieldProblem,
    FromCookie,
    FromHeader,
    Group,
    HTTPException,
    Policy,
    WebSocketException,
    WebSocketRoute,
    endpoint,
    Handshake,
    Connection,
    WebSocket,
    WebSocketClose,
    DenialResponse,
    CodecRegistry,
    TextJSON,
    BinaryJSON,
    truncate_reason,
    ClientConnection,
    SyncConnection,
    Backoff,
    Reconnecting,
    connect,
    connect_sync,
    reconnecting,
    lifespan,
    advance_clock,
    settle,
    TestConnecting,
    TestConnection,
    ConnectionDenied,
    ServerBehaviour,
    TestClient,
    SyncTestConnecting,
    SyncTestConnection,
)

Messages = Mapping[str, Mapping[int, str]]
"""The messages of a checker: by file and line, all as one text."""

each_case: Final = pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
each_good_case: Final = pytest.mark.parametrize(
    "case", [case for case in CASES if case.name.startswith("good_")], ids=lambda case: case.stem
)


@pytest.fixture(scope="session")
def mypy_messages(tmp_path_factory: pytest.TempPathFactory) -> Messages:
    """Run mypy over all cases, and return its messages."""
    cache = tmp_path_factory.mktemp("mypy")
    own = ["--config-file=", f"--cache-dir={cache}", "--explicit-package-bases", "--output=json"]
    lines = run("mypy", "--strict", *own, str(FOLDER)).splitlines()
    return by_line(
        (diagnostic["file"], diagnostic["line"], diagnostic["message"]) for diagnostic in map(json.loads, lines)
    )


@pytest.fixture(scope="session")
def pyright_messages(tmp_path_factory: pytest.TempPathFactory) -> Messages:
    """Run pyright over all cases, and return its messages."""
    config = tmp_path_factory.mktemp("pyright") / "pyrightconfig.json"
    include = os.path.relpath(FOLDER, config.parent)  # pyright ignores absolute paths here
    config.write_text(
        json.dumps({"include": [include], "extraPaths": [str(ROOT)], "typeCheckingMode": "strict"}), encoding="utf-8"
    )
    output = json.loads(run("pyright", "--outputjson", "--project", str(config), "--pythonpath", sys.executable))
    assert output["summary"]["filesAnalyzed"] == len(CASES)
    return by_line(
        (diagnostic["file"], diagnostic["range"]["start"]["line"] + 1, diagnostic["message"])
        for diagnostic in output["generalDiagnostics"]
    )


def run(checker: str, *arguments: str) -> str:
    """Run a checker, and return what it prints. It must report errors: any other exit status is a failure."""
    command = [sys.executable, "-m", checker, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=300, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def by_line(diagnostics: Iterable[tuple[str, int, str]]) -> Messages:
    """Join the messages about each line."""
    messages: dict[str, dict[int, str]] = defaultdict(dict)
    for file, line, message in diagnostics:
        of_file = messages[Path(file).name]
        of_file[line] = f"{of_file.get(line, '')}\n{message}".strip()
    return messages


def marks(case: Path) -> dict[int, str]:
    """Return the marked lines of a case, each with the words that a message about it must have."""
    lines = enumerate(case.read_text(encoding="utf-8").splitlines(), 1)
    return {line: match[1] for line, text in lines if (match := MARK.search(text))}


def words(mark: str) -> list[str]:
    """Split a mark at spaces, except after a comma: ``dict[str, int]`` is one word."""
    return re.split(r"(?<!,) ", mark)


def disagreements(case: Path, messages: Messages) -> list[str]:
    """Return the lines on which the checker and the marks disagree."""
    marked, actual = marks(case), messages.get(case.name, {})
    problems = [(line, f"refused: {actual[line]}") for line in actual.keys() - marked]
    problems += [(line, "accepted") for line in marked.keys() - actual]
    for line in marked.keys() & actual:
        absent = [word for word in words(marked[line]) if not re.search(rf"(?<!\w){re.escape(word)}", actual[line])]
        if absent:
            problems.append((line, f"refused without a word of {absent}: {actual[line]}"))
    return [f"{case.name}:{line}: {problem}" for line, problem in sorted(problems)]


@each_case
def test_mypy_refuses_the_marked_lines_and_no_others(case: Path, mypy_messages: Messages) -> None:
    problems = disagreements(case, mypy_messages)
    assert not problems, "\n".join(problems)


@pytest.mark.node
@each_case
def test_pyright_refuses_the_marked_lines_and_no_others(case: Path, pyright_messages: Messages) -> None:
    problems = disagreements(case, pyright_messages)
    assert not problems, "\n".join(problems)


@each_case
def test_bad_cases_alone_have_marks(case: Path) -> None:
    assert bool(marks(case)) == case.name.startswith("bad_")


@each_good_case
def test_good_cases_can_be_imported(case: Path) -> None:
    import_module(f"tests.typing.cases.{case.stem}")


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: owner.__name__)
def test_every_public_method_and_parameter_has_a_wrong_use(owner: Callable[..., object]) -> None:
    wrong_uses = {use for case in CASES for use in marked_uses(case)}
    forgotten = [spellings[0] for spellings in public_api(owner) if wrong_uses.isdisjoint(spellings)]
    assert not forgotten, f"no line of cases/bad_*.py is marked for {forgotten}"


def public_api(owner: Callable[..., object]) -> Iterator[list[str]]:
    """Spell out the public API of a class or a function: itself, its methods and properties, and all parameters."""
    is_constructible = "__init__" not in getattr(owner, "__abstractmethods__", ())
    yield from spelled(owner.__name__, owner) if is_constructible else [[owner.__name__]]
    if isinstance(owner, type):
        for name, member in inspect.getmembers(owner, is_ours):
            if not name.startswith("_"):
                yield from spelled(name, member)


def is_ours(member: object) -> bool:
    """Whether a member is a method or a property that was written here."""
    function = member.fget if isinstance(member, property) else member
    return inspect.isfunction(function) and function.__module__.startswith("typedws.")


def spelled(name: str, member: object) -> Iterator[list[str]]:
    """Yield ``name``, and for each parameter ``name(parameter)``, with ``name(position)`` if it may be positional."""
    yield [name]
    if callable(member):
        parameters = [each for each in inspect.signature(member).parameters.values() if not is_implied(each)]
        for position, parameter in enumerate(parameters):
            by_name = f"{name}({parameter.name})"
            yield [by_name] if parameter.kind is parameter.KEYWORD_ONLY else [by_name, f"{name}({position})"]


def is_implied(parameter: inspect.Parameter) -> bool:
    """Whether callers never name this parameter: ``self``, and the parameter of ``**`` keywords."""
    return parameter.name == "self" or parameter.kind is parameter.VAR_KEYWORD


def marked_uses(case: Path) -> Iterator[str]:
    """Yield the names in the marked lines of a case, and the calls there with their arguments, spelled as above.

    The words of a mark count as arguments: so a call that lacks an argument is found too.
    """
    marked = marks(case)
    for node in ast.walk(ast.parse(case.read_text(encoding="utf-8"))):
        mark = marked.get(getattr(node, "lineno", 0))
        if mark is None:
            continue
        if name := name_of(node):
            yield name
        if isinstance(node, ast.Call):
            arguments = [*range(len(node.args)), *(keyword.arg for keyword in node.keywords), *words(mark)]
            yield from (f"{name_of(node.func)}({argument})" for argument in arguments)


def name_of(node: ast.AST) -> str | None:
    """Return the last name of an expression: ``accept`` of ``handshake.accept``, ``WebSocket`` of ``WebSocket[In]``."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(value=ast.Name(id=name)):
            return name
        case _:
            return None
