"""The command ``typedws``, of the extra ``cli``. What it does is in the modules beside; nothing else imports them."""

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
