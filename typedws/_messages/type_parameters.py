"""What the class of a connection declares: what it hears, what it says, its parameters. Nothing is built of it here."""

from collections.abc import Mapping
from types import NoneType
from typing import (
    Any,
    Final,
    Generic,
    TypeAlias,
    get_args,
    get_origin,
)

from typing_extensions import TypeVar

from typedws._messages.type_forms import substitute

__all__ = [
    "HasMessageTypes",
    "In_co",
    "MessageTypes",
    "Out_contra",
    "Params_co",
    "is_undeclared",
    "message_types_of",
    "type_arguments",
    "type_arguments_of",
]

In_co = TypeVar("In_co", covariant=True, default=object)
Out_contra = TypeVar("Out_contra", contravariant=True, default=Any)
Params_co = TypeVar("Params_co", covariant=True, default=object)


class HasMessageTypes(Generic[In_co, Out_contra, Params_co]):
    """What a connection's type says: messages it hears, messages it says, parameters. No behaviour of its own."""

    __slots__ = ()


MessageTypes: TypeAlias = tuple[Any, Any, Any]
"""What is heard, what is said, the parameters: type forms, ``None`` where undeclared."""


def type_arguments_of(class_: type[Any], alias: object) -> MessageTypes:
    """Read ``[In, Out, Params]`` from the alias of a class, else from its bases; what is left out is as by default."""
    given = dict(zip(getattr(class_, "__parameters__", ()), get_args(alias), strict=False))
    arguments = tuple(substitute(each, given) for each in _arguments_of(class_)) or tuple(_DEFAULTS)
    hears, says, params = map(_meant, arguments)
    return hears, says, params


_ARGUMENTS: Final = "__typedws_arguments__"


def _arguments_of(class_: type[Any]) -> tuple[Any, ...]:
    """Give what a class makes of the parameters of `HasMessageTypes`, in terms of its own; kept on it, as it takes long."""
    found: tuple[Any, ...] | None = class_.__dict__.get(_ARGUMENTS)
    if found is None:
        found = type_arguments(class_, getattr(class_, "__parameters__", ()), HasMessageTypes)
        setattr(class_, _ARGUMENTS, found)
    return found


def _meant(argument: Any) -> Any:
    if argument is None:
        return NoneType  # which is heard as null
    return _DEFAULTS.get(argument, argument) if isinstance(argument, TypeVar) else argument


_DEFAULTS: Final[Mapping[Any, Any]] = {In_co: object, Out_contra: Any, Params_co: object}


def message_types_of(class_: type[Any], alias: object) -> MessageTypes:
    """Read ``[In, Out, Params]`` from the alias of a class, else from its bases; ``None`` where undeclared."""
    hears, says, params = (None if is_undeclared(each) else each for each in type_arguments_of(class_, alias))
    return hears, says, params


def is_undeclared(form: object) -> bool:
    """Whether ``form`` declares nothing: it is missing, ``Any``, ``object``, or a type parameter not filled in."""
    return form is None or form is Any or form is object or isinstance(form, TypeVar)


def type_arguments(class_: type[Any], arguments: tuple[Any, ...], base: type[Any]) -> tuple[Any, ...]:
    """Follow the type arguments of ``class_`` to ``base``, one of its generic bases; empty where none are given."""
    if class_ is base:
        return arguments
    given = dict(zip(getattr(class_, "__parameters__", ()), arguments, strict=False))
    for each in class_.__dict__.get("__orig_bases__", class_.__bases__):
        origin = get_origin(each) or each
        if isinstance(origin, type) and issubclass(origin, base):
            return type_arguments(origin, tuple(substitute(argument, given) for argument in get_args(each)), base)
    return ()
