"""`nonfinite_serializer` writes ``NaN`` for a non-finite number and everything else as pydantic does."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic_core import SchemaSerializer, core_schema
from typing_extensions import TypedDict

from typedws._messages import nonfinite_serializer as module
from typedws._messages.adapter import adapter_for
from typedws._messages.nonfinite_serializer import nonfinite_serializer
from typedws.codecs import TextJSON
from typedws.exceptions import UnsendableMessage


class Reading(BaseModel):
    value: float | None = None
    name: str = Field(default="", alias="label")


class Silent(Reading):
    model_config = ConfigDict(ser_json_inf_nan="strings", ser_json_bytes="base64")
    data: bytes = b"\xff"


class Row(TypedDict):
    values: list[float | None]


@dataclass
class Cell:
    value: float
    row: Row


class Table(BaseModel):
    readings: list[Reading | Silent]
    cells: dict[str, Cell]
    within: "Table | None" = None


def table(value: float) -> Table:
    reading, silent = Reading(label="a"), Silent(value=value)
    inner = Table(readings=[reading], cells={"a": Cell(1.5, Row(values=[None, value]))})
    return Table(readings=[reading, silent], cells={}, within=inner)


def silent(value: float) -> Silent:
    return Silent(value=value)


def numbers(value: float) -> list[float]:
    return [value]


def row(value: float) -> Row:
    return Row(values=[value, None])


def cell(value: float) -> Cell:
    return Cell(value, Row(values=[]))


FORMS: dict[str, tuple[Any, Callable[[float], object]]] = {
    "model": (Silent, silent),
    "nested, recursive": (Table, table),
    "list": (list[float], numbers),
    "TypedDict": (Row, row),
    "dataclass": (Cell, cell),
}


@pytest.mark.parametrize(("form", "make"), FORMS.values(), ids=FORMS)
def test_everything_else_is_written_as_pydantic_writes_it(form: Any, make: Callable[[float], object]) -> None:
    adapter = TypeAdapter[Any](form)
    serializer = nonfinite_serializer(adapter.core_schema)
    assert serializer is not None
    message = make(2.5)
    for by_alias in (True, False):
        assert serializer.to_json(message, by_alias=by_alias) == adapter.serializer.to_json(message, by_alias=by_alias)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("form", "make"), FORMS.values(), ids=FORMS)
def test_a_non_finite_number_is_written_as_a_constant(form: Any, make: Callable[[float], object], value: float) -> None:
    serializer = nonfinite_serializer(TypeAdapter[Any](form).core_schema)
    assert serializer is not None
    word = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    assert word in serializer.to_json(make(value)).decode().replace('"', "")


def test_a_union_choice_with_a_label_is_written_like_any_other() -> None:
    schema = core_schema.union_schema([(core_schema.float_schema(), "number"), core_schema.str_schema()])
    serializer = nonfinite_serializer(schema)
    assert serializer is not None
    assert [serializer.to_json(value) for value in (1.5, math.nan, "a")] == [b"1.5", b"NaN", b'"a"']


def refuses(schema: object, config: object = None, **options: object) -> SchemaSerializer:
    assert options
    raise TypeError("no such option")


def ignores(schema: Any, config: Any = None, **options: object) -> SchemaSerializer:
    return SchemaSerializer(schema, config)


@pytest.mark.parametrize("stub", [refuses, ignores])
def test_without_such_a_serializer_messages_are_still_checked(monkeypatch: pytest.MonkeyPatch, stub: Any) -> None:
    is_supported: Any = vars(module)["_is_supported"]
    monkeypatch.setattr(module, "SchemaSerializer", stub)
    is_supported.cache_clear()
    try:

        class Message(BaseModel):
            value: float | None
            other: None = None

        adapter = adapter_for(Message)
        assert adapter.may_write_null_for_numbers
        encode = TextJSON().encoder(adapter)
        assert encode(Message(value=None)) == '{"value":null,"other":null}'
        with pytest.raises(UnsendableMessage, match="finite"):
            encode(Message(value=math.nan))
    finally:
        is_supported.cache_clear()
