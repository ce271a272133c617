"""The laws of documents over families of models: they are deterministic, and depend on the direction."""

import json
import random
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ConfigDict, Field, create_model

from typedws import App, Connection, Contract
from typedws.codecs import TextJSON
from typedws.schema import contract_document, text_of

SIMPLE: dict[str, Any] = {
    "int": int,
    "str": str,
    "bool": bool,
    "bytes": bytes,
    "date": date,
    "datetime": datetime,
    "Decimal": Decimal,
    "UUID": UUID,
    "set[str]": set[str],
    "dict[int, str]": dict[int, str],
    "tuple[int, str]": tuple[int, str],
    "int | None": int | None,
    "Literal": Literal["b", "a"],
}
DEFAULTS: dict[str, Any] = {"int": 1, "str": "x", "set[str]": {"c", "b", "a", "d"}, "int | None": None}


@dataclass(frozen=True)
class Plan:
    """How a model is built: its name, its fields (name, kind, default, alias), the numbers of the models inside it."""

    name: str
    fields: tuple[tuple[str, str, bool, bool], ...]
    inner: tuple[int, ...] = ()

    def build(self, models: list[type[BaseModel]]) -> type[BaseModel]:
        """Return the model."""
        fields: dict[str, Any] = {"type": (Literal[self.name], self.name)}
        for name, kind, has_default, has_alias in self.fields:
            options: dict[str, Any] = {"alias": name.upper()} if has_alias else {}
            if has_default and kind in DEFAULTS:
                options["default"] = DEFAULTS[kind]
            fields[name] = (SIMPLE[kind], Field(**options))
        for place, number in enumerate(self.inner):
            fields[f"inner_{place}"] = (list[models[number]], [])  # type: ignore[valid-type]
        model: type[BaseModel] = create_model(
            self.name, __config__=ConfigDict(validate_by_name=True, validate_by_alias=True), **fields
        )
        return model


names = st.sampled_from(["Join", "Say", "Leave", "say"])
field = st.tuples(st.sampled_from("abcd"), st.sampled_from([*SIMPLE]), st.booleans(), st.booleans())
fields = st.lists(field, max_size=4, unique_by=lambda each: each[0]).map(tuple)


@st.composite
def families(draw: st.DrawFn) -> tuple[Plan, ...]:
    """Draw plans of models; later models may hold earlier ones, and some share a name."""
    plans: list[Plan] = []
    for number in range(draw(st.integers(1, 4))):
        inner = draw(st.lists(st.integers(0, number - 1), max_size=2).map(tuple)) if number else ()
        plans.append(Plan(draw(names), draw(fields), inner))
    return tuple(plans)


def build_all(plans: tuple[Plan, ...]) -> list[type[BaseModel]]:
    models: list[type[BaseModel]] = []
    for plan in plans:
        models.append(plan.build(models))
    return models


def contract(models: list[type[BaseModel]]) -> Contract[Any, Any, Any]:
    """Return a contract with messages of all these models in both directions."""
    connection: Any = Connection
    message: Any = list[models[0]]  # type: ignore[valid-type]
    for model in models[1:]:
        message = message | list[model]  # type: ignore[valid-type]
    return Contract("family", connection[message, message])


def document(plans: tuple[Plan, ...]) -> str:
    return text_of(contract_document(contract(build_all(plans))))


def application(contracts: list[tuple[str, Contract[Any, Any, Any]]]) -> App:
    async def talk(ws: Any) -> None: ...

    app = App()
    for path, each in contracts:
        app.websocket(path, each)(talk)
    return app


PATHS = ["/a", "/b"]
quickly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quickly
@given(families())
def test_equal_models_make_the_same_bytes(plans: tuple[Plan, ...]) -> None:
    assert document(plans) == document(plans)


@quickly
@given(families(), families(), st.randoms())
def test_the_order_of_definitions_and_routes_does_not_matter(
    one: tuple[Plan, ...], other: tuple[Plan, ...], rng: random.Random
) -> None:
    first = [contract(build_all(one)), contract(build_all(other))]
    second = [contract(build_all(other)), contract(build_all(one))][::-1]
    routes, others = list(zip(PATHS, first, strict=True)), list(zip(PATHS, second, strict=True))
    rng.shuffle(others)
    assert text_of(application(routes).asyncapi()) == text_of(application(others).asyncapi())


@quickly
@given(families())
def test_every_model_is_defined_exactly_once(plans: tuple[Plan, ...]) -> None:
    models = build_all(plans)
    definitions = contract_document(contract(models))["$defs"]
    texts = {json.dumps(definition, sort_keys=True) for definition in definitions.values()}
    assert len(texts) == len(definitions)  # none occurs twice
    assert {each["title"] for each in definitions.values()} == {plan.name for plan in plans}


def validator(schema: dict[str, Any]) -> Any:
    return Draft202012Validator(schema)


@quickly
@given(families())
def test_the_schema_depends_on_the_direction(plans: tuple[Plan, ...]) -> None:
    models = build_all(plans)
    agreed = contract(models[-1:])
    content = contract_document(agreed)
    client_messages, server_messages = (
        validator({**content[key], "$defs": content["$defs"]}) for key in ("clientMessages", "serverMessages")
    )
    assert agreed.server_messages is not None
    sent = json.loads(TextJSON().encode_model([instance(plans, models, len(models) - 1)], agreed.server_messages))
    client_messages.validate(sent)
    server_messages.validate(sent)
    for name, field in models[-1].model_fields.items():
        less = [{key: value for key, value in sent[0].items() if key != (field.alias or name)}]
        assert not server_messages.is_valid(less)  # a field with a default is sent too
        assert client_messages.is_valid(less) == (not field.is_required())


VALUES: dict[str, Any] = {
    "int": 1,
    "str": "x",
    "bool": True,
    "bytes": b"x",
    "date": date(2024, 1, 1),
    "datetime": datetime(2024, 1, 1),
    "Decimal": Decimal("1E+5"),
    "UUID": UUID(int=1),
    "set[str]": {"x"},
    "dict[int, str]": {1: "x"},
    "tuple[int, str]": (1, "x"),
    "int | None": None,
    "Literal": "a",
}


def instance(plans: tuple[Plan, ...], models: list[type[BaseModel]], number: int) -> BaseModel:
    """Return an instance of a model, with one instance of each model inside it."""
    plan = plans[number]
    inner = {f"inner_{place}": [instance(plans, models, each)] for place, each in enumerate(plan.inner)}
    return models[number](**{name: VALUES[kind] for name, kind, _, _ in plan.fields}, **inner)


def corpus() -> list[tuple[Plan, ...]]:
    """Return families of models, the same in every process."""
    drawn: list[tuple[Plan, ...]] = []

    @settings(max_examples=25, database=None, derandomize=True, deadline=None, phases=[Phase.generate])
    @given(families())
    def draw(plans: tuple[Plan, ...]) -> None:
        drawn.append(plans)

    draw()
    return drawn


def test_a_process_with_another_hash_seed_makes_the_same_bytes() -> None:
    plans = corpus()
    script = """
import sys
from tests.property.test_schema import Plan, document
sys.stdout.write("".join(map(document, eval(sys.stdin.read()))))
"""
    expected = "".join(map(document, plans))
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            input=repr(plans),
            capture_output=True,
            encoding="utf-8",
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
            timeout=50,
        )
        assert done.stdout == expected
