"""The files in ``schemas/`` are what the code says, ``make`` sees to it, the page tells what commands print."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_docs import blocks

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
CONSOLE = re.compile(
    r"(?:<!-- after: (.*?) \| (.*?) -->\n)?^```console\n\$ (typedws .*?)\n(.*?)^```$", re.DOTALL | re.MULTILINE
)


def run(command: list[str], folder: Path) -> tuple[int, str]:
    """Run a command as somebody who works in a folder; give its exit code and all that it said."""
    env = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    env.pop("MAKEFLAGS", None)
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=50)
    return done.returncode, done.stdout + done.stderr


def make(target: str, folder: Path) -> tuple[int, str]:
    """Run what a target of the Makefile runs, with this Python's commands in place of those of a clone."""
    return run(["make", "--silent", "-o", ".venv/.test", f"BIN={BIN}", target], folder)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Copy what `make check-schemas` looks at."""
    for name in ("examples", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


def test_the_schemas_are_those_of_the_code(clone: Path) -> None:
    code, told = make("check-schemas", clone)
    assert (code, told) == (0, "13 documents in schemas are what the code says\n")


def test_a_field_that_changes_in_an_example_fails_the_check_until_make_schemas_has_run(clone: Path) -> None:
    example = clone / "examples" / "auth_chat.py"
    example.write_text(example.read_text().replace("    who: str", "    whom: str"))
    code, told = make("check-schemas", clone)
    assert code != 0
    assert '-        "who": {\n' in told
    assert '+        "whom": {\n' in told
    assert "schemas/auth_chat.asyncapi.json (the file)" in told
    assert "schemas/auth_chat.chat.contract.json (the file)" in told
    assert "schemas/ is stale: run make schemas\n" in told
    assert make("schemas", clone)[0] == 0
    assert make("check-schemas", clone)[0] == 0


def test_make_check_looks_at_the_schemas() -> None:
    assert "check-schemas" in next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("check:")
    )


@pytest.mark.parametrize(("page", "module", "number"), [("docs/schemas.md", "shop", 0), ("README.md", "chat", 0)])
def test_the_commands_of_a_page_print_what_it_shows(page: str, module: str, number: int, tmp_path: Path) -> None:
    source = tmp_path / f"{module}.py"
    source.write_text(list(blocks(ROOT / page))[number].code)
    shown = CONSOLE.findall((ROOT / page).read_text())
    assert shown
    for before, after, prompt, expected in shown:
        code = source.read_text()
        source.write_text(code.replace(before.replace("\\n", "\n"), after.replace("\\n", "\n"), 1) if before else code)
        assert (source.read_text() != code) == bool(before)
        told = run(shlex.split(prompt), tmp_path)[1]
        assert re.fullmatch(pattern_of(expected), squeezed(told), re.DOTALL), told
        source.write_text(code)


def pattern_of(shown: str) -> str:
    """Make a pattern of what is shown, in which ``...`` stands for anything."""
    return ".*?".join(map(re.escape, squeezed(shown).split("...")))


def squeezed(text: str) -> str:
    """Leave out how wide columns are."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
