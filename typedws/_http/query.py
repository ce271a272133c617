"""The query string of an opening handshake as a read-only value. Parameters are not validated here."""

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import TypeAlias, cast
from urllib.parse import parse_qsl, urlencode

__all__ = ["QueryParams", "QuerySource"]

QuerySource: TypeAlias = str | bytes | Mapping[str, object] | Iterable[tuple[str, object]]
"""What query parameters are built from: a query string, a mapping, or pairs. Values are converted to text."""


class QueryParams(Mapping[str, str]):
    """An immutable multi-dict of query parameters, as HTML forms encode them (WHATWG URL section 5.1).

    A query string is parsed on first access, which never raises. Bytes are UTF-8; those that are not, plain or
    percent-encoded, become U+FFFD. A parameter without ``=`` has an empty value. The number of fields is not limited
    here, because the server limits the request line.

    ``params[name]`` is the last value of a name; :meth:`getlist` returns all of them. ``keys()``, ``values()`` and
    ``items()`` contain each name once; :meth:`multi_items` returns every pair.
    """

    __slots__ = ("_last", "_pairs", "_text")

    def __init__(self, source: QuerySource = "") -> None:
        self._text: str | bytes = b""
        self._pairs: list[tuple[str, str]] | None = None
        self._last: dict[str, str] | None = None
        if isinstance(source, (str, bytes)):
            self._text = source
        else:
            self._pairs = [(str(name), str(value)) for name, value in _pairs_of(source)]

    def getlist(self, key: str) -> list[str]:
        """Return every value of a parameter in order, or an empty list if the parameter is missing."""
        return [value for name, value in self._parsed() if name == key]

    def multi_items(self) -> list[tuple[str, str]]:
        """Return every pair of name and value in order, as a new list."""
        return list(self._parsed())

    def keys(self) -> KeysView[str]:
        """Return every name, once."""
        return self._index().keys()

    def values(self) -> ValuesView[str]:
        """Return the last value of every name."""
        return self._index().values()

    def items(self) -> ItemsView[str, str]:
        """Return every name with its last value."""
        return self._index().items()

    def _parsed(self) -> list[tuple[str, str]]:
        if self._pairs is None:
            text = self._text if isinstance(self._text, str) else self._text.decode("utf-8", "replace")
            self._pairs = parse_qsl(text, keep_blank_values=True)
        return self._pairs

    def _index(self) -> dict[str, str]:
        if self._last is None:
            self._last = dict(self._parsed())
        return self._last

    def __getitem__(self, key: str) -> str:
        return self._index()[key]

    def __contains__(self, key: object) -> bool:
        return key in self._index()

    def __iter__(self) -> Iterator[str]:
        return iter(self._index())

    def __len__(self) -> int:
        return len(self._index())

    def __eq__(self, other: object) -> bool:
        """Whether both have the same names, in any order, each with the same values in the same order."""
        if not isinstance(other, QueryParams):
            return NotImplemented
        # Sorting by name alone is stable, so the values of each name keep their order.
        return sorted(self._parsed(), key=_name) == sorted(other._parsed(), key=_name)

    def __str__(self) -> str:
        # A lone surrogate, which UTF-8 cannot encode, becomes `?` instead of raising.
        return urlencode(self._parsed(), errors="replace")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


def _pairs_of(source: Mapping[str, object] | Iterable[tuple[str, object]]) -> Iterable[tuple[str, object]]:
    if isinstance(source, QueryParams):
        return source.multi_items()
    return cast(Mapping[str, object], source).items() if isinstance(source, Mapping) else source


def _name(pair: tuple[str, str]) -> str:
    return pair[0]
