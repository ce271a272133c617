"""The adapter of one message type, with pydantic's validator and serializer, and the cache of adapters.

Facts about a type live here. `typedws.codecs` turns messages into frames.
"""

import threading
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any, Final, Generic, Literal, TypeAlias, TypeGuard, cast
from weakref import ref

from pydantic import (
    BaseModel,
    GetCoreSchemaHandler,
    PydanticSchemaGenerationError,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
)
from pydantic.errors import PydanticUndefinedAnnotation
from pydantic_core import (
    CoreSchema,
    PydanticSerializationError,
    SchemaError,
    SchemaSerializer,
    SchemaValidator,
    core_schema,
    to_json,
)
from typing_extensions import TypeForm, TypeVar

from typedws._messages.core_schema import (
    CLASSES,
    HOLD_NO_FLOATS,
    NAME_ALL_KEYS,
    RUN_CODE_OR_PARSE,
    fields_of,
    kinds_of,
    names_of,
    nodes,
    takes_many,
    words_in,
)
from typedws._messages.nonfinite import find_unsendable, is_suspicious
from typedws._messages.nonfinite_serializer import nonfinite_serializer
from typedws._messages.type_forms import cache_owner, classes_in, identity, is_class, is_never, plain_members, type_name
from typedws._protocol.text import ENCODABLE_TEXT
from typedws.exceptions import InvalidMessage, InvalidMessageType, UnsendableMessage

__all__ = ["MessageAdapter", "adapter_for", "adapter_for_value", "memoized"]

T = TypeVar("T")


class MessageAdapter(Generic[T]):
    """One message type: its validator, its serializer, and facts about what its messages may contain.

    `adapter_for` builds and caches it. Codecs read these attributes: ``form`` is the type form, ``name`` the type as
    its author would write it, ``core_schema`` pydantic's core schema, ``validator`` and ``serializer`` the objects of
    pydantic-core that validate and serialize messages.

    :param form: the type form, anything that pydantic can validate: a model, a union, ``list[Order]``, ...
    :raises InvalidMessageType: if pydantic cannot build the type
    """

    def __init__(self, form: TypeForm[T]) -> None:
        self._adapter = adapter = _build(form)
        self.form = form
        self.name: str = type_name(form)
        self.core_schema: Mapping[str, Any] = adapter.core_schema
        self.validator: SchemaValidator = cast(SchemaValidator, adapter.validator)
        self.built_with: list[tuple[type[Any], object]] = _validators_in(form)
        # Filled by `memoized`: the functions that encode and decode this type, by codec.
        self.encoders: dict[object, Any] = {}
        self.decoders: dict[object, Any] = {}
        # Filled by `memoized`: the `Reader` and the `Writer` of this type, by codec.
        self.readers: dict[object, Any] = {}
        self.writers: dict[object, Any] = {}

    @cached_property
    def members(self) -> "dict[type[Any], MessageAdapter[Any]]":
        """The model and dataclass classes of the declared type, on their own or in a union, with their adapters.

        A message whose exact class is a key may be written by the serializer of that class, which is twice as fast as
        the serializer of the union. An instance of a subclass must not be written by the serializer of its own class:
        the additional fields of the subclass are not part of the declared type.
        """
        return {
            member: self if cast(object, self.form) is member else adapter_for(member)
            for member in plain_members(self.form)
        }

    def member_of(self, message: object) -> "MessageAdapter[Any]":
        """Return the adapter of the member that a message is an instance of, itself or by a subclass, or this one."""
        return next((self.members[class_] for class_ in type(message).__mro__ if class_ in self.members), self)

    @cached_property
    def serializer(self) -> SchemaSerializer:
        """The serializer of messages. It writes ``NaN`` for a non-finite number if such a serializer can be built."""
        return self._nonfinite_serializer or self._adapter.serializer

    @property
    def may_write_null_for_numbers(self) -> bool:
        """Whether a ``null`` in serialized data may stand for a non-finite number."""
        return self.may_hold_floats and self._nonfinite_serializer is None

    @cached_property
    def _nonfinite_serializer(self) -> SchemaSerializer | None:
        """The serializer that writes ``NaN`` for a non-finite number instead of ``null``, or ``None`` without one.

        Such a serializer exists only for types whose every value has a declared type. A field of type ``Any`` and the
        result of a serializer function are written by the serializer of their own class, which writes ``null``.
        """
        if not self.may_hold_floats or not (HOLD_NO_FLOATS | {"float"}).issuperset(self._kinds):
            return None
        return nonfinite_serializer(self.core_schema)

    @cached_property
    def may_hold_floats(self) -> bool:
        """Whether a message of this type may contain a non-finite number."""
        return not HOLD_NO_FLOATS.issuperset(self._kinds)

    @cached_property
    def may_hold_free_keys(self) -> bool:
        """Whether a message of this type may have keys that the type does not name."""
        return not NAME_ALL_KEYS.issuperset(self._kinds)

    @cached_property
    def may_hold_unsendable(self) -> bool:
        """Whether serialized messages need a check for non-finite numbers and for lone surrogates in keys."""
        return self.may_hold_floats or self.may_hold_free_keys

    def is_suspicious(self, data: bytes) -> bool:
        """Whether serialized data may stand for a non-finite number or a lone surrogate in a key.

        It may also be true of harmless data: `to_plain` decides.
        """
        return is_suspicious(data, is_null=self.may_write_null_for_numbers, is_key=self.may_hold_free_keys)

    @cached_property
    def by_alias(self) -> bool | None:
        """Whether messages are serialized by alias, or ``None`` if the type has no aliases.

        They are, unless every configuration in the type sets ``serialize_by_alias=False``. The answer holds for the
        whole type: if the models in a container disagree, all of them are serialized by alias.
        """
        has_aliases = any("serialization_alias" in node or "alias" in node for node in nodes(self.core_schema))
        if not has_aliases and "any" not in self._kinds:
            return None
        return not (configs := self._configs) or any(
            config.get("serialize_by_alias") is not False for config in configs
        )

    @property
    def _configs(self) -> list[Mapping[str, Any]]:
        if is_class(self.form):
            # A class decides for the models nested in it: one serialization has one flag.
            return [getattr(self.form, "model_config", None) or getattr(self.form, "__pydantic_config__", {})]
        return [node["config"] for node in nodes(self.core_schema) if "config" in node]

    @cached_property
    def lists(self) -> frozenset[str]:
        """The names and aliases, as the peer writes them, of the fields that take several values."""
        many = ((name, field) for name, field in fields_of(self.core_schema) if takes_many(field))
        return frozenset(each for name, field in many for each in names_of(name, field))

    @cached_property
    def _kinds(self) -> frozenset[str]:
        return frozenset(kind for node in nodes(self.core_schema) for kind in kinds_of(node))

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(word for node in nodes(self.core_schema) for word in words_in(node))

    def names_field(self, word: str) -> bool:
        """Whether ``word`` occurs in the declared type, so that an error report may repeat it to the peer."""
        return word in self._words

    def to_plain(self, message: T) -> Any:
        """Return a message as plain values, in the form that they have in JSON.

        :raises UnsendableMessage: if the message is not of this type, cannot be serialized, or contains a non-finite
            number or a lone surrogate
        """
        if (member := self.member_of(message)) is not self:
            return member.to_plain(message)
        self.check(message)
        # An exact member is trusted to hold values of its declared field types, as on the fast path. For any other
        # message a warning is an error: pydantic only warns when a value does not match the type.
        warnings: Literal["warn", "error"] = "warn" if type(message) in self.members else "error"
        try:
            plain = self.serializer.to_python(message, mode="json", by_alias=self.by_alias, warnings=warnings)
            is_clear = not self.may_hold_unsendable or not self.is_suspicious(to_json(plain, inf_nan_mode="constants"))
        except Exception as error:  # a user's serializer or property may raise anything
            raise self.serialization_error(message, error) from error
        if not is_clear:
            # ``null`` and U+FFFD may be legitimate. Only the values before serialization show whether one of them
            # replaced a number or a surrogate in a key.
            value = self.serializer.to_python(message, by_alias=self.by_alias, warnings=False)
            if (unsendable := find_unsendable(value, plain)) is not None:
                raise unsendable
        return plain

    def from_plain(self, plain: object, syntax: str) -> T:
        """Return the message that plain values stand for, validated as if they had arrived as JSON.

        So a type means the same in every mode: a strict model takes a ``datetime`` or a tuple from any format.

        :param syntax: the name of the format, for error messages
        :raises InvalidMessage: if the value fails validation
        """
        try:
            data = to_json(plain, inf_nan_mode="constants")
        except (PydanticSerializationError, ValueError, RecursionError):  # e.g. bytes that are not UTF-8
            return self._from_plain_beyond_json(plain, syntax)
        try:
            return cast(T, self.validator.validate_json(data))
        except ValidationError as error:
            # From None: the text of pydantic's error repeats the message, and a traceback would show it.
            raise self.validation_error(error, syntax) from None

    def _from_plain_beyond_json(self, plain: object, syntax: str) -> T:
        try:
            return cast(T, self.validator.validate_python(plain))
        except ValidationError as error:
            raise self.validation_error(error, syntax) from None
        except Exception as error:  # a user's validator may fail on a value that JSON cannot contain
            raise InvalidMessage("malformed", self.name, f"{syntax} with a value that JSON does not have") from error

    def check(self, message: object) -> None:
        """Raise if a message is not of this type, as far as this shows without running a user's functions.

        Serializers do not check this. They accept ``None`` for any type and an incomplete ``TypedDict``. They accept
        any model in place of another, and send the fields that both have.

        :raises UnsendableMessage: if the message is not of this type; the error names both types
        """
        if type(message) in self.members:
            return
        if _is_model(self.form) and not isinstance(message, self.form):
            raise UnsendableMessage(self.name, type(message).__name__)
        # By name: the keys of a ``TypedDict`` in Python are its field names, whatever their aliases.
        if self._is_checkable and not self.validator.isinstance_python(
            message, strict=True, by_alias=False, by_name=True
        ):
            raise UnsendableMessage(self.name, f"a {type(message).__name__} that fails validation")

    @cached_property
    def _is_checkable(self) -> bool:
        """Whether strict validation has no side effects: it runs no function of a user and parses nothing."""
        return RUN_CODE_OR_PARSE.isdisjoint(
            kind for node in nodes(self.core_schema, CLASSES) for kind in kinds_of(node)
        )

    def serialization_error(self, message: object, error: Exception) -> UnsendableMessage:
        """Return the `UnsendableMessage` for a message that could not be serialized."""
        # pydantic-core has no error type for this: only the text of its error shows that UTF-8 was the problem.
        if "surrogates not allowed" in str(error):
            return UnsendableMessage(ENCODABLE_TEXT, "a lone surrogate")
        return UnsendableMessage(self.name, f"a {type(message).__name__} that cannot be serialized as that type")

    def validation_error(self, error: ValidationError, syntax: str) -> InvalidMessage:
        """Return the `InvalidMessage` for a message that failed validation.

        :param syntax: the name of the format, for the error of a malformed message
        """
        if error.error_count() == 1:
            [detail] = error.errors(include_url=False, include_context=False, include_input=False)
            # With a location, the malformed JSON is the text of a field of type ``Json``: the message itself is JSON.
            if detail["type"] == "json_invalid" and not detail["loc"]:
                return InvalidMessage("malformed", self.name, f"malformed {syntax}", error)
        return InvalidMessage("invalid", self.name, "a message that fails validation", error, self.names_field)


def _is_model(form: object) -> TypeGuard[type[BaseModel]]:
    return is_class(form) and issubclass(form, BaseModel)


# --- building and caching ---


class _Nothing:
    """Replaces ``Never``, for which pydantic cannot build a schema. Validation refuses every message."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            core_schema.is_instance_schema(cls),
            custom_error_type="never",
            custom_error_message="No message is expected",
        )


_UNBUILDABLE: Final = (
    PydanticUndefinedAnnotation,
    PydanticSchemaGenerationError,
    PydanticUserError,
    SchemaError,
    AssertionError,
    TypeError,  # two members of a union with one tag
)


def _build(form: Any) -> TypeAdapter[Any]:
    try:
        adapter = TypeAdapter[Any](_Nothing if is_never(form) else form)
        # A model with an unresolved forward reference gets a placeholder, which fails at the first message. Rebuild
        # it here, so that the error is raised when the adapter is built.
        if not adapter.pydantic_complete:
            adapter.rebuild(raise_errors=True)
    except _UNBUILDABLE as error:
        raise InvalidMessageType(type_name(form), str(error).partition("\n")[0]) from error
    return adapter


_MAX_TYPES: Final = 256
_CACHE_ATTRIBUTE: Final = "__typedws_adapters__"
_Cache = dict[Hashable, MessageAdapter[Any]]
_shared_cache: _Cache = {}
_lock: Final = threading.Lock()


def adapter_for(form: TypeForm[T]) -> MessageAdapter[T]:
    """Return the adapter of a message type, built at the first use of the type.

    Adapters are cached on the first class in the type that is not from the standard library, so that they are freed
    with that class. A type without such a class is cached in one table of the process. Each cache holds at most 256
    types and drops the oldest first.

    :raises InvalidMessageType: if pydantic cannot build the type
    """
    adapter: MessageAdapter[Any] | None
    # Not getattr(): a subclass must not use the cache of its base class, which would keep the subclass alive.
    if is_class(form) and (cache := form.__dict__.get(_CACHE_ATTRIBUTE)) is not None:
        key: Hashable = id(form)
    else:
        if (adapter := _known_for(form)) is not None:
            return adapter
        key, cache = identity(form), _cache_of(cache_owner(form))
    adapter = cache.get(key)
    if adapter is None or _is_stale(adapter):
        # Two threads may both build a type, and the later one is cached. The lock is not held while building, which
        # runs code of the user. It keeps two threads from evicting the same entry.
        adapter = MessageAdapter(form)
        with _lock:
            cache[key] = adapter
            if len(cache) > _MAX_TYPES:
                del cache[next(iter(cache))]
    _remember(form, adapter)
    return adapter


_Known: TypeAlias = tuple["ref[Any]", "ref[MessageAdapter[Any]]"]
_known: Final[dict[int, _Known]] = {}
"""The adapters of the type forms that are alive, by ``id(form)``: this saves computing `identity`, which is slow.

Both references are weak. A strong reference to the form or to the adapter would keep the user's class alive for ever.
"""


def _known_for(form: object) -> MessageAdapter[Any] | None:
    entry = _known.get(id(form))
    # Compare the form itself: after a form is freed, another one may get its address, and so its ``id``.
    if entry is None or entry[0]() is not form:
        return None
    adapter = entry[1]()
    return None if adapter is None or _is_stale(adapter) else adapter


def _remember(form: object, adapter: MessageAdapter[Any]) -> None:
    key = id(form)
    with suppress(TypeError):  # ``A | B`` supports no weak references: its identity is computed each time
        # The callback keeps the table from growing with every annotation that is evaluated inside a function.
        _known[key] = ref(form, lambda _: _known.pop(key, None)), ref(adapter)


def adapter_for_value(value: object) -> MessageAdapter[Any] | None:
    """Return the adapter of the class of a value, or ``None`` unless it is a model or a pydantic dataclass."""
    class_: type[Any] = type(value)
    return adapter_for(class_) if hasattr(class_, "__pydantic_serializer__") else None


def _cache_of(owner: type[Any] | None) -> _Cache:
    if owner is None:
        return _shared_cache
    cache: _Cache | None = owner.__dict__.get(_CACHE_ATTRIBUTE)
    if cache is None:
        cache = {}
        try:
            setattr(owner, _CACHE_ATTRIBUTE, cache)
        except (TypeError, AttributeError):  # a class of an extension module, or a metaclass that refuses it
            return _shared_cache
    return cache


def _validators_in(form: object) -> list[tuple[type[Any], object]]:
    """Return the classes in a type form that have a validator of pydantic's, each with that validator."""
    pairs = ((class_, class_.__dict__.get("__pydantic_validator__")) for class_ in classes_in(form))
    return [(class_, validator) for class_, validator in pairs if validator is not None]


def _is_stale(adapter: MessageAdapter[Any]) -> bool:
    # ``model_rebuild`` replaces this private attribute of the class. Without the check, messages of a rebuilt model
    # would still be validated by its old fields.
    return any(class_.__dict__.get("__pydantic_validator__") is not old for class_, old in adapter.built_with)


M = TypeVar("M")


_MAX_CODECS: Final = 16


def memoized(
    results: dict[object, Any], key: object, make: Callable[[MessageAdapter[T]], M], adapter: MessageAdapter[T]
) -> M:
    """Return the result stored under ``key``, or call ``make`` with the adapter and store its result.

    :param results: one of the four dictionaries of a `MessageAdapter`
    :param key: usually the codec
    """
    result: M | None = results.get(key)
    if result is None:
        if len(results) >= _MAX_CODECS:  # an application that makes a new codec for each call would fill memory
            results.clear()
        result = results[key] = make(adapter)
    return result
