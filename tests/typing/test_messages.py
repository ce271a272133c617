"""The messages of mypy and pyright on the ten most common mistakes, word for word, for review as users read them.

The golden files name the checker's version in their first line. Under that version the messages must equal the file.
Another version may use other words, but must refuse the same line of each program, and no other.
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
"""The version that programs are checked for: the names of the standard library's types depend on it."""

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

Messages = list[tuple[int, str]]
"""A checker's messages about one program, with their lines."""


def program(code: str) -> str:
    """Return a program: the imports of the names that it uses, its application, and its code."""
    body = f"app = App()\n\n\n{code}"
    used = {module: [name for name in names if re.search(rf"\b{name}\b", body)] for module, names in NAMES.items()}
    imports = [f"from {module} import {', '.join(names)}\n" for module, names in used.items() if names]
    return "".join(imports) + "\n" + body


PROGRAMS: Final = {name: program(code) for name, code in MISTAKES.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the programs into a folder, and return it."""
    folder = tmp_path_factory.mktemp("mistakes")
    for number, text in enumerate(PROGRAMS.values()):
        (folder / f"mistake_{number}.py").write_text(text, encoding="utf-8")
    return folder


def test_mypy_names_each_mistake(folder: Path) -> None:
    own = ["--config-file=", f"--cache-dir={folder / 'cache'}", f"--python-version={PYTHON}", "--output=json"]
    lines = run("mypy", "--strict", *own, str(folder)).splitlines()
    diagnostics = [json.loads(line) for line in lines]
    messages = by_program((each["file"], each["line"], f"{each['message']}  [{each['code']}]") for each in diagnostics)
    compare("mypy", messages)


@pytest.mark.node
def test_pyright_names_each_mistake(folder: Path) -> None:
    config = {"include": ["."], "extraPaths": [str(ROOT)], "typeCheckingMode": "strict", "pythonVersion": PYTHON}
    file = folder / "pyrightconfig.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    output = json.loads(run("pyright", "--outputjson", f"--project={file}", f"--pythonpath={sys.executable}"))
    compare(
        "pyright",
        by_program(
            (each["file"], each["range"]["start"]["line"] + 1, f"{each['message']}  [{each['rule']}]")
            for each in output["generalDiagnostics"]
        ),
    )


def by_program(diagnostics: Iterable[tuple[str, int, str]]) -> dict[str, Messages]:
    """Group messages by program."""
    messages: dict[str, Messages] = {name: [] for name in PROGRAMS}
    for file, line, message in diagnostics:
        number = int(Path(file).stem.removeprefix("mistake_"))
        messages[list(PROGRAMS)[number]].append((line, message.replace("\xa0", " ")))
    return messages


def compare(checker: str, messages: Mapping[str, Messages]) -> None:
    """Compare with the golden file word for word if it is of the same version, and the refused lines in any case."""
    refused = {name: sorted({line for line, _ in diagnostics}) for name, diagnostics in messages.items()}
    assert refused == {name: [wrong_line(text)] for name, text in PROGRAMS.items()}
    golden = (GOLDEN / f"{checker}.txt").read_text(encoding="utf-8")
    head = f"{checker} {version(checker)}\n"
    if golden.startswith(head):
        rendered = head + "".join(rendered_of(name, messages[name]) for name in PROGRAMS)
        assert golden == rendered, f"the messages changed: review them, and replace golden/{checker}.txt by\n{rendered}"


def wrong_line(text: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.endswith("  # wrong"))


def rendered_of(name: str, messages: Messages) -> str:
    """Return the text of one mistake: its name, the wrong line, and the messages about it."""
    wrong = PROGRAMS[name].splitlines()[wrong_line(PROGRAMS[name]) - 1].removesuffix("  # wrong").strip()
    return "\n".join(["", f"## {name}", f"    {wrong}", *(message for _, message in messages), ""])
