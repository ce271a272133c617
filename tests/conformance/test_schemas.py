"""Schemas agree with pydantic: the same corpus through Python's ``jsonschema`` and, in node, through ajv."""

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker

from tests.conformance.schemas import CASES, Case, hard_app
from tests.support import stable_id
from typedws._schema.definitions import Definitions
from typedws._schema.generator import Direction
from typedws.exceptions import UnsendableMessage
from typedws.schema import text_of
from typedws.schema.draft07 import as_draft_07

FORMATS = FormatChecker(["date", "uuid"])
"""The formats that pydantic validates exactly. By default draft 2020-12 asserts no formats, only patterns."""

SCHEMAS = Path(__file__).parents[2] / "schemas"

each_case = pytest.mark.parametrize("case", CASES, ids=stable_id)
quickly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@cache
def validator(case: Case, direction: Direction) -> Any:
    definitions = Definitions()
    schema = definitions.add(case.adapter, direction)
    named = definitions.named([schema])
    document = {**named.with_names(schema), "$defs": named.schemas()}
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document, format_checker=FORMATS)


def sent(case: Case, message: object) -> Any:
    try:
        return case.sent(message)
    except UnsendableMessage:
        assume(False)


@each_case
@quickly
@given(data=st.data())
def test_sent_messages_match_the_schema_for_sending(case: Case, data: st.DataObject) -> None:
    validator(case, "send").validate(sent(case, data.draw(case.messages)))


@pytest.mark.parametrize("case", [case for case in CASES if case.is_exact], ids=stable_id)
@quickly
@given(data=st.data())
def test_pydantic_validates_what_matches_the_schema_for_receiving(case: Case, data: st.DataObject) -> None:
    check = validator(case, "receive")
    value = mutated(data, sent(case, data.draw(case.messages)))
    if check.is_valid(value):
        assert case.is_valid(value)


@pytest.mark.parametrize("case", [case for case in CASES if case.comes_back], ids=stable_id)
@quickly
@given(data=st.data())
def test_messages_as_they_are_sent_may_be_received(case: Case, data: st.DataObject) -> None:
    value = sent(case, data.draw(case.messages))
    assert case.is_valid(value)
    validator(case, "receive").validate(value)


ODD: list[Any] = [None, True, 0, -1, 2.5, "", "x", "2024-13-45", "NaN", "1E400", [], [1], {}, {"x": 1}]


def mutated(data: st.DataObject, value: Any) -> Any:
    """Return a copy of a JSON value with one place changed."""
    value = copy.deepcopy(value)
    places = list(containers([value]))  # in a list, so that the whole value may be replaced too
    container, key = data.draw(st.sampled_from(places))
    change = data.draw(st.sampled_from(["replace", "drop", "add", "double"]))
    if change == "drop" and isinstance(container, dict):
        del container[key]
    elif change == "add" and isinstance(container[key], dict):
        container[key]["another"] = data.draw(st.sampled_from(ODD))
    elif change == "double" and isinstance(container[key], list):
        container[key] = container[key] * 2
    elif change == "double" and isinstance(container[key], str):
        container[key] = container[key] * 2 + data.draw(st.sampled_from(["", "0", "é", "-"]))
    else:
        container[key] = data.draw(st.sampled_from(ODD))
    return places[0][0][0]


def containers(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a value: its container, and its key or index there."""
    pairs: list[tuple[Any, Any]] = (
        [*cast(dict[str, Any], value).items()] if isinstance(value, dict) else [*enumerate(value)]
    )
    for key, each in pairs:
        yield value, key
        if isinstance(each, dict | list):
            yield from containers(each)


@each_case
def test_the_schemas_of_asyncapi_decide_like_those_of_contracts(case: Case) -> None:
    for direction in ("receive", "send"):
        check, values = validator(case, direction), corpus(case)
        asyncapi: Any = Draft7Validator(definitions_as_draft_07(check.schema), format_checker=FORMATS)
        Draft7Validator.check_schema(asyncapi.schema)
        assert [asyncapi.is_valid(value) for value in values] == [check.is_valid(value) for value in values]


def definitions_as_draft_07(document: dict[str, Any]) -> dict[str, Any]:
    """Convert a schema with definitions; in draft 07 not even ``$defs`` may be next to a reference."""
    definitions = {name: as_draft_07(schema) for name, schema in document["$defs"].items()}
    rest = as_draft_07({word: value for word, value in document.items() if word != "$defs"})
    return {"allOf": [rest], "$defs": definitions}


@pytest.mark.node
def test_ajv_decides_like_jsonschema() -> None:
    from tests.node.running import run

    inputs: list[tuple[Any, list[Any]]] = []
    expected: list[list[bool]] = []
    for case in CASES:
        for direction in ("receive", "send"):
            check, values = validator(case, direction), corpus(case)
            inputs.append((check.schema, values))
            expected.append([check.is_valid(value) for value in values])
    assert run("validate.cjs", json.dumps(inputs)) == expected
    decisions = [decision for decisions in expected for decision in decisions]
    assert True in decisions
    assert False in decisions


def corpus(case: Case) -> list[Any]:
    """Return messages of a type, each followed by a mutated copy; they are the same in each run."""
    drawn: list[Any] = []

    @settings(max_examples=30, database=None, derandomize=True, deadline=None, phases=[Phase.generate])
    @given(data=st.data())
    def draw(data: st.DataObject) -> None:
        value = sent(case, data.draw(case.messages))
        drawn.extend([value, mutated(data, value)])

    draw()
    return drawn


@pytest.mark.node
def test_the_official_parser_reports_no_problems(tmp_path: Path) -> None:
    from tests.node.running import run

    hard = tmp_path / "hard.asyncapi.json"
    hard.write_text(text_of(hard_app().asyncapi()), encoding="utf-8")
    paths = [str(path) for path in (hard, *sorted(SCHEMAS.glob("*.asyncapi.json")))]
    assert len(paths) > 5
    assert run("parse.cjs", "\n".join(paths)) == {path: {"isParsed": True, "problems": []} for path in paths}
