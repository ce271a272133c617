"""`adapter_for` builds a message type once and keeps it no longer than its class; `MessageAdapter` knows its type."""

import gc
import threading
import typing
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Generic, Literal, Never, NewType, NoReturn, get_args
from uuid import UUID

import pydantic.dataclasses
import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    HttpUrl,
    Json,
    PlainSerializer,
    RootModel,
    Tag,
    computed_field,
    model_validator,
)
from pydantic_core import core_schema
from typing_extensions import TypeAliasType, TypedDict, TypeVar

from tests.support import stable_id
from typedws._messages import adapter as adapters
from typedws._messages.adapter import MessageAdapter, adapter_for
from typedws.codecs import TextJSON, registry
from typedws.exceptions import InvalidMessage, InvalidMessageType, UnsendableMessage

T = TypeVar("T")
MAX_TYPES = 256
SHARED_CACHE: dict[Any, MessageAdapter[Any]] = vars(adapters)["_shared_cache"]
CACHE_ATTRIBUTE: str = vars(adapters)["_CACHE_ATTRIBUTE"]


class A(BaseModel):
    x: int = 1


class B(BaseModel):
    x: int = 1


class Box(BaseModel, Generic[T]):
    content: T


class Colour(Enum):
    RED = "red"


# Used to make types at run time, which type checkers would refuse.
a_list: Any = list
a_dict: Any = dict
a_tuple: Any = tuple
a_box: Any = Box
a_root: Any = RootModel
annotated: Any = Annotated
create_model: Any = pydantic.create_model
new_type: Any = NewType
type_alias: Any = TypeAliasType
typed_dict: Any = TypedDict


def adapter(form: Any) -> MessageAdapter[Any]:
    return adapter_for(form)


def read(form: Any, text: str) -> Any:
    return TextJSON().decoder(adapter(form))(text)


# --- built once ---

FORMS: dict[str, Callable[[], Any]] = {
    "class": lambda: A,
    "builtin": lambda: int,
    "list": lambda: list[A],
    "list of a builtin": lambda: list[int],
    "union": lambda: A | B,
    "optional": lambda: A | None,
    "dictionary": lambda: dict[str, list[A | B]],
    "generic model": lambda: Box[int],
    "discriminated": lambda: Annotated[A | B, Field(description="one of two")],
    "bounded": lambda: Annotated[int, Field(gt=1, le=5)],
    "literal": lambda: Literal["a", 1],
    "None": lambda: None,
    "anything": lambda: Any,
    "nothing": lambda: Never,
    "tuple": lambda: tuple[A, ...],
}


@pytest.mark.parametrize("make", FORMS.values(), ids=list(FORMS))
def test_an_adapter_is_built_once(make: Callable[[], Any]) -> None:
    first = adapter(make())
    for _ in range(3):
        assert adapter(make()) is first


def test_an_annotation_written_in_a_loop_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Any] = []
    monkeypatch.setattr(adapters, "TypeAdapter", _Counting(built))
    adapters_built = {adapter(Annotated[Box[str] | Box[bytes], Field(title="in a loop")]) for _ in range(50)}
    assert len(adapters_built) == 1
    assert len(built) == 1


class _Counting:
    def __init__(self, built: list[Any]) -> None:
        self.built = built

    def __getitem__(self, item: Any) -> Any:
        def build(form: Any) -> pydantic.TypeAdapter[Any]:
            self.built.append(form)
            return pydantic.TypeAdapter[Any](form)

        return build


DIFFERENT: dict[str, tuple[Any, Any]] = {
    "order of a union": (A | B, B | A),
    "order of builtins": (int | str, str | int),
    "order within": (list[A | B], list[B | A]),
    "order within an annotation": (Annotated[A | B, Field(title="t")], Annotated[B | A, Field(title="t")]),
    "element": (list[A], list[B]),
    "1 and True": (Literal[1], Literal[True]),
    "parametrisation": (Box[int], Box[bool]),
    "bound": (Annotated[int, Field(gt=1)], Annotated[int, Field(gt=2)]),
    "class and its list": (A, list[A]),
}


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=list(DIFFERENT))
def test_types_with_different_meanings_have_different_adapters(one: Any, other: Any) -> None:
    assert adapter(one) is not adapter(other)
    assert adapter(one).form is not adapter(other).form


def test_unions_in_different_order_have_different_adapters() -> None:
    left: Any = Annotated[A | B, Field(union_mode="left_to_right")]
    right: Any = Annotated[B | A, Field(union_mode="left_to_right")]
    for _ in range(2):
        assert type(read(left, '{"x":1}')) is A
        assert type(read(right, '{"x":1}')) is B
        assert type(read(A | B, '{"x":1}')) is A
        assert type(read(B | A, '{"x":1}')) is B
        assert adapter(A | B).name == "A | B"
        assert adapter(B | A).name == "B | A"


def test_literal_true_and_literal_1_have_different_adapters() -> None:
    for _ in range(2):
        assert type(read(Literal[1], "1")) is int
        assert type(read(Literal[True], "true")) is bool
    assert adapter(Literal[1]).name != adapter(Literal[True]).name


def test_caches_hold_at_most_256_types() -> None:
    class Owner(BaseModel):
        pass

    for number in range(MAX_TYPES + 50):
        adapter(Annotated[int, Field(gt=number)])
        adapter(Annotated[Owner, Field(title=str(number))])
    assert len(SHARED_CACHE) == MAX_TYPES
    assert len(vars(Owner)[CACHE_ATTRIBUTE]) == MAX_TYPES
    assert adapter(Owner) is adapter(Owner)
    last: Any = Annotated[int, Field(gt=MAX_TYPES + 49)]
    assert adapter(last) is adapter(last)
    assert len(SHARED_CACHE) == MAX_TYPES


def test_a_full_cache_drops_the_oldest_type_first() -> None:
    class Owner(BaseModel):
        pass

    forms: list[Any] = [Annotated[Owner, Field(title=str(number))] for number in range(MAX_TYPES + 1)]
    built = [weakref.ref(adapter(form)) for form in forms]
    gc.collect()
    assert built[0]() is None
    assert all(adapter(form) is reference() for form, reference in zip(forms[1:], built[1:], strict=True))
    adapter(forms[0])
    gc.collect()
    assert built[1]() is None, "the first came back in its place"


@pytest.mark.parametrize(
    "form", [Annotated[str, Field(title="a")], list[int], str | int], ids=["alias", "list", "union"]
)
def test_a_form_is_recognized_but_not_another_one_at_the_same_address(form: Any) -> None:
    first = adapter(form)
    assert adapter(form) is first
    for number in range(50):
        at_some_address: Any = Annotated[str, Field(title=str(number))]
        assert get_args(adapter(at_some_address).form)[1].title == str(number)


def test_a_new_class_at_the_address_of_a_freed_class_has_its_own_adapter() -> None:
    for number in range(50):
        model: Any = create_model("Made", **{f"field_{number}": (int, ...)})
        assert read(model, f'{{"field_{number}":1}}').model_dump() == {f"field_{number}": 1}
        assert read(a_list[model], f'[{{"field_{number}":1}}]') != []
        del model
        gc.collect(0)


class CountingMeta(type):
    """Counts how often an attribute of its classes is set."""

    def __setattr__(cls, name: str, value: Any) -> None:
        type.__setattr__(cls, "sets", vars(cls).get("sets", 0) + 1)
        super().__setattr__(name, value)


def test_a_lookup_does_not_change_the_class() -> None:
    @dataclass
    class Watched(metaclass=CountingMeta):
        x: int = 1

    adapter(list[Watched])
    before = vars(Watched)["sets"]
    for _ in range(10):
        adapter(list[Watched])
    assert vars(Watched)["sets"] == before


# --- freed with its class ---


def collect() -> None:
    """Free unused classes, also those in the caches of the typing module and of pydantic."""
    for clear_cache in vars(typing)["_cleanups"]:
        clear_cache()
    gc.collect()
    gc.collect()


USES: dict[str, Callable[[Any], Any]] = {
    "class": lambda local: local,
    "list": lambda local: a_list[local],
    "dictionary": lambda local: a_dict[str, local],
    "tuple": lambda local: a_tuple[local, ...],
    "optional": lambda local: local | None,
    "union": lambda local: local | A,
    "nested": lambda local: a_list[a_dict[str, local | None]],
    "annotated": lambda local: annotated[local, Field(title="t")],
    "generic model": lambda local: a_box[local],
    "list of a generic model": lambda local: a_list[a_box[local]],
    "alias": lambda local: type_alias("Alias", a_list[local]),
    "root model": lambda local: a_root[a_list[local]],
    "TypedDict": lambda local: typed_dict("Local", {"it": local}),
    "model of the class": lambda local: create_model("Outer", it=(local, ...)),
    "dataclass of the class": lambda local: dataclass(type("Local", (), {"__annotations__": {"it": local}})),
    "new type": lambda local: new_type("Local", local),
}


@pytest.mark.parametrize(
    "use",
    [pytest.param(use, id=name) for name, use in USES.items()],
)
def test_a_class_is_freed_if_only_its_adapters_refer_to_it(use: Callable[[type[Any]], Any]) -> None:
    def work() -> "weakref.ref[type[BaseModel]]":
        class Local(BaseModel):
            x: int = 1

        form = use(Local)
        built = adapter(form)
        for mode in registry:
            codec: Any = registry.get(mode)
            codec.decoder(built)
            codec.encoder(built)
            with pytest.raises(InvalidMessage):
                codec.decoder(built)(codec.encode("no such message"))
        assert built.members is not None
        assert built.by_alias in (None, True)
        assert adapter(form) is built
        return weakref.ref(Local)

    reference = work()
    collect()
    assert reference() is None


def test_an_enum_is_freed_if_only_the_adapter_of_a_literal_refers_to_it() -> None:
    def work() -> "weakref.ref[type[Enum]]":
        class Local(Enum):
            ONE = 1

        adapter(Literal[Local.ONE])
        return weakref.ref(Local)

    reference = work()
    collect()
    assert reference() is None


def test_a_class_that_refuses_attributes_still_has_one_adapter() -> None:
    class Sealed(type):
        def __setattr__(cls, name: str, value: Any) -> None:
            raise AttributeError("sealed")

    class Local(metaclass=Sealed):
        @classmethod
        def __get_pydantic_core_schema__(cls, source: object, handler: object) -> core_schema.CoreSchema:
            return core_schema.int_schema()

    for form in (Local, list[Local]):
        assert adapter(form) is adapter(form)
    assert read(list[Local], "[1]") == [1]
    assert CACHE_ATTRIBUTE not in vars(Local)


# --- rebuilt models, and forward references ---


def test_a_rebuilt_model_has_a_new_adapter() -> None:
    class Changing(BaseModel):
        x: int

    before = adapter(Changing)
    with pytest.raises(InvalidMessage):
        read(Changing, '{"x":"text"}')
    Changing.model_fields["x"].annotation = str
    Changing.model_rebuild(force=True)
    assert adapter(Changing) is not before
    assert adapter(Changing) is adapter(Changing)
    assert read(Changing, '{"x":"text"}').x == "text"


def test_a_form_with_a_rebuilt_model_has_a_new_adapter() -> None:
    class Changing(BaseModel):
        x: int

    for form in (list[Changing], Changing | None):
        with pytest.raises(InvalidMessage):
            read(form, '[{"x":"text"}]')
    Changing.model_fields["x"].annotation = str
    Changing.model_rebuild(force=True)
    assert read(list[Changing], '[{"x":"text"}]')[0].x == "text"
    assert read(Changing | None, '{"x":"text"}').x == "text"


def test_a_model_with_a_forward_reference_is_built_once_that_is_defined() -> None:
    class Waiting(BaseModel):
        other: "Awaited"

    for form in (Waiting, list[Waiting], Waiting | None):
        with pytest.raises(InvalidMessageType, match="name 'Awaited' is not defined") as caught:
            adapter(form)
        assert caught.value.found.startswith(("Waiting", "list[Waiting]"))

    class Awaited(BaseModel):
        x: int = 1

    Waiting.model_rebuild()
    assert read(Waiting, '{"other":{}}').other == Awaited()
    assert read(list[Waiting], '[{"other":{}}]')[0].other == Awaited()


@pytest.mark.parametrize("form", ["A", list["A"], dict[str, "A | B"], typing.ForwardRef("A")], ids=stable_id)
def test_a_name_in_quotes_is_refused_with_a_hint(form: Any) -> None:
    with pytest.raises(InvalidMessageType) as caught:
        adapter(form)
    assert "expected a message type that pydantic can build, found 'A" in str(caught.value)
    assert "a name in quotes cannot be resolved here: use the class itself" in str(caught.value)


class Arbitrary:
    pass


UNBUILDABLE: dict[str, Any] = {
    "arbitrary class": Arbitrary,
    "list of an arbitrary class": list[Arbitrary],
    "module": typing,
    "number": 5,
    "ellipsis": ...,
    "Never in a list": list[Never],
    "union without the discriminator": Annotated[A | B, Field(discriminator="type")],
    "union without tags": Annotated[A | B, Discriminator(lambda _: "a")],
    "Self": vars(typing)["Self"],
    "TypedDict of an arbitrary class": typed_dict("Local", {"it": Arbitrary}),
    "broken pattern": Annotated[str, Field(pattern="(")],
    "bound of another type": Annotated[int, Field(gt="a")],
    "empty literal": Literal[()],
}


@pytest.mark.parametrize(
    "form",
    [pytest.param(form, id=name) for name, form in UNBUILDABLE.items()],
)
def test_a_type_that_pydantic_cannot_build_raises_invalid_message_type(form: Any) -> None:
    for _ in range(2):
        with pytest.raises(InvalidMessageType) as caught:
            adapter(form)
        assert isinstance(caught.value, TypeError)
        assert str(caught.value).startswith("expected a message type that pydantic can build, found ")
        assert "\n" not in str(caught.value)
        assert caught.value.__cause__ is not None


# --- Never ---


@pytest.mark.parametrize("form", [Never, NoReturn])
def test_never_refuses_every_message(form: Any) -> None:
    never = adapter(form)
    assert never.name == "no message"
    for mode in registry:
        codec: Any = registry.get(mode)
        values: tuple[Any, ...] = (None, 1, "", [], {}, {"x": 1})
        for value in values:
            with pytest.raises(InvalidMessage, match="expected no message, found a message that fails") as caught:
                codec.decoder(never)(codec.encode(value))
            assert caught.value.problem == "invalid"
            with pytest.raises(UnsendableMessage):
                codec.encoder(never)(value)
    assert never.members == {}


# --- threads ---


@pytest.mark.parametrize("name", ["class", "list", "union"])
def test_threads_can_request_the_same_type_at_once(name: str) -> None:
    threads, make = 8, USES[name]
    for _ in range(5):
        local: Any = create_model("Local", x=(int, ...))
        gate = threading.Barrier(threads)

        def request(local: Any = local, gate: threading.Barrier = gate) -> MessageAdapter[Any]:
            form = make(local)
            gate.wait()
            built = adapter(form)
            codec: Any = registry.get("text")
            message = local(x=1)
            value = [message] if name == "list" else message
            assert codec.decoder(built)(codec.encoder(built)(value)) == value
            return built

        with ThreadPoolExecutor(threads) as pool:
            results = {future.result() for future in [pool.submit(request) for _ in range(threads)]}
        assert adapter(make(local)) is adapter(make(local))
        assert {each.name for each in results} == {adapter(make(local)).name}


def test_threads_that_fill_a_cache_keep_to_its_limit() -> None:
    def fill(offset: int) -> None:
        for number in range(100):
            adapter(Annotated[int, Field(lt=-offset * 100 - number)])

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(fill, offset) for offset in range(8)]:
            future.result()
    assert len(SHARED_CACHE) == MAX_TYPES


# --- facts about a type ---


class Holder(BaseModel):
    pass


def _model(**fields: Any) -> Any:
    return create_model("Made", **{name: (form, ...) for name, form in fields.items()})


class Whole(IntEnum):
    ONE = 1


class Half(Enum):
    HALF = 0.5


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class OpenKeys(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    x: int


class Keys(TypedDict):
    x: int


class FloatKeys(TypedDict):
    x: float


@dataclass
class Plain:
    x: int = 1


@pydantic.dataclasses.dataclass(config=ConfigDict(extra="allow"))
class OpenPlain:
    x: int = 1


class Tree(BaseModel):
    name: str
    branches: "list[Tree]" = []


class FloatTree(BaseModel):
    value: float
    branches: "list[FloatTree]" = []


class Area(BaseModel):
    x: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def area(self) -> float:
        return self.x / 2


class Count(BaseModel):
    x: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def count(self) -> int:
        return self.x


class Validated(BaseModel):
    x: int

    @model_validator(mode="after")
    def _check(self) -> "Validated":
        return self


class Serialized(BaseModel):
    x: Annotated[int, PlainSerializer(lambda value: value / 2)]


HOLDS_NO_FLOATS: dict[str, Any] = {
    "int": int,
    "text": str,
    "bool": bool,
    "bytes": bytes,
    "None": None,
    "model": A,
    "times": _model(a=datetime, b=date, c=time, d=timedelta, e=UUID, f=Decimal),
    "containers": _model(a=list[int], b=set[str], c=frozenset[bytes], d=tuple[int, str], e=tuple[int, ...]),
    "dictionary": dict[str, int],
    "literal": Literal["a", 1],
    "enum of text": Colour,
    "enum of numbers": Whole,
    "union": A | B | None,
    "discriminated union": Annotated[
        Annotated[A, Tag("a")] | Annotated[B, Tag("b")], Discriminator(lambda value: "a" if value else "b")
    ],
    "recursive": Tree,
    "TypedDict": Keys,
    "dataclass": Plain,
    "generic model": Box[int],
    "root model": RootModel[list[int]],
    "validated model": Validated,
    "validated number": Annotated[int, AfterValidator(int), BeforeValidator(int)],
    "computed number": Count,
    "default": _model(a=int, b=Annotated[int, Field(default=1)]),
}
MAY_HOLD_FLOATS: dict[str, Any] = {
    "float": float,
    "anything": Any,
    "object": object,
    "model": _model(a=float),
    "optional": _model(a=float | None),
    "nested": _model(a=list[dict[str, tuple[A, float]]]),
    "any field": _model(a=Any),
    "bare list": _model(a=list),
    "bare dictionary": dict,
    "union": A | float,
    "recursive": FloatTree,
    "TypedDict": FloatKeys,
    "generic model": Box[float],
    "bare generic model": Box,
    "enum of floats": Half,
    "additional fields": Open,
    "additional fields of a dataclass": OpenPlain,
    "additional keys": OpenKeys,
    "computed number": Area,
    "serializer": Serialized,
    "annotated serializer": Annotated[int, PlainSerializer(float)],
    "complex": complex,
    "JSON": Json,
    "URL": HttpUrl,  # its serializer is a function
}


@pytest.mark.parametrize("form", HOLDS_NO_FLOATS.values(), ids=list(HOLDS_NO_FLOATS))
def test_a_type_that_cannot_hold_floats(form: Any) -> None:
    assert not adapter(form).may_hold_floats


@pytest.mark.parametrize("form", MAY_HOLD_FLOATS.values(), ids=list(MAY_HOLD_FLOATS))
def test_a_type_that_may_hold_floats(form: Any) -> None:
    assert adapter(form).may_hold_floats


NAMES_ALL_KEYS: dict[str, Any] = {
    "model": A,
    "float": float,
    "model of a float": _model(a=float),
    "enum of floats": Half,
    "list": list[A],
    "union": A | B,
    "recursive": FloatTree,
    "TypedDict": Keys,
    "dataclass": Plain,
    "computed": Area,
}
MAY_HOLD_FREE_KEYS: dict[str, Any] = {
    "dictionary": dict[str, int],
    "dictionary in a model": _model(a=dict[str, int]),
    "dictionary in a list": list[dict[int, int]],
    "anything": Any,
    "any field": _model(a=Any),
    "additional fields": Open,
    "additional keys": OpenKeys,
    "additional fields of a dataclass": OpenPlain,
    "serializer": Serialized,
    "root model": RootModel[dict[str, A]],
}


@pytest.mark.parametrize("form", NAMES_ALL_KEYS.values(), ids=list(NAMES_ALL_KEYS))
def test_a_type_that_names_all_keys(form: Any) -> None:
    assert not adapter(form).may_hold_free_keys


@pytest.mark.parametrize("form", MAY_HOLD_FREE_KEYS.values(), ids=list(MAY_HOLD_FREE_KEYS))
def test_a_type_that_may_hold_free_keys(form: Any) -> None:
    assert adapter(form).may_hold_free_keys


class StrictModel(BaseModel):
    model_config = ConfigDict(strict=True)
    x: int = 1


class StrictKeys(TypedDict):
    __pydantic_config__ = ConfigDict(strict=True)  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    x: int


class FieldNamedStrict(BaseModel):
    strict: bool = True
    by_alias: bool = False
    type: str = ""
    default: int = 0
    metadata: int = 0


class Aliased(BaseModel):
    x: int = Field(default=1, alias="X")


class OnlyIn(BaseModel):
    x: int = Field(default=1, validation_alias="X")


class Generated(BaseModel):
    model_config = ConfigDict(alias_generator=str.upper)
    x: int = 1


class ByName(Aliased):
    model_config = ConfigDict(serialize_by_alias=False)


class NoAliasByName(BaseModel):
    model_config = ConfigDict(serialize_by_alias=False)
    x: int = 1


class ComputedAlias(BaseModel):
    @computed_field(alias="Y")  # type: ignore[prop-decorator]
    @property
    def y(self) -> int:
        return 1


class FieldNamedAlias(BaseModel):
    alias: int = 1


class AliasedKeys(TypedDict):
    x: Annotated[int, Field(alias="X")]


class KeysByName(TypedDict):
    __pydantic_config__ = ConfigDict(serialize_by_alias=False)  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    x: Annotated[int, Field(alias="X")]


@pydantic.dataclasses.dataclass(config=ConfigDict(serialize_by_alias=False))
class PlainByName:
    x: int = Field(default=1, alias="X")


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (A, None),
        (int, None),
        (OnlyIn, None),
        (NoAliasByName, None),
        (Aliased, True),
        (Generated, True),
        (ComputedAlias, True),
        (AliasedKeys, True),
        (list[Aliased], True),
        (dict[str, list[Aliased]], True),
        (_model(a=Aliased), True),
        (Annotated[AliasedKeys, "x"], True),
        (list[AliasedKeys], True),
        (Aliased | A, True),
        (ByName, False),
        (KeysByName, False),
        (PlainByName, False),
        (list[ByName], False),
        (ByName | None, False),
        (ByName | Aliased, True),
        (_model(a=ByName), True),
    ],
    ids=stable_id,
)
def test_a_type_is_serialized_by_alias_unless_configured_otherwise(form: Any, expected: bool | None) -> None:
    assert adapter(form).by_alias is expected


def test_a_field_named_alias_is_not_an_alias() -> None:
    assert adapter(FieldNamedAlias).by_alias in (None, True)  # True is harmless here
    codec: Any = registry.get("text")
    assert codec.encoder(adapter(FieldNamedAlias))(FieldNamedAlias()) == '{"alias":1}'


def test_members_maps_plain_classes_to_their_adapters() -> None:
    form: Any = Annotated[A | B | Plain | list[Box[int]] | None, Field(title="t")]
    expected: dict[Any, Any] = {A: adapter(A), B: adapter(B), Plain: adapter(Plain)}
    assert adapter(form).members == expected
    assert adapter(A).members == {A: adapter(A)}
    assert adapter(A).members[A] is adapter(A)
    assert adapter(Box[int]).members == {Box[int]: adapter(Box[int])}
    for form in (int, list[A], Keys, Any, Never, Annotated[A, PlainSerializer(str)]):
        assert adapter(form).members == {}


class Lists(BaseModel):
    plain: str = ""
    many: list[str] = []
    maybe: list[int] | None = None
    some: set[int] = set()
    fixed: tuple[int, ...] = ()
    frozen: frozenset[str] = frozenset()
    checked: Annotated[list[str], BeforeValidator(list)] = []
    renamed: list[str] = Field(default=[], alias="other")
    renamed_in: list[str] = Field(default=[], validation_alias="third")
    union: list[str] | str = ""
    mapping: dict[str, str] = {}


class Twice(BaseModel):
    """Names a model twice, so that its schema is among the definitions."""

    one: Tree | None = None
    other: Tree | None = None
    many: list[str] = []


class Choices(BaseModel):
    many: list[str] = Field(default=[], validation_alias=AliasChoices("first", "second"))


class PathTo(BaseModel):
    one: list[str] = Field(default=[], validation_alias=AliasPath("first", 0))


class ListKeys(TypedDict):
    many: list[str]
    one: str


@dataclass
class ListPlain:
    many: list[str]
    one: str = ""


LIST_NAMES = {"many", "maybe", "some", "fixed", "frozen", "checked", "other", "third", "renamed", "renamed_in"}
LISTS: list[Any] = [
    (Lists, LIST_NAMES),
    (Annotated[Lists, Field(title="t")], LIST_NAMES),
    (ListKeys, {"many"}),
    (A, set[str]()),
    (int, set[str]()),
    (list[str], set[str]()),
    (dict[str, list[str]], set[str]()),
    (Never, set[str]()),
    (Validated, set[str]()),
    pytest.param(ListPlain, {"many"}),
    pytest.param(Twice, {"many"}),
    pytest.param(Choices, {"first", "second", "many"}),
    pytest.param(PathTo, {"first", "one"}),
]


@pytest.mark.parametrize(("form", "expected"), LISTS)
def test_lists_has_the_names_of_fields_that_take_several_values(form: Any, expected: set[str]) -> None:
    assert adapter(form).lists == expected


def test_names_field_knows_the_words_of_a_type_and_no_others() -> None:
    form: Any = list[Aliased] | Annotated[Lists | Tree, Field(title="t")] | dict[str, Literal["dog"]]
    adapter_of_form = adapter(form)
    for word in ("x", "X", "many", "other", "renamed", "branches", "dog", "Aliased", "Lists"):
        assert adapter_of_form.names_field(word)
    for word in ("secret", "y", "branch", "renamed2", "Many"):
        assert not adapter_of_form.names_field(word)


# --- plain values ---


def test_plain_values_are_validated_like_json() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(strict=True)
        at: datetime
        pair: tuple[int, UUID]

    plain = {"at": "2024-01-01T00:00:00Z", "pair": [1, str(UUID(int=5))]}
    message = adapter(Strict).from_plain(plain, "JSON")
    assert adapter(Strict).to_plain(message) == plain
    with pytest.raises(InvalidMessage) as caught:
        adapter(Strict).from_plain(plain | {"pair": ["1", 5]}, "JSON")
    assert caught.value.locations() == [("pair.0", "int_type"), ("pair.1", "uuid_type")]
