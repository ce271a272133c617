"""The entry point of the command ``typedws``: it runs without the extra ``cli``, to say how to install that."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command, or say what installs it."""
    try:
        from typedws.cli.commands import app
    except ModuleNotFoundError as error:
        if error.name not in ("rich", "typer"):
            raise
        sys.exit(f'typedws: the command needs {error.name}, which its extra installs: pip install "typedws[cli]"')
    app()
