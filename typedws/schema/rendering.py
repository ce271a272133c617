"""Documents as text: the same bytes for the same document, in a readable order. No documents are built here."""

import json
from collections.abc import Mapping
from typing import Any, Final, cast

__all__ = ["text_of"]

_DATA: Final = frozenset({"default", "example", "examples"})
"""The keywords whose values are data: their keys keep their order."""


def text_of(document: Mapping[str, Any]) -> str:
    """Return a document as JSON text with sorted keys, except for fields, which stay in the order of the model."""
    return json.dumps(_sorted(document), indent=2, ensure_ascii=False) + "\n"


def _sorted(value: object, keyword: str = "") -> object:
    if keyword in _DATA:
        return value
    if isinstance(value, Mapping):
        pairs = list(cast(Mapping[str, object], value).items())
        return {key: _sorted(each, key) for key, each in (pairs if keyword == "properties" else sorted(pairs))}
    if isinstance(value, list):
        return [_sorted(each) for each in cast(list[object], value)]
    return value
