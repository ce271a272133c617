"""Schemas of message types: the corrections to pydantic's, and the values that are left open."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from pydantic import (
    MISSING,
    UUID1,
    UUID4,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    Tag,
    WithJsonSchema,
    WrapSerializer,
    computed_field,
    model_serializer,
    with_config,
)
from typing_extensions import TypedDict

from tests.support import stable_id
from typedws._messages.adapter import adapter_for
from typedws._schema.definitions import Definitions
from typedws._schema.generator import Direction


def schema(form: Any, direction: Direction) -> Any:
    """Return the schema of a type, inline instead of a reference to its definition."""
    definitions = Definitions()
    described = definitions.resolved(definitions.add(adapter_for(form), direction))
    return definitions.named([described]).with_names(described)


def fields(form: Any, direction: Direction) -> dict[str, Any]:
    properties: dict[str, Any] = schema(form, direction)["properties"]
    return properties


class Join(BaseModel):
    type: Literal["join"] = "join"


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str = "hello"


class Colour(Enum):
    RED = "red"
    TWO = 2


def is_none(value: object) -> bool:
    return value is None


def as_text(value: Any) -> str:
    return str(value)


as_anything: Any = eval("lambda value: value")  # no return annotation; eval hides that from type checkers
wrapped: Any = eval("lambda value, handler: handler(value)")


# --- directions ---


def test_fields_with_a_default_are_optional_when_received_and_required_when_sent() -> None:
    assert "required" not in schema(Say, "receive")
    assert schema(Say, "send")["required"] == ["type", "text"]


def test_fields_that_may_be_missing_when_sent_are_not_required() -> None:
    class Sparse(BaseModel):
        kept: int = 1
        maybe: int | None = Field(default=None, exclude_if=is_none)
        missing: int | MISSING = MISSING
        never: int = Field(default=1, exclude=True)

    assert schema(Sparse, "send")["required"] == ["kept"]
    assert list(fields(Sparse, "send")) == ["kept", "maybe", "missing"]


def test_computed_fields_are_sent_and_not_received() -> None:
    class Circle(BaseModel):
        radius: int

        @computed_field  # type: ignore[prop-decorator]
        @property
        def area(self) -> float:
            return self.radius * 3.0

    assert list(fields(Circle, "receive")) == ["radius"]
    assert schema(Circle, "send")["required"] == ["radius", "area"]


def test_fields_have_the_names_that_are_on_the_wire() -> None:
    class Aliased(BaseModel):
        n: int = Field(alias="N")

    class ByName(BaseModel):
        model_config = ConfigDict(serialize_by_alias=False, validate_by_alias=False, validate_by_name=True)
        n: int = Field(alias="N")

    @dataclass
    class Holder:
        inner: Aliased
        other: Annotated[int, Field(alias="Other")] = 1

    @with_config(ConfigDict(validate_by_alias=False, validate_by_name=True))
    class Keys(TypedDict):
        n: Annotated[int, Field(alias="N")]

    assert [list(fields(Aliased, direction)) for direction in ("receive", "send")] == [["N"], ["N"]]
    assert [list(fields(ByName, direction)) for direction in ("receive", "send")] == [["n"], ["n"]]
    assert [list(fields(Holder, direction)) for direction in ("receive", "send")] == [["inner", "Other"]] * 2
    assert list(fields(Keys, "receive")) == ["n"]
    definitions = Definitions()
    both = definitions.add(adapter_for(dict[str, ByName | Aliased]), "receive")["additionalProperties"]
    assert [list(definitions.resolved(choice)["properties"]) for choice in both["anyOf"]] == [["n"], ["N"]]


def test_each_member_of_a_union_uses_aliases_by_its_own_configuration() -> None:
    class ByAlias(BaseModel):
        kind: Literal["a"] = Field("a", alias="type")
        n: int = Field(1, alias="N")

    class ByName(BaseModel):
        model_config = ConfigDict(serialize_by_alias=False)
        kind: Literal["b"] = Field("b", alias="type")
        n: int = Field(1, alias="N")

    definitions = Definitions()
    union = definitions.add(adapter_for(Annotated[ByAlias | ByName, Field(discriminator="kind")]), "send")
    names = [list(definitions.resolved(choice)["properties"]) for choice in union["anyOf"]]
    assert names == [["type", "N"], ["kind", "n"]]


def test_a_tag_is_required_even_if_it_has_a_default() -> None:
    definitions = Definitions()
    union = definitions.add(adapter_for(Annotated[Join | Say, Field(discriminator="type")]), "receive")
    named = definitions.named([union])
    assert named.schemas()["Join"]["required"] == ["type"]
    assert named.with_names(union)["oneOf"] == [{"$ref": "#/$defs/Join"}, {"$ref": "#/$defs/Say"}]


def test_a_tag_is_required_beside_the_reference_if_the_model_is_also_used_alone() -> None:
    class Both(BaseModel):
        alone: Join
        either: Annotated[Join | Say, Field(discriminator="type")]

    definitions = Definitions()
    both = definitions.add(adapter_for(Both), "receive")
    schemas = definitions.named([both]).schemas()
    assert "required" not in schemas["Join"]
    choices = schemas["Both"]["properties"]["either"]["oneOf"]
    assert choices == [{"$ref": "#/$defs/Join", "required": ["type"]}, {"$ref": "#/$defs/Say"}]


def test_with_a_function_as_discriminator_a_message_may_match_several_members() -> None:
    form = Annotated[Annotated[Join, Tag("j")] | Annotated[Say, Tag("s")], Discriminator(lambda _: "j")]
    assert list(schema(form, "receive")) == ["anyOf"]


# --- values that JSON has no type for ---


class Bytes(BaseModel):
    data: bytes = Field(min_length=5, max_length=10)


class Bytes64(Bytes):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


class BytesHex(Bytes):
    model_config = ConfigDict(ser_json_bytes="hex", val_json_bytes="hex")


@pytest.mark.parametrize(
    ("model", "encoding", "lengths"),
    [(Bytes, None, (2, 10)), (Bytes64, "base64url", (8, 16)), (BytesHex, "base16", (10, 20))],
)
def test_limits_on_bytes_are_converted_to_characters_of_the_text(
    model: Any, encoding: str | None, lengths: tuple[int, int]
) -> None:
    data = fields(model, "receive")["data"]
    assert (data.get("contentEncoding"), (data["minLength"], data["maxLength"])) == (encoding, lengths)
    assert fields(model, "send")["data"] == data


@pytest.mark.parametrize(("form", "digit"), [(UUID1, "1"), (UUID4, "4")])
def test_a_uuid_of_a_version_has_the_standard_format_and_a_pattern(form: Any, digit: str) -> None:
    described = schema(form, "receive")
    assert described["format"] == "uuid"
    assert f"-{digit}[0-9a-fA-F]" in described["pattern"]


def test_times_that_are_sent_as_numbers_are_described_as_numbers() -> None:
    class Took(BaseModel):
        model_config = ConfigDict(ser_json_temporal="seconds")
        at: datetime
        took: timedelta

    assert fields(Took, "send") == {"at": {"type": "number"}, "took": {"type": "number"}}
    assert {each["format"] for each in fields(Took, "receive").values()} == {"date-time", "duration"}


def test_a_decimal_may_be_received_as_a_number_too() -> None:
    received, sent = schema(Decimal, "receive"), schema(Decimal, "send")
    assert received == {"anyOf": [{"type": "number"}, sent]}


class Point(NamedTuple):
    x: int
    y: int = 0


def test_a_named_tuple_is_sent_with_all_fields() -> None:
    assert [schema(Point, direction)["minItems"] for direction in ("receive", "send")] == [1, 2]


# --- mappings ---


# By the type of the keys: the schema of received keys, and that of sent keys, None if it is the same.
KEYS: dict[Any, tuple[Any, Any]] = {
    int: ({"pattern": "^-?[0-9]+$"}, None),
    bool: ({"pattern": "^(?:true|false)$"}, None),
    Annotated[str, Field(max_length=3, description="a name")]: ({"maxLength": 3}, None),
    Literal[1, "a", True]: ({"enum": ["a"]}, {"enum": ["1", "a", "true"]}),
    None: ({"enum": []}, "absent"),
    Colour: ({"enum": ["red"]}, {"enum": ["red", "2"]}),
    tuple[int, int]: ({"enum": []}, "absent"),
    (int | None): ({"anyOf": [{"pattern": "^-?[0-9]+$"}, {"enum": []}]}, {"anyOf": [{"pattern": "^-?[0-9]+$"}, {}]}),
    str: ("absent", None),
    Any: ("absent", None),
}


@pytest.mark.parametrize("key", KEYS, ids=stable_id)
def test_keys_are_described_as_text(key: Any) -> None:
    received, sent = KEYS[key]
    form: Any = dict[key, int]
    assert schema(form, "receive").get("propertyNames", "absent") == received
    assert schema(form, "send").get("propertyNames", "absent") == (received if sent is None else sent)


def test_a_mapping_of_any_values_is_an_object() -> None:
    assert schema(dict[str, Any], "receive") == {"type": "object", "additionalProperties": True}
    assert schema(Annotated[dict[str, int], Field(min_length=1)], "receive")["minProperties"] == 1


# --- values that are left open ---


class TypedSerializer(BaseModel):
    @model_serializer
    def _serialize(self) -> dict[str, int]:
        return {}


class UntypedSerializer(BaseModel):
    _serialize = model_serializer(eval("lambda self: {}"))


OPEN: Mapping[str, tuple[Any, Direction, Any]] = {
    "a serialiser with a return annotation": (Annotated[int, PlainSerializer(as_text)], "send", {"type": "string"}),
    "a serialiser that does not say": (Annotated[int, PlainSerializer(as_anything)], "send", {}),
    "one that wraps": (Annotated[int, WrapSerializer(wrapped)], "send", {}),
    "a model with such a serialiser": (
        TypedSerializer,
        "send",
        {"type": "object", "additionalProperties": {"type": "integer"}},
    ),
    "a model with one that does not say": (UntypedSerializer, "send", {}),
    "a validator of everything": (Annotated[int, PlainValidator(as_anything)], "receive", {}),
    "a class": (type[int], "receive", {}),
    "what pydantic cannot describe": (Callable[[], int], "receive", {}),
    "a schema of the author's own": (
        Annotated[int, PlainValidator(as_anything), WithJsonSchema({"type": "integer"})],
        "receive",
        {"type": "integer"},
    ),
    "pydantic's own serialiser": (SecretStr, "send", {"type": "string", "format": "password", "writeOnly": True}),
}


@pytest.mark.parametrize("name", OPEN)
def test_only_unknown_values_are_left_open(name: str) -> None:
    form, direction, expected = OPEN[name]
    assert schema(form, direction) == expected


# --- defaults ---


class Inner(BaseModel):
    some: set[str] = {"b", "c", "a"}


@dataclass
class Part:
    some: frozenset[int] = frozenset({3, 1, 2})


class Defaults(BaseModel):
    some: set[str] = {"b", "c", "a"}
    nested: dict[str, list[set[int]]] = {"x": [{2, 1, 3}]}
    inner: Inner = Inner()
    part: Part = field(default_factory=Part)
    fixed: Part = Part()
    odd: float = float("inf")
    kind: type[Exception] = ValueError
    price: Decimal = Decimal("1.50")
    both: tuple[int, str] = (1, "a")


def test_defaults_are_as_they_are_sent_with_sorted_sets() -> None:
    defaults = {name: each["default"] for name, each in fields(Defaults, "receive").items() if "default" in each}
    assert defaults == {
        "some": ["a", "b", "c"],
        "nested": {"x": [[1, 2, 3]]},
        "inner": {"some": ["a", "b", "c"]},
        "fixed": {"some": [1, 2, 3]},
        "price": "1.50",
        "both": [1, "a"],
    }


def test_values_that_json_does_not_have_are_left_out() -> None:
    class Odd(BaseModel):
        low: float = Field(ge=float("-inf"), le=1)
        some: int = Field(examples=[float("nan")], json_schema_extra={"x-when": "now"})

    described = fields(Odd, "receive")
    assert described == {"low": {"maximum": 1, "type": "number"}, "some": {"type": "integer", "x-when": "now"}}
    json.dumps(described, allow_nan=False)
