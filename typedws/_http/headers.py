"""Header fields of an opening handshake: read as values, checked before they are sent; and cookies. No I/O."""

import re
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Final, TypeAlias, cast

from typedws.exceptions import InvalidHandshake

__all__ = ["Headers", "HeadersInput", "header_list", "is_token", "parse_cookies"]

_CREDENTIALS: Final = frozenset(
    {"authorization", "cookie", "proxy-authorization", "sec-websocket-protocol", "set-cookie"},
)
_MASK: Final = "********"


class Headers(Mapping[str, str]):
    """An immutable, case-insensitive multi-dict of header fields (RFC 9110 section 5).

    Built from a mapping, or from ``raw``: the name-value pairs of ``scope["headers"]``. A list is kept as it
    is, neither copied nor decoded before something is asked for. Bytes are Latin-1, so that no value fails to decode;
    names are in ASCII lower case, however they arrived.

    A name that occurs more than once occurs so in the views, in ``len()`` and when iterating. ``headers[name]`` is the
    first value and :meth:`getlist` has all. ``repr()`` masks the values that carry credentials.

    :raises UnicodeEncodeError: a name or value of the mapping is not Latin-1.
    :raises TypeError: both a mapping and ``raw`` are given.
    """

    __slots__ = ("_lower", "_raw")

    def __init__(
        self,
        headers: Mapping[str, str] | None = None,
        raw: Iterable[tuple[bytes, bytes]] | None = None,
    ) -> None:
        if headers is not None and raw is not None:
            raise TypeError("expected a mapping or raw pairs, found both: give one of them")
        pairs = raw if headers is None else _encode(headers)
        self._raw = pairs if isinstance(pairs, list) else list(pairs or ())
        self._lower: list[tuple[bytes, bytes]] | None = None

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """The undecoded pairs, in the order and the spelling they arrived in; a new list."""
        return [(name, value) for name, value in self._raw]

    def getlist(self, key: str) -> list[str]:
        """Every value of a header, in order; an empty list where there is none."""
        wanted = _fold(key)
        return [value.decode("latin-1") for name, value in self._folded() if name == wanted]

    def keys(self) -> KeysView[str]:
        """Every name, as often as it occurs."""
        return KeysView(self)

    def values(self) -> ValuesView[str]:
        """Every value."""
        return _Values(_decode(self._raw))

    def items(self) -> ItemsView[str, str]:
        """Every pair of name and value."""
        return _Items(_decode(self._raw))

    def _folded(self) -> list[tuple[bytes, bytes]]:
        if self._lower is None:
            # ASGI promises lower-case names: one look at all of them is cheaper than to fold each.
            are_folded = b"".join([name for name, _ in self._raw]).islower()
            self._lower = self._raw if are_folded else [(name.lower(), value) for name, value in self._raw]
        return self._lower

    def __getitem__(self, key: str) -> str:
        wanted = _fold(key)
        for name, value in self._folded():  # for so few, an index would be twice the memory and hardly faster
            if name == wanted:
                return value.decode("latin-1")
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def __iter__(self) -> Iterator[str]:
        return iter([name.lower().decode("latin-1") for name, _ in self._raw])

    def __len__(self) -> int:
        return len(self._raw)

    def __eq__(self, other: object) -> bool:
        """Whether both have the same pairs, in whatever order."""
        if not isinstance(other, Headers):
            return NotImplemented
        return sorted(_decode(self._raw)) == sorted(_decode(other._raw))

    def __repr__(self) -> str:
        pairs = [(name, _MASK if name in _CREDENTIALS else value) for name, value in _decode(self._raw)]
        return f"{type(self).__name__}({pairs!r})"


# Mapping's own views ask the mapping for each name's value, and so would repeat the first one.
class _Values(ValuesView[str]):
    __slots__ = ("_values",)

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._values = [value for _, value in pairs]

    def __contains__(self, value: object) -> bool:
        return value in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<the values of {len(self)} headers>"


class _Items(ItemsView[str, str]):
    __slots__ = ("_pairs",)

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    def __contains__(self, item: object) -> bool:
        return item in self._pairs

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __repr__(self) -> str:
        return f"<the items of {len(self)} headers>"


def _fold(name: str) -> bytes:
    # What is not Latin-1 becomes `?`, which is in no header name (RFC 9110 section 5.6.2).
    return name.encode("latin-1", "replace").lower()


def _encode(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1").lower(), value.encode("latin-1")) for name, value in headers.items()]


def _decode(raw: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in raw]


_ESCAPED: Final = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))")


def parse_cookies(header: str) -> dict[str, str]:
    """The cookies of one ``Cookie`` header, read as browsers write them. Never raises.

    More tolerant than RFC 6265 section 4.2.1: a chunk without ``=`` is a value with an empty name, a quoted value is
    unquoted, and of two cookies with one name the last counts.
    """
    cookies: dict[str, str] = {}
    for chunk in header.split(";"):
        name, equals, value = chunk.partition("=")
        name, value = (name.strip(), value.strip()) if equals else ("", chunk.strip())
        if name or value:
            cookies[name] = _unquote(value)
    return cookies


def _unquote(value: str) -> str:
    if len(value) < 2 or not value.startswith('"') or not value.endswith('"'):
        return value
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)) if found[1] else found[2], value[1:-1])


HeadersInput: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]
"""Header fields as applications write them: a mapping, or pairs of text or of bytes."""


_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2


_FORBIDDEN_IN_VALUE: Final = re.compile(rb"[\r\n\0]")  # RFC 9110 section 5.5


def header_list(headers: HeadersInput | None) -> list[tuple[bytes, bytes]]:
    """Give header fields as ASGI wants them: pairs of bytes, names in lower case.

    Raises `InvalidHandshake` for a name that is no token and for a value with a line break, a null or a character
    beyond latin-1 (RFC 9110 section 5).
    """
    if headers is None:
        return []
    pairs: Iterable[tuple[str | bytes, str | bytes]]
    pairs = cast(Mapping[str, str], headers).items() if isinstance(headers, Mapping) else headers
    return [(_name(name), _value(value)) for name, value in pairs]


def is_token(name: bytes) -> bool:
    """Whether a name is a token, as the names of headers and of subprotocols are (RFC 9110 section 5.6.2)."""
    return _TOKEN.fullmatch(name) is not None


def _name(name: str | bytes) -> bytes:
    encoded = name.encode(errors="replace") if isinstance(name, str) else name
    if not is_token(encoded):
        raise InvalidHandshake("headers", "a header name that is a token", repr(name))
    return encoded.lower()


def _value(value: str | bytes) -> bytes:
    try:
        encoded = value.encode("latin-1") if isinstance(value, str) else value
    except UnicodeEncodeError:
        raise InvalidHandshake("headers", "a header value in latin-1", "a character beyond it") from None
    if _FORBIDDEN_IN_VALUE.search(encoded):
        raise InvalidHandshake("headers", "a header value on one line", "a line break or a null")
    return encoded
