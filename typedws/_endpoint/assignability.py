"""Whether a type checker would accept one declared type for another. Nothing is validated here."""

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
    """Whether a type checker may accept ``narrow`` where ``wide`` is declared; false only if it certainly does not.

    ``Annotated``, aliases and the order of a union make no difference. Types that are not classes, unions or literals
    are accepted, and so are those that a checker compares by structure.
    """
    try:
        return _is_assignable(narrow, wide)
    except RecursionError:  # two recursive aliases
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
    """Return all values of a type that has only a few: a checker accepts it where each of them is accepted."""
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
    narrow_class, wide_class = get_origin(narrow) or narrow, get_origin(wide) or wide
    if not isinstance(narrow_class, type) or not isinstance(wide_class, type):
        return True
    if not _is_subclass(narrow_class, wide_class):
        return False
    narrow_args, wide_args = get_args(narrow), get_args(wide)
    # `tuple[X, ...]` accepts a tuple of any length.
    if narrow_class is tuple and Ellipsis in wide_args:
        wide_args = wide_args[:1] * len(narrow_args)
    # How the arguments of a subclass, or a different number of arguments, correspond is known to a checker only.
    if narrow_class is not wide_class or len(narrow_args) != len(wide_args):
        return True
    pairs = [pair for pair in zip(narrow_args, wide_args, strict=True) if Ellipsis not in pair]
    return all(
        _is_assignable(one, other) and (narrow_class not in _INVARIANT or _is_assignable(other, one))
        for one, other in pairs
    )


def _is_open(form: object) -> bool:
    # A type variable, a name that is not resolved yet, or the parameter list of a Callable: nothing to compare.
    return isinstance(form, TypeVar | ForwardRef | str | list)


# The types that a checker accepts for another one without being a subclass (PEP 484, the numeric tower).
_PROMOTED: Final[Mapping[type[Any], tuple[type[Any], ...]]] = {int: (float, complex), float: (complex,)}

# A checker refuses a `list[bool]` for a `list[int]`, because an `int` could be added to it.
_INVARIANT: Final = frozenset({list, set, dict, deque})


def _is_subclass(narrow: type[Any], wide: type[Any]) -> bool:
    try:
        return issubclass(narrow, wide) or any(wide in _PROMOTED.get(base, ()) for base in narrow.__mro__)
    except TypeError:  # issubclass() does not support protocols with data members
        return True
