"""The command `typedws`, run in a folder with a module: once in a process of its own, else in this one."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from typedws.cli import entry_point as cli
from typedws.cli.commands import app
from typedws.cli.targets import InvalidTarget, load

COMMAND = Path(sys.executable).with_name("typedws")

MODULE = """
from typing import Annotated, Literal, Never
from pydantic import BaseModel, Field, WithJsonSchema
from typedws import App, ApplicationCloseCode, Codec, Connection, Contract, FromCookie, FromHeader, endpoint

class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str
    tags: list[str] = []
    place: tuple[int, int] | None = None
    scores: dict[str, int] = {}
    extra: dict[str, object] = {}
    loose: Annotated[list[int], WithJsonSchema({"type": "array", "items": True})] = []

class Leave(BaseModel):
    type: Literal["leave"] = "leave"
    why: Literal["tired", "bored"]
    say: Say

class Room(BaseModel):
    room: str
    page: int = 1
    tenant: Annotated[str, FromHeader("x-tenant")]
    session: Annotated[str, FromCookie()] = ""

class Closes(ApplicationCloseCode):
    KICKED = 4001, "removed", "never"

class Lines(Codec[str]):
    name, kind = "lines", "text"
    def encode(self, value): return str(value)
    def decode(self, data): return data

Message = Annotated[Say | Leave, Field(discriminator="type")]
chat = Contract("chat", Connection[Message, Say, Room], modes=("text", Lines()), closes=Closes)
app = App()

@app.websocket("/chat/{room}", chat)
async def talk(ws: Connection[Message, Say, Room]) -> None: ...

@app.websocket("/feed")
async def feed(ws: Connection[Never, list[int]]) -> None: ...

@app.websocket("/echo")
async def echo(ws: Connection) -> None: ...

@endpoint
async def alone(ws: Connection[Say, Say]) -> None: ...

number = 1
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a folder with a module, and change into it."""
    (tmp_path / "shop.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    """Run the command in this process; return its exit code and its output."""
    result = CliRunner().invoke(app, ["schema", *arguments], env={"COLUMNS": "100"}, catch_exceptions=False)
    return result.exit_code, result.output


def test_it_runs_as_a_command(folder: Path) -> None:
    command = [str(COMMAND), "schema", "export", "shop:app", "--out", "schemas"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "4 documents in schemas\n"
    names = ["chat.contract.json", "echo.contract.json", "feed.contract.json", "shop.asyncapi.json"]
    assert sorted(path.name for path in (folder / "schemas").iterdir()) == names


def test_the_check_passes_after_an_export(folder: Path) -> None:
    assert run("export", "shop:app", "--out", "schemas") == (0, "4 documents in schemas\n")
    assert run("export", "shop:app", "--out", "schemas", "--check") == (
        0,
        "4 documents in schemas match the code\n",
    )


def test_a_stale_file_is_shown_as_a_diff_with_the_command_to_run(folder: Path) -> None:
    run("export", "shop:app", "--out", "schemas")
    path = folder / "schemas" / "chat.contract.json"
    path.write_text(path.read_text().replace('"bored"', '"boring"'))
    code, output = run("export", "shop:app", "--out", "schemas", "--check")
    assert code == 1
    assert "--- schemas/chat.contract.json (the file)\n+++ schemas/chat.contract.json (the code)\n" in output
    assert '-            "boring"\n+            "bored"\n' in output
    assert output.endswith("schemas does not match the code: run\n    typedws schema export shop:app --out schemas\n")


def test_missing_and_superfluous_files_fail_the_check_until_the_next_export(folder: Path) -> None:
    run("export", "shop:app", "--out", "schemas")
    assert run("export", "shop:chat", "--out", "schemas", "--check") == (
        1,
        "schemas/echo.contract.json belongs to no contract of the code: remove it\n\n"
        "schemas/feed.contract.json belongs to no contract of the code: remove it\n\n"
        "schemas/shop.asyncapi.json belongs to no contract of the code: remove it\n\n"
        "schemas does not match the code: run\n    typedws schema export shop:chat --out schemas\n",
    )
    (folder / "schemas" / "own.json").write_text('{"mine": true}')
    run("export", "shop:chat", "--out", "schemas")
    assert sorted(path.name for path in (folder / "schemas").iterdir()) == ["chat.contract.json", "own.json"]
    code, output = run("export", "shop:chat", "shop:Say", "--out", "schemas", "--check")
    assert (code, output.splitlines()[0]) == (1, "schemas/Say.model.json is missing")


def test_contracts_that_share_a_name_are_two_files(folder: Path) -> None:
    (folder / "mall.py").write_text(MODULE.replace("why:", "reason:"))
    run("export", "shop:app", "mall:app", "shop:chat", "--out", "schemas")
    names = {path.name for path in (folder / "schemas").iterdir()}
    assert {"shop.chat.contract.json", "mall.chat.contract.json", "mall.asyncapi.json"} < names
    assert len(names) == 8


def test_the_order_of_targets_does_not_matter(folder: Path) -> None:
    (folder / "mall.py").write_text(MODULE)
    targets = ["shop:app", "mall:app", "mall:chat", "shop:Say"]
    run("export", *targets, "--out", "one")
    run("export", *reversed(targets), "--out", "other")
    contents = [{path.name: path.read_bytes() for path in (folder / name).iterdir()} for name in ("one", "other")]
    assert contents[0] == contents[1]


def test_contracts_are_shown_as_tables(folder: Path) -> None:
    code, output = run("show", "shop:app")
    assert code == 0
    for fact in ("/chat/{room}", "4001 KICKED", "removed (reconnect: never)", "chat.v1.lines", "lines in text frames"):
        assert fact in output
    lines = [" ".join(line.split()) for line in output.splitlines()]
    for row in (
        "path room string",
        "query page integer, optional",
        "header x-tenant string",
        "cookie session string, optional",
        "place: [integer, integer] | null, optional",
        "tags: array of string, optional",
        "scores: object of integer, optional",
        "loose: array of any, optional",
        "why: 'tired' | 'bored'",
        "client message nothing",
        "server message array of integer",
        "server message anything",
        "mode chat.v1.json application/json in text frames",
    ):
        assert row in lines, output


@pytest.mark.parametrize("target", ["shop:chat", "shop:alone"])
def test_a_contract_or_an_endpoint_may_be_shown_alone(folder: Path, target: str) -> None:
    code, output = run("show", target)
    assert code == 0
    assert "text: string" in output


def test_a_model_is_not_shown(folder: Path) -> None:
    assert run("show", "shop:Say") == (1, "expected an App or a Contract to show, found Say\n")


BAD_MODULES = {
    "broken": "import typedws\n1 / 0\n",
    "asking": "import no_such_module\n",
    "empty": "",
}


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("shop", "expected a target such as chat:app, found 'shop'"),
        (":app", "expected a target such as chat:app, found ':app'"),
        ("nowhere:app", "no module nowhere can be imported from {folder}"),
        ("shop.nowhere:app", "no module shop.nowhere can be imported from {folder}"),
        ("asking:app", "asking cannot be imported: ModuleNotFoundError: No module named 'no_such_module' (*)"),
        (
            "broken:app",
            "broken cannot be imported: ZeroDivisionError: division by zero ({folder}/broken.py, line 2)",
        ),
        (
            "shop:ap",
            "expected an App, a Contract, an Endpoint or a pydantic model at shop:ap, found no 'ap': "
            "there is app, chat",
        ),
        (
            "empty:app",
            "expected an App, a Contract, an Endpoint or a pydantic model at empty:app, found no 'app'",
        ),
        (
            "shop:number",
            "expected an App, a Contract, an Endpoint or a pydantic model at shop:number, found int: "
            "for an application of a framework, name its contracts",
        ),
    ],
)
def test_an_invalid_target_fails_with_one_sentence(folder: Path, target: str, sentence: str) -> None:
    for name, source in BAD_MODULES.items():
        (folder / f"{name}.py").write_text(source)
    code, output = run("show", target)
    expected = sentence.format(folder=folder)
    start, star, end = expected.partition("*")
    assert code == 1
    assert output.startswith(start)
    assert output.endswith(f"{end}\n")
    assert bool(star) or output == f"{expected}\n"


def test_a_target_may_be_a_nested_attribute(folder: Path) -> None:
    (folder / "deep.py").write_text("import shop\nclass Services:\n    ws = shop.app\n")
    target = load("deep:Services.ws")
    assert target.label == "deep.Services.ws"
    with pytest.raises(InvalidTarget, match=r"no 'other': there is ws\Z"):
        load("deep:Services.other")


def test_without_the_extra_main_exits_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "typedws.cli.commands")
    with pytest.raises(SystemExit) as exited:
        cli.main()
    assert exited.value.code == ('typedws: the command needs typer: pip install "typedws[cli]"')


def test_another_missing_module_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typedws.cli.files", None)
    monkeypatch.delitem(sys.modules, "typedws.cli.commands")
    with pytest.raises(ModuleNotFoundError):
        cli.main()


def test_main_runs_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["typedws", "--help"])
    with pytest.raises(SystemExit) as exited:
        cli.main()
    assert exited.value.code == 0
    assert "schema" in capsys.readouterr().out
