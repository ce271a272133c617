"""Whether a type checker would take one declared type for another. Nothing is validated here."""

from collections import deque
from collections.abc import Mapping
from enum import EnumType
from types import NoneType
from typing import (
    Any,
    Final,
    ForwardRef,
    Literal,
    NewType,
    TypeVar,
    cast,
    get_args,
    get_origin,
)

from typedws._messages.type_forms import UNIONS, is_never, unwrap, value_identity

__all__ = ["is_assignable"]


def is_assignable(narrow: object, wide: object) -> bool:
    """Whether a checker could take the one type for the other, as far as can be told: never false without a reason.

    ``Annotated`` and aliases add nothing, the order of a union does not count; what is no class, union or literal, and
    what only a structure tells, is taken.
    """
    try:
        return _is_assignable(narrow, wide)
    except RecursionError:  # two aliases that name themselves
        return True


def _is_assignable(narrow: object, wide: object) -> bool:
    narrow, wide = unwrap(narrow), unwrap(wide)
    if narrow == wide or narrow is Any or wide is Any or wide is object or is_never(narrow):
        return True
    if _is_open(narrow) or _is_open(wide):
        return True
    if get_origin(narrow) in UNIONS:
        return all(_is_assignable(each, wide) for each in get_args(narrow))
    if get_origin(wide) in UNIONS and any(_is_assignable(narrow, each) for each in get_args(wide)):
        return True
    if get_origin(narrow) is Literal or get_origin(wide) in (*UNIONS, Literal):
        values = _values_of(narrow)
        return bool(values) and all(_is_one_of(value, wide) for value in values)
    if isinstance(narrow, NewType):
        return _is_assignable(narrow.__supertype__, wide)
    return not is_never(wide) and not isinstance(wide, NewType) and _is_class_assignable(narrow, wide)


def _values_of(form: object) -> tuple[object, ...]:
    """Give the values of a type that has but a few, which a checker counts."""
    if get_origin(form) is Literal:
        return get_args(form)
    if isinstance(form, EnumType):
        return tuple(form)
    return {bool: (True, False), NoneType: (None,)}.get(cast(type, form), ())


def _is_one_of(value: object, wide: object) -> bool:
    wide = unwrap(wide)
    if get_origin(wide) in UNIONS:
        return any(_is_one_of(value, each) for each in get_args(wide))
    if get_origin(wide) is Literal:
        return value_identity(value) in map(value_identity, get_args(wide))
    return _is_assignable(type(value), wide)


def _is_class_assignable(narrow: object, wide: object) -> bool:
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
        _is_assignable(each, argument) and (origin not in _INVARIANT or _is_assignable(argument, each))
        for each, argument in pairs
    )


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
