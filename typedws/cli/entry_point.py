"""The entry point of the command ``typedws``. Without the ``cli`` extra, it explains how to install that."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command, or exit with an installation hint if the ``cli`` extra is missing."""
    try:
        from typedws.cli.commands import app
    except ModuleNotFoundError as error:
        if error.name not in ("rich", "typer"):  # not a package of the extra
            raise
        sys.exit(f'typedws: the command needs {error.name}: pip install "typedws[cli]"')
    app()
