"""The files in ``schemas/`` match the code, ``make`` checks that, and the docs show what the commands print."""

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
    """Run a command in a folder, outside of any other make; return its exit code and its output."""
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
    """Run a target of the Makefile with the commands of this Python, not those of the clone's own environment."""
    return run(["make", "--silent", "-o", ".venv/.test", f"BIN={BIN}", target], folder)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Copy the files that `make check-schemas` reads."""
    for name in ("examples", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


def test_the_schemas_match_the_code(clone: Path) -> None:
    code, output = make("check-schemas", clone)
    assert (code, output) == (0, "13 documents in schemas match the code\n")


def test_a_changed_field_in_an_example_fails_the_check_until_make_schemas_runs(clone: Path) -> None:
    example = clone / "examples" / "auth_chat.py"
    example.write_text(example.read_text().replace("    who: str", "    whom: str"))
    code, output = make("check-schemas", clone)
    assert code != 0
    assert '-        "who": {\n' in output
    assert '+        "whom": {\n' in output
    assert "schemas/auth_chat.asyncapi.json (the file)" in output
    assert "schemas/auth_chat.chat.contract.json (the file)" in output
    assert "schemas/ is stale: run make schemas\n" in output
    assert make("schemas", clone)[0] == 0
    assert make("check-schemas", clone)[0] == 0


def test_make_check_checks_the_schemas() -> None:
    assert "check-schemas" in next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("check:")
    )


@pytest.mark.parametrize(("page", "module", "number"), [("docs/schemas.md", "shop", 0), ("README.md", "chat", 0)])
def test_the_commands_on_a_page_print_the_output_that_it_shows(
    page: str, module: str, number: int, tmp_path: Path
) -> None:
    source = tmp_path / f"{module}.py"
    source.write_text(list(blocks(ROOT / page))[number].code)
    shown = CONSOLE.findall((ROOT / page).read_text())
    assert shown
    for before, after, prompt, expected in shown:
        code = source.read_text()
        source.write_text(code.replace(before.replace("\\n", "\n"), after.replace("\\n", "\n"), 1) if before else code)
        assert (source.read_text() != code) == bool(before)
        output = run(shlex.split(prompt), tmp_path)[1]
        assert re.fullmatch(pattern_of(expected), squeezed(output), re.DOTALL), output
        source.write_text(code)


def pattern_of(shown: str) -> str:
    """Return a pattern for the shown output, in which ``...`` matches anything."""
    return ".*?".join(map(re.escape, squeezed(shown).split("...")))


def squeezed(text: str) -> str:
    """Return a text without blank lines and without the widths of columns."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
