"""The type parameters of connection classes: messages received, messages sent, parameters. No adapter is built here."""

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
    """Base of classes with three type parameters: messages received, messages sent, parameters. It has no behavior."""

    __slots__ = ()


MessageTypes: TypeAlias = tuple[Any, Any, Any]
"""The types of received messages, sent messages and parameters, as type forms; ``None`` for an undeclared one."""


def type_arguments_of(class_: type[Any], alias: object) -> MessageTypes:
    """Return ``[In, Out, Params]`` from the alias of a class, else from its bases, with defaults for missing ones.

    :param alias: the class with type arguments, such as ``Connection[A, B]``; anything else has no arguments
    """
    given = dict(zip(getattr(class_, "__parameters__", ()), get_args(alias), strict=False))
    arguments = tuple(substitute(each, given) for each in _arguments_of(class_)) or tuple(_DEFAULTS)
    received, sent, params = map(_with_default, arguments)
    return received, sent, params


_ARGUMENTS: Final = "__typedws_arguments__"


def _arguments_of(class_: type[Any]) -> tuple[Any, ...]:
    """Return the arguments of a class for the parameters of `HasMessageTypes`, in terms of its own parameters.

    They are cached on the class, because every connection needs them and following the bases is slow.
    """
    # Not getattr(): a subclass would find the arguments of its base class.
    arguments: tuple[Any, ...] | None = class_.__dict__.get(_ARGUMENTS)
    if arguments is None:
        arguments = type_arguments(class_, getattr(class_, "__parameters__", ()), HasMessageTypes)
        setattr(class_, _ARGUMENTS, arguments)
    return arguments


def _with_default(argument: Any) -> Any:
    if argument is None:
        return NoneType  # a message that is null in JSON, while None means that the type is undeclared
    return _DEFAULTS.get(argument, argument) if isinstance(argument, TypeVar) else argument


_DEFAULTS: Final[Mapping[Any, Any]] = {In_co: object, Out_contra: Any, Params_co: object}


def message_types_of(class_: type[Any], alias: object) -> MessageTypes:
    """Return ``[In, Out, Params]`` from the alias of a class, else from its bases; ``None`` for an undeclared one."""
    received, sent, params = (None if is_undeclared(each) else each for each in type_arguments_of(class_, alias))
    return received, sent, params


def is_undeclared(form: object) -> bool:
    """Whether ``form`` declares nothing: it is missing, ``Any``, ``object``, or a type parameter not filled in."""
    return form is None or form is Any or form is object or isinstance(form, TypeVar)


def type_arguments(class_: type[Any], arguments: tuple[Any, ...], base: type[Any]) -> tuple[Any, ...]:
    """Return the type arguments of ``class_`` for ``base``, one of its generic bases; empty if none are given."""
    if class_ is base:
        return arguments
    given = dict(zip(getattr(class_, "__parameters__", ()), arguments, strict=False))
    for each in class_.__dict__.get("__orig_bases__", class_.__bases__):
        origin = get_origin(each) or each
        if isinstance(origin, type) and issubclass(origin, base):
            return type_arguments(origin, tuple(substitute(argument, given) for argument in get_args(each)), base)
    return ()
