"""Documents as text: the same bytes for the same document, in an order for people. No document is made here."""

import json
from collections.abc import Mapping
from typing import Any, Final, cast

__all__ = ["text_of"]

_DATA: Final = frozenset({"default", "example", "examples"})


def text_of(document: Mapping[str, Any]) -> str:
    """Write a document as JSON: keys sorted, but for the fields of a message, which stay in the order of the model."""
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
