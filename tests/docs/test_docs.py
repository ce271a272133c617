"""What README and docs say is so: every Python block runs, and every application in one answers as it is said to.

Before a block, ``<!-- says: ... -->`` is a text message that the client sends, ``<!-- hears: ... -->`` one that it
must get, ``<!-- header: name: value -->`` a header of its request. The blocks of a file run in order, in one module.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import pytest

from tests.support import CONNECT, disconnect, scope, text, wire
from typedws import registry
from typedws.state import APPLICATION_MOVES, CLIENT_MOVES, Application, Client

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PART = re.compile(r"<!-- (says|hears|header): (.*?) -->|^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass
class Block:
    """One Python block, with what its client says and hears."""

    code: str
    says: list[str] = field(default_factory=list[str])
    hears: list[str] = field(default_factory=list[str])
    header: list[str] = field(default_factory=list[str])


def blocks(page: Path) -> Iterator[Block]:
    """Give the blocks of a page."""
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
async def test_every_block_runs_and_answers_as_it_says(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType(f"docs_{page.stem.lower()}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(registry, "_codecs", dict(vars(registry)["_codecs"]))  # a page may register a codec of its own
    for number, block in enumerate(blocks(page), 1):
        namespace = module.__dict__
        namespace.pop("app", None)
        exec(compile(block.code, f"{page.name}, block {number}", "exec"), namespace)
        application = namespace.get("app") or namespace.get("endpoint") if block.says or block.hears else None
        if application is not None:
            assert await answers(application, block) == block.hears


async def answers(application: Any, block: Block) -> list[str]:
    """Drive an application, and give the text messages that it sends."""
    receive, send, sent = wire(CONNECT, *map(text, block.says), disconnect(1000))
    headers = [(name.encode(), value.encode()) for name, _, value in (line.partition(": ") for line in block.header)]
    connection = scope(headers=headers)
    with anyio.fail_after(5):
        if application.__code__.co_argcount == 1:  # a framework's handler
            await application(Framework(connection, receive, send))
        else:
            await application(connection, receive, send)
    return [event["text"] for event in sent if event.get("text")]


@dataclass
class Framework:
    """What a framework's router hands out, as far as the docs need it."""

    scope: Any
    receive: Any
    send: Any


def test_the_diagram_of_states_is_the_tables() -> None:
    page = (ROOT / "docs" / "handshakes.md").read_text()
    _, _, after = page.partition("<!-- states -->\n```mermaid\n")
    drawn, _, _ = after.partition("```")
    assert drawn == diagram(), "the tables changed: replace the diagram in docs/handshakes.md by\n" + diagram()


def diagram() -> str:
    """Draw the tables of moves as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    for name, states, moves in (("client", Client, CLIENT_MOVES), ("application", Application, APPLICATION_MOVES)):
        lines.append(f"    state {name} {{")
        lines.append(f"        [*] --> {name}_{next(iter(states)).value}")
        for (start, move), end in moves.items():
            lines.append(f"        {name}_{start.value} --> {name}_{end.value}: {move}")
        lines.append("    }")
    return "\n".join(lines) + "\n"


def test_the_complete_example_of_the_readme_is_the_one_that_the_demo_runs() -> None:
    example = (ROOT / "examples" / "chat.py").read_text()
    assert example in [block.code for block in blocks(ROOT / "README.md")]
