"""README and docs are true: every Python block runs, and every application in one answers as the page states.

Comments before a block describe its client. ``<!-- client sends: ... -->`` is a text message that it sends, and
``<!-- client receives: ... -->`` one that it must receive. ``<!-- header: name: value -->`` is a header of its request,
and ``<!-- path: /chat?name=ann -->`` the path and query. With ``<!-- denied: 401 -->`` it must be denied. The blocks of
a file run in order, in one module. The application of a block is its ``app``, or the last endpoint that it defines.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import pytest

import typedws
from tests.e2e.differences import PAGE, page_with_tables
from tests.e2e.serving import LIMIT, running
from tests.support import CONNECT, disconnect, scope, text, wire
from typedws import Endpoint, registry
from typedws._protocol.state import APPLICATION_MOVES, CLIENT_MOVES, Application, Client

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PART = re.compile(
    r"<!-- (?:client )?(sends|receives|header|path|denied): (.*?) -->|^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass
class Block:
    """One Python block, with what its client sends and receives."""

    code: str
    sends: list[str] = field(default_factory=list[str])
    receives: list[str] = field(default_factory=list[str])
    header: list[str] = field(default_factory=list[str])
    path: list[str] = field(default_factory=list[str])
    denied: list[str] = field(default_factory=list[str])


def blocks(page: Path) -> Iterator[Block]:
    """Yield the Python blocks of a page, each with what the comments before it state."""
    block = Block("")
    for match in PART.finditer(page.read_text()):
        kind, message, code = match.groups()
        if code is None:
            getattr(block, kind).append(message)
        else:
            block.code = code
            yield block
            block = Block("")


@pytest.mark.anyio
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_every_block_runs_and_answers_as_the_page_states(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of(page, monkeypatch)
    monkeypatch.setattr(registry, "_codecs", dict(vars(registry)["_codecs"]))  # a page may register its own codec
    for number, block in enumerate(blocks(page), 1):
        namespace = module.__dict__
        before = dict(namespace)
        exec(compile(block.code, f"{page.name}, block {number}", "exec"), namespace)
        if block.sends or block.receives or block.denied:
            assert await answers(application_of(namespace, before), block) == block.receives + block.denied
        if page.stem != "testing":  # whose tests are run below
            for test in [value for name, value in namespace.items() if name.startswith("test_") and name not in before]:
                await test()


def application_of(namespace: dict[str, Any], before: dict[str, Any]) -> Any:
    """Return the application of a block: ``app``, a handler called ``endpoint``, or the last endpoint in it."""
    new = {
        name: value
        for name, value in namespace.items()
        if before.get(name) is not value and value is not typedws.endpoint
    }
    endpoints: list[Any] = [value for value in new.values() if isinstance(value, Endpoint)]
    return new.get("app") or new.get("endpoint") or endpoints[-1]


async def answers(application: Any, block: Block) -> list[str]:
    """Run an application; return the text messages that it sends, or the status of its denial."""
    receive, send, sent = wire(CONNECT, *map(text, block.sends), disconnect(1000))
    headers = [(name.encode(), value.encode()) for name, _, value in (line.partition(": ") for line in block.header)]
    path, _, query = (block.path or ["/"])[0].partition("?")
    connection = scope(headers=headers, path=path, query_string=query.encode())
    with anyio.fail_after(5):
        if inspect.isfunction(application) and application.__code__.co_argcount == 1:  # a framework's handler
            await application(Framework(connection, receive, send))
        else:
            await application(connection, receive, send)
    return [str(event.get("text") or event["status"]) for event in sent if event.get("text") or "status" in event]


@dataclass
class Framework:
    """The object that a framework passes to a handler, as far as the docs need it."""

    scope: Any
    receive: Any
    send: Any


RAISED = re.compile(r"<!-- raised by: (\w+) -->\n```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_the_tests_on_the_testing_page_pass_or_fail_as_it_states(pytester: pytest.Pytester) -> None:
    page = ROOT / "docs" / "testing.md"
    code = "\n".join(block.code for block in blocks(page))
    failing: dict[str, str] = dict(RAISED.findall(page.read_text()))
    pytester.makepyfile(test_chat=code)
    only_anyio = ["-p", "no:asyncio", "-p", "no:trio", "-p", "no:cacheprovider"]
    result = pytester.runpytest_inprocess("-W", "error", "--tb=short", *only_anyio)
    # Async tests run on both event loops.
    result.assert_outcomes(
        passed=code.count("\ndef test_") + 2 * code.count("\nasync def test_") - 2 * len(failing),
        failed=2 * len(failing),
    )
    shown = "\n".join(line.removeprefix("E").strip() for line in result.outlines)
    for name, report in failing.items():
        lines = "\n".join(line.strip() for line in report.splitlines())
        assert lines in shown, f"{name} is documented otherwise:\n{shown}"


def test_the_state_diagram_matches_the_tables() -> None:
    page = (ROOT / "docs" / "handshakes.md").read_text()
    _, _, after = page.partition("<!-- states -->\n```mermaid\n")
    drawn, _, _ = after.partition("```")
    assert drawn == diagram(), "the tables changed: replace the diagram in docs/handshakes.md by\n" + diagram()


def diagram() -> str:
    """Return the tables of moves as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    for name, states, moves in (("client", Client, CLIENT_MOVES), ("application", Application, APPLICATION_MOVES)):
        lines.append(f"    state {name} {{")
        lines.append(f"        [*] --> {name}_{next(iter(states)).value}")
        for (start, move), end in moves.items():
            lines.append(f"        {name}_{start.value} --> {name}_{end.value}: {move}")
        lines.append("    }")
    return "\n".join(lines) + "\n"


CLIENTS = [
    ("README.md", [("greet",)], ["type='said' text='hello' by='ann'"]),
    (
        "docs/client.md",
        [("fill_one",), ("ask_for_too_much",), ("keep_filling", ["apples", "pears"]), ("fill_from_a_script",)],
        [
            "connecting 0 None None",
            "open 0 None None",
            "ended 0 None None",
            "type='added' number=1 item='apples'",
        ],
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # uvicorn needs it
@pytest.mark.parametrize(("page", "calls", "printed"), CLIENTS)
async def test_a_client_on_a_page_talks_to_the_application_on_it(
    page: str,
    calls: list[tuple[Any, ...]],
    printed: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = module_of(ROOT / page, monkeypatch).__dict__
    for block in blocks(ROOT / page):
        exec(compile(block.code, page, "exec"), names)
    async with running("websockets-sansio") as server:
        server.app = names["app"]
        with anyio.fail_after(LIMIT):
            for name, *arguments in calls:
                call = partial(names[name], f"ws://127.0.0.1:{server.port}", *arguments)
                await (call() if inspect.iscoroutinefunction(names[name]) else anyio.to_thread.run_sync(call))
    assert capsys.readouterr().out.splitlines() == printed


def module_of(page: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a new module, in which the blocks of a page run."""
    module = ModuleType(f"docs_{page.stem.lower()}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_the_page_of_server_differences_matches_the_tests() -> None:
    assert PAGE.read_text() == page_with_tables(), "the rows changed: python -m tests.e2e.differences"


def test_the_complete_example_in_the_readme_is_the_one_that_the_demo_runs() -> None:
    example = (ROOT / "examples" / "chat.py").read_text()
    assert example in [block.code for block in blocks(ROOT / "README.md")]
