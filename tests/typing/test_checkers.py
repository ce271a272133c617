"""mypy and pyright agree, line by line, on the programs in ``cases``, both in their strict modes.

A line of a ``bad_*.py`` is marked with ``# error: words`` when both checkers must refuse it, each with a message that
has all of these words: the types and names that the user wrote. On all other lines neither may say anything.
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

Said = Mapping[str, Mapping[int, str]]
"""What a checker said: by file and line, all of its messages as one text."""

each_case: Final = pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
each_good_case: Final = pytest.mark.parametrize(
    "case", [case for case in CASES if case.name.startswith("good_")], ids=lambda case: case.stem
)


@pytest.fixture(scope="session")
def mypy_said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """Run mypy over all cases."""
    cache = tmp_path_factory.mktemp("mypy")
    own = ["--config-file=", f"--cache-dir={cache}", "--explicit-package-bases", "--output=json"]
    lines = run("mypy", "--strict", *own, str(FOLDER)).splitlines()
    return by_line((told["file"], told["line"], told["message"]) for told in map(json.loads, lines))


@pytest.fixture(scope="session")
def pyright_said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """Run pyright over all cases."""
    config = tmp_path_factory.mktemp("pyright") / "pyrightconfig.json"
    include = os.path.relpath(FOLDER, config.parent)  # pyright ignores absolute paths here
    config.write_text(
        json.dumps({"include": [include], "extraPaths": [str(ROOT)], "typeCheckingMode": "strict"}), encoding="utf-8"
    )
    answer = json.loads(run("pyright", "--outputjson", "--project", str(config), "--pythonpath", sys.executable))
    assert answer["summary"]["filesAnalyzed"] == len(CASES)
    return by_line(
        (told["file"], told["range"]["start"]["line"] + 1, told["message"]) for told in answer["generalDiagnostics"]
    )


def run(checker: str, *arguments: str) -> str:
    """Run a checker; a report of errors is an answer, anything else a failure."""
    command = [sys.executable, "-m", checker, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=300, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def by_line(told: Iterable[tuple[str, int, str]]) -> Said:
    """Join what was said of each line."""
    said: dict[str, dict[int, str]] = defaultdict(dict)
    for file, line, message in told:
        of_file = said[Path(file).name]
        of_file[line] = f"{of_file.get(line, '')}\n{message}".strip()
    return said


def marks(case: Path) -> dict[int, str]:
    """Give the marked lines of a case, each with the words that a message about it must have."""
    lines = enumerate(case.read_text(encoding="utf-8").splitlines(), 1)
    return {line: match[1] for line, text in lines if (match := MARK.search(text))}


def words(mark: str) -> list[str]:
    """Split at spaces, except at those behind a comma: ``dict[str, int]`` is one word."""
    return re.split(r"(?<!,) ", mark)


def disagreements(case: Path, said: Said) -> list[str]:
    """Say where a checker found something else than what is marked."""
    marked, found = marks(case), said.get(case.name, {})
    problems = [(line, f"refused: {found[line]}") for line in found.keys() - marked]
    problems += [(line, "accepted") for line in marked.keys() - found]
    for line in marked.keys() & found:
        absent = [word for word in words(marked[line]) if not re.search(rf"(?<!\w){re.escape(word)}", found[line])]
        if absent:
            problems.append((line, f"refused without a word of {absent}: {found[line]}"))
    return [f"{case.name}:{line}: {problem}" for line, problem in sorted(problems)]


@each_case
def test_mypy_refuses_the_marked_lines_and_no_others(case: Path, mypy_said: Said) -> None:
    problems = disagreements(case, mypy_said)
    assert not problems, "\n".join(problems)


@pytest.mark.node
@each_case
def test_pyright_refuses_the_marked_lines_and_no_others(case: Path, pyright_said: Said) -> None:
    problems = disagreements(case, pyright_said)
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
    """Spell out what is public of a class or a function: itself, its methods and properties, all their parameters."""
    yield from spelled(owner.__name__, owner)
    if isinstance(owner, type):
        for name, member in inspect.getmembers(owner, is_ours):
            if not name.startswith("_"):
                yield from spelled(name, member)


def is_ours(member: object) -> bool:
    """Whether a member is a method or a property that was written here."""
    function = member.fget if isinstance(member, property) else member
    return inspect.isfunction(function) and function.__module__.startswith("typedws.")


def spelled(name: str, member: object) -> Iterator[list[str]]:
    """Give ``name``, and for each parameter ``name(parameter)``, with ``name(position)`` where that is as good."""
    yield [name]
    if callable(member):
        parameters = [each for each in inspect.signature(member).parameters.values() if not is_implied(each)]
        for position, parameter in enumerate(parameters):
            by_name = f"{name}({parameter.name})"
            yield [by_name] if parameter.kind is parameter.KEYWORD_ONLY else [by_name, f"{name}({position})"]


def is_implied(parameter: inspect.Parameter) -> bool:
    """Whether a parameter is not what a caller names: oneself, or all of a dictionary's keys."""
    return parameter.name == "self" or parameter.kind is parameter.VAR_KEYWORD


def marked_uses(case: Path) -> Iterator[str]:
    """Give the names in the marked lines of a case, and what is called there with what, spelled as above.

    The words of a mark count as arguments: that is how a missing one is found.
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
    """Give the last name of an expression: ``accept`` in ``handshake.accept``, ``WebSocket`` in ``WebSocket[In]``."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(value=ast.Name(id=name)):
            return name
        case _:
            return None
