"""Where a request goes and whence it came: URLs and network addresses as values. Nothing is connected here."""

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv6Address
from typing import Any, Final, NamedTuple, Self, SupportsIndex, TypedDict, Unpack, overload
from urllib.parse import SplitResult, quote, urlsplit

from typedws._http.headers import Headers
from typedws._http.query import QueryParams
from typedws.asgi import Scope

__all__ = ["URL", "Address", "URLComponents", "address_from"]


class Address(NamedTuple):
    """A host, by name or by IP address, and a port."""

    host: str
    port: int


def address_from(value: object) -> Address | None:
    """Read ``scope["client"]`` or ``scope["server"]``.

    ``None`` where the server does not know, and for a Unix domain socket, which ASGI gives as ``(path, None)``.
    """
    match value:
        case (str(host), int(port)):
            return Address(host, port)
        case _:
            return None


class URLComponents(TypedDict, total=False):
    """What :meth:`URL.replace` may change. ``None`` removes a part, except for ``hostname``, which it keeps.

    ``netloc`` is ignored where a part of it is given too. User names and passwords are as in the URL: percent-encoded.
    """

    scheme: str
    netloc: str
    path: str
    query: str
    fragment: str
    username: str | None
    password: str | None
    hostname: str | None
    port: int | None


class URL(str):
    """A URL: a ``str`` that also has its components, parsed when the first is asked for (RFC 3986).

    No text fails to parse. A host that is none, such as ``[::1`` without its end, makes :attr:`hostname` and
    :attr:`port` ``None``; a port that is none, such as ``99999``, only :attr:`port`. ``repr()`` masks a password;
    ``str()`` does not.
    """

    __slots__ = ("_components",)
    _components: SplitResult

    @classmethod
    def from_scope(cls, scope: Scope, *, path: str | None = None, query: str | None = None) -> Self:
        """The URL that an ASGI scope asks for; ``path`` and ``query`` stand in for those of the scope.

        The authority is the ``Host`` header, or the server's address where that is missing or malformed, without the
        scheme's default port; where there is neither, the URL is only a path. ``scope["path"]`` is taken to include
        ``root_path`` already. A missing scheme is ``ws``. Control characters, and those that would end the path or the
        query, are percent-encoded; what is no UTF-8 in the query becomes U+FFFD.
        """
        scheme: str = scope.get("scheme") or "ws"
        netloc = _host_header(scope) or _server_netloc(scope, scheme)
        path = str(scope["path"] if path is None else path).translate(_PATH_ESCAPES)
        query = _query_string(scope) if query is None else query
        if not netloc:
            # Without an authority, a leading `//` would be read as the start of one.
            scheme, path = "", re.sub("^//", "/%2F", path)
        return cls(SplitResult(scheme, netloc, path, query, "").geturl())

    @property
    def components(self) -> SplitResult:
        """All components as a tuple of scheme, netloc, path, query and fragment."""
        try:
            return self._components
        except AttributeError:
            self._components = _split(str(self))
            return self._components

    @property
    def scheme(self) -> str:
        """The scheme in lower case, or ``""``."""
        return self.components.scheme

    @property
    def netloc(self) -> str:
        """The authority: user information, host and port, or ``""``."""
        return self.components.netloc

    @property
    def path(self) -> str:
        """The path, percent-encoded as in the URL."""
        return self.components.path

    @property
    def query(self) -> str:
        """The query without its ``?``, or ``""``."""
        return self.components.query

    @property
    def fragment(self) -> str:
        """The fragment without its ``#``, or ``""``."""
        return self.components.fragment

    @property
    def username(self) -> str | None:
        """The user name, percent-encoded as in the URL."""
        return self.components.username

    @property
    def password(self) -> str | None:
        """The password, percent-encoded as in the URL."""
        return self.components.password

    @property
    def hostname(self) -> str | None:
        """The host in lower case and without brackets; ``None`` where it is missing or malformed."""
        return self.components.hostname

    @property
    def port(self) -> int | None:
        """The port; ``None`` where it is missing or malformed. The scheme's default port is not filled in."""
        try:
            return self.components.port
        except ValueError:
            return None

    @property
    def is_secure(self) -> bool:
        """Whether the scheme is ``wss`` or ``https``."""
        return self.scheme in ("wss", "https")

    @overload
    def replace(self, old: str, new: str, /, count: SupportsIndex = -1) -> str: ...
    @overload
    def replace(self, /, **components: Unpack[URLComponents]) -> Self: ...
    def replace(
        self, old: str | None = None, new: str = "", /, count: SupportsIndex = -1, **components: Unpack[URLComponents]
    ) -> str:
        """With keywords, a URL with these components changed; with two strings, what ``str.replace`` does."""
        if old is not None:
            return super().replace(old, new, count)
        parts: dict[str, Any] = {name: value for name, value in components.items() if name in SplitResult._fields}
        if not components.keys().isdisjoint(_AUTHORITY_PARTS):
            parts["netloc"] = self._changed_netloc(components)
        return type(self)(self.components._replace(**parts).geturl())

    def include_query_params(self, **params: object) -> Self:
        """The URL with these query parameters set, each in place of all of its name."""
        return self._with_query([*self._query_without(params), *params.items()])

    def replace_query_params(self, **params: object) -> Self:
        """The URL with these query parameters and no others."""
        return self._with_query(params.items())

    def remove_query_params(self, keys: str | Iterable[str]) -> Self:
        """The URL without the query parameters of this name, or of these names."""
        return self._with_query(self._query_without([keys] if isinstance(keys, str) else keys))

    def _with_query(self, params: Iterable[tuple[str, object]]) -> Self:
        return self.replace(query=str(QueryParams(params)))

    def _query_without(self, keys: Iterable[str]) -> list[tuple[str, str]]:
        dropped = set(keys)
        return [(name, value) for name, value in QueryParams(self.query).multi_items() if name not in dropped]

    def _changed_netloc(self, changes: URLComponents) -> str:
        hostname = changes.get("hostname")
        port = changes.get("port", self.port)
        username = changes.get("username", self.username)
        password = changes.get("password", self.password)
        netloc = _bracketed(hostname) if hostname is not None else _without_port(self.netloc.rpartition("@")[2])
        if port is not None:
            netloc += f":{port}"
        if username is None:
            return netloc
        secret = "" if password is None else f":{quote(password, safe=_USERINFO)}"
        return f"{quote(username, safe=_USERINFO)}{secret}@{netloc}"

    def __repr__(self) -> str:
        shown = _masked(self.components) if self.password else str(self)
        return f"{type(self).__name__}({shown!r})"


_AUTHORITY_PARTS: Final = frozenset({"username", "password", "hostname", "port"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}

# RFC 3986 section 3.2.1, and `%`, for what is encoded already.
_USERINFO: Final = "%!$&'()*+,;="

_CONTROLS: Final = (*range(0x20), 0x7F)
_QUERY_ESCAPES: Final = {code: f"%{code:02X}" for code in (*_CONTROLS, *b"#")}
_PATH_ESCAPES: Final = {code: f"%{code:02X}" for code in (*_CONTROLS, *b"#?\\")}
_CONTROLS_REMOVED: Final = dict.fromkeys(_CONTROLS)

# RFC 3986 appendix B: it matches any string.
_APPENDIX_B: Final = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)

# RFC 9110 section 7.2, RFC 3986 section 3.2.2.
_HOST: Final = re.compile(
    r"(?:[a-z0-9._~%!$&'()*+,;=-]+|\[(?P<ipv6>[a-f0-9:.]+)\])(?::0*(?P<port>[0-9]{1,5}))?", re.ASCII | re.IGNORECASE
)


class _MalformedHost(SplitResult):
    """The components of a URL whose host is none."""

    __slots__ = ()

    @property
    def hostname(self) -> None:
        return None

    @property
    def port(self) -> None:
        return None


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        # urlsplit drops control characters too, so that an authority cannot hide behind them.
        return _MalformedHost(*_APPENDIX_B.findall(url.translate(_CONTROLS_REMOVED).lstrip(" "))[0])


def _masked(components: SplitResult) -> str:
    userinfo, _, host = components.netloc.rpartition("@")
    return components._replace(netloc=f"{userinfo.partition(':')[0]}:********@{host}").geturl()


def _host_header(scope: Scope) -> str:
    found = _HOST.fullmatch(Headers(raw=scope.get("headers")).get("host", ""))
    if found is None or int(found["port"] or 0) > 0xFFFF or not _is_ipv6(found["ipv6"] or "::"):
        return ""
    return found[0]


def _server_netloc(scope: Scope, scheme: str) -> str:
    server = address_from(scope.get("server"))
    if server is None:
        return ""
    host = _bracketed(server.host)
    return host if server.port == _DEFAULT_PORTS.get(scheme) else f"{host}:{server.port}"


def _query_string(scope: Scope) -> str:
    query: bytes = scope.get("query_string") or b""
    return query.decode("utf-8", "replace").translate(_QUERY_ESCAPES)


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


def _without_port(host: str) -> str:
    return host if host.endswith("]") else host.rpartition(":")[0] or host
