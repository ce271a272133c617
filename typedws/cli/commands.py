"""The commands, as typer has them. What they do is in the modules beside; who else needs it does not need typer."""

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
schema: Final = typer.Typer(no_args_is_help=True, help="What contracts say: as files, as tables.")
app.add_typer(schema, name="schema")

_Targets = Annotated[
    list[str],
    typer.Argument(metavar="MODULE:ATTRIBUTE...", help="An App, a Contract, an Endpoint or a pydantic model."),
]


@schema.command()
def export(
    targets: _Targets,
    out: Annotated[Path, typer.Option(metavar="FOLDER", file_okay=False, help="Where the files are.")],
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
    if found := list(differences(out, documents)):
        command = shlex.join(["typedws", "schema", "export", *targets, "--out", str(out)])
        typer.echo("\n".join(found))
        _fail(f"{out} is not what the code says: run\n    {command}")
    typer.echo(f"{len(documents)} documents in {out} are what the code says")


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
        return [load(text) for text in dict.fromkeys(texts)]
    except InvalidTarget as error:
        _fail(str(error))


def _fail(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(1)
