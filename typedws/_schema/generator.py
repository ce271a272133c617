"""JSON Schemas of message types, which say what the wire does. How definitions are called is decided elsewhere.

They are pydantic's, for the direction: what is heard as it validates, what is said as it serialises. What pydantic
describes otherwise than it then writes or reads, or leaves open, is put right here; each method says what.
"""

import json
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final, Literal, TypeAlias, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, core_schema

from typedws._messages.adapter import MessageAdapter
from typedws._messages.core_schema import nodes
from typedws._schema.patterns import BASE64, DATE_TIME, DURATION, HEX, NAMES, TIME, uuid_of_version
from typedws._schema.traversal import Schema, rebuilt

__all__ = ["Direction", "generated"]

Direction: TypeAlias = Literal["receive", "send"]
"""Whether the server hears a message or says it."""

_MODES: Final[Mapping[Direction, Literal["validation", "serialization"]]] = {
    "receive": "validation",
    "send": "serialization",
}


def generated(adapter: MessageAdapter[Any], direction: Direction) -> tuple[Schema, dict[str, Schema]]:
    """Give the schema of a message type, and the definitions that it refers to, by their keys.

    A key holds what pydantic calls the type, which differs from process to process, and the direction.
    """
    mode = _MODES[direction]
    core: Any = adapter.core_schema
    schemas, definitions = _Generator(adapter, direction).generate_definitions([("", mode, core)])
    return _tidied(schemas["", mode]), {key: _tidied(schema) for key, schema in definitions.items()}


class _Generator(GenerateJsonSchema):
    """Generates one schema; see the module."""

    def __init__(self, adapter: MessageAdapter[Any], direction: Direction) -> None:
        self._goes_by_alias = direction == "receive" or adapter.by_alias is not False
        super().__init__(by_alias=self._goes_by_alias)
        self._aliased = {class_: member.by_alias is not False for class_, member in adapter.members.items()}
        self._depth = 0

    # --- names ---

    def get_defs_ref(self, core_mode_ref: Any) -> Any:
        """Call definitions by what is unique; names for people come later."""
        core_ref, mode = core_mode_ref
        key = f"{core_ref} {'receive' if mode == 'validation' else 'send'}"
        self._prioritized_defsref_choices[cast(Any, key)] = [cast(Any, key)]
        return key

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Leave out the titles that only repeat the names of fields."""
        return False

    # --- which fields, under which names ---

    def field_is_required(self, field: Any, total: bool) -> bool:
        """Require all that always is there: a default goes out like any other value."""
        if self.mode == "validation" or field["type"] == "typed-dict-field":
            return super().field_is_required(field, total)
        may_be_missing = any(node.get("type") == "missing-sentinel" for node in nodes(field["schema"]))
        return field.get("serialization_exclude_if") is None and not may_be_missing

    def model_schema(self, schema: core_schema.ModelSchema) -> Schema:
        """Describe a model with the names that go over the wire."""
        with self._inside(schema["cls"]):
            return super().model_schema(schema)

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> Schema:
        """Describe a dataclass, as a model."""
        with self._inside(schema["cls"]):
            return super().dataclass_schema(schema)

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> Schema:
        """Describe a ``TypedDict``, as a model."""
        with self._inside(schema.get("cls")):
            return super().typed_dict_schema(schema)

    @contextmanager
    def _inside(self, class_: type[Any] | None) -> Generator[None]:
        """Go by aliases or not: for what is heard as each class is configured, for what is said as the message is."""
        before = self._goes_by_alias
        config: Any = getattr(class_, "model_config", getattr(class_, "__pydantic_config__", None))
        if self.mode == "serialization":
            self._goes_by_alias = before if self._depth or class_ is None else self._aliased.get(class_, before)
        elif config is not None:
            self._goes_by_alias = config.get("validate_by_alias") is not False
        self.by_alias = self._goes_by_alias
        self._depth += 1
        yield
        self._depth -= 1
        self.by_alias = self._goes_by_alias = before

    def named_tuple_schema(self, schema: core_schema.NamedTupleSchema) -> Schema:
        """Describe a named tuple, which goes out with all of its fields."""
        described = super().named_tuple_schema(schema)
        if self.mode == "serialization":
            described["minItems"] = described["maxItems"]
        return described

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> Schema:
        """Require the tag, which pydantic does not do without even where it has a default.

        Where a function tells the members apart, a message may fit several.
        """
        union = super().tagged_union_schema(schema)
        if "discriminator" not in union:
            union["anyOf"] = union.pop("oneOf")
        elif self.mode == "validation":
            tag = union["discriminator"]["propertyName"]
            for choice in union["oneOf"]:
                choice["required"] = sorted({*choice.get("required", ()), tag})
        return union

    # --- values that JSON has no type for ---

    def bytes_schema(self, schema: core_schema.BytesSchema) -> Schema:
        """Describe bytes as the text that they are; lengths are those of the text."""
        config = self._config
        encoding = _ENCODINGS[config.val_json_bytes if self.mode == "validation" else config.ser_json_bytes]
        described = {"type": "string", **encoding.keywords}
        if "min_length" in schema:
            described["minLength"] = encoding.least(schema["min_length"])
        if "max_length" in schema:
            described["maxLength"] = encoding.most(schema["max_length"])
        return described

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> Schema:
        """Describe a point in time, which may be without an offset unless the type says otherwise."""
        return _patterned(super().datetime_schema(schema), DATE_TIME)

    def time_schema(self, schema: core_schema.TimeSchema) -> Schema:
        """Describe a time of day."""
        return _patterned(super().time_schema(schema), TIME)

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> Schema:
        """Describe a duration."""
        return _patterned(super().timedelta_schema(schema), DURATION)

    def get_decimal_pattern(self, schema: core_schema.DecimalSchema) -> str:
        """Describe the text of a decimal as it is written, for what is heard too: pydantic takes more spellings."""
        mode, self._mode = self._mode, "serialization"
        pattern = self.build_decimal_pattern({**schema, "allow_inf_nan": False})
        self._mode = mode
        return pattern

    # --- mappings ---

    def _common_dict_schema(self, schema: Any) -> Schema:
        """Describe what keys may look like: in JSON they are text."""
        described: Schema = {"type": "object", "additionalProperties": True}
        if names := self._names(self.generate_inner(schema["keys_schema"]) if "keys_schema" in schema else {}):
            described["propertyNames"] = names
        if values := self.generate_inner(schema["values_schema"]) if "values_schema" in schema else {}:
            described["additionalProperties"] = values
        self.update_with_validations(described, schema, self.ValidationsMapping.object)
        return described

    def _names(self, keys: Schema) -> Schema:
        """Give the schema of texts that stand for keys; what no text stands for is no key that can be heard."""
        if "$ref" in keys:
            named = self.get_schema_from_definitions(keys["$ref"]) or {}
            return keys if named.get("type") == "string" else self._names(named)
        if (union := next((word for word in ("anyOf", "oneOf") if word in keys), None)) is not None:
            return {"anyOf": [self._names(each) for each in keys[union]]}
        values: list[object] | None = [keys["const"]] if "const" in keys else keys.get("enum")
        if values is not None:
            if self.mode == "validation":
                values = [each for each in values if isinstance(each, str)]
            return {"enum": [_written(each) for each in values]}
        kind: object = keys.get("type")
        if kind == "string":
            return {word: each for word, each in keys.items() if word not in ("description", "title", "type")}
        if isinstance(kind, str) and kind in NAMES:
            return {"pattern": NAMES[kind]}
        return {"enum": []} if kind is not None and self.mode == "validation" else {}

    # --- what functions make of values ---

    def ser_schema(self, schema: Any) -> Schema | None:
        """Leave open what a serialiser of the user's own gives, where it does not say."""
        described = super().ser_schema(schema)
        if described is None and schema["type"] in ("function-plain", "function-wrap"):
            module: str = getattr(schema["function"], "__module__", "")
            return None if module.partition(".")[0] == "pydantic" else {}
        return described

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Schema:
        """Leave open what cannot be described."""
        return {}

    def emit_warning(self, kind: Any, detail: str) -> None:
        """Say nothing: an absent default is no news."""

    def encode_default(self, dft: Any) -> Any:
        """Give a default as it would be written, sets in a stable order, or none if JSON cannot say it."""
        plain = _settled(dft, super().encode_default(dft))
        if not _is_json(plain):
            raise PydanticSerializationError("no JSON")
        return plain


@dataclass(frozen=True, slots=True)
class _Encoding:
    """How bytes become text, and how many characters a number of bytes makes, at least and at most."""

    keywords: Schema
    least: Callable[[int], int]
    most: Callable[[int], int]


def _characters_of_base64(count: int) -> int:
    return -(-count // 3) * 4


_ENCODINGS: Final[Mapping[str, _Encoding]] = {
    "base64": _Encoding(
        {"contentEncoding": "base64url", "pattern": BASE64}, _characters_of_base64, _characters_of_base64
    ),
    "hex": _Encoding({"contentEncoding": "base16", "pattern": HEX}, lambda count: 2 * count, lambda count: 2 * count),
    "utf8": _Encoding({}, lambda count: -(-count // 4), lambda count: count),
}


def _patterned(described: Schema, pattern: str) -> Schema:
    return {**described, "pattern": pattern} if described["type"] == "string" else described


def _written(key: object) -> str:
    """Write a key as pydantic does."""
    return str(key).lower() if isinstance(key, bool) else str(key)


def _settled(value: object, plain: Any) -> Any:
    """Put what sets are written as into an order that does not change from process to process."""
    if isinstance(value, BaseModel):
        value = value.model_dump()
    elif is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, AbstractSet):
        return sorted(plain, key=json.dumps)
    if isinstance(value, Mapping) and isinstance(plain, dict):
        pairs = zip(cast(Mapping[object, object], value).values(), cast(Schema, plain).items(), strict=False)
        return {name: _settled(each, written) for each, (name, written) in pairs}
    if isinstance(value, list | tuple) and isinstance(plain, list):
        parts = zip(cast(Iterable[object], value), cast(Iterable[object], plain), strict=False)
        return [_settled(each, written) for each, written in parts]
    return plain


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _tidied(schema: Schema) -> Schema:
    """Say in standard words what pydantic has words of its own for, and drop what JSON cannot say."""
    return rebuilt(schema, _tidied_one)


def _tidied_one(schema: Schema) -> Schema:
    tidy = schema if _is_json(schema) else {word: value for word, value in schema.items() if _is_json(value)}
    if (version := _UUID_FORMAT.fullmatch(str(tidy.get("format")))) is not None:
        tidy.update(format="uuid", pattern=uuid_of_version(version[1]))
    return tidy


_UUID_FORMAT: Final = re.compile("uuid([1-8])")
