"""What the class of a connection declares: what it hears, what it says, its parameters. Nothing is built of it here."""

from collections.abc import Mapping
from types import NoneType
from typing import Any, Final, Generic, TypeAlias, get_args
from weakref import ref

from typing_extensions import TypeVar

from typedws.typeforms import says_nothing, type_arguments

__all__ = ["Declared", "Forms", "In_co", "Out_contra", "Params_co", "declared_by", "types_of"]

In_co = TypeVar("In_co", covariant=True, default=object)
Out_contra = TypeVar("Out_contra", contravariant=True, default=Any)
Params_co = TypeVar("Params_co", covariant=True, default=object)


class Declared(Generic[In_co, Out_contra, Params_co]):
    """What a connection's type says: messages it hears, messages it says, parameters. No behaviour of its own."""

    __slots__ = ()


Forms: TypeAlias = tuple[Any, Any, Any]
"""What is heard, what is said, the parameters: type forms, ``None`` where undeclared."""


def types_of(class_: type[Any], alias: object) -> Forms:
    """Read ``[In, Out, Params]`` from the alias of a class, else from its bases; what is left out is as by default."""
    given = type_arguments(class_, get_args(alias), Declared) or tuple(_DEFAULTS)
    hears, says, params = map(_meant, given)
    return hears, says, params


def _meant(argument: Any) -> Any:
    if argument is None:
        return NoneType  # which is heard as null
    return _DEFAULTS.get(argument, argument) if isinstance(argument, TypeVar) else argument


_DEFAULTS: Final[Mapping[Any, Any]] = {In_co: object, Out_contra: Any, Params_co: object}


def declared_by(class_: type[Any], alias: object) -> Forms:
    """Read ``[In, Out, Params]`` from the alias of a class, else from its bases; ``None`` where undeclared."""
    declares: object = class_ if alias is None else alias
    key = id(declares)
    found = _read.get(key)
    if found is not None and found[0]() is declares:
        return found[1]
    hears, says, params = (None if says_nothing(each) else each for each in types_of(class_, alias))
    _read[key] = ref(declares, lambda _: _read.pop(key, None)), (hears, says, params)
    return hears, says, params


_read: Final[dict[int, tuple["ref[object]", Forms]]] = {}
"""What was read, by the ``id`` of the alias or class, for as long as that lives: it takes as long as a handshake."""
