"""The generator of JSON Schemas for message types. The names of definitions are chosen in `definitions`.

The schemas are pydantic's, by direction: a type that is received is described as it validates, a type that is sent as
it serializes. Where pydantic's description differs from what pydantic reads or writes, or leaves it open, a method here
corrects it.
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
"""Whether the server receives a message or sends it."""

_MODES: Final[Mapping[Direction, Literal["validation", "serialization"]]] = {
    "receive": "validation",
    "send": "serialization",
}


def generated(adapter: MessageAdapter[Any], direction: Direction) -> tuple[Schema, dict[str, Schema]]:
    """Return the schema of a message type, and the definitions that it refers to, by their keys.

    A key is pydantic's reference to the type, which differs from process to process, and the direction.
    """
    mode = _MODES[direction]
    core: Any = adapter.core_schema
    schemas, definitions = _Generator(adapter, direction).generate_definitions([("", mode, core)])
    return _tidied(schemas["", mode]), {key: _tidied(schema) for key, schema in definitions.items()}


class _Generator(GenerateJsonSchema):
    """A generator of one schema, with corrections to pydantic's.

    Methods without an underscore are pydantic's public extension points. ``_common_dict_schema``, ``_config``,
    ``_mode`` and ``_prioritized_defsref_choices`` are private details of pydantic: check them when it changes.
    """

    def __init__(self, adapter: MessageAdapter[Any], direction: Direction) -> None:
        self._uses_aliases = direction == "receive" or adapter.by_alias is not False
        # Not by_alias=None: pydantic would then choose by its own configuration, and overrule `_inside`.
        super().__init__(by_alias=self._uses_aliases)
        self._class_uses_aliases = {class_: member.by_alias is not False for class_, member in adapter.members.items()}
        self._depth = 0

    # --- names ---

    def get_defs_ref(self, core_mode_ref: Any) -> Any:
        """Return a unique key for a definition; readable names come later, from `Definitions.named`."""
        core_ref, mode = core_mode_ref
        key = f"{core_ref} {'receive' if mode == 'validation' else 'send'}"
        # In the end pydantic renames definitions to shorter choices. With the key as the only choice, it is kept.
        self._prioritized_defsref_choices[cast(Any, key)] = [cast(Any, key)]
        return key

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return ``False``: a field's title would only repeat its name."""
        return False

    # --- which fields, under which names ---

    def field_is_required(self, field: Any, total: bool) -> bool:
        """Whether a field is required: when sent, every field that is always written, with or without a default."""
        if self.mode == "validation" or field["type"] == "typed-dict-field":
            return super().field_is_required(field, total)
        # MISSING, and what exclude_if matches, is not written. `field_is_present` leaves out excluded fields before.
        may_be_missing = any(node.get("type") == "missing-sentinel" for node in nodes(field["schema"]))
        return field.get("serialization_exclude_if") is None and not may_be_missing

    def model_schema(self, schema: core_schema.ModelSchema) -> Schema:
        """Describe a model with the field names that are on the wire."""
        with self._inside(schema["cls"]):
            return super().model_schema(schema)

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> Schema:
        """Describe a dataclass like a model."""
        with self._inside(schema["cls"]):
            return super().dataclass_schema(schema)

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> Schema:
        """Describe a ``TypedDict`` like a model."""
        with self._inside(schema.get("cls")):
            return super().typed_dict_schema(schema)

    @contextmanager
    def _inside(self, class_: type[Any] | None) -> Generator[None]:
        """Use aliases or not: by each class's own configuration when received, by the whole message's when sent."""
        before = self._uses_aliases
        config: Any = getattr(class_, "model_config", getattr(class_, "__pydantic_config__", None))
        if self.mode == "serialization":
            # Messages are written with one by_alias for all that is in them: only the outermost class has a choice.
            self._uses_aliases = (
                before if self._depth or class_ is None else self._class_uses_aliases.get(class_, before)
            )
        elif config is not None:  # a class without a configuration uses that of the class around it
            self._uses_aliases = config.get("validate_by_alias") is not False
        self.by_alias = self._uses_aliases
        self._depth += 1
        yield
        self._depth -= 1
        self.by_alias = self._uses_aliases = before

    def named_tuple_schema(self, schema: core_schema.NamedTupleSchema) -> Schema:
        """Describe a named tuple, which is sent with all of its fields."""
        described = super().named_tuple_schema(schema)
        if self.mode == "serialization":
            described["minItems"] = described["maxItems"]
        return described

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> Schema:
        """Require the tag: pydantic validates no message without it, even if it has a default.

        Without one tag for all members, as when a function selects the member, a message may be valid for several of
        them: ``anyOf`` instead of ``oneOf``.
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
        """Describe bytes as the text that they are on the wire; limits are in characters of that text."""
        config = self._config
        encoding = _ENCODINGS[config.val_json_bytes if self.mode == "validation" else config.ser_json_bytes]
        described = {"type": "string", **encoding.keywords}
        if "min_length" in schema:
            described["minLength"] = encoding.min_characters(schema["min_length"])
        if "max_length" in schema:
            described["maxLength"] = encoding.max_characters(schema["max_length"])
        return described

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> Schema:
        """Describe a date with a time, whose offset is optional."""
        return _patterned(super().datetime_schema(schema), DATE_TIME)

    def time_schema(self, schema: core_schema.TimeSchema) -> Schema:
        """Describe a time of day."""
        return _patterned(super().time_schema(schema), TIME)

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> Schema:
        """Describe a duration."""
        return _patterned(super().timedelta_schema(schema), DURATION)

    def get_decimal_pattern(self, schema: core_schema.DecimalSchema) -> str:
        """Return the pattern of a decimal as pydantic writes it, for both directions; it also reads other spellings."""
        # The method below chooses by the mode, and the mode has no public setter.
        mode, self._mode = self._mode, "serialization"
        pattern = self.build_decimal_pattern({**schema, "allow_inf_nan": False})
        self._mode = mode
        return pattern

    # --- mappings ---

    def _common_dict_schema(self, schema: Any) -> Schema:
        """Describe a mapping with its keys as text, which they are in JSON.

        Pydantic describes all kinds of mappings here, and keys only if they are strings.
        """
        described: Schema = {"type": "object", "additionalProperties": True}
        if names := self._property_names(self.generate_inner(schema["keys_schema"]) if "keys_schema" in schema else {}):
            described["propertyNames"] = names
        if values := self.generate_inner(schema["values_schema"]) if "values_schema" in schema else {}:
            described["additionalProperties"] = values
        self.update_with_validations(described, schema, self.ValidationsMapping.object)
        return described

    def _property_names(self, keys: Schema) -> Schema:
        """Return the schema of a mapping's keys as text, without a type, since names of properties are always text.

        :param keys: the schema of the keys as values
        """
        if "$ref" in keys:
            # In a recursive type the definition may not be there yet: then any key is valid.
            definition = self.get_schema_from_definitions(keys["$ref"]) or {}
            return keys if definition.get("type") == "string" else self._property_names(definition)
        if (union := next((keyword for keyword in ("anyOf", "oneOf") if keyword in keys), None)) is not None:
            return {"anyOf": [self._property_names(each) for each in keys[union]]}
        values: list[object] | None = [keys["const"]] if "const" in keys else keys.get("enum")
        if values is not None:
            if self.mode == "validation":  # pydantic parses no key to compare it with a constant: "1" is not 1
                values = [each for each in values if isinstance(each, str)]
            return {"enum": [_key_text(each) for each in values]}
        kind: object = keys.get("type")
        if kind == "string":
            return {keyword: each for keyword, each in keys.items() if keyword not in ("description", "title", "type")}
        if isinstance(kind, str) and kind in NAMES:
            return {"pattern": NAMES[kind]}
        # No text validates as an array, an object or null: as keys they can only be sent.
        return {"enum": []} if kind is not None and self.mode == "validation" else {}

    # --- values that are made by functions, or unknown ---

    def ser_schema(self, schema: Any) -> Schema | None:
        """Describe the result of the user's own serializer without a return annotation as any value."""
        described = super().ser_schema(schema)
        if described is None and schema["type"] in ("function-plain", "function-wrap"):
            # For pydantic's own types, such as SecretStr, None makes pydantic describe the type itself.
            module: str = getattr(schema["function"], "__module__", "")
            return None if module.partition(".")[0] == "pydantic" else {}
        return described

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Schema:
        """Describe a type that pydantic cannot describe as any value, instead of raising."""
        return {}

    def emit_warning(self, kind: Any, detail: str) -> None:
        """Ignore warnings, which are about defaults, choices and discriminators that the schema leaves out."""

    def encode_default(self, dft: Any) -> Any:
        """Return a default as it would be written, with sets in a stable order.

        :raises PydanticSerializationError: if JSON has no such value; pydantic then leaves the default out
        """
        plain = _with_sorted_sets(dft, super().encode_default(dft))
        if not _is_json(plain):
            raise PydanticSerializationError("no JSON")
        return plain


@dataclass(frozen=True, slots=True)
class _Encoding:
    """An encoding of bytes as text, with the least and the greatest number of characters for a number of bytes."""

    keywords: Schema
    min_characters: Callable[[int], int]
    max_characters: Callable[[int], int]


def _characters_of_base64(count: int) -> int:
    return -(-count // 3) * 4  # -(-a // b) rounds up: three bytes, or a rest of them, are four characters


_ENCODINGS: Final[Mapping[str, _Encoding]] = {
    "base64": _Encoding(
        {"contentEncoding": "base64url", "pattern": BASE64}, _characters_of_base64, _characters_of_base64
    ),
    "hex": _Encoding({"contentEncoding": "base16", "pattern": HEX}, lambda count: 2 * count, lambda count: 2 * count),
    # A character of JSON text is one to four bytes of UTF-8.
    "utf8": _Encoding({}, lambda count: -(-count // 4), lambda count: count),
}


def _patterned(described: Schema, pattern: str) -> Schema:
    # With ser_json_temporal="seconds", it is sent as a number.
    return {**described, "pattern": pattern} if described["type"] == "string" else described


def _key_text(key: object) -> str:
    """Return a key as pydantic writes it."""
    return str(key).lower() if isinstance(key, bool) else str(key)


def _with_sorted_sets(value: object, plain: Any) -> Any:
    """Return ``plain``, which is ``value`` as pydantic writes it, with the lists that were sets in sorted order.

    A set of strings is iterated in another order in each process, which would change the documents.
    """
    if isinstance(value, BaseModel):
        value = value.model_dump()
    elif is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, AbstractSet):
        return sorted(plain, key=json.dumps)
    if isinstance(value, Mapping) and isinstance(plain, dict):
        # By position: fields may be written under an alias.
        pairs = zip(cast(Mapping[object, object], value).values(), cast(Schema, plain).items(), strict=False)
        return {name: _with_sorted_sets(each, written) for each, (name, written) in pairs}
    if isinstance(value, list | tuple) and isinstance(plain, list):
        parts = zip(cast(Iterable[object], value), cast(Iterable[object], plain), strict=False)
        return [_with_sorted_sets(each, written) for each, written in parts]
    return plain


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _tidied(schema: Schema) -> Schema:
    """Replace pydantic's own formats by standard keywords, and drop values that JSON does not have, such as NaN."""
    return rebuilt(schema, _tidied_one)


def _tidied_one(schema: Schema) -> Schema:
    tidy = schema if _is_json(schema) else {keyword: value for keyword, value in schema.items() if _is_json(value)}
    if (version := _UUID_FORMAT.fullmatch(str(tidy.get("format")))) is not None:
        tidy.update(format="uuid", pattern=uuid_of_version(version[1]))
    return tidy


_UUID_FORMAT: Final = re.compile("uuid([1-8])")  # pydantic's; JSON Schema has "uuid" only
