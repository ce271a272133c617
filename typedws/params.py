"""The parameters of a handshake: its path and its query, validated as one model. Nothing else is read."""

from typing import Any, TypeVar, cast

from pydantic import ValidationError

from typedws.adapters import MessageAdapter
from typedws.errors import InvalidParams
from typedws.request import HandshakeRequest

__all__ = ["read_params"]

T = TypeVar("T")


def read_params(request: HandshakeRequest, adapter: MessageAdapter[T]) -> T:
    """Validate the path parameters and the query parameters as one value; the path wins where both have a name.

    A query parameter that comes several times is the last of them, or all where the declared field takes several.

    :raises InvalidParams: for parameters that fail validation
    """
    query = request.query_params
    values: dict[str, Any] = {key: query.getlist(key) if key in adapter.lists else query[key] for key in query}
    values.update(request.path_params)
    try:
        return cast(T, adapter.validator.validate_python(values, strict=False))  # a query is text
    except ValidationError as error:
        found = "parameters that fail validation"
        raise InvalidParams("invalid", adapter.name, found, error, adapter.knows) from None
