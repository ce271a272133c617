"""Type forms as values: their names, their identity, and the classes in them. Nothing is built here.

A *type form* is a ``TypeForm`` of PEP 747: anything that may be an annotation.
"""

import sys
import typing
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
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

from typedws.exceptions import InvalidMessageType

__all__ = [
    "UNIONS",
    "cache_owner",
    "classes_in",
    "identity",
    "is_class",
    "is_never",
    "plain_members",
    "substitute",
    "type_name",
    "unwrap",
    "value_identity",
]

UNIONS: Final = (Union, UnionType)
# Both are needed: from Python 3.12 on, the class of typing_extensions may differ from that of typing.
_ALIASES: Final = (TypeAliasType, getattr(typing, "TypeAliasType", TypeAliasType))
_VALUES: Final = (str, bytes, int, float, bool, NoneType, Enum)


def is_class(form: object) -> TypeGuard[type[Any]]:
    """Whether ``form`` is a class, and not an alias such as ``list[int]``."""
    return isinstance(form, type) and get_origin(form) is None


def is_never(form: object) -> bool:
    """Whether ``form`` is the empty type, ``Never`` or ``NoReturn``: no message is allowed."""
    return form is Never or form is NoReturn


def unwrap(form: object) -> object:
    """Return the type that ``Annotated`` and aliases stand for, and ``NoneType`` for ``None``."""
    while True:
        if get_origin(form) is Annotated:
            form = get_args(form)[0]
        elif isinstance(alias := get_origin(form) or form, _ALIASES):
            parameters: tuple[Any, ...] = cast(Any, alias).__type_params__
            form = substitute(_aliased(alias), dict(zip(parameters, get_args(form), strict=False)))
        else:
            return NoneType if form is None else form


def type_name(form: object) -> str:
    """Return the name of a type as its author would write it: ``Join | Say``, ``list[Join]``."""
    origin = get_origin(form)
    if is_never(form):
        return "no message"
    if isinstance(form, ForwardRef | str):
        return repr(form if isinstance(form, str) else form.__forward_arg__)
    if origin is Annotated:
        return type_name(get_args(form)[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, get_args(form)))}]"
    if origin in UNIONS:
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
    """Return a key that two type forms share only if they mean the same to pydantic, in the same order.

    The forms themselves cannot be the key. ``A | B == B | A``, but pydantic may take the first member that fits. And a
    ``Field(...)`` equals only itself, so an ``Annotated`` inside a loop would be a new type each time.

    Leaves are identified by ``id``. The key is valid only while the form is alive: keep the form beside the key.

    :raises InvalidMessageType: for a forward reference, whose meaning depends on the place where it is written
    """
    origin = get_origin(form)
    if isinstance(form, ForwardRef | str):
        raise InvalidMessageType(type_name(form), "a name in quotes cannot be resolved here: use the class itself")
    if origin is None:
        return id(form)
    if origin is Annotated:
        inner, *metadata = get_args(form)
        return "Annotated", identity(inner), tuple(map(_metadata_identity, metadata))
    if origin is Literal:
        return "Literal", tuple(map(value_identity, get_args(form)))
    # A tuple keeps the order. With a set, the unions ``A | B`` and ``B | A`` would share one adapter.
    arguments = tuple(map(_argument_identity, get_args(form)))
    return ("Union", arguments) if origin in UNIONS else (id(origin), arguments)


def _argument_identity(argument: object) -> Hashable:
    if isinstance(argument, list):  # the parameters of a Callable
        return tuple(map(_argument_identity, cast(list[object], argument)))
    return identity(argument)


def value_identity(value: object) -> Hashable:
    """Return a key that differs for equal values of different types: ``True == 1``."""
    return type(value), value


def _metadata_identity(value: object) -> Hashable:
    if isinstance(value, _VALUES):
        return value_identity(value)
    if isinstance(value, list | tuple):
        values = cast(list[object] | tuple[object, ...], value)
        return isinstance(value, list), tuple(map(_metadata_identity, values))
    if isinstance(value, FieldInfo):
        # A FieldInfo equals only itself. The arguments of its repr, which are private API, list all that is set on it.
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
    # pydantic's internal metadata classes have no ``__eq__`` either, and mean what their attributes hold. Any other
    # object may mean something that its attributes do not show.
    if type(value).__module__.partition(".")[0] == "pydantic" and hasattr(value, "__dict__"):
        return type(value), _metadata_identity(vars(value))
    return id(value)


def plain_members(form: object) -> Iterator[type[Any]]:
    """Yield the model and dataclass classes that ``form`` is, or is a union of.

    Anything else in ``form`` is skipped, and so is a class with annotated serializers, validators or other metadata
    that change how it is validated or serialized.
    """
    origin = get_origin(form)
    if isinstance(form, _ALIASES):
        yield from plain_members(_aliased(form))
    elif origin is Annotated:
        inner, *metadata = get_args(form)
        if all(map(_only_discriminates, metadata)):
            yield from plain_members(inner)
    elif origin in UNIONS:
        for argument in get_args(form):
            yield from plain_members(argument)
    elif is_class(form) and (issubclass(form, BaseModel) or is_dataclass(form)):
        yield form


def _aliased(form: object) -> object:
    return cast(TypeAliasType, form).__value__


# What a ``Field(...)`` may set without changing how the class itself is serialized. With any other setting, such as
# ``exclude``, a message must not go through the serializer of its class.
_HARMLESS_FIELD: Final = frozenset(
    {"annotation", "required", "discriminator", "title", "description", "examples", "deprecated"}
)


def _only_discriminates(metadata: object) -> bool:
    if isinstance(metadata, FieldInfo):
        return all(name in _HARMLESS_FIELD for name, _ in metadata.__repr_args__())
    return isinstance(metadata, Discriminator | Tag | str)


def cache_owner(form: object) -> type[Any] | None:
    """Return the first class in ``form`` that is not from the standard library: adapters are cached on it."""
    return next(filter(_is_outside_stdlib, classes_in(form)), None)


def classes_in(form: object) -> Iterator[type[Any]]:
    """Yield the classes anywhere in ``form``, from the outside in."""
    pending: list[object] = [form]
    seen: set[int] = set()  # an alias may be recursive
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


def _is_outside_stdlib(class_: type[Any]) -> bool:
    package = class_.__module__.partition(".")[0]
    return package not in sys.stdlib_module_names or package == "__main__"


def substitute(argument: Any, given: Mapping[Any, Any]) -> Any:
    """Return a type argument with its type parameters replaced by what ``given`` maps them to."""
    if isinstance(argument, TypeVar):
        return given.get(argument, argument)
    parameters = getattr(argument, "__parameters__", ())
    return argument[tuple(given.get(each, each) for each in parameters)] if parameters else argument
