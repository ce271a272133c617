"""Targets: what ``module:attribute`` names, looked for from the current directory. Nothing is made of it here."""

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
"""What documents are made of."""

_WANTED: Final = "an App, a Contract, an Endpoint or a pydantic model"


class InvalidTarget(TypedWSError):
    """A target names nothing that documents could be made of."""


@dataclass(frozen=True, slots=True)
class Target:
    """A target, and what it names."""

    module: str
    attribute: str
    value: Exportable

    @property
    def label(self) -> str:
        """What files are called after: the module, and the attribute unless it is ``app``."""
        last = self.module.rpartition(".")[2]
        return last if self.attribute == "app" else f"{last}.{self.attribute}"


def load(text: str) -> Target:
    """Import what a target names.

    :raises InvalidTarget: where that fails, or is nothing that documents are made of
    """
    module_name, _, attribute = text.partition(":")
    if not module_name or not attribute:
        raise InvalidTarget(f"expected a target such as chat:app, found {text!r}")
    value: Any = _imported(module_name)
    for name in attribute.split("."):
        if not hasattr(value, name):
            raise InvalidTarget(f"expected {_WANTED} at {text}, found no {name!r} there{_others(value)}")
        value = getattr(value, name)
    if _is_endpoint(value):
        value = value.contract
    if not _is_exportable(value):
        raise InvalidTarget(
            f"expected {_WANTED} at {text}, found a {type(value).__name__}: "
            "of a framework's application, name the contracts"
        )
    return Target(module_name, attribute, value)


def _imported(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise InvalidTarget(_failure(name, error)) from error
        raise InvalidTarget(f"expected a module {name}, found none from {here}") from error
    except Exception as error:
        raise InvalidTarget(_failure(name, error)) from error


def _failure(name: str, error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename}, line {frame.lineno}"
    return f"expected to import {name}, found {type(error).__name__}: {error} ({place})"


def _is_endpoint(value: object) -> TypeGuard[Endpoint[Any, Any, Any]]:
    return isinstance(value, Endpoint)


def _is_exportable(value: object) -> TypeGuard[Exportable]:
    return isinstance(value, App | Contract) or (isinstance(value, type) and issubclass(value, BaseModel))


def _others(owner: object) -> str:
    """Name what there is that would do, for who has mistyped."""
    names = sorted(name for name, value in vars(owner).items() if isinstance(value, App | Contract))
    return f": there is {', '.join(names)}" if names else ""
