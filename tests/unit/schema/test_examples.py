"""Examples of messages: the author's own or generated ones, deterministic, and always valid."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator

from tests.conformance.schemas import CASES, Case
from tests.support import stable_id
from typedws._messages.adapter import adapter_for
from typedws._schema.definitions import Definitions
from typedws._schema.generator import Direction
from typedws.schema.examples import examples_of


def examples(form: Any, direction: Direction = "receive") -> list[Any]:
    definitions = Definitions()
    adapter = adapter_for(form)
    return examples_of(adapter, direction, definitions.add(adapter, "receive"), definitions.resolved)


class Colour(Enum):
    RED = "red"


class Own(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"n": 1}, {"n": "none"}, {"n": 3}]})
    n: int


class Choosy(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def _check(cls, n: int) -> int:
        raise ValueError(n)


class Tree(BaseModel):
    name: str = "root"
    branches: list["Tree"]
    left: "Tree | None"


class Endless(BaseModel):
    inner: "Endless"


class Forest(BaseModel):
    some: list[Endless] = Field(max_length=3)
    maybe: Endless | int
    perhaps: dict[str, int]


class Doubled(BaseModel):
    n: int = Field(1, validation_alias="in", serialization_alias="out")


Short = Annotated[str, Field(max_length=2)]
Long = Annotated[str, Field(min_length=6)]
Code = Annotated[str, Field(pattern="^[A-Z]{3}$")]
Rare = Annotated[str, Field(pattern="^typedws$")]

Unicode = Annotated[str, Field(pattern=r"^\p{L}$")]
Foreign = Annotated[int, WithJsonSchema({"type": ["integer", "null"]})]


class Partial(BaseModel):
    maybe: Rare = "typedws"
    rare: str = Field(default_factory=str, pattern="^typedws$")


class Hopeless(BaseModel):
    rare: Rare


EXPECTED: Mapping[str, tuple[Any, list[Any]]] = {
    "text": (str, ["text"]),
    "short text": (Short, ["te"]),
    "long text": (Long, ["textxx"]),
    "text of a simple pattern": (Code, ["AAA"]),
    "text of a rare pattern": (Rare, []),
    "an address": (IPv4Address, ["192.0.2.1"]),
    "text of a pattern that is not Python's": (Unicode, []),
    "a schema of the author's own": (Foreign, []),
    "a field that may be left out": (Partial, [{"maybe": "typedws"}]),
    "a field that may not": (Hopeless, []),
    "a union of what cannot be made": (Rare | Hopeless, []),
    "a number": (float, [0]),
    "a number from": (Annotated[int, Field(ge=5)], [5]),
    "a number above": (Annotated[int, Field(gt=5)], [6]),
    "a number up to": (Annotated[int, Field(le=-5)], [-5]),
    "a number below": (Annotated[int, Field(lt=-5)], [-6]),
    "a number of several": (Annotated[int, Field(multiple_of=7, gt=0)], [7]),
    "a number that there is not": (Annotated[int, Field(gt=1, lt=2)], []),
    "a flag": (bool, [True]),
    "nothing": (None, [None]),
    "anything": (Any, [{}]),
    "a word": (Literal["a", "b"], ["a"]),
    "an enum": (Colour, ["red"]),
    "a list": (list[int], [[0]]),
    "a list of several": (Annotated[list[int], Field(min_length=3)], [[0, 0, 0]]),
    "a list of none": (Annotated[list[int], Field(max_length=0)], [[]]),
    "a set of several": (Annotated[set[int], Field(min_length=2)], []),
    "a tuple": (tuple[int, str], [[0, "text"]]),
    "a decimal": (Decimal, [0]),
    "a time": (datetime, ["2024-02-29T12:30:00Z"]),
    "a duration": (timedelta, ["PT1M30S"]),
    "an id": (UUID, ["01234567-89ab-1def-8123-456789abcdef"]),
    "the author's own, as far as they are valid": (Own, [{"n": 1}, {"n": 3}]),
    "a field's own": (Annotated[int, Field(examples=[7])], [7]),
    "what a validator refuses": (Choosy, []),
    "what is inside itself": (Tree, [{"name": "root", "branches": [], "left": None}]),
    "what has no end": (Endless, []),
    "what may be without it": (Forest, [{"some": [], "maybe": 0, "perhaps": {}}]),
    "at least one without end": (Annotated[list[Endless], Field(min_length=1)], []),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_examples_are_small_and_plausible(name: str) -> None:
    form, expected = EXPECTED[name]
    assert examples(form) == expected


def test_examples_of_sent_messages_are_as_they_are_sent() -> None:
    assert examples(Doubled, "receive") == [{"in": 1}]
    assert examples(Doubled, "send") == [{"out": 1}]


@pytest.mark.parametrize("case", CASES, ids=stable_id)
def test_every_example_is_valid_for_its_type(case: Case) -> None:
    assert all(case.is_valid(example) for example in examples(case.form))
