"""The parameters of a handshake, validated as one model: its path and its query, and what a field asks for besides.

A field is read from a header or a cookie where it says so: ``Annotated[str, FromHeader("x-tenant")]``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema

from typedws.adapters import MessageAdapter
from typedws.codecs.base import kept
from typedws.coreschema import fields_of, found_in, names_of, takes_many
from typedws.errors import InvalidParams
from typedws.request import HandshakeRequest

__all__ = ["FromCookie", "FromHeader", "SourcedField", "read_params", "sourced_fields"]

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
    return kept(adapter.decoders, sourced_fields, _find_sourced, adapter)


def _find_sourced(adapter: MessageAdapter[Any]) -> tuple[SourcedField, ...]:
    return tuple(_sourced_fields(adapter))


def _sourced_fields(adapter: MessageAdapter[Any]) -> Iterator[SourcedField]:
    for name, field in fields_of(adapter.core_schema):
        if (source := found_in(field, _KEY)) is not None:
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
        raise InvalidParams("invalid", adapter.name, found_instead, error, adapter.knows) from None
