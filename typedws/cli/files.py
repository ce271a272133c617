"""The files of a folder of documents: their names and text, and how they differ from the code. No targets here."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from typedws._contract.contract import Contract
from typedws._schema.naming import distinct_names, legal
from typedws.cli.targets import Target
from typedws.routing import App
from typedws.schema import COMMENT, contract_document, model_document, text_of

__all__ = ["differences", "documents_of", "write"]


def documents_of(targets: Iterable[Target]) -> dict[str, str]:
    """Return the text of the documents of all targets, by the names of their files.

    A contract that several targets serve is one document. Documents that would share a name get longer names.
    """
    texts: dict[object, str] = {}
    names: dict[object, list[str]] = {}
    servers: dict[Contract[Any, Any, Any], list[Target]] = {}

    def add(key: object, kind: str, document: Mapping[str, Any], *candidates: str) -> None:
        texts[key] = text_of(document)
        names[key] = [f"{legal(name)}.{kind}.json" for name in candidates]

    for target in targets:
        value = target.value
        if isinstance(value, App):
            key = target.module, target.attribute
            add(key, "asyncapi", value.asyncapi(), target.label, f"{target.module}.{target.attribute}")
            for route in value.routes:
                servers.setdefault(route.endpoint.contract, []).append(target)
        elif isinstance(value, Contract):
            servers.setdefault(value, []).append(target)
        else:
            add(value, "model", model_document(value), value.__name__, f"{value.__module__}.{value.__qualname__}")
    # Only now: the name of a contract depends on all targets that serve it.
    for contract, served_by in servers.items():
        add(contract, "contract", contract_document(contract), *_names(contract, served_by))
    return {name: texts[key] for key, name in distinct_names(names).items()}


def _names(contract: Contract[Any, Any, Any], served_by: Iterable[Target]) -> list[str]:
    # Not the first in the list: the order of targets on the command line must not change a name.
    first = min(served_by, key=lambda target: (target.module, target.attribute))
    versioned, module = f"{contract.name}-{contract.version}", first.module.rpartition(".")[2]
    long = f"{first.module}.{versioned}"
    return [contract.name, versioned, f"{module}.{contract.name}", long, f"{long}-{contract.fingerprint}"]


def differences(folder: Path, documents: Mapping[str, str]) -> Iterator[str]:
    """Yield how a folder differs from what it should hold, file by file, as unified diffs."""
    for name, text in sorted(documents.items()):
        path = folder / name
        if not path.exists():
            yield f"{path} is missing\n"
        elif (current := path.read_text(encoding="utf-8")) != text:
            lines = current.splitlines(keepends=True), text.splitlines(keepends=True)
            yield "".join(difflib.unified_diff(*lines, f"{path} (the file)", f"{path} (the code)"))
    for path in _superfluous(folder, documents):
        yield f"{path} belongs to no contract of the code: remove it\n"


def write(folder: Path, documents: Mapping[str, str]) -> None:
    """Write these documents into a folder, and remove generated files for which there is no document any longer."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents.items():
        # The same bytes on every platform: without newline, Windows would write "\r\n".
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    for path in _superfluous(folder, documents):
        path.unlink()


def _superfluous(folder: Path, documents: Mapping[str, str]) -> list[Path]:
    # Only generated files: the user may keep other JSON files in the folder.
    others = (path for path in sorted(folder.glob("*.json")) if path.name not in documents)
    return [path for path in others if COMMENT in path.read_text(encoding="utf-8")]
