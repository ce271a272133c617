"""Names of definitions: a unique name is short, a shared one gets longer, in any order of definitions."""

from itertools import permutations
from typing import Any, Generic, Literal

import pytest
from pydantic import BaseModel
from typing_extensions import TypeVar

from tests.conformance import messages as elsewhere
from typedws._messages.adapter import adapter_for
from typedws._schema.definitions import Definitions
from typedws._schema.generator import Direction
from typedws._schema.naming import distinct_names, legal

T = TypeVar("T")


class Point(BaseModel):
    """A different model from `elsewhere.Point`."""

    x: float


class Say(BaseModel):
    text: str = ""


class Box(BaseModel, Generic[T]):
    content: T


def local(kind: type[Any]) -> type[BaseModel]:
    class Local(BaseModel):
        value: kind  # type: ignore[valid-type]

    return Local


def names(*types: tuple[Any, Direction]) -> list[str]:
    """Return the names of types in one document, in this order."""
    definitions = Definitions()
    schemas = [definitions.add(adapter_for(form), direction) for form, direction in types]
    named = definitions.named(schemas)
    return [str(named.with_names(schema)["$ref"]).removeprefix("#/$defs/") for schema in schemas]


HERE = "tests__unit___schema__test_naming"


def test_a_unique_name_is_short() -> None:
    assert names((Point, "receive"), (Box[int], "receive")) == ["Point", "Box_int_"]


def test_models_that_share_a_name_are_named_with_their_modules() -> None:
    assert names((Point, "receive"), (elsewhere.Point, "receive")) == [
        f"{HERE}__Point",
        "tests__conformance__messages__Point",
    ]


def test_a_model_of_both_directions_is_one_definition_if_its_schemas_are_equal() -> None:
    assert names((Point, "receive"), (Point, "send")) == ["Point", "Point"]
    assert names((Say, "receive"), (Say, "send")) == ["Say-Input", "Say-Output"]
    assert names((Box[Say], "receive"), (Box[Say], "send"))[0] == "Box_Say_-Input"


def test_models_that_share_module_and_name_are_named_with_a_hash_of_their_schema() -> None:
    first, second = names((local(int), "receive"), (local(str), "receive"))
    assert first != second
    assert first.startswith(f"{HERE}__local___locals___Local-")
    assert names((local(str), "receive"), (local(int), "receive")) == [second, first]


def test_equal_models_are_one_definition() -> None:
    assert names((local(int), "receive"), (local(int), "receive")) == ["Local", "Local"]


def test_the_order_of_types_does_not_matter() -> None:
    types: list[tuple[Any, Direction]] = [
        (Point, "receive"),
        (elsewhere.Point, "send"),
        (Say, "receive"),
        (Say, "send"),
        (local(int), "receive"),
        (local(str), "receive"),
    ]
    expected = dict(zip(types, names(*types), strict=True))
    for order in permutations(types):
        assert dict(zip(order, names(*order), strict=True)) == expected


def test_definitions_without_a_reference_are_left_out() -> None:
    definitions = Definitions()
    definitions.add(adapter_for(Say), "receive")
    schema = definitions.add(adapter_for(Box[Point]), "receive")
    assert set(definitions.named([schema]).schemas()) == {"Box_Point_", "Point"}


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ({1: ["a"], 2: ["b"]}, {1: "a", 2: "b"}),
        ({1: ["a", "x.a"], 2: ["a", "y.a"]}, {1: "x.a", 2: "y.a"}),
        ({1: ["a", "b"], 2: ["a", "c"], 3: ["b", "d"]}, {1: "b", 2: "c", 3: "d"}),
        ({1: ["Say", "x.Say"], 2: ["say", "x.say2"]}, {1: "x.Say", 2: "x.say2"}),
        ({1: ["a"], 2: ["a"]}, {1: "a", 2: "a"}),
        ({}, {}),
    ],
)
def test_keys_that_share_a_name_take_their_next_one(candidates: dict[int, list[str]], expected: dict[int, str]) -> None:
    assert distinct_names(candidates) == expected


def test_a_legal_name_has_letters_digits_and_three_punctuation_marks() -> None:
    assert legal("Box[int]/é a.b-c_1") == "Box_int___a.b-c_1".replace("___a", "____a")


def test_a_definition_may_refer_to_itself() -> None:
    class Tree(BaseModel):
        kind: Literal["tree"]
        trees: "list[Tree]"

    definitions = Definitions()
    schema = definitions.add(adapter_for(Tree), "receive")
    named = definitions.named([schema])
    assert (
        named.schemas()["Tree"]["properties"]["trees"]["items"] == named.with_names(schema) == {"$ref": "#/$defs/Tree"}
    )


def test_equal_models_are_one_definition_whichever_of_them_is_also_sent() -> None:
    def twin() -> type[BaseModel]:
        class Twin(BaseModel):
            text: str = ""

        return Twin

    one, other = twin(), twin()
    expected = ["Twin-Input", "Twin-Input", "Twin-Output"]
    assert names((one, "receive"), (other, "receive"), (other, "send")) == expected
    assert names((other, "receive"), (one, "receive"), (one, "send")) == expected
