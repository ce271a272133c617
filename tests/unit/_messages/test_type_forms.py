"""Type forms as values: their names, their identity, and the classes in them."""

import enum
import re
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    ForwardRef,
    Generic,
    Literal,
    Never,
    NewType,
    NoReturn,
    Optional,
    Union,
)

import annotated_types
import pydantic.dataclasses
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    Field,
    PlainSerializer,
    RootModel,
    SecretStr,
    Strict,
    StringConstraints,
    Tag,
)
from typing_extensions import TypeAliasType, TypedDict, TypeVar

from typedws._endpoint.assignability import is_assignable
from typedws._messages.type_forms import cache_owner, identity, is_class, is_never, plain_members, type_name, unwrap
from typedws._messages.type_parameters import is_undeclared, type_arguments
from typedws.exceptions import InvalidMessageType

T = TypeVar("T")
U = TypeVar("U")
D = TypeVar("D", default=int)


class A(BaseModel):
    a: int = 1


class B(BaseModel):
    b: int = 1


class SubA(A):
    pass


class Box(BaseModel, Generic[T]):
    content: T


class Root(RootModel[list[A]]):
    pass


@dataclass
class Plain:
    x: int = 1


@dataclass
class GenericPlain(Generic[T]):
    x: T


@pydantic.dataclasses.dataclass
class Checked:
    x: int = 1


class Keys(TypedDict):
    x: int


class Colour(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


AorB = TypeAliasType("AorB", A | B)
ListOf = TypeAliasType("ListOf", list[T], type_params=(T,))
Noted = TypeAliasType("Noted", Annotated[AorB, "x"])
Of = TypeAliasType("Of", ListOf[U], type_params=(U,))
Recursive = TypeAliasType("Recursive", "int | list[Recursive]")
UserId = NewType("UserId", int)
NOTED: Any = Annotated[list[A], "x"]
OLD_LIST: Any = typing.List[A]  # noqa: UP006
OLD_UNION_OF: Any = Union
OLD_UNION: Any = Union[A, B]  # noqa: UP007
OLD_OPTIONAL: Any = Optional[A]  # noqa: UP045
WITH_NONE: Any = Literal["a", 1, None]  # noqa: PYI061


def written(form: object) -> str:
    return re.sub(r" at 0x\w+", "", str(form))


def function(value: Any) -> Any:
    return value


# --- names ---


NAMES: list[Any] = [
    (int, "int"),
    (A, "A"),
    (Box[int], "Box[int]"),
    (list[A], "list[A]"),
    (OLD_LIST, "list[A]"),
    (dict[str, A | B], "dict[str, A | B]"),
    (A | B, "A | B"),
    (B | A, "B | A"),
    (OLD_UNION, "A | B"),
    (A | None, "A | None"),
    (OLD_OPTIONAL, "A | None"),
    (None, "None"),
    (type(None), "None"),
    (Any, "Any"),
    (object, "object"),
    (Never, "no message"),
    (NoReturn, "no message"),
    (WITH_NONE, "Literal['a', 1, None]"),
    (Annotated[A | B, Field(discriminator="type")], "A | B"),
    (NOTED | None, "list[A] | None"),
    (list[Annotated[A, "x"]], "list[A]"),
    ("A", "'A'"),
    (ForwardRef("A"), "'A'"),
    (list["A"], "list['A']"),
    (list, "list"),
    (tuple[int, str], "tuple[int, str]"),
    (tuple[()], "tuple"),
    (Sequence[A], "Sequence[A]"),
    (Mapping[str, Any], "Mapping[str, Any]"),
    (type[A], "type[A]"),
    (GenericPlain[int], "GenericPlain[int]"),
    (Keys, "Keys"),
    (Colour, "Colour"),
    (UserId, "UserId"),
    (AorB, "AorB"),
    (ListOf[A], "ListOf[A]"),
    (T, "T"),
    (3, "3"),
    pytest.param(tuple[A, ...], "tuple[A, ...]"),
    pytest.param(Callable[[int], str], "Callable[[int], str]"),
]


@pytest.mark.parametrize(("form", "name"), NAMES, ids=written)
def test_a_type_is_named_as_its_author_would_write_it(form: Any, name: str) -> None:
    assert type_name(form) == name


# --- identity ---

SAME: dict[str, Callable[[], Any]] = {
    "class": lambda: A,
    "list": lambda: list[A],
    "nested": lambda: dict[str, list[A | None]],
    "union": lambda: A | B,
    "literal": lambda: Literal["a", 1, b"b"],
    "literal of an enum": lambda: Literal[Colour.RED],
    "callable": lambda: Callable[[int, str], A],
    "tuple": lambda: tuple[A, ...],
    "empty tuple": lambda: tuple[()],
    "generic alias": lambda: ListOf[A],
    "annotated with text": lambda: Annotated[A, "a", 1, b"b", 1.5, None, True, Colour.RED],
    "annotated with containers": lambda: Annotated[A, ["a", ("b", 1)]],
    "annotated with a function": lambda: Annotated[int, AfterValidator(function)],
    "serializer": lambda: Annotated[int, PlainSerializer(function, return_type=str)],
    "discriminator": lambda: Annotated[A | B, Field(discriminator="type")],
    "discriminating function": lambda: Annotated[
        Annotated[A, Tag("a")] | Annotated[B, Tag("b")], Discriminator(function)
    ],
    "described": lambda: Annotated[A | B, Field(title="t", description="d", examples=["e"])],
    "bounds": lambda: Annotated[int, Field(gt=1, le=5, multiple_of=2)],
    "lengths": lambda: Annotated[list[A], Field(min_length=1, max_length=2)],
    "strictness": lambda: Annotated[int, Field(strict=True)],
    "finite": lambda: Annotated[float, Field(allow_inf_nan=False)],
    "default": lambda: Annotated[int, Field(default=1)],
    "annotated types": lambda: Annotated[int, annotated_types.Gt(1), Strict()],
    "constraints of text": lambda: Annotated[str, StringConstraints(pattern="a", to_lower=True)],
    "pattern": lambda: Annotated[str, Field(pattern="a")],
    "digits": lambda: Annotated[float, Field(max_digits=3, decimal_places=1)],
    "mode of a union": lambda: Annotated[int | str, Field(union_mode="left_to_right")],
    "examples that are dictionaries": lambda: Annotated[A, Field(examples=[{"a": 1}])],
    "additional schema": lambda: Annotated[A, Field(json_schema_extra={"a": 1})],
}


@pytest.mark.parametrize(
    "make",
    [pytest.param(make, id=name) for name, make in SAME.items()],
)
def test_a_form_written_twice_has_one_identity(make: Callable[[], Any]) -> None:
    one, other = make(), make()
    assert identity(one) == identity(other)
    assert hash(identity(one)) == hash(identity(other))


def test_different_spellings_of_a_form_have_one_identity() -> None:
    assert identity(OLD_OPTIONAL) == identity(A | None)
    assert identity(OLD_UNION) == identity(A | B)
    assert identity(OLD_LIST) == identity(list[A])


DIFFERENT: dict[str, tuple[Any, Any]] = {
    "order of a union": (A | B, B | A),
    "order of a union of builtins": (int | str, str | int),
    "order within": (list[A | B], list[B | A]),
    "order with None": (A | None, None | A),
    "element": (list[A], list[B]),
    "origin": (list[A], set[A]),
    "base class": (A, SubA),
    "bare": (list, list[Any]),
    "parametrisation": (Box[int], Box[str]),
    "1 and True": (Literal[1], Literal[True]),
    "0 and False": (Literal[0], Literal[False]),
    "order of literals": (Literal["a", "b"], Literal["b", "a"]),
    "1 and an enum": (Literal[1], Literal[Number.ONE]),
    "text and bytes": (Literal["a"], Literal[b"a"]),
    "annotated": (A, Annotated[A, "x"]),
    "annotation": (Annotated[A, "x"], Annotated[A, "y"]),
    "type of an annotation": (Annotated[A, 1], Annotated[A, True]),
    "list or tuple": (Annotated[A, [1]], Annotated[A, (1,)]),
    "order of annotations": (
        Annotated[int, AfterValidator(function), AfterValidator(str)],
        Annotated[int, AfterValidator(str), AfterValidator(function)],
    ),
    "function": (Annotated[int, AfterValidator(function)], Annotated[int, AfterValidator(str)]),
    "bound": (Annotated[int, Field(gt=1)], Annotated[int, Field(gt=2)]),
    "kind of bound": (Annotated[int, Field(gt=1)], Annotated[int, Field(ge=1)]),
    "strictness": (Annotated[int, Field(strict=True)], Annotated[int, Field(strict=False)]),
    "pattern": (Annotated[str, Field(pattern="a")], Annotated[str, Field(pattern="b")]),
    "default": (Annotated[int, Field(default=1)], Annotated[int, Field(default=2)]),
    "default of another type": (Annotated[int, Field(default=1)], Annotated[int, Field(default=True)]),
    "default or none": (Annotated[int, Field()], Annotated[int, Field(default=None)]),
    "discriminator": (Annotated[A | B, Field(discriminator="a")], Annotated[A | B, Field(discriminator="b")]),
    "mode of a union": (
        Annotated[int | str, Field(union_mode="left_to_right")],
        Annotated[int | str, Field(union_mode="smart")],
    ),
    "None and its absence": (tuple[int], tuple[int, None]),
    "arguments of a callable": (Callable[[int], A], Callable[[str], A]),
    "length of a tuple": (tuple[int], tuple[int, ...]),
}


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=list(DIFFERENT))
def test_forms_that_differ_to_pydantic_have_different_identities(one: Any, other: Any) -> None:
    assert identity(one) != identity(other)
    assert identity(list[one]) != identity(list[other])


@pytest.mark.parametrize(
    "form", ["A", ForwardRef("A"), list["A"], dict[str, list["A"]], A | ForwardRef("B")], ids=written
)
def test_a_forward_reference_has_no_identity(form: Any) -> None:
    with pytest.raises(InvalidMessageType, match="a name in quotes cannot be resolved here: use the class itself"):
        identity(form)


# --- the classes in them ---


MEMBERS: list[tuple[Any, list[Any]]] = [
    (A, [A]),
    (Plain, [Plain]),
    (Checked, [Checked]),
    (Box[int], [Box[int]]),
    (Root, [Root]),
    (A | B, [A, B]),
    (OLD_UNION, [A, B]),
    (A | None, [A]),
    (A | int | list[B], [A]),
    (Annotated[A | B, Field(discriminator="type")], [A, B]),
    (Annotated[A | B, Field(title="t", description="d", examples=["e"], deprecated=True)], [A, B]),
    (Annotated[A | B, Discriminator(function)], [A, B]),
    (Annotated[A, "a note"], [A]),
    (Annotated[A | Annotated[B, "a note"], "another"], [A, B]),
    (AorB, [A, B]),
    (AorB | Plain, [A, B, Plain]),
    (Annotated[A, PlainSerializer(function)], []),
    (Annotated[A, AfterValidator(function)], []),
    (Annotated[A | B, PlainSerializer(function)], []),
    (Annotated[A, PlainSerializer(function)] | B, [B]),
    (Annotated[A, Tag("a")] | B, [A, B]),
    (Annotated[Annotated[A, Tag("a")] | Annotated[B, Tag("b")], Discriminator(function)], [A, B]),
    (Annotated[A, Field(default=None)], []),
    (Annotated[A, Field(exclude=True)], []),
    (Annotated[A, 1], []),
    (list[A], []),
    (dict[str, A], []),
    (tuple[A, B], []),
    (GenericPlain[int], []),
    (Keys, []),
    (Colour, []),
    (int, []),
    (None, []),
    (Any, []),
    (Never, []),
    (Literal["a"], []),
    (UserId, []),
    (ListOf[A], []),
    (Recursive, []),
    (type[A], []),
]


@pytest.mark.parametrize(("form", "members"), MEMBERS, ids=written)
def test_plain_members_are_the_classes_of_a_form_and_its_unions(form: Any, members: list[type[Any]]) -> None:
    assert list(plain_members(form)) == members


OWNERS: list[Any] = [
    (A, A),
    (Plain, Plain),
    (Keys, Keys),
    (Colour, Colour),
    (list[A], A),
    (A | B, A),
    (B | A, B),
    (None | A, A),
    (dict[str, list[B | A]], B),
    (Annotated[list[A], "x"], A),
    (Box[int], Box[int]),
    (list[Box[A]], Box[A]),
    (GenericPlain[A], A),
    (AorB, A),
    (list[AorB], A),
    (ListOf[B], B),
    (list[SecretStr], SecretStr),
    (int, None),
    (list[int], None),
    (int | None, None),
    (Any, None),
    (None, None),
    (Never, None),
    (Literal["a"], None),
    (Recursive, None),
    (T, None),
    pytest.param(NewType("Local", A), A, id="NewType"),
    pytest.param(Callable[[A], int], A, id="Callable"),
    pytest.param(Literal[Colour.RED], Colour, id="Literal"),
]


@pytest.mark.parametrize(("form", "owner"), OWNERS, ids=written)
def test_the_cache_owner_is_the_first_class_outside_the_standard_library(form: Any, owner: type[Any] | None) -> None:
    assert cache_owner(form) is owner


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is new in Python 3.12")
def test_the_type_statement_makes_an_alias() -> None:
    names: dict[str, Any] = {"A": A, "B": B}
    exec("type Alias = A | B", names)
    members: list[Any] = [A, B]
    assert list(plain_members(names["Alias"])) == members
    assert cache_owner(names["Alias"]) is A


CLASSES: list[tuple[Any, bool]] = [
    (int, True),
    (A, True),
    (Box[int], True),
    (Keys, True),
    (list, True),
    (type(None), True),
    (list[int], False),
    (type[A], False),
    (GenericPlain[int], False),
    (A | B, False),
    (None, False),
    (Annotated[A, "x"], False),
    (UserId, False),
    ("A", False),
    (A(), False),
]


@pytest.mark.parametrize(("form", "expected"), CLASSES, ids=written)
def test_is_class_is_false_for_an_alias(form: Any, expected: bool) -> None:
    assert is_class(form) == expected


def test_the_empty_type_has_two_names() -> None:
    assert is_never(Never)
    assert is_never(NoReturn)
    for form in (None, Any, object, type(None), A, list[Never]):
        assert not is_never(form)


@pytest.mark.parametrize("form", [None, Any, object, T, D], ids=written)
def test_a_form_that_declares_nothing(form: Any) -> None:
    assert is_undeclared(form)


@pytest.mark.parametrize("form", [A, int, Never, type(None), list[Any], A | Any, WITH_NONE, "None"], ids=written)
def test_a_form_that_declares_something(form: Any) -> None:
    assert not is_undeclared(form)


# --- type arguments ---


class Base(Generic[T, U, D]):
    pass


class Closed(Base[int, str, bytes]):
    pass


class Defaulted(Base[int, str]):
    pass


class Swapped(Base[U, T, bytes], Generic[T, U]):
    pass


class Partial(Base[T, A, None]):
    pass


class Deep(Partial[B]):
    pass


class Composed(Base[list[T], T | None, Annotated[T, "x"]]):
    pass


class Constant(Base[Box[T], dict[str, list[T]], Any]):
    pass


class Bare(Base):  # type: ignore[type-arg]  # pyright: ignore[reportMissingTypeArgument]
    pass


class Mixed(A, Base[int, str, bytes]):
    pass


class Unrelated(Generic[T]):
    pass


class Second(Unrelated[A], Base[T, str, bytes]):
    pass


class Further(Closed):
    pass


ARGUMENTS: list[tuple[type[Any], tuple[Any, ...], tuple[Any, ...]]] = [
    (Base, (int, str, bytes), (int, str, bytes)),
    (Base, (), ()),
    (Closed, (), (int, str, bytes)),
    (Further, (), (int, str, bytes)),
    (Defaulted, (), (int, str, int)),
    (Swapped, (int, str), (str, int, bytes)),
    (Swapped, (), (U, T, bytes)),
    (Partial, (B,), (B, A, type(None))),
    (Deep, (), (B, A, type(None))),
    (Composed, (int,), (list[int], int | None, Annotated[int, "x"])),
    (Composed, (A | B,), (list[A | B], A | B | None, Annotated[A | B, "x"])),
    (Constant, (int,), (Box[int], dict[str, list[int]], Any)),
    (Bare, (), ()),
    (Mixed, (), (int, str, bytes)),
    (Second, (int,), (int, str, bytes)),
    (Unrelated, (int,), ()),
    (int, (), ()),
]


@pytest.mark.parametrize(("class_", "arguments", "expected"), ARGUMENTS, ids=written)
def test_type_arguments_are_followed_to_a_base(
    class_: type[Any], arguments: tuple[Any, ...], expected: tuple[Any, ...]
) -> None:
    assert type_arguments(class_, arguments, Base) == expected


# --- what an alias stands for; test_handler_signature compares `is_assignable` with the type checkers ---

UNWRAPPED: list[tuple[Any, Any]] = [
    (A, A),
    (None, type(None)),
    (Annotated[A, "x"], A),
    (AorB, A | B),
    (Annotated[AorB, "x"], A | B),
    (ListOf[A], list[A]),
    (Noted, A | B),
    (Of[int], list[int]),
    (list[AorB], list[AorB]),
]


@pytest.mark.parametrize(("form", "expected"), UNWRAPPED, ids=written)
def test_unwrap_returns_the_type_behind_aliases(form: Any, expected: Any) -> None:
    assert unwrap(form) == expected


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is new in Python 3.12")
def test_the_type_statement_makes_an_alias_with_parameters() -> None:
    names: dict[str, Any] = {"A": A, "B": B}
    exec("type Pair[X] = tuple[X, X]\ntype Two = Pair[A | B]", names)
    assert unwrap(names["Two"]) == tuple[A | B, A | B]
    assert is_assignable(names["Two"], tuple[A | B, ...])
    assert not is_assignable(names["Two"], tuple[A, ...])


GENERIC: dict[str, Any] = {"list": list, "dict": dict, "tuple": tuple, "annotated": Annotated, "optional": Optional}
OF: list[Callable[[Any], Any]] = [
    lambda one: GENERIC["list"][one],
    lambda one: GENERIC["dict"][str, one],
    lambda one: GENERIC["tuple"][one, ...],
    lambda one: GENERIC["annotated"][one, "a note"],
    lambda one: GENERIC["optional"][one],
]


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    unions = st.tuples(inner, inner).map(lambda pair: OLD_UNION_OF[pair])
    return st.one_of(unions, *map(inner.map, OF))


LEAVES: list[Any] = [A, B, SubA, int, str, bool, None, Literal["a"], Colour, UserId, Keys, Any, Never, AorB]
forms: st.SearchStrategy[Any] = st.recursive(st.sampled_from(LEAVES), nested, max_leaves=6)


@given(forms, forms)
def test_a_type_is_assignable_to_itself_to_a_union_with_it_and_to_any(one: Any, other: Any) -> None:
    assert is_assignable(one, one)
    assert is_assignable(one, Annotated[one, "another note"])
    assert is_assignable(one, OLD_UNION_OF[other, one])
    assert is_assignable(OLD_UNION_OF[one, other], OLD_UNION_OF[other, one])
    assert is_assignable(list[one], list[Annotated[one, "another note"]])
    assert is_assignable(Never, one)
    assert is_assignable(one, object)
    assert is_assignable(one, Any)


def test_types_that_are_too_deep_to_compare_are_assignable() -> None:
    deep: list[Any] = [int, str]
    for _ in range(3_000):
        deep = [GENERIC["list"][each] for each in deep]
    assert is_assignable(*deep)
