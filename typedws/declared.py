"""What the class of a connection declares: what it hears, what it says, its parameters. Nothing is built of it here."""

from typing import Any, Generic, TypeAlias, get_args

from typing_extensions import TypeVar

from typedws.typeforms import says_nothing, type_arguments

__all__ = ["Declared", "Forms", "In_co", "Out_contra", "Params_co", "declared_by"]

In_co = TypeVar("In_co", covariant=True, default=object)
Out_contra = TypeVar("Out_contra", contravariant=True, default=Any)
Params_co = TypeVar("Params_co", covariant=True, default=object)


class Declared(Generic[In_co, Out_contra, Params_co]):
    """What a connection's type says: messages it hears, messages it says, parameters. No behaviour of its own."""

    __slots__ = ()


Forms: TypeAlias = tuple[Any, Any, Any]
"""What is heard, what is said, the parameters: type forms, ``None`` where undeclared."""


def declared_by(class_: type[Any], alias: object) -> Forms:
    """Read ``[In, Out, Params]`` from the alias of a class, else from its bases."""
    arguments = type_arguments(class_, get_args(alias), Declared)
    hears, says, params = (
        None if says_nothing(argument) else argument for argument in (*arguments, None, None, None)[:3]
    )
    return hears, says, params
