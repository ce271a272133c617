"""Message types made usable: pydantic's validator and serialiser of one declared type, built once and kept.

What is known of a type lives here, and the cache; how a message becomes a frame is the codecs' matter.
"""

import threading
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final, Generic, Literal, TypeGuard, cast

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
    SchemaSerializer,
    SchemaValidator,
    core_schema,
    to_json,
)
from typing_extensions import TypeForm, TypeVar

from typedws.errors import InvalidMessage, InvalidMessageType, UnsendableMessage
from typedws.sendable import ENCODABLE_TEXT, find_unsendable, is_suspicious
from typedws.typeforms import home_of, identity, is_class, is_nothing, plain_members, type_name

__all__ = ["MessageAdapter", "adapter_for"]

T = TypeVar("T")


class MessageAdapter(Generic[T]):
    """All that is known of one message type: its validator, its serialiser, and what its schema may hold.

    Built by `adapter_for`, which keeps it; raises `InvalidMessageType` for a type that pydantic cannot build.
    """

    def __init__(self, form: TypeForm[T]) -> None:
        adapter = _build(form)
        self.form = form
        self.name: str = type_name(form)
        self.core_schema: Mapping[str, Any] = adapter.core_schema
        self.validator: SchemaValidator = cast(SchemaValidator, adapter.validator)
        self.serializer: SchemaSerializer = adapter.serializer
        # What codecs have made of this type, by codec.
        self.encoders: dict[object, Any] = {}
        self.decoders: dict[object, Any] = {}

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

    @cached_property
    def may_hold_floats(self) -> bool:
        """Whether a message of this type could hold a non-finite number."""
        return not _HOLD_NO_FLOATS.issuperset(self._kinds)

    @cached_property
    def may_hold_free_keys(self) -> bool:
        """Whether a message of this type could have keys that the type does not name."""
        return not _NAME_ALL_KEYS.issuperset(self._kinds)

    @cached_property
    def may_hold_unsendable(self) -> bool:
        """Whether what is written has to be looked at: it might hold what no frame may."""
        return self.may_hold_floats or self.may_hold_free_keys

    @cached_property
    def is_strict(self) -> bool:
        """Whether any part of the type validates strictly."""
        return any(node.get("strict") is True for node in _nodes(self.core_schema))

    @cached_property
    def by_alias(self) -> bool | None:
        """Whether it goes out by alias: unless a model says ``serialize_by_alias=False``; ``None`` without aliases."""
        if not any("serialization_alias" in node or "alias" in node for node in _nodes(self.core_schema)):
            return None
        return not (configs := self._configs) or any(
            config.get("serialize_by_alias") is not False for config in configs
        )

    @property
    def _configs(self) -> list[Mapping[str, Any]]:
        if is_class(self.form):
            return [getattr(self.form, "model_config", None) or getattr(self.form, "__pydantic_config__", {})]
        return [node["config"] for node in _nodes(self.core_schema) if "config" in node]

    @cached_property
    def lists(self) -> frozenset[str]:
        """The names, as the peer writes them, of the fields that take several values."""
        for node in _nodes(self.core_schema):
            if isinstance(fields := node.get("fields"), dict):
                named = cast(dict[str, Mapping[str, Any]], fields).items()
                return frozenset(field.get("validation_alias", name) for name, field in named if _takes_many(field))
        return frozenset()

    @cached_property
    def _kinds(self) -> frozenset[str]:
        return frozenset(kind for node in _nodes(self.core_schema) for kind in _kinds_of(node))

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(word for node in _nodes(self.core_schema) for word in _words_of(node))

    def knows(self, word: str) -> bool:
        """Whether ``word`` stands in the declared type, so that it may be told to the peer."""
        return word in self._words

    def to_plain(self, message: T) -> Any:
        """Serialise to plain values, as JSON would have them.

        :raises UnsendableMessage: for a message that is not of this type, or holds what no frame may
        """
        self.check(message)
        # An exact member is trusted, as everywhere, to hold what its fields declare.
        warnings: Literal["warn", "error"] = "warn" if type(message) in self.members else "error"
        try:
            plain = self.serializer.to_python(message, mode="json", by_alias=self.by_alias, warnings=warnings)
        except (PydanticSerializationError, UnicodeEncodeError) as error:
            raise self.unsendable(message, error) from error
        if self.may_hold_unsendable and is_suspicious(to_json(plain, inf_nan_mode="constants")):
            # Only the message itself tells: of any type, None may be written for a number, and U+FFFD in a key.
            value = self.serializer.to_python(message, by_alias=self.by_alias, warnings=False)
            if (refused := find_unsendable(value, plain)) is not None:
                raise refused
        return plain

    def from_plain(self, plain: object, syntax: str) -> T:
        """Validate plain values as if they had come as JSON.

        :raises InvalidMessage: for a value that fails validation
        """
        try:
            if self.is_strict:  # only in JSON does strict mode take a date or a tuple from text and lists
                return cast(T, self.validator.validate_json(to_json(plain)))
            return cast(T, self.validator.validate_python(plain))
        except ValidationError as error:
            raise self.invalid(error, syntax) from None

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
            message, strict=True, by_alias=True, by_name=True
        ):
            raise UnsendableMessage(self.name, f"a {type(message).__name__} that fails validation")

    @cached_property
    def _is_checkable(self) -> bool:
        """Whether strict validation only looks at a message: it runs no function and parses nothing."""
        return _NOT_ONLY_LOOKED_AT.isdisjoint(
            kind for node in _nodes(self.core_schema, _CLASSES) for kind in _kinds_of(node)
        )

    def unsendable(self, message: object, error: Exception) -> UnsendableMessage:
        """Translate pydantic's refusal to serialise."""
        if "surrogates not allowed" in str(error):
            return UnsendableMessage(ENCODABLE_TEXT, "a lone surrogate")
        return UnsendableMessage(self.name, f"a {type(message).__name__} that does not serialise as that")

    def invalid(self, error: ValidationError, syntax: str) -> InvalidMessage:
        """Translate pydantic's refusal to validate; ``syntax`` names what a malformed message is not."""
        if error.error_count() == 1:
            [detail] = error.errors(include_url=False, include_context=False, include_input=False)
            if detail["type"] == "json_invalid":
                return InvalidMessage("malformed", self.name, f"malformed {syntax}", error)
        return InvalidMessage("invalid", self.name, "a message that fails validation", error, self.knows)


def _is_model(form: object) -> TypeGuard[type[BaseModel]]:
    return is_class(form) and issubclass(form, BaseModel)


# --- what a core schema may hold ---

# Node types of pydantic-core that hold no number but integers; any other one might, functions and Any among them.
_HOLD_NO_FLOATS: Final = frozenset(
    "bool bytes chain computed-field custom-error dataclass dataclass-args dataclass-field date datetime decimal "
    "default definition-ref definitions dict frozenset function-after function-before int json-or-python "
    "lax-or-strict list literal missing-sentinel model model-field model-fields multi-host-url no-info none "
    "nullable set str tagged-union time timedelta tuple typed-dict typed-dict-field union url uuid with-info".split()
)
_NAME_ALL_KEYS: Final = (_HOLD_NO_FLOATS | {"float", "enum"}) - {"dict"}
_NOT_SCHEMA: Final = frozenset({"metadata", "default", "cls", "function"})


# Where strict validation of an instance ends: it is taken as it is.
_CLASSES: Final = frozenset({"dataclass", "model"})
_NOT_ONLY_LOOKED_AT: Final = frozenset(
    {"function-after", "function-before", "function-plain", "function-wrap", "generator", "json"}
)


def _nodes(value: object, leaves: Container[str] = ()) -> Iterator[dict[str, Any]]:
    """Give every dictionary of a core schema: its nodes, which have a type, and its mappings of names to nodes.

    A node whose type is one of ``leaves`` is not looked into.
    """
    pending: list[object] = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            node = cast(dict[str, Any], part)
            yield node
            if str(node.get("type")) in leaves:
                continue
            skipped = _NOT_SCHEMA if isinstance(node.get("type"), str) else ()
            pending.extend(each for name, each in node.items() if name not in skipped)
        elif isinstance(part, list | tuple):
            pending.extend(cast(Iterable[object], part))


def _takes_many(node: Mapping[str, Any]) -> bool:
    while "schema" in node:
        node = node["schema"]
    return node.get("type") in ("frozenset", "list", "set", "tuple")


def _kinds_of(node: dict[str, Any]) -> Iterator[str]:
    if isinstance(kind := node.get("type"), str):
        whole = kind == "enum" and all(isinstance(member.value, int | str) for member in node["members"])
        yield "literal" if whole else "float" if node.get("allow_inf_nan") is True else kind
    if "allow" in (node.get("extra_behavior"), node.get("extra_fields_behavior")):
        yield "extra"


def _words_of(node: dict[str, Any]) -> Iterator[str]:
    yield from node
    for value in node.values():
        for word in cast(list[object], value) if isinstance(value, list) else [value]:
            if isinstance(word, str):
                yield word


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


def _build(form: Any) -> TypeAdapter[Any]:
    try:
        adapter = TypeAdapter[Any](_Nothing if is_nothing(form) else form)
        if not adapter.pydantic_complete:
            adapter.rebuild(raise_errors=True)
    except (PydanticUndefinedAnnotation, PydanticSchemaGenerationError, PydanticUserError) as error:
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
    if is_class(form) and (cache := form.__dict__.get(_HOME)) is not None:
        key: Hashable = id(form)
    else:
        key, cache = identity(form), _cache_of(home_of(form))
    adapter: MessageAdapter[Any] | None = cache.get(key)
    if adapter is None or _is_stale(adapter):
        adapter = MessageAdapter(form)
        with _lock:
            cache[key] = adapter
            if len(cache) > _LIMIT:
                del cache[next(iter(cache))]
    return adapter


def _cache_of(home: type[Any] | None) -> _Cache:
    if home is None:
        return _homeless
    cache: _Cache = home.__dict__.get(_HOME, {})
    try:
        setattr(home, _HOME, cache)
    except (TypeError, AttributeError):
        return _homeless
    return cache


def _is_stale(adapter: MessageAdapter[Any]) -> bool:
    """Whether the class itself was rebuilt since (``model_rebuild``)."""
    return (
        is_class(adapter.form)
        and getattr(adapter.form, "__pydantic_validator__", adapter.validator) is not adapter.validator
    )
