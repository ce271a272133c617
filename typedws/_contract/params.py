"""The parameters of a handshake as one model: read by who is asked, written by who asks. Nothing is sent here.

They are its path and its query; a field stands in a header or a cookie where it says so: ``Annotated[str,
FromHeader("x-tenant")]``.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema

from typedws._http.headers import header_list
from typedws._http.request import HandshakeRequest
from typedws._messages.adapter import MessageAdapter, memoized
from typedws._messages.core_schema import fields_of, metadata_of, names_of, takes_many
from typedws.exceptions import InvalidHandshake, InvalidParams

__all__ = [
    "FromCookie",
    "FromHeader",
    "SourcedField",
    "WrittenParams",
    "read_params",
    "sourced_fields",
    "write_params",
]

T = TypeVar("T")

_KEY = "typedws.params"


@dataclass(frozen=True, slots=True)
class FromHeader:
    """Mark a field of the parameters as a header of the request.

    It is the first of its values, or all where the field takes several.

    :param name: the header's name, in any case; by default the field's, with ``-`` for ``_``
    """

    name: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _marked(handler(source), self)

    def name_for(self, field: str) -> str:
        """Give the header's name where a field of that name is marked."""
        return self.name or field.replace("_", "-")

    def values(self, request: HandshakeRequest, field: str) -> list[str]:
        """Read what the request says for a field of that name."""
        return request.headers.getlist(self.name_for(field))

    def header(self, field: str, text: str) -> tuple[str, str]:
        """Write the header that says it."""
        return self.name_for(field), text


@dataclass(frozen=True, slots=True)
class FromCookie:
    """Mark a field of the parameters as a cookie of the request.

    :param name: the cookie's name; by default the field's
    """

    name: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _marked(handler(source), self)

    def name_for(self, field: str) -> str:
        """Give the cookie's name where a field of that name is marked."""
        return self.name or field

    def values(self, request: HandshakeRequest, field: str) -> list[str]:
        """Read what the request says for a field of that name."""
        name = self.name_for(field)
        return [request.cookies[name]] if name in request.cookies else []

    def header(self, field: str, text: str) -> tuple[str, str]:
        """Write the header that says it."""
        return "cookie", f"{self.name_for(field)}={text}"


def _marked(schema: CoreSchema, source: FromHeader | FromCookie) -> CoreSchema:
    copy = cast(dict[str, Any], schema).copy()  # which may be another field's schema too
    copy["metadata"] = {**copy.get("metadata", {}), _KEY: source}
    return cast(CoreSchema, copy)


@dataclass(frozen=True, slots=True)
class SourcedField:
    """A field that is read from elsewhere than path and query."""

    source: FromHeader | FromCookie
    name: str
    key: str
    """Under which the validator wants it."""
    names: frozenset[str]
    takes_many: bool


def sourced_fields(adapter: MessageAdapter[Any]) -> tuple[SourcedField, ...]:
    """Give the fields of the parameters that are read from a header or a cookie."""
    return memoized(adapter.decoders, sourced_fields, _find_sourced, adapter)


def _find_sourced(adapter: MessageAdapter[Any]) -> tuple[SourcedField, ...]:
    return tuple(_sourced_fields(adapter))


def _sourced_fields(adapter: MessageAdapter[Any]) -> Iterator[SourcedField]:
    for name, field in fields_of(adapter.core_schema):
        if (source := metadata_of(field, _KEY)) is not None:
            names = list(names_of(name, field))
            yield SourcedField(source, name, names[-1], frozenset(names), takes_many(field))


def read_params(request: HandshakeRequest, adapter: MessageAdapter[T]) -> T:
    """Validate the path parameters and the query parameters as one value; the path wins where both have a name.

    A query parameter that comes several times is the last of them, or all where the declared field takes several. A
    field that is marked with `FromHeader` or `FromCookie` is read from there, and from nowhere else.

    :raises InvalidParams: for parameters that fail validation
    """
    query = request.query_params
    values: dict[str, Any] = dict(query.items())
    for name in adapter.lists:
        if name in values:
            values[name] = query.getlist(name)
    values.update(request.path_params)
    for field in sourced_fields(adapter):
        for name in field.names:
            values.pop(name, None)
        if found := field.source.values(request, field.name):
            values[field.key] = found if field.takes_many else found[0]
    try:
        return cast(T, adapter.validator.validate_python(values, strict=False))  # a query is text
    except ValidationError as error:
        found_instead = "parameters that fail validation"
        raise InvalidParams("invalid", adapter.name, found_instead, error, adapter.names_field) from None


@dataclass(frozen=True, slots=True)
class WrittenParams:
    """Parameters as a request says them: in its path, in its query, in its header fields."""

    path: dict[str, str]
    query: list[tuple[str, str]]
    headers: list[tuple[str, str]]


def write_params(params: T, adapter: MessageAdapter[T], path: Collection[str] = ()) -> WrittenParams:
    """Write parameters so that `read_params` reads the same; what is ``None`` is left out.

    :param path: the names of those that stand in the path
    :raises InvalidHandshake: for what is not of the declared type, or cannot be told as text
    """
    written = WrittenParams({}, [], [])
    fields = dict(fields_of(adapter.core_schema))
    sources = {each.name: each.source for each in sourced_fields(adapter)}
    for name, value in _plain(params, adapter).items():
        if name not in fields:  # it is computed
            continue
        names, texts = list(names_of(name, fields[name])), _texts(name, value)
        if name in sources:
            written.headers.extend(sources[name].header(name, text) for text in texts)
        elif placed := next((each for each in names if each in path), None):
            written.path.update((placed, text) for text in texts)
        else:
            written.query.extend((names[-1], text) for text in texts)
    _check_comes_back(params, adapter, written)
    return written


def _plain(params: T, adapter: MessageAdapter[T]) -> Mapping[str, Any]:
    try:
        adapter.check(params)
        plain = adapter.serializer.to_python(params, mode="json", by_alias=False, warnings="error")
    except Exception as error:  # a serialiser of the user's own may raise anything
        raise InvalidHandshake("params", adapter.name, f"a {type(params).__name__} that is none") from error
    if not isinstance(plain, dict):
        raise InvalidHandshake("params", "named parameters", f"a {type(params).__name__}")
    return cast(dict[str, Any], plain)


def _texts(name: str, value: object) -> list[str]:
    match value:
        case None:
            return []
        case bool():
            return ["true" if value else "false"]
        case str() | int() | float():
            return [str(value)]
        case list():
            return [text for each in cast(list[object], value) for text in _texts(name, each)]
        case _:
            raise InvalidHandshake("params", f"{name} to be text, a number, or a list of these", "a structure")


def _check_comes_back(params: T, adapter: MessageAdapter[T], written: WrittenParams) -> None:
    scope = {
        "query_string": urlencode(written.query, errors="replace").encode(),
        "headers": header_list(written.headers),
        "path_params": written.path,
    }
    try:
        comes_back = read_params(HandshakeRequest(scope), adapter) == params
    except InvalidParams as error:
        raise InvalidHandshake("params", adapter.name, f"what it would not read: {error}") from error
    if not comes_back:
        raise InvalidHandshake("params", "what the server would read as the same", "what it would read as another")
