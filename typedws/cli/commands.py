"""The subcommands and their options, declared with typer. The other modules of this package do not need typer."""

import shlex
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from typedws._contract.contract import Contract
from typedws.cli.files import differences, documents_of, write
from typedws.cli.tables import show_app, show_contract
from typedws.cli.targets import InvalidTarget, Target, load
from typedws.routing import App

__all__ = ["app"]

app: Final = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
schema: Final = typer.Typer(no_args_is_help=True, help="Export contracts as files, or show them as tables.")
app.add_typer(schema, name="schema")

_Targets = Annotated[
    list[str],
    typer.Argument(metavar="MODULE:ATTRIBUTE...", help="An App, a Contract, an Endpoint or a pydantic model."),
]


@schema.command()
def export(
    targets: _Targets,
    out: Annotated[Path, typer.Option(metavar="FOLDER", file_okay=False, help="The folder for the files.")],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a file differs from the code.")
    ] = False,
) -> None:
    """Write one JSON document for each contract, and one AsyncAPI document for each App."""
    documents = documents_of(_loaded(targets))
    if not check:
        write(out, documents)
        typer.echo(f"{len(documents)} documents in {out}")
        return
    if stale := list(differences(out, documents)):
        command = shlex.join(["typedws", "schema", "export", *targets, "--out", str(out)])
        typer.echo("\n".join(stale))
        _fail(f"{out} does not match the code: run\n    {command}")
    typer.echo(f"{len(documents)} documents in {out} match the code")


@schema.command()
def show(targets: _Targets) -> None:
    """Print paths, messages, fields, modes and close codes."""
    for target in _loaded(targets):
        if isinstance(target.value, App):
            show_app(target.value)
        elif isinstance(target.value, Contract):
            show_contract(target.value)
        else:
            _fail(f"expected an App or a Contract to show, found {target.value.__name__}")


def _loaded(texts: list[str]) -> list[Target]:
    try:
        return [load(text) for text in dict.fromkeys(texts)]  # each once, however often it is named
    except InvalidTarget as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
