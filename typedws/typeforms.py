"""Type forms as values: how a message type is named, told apart from others, and taken apart. Nothing is built here.

A *type form* is what PEP 747 calls a ``TypeForm``: anything that may stand in an annotation.
"""

import sys
import typing
from collections import deque
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum, EnumType
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    ForwardRef,
    Literal,
    Never,
    NewType,
    NoReturn,
    TypeGuard,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
)

from pydantic import BaseModel, Discriminator, Tag
from pydantic.fields import FieldInfo
from typing_extensions import TypeAliasType

from typedws.errors import InvalidMessageType

__all__ = [
    "classes_in",
    "home_of",
    "identity",
    "is_class",
    "is_nothing",
    "may_be",
    "plain_members",
    "says_nothing",
    "substituted",
    "type_arguments",
    "type_name",
    "unwrapped",
]

_UNIONS: Final = (Union, UnionType)
# The backport is a class of its own where typing has one too.
_ALIASES: Final = (TypeAliasType, getattr(typing, "TypeAliasType", TypeAliasType))
_VALUES: Final = (str, bytes, int, float, bool, NoneType, Enum)


def is_class(form: object) -> TypeGuard[type[Any]]:
    """Whether ``form`` is a class proper, and no alias such as ``list[int]``."""
    return isinstance(form, type) and get_origin(form) is None


def is_nothing(form: object) -> bool:
    """Whether ``form`` is the empty type: a feed that hears no message at all."""
    return form is Never or form is NoReturn


def may_be(narrow: object, wide: object) -> bool:
    """Whether a checker could take the one type for the other, as far as can be told: never false without a reason.

    ``Annotated`` and aliases add nothing, the order of a union does not count; what is no class, union or literal, and
    what only a structure tells, is taken.
    """
    try:
        return _may_be(narrow, wide)
    except RecursionError:  # two aliases that name themselves
        return True


def _may_be(narrow: object, wide: object) -> bool:
    narrow, wide = unwrapped(narrow), unwrapped(wide)
    if narrow == wide or narrow is Any or wide is Any or wide is object or is_nothing(narrow):
        return True
    if _is_open(narrow) or _is_open(wide):
        return True
    if get_origin(narrow) in _UNIONS:
        return all(_may_be(each, wide) for each in get_args(narrow))
    if get_origin(wide) in _UNIONS and any(_may_be(narrow, each) for each in get_args(wide)):
        return True
    if get_origin(narrow) is Literal or get_origin(wide) in (*_UNIONS, Literal):
        values = _values_of(narrow)
        return bool(values) and all(_is_one_of(value, wide) for value in values)
    if isinstance(narrow, NewType):
        return _may_be(narrow.__supertype__, wide)
    return not is_nothing(wide) and not isinstance(wide, NewType) and _class_may_be(narrow, wide)


def _values_of(form: object) -> tuple[object, ...]:
    """Give the values of a type that has but a few, which a checker counts."""
    if get_origin(form) is Literal:
        return get_args(form)
    if isinstance(form, EnumType):
        return tuple(form)
    return {bool: (True, False), NoneType: (None,)}.get(cast(type, form), ())


def _is_one_of(value: object, wide: object) -> bool:
    wide = unwrapped(wide)
    if get_origin(wide) in _UNIONS:
        return any(_is_one_of(value, each) for each in get_args(wide))
    if get_origin(wide) is Literal:
        return _value_identity(value) in map(_value_identity, get_args(wide))
    return _may_be(type(value), wide)


def _class_may_be(narrow: object, wide: object) -> bool:
    origin, other = get_origin(narrow) or narrow, get_origin(wide) or wide
    if not isinstance(origin, type) or not isinstance(other, type):
        return True
    if not _is_subclass(origin, other):
        return False
    arguments, others = get_args(narrow), get_args(wide)
    if origin is tuple and Ellipsis in others:
        others = others[:1] * len(arguments)
    # Of a subclass, or of another number of arguments, checkers know more than can be told here.
    if origin is not other or len(arguments) != len(others):
        return True
    pairs = [pair for pair in zip(arguments, others, strict=True) if Ellipsis not in pair]
    return all(
        _may_be(each, argument) and (origin not in _INVARIANT or _may_be(argument, each)) for each, argument in pairs
    )


def unwrapped(form: object) -> object:
    """Give what ``Annotated`` and aliases stand for; ``NoneType`` for ``None``."""
    while True:
        if get_origin(form) is Annotated:
            form = get_args(form)[0]
        elif isinstance(alias := get_origin(form) or form, _ALIASES):
            parameters: tuple[Any, ...] = cast(Any, alias).__type_params__
            form = substituted(_aliased(alias), dict(zip(parameters, get_args(form), strict=False)))
        else:
            return NoneType if form is None else form


def _is_open(form: object) -> bool:
    return isinstance(form, TypeVar | ForwardRef | str | list)


# What a checker takes for another type, though it is no subclass (PEP 484, the numeric tower).
_PROMOTED: Final[Mapping[type[Any], tuple[type[Any], ...]]] = {int: (float, complex), float: (complex,)}
_INVARIANT: Final = frozenset({list, set, dict, deque})


def _is_subclass(narrow: type[Any], wide: type[Any]) -> bool:
    try:
        return issubclass(narrow, wide) or any(wide in _PROMOTED.get(base, ()) for base in narrow.__mro__)
    except TypeError:  # a protocol with data members
        return True


def type_name(form: object) -> str:
    """Name a type as its user would write it: ``Join | Say``, ``list[Join]``."""
    origin = get_origin(form)
    if is_nothing(form):
        return "no message"
    if isinstance(form, ForwardRef | str):
        return repr(form if isinstance(form, str) else form.__forward_arg__)
    if origin is Annotated:
        return type_name(get_args(form)[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, get_args(form)))}]"
    if origin in _UNIONS:
        return " | ".join(map(type_name, get_args(form)))
    if origin is not None and (arguments := get_args(form)):
        return f"{type_name(origin)}[{', '.join(map(type_name, arguments))}]"
    if form is NoneType or form is None:
        return "None"
    if form is Ellipsis:
        return "..."
    if isinstance(form, list):
        return f"[{', '.join(map(type_name, cast(list[object], form)))}]"
    return getattr(form, "__name__", None) or str(form)


def identity(form: object) -> Hashable:
    """Give a key that two type forms share only if they mean the same to pydantic, in the same order.

    Equality of the forms themselves will not do: ``A | B == B | A``, and a ``Field(...)`` equals only itself, so that
    an ``Annotated`` written inside a loop would be a new type each time. Leaves are known by their ``id``, which
    holds for as long as the form itself is kept beside the key. Raises `InvalidMessageType` for a forward reference,
    whose meaning depends on the place where it was written.
    """
    origin = get_origin(form)
    if isinstance(form, ForwardRef | str):
        raise InvalidMessageType(type_name(form), "a name in quotes means nothing here, name the class itself")
    if origin is None:
        return id(form)
    if origin is Annotated:
        inner, *metadata = get_args(form)
        return "Annotated", identity(inner), tuple(map(_metadata_identity, metadata))
    if origin is Literal:
        return "Literal", tuple(map(_value_identity, get_args(form)))
    arguments = tuple(map(_argument_identity, get_args(form)))
    return ("Union", arguments) if origin in _UNIONS else (id(origin), arguments)


def _argument_identity(argument: object) -> Hashable:
    if isinstance(argument, list):
        return tuple(map(_argument_identity, cast(list[object], argument)))
    return identity(argument)


def _value_identity(value: object) -> Hashable:
    return type(value), value  # True == 1


def _metadata_identity(value: object) -> Hashable:
    if isinstance(value, _VALUES):
        return _value_identity(value)
    if isinstance(value, list | tuple):
        several = cast(list[object] | tuple[object, ...], value)
        return isinstance(value, list), tuple(map(_metadata_identity, several))
    if isinstance(value, FieldInfo):
        return FieldInfo, tuple((name, _metadata_identity(each)) for name, each in value.__repr_args__())
    if is_dataclass(value) and not isinstance(value, type):
        return type(value), tuple(
            (field.name, _metadata_identity(getattr(value, field.name))) for field in fields(value)
        )
    if isinstance(value, dict):
        return tuple(
            (_metadata_identity(key), _metadata_identity(each))
            for key, each in cast(dict[object, object], value).items()
        )
    if type(value).__module__.partition(".")[0] == "pydantic" and hasattr(value, "__dict__"):
        return type(value), _metadata_identity(vars(value))
    return id(value)


def plain_members(form: object) -> Iterator[type[Any]]:
    """Give the model and dataclass classes that stand in ``form`` on their own or in a union, without serialisers
    or validators annotated on them; whatever else is in it is passed over.
    """
    origin = get_origin(form)
    if isinstance(form, _ALIASES):
        yield from plain_members(_aliased(form))
    elif origin is Annotated:
        inner, *metadata = get_args(form)
        if all(map(_only_discriminates, metadata)):
            yield from plain_members(inner)
    elif origin in _UNIONS:
        for argument in get_args(form):
            yield from plain_members(argument)
    elif is_class(form) and (issubclass(form, BaseModel) or is_dataclass(form)):
        yield form


def _aliased(form: object) -> object:
    return cast(TypeAliasType, form).__value__


_HARMLESS_FIELD: Final = frozenset(
    {"annotation", "required", "discriminator", "title", "description", "examples", "deprecated"}
)


def _only_discriminates(metadata: object) -> bool:
    if isinstance(metadata, FieldInfo):
        return all(name in _HARMLESS_FIELD for name, _ in metadata.__repr_args__())
    return isinstance(metadata, Discriminator | Tag | str)


def home_of(form: object) -> type[Any] | None:
    """Give the first class of the user's own in ``form``: what is known of the form may live and die with it."""
    return next(filter(_is_users_own, classes_in(form)), None)


def classes_in(form: object) -> Iterator[type[Any]]:
    """Give the classes that stand anywhere in ``form``, from the outside in."""
    pending: list[object] = [form]
    seen: set[int] = set()
    while pending:
        part = pending.pop(0)
        if id(part) in seen:
            continue
        seen.add(id(part))
        if is_class(part):
            yield part
        elif isinstance(part, Enum):
            yield type(part)
        elif isinstance(part, _ALIASES):
            pending.append(_aliased(part))
        elif isinstance(part, NewType):
            pending.append(part.__supertype__)
        elif isinstance(part, list):
            pending.extend(cast(list[object], part))
        pending.extend(get_args(part))


def _is_users_own(class_: type[Any]) -> bool:
    package = class_.__module__.partition(".")[0]
    return package not in sys.stdlib_module_names or package == "__main__"


def says_nothing(form: object) -> bool:
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
            return type_arguments(origin, tuple(substituted(argument, given) for argument in get_args(each)), base)
    return ()


def substituted(argument: Any, given: Mapping[Any, Any]) -> Any:
    """Put what is given for type parameters into their places in an argument."""
    if isinstance(argument, TypeVar):
        return given.get(argument, argument)
    parameters = getattr(argument, "__parameters__", ())
    return argument[tuple(given.get(each, each) for each in parameters)] if parameters else argument
