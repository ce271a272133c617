"""URLs and network addresses as values, and how an ASGI scope contains them. Nothing is connected here."""

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
    """A network address: a host name or an IP address, and a port."""

    host: str
    port: int


def address_from(value: object) -> Address | None:
    """Return the address in ``scope["client"]`` or ``scope["server"]``, or ``None`` if it is not an address.

    That is so if the server does not know it, and for a Unix domain socket, which is ``(path, None)`` in ASGI.
    """
    match value:
        case (str(host), int(port)):
            return Address(host, port)
        case _:
            return None


class URLComponents(TypedDict, total=False):
    """The components that :meth:`URL.replace` can change. ``None`` removes one, but keeps ``hostname``.

    ``netloc`` is ignored if a part of it is passed too. User names and passwords are percent-encoded, as in the URL.
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
    """A URL: a ``str`` that also has its components as attributes, parsed on first access (RFC 3986).

    Any text parses. A malformed host, such as ``[::1`` without its closing bracket, makes :attr:`hostname` and
    :attr:`port` ``None``. A malformed port, such as ``99999``, makes only :attr:`port` ``None``. ``repr()`` masks a
    password; ``str()`` does not.
    """

    __slots__ = ("_components",)
    _components: SplitResult

    @classmethod
    def from_scope(cls, scope: Scope, *, path: str | None = None, query: str | None = None) -> Self:
        """Return the URL that an ASGI scope asks for; ``path`` and ``query`` replace those of the scope.

        The authority is the ``Host`` header. If that is missing or malformed, it is the server's address, without the
        scheme's default port. If that is missing too, the URL is only a path. ``scope["path"]`` is expected to include
        ``root_path``. A missing scheme is ``ws``. Control characters, and those that would end the path or the query,
        are percent-encoded; bytes of the query that are not UTF-8 become U+FFFD.
        """
        scheme: str = scope.get("scheme") or "ws"
        netloc = _host_header(scope) or _server_netloc(scope, scheme)
        path = str(scope["path"] if path is None else path).translate(_PATH_ESCAPES)
        query = _query_string(scope) if query is None else query
        if not netloc:
            # Without an authority, a leading `//` would be parsed as the start of one.
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
        """The user name, percent-encoded as in the URL, or ``None``."""
        return self.components.username

    @property
    def password(self) -> str | None:
        """The password, percent-encoded as in the URL, or ``None``."""
        return self.components.password

    @property
    def hostname(self) -> str | None:
        """The host in lower case and without brackets; ``None`` if it is missing or malformed."""
        return self.components.hostname

    @property
    def port(self) -> int | None:
        """The port; ``None`` if it is missing or malformed. The scheme's default port is not filled in."""
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
        """Return the URL with these components changed; called with two strings, do the same as ``str.replace``."""
        if old is not None:
            return super().replace(old, new, count)
        parts: dict[str, Any] = {name: value for name, value in components.items() if name in SplitResult._fields}
        if not components.keys().isdisjoint(_AUTHORITY_PARTS):
            parts["netloc"] = self._changed_netloc(components)
        return type(self)(self.components._replace(**parts).geturl())

    def include_query_params(self, **params: object) -> Self:
        """Return the URL with these query parameters set, each replacing all parameters of its name."""
        return self._with_query([*self._query_without(params), *params.items()])

    def replace_query_params(self, **params: object) -> Self:
        """Return the URL with these query parameters and no others."""
        return self._with_query(params.items())

    def remove_query_params(self, keys: str | Iterable[str]) -> Self:
        """Return the URL without the query parameters of this name, or of these names."""
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

    # A password must not appear in a log or a traceback.
    def __repr__(self) -> str:
        shown = _masked(self.components) if self.password else str(self)
        return f"{type(self).__name__}({shown!r})"


_AUTHORITY_PARTS: Final = frozenset({"username", "password", "hostname", "port"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}

# What user information may contain unencoded (RFC 3986 section 3.2.1), and `%`: what is encoded already is not encoded
# again.
_USERINFO: Final = "%!$&'()*+,;="

_CONTROLS: Final = (*range(0x20), 0x7F)
# Characters that would end the query or the path. Browsers read a backslash as a slash.
_QUERY_ESCAPES: Final = {code: f"%{code:02X}" for code in (*_CONTROLS, *b"#")}
_PATH_ESCAPES: Final = {code: f"%{code:02X}" for code in (*_CONTROLS, *b"#?\\")}
_CONTROLS_REMOVED: Final = dict.fromkeys(_CONTROLS)

# The parser of RFC 3986 appendix B. It matches any string, so a URL that urlsplit() refuses still has components.
_APPENDIX_B: Final = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)

# RFC 9110 section 7.2, RFC 3986 section 3.2.2. A client chooses the header freely: without this check, `evil@host` or
# `host/path` would change other parts of the URL, and int() would raise for a port of thousands of digits.
_HOST: Final = re.compile(
    r"(?:[a-z0-9._~%!$&'()*+,;=-]+|\[(?P<ipv6>[a-f0-9:.]+)\])(?::0*(?P<port>[0-9]{1,5}))?", re.ASCII | re.IGNORECASE
)


class _MalformedHost(SplitResult):
    """The components of a URL with a malformed host. It has no host and no port."""

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
        # urlsplit() drops control characters too. One that stays could hide an authority, whose password repr() would
        # show.
        return _MalformedHost(*_APPENDIX_B.findall(url.translate(_CONTROLS_REMOVED).lstrip(" "))[0])


def _masked(components: SplitResult) -> str:
    userinfo, _, host = components.netloc.rpartition("@")
    return components._replace(netloc=f"{userinfo.partition(':')[0]}:********@{host}").geturl()


def _host_header(scope: Scope) -> str:
    match = _HOST.fullmatch(Headers(raw=scope.get("headers")).get("host", ""))
    if match is None or int(match["port"] or 0) > 0xFFFF or not _is_ipv6(match["ipv6"] or "::"):
        return ""
    return match[0]


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
