"""The parameters of a handshake as one model: read by the server, written by the client. No I/O.

They come from the path and the query. A field comes from a header or a cookie if it is marked: ``Annotated[str,
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
    """Marks a field of the parameters as a header of the request.

    The field gets the first value of the header, or all values if its type takes several.

    :param name: the header's name, in any case; by default the field's name with ``-`` for ``_``
    """

    name: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _marked(handler(source), self)

    def name_for(self, field: str) -> str:
        """Return the header's name for a field of this name."""
        return self.name or field.replace("_", "-")

    def values(self, request: HandshakeRequest, field: str) -> list[str]:
        """Return the values in a request for a field of this name."""
        return request.headers.getlist(self.name_for(field))

    def header(self, field: str, text: str) -> tuple[str, str]:
        """Return the header field that carries this value."""
        return self.name_for(field), text


@dataclass(frozen=True, slots=True)
class FromCookie:
    """Marks a field of the parameters as a cookie of the request.

    :param name: the cookie's name; by default the field's name
    """

    name: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _marked(handler(source), self)

    def name_for(self, field: str) -> str:
        """Return the cookie's name for a field of this name."""
        return self.name or field

    def values(self, request: HandshakeRequest, field: str) -> list[str]:
        """Return the values in a request for a field of this name."""
        name = self.name_for(field)
        return [request.cookies[name]] if name in request.cookies else []

    def header(self, field: str, text: str) -> tuple[str, str]:
        """Return the header field that carries this value."""
        return "cookie", f"{self.name_for(field)}={text}"


def _marked(schema: CoreSchema, source: FromHeader | FromCookie) -> CoreSchema:
    copy = cast(dict[str, Any], schema).copy()  # pydantic may use the same schema for other fields
    copy["metadata"] = {**copy.get("metadata", {}), _KEY: source}
    return cast(CoreSchema, copy)


@dataclass(frozen=True, slots=True)
class SourcedField:
    """A field that comes from a header or a cookie."""

    source: FromHeader | FromCookie
    name: str
    key: str
    """The name that the validator expects: the alias, if it has one."""
    names: frozenset[str]
    takes_many: bool


def sourced_fields(adapter: MessageAdapter[Any]) -> tuple[SourcedField, ...]:
    """Return the fields of the parameters that come from a header or a cookie."""
    return memoized(adapter.decoders, sourced_fields, _find_sourced, adapter)


def _find_sourced(adapter: MessageAdapter[Any]) -> tuple[SourcedField, ...]:
    return tuple(_sourced_fields(adapter))


def _sourced_fields(adapter: MessageAdapter[Any]) -> Iterator[SourcedField]:
    for name, field in fields_of(adapter.core_schema):
        if (source := metadata_of(field, _KEY)) is not None:
            names = list(names_of(name, field))
            yield SourcedField(source, name, names[-1], frozenset(names), takes_many(field))


def read_params(request: HandshakeRequest, adapter: MessageAdapter[T]) -> T:
    """Return the parameters of a request, validated as one value.

    A path parameter wins over a query parameter of the same name. Of a repeated query parameter the last value counts,
    or all values if the declared field takes several. A field that is marked with `FromHeader` or `FromCookie` comes
    from there only.

    :raises InvalidParams: if the parameters fail validation
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
        return cast(T, adapter.validator.validate_python(values, strict=False))  # lax: path and query are text
    except ValidationError as error:
        found_text = "parameters that fail validation"
        raise InvalidParams("invalid", adapter.name, found_text, error, adapter.names_field) from None


@dataclass(frozen=True, slots=True)
class WrittenParams:
    """Parameters as text, by the place in the request: path, query, header fields."""

    path: dict[str, str]
    query: list[tuple[str, str]]
    headers: list[tuple[str, str]]


def write_params(params: T, adapter: MessageAdapter[T], path: Collection[str] = ()) -> WrittenParams:
    """Write parameters as text, so that `read_params` returns an equal value. Fields that are ``None`` are left out.

    :param path: the names of the parameters in the path
    :raises InvalidHandshake: if the value has another type, or cannot be written as text
    """
    written = WrittenParams({}, [], [])
    fields = dict(fields_of(adapter.core_schema))
    sources = {each.name: each.source for each in sourced_fields(adapter)}
    for name, value in _plain(params, adapter).items():
        if name not in fields:  # a computed field
            continue
        names, texts = list(names_of(name, fields[name])), _texts(name, value)
        if name in sources:
            written.headers.extend(sources[name].header(name, text) for text in texts)
        elif path_name := next((each for each in names if each in path), None):
            written.path.update((path_name, text) for text in texts)
        else:
            written.query.extend((names[-1], text) for text in texts)
    _check_comes_back(params, adapter, written)
    return written


def _plain(params: T, adapter: MessageAdapter[T]) -> Mapping[str, Any]:
    try:
        adapter.check(params)
        plain = adapter.serializer.to_python(params, mode="json", by_alias=False, warnings="error")
    except Exception as error:  # a user's serializer may raise anything
        raise InvalidHandshake("params", adapter.name, f"a {type(params).__name__} that does not fit") from error
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
        raise InvalidHandshake("params", adapter.name, f"a value that the server would refuse: {error}") from error
    if not comes_back:
        raise InvalidHandshake("params", "a value that the server reads back as equal", "one that changes")
