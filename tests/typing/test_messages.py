"""What mypy and pyright say of the ten commonest mistakes, word for word, to be reviewed as users read it.

The golden files name the checker's version in their first line. Under that version what is said must be what stands
there; another version may say it in other words, and must refuse the same line of each program, and no other.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from tests.typing.test_checkers import ROOT, run

GOLDEN: Final = Path(__file__).with_name("golden")
PYTHON: Final = "3.11"
"""The version that programs are checked for: what the standard library's types are called depends on it."""

MISTAKES: Final[Mapping[str, str]] = {
    "a forgotten await": """\
@app.websocket("/chat/{room}")
async def talk(ws: ChatConnection) -> None:
    ws.send_model(Said(text="hello"))  # wrong
""",
    "a model that is no message of the server": """\
@app.websocket("/chat/{room}")
async def talk(ws: ChatConnection) -> None:
    await ws.send_model(Order(id=1))  # wrong
""",
    "a message of the client, sent by the server": """\
@app.websocket("/chat/{room}")
async def talk(ws: ChatConnection) -> None:
    async for message in ws:
        await ws.send_model(message)  # wrong
""",
    "a forgotten case": """\
@app.websocket("/chat/{room}")
async def talk(ws: ChatConnection) -> None:
    async for message in ws:
        match message:
            case Join(room=room):
                await ws.send_model(Joined(room=room))
            case _:
                assert_never(message)  # wrong
""",
    "a handler that may end without an outcome": """\
@app.websocket("/chat/{room}")
async def talk(handshake: ChatHandshake) -> Outcome:  # wrong
    if handshake.params.room != "lobby":
        return await handshake.deny(404)
    ws = await handshake.accept()
    async for message in ws:
        print(message)
""",
    "a message before the accept": """\
@app.websocket("/chat/{room}")
async def talk(handshake: ChatHandshake) -> Outcome:
    await handshake.send_model(Said(text="hello"))  # wrong
    return await handshake.deny()
""",
    "an accept of what is accepted": """\
@app.websocket("/chat/{room}")
async def talk(ws: ChatConnection) -> None:
    await ws.accept()  # wrong
""",
    "a contract and an annotation that disagree": """\
chat = Contract("chat", ChatConnection)


@app.websocket("/chat/{room}", chat)  # wrong
async def talk(ws: Connection[Order, ServerMessage, Room]) -> None:
    async for order in ws:
        print(order.id)
""",
    "a parameter that there is not": """\
@app.websocket("/chat/{room}")
async def talk(ws: ChatConnection) -> None:
    await ws.send_model(Said(text=ws.params.name))  # wrong
""",
    "a group of others": """\
orders = Group[Order]()


@app.websocket("/chat/{room}")
async def talk(ws: ChatConnection) -> None:
    async with orders.joined(ws):  # wrong
        await ws.close()
""",
}

NAMES: Final = {
    "typing": ("assert_never",),
    "tests.typing.cases.messages": (
        *("ChatConnection", "ChatHandshake", "Join", "Joined", "Order", "Room", "Said", "ServerMessage"),
    ),
    "typedws": ("App", "Connection", "Contract", "Group", "Outcome"),
}

Said = list[tuple[int, str]]
"""What a checker said of one program: lines and messages."""


def program(code: str) -> str:
    """Give a program: the names that it uses, its application, its code."""
    body = f"app = App()\n\n\n{code}"
    used = {module: [name for name in names if re.search(rf"\b{name}\b", body)] for module, names in NAMES.items()}
    imports = [f"from {module} import {', '.join(names)}\n" for module, names in used.items() if names]
    return "".join(imports) + "\n" + body


PROGRAMS: Final = {name: program(code) for name, code in MISTAKES.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the programs."""
    folder = tmp_path_factory.mktemp("mistakes")
    for number, text in enumerate(PROGRAMS.values()):
        (folder / f"mistake_{number}.py").write_text(text, encoding="utf-8")
    return folder


def test_mypy_says_what_is_wrong(folder: Path) -> None:
    own = ["--config-file=", f"--cache-dir={folder / 'cache'}", f"--python-version={PYTHON}", "--output=json"]
    lines = run("mypy", "--strict", *own, str(folder)).splitlines()
    told = [json.loads(line) for line in lines]
    said = by_program((each["file"], each["line"], f"{each['message']}  [{each['code']}]") for each in told)
    compare("mypy", said)


@pytest.mark.node
def test_pyright_says_what_is_wrong(folder: Path) -> None:
    config = {"include": ["."], "extraPaths": [str(ROOT)], "typeCheckingMode": "strict", "pythonVersion": PYTHON}
    file = folder / "pyrightconfig.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    answer = json.loads(run("pyright", "--outputjson", f"--project={file}", f"--pythonpath={sys.executable}"))
    compare(
        "pyright",
        by_program(
            (each["file"], each["range"]["start"]["line"] + 1, f"{each['message']}  [{each['rule']}]")
            for each in answer["generalDiagnostics"]
        ),
    )


def by_program(told: Iterable[tuple[str, int, str]]) -> dict[str, Said]:
    """Sort what was said by program."""
    said: dict[str, Said] = {name: [] for name in PROGRAMS}
    for file, line, message in told:
        number = int(Path(file).stem.removeprefix("mistake_"))
        said[list(PROGRAMS)[number]].append((line, message.replace("\xa0", " ")))
    return said


def compare(checker: str, said: Mapping[str, Said]) -> None:
    """Compare with the golden file word for word where that is of the same version; else the refused lines alone."""
    refused = {name: sorted({line for line, _ in found}) for name, found in said.items()}
    assert refused == {name: [wrong_line(text)] for name, text in PROGRAMS.items()}
    golden = (GOLDEN / f"{checker}.txt").read_text(encoding="utf-8")
    head = f"{checker} {version(checker)}\n"
    if golden.startswith(head):
        rendered = head + "".join(rendered_of(name, said[name]) for name in PROGRAMS)
        assert golden == rendered, f"the messages changed: review them, and replace golden/{checker}.txt by\n{rendered}"


def wrong_line(text: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.endswith("  # wrong"))


def rendered_of(name: str, said: Said) -> str:
    """Write down one mistake: its name, the wrong line, what was said of it."""
    wrong = PROGRAMS[name].splitlines()[wrong_line(PROGRAMS[name]) - 1].removesuffix("  # wrong").strip()
    return "\n".join(["", f"## {name}", f"    {wrong}", *(message for _, message in said), ""])
