"""Queries on core schemas. The tests of contracts cover `is_undiscriminated`: a contract refuses such a union."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from typing_extensions import TypeAliasType

from tests.support import stable_id
from typedws._messages.adapter import adapter_for
from typedws._messages.core_schema import fields_of, kinds_of, metadata_of, nodes, takes_many

Names = TypeAliasType("Names", list[str])


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Twice(BaseModel):
    one: Names = []
    other: Names | None = None
    inner: Open | None = None


class Other(BaseModel):
    third: int = 0


def fields(form: Any) -> dict[str, bool]:
    return {name: takes_many(field) for name, field in fields_of(adapter_for(form).core_schema)}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (Twice, {"one": True, "other": True, "inner": False}),
        (Twice | None, {"one": True, "other": True, "inner": False}),
        (Twice | Other, {"one": True, "other": True, "inner": False, "third": False}),
        (list[Twice], {}),
        (dict[str, Other], {}),
        (int, {}),
        (Any, {}),
    ],
    ids=stable_id,
)
def test_the_fields_of_a_type_are_those_of_its_structures(form: Any, expected: dict[str, bool]) -> None:
    assert fields(form) == expected


def test_a_type_that_allows_additional_fields_has_the_kind_extra() -> None:
    kinds = {kind for node in nodes(adapter_for(Open).core_schema) for kind in kinds_of(node)}
    assert "extra" in kinds
    assert "extra" not in {kind for node in nodes(adapter_for(Other).core_schema) for kind in kinds_of(node)}


def test_metadata_is_found_inside_a_field_but_not_inside_a_nested_structure() -> None:
    marked: dict[str, Any] = {"type": "str", "metadata": {"key": "mark"}}
    for field in (
        {"type": "model-field", "schema": marked},
        {"type": "model-field", "schema": {"type": "nullable", "schema": marked}},
        {"type": "model-field", "schema": {"type": "union", "choices": [{"type": "int"}, marked]}},
        {"type": "model-field", "schema": {"type": "list", "items_schema": marked}},
        {"type": "model-field", "schema": {"type": "int"}, "metadata": {"key": "mark"}},
    ):
        assert metadata_of(field, "key") == "mark"
        assert metadata_of(field, "other") is None
    inner = {"type": "model", "schema": {"type": "model-fields", "fields": {"a": {"schema": marked}}}}
    assert metadata_of({"type": "model-field", "schema": inner}, "key") is None
