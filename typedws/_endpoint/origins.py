"""Whether a handshake with this ``Origin`` and this ``Host`` may pass. Only decided here; nothing is denied or logged.

Two attacks of a page in a browser are kept out. Cross-site hijacking: the page of one site opens a connection to
another, with the user's cookies (RFC 6455 section 10.2). DNS rebinding: the page's own name is pointed at the server's
address, so that ``Origin`` and ``Host`` agree; only a list of names that are really the server's tells it apart.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final, Literal, NamedTuple, TypeAlias, cast

from typedws._http.url import address_from
from typedws.exceptions import InvalidPolicy

__all__ = ["OriginRefusal", "OriginRule", "Origins"]

Origins: TypeAlias = Literal["same-host", "*"] | Sequence[str] | re.Pattern[str]
"""Which pages may connect: those of the request's own host; besides them some by name or by pattern; or all."""


@dataclass(frozen=True, slots=True)
class OriginRefusal:
    """Why a handshake was refused, and what would let it pass; ``str()`` is one line for a log.

    ``origin`` and ``host`` are what was sent, escaped and cut so that a log line can hold them; ``None`` where nothing
    was. ``refused`` names the one at fault. Nothing else of the request is in it.
    """

    refused: Literal["origin", "host"]
    origin: str | None
    host: str | None
    why: str
    hint: str

    def __str__(self) -> str:
        subject = self.origin if self.refused == "origin" else self.host
        return f"{self.refused} {subject or '(none)'} was refused: {self.why}: {self.hint}"


class OriginRule:
    """The rule that ``origins`` and ``hosts`` of a policy make, compiled to be asked once for each handshake.

    ``origins``, for requests that carry an ``Origin``, as browsers' do:

    - ``"same-host"``: its host and port must be those of ``Host``; the scheme does not count, which a proxy changes,
      and where ``Host`` has no port, hosts alone are compared. ``null`` and what is no origin is refused.
    - A sequence of origins such as ``"https://app.example.com"`` lets these pass too, scheme included, and ``"null"``
      pages without an origin. A pattern lets pass too what it matches in full: the origin in lower case, without its
      scheme's default port, a trailing dot, and with ``http`` for ``ws``.
    - ``"*"``: whatever it says.

    ``hosts``: names such as ``"chat.example.com"``, ``"chat.example.com:8443"`` or ``"*.example.com"`` (subdomains,
    not the domain itself), one of which ``Host`` must be in every request, without a port in any; ``"*"`` is every
    host. ``None``: where a request arrives at a loopback address, the same-host rule is believed of ``localhost``,
    ``*.localhost``, ``127.0.0.0/8`` and ``[::1]`` only, since any other name may have been rebound to it.

    :raises InvalidPolicy: an entry is no origin or no host.
    """

    __slots__ = ("_any_origin", "_hosts", "_named", "_pattern")

    def __init__(self, origins: Origins = "same-host", hosts: Sequence[str] | None = None) -> None:
        self._any_origin = isinstance(origins, str) and origins == "*"
        self._pattern: re.Pattern[str] | None = _checked_pattern(origins) if isinstance(origins, re.Pattern) else None
        self._named = frozenset[str]() if self._pattern else _named_origins(origins)
        self._hosts: _AllowedHosts | None = None if hosts is None else _allowed_hosts(hosts)

    def refusal(self, headers: Collection[tuple[bytes, bytes]], server: object = None) -> OriginRefusal | None:
        """Tell why a handshake must be refused, or ``None``: it may pass. Never raises, whatever was sent.

        ``headers`` and ``server`` are those of the ASGI scope; ``server`` is the address that the request arrived at.
        """
        if self._any_origin and self._hosts is None:
            return None
        # Not `Headers`, whose index would cost more than the answer. Names are folded: a server that forgets to must
        # not open the door.
        origins = [value for name, value in headers if len(name) == 6 and name.lower() == b"origin"]
        if not origins and self._hosts is None:
            return None
        hosts = [value for name, value in headers if len(name) == 4 and name.lower() == b"host"]
        host = _authority(hosts[0]) if len(hosts) == 1 else None
        if host is None:
            return _no_host(origins, hosts)
        if self._hosts is not None and not self._hosts.allow(host):
            return _refused_host(origins, hosts, host, "it is none of the hosts that the policy names")
        if self._any_origin or not origins:
            return None
        return self._refusal_of_browser(origins, hosts, host, server)

    def _refusal_of_browser(
        self, origins: list[bytes], hosts: list[bytes], host: "_Authority", server: object
    ) -> OriginRefusal | None:
        origin = _origin(origins[0]) if len(origins) == 1 else None
        # A page that the policy names is trusted by its own name, whatever the host is called.
        if origin is not None and self._names(origin.text):
            return None
        if origin is None or not _is_same(origin, host):
            return _refused_origin(origins, hosts, origin)
        if self._hosts is None and not _LOOPBACK.fullmatch(host.name) and _is_loopback(server):
            return _refused_host(origins, hosts, host, "it is no name of the loopback address that the request reached")
        return None

    def _names(self, origin: str) -> bool:
        return origin in self._named or (self._pattern is not None and self._pattern.fullmatch(origin) is not None)


class _Authority(NamedTuple):
    """A host in lower case, IPv6 in brackets and canonical, and its port where one was given."""

    name: str
    port: int | None


class _Origin(NamedTuple):
    """A parsed origin: its canonical text, its host, and the port it stands for if it is a web page's."""

    text: str
    name: str
    port: int | None


@dataclass(frozen=True, slots=True)
class _AllowedHosts:
    """Compiled ``hosts``: exact ones, endings such as ``.example.com``, each with its port or ``None`` for any."""

    exact: frozenset[_Authority]
    endings: tuple[_Authority, ...]

    def allow(self, host: _Authority) -> bool:
        # What has no port has its scheme's default one, and which scheme a proxy was asked with is not known here.
        ports = (None, host.port) if host.port is not None else (None, *_WEB_PORTS.values())
        return any((host.name, port) in self.exact for port in ports) or any(
            host.name.endswith(ending.name) and ending.port in ports for ending in self.endings
        )


_WEB_PORTS: Final = {"http": 80, "https": 443}
_WEB_SCHEMES: Final = {"ws": "http", "wss": "https"}

# RFC 6454 section 7.1, RFC 9110 section 7.2. No user information and no percent-encoding, which no browser sends, and
# names in ASCII: theirs are in punycode.
_LABEL: Final = "[a-z0-9_-]{1,63}"
_HOST: Final = rf"(?:(\[[0-9a-f:.]{{2,45}}\])|((?:{_LABEL}\.){{0,126}}{_LABEL})\.?)(?::([0-9]{{1,5}}))?"
_AUTHORITY: Final = re.compile(_HOST)
_ORIGIN: Final = re.compile(rf"([a-z][a-z0-9+.-]{{0,31}})://({_HOST})")

# A name whose last label is a number is an IPv4 address to a browser (URL Standard, host parsing), so that
# 127.0.0.999 is nobody's name either. RFC 6761 section 6.3 keeps `localhost` and what is below it from the DNS.
_LOOPBACK: Final = re.compile(r"(?:.+\.)?localhost|\[?(?:::ffff:)?127(?:\.[0-9]{1,3}){3}\]?|::1|\[::1\]")


_LONGEST: Final = 300
"""Bytes; a name has at most 253 characters. What is kept of what clients send is so bounded too."""


def _authority(value: bytes) -> _Authority | None:
    return _parsed_authority(value) if len(value) <= _LONGEST else None


@lru_cache(maxsize=256)
def _parsed_authority(value: bytes) -> _Authority | None:
    found = _AUTHORITY.fullmatch(value.decode("latin-1").lower())
    return found and _checked(*found.groups())


def _checked(ipv6: str | None, name: str, digits: str | None) -> _Authority | None:
    port = None if digits is None else int(digits)
    if port is not None and port > 0xFFFF:
        return None
    if ipv6 is None:
        return _Authority(name, port)
    try:
        address = IPv6Address(ipv6[1:-1])
    except AddressValueError:
        return None
    # Python's own text of a mapped address changed in 3.13.
    mapped = address.ipv4_mapped
    return _Authority(f"[::ffff:{mapped}]" if mapped else f"[{address}]", port)


_NULL: Final = _Origin("null", "", None)


def _origin(value: bytes) -> _Origin | None:
    return _parsed_origin(value) if len(value) <= _LONGEST else None


@lru_cache(maxsize=256)
def _parsed_origin(value: bytes) -> _Origin | None:
    text = value.decode("latin-1").lower()
    if text == "null":
        return _NULL
    found = _ORIGIN.fullmatch(text)
    host = found and _checked(found[3], found[4], found[5])
    if not found or not host:
        return None
    scheme = _WEB_SCHEMES.get(found[1], found[1])
    default = _WEB_PORTS.get(scheme)
    port = default if host.port is None else host.port
    text = f"{scheme}://{host.name}" if port == default else f"{scheme}://{host.name}:{port}"
    # What is no web page, such as an extension or an app, is on no host, whatever its origin looks like.
    return _Origin(text, host.name, port if default else None)


def _is_same(origin: _Origin, host: _Authority) -> bool:
    return origin.port is not None and origin.name == host.name and host.port in (None, origin.port)


def _is_loopback(server: object) -> bool:
    address = address_from(server)
    return address is not None and _LOOPBACK.fullmatch(address.host) is not None


_MAX_SHOWN: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:/\[\]+-]+")


def _refused_origin(origins: list[bytes], hosts: list[bytes], origin: _Origin | None) -> OriginRefusal:
    host = _shown(hosts)
    if origin is None:
        why, hint = "it is not one well-formed origin", 'only Policy(origins="*") would allow it'
    else:
        why, hint = f"the request's own host is {host}", _would_allow("origins", origin.text)
    if origin is _NULL:
        hint += ", and with it every sandboxed or local page"
    return OriginRefusal("origin", _shown(origins), host, why, hint)


def _refused_host(origins: list[bytes], hosts: list[bytes], host: _Authority, why: str) -> OriginRefusal:
    return OriginRefusal("host", _shown(origins), _shown(hosts), why, _would_allow("hosts", host.name))


def _no_host(origins: list[bytes], hosts: list[bytes]) -> OriginRefusal:
    hint = "the client, or a proxy before this server, must send one"
    return OriginRefusal("host", _shown(origins), _shown(hosts), "it is not one well-formed host", hint)


def _would_allow(field: str, entry: str) -> str:
    # A name that was cut would be another's.
    shown = f'"{entry}"' if len(entry) <= _MAX_SHOWN else "..."
    return f"Policy({field}=[{shown}]) would allow it"


def _shown(values: list[bytes]) -> str | None:
    if not values:
        return None
    text = b", ".join(values).decode("latin-1")
    shown = text if _PLAIN.fullmatch(text) else ascii(text[:_MAX_SHOWN])
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[: _MAX_SHOWN - 3]}..."


_Field: TypeAlias = Literal["origins", "hosts"]

_EXPECTED: Final[dict[_Field, str]] = {
    "origins": 'origins to be "same-host", "*", a list of origins or a pattern',
    "hosts": "hosts to be a list of host names",
}
_EXPECTED_ENTRY: Final[dict[_Field, str]] = {
    "origins": 'each of origins to be scheme://host, scheme://host:port or "null"',
    "hosts": "each of hosts to be host, host:port or *.host",
}
_EXAMPLE: Final[dict[_Field, str]] = {
    "origins": 'write Policy(origins=["https://app.example.com"])',
    "hosts": 'write Policy(hosts=["chat.example.com"])',
}
_WILD_EXAMPLE: Final[dict[_Field, str]] = {
    "origins": r'write Policy(origins=re.compile(r"https://[^.]+\.example\.com")), or Policy(origins="*") for all',
    "hosts": 'write Policy(hosts=["*.example.com"])',
}


def _checked_pattern(pattern: re.Pattern[str]) -> re.Pattern[str]:
    kind: type[object] = type(pattern.pattern)
    if kind is not str:
        raise InvalidPolicy("origins to be a pattern of text", "one of bytes", 'write re.compile(r"..."), without a b')
    return pattern


def _named_origins(origins: object) -> frozenset[str]:
    if isinstance(origins, str) and origins in ("same-host", "*"):
        return frozenset()
    return frozenset(map(_named_origin, _entries("origins", origins)))


def _named_origin(entry: str) -> str:
    # One slash, as it is copied from an address bar; more is a path.
    origin = _origin(_bytes(entry.removesuffix("/")))
    if origin is None:
        raise _invalid_entry("origins", entry)
    return origin.text


def _allowed_hosts(hosts: object) -> _AllowedHosts:
    entries = _entries("hosts", hosts)
    if not entries:
        raise InvalidPolicy("hosts to be at least one", "none", "leave it None, or name what Host may be")
    if "*" in entries:
        return _ANY_HOST
    parsed = [(entry.startswith("*."), _allowed_host(entry)) for entry in entries]
    return _AllowedHosts(
        frozenset(host for is_wild, host in parsed if not is_wild),
        tuple(_Authority(f".{host.name}", host.port) for is_wild, host in parsed if is_wild),
    )


# Every host has the empty ending.
_ANY_HOST: Final = _AllowedHosts(frozenset(), (_Authority("", None),))


def _allowed_host(entry: str) -> _Authority:
    host = _authority(_bytes(entry.removeprefix("*.")))
    if host is None:
        raise _invalid_entry("hosts", entry)
    return host


def _bytes(entry: str) -> bytes:
    return entry.encode("latin-1", "replace")


def _entries(field: _Field, value: object) -> list[str]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidPolicy(_EXPECTED[field], ascii(value), _EXAMPLE[field])
    entries: list[str] = []
    for entry in cast(Iterable[object], value):
        if not isinstance(entry, str):
            raise InvalidPolicy(_EXPECTED_ENTRY[field], type(entry).__name__, _EXAMPLE[field])
        entries.append(entry)
    return entries


def _invalid_entry(field: _Field, entry: str) -> InvalidPolicy:
    if not entry.isascii():
        hint = "write the name in punycode (xn--...), as browsers send it"
    else:
        hint = (_WILD_EXAMPLE if "*" in entry else _EXAMPLE)[field]
    return InvalidPolicy(_EXPECTED_ENTRY[field], ascii(entry), hint)
