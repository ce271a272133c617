"""The decision whether a handshake's ``Origin`` and ``Host`` are allowed. Nothing is denied or logged here.

It protects against two attacks by a page in a browser. Cross-site hijacking: a page of one site opens a connection to
another, with the user's cookies (RFC 6455 section 10.2). DNS rebinding: an attacker points the name of a page at the
server's address, so that ``Origin`` and ``Host`` agree. Only a list of the server's real names detects it.
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
"""Which pages may connect: those of the request's own host, in addition those of a list or a pattern, or all."""


@dataclass(frozen=True, slots=True)
class OriginRefusal:
    """Why a handshake was refused, and what would allow it. ``str()`` is one line for a log.

    ``origin`` and ``host`` are the headers that were sent, escaped and shortened for a log line, or ``None`` if they
    are missing. ``refused`` names the one at fault. Nothing else of the request is included.
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
    """The ``origins`` and ``hosts`` of a policy, compiled for one check per handshake.

    ``origins`` is for requests with an ``Origin``, which browsers send:

    - ``"same-host"``: its host and port must be those of ``Host``. The scheme is not compared, because a proxy changes
      it. If ``Host`` has no port, only the hosts are compared. ``null`` and malformed origins are refused.
    - A sequence of origins such as ``"https://app.example.com"`` also allows these, scheme included. ``"null"`` allows
      pages without an origin. A pattern also allows each origin that it matches in full: in lower case, without the
      scheme's default port, without a trailing dot, and with ``http`` for ``ws``.
    - ``"*"``: any ``Origin`` is allowed.

    ``hosts`` are names such as ``"chat.example.com"``, ``"chat.example.com:8443"`` or ``"*.example.com"`` (subdomains,
    not the domain itself). The ``Host`` of every request must be one of them; a name without a port allows any port.
    ``"*"`` is every host. With ``None``, a request that arrives at a loopback address passes the same-host rule only
    for ``localhost``, ``*.localhost``, ``127.0.0.0/8`` and ``[::1]``: any other name may have been rebound to it.

    :raises InvalidPolicy: if an entry is not an origin or not a host.
    """

    __slots__ = ("_any_origin", "_hosts", "_named", "_pattern")

    def __init__(self, origins: Origins = "same-host", hosts: Sequence[str] | None = None) -> None:
        self._any_origin = isinstance(origins, str) and origins == "*"
        self._pattern: re.Pattern[str] | None = _checked_pattern(origins) if isinstance(origins, re.Pattern) else None
        self._named = frozenset[str]() if self._pattern else _named_origins(origins)
        self._hosts: _AllowedHosts | None = None if hosts is None else _allowed_hosts(hosts)

    def refusal(self, headers: Collection[tuple[bytes, bytes]], server: object = None) -> OriginRefusal | None:
        """Return why a handshake must be refused, or ``None`` if it is allowed. Never raises, whatever was sent.

        ``headers`` and ``server`` are those of the ASGI scope; ``server`` is the address that the request arrived at.
        """
        if self._any_origin and self._hosts is None:
            return None
        # Reading the bytes is cheaper than building `Headers`. Names are lowered, although ASGI promises lower case: a
        # server that breaks the promise must not disable the check.
        origins = [value for name, value in headers if len(name) == 6 and name.lower() == b"origin"]
        if not origins and self._hosts is None:
            return None
        hosts = [value for name, value in headers if len(name) == 4 and name.lower() == b"host"]
        host = _parse_authority(hosts[0]) if len(hosts) == 1 else None
        if host is None:
            return _no_host(origins, hosts)
        if self._hosts is not None and not self._hosts.allow(host):
            return _refused_host(origins, hosts, host, "it is not among the hosts of the policy")
        if self._any_origin or not origins:
            return None
        return self._browser_refusal(origins, hosts, host, server)

    def _browser_refusal(
        self, origins: list[bytes], hosts: list[bytes], host: "_Authority", server: object
    ) -> OriginRefusal | None:
        origin = _parse_origin(origins[0]) if len(origins) == 1 else None
        # An origin that the policy names is trusted for its own name, whatever the host is.
        if origin is not None and self._allows_origin(origin.text):
            return None
        if origin is None or not _is_same_host(origin, host):
            return _refused_origin(origins, hosts, origin)
        if self._hosts is None and not _LOOPBACK.fullmatch(host.name) and _is_loopback(server):
            why = "it is not a loopback name, but the request arrived at a loopback address"
            return _refused_host(origins, hosts, host, why)
        return None

    def _allows_origin(self, origin: str) -> bool:
        return origin in self._named or (self._pattern is not None and self._pattern.fullmatch(origin) is not None)


class _Authority(NamedTuple):
    """A host in lower case (IPv6 in brackets and canonical), and its port if it has one."""

    name: str
    port: int | None


class _Origin(NamedTuple):
    """A parsed origin: its canonical text, its host, and the port of a web page; other origins have no port."""

    text: str
    name: str
    port: int | None


@dataclass(frozen=True, slots=True)
class _AllowedHosts:
    """Compiled ``hosts``: exact names, and endings such as ``.example.com``. A port of ``None`` allows any port."""

    exact: frozenset[_Authority]
    endings: tuple[_Authority, ...]

    def allow(self, host: _Authority) -> bool:
        # A host without a port has the default port of its scheme. Behind a proxy the scheme is unknown, so try both.
        ports = (None, host.port) if host.port is not None else (None, *_WEB_PORTS.values())
        return any((host.name, port) in self.exact for port in ports) or any(
            host.name.endswith(ending.name) and ending.port in ports for ending in self.endings
        )


_WEB_PORTS: Final = {"http": 80, "https": 443}
_WEB_SCHEMES: Final = {"ws": "http", "wss": "https"}

# RFC 6454 section 7.1, RFC 9110 section 7.2. User information and percent-encoding do not match, because no browser
# sends them. Names are in ASCII, because browsers send punycode. A looser pattern could find another host in a value
# than the browser does. They are compiled at their first use: most programs that import typedws never need them.
_LABEL: Final = "[a-z0-9_-]{1,63}"
_AUTHORITY: Final = rf"(?:(\[[0-9a-f:.]{{2,45}}\])|((?:{_LABEL}\.){{0,126}}{_LABEL})\.?)(?::([0-9]{{1,5}}))?"
_ORIGIN: Final = rf"([a-z][a-z0-9+.-]{{0,31}})://({_AUTHORITY})"

# To a browser, a name whose last label is a number is an IPv4 address (URL Standard, host parsing), so no
# attacker can own 127.0.0.999 either. `localhost` and the names below it are not in the DNS (RFC 6761 section 6.3).
_LOOPBACK: Final = re.compile(r"(?:.+\.)?localhost|\[?(?:::ffff:)?127(?:\.[0-9]{1,3}){3}\]?|::1|\[::1\]")


_MAX_BYTES: Final = 300
"""In bytes; a name has at most 253 characters. This also bounds the size of the entries in the caches below."""


def _parse_authority(value: bytes) -> _Authority | None:
    return _cached_authority(value) if len(value) <= _MAX_BYTES else None


@lru_cache(maxsize=256)
def _cached_authority(value: bytes) -> _Authority | None:
    match = re.fullmatch(_AUTHORITY, value.decode("latin-1").lower())
    return match and _checked_authority(*match.groups())


def _checked_authority(ipv6: str | None, name: str, digits: str | None) -> _Authority | None:
    port = None if digits is None else int(digits)
    if port is not None and port > 0xFFFF:
        return None
    if ipv6 is None:
        return _Authority(name, port)
    try:
        address = IPv6Address(ipv6[1:-1])
    except AddressValueError:
        return None
    # Not str() of the address, whose text of mapped ones changed in Python 3.13: `_LOOPBACK` expects this form.
    mapped = address.ipv4_mapped
    return _Authority(f"[::ffff:{mapped}]" if mapped else f"[{address}]", port)


_NULL: Final = _Origin("null", "", None)


def _parse_origin(value: bytes) -> _Origin | None:
    return _cached_origin(value) if len(value) <= _MAX_BYTES else None


@lru_cache(maxsize=256)
def _cached_origin(value: bytes) -> _Origin | None:
    text = value.decode("latin-1").lower()
    if text == "null":
        return _NULL
    match = re.fullmatch(_ORIGIN, text)
    host = match and _checked_authority(match[3], match[4], match[5])
    if not match or not host:
        return None
    scheme = _WEB_SCHEMES.get(match[1], match[1])
    default = _WEB_PORTS.get(scheme)
    port = default if host.port is None else host.port
    text = f"{scheme}://{host.name}" if port == default else f"{scheme}://{host.name}:{port}"
    # The origin of an extension or an app is not on a host, even if it looks so. Without a port it is never the same
    # host.
    return _Origin(text, host.name, port if default else None)


def _is_same_host(origin: _Origin, host: _Authority) -> bool:
    return origin.port is not None and origin.name == host.name and host.port in (None, origin.port)


def _is_loopback(server: object) -> bool:
    address = address_from(server)
    return address is not None and _LOOPBACK.fullmatch(address.host) is not None


_MAX_SHOWN: Final = 100
# Only such values are shown as they are. All others are escaped: a client must not break or forge a log line.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:/\[\]+-]+")


def _refused_origin(origins: list[bytes], hosts: list[bytes], origin: _Origin | None) -> OriginRefusal:
    host = _shown(hosts)
    if origin is None:
        why, hint = "it is not a single well-formed origin", 'only Policy(origins="*") would allow it'
    else:
        why, hint = f"the request's own host is {host}", _would_allow("origins", origin.text)
    if origin is _NULL:
        hint += ", and with it every sandboxed or local page"
    return OriginRefusal("origin", _shown(origins), host, why, hint)


def _refused_host(origins: list[bytes], hosts: list[bytes], host: _Authority, why: str) -> OriginRefusal:
    return OriginRefusal("host", _shown(origins), _shown(hosts), why, _would_allow("hosts", host.name))


def _no_host(origins: list[bytes], hosts: list[bytes]) -> OriginRefusal:
    hint = "the client, or a proxy before this server, must send one"
    return OriginRefusal("host", _shown(origins), _shown(hosts), "it is not a single well-formed host", hint)


def _would_allow(field: str, entry: str) -> str:
    # A shortened entry would name another host, and allow that.
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
        raise InvalidPolicy("origins to be a text pattern", "a bytes pattern", 'write re.compile(r"...")')
    return pattern


def _named_origins(origins: object) -> frozenset[str]:
    if isinstance(origins, str) and origins in ("same-host", "*"):
        return frozenset()
    return frozenset(map(_named_origin, _entries("origins", origins)))


def _named_origin(entry: str) -> str:
    # One slash at the end comes from copying an address bar. Anything more is a path.
    origin = _parse_origin(_encoded(entry.removesuffix("/")))
    if origin is None:
        raise _invalid_entry("origins", entry)
    return origin.text


def _allowed_hosts(hosts: object) -> _AllowedHosts:
    entries = _entries("hosts", hosts)
    if not entries:
        raise InvalidPolicy("hosts to name at least one host", "none", "leave it None, or list the host names")
    if "*" in entries:
        return _ANY_HOST
    parsed = [(entry.startswith("*."), _allowed_host(entry)) for entry in entries]
    return _AllowedHosts(
        frozenset(host for is_wild, host in parsed if not is_wild),
        tuple(_Authority(f".{host.name}", host.port) for is_wild, host in parsed if is_wild),
    )


# Every name ends with the empty ending.
_ANY_HOST: Final = _AllowedHosts(frozenset(), (_Authority("", None),))


def _allowed_host(entry: str) -> _Authority:
    host = _parse_authority(_encoded(entry.removeprefix("*.")))
    if host is None:
        raise _invalid_entry("hosts", entry)
    return host


def _encoded(entry: str) -> bytes:
    # A character outside Latin-1 becomes `?`, which no origin or host contains.
    return entry.encode("latin-1", "replace")


def _entries(field: _Field, value: object) -> list[str]:
    # A string is a sequence too: each of its characters would be an entry.
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
