"""Targets of the command: ``module:attribute``, imported from the current directory. No documents here."""

import sys
import traceback
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias, TypeGuard

from pydantic import BaseModel

from typedws._contract.contract import Contract
from typedws._endpoint.endpoints import Endpoint
from typedws.exceptions import TypedWSError
from typedws.routing import App

__all__ = ["Exportable", "InvalidTarget", "Target", "load"]

Exportable: TypeAlias = App | Contract[Any, Any, Any] | type[BaseModel]
"""The types that documents describe."""

_WANTED: Final = "an App, a Contract, an Endpoint or a pydantic model"


class InvalidTarget(TypedWSError):
    """A target that cannot be imported, or that documents cannot describe."""


@dataclass(frozen=True, slots=True)
class Target:
    """A target and the value that it names."""

    module: str
    attribute: str
    value: Exportable

    @property
    def label(self) -> str:
        """The name for files: the last part of the module's name, and the attribute unless it is ``app``."""
        last = self.module.rpartition(".")[2]
        return last if self.attribute == "app" else f"{last}.{self.attribute}"


def load(text: str) -> Target:
    """Import what a target names, such as ``chat:app``; an `Endpoint` counts as its contract.

    :raises InvalidTarget: if the import fails, or the value is not one that documents describe
    """
    module_name, _, attribute = text.partition(":")
    if not module_name or not attribute:
        raise InvalidTarget(f"expected a target such as chat:app, found {text!r}")
    value: Any = _imported(module_name)
    for name in attribute.split("."):
        if not hasattr(value, name):
            raise InvalidTarget(f"expected {_WANTED} at {text}, found no {name!r}{_others(value)}")
        value = getattr(value, name)
    if _is_endpoint(value):
        value = value.contract
    if not _is_exportable(value):
        raise InvalidTarget(
            f"expected {_WANTED} at {text}, found {type(value).__name__}: "
            "for an application of a framework, name its contracts"
        )
    return Target(module_name, attribute, value)


def _imported(name: str) -> ModuleType:
    # A console script does not have the current directory on its path, as `python -m` has.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        # Some module that the target imports may be missing, rather than the target itself or its package.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise InvalidTarget(_failure(name, error)) from error
        raise InvalidTarget(f"no module {name} can be imported from {here}") from error
    except Exception as error:
        raise InvalidTarget(_failure(name, error)) from error


def _failure(name: str, error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename}, line {frame.lineno}"
    return f"{name} cannot be imported: {type(error).__name__}: {error} ({place})"


def _is_endpoint(value: object) -> TypeGuard[Endpoint[Any, Any, Any]]:
    return isinstance(value, Endpoint)


def _is_exportable(value: object) -> TypeGuard[Exportable]:
    return isinstance(value, App | Contract) or (isinstance(value, type) and issubclass(value, BaseModel))


def _others(owner: object) -> str:
    """Return a hint that lists the attributes that could be named, for a mistyped target."""
    names = sorted(name for name, value in vars(owner).items() if isinstance(value, App | Contract))
    return f": there is {', '.join(names)}" if names else ""
