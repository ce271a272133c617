"""Message types made usable: pydantic's validator and serialiser of one declared type, built once and kept.

What is known of a type lives here, and the cache; how a message becomes a frame is the codecs' matter.
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
    """All that is known of one message type: its validator, its serialiser, and what its schema may hold.

    Built by `adapter_for`, which keeps it; raises `InvalidMessageType` for a type that pydantic cannot build.
    """

    def __init__(self, form: TypeForm[T]) -> None:
        self._adapter = adapter = _build(form)
        self.form = form
        self.name: str = type_name(form)
        self.core_schema: Mapping[str, Any] = adapter.core_schema
        self.validator: SchemaValidator = cast(SchemaValidator, adapter.validator)
        self.built_with: list[tuple[type[Any], object]] = _validators_in(form)
        # What codecs have made of this type, by codec.
        self.encoders: dict[object, Any] = {}
        self.decoders: dict[object, Any] = {}
        # What reads and writes it, by codec.
        self.readers: dict[object, Any] = {}
        self.writers: dict[object, Any] = {}

    @cached_property
    def members(self) -> "dict[type[Any], MessageAdapter[Any]]":
        """The exact classes that stand plainly in the declared type, each with its adapter.

        An instance of exactly one of them may go through its class's own serialiser, which is twice as fast as the
        union's. A subclass must not: its additional fields are not part of what was declared.
        """
        return {
            member: self if cast(object, self.form) is member else adapter_for(member)
            for member in plain_members(self.form)
        }

    def member_of(self, message: object) -> "MessageAdapter[Any]":
        """Give the adapter of the member that a message is an instance of, exactly or by a subclass; else this one."""
        return next((self.members[class_] for class_ in type(message).__mro__ if class_ in self.members), self)

    @cached_property
    def serializer(self) -> SchemaSerializer:
        """What writes messages."""
        return self._nonfinite_serializer or self._adapter.serializer

    @property
    def may_write_null_for_numbers(self) -> bool:
        """Whether a ``null`` that is written may stand for a non-finite number."""
        return self.may_hold_floats and self._nonfinite_serializer is None

    @cached_property
    def _nonfinite_serializer(self) -> SchemaSerializer | None:
        """What writes a non-finite number as one, so that it can be told from ``None``; there is none of every type.

        Any value, and what functions give, is written as its own class says.
        """
        if not self.may_hold_floats or not (HOLD_NO_FLOATS | {"float"}).issuperset(self._kinds):
            return None
        return nonfinite_serializer(self.core_schema)

    @cached_property
    def may_hold_floats(self) -> bool:
        """Whether a message of this type could hold a non-finite number."""
        return not HOLD_NO_FLOATS.issuperset(self._kinds)

    @cached_property
    def may_hold_free_keys(self) -> bool:
        """Whether a message of this type could have keys that the type does not name."""
        return not NAME_ALL_KEYS.issuperset(self._kinds)

    @cached_property
    def may_hold_unsendable(self) -> bool:
        """Whether what is written has to be looked at: it might hold what no frame may."""
        return self.may_hold_floats or self.may_hold_free_keys

    def is_suspicious(self, data: bytes) -> bool:
        """Whether in what was written there may be what no frame may hold."""
        return is_suspicious(data, is_null=self.may_write_null_for_numbers, is_key=self.may_hold_free_keys)

    @cached_property
    def by_alias(self) -> bool | None:
        """Whether it goes out by alias: unless a model says ``serialize_by_alias=False``; ``None`` without aliases.

        One answer for the whole type: where models in a container disagree, all go out by alias.
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
            return [getattr(self.form, "model_config", None) or getattr(self.form, "__pydantic_config__", {})]
        return [node["config"] for node in nodes(self.core_schema) if "config" in node]

    @cached_property
    def lists(self) -> frozenset[str]:
        """The names, as the peer writes them, of the fields that take several values."""
        many = ((name, field) for name, field in fields_of(self.core_schema) if takes_many(field))
        return frozenset(each for name, field in many for each in names_of(name, field))

    @cached_property
    def _kinds(self) -> frozenset[str]:
        return frozenset(kind for node in nodes(self.core_schema) for kind in kinds_of(node))

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(word for node in nodes(self.core_schema) for word in words_in(node))

    def names_field(self, word: str) -> bool:
        """Whether ``word`` stands in the declared type, so that it may be told to the peer."""
        return word in self._words

    def to_plain(self, message: T) -> Any:
        """Serialise to plain values, as JSON would have them.

        :raises UnsendableMessage: for a message that is not of this type, or holds what no frame may
        """
        if (member := self.member_of(message)) is not self:
            return member.to_plain(message)
        self.check(message)
        # An exact member is trusted, as everywhere, to hold what its fields declare.
        warnings: Literal["warn", "error"] = "warn" if type(message) in self.members else "error"
        try:
            plain = self.serializer.to_python(message, mode="json", by_alias=self.by_alias, warnings=warnings)
            is_clear = not self.may_hold_unsendable or not self.is_suspicious(to_json(plain, inf_nan_mode="constants"))
        except Exception as error:  # a serialiser or a property of the user's own may raise anything
            raise self.serialization_error(message, error) from error
        if not is_clear:
            # Only the message itself tells: of any type, None may be written for a number, and U+FFFD in a key.
            value = self.serializer.to_python(message, by_alias=self.by_alias, warnings=False)
            if (refused := find_unsendable(value, plain)) is not None:
                raise refused
        return plain

    def from_plain(self, plain: object, syntax: str) -> T:
        """Validate plain values as if they had come as JSON, so that a type means the same in every mode.

        :raises InvalidMessage: for a value that fails validation
        """
        try:
            data = to_json(plain, inf_nan_mode="constants")
        except (PydanticSerializationError, ValueError, RecursionError):  # bytes that are no text, say
            return self._from_plain_beyond_json(plain, syntax)
        try:
            return cast(T, self.validator.validate_json(data))
        except ValidationError as error:
            raise self.validation_error(error, syntax) from None

    def _from_plain_beyond_json(self, plain: object, syntax: str) -> T:
        try:
            return cast(T, self.validator.validate_python(plain))
        except ValidationError as error:
            raise self.validation_error(error, syntax) from None
        except Exception as error:  # a validator met what no JSON would have brought it
            raise InvalidMessage("malformed", self.name, f"{syntax} that holds what JSON does not have") from error

    def check(self, message: object) -> None:
        """Refuse what is not of this type, as far as can be told without running anybody's functions.

        Serialisers alone will not do: they take ``None`` for anything, an incomplete ``TypedDict``, and any model for
        another, of which they send the fields that both have.

        :raises UnsendableMessage: naming both types
        """
        if type(message) in self.members:
            return
        if _is_model(self.form) and not isinstance(message, self.form):
            raise UnsendableMessage(self.name, type(message).__name__)
        if self._is_checkable and not self.validator.isinstance_python(
            message, strict=True, by_alias=False, by_name=True
        ):
            raise UnsendableMessage(self.name, f"a {type(message).__name__} that fails validation")

    @cached_property
    def _is_checkable(self) -> bool:
        """Whether strict validation only looks at a message: it runs no function and parses nothing."""
        return RUN_CODE_OR_PARSE.isdisjoint(
            kind for node in nodes(self.core_schema, CLASSES) for kind in kinds_of(node)
        )

    def serialization_error(self, message: object, error: Exception) -> UnsendableMessage:
        """Translate pydantic's refusal to serialise."""
        if "surrogates not allowed" in str(error):
            return UnsendableMessage(ENCODABLE_TEXT, "a lone surrogate")
        return UnsendableMessage(self.name, f"a {type(message).__name__} that does not serialise as that")

    def validation_error(self, error: ValidationError, syntax: str) -> InvalidMessage:
        """Translate pydantic's refusal to validate; ``syntax`` names what a malformed message is not."""
        if error.error_count() == 1:
            [detail] = error.errors(include_url=False, include_context=False, include_input=False)
            if detail["type"] == "json_invalid" and not detail["loc"]:
                return InvalidMessage("malformed", self.name, f"malformed {syntax}", error)
        return InvalidMessage("invalid", self.name, "a message that fails validation", error, self.names_field)


def _is_model(form: object) -> TypeGuard[type[BaseModel]]:
    return is_class(form) and issubclass(form, BaseModel)


# --- building and keeping ---


class _Nothing:
    """Stands for ``Never``, which pydantic does not build: every message is refused."""

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
        if not adapter.pydantic_complete:
            adapter.rebuild(raise_errors=True)
    except _UNBUILDABLE as error:
        raise InvalidMessageType(type_name(form), str(error).partition("\n")[0]) from error
    return adapter


_LIMIT: Final = 256
_HOME: Final = "__typedws_adapters__"
_Cache = dict[Hashable, MessageAdapter[Any]]
_homeless: _Cache = {}
_lock: Final = threading.Lock()


def adapter_for(form: TypeForm[T]) -> MessageAdapter[T]:
    """Give the adapter of a message type, built at its first use.

    What is built is kept on the first class of the user's own that the type names, so that it goes when the class
    goes, else in one table of the process. Each keeps at most 256 types, of which the oldest goes first.
    """
    adapter: MessageAdapter[Any] | None
    if is_class(form) and (cache := form.__dict__.get(_HOME)) is not None:
        key: Hashable = id(form)
    else:
        if (adapter := _known_for(form)) is not None:
            return adapter
        key, cache = identity(form), _cache_of(cache_owner(form))
    adapter = cache.get(key)
    if adapter is None or _is_stale(adapter):
        adapter = MessageAdapter(form)
        with _lock:
            cache[key] = adapter
            if len(cache) > _LIMIT:
                del cache[next(iter(cache))]
    _remember(form, adapter)
    return adapter


_Known: TypeAlias = tuple["ref[Any]", "ref[MessageAdapter[Any]]"]
_known: Final[dict[int, _Known]] = {}
"""The adapters of forms that were asked for, by ``id``: to read a form takes long. None is kept alive by it."""


def _known_for(form: object) -> MessageAdapter[Any] | None:
    found = _known.get(id(form))
    if found is None or found[0]() is not form:
        return None
    adapter = found[1]()
    return None if adapter is None or _is_stale(adapter) else adapter


def _remember(form: object, adapter: MessageAdapter[Any]) -> None:
    key = id(form)
    with suppress(TypeError):  # a union is not to be referred to weakly
        _known[key] = ref(form, lambda _: _known.pop(key, None)), ref(adapter)


def adapter_for_value(value: object) -> MessageAdapter[Any] | None:
    """Give the adapter of a value's own class, if pydantic made that a serialiser: a model, a pydantic dataclass."""
    class_: type[Any] = type(value)
    return adapter_for(class_) if hasattr(class_, "__pydantic_serializer__") else None


def _cache_of(home: type[Any] | None) -> _Cache:
    if home is None:
        return _homeless
    cache: _Cache | None = home.__dict__.get(_HOME)
    if cache is None:
        cache = {}
        try:
            setattr(home, _HOME, cache)
        except (TypeError, AttributeError):
            return _homeless
    return cache


def _validators_in(form: object) -> list[tuple[type[Any], object]]:
    """Give the classes in a form that pydantic made validators for, with these: they change with ``model_rebuild``."""
    found = ((class_, class_.__dict__.get("__pydantic_validator__")) for class_ in classes_in(form))
    return [(class_, validator) for class_, validator in found if validator is not None]


def _is_stale(adapter: MessageAdapter[Any]) -> bool:
    return any(class_.__dict__.get("__pydantic_validator__") is not old for class_, old in adapter.built_with)


M = TypeVar("M")


_MOST_CODECS: Final = 16


def memoized(
    made: dict[object, Any], key: object, make: Callable[[MessageAdapter[T]], M], adapter: MessageAdapter[T]
) -> M:
    """Give what was made of a message type before, under ``key``, else make it."""
    found: M | None = made.get(key)
    if found is None:
        if len(made) >= _MOST_CODECS:  # somebody makes a codec for each call
            made.clear()
        found = made[key] = make(adapter)
    return found
