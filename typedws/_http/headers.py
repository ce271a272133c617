"""Header fields and cookies of an opening handshake: reading them, and checking them before they are sent. No I/O."""

import re
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Final, TypeAlias, cast

from typedws.exceptions import InvalidHandshake

__all__ = ["Headers", "HeadersInput", "header_list", "is_token", "parse_cookies"]

# repr() masks the values of these. A subprotocol may be one too: it can carry a token.
_CREDENTIALS: Final = frozenset(
    {"authorization", "cookie", "proxy-authorization", "sec-websocket-protocol", "set-cookie"},
)
_MASK: Final = "********"


class Headers(Mapping[str, str]):
    """An immutable, case-insensitive multi-dict of header fields (RFC 9110 section 5).

    Built from a mapping, or from ``raw``: the name-value pairs of ``scope["headers"]``. A list is not copied, and not
    decoded before the first access. Bytes are decoded as Latin-1, so every value decodes. Names are in ASCII lower
    case, whatever case they arrived in.

    A repeated name occurs once per value in the views, in ``len()`` and in iteration. ``headers[name]`` is the first
    value; :meth:`getlist` returns all of them. ``repr()`` masks the values that carry credentials.

    :raises UnicodeEncodeError: if a name or value of the mapping is not Latin-1.
    :raises TypeError: if both a mapping and ``raw`` are given.
    """

    __slots__ = ("_lower", "_raw")

    def __init__(
        self,
        headers: Mapping[str, str] | None = None,
        raw: Iterable[tuple[bytes, bytes]] | None = None,
    ) -> None:
        if headers is not None and raw is not None:
            raise TypeError("expected a mapping or raw pairs, found both: pass one of them")
        pairs = raw if headers is None else _encode(headers)
        self._raw = pairs if isinstance(pairs, list) else list(pairs or ())
        self._lower: list[tuple[bytes, bytes]] | None = None

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """The undecoded name-value pairs as a new list, in the order and the case that they arrived in."""
        return [(name, value) for name, value in self._raw]

    def getlist(self, key: str) -> list[str]:
        """Return every value of a header in order, or an empty list if the header is missing."""
        wanted = _fold(key)
        return [value.decode("latin-1") for name, value in self._folded() if name == wanted]

    def keys(self) -> KeysView[str]:
        """Return every name, as often as it occurs."""
        return KeysView(self)

    def values(self) -> ValuesView[str]:
        """Return every value, in order."""
        return _Values(_decode(self._raw))

    def items(self) -> ItemsView[str, str]:
        """Return every pair of name and value, in order."""
        return _Items(_decode(self._raw))

    def _folded(self) -> list[tuple[bytes, bytes]]:
        if self._lower is None:
            # ASGI promises lower-case names. Checking all of them at once is cheaper than lowering each; a server that
            # breaks the promise takes the second branch.
            are_folded = b"".join([name for name, _ in self._raw]).islower()
            self._lower = self._raw if are_folded else [(name.lower(), value) for name, value in self._raw]
        return self._lower

    def __getitem__(self, key: str) -> str:
        wanted = _fold(key)
        # No index: for so few headers it would double the memory and be hardly faster.
        for name, value in self._folded():
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
        """Whether both have the same pairs, in any order."""
        if not isinstance(other, Headers):
            return NotImplemented
        return sorted(_decode(self._raw)) == sorted(_decode(other._raw))

    def __repr__(self) -> str:
        pairs = [(name, _MASK if name in _CREDENTIALS else value) for name, value in _decode(self._raw)]
        return f"{type(self).__name__}({pairs!r})"


# The views of Mapping look every name up, so they would show the first value of a repeated name each time.
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
    # A character outside Latin-1 becomes `?`, which no header name contains (RFC 9110 section 5.6.2): the look-up
    # finds nothing, where a strict encoding would raise.
    return name.encode("latin-1", "replace").lower()


def _encode(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1").lower(), value.encode("latin-1")) for name, value in headers.items()]


def _decode(raw: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in raw]


# An escape in a quoted cookie: three octal digits, or any single character. One pass over the text takes linear time,
# and does not unescape its own output.
_ESCAPED: Final = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))")


def parse_cookies(header: str) -> dict[str, str]:
    """Return the cookies of one ``Cookie`` header by name. Never raises.

    The header is read as browsers write it, which is more tolerant than RFC 6265 section 4.2.1: a chunk without ``=``
    is a value with an empty name, a quoted value is unquoted, and the last of several cookies with one name counts.
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
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)) if match[1] else match[2], value[1:-1])


HeadersInput: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]
"""Header fields as an application passes them: a mapping, or pairs of text or of bytes."""


_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2


# RFC 9110 section 5.5. A line break in a value would begin another header, or end the headers.
_FORBIDDEN_IN_VALUE: Final = re.compile(rb"[\r\n\0]")


def header_list(headers: HeadersInput | None) -> list[tuple[bytes, bytes]]:
    """Return header fields as ASGI expects them: pairs of bytes, with names in lower case.

    :raises InvalidHandshake: if a name is not a token, or if a value has a line break, a null or a character outside
        Latin-1 (RFC 9110 section 5).
    """
    if headers is None:
        return []
    pairs: Iterable[tuple[str | bytes, str | bytes]]
    pairs = cast(Mapping[str, str], headers).items() if isinstance(headers, Mapping) else headers
    return [(_name(name), _value(value)) for name, value in pairs]


def is_token(name: bytes) -> bool:
    """Whether a name is a token (RFC 9110 section 5.6.2), as the names of headers and of subprotocols must be."""
    return _TOKEN.fullmatch(name) is not None


def _name(name: str | bytes) -> bytes:
    # A lone surrogate becomes `?`, which no token contains, so the name is refused below. Strict encoding would raise.
    encoded = name.encode(errors="replace") if isinstance(name, str) else name
    if not is_token(encoded):
        raise InvalidHandshake("headers", "a header name that is a token", repr(name))
    return encoded.lower()


def _value(value: str | bytes) -> bytes:
    try:
        encoded = value.encode("latin-1") if isinstance(value, str) else value
    except UnicodeEncodeError:
        raise InvalidHandshake("headers", "a header value in Latin-1", "another character") from None
    if _FORBIDDEN_IN_VALUE.search(encoded):
        raise InvalidHandshake("headers", "a header value without line breaks and null characters", "one with them")
    return encoded
