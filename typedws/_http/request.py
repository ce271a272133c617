"""The request of an opening handshake, read lazily from its ASGI scope. Nothing is received or sent here."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from typedws._http.headers import Headers, parse_cookies
from typedws._http.query import QueryParams
from typedws._http.subprotocols import BEARER, read_offer
from typedws._http.url import URL, Address, address_from

__all__ = ["URL", "Address", "HandshakeRequest", "Headers", "QueryParams", "State", "address_from", "parse_cookies"]


class State:
    """Attribute and item access to a dictionary in which an application keeps its own values.

    Writes go to the dictionary that was passed in: every holder of ``scope["state"]`` sees them.

    :raises AttributeError: if an attribute that does not exist is read or deleted.
    :raises KeyError: if an item that does not exist is read or deleted.
    """

    __slots__ = ("_state",)
    _state: dict[str, Any]

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        # Not a plain assignment: `__setattr__` would write it to the dictionary.
        object.__setattr__(self, "_state", {} if state is None else state)

    def __getattr__(self, key: str) -> Any:
        # Not `self._state`: if `__init__` has not run, as in `copy.copy`, that would call this method endlessly.
        try:
            return object.__getattribute__(self, "_state")[key]
        except KeyError:
            raise _no_attribute(self, key) from None

    def __setattr__(self, key: str, value: Any) -> None:
        self._state[key] = value

    def __delattr__(self, key: str) -> None:
        try:
            del self._state[key]
        except KeyError:
            raise _no_attribute(self, key) from None

    def __getitem__(self, key: str) -> Any:
        return self._state[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._state[key] = value

    def __delitem__(self, key: str) -> None:
        del self._state[key]

    def __contains__(self, key: object) -> bool:
        return key in self._state

    def __iter__(self) -> Iterator[str]:
        return iter(self._state)

    def __len__(self) -> int:
        return len(self._state)


def _no_attribute(state: State, key: str) -> AttributeError:
    return AttributeError(f"{type(state).__name__!r} object has no attribute {key!r}", name=key, obj=state)


class HandshakeRequest(Mapping[str, Any]):
    """The client's request to open a connection: its URL, headers, cookies and more, built on first access.

    It is also the ASGI scope as a mapping. Nothing that a client sends makes a property raise. A request equals only
    itself.
    """

    # Without `__weakref__`, an application could not keep connections in a `WeakSet`.
    __slots__ = ("__weakref__", "_base_url", "_cookies", "_headers", "_query_params", "_state", "_url", "scope")

    def __init__(self, scope: Any) -> None:
        # `Any`: TypedDict and MutableMapping are not assignable to each other, and servers and frameworks use both.
        self.scope: Any = scope
        self._url: URL | None = None
        self._base_url: URL | None = None
        self._headers: Headers | None = None
        self._query_params: QueryParams | None = None
        self._cookies: dict[str, str] | None = None
        self._state: State | None = None

    def __getitem__(self, key: str) -> Any:
        return self.scope[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scope)

    def __len__(self) -> int:
        return len(self.scope)

    # Mapping compares contents and is not hashable; a connection must be usable as a key.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    @property
    def app(self) -> Any:
        """The application in ``scope["app"]``.

        :raises KeyError: if the scope has no application.
        """
        return self.scope["app"]

    @property
    def url(self) -> URL:
        """The URL of the request; see :meth:`URL.from_scope`."""
        if self._url is None:
            self._url = URL.from_scope(self.scope)
        return self._url

    @property
    def base_url(self) -> URL:
        """The URL at which the outermost application is mounted. It ends with a slash."""
        if self._base_url is None:
            # Routers that mount applications change `root_path` and keep the outermost one in `app_root_path`.
            root: str = self.scope.get("app_root_path", self.scope.get("root_path", ""))
            self._base_url = URL.from_scope(self.scope, path=root if root.endswith("/") else f"{root}/", query="")
        return self._base_url

    @property
    def headers(self) -> Headers:
        """The header fields of the request."""
        if self._headers is None:
            self._headers = Headers(raw=self.scope.get("headers"))
        return self._headers

    @property
    def query_params(self) -> QueryParams:
        """The parameters of the query string."""
        if self._query_params is None:
            self._query_params = QueryParams(self.scope.get("query_string") or b"")
        return self._query_params

    @property
    def path_params(self) -> Mapping[str, Any]:
        """The parameters of the path, as the router converted them; empty without a router."""
        params: Mapping[str, Any] = self.scope.get("path_params", {})
        return params

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies of all ``Cookie`` headers; see :func:`parse_cookies`."""
        if self._cookies is None:
            # HTTP/2 clients may split the header (RFC 9113 section 8.2.3).
            self._cookies = parse_cookies(";".join(self.headers.getlist("cookie")))
        return self._cookies

    @property
    def client(self) -> Address | None:
        """The client's address, or ``None`` if the server does not know it, as with a Unix domain socket."""
        return address_from(self.scope.get("client"))

    @property
    def state(self) -> State:
        """The values that the application keeps in ``scope["state"]``, which is created if it is missing."""
        if self._state is None:
            self._state = State(self.scope.setdefault("state", {}))
        return self._state

    @property
    def subprotocols(self) -> Sequence[str]:
        """The subprotocols that the client offers, in its order of preference (RFC 6455 section 1.9)."""
        return tuple(self.scope.get("subprotocols") or ())

    @property
    def bearer_token(self) -> str | None:
        """The client's bearer token, or ``None`` if it sent none.

        It comes from the header ``Authorization: Bearer ...`` (RFC 6750 section 2.1), or from the subprotocol after
        ``bearer``: browsers cannot send headers with a WebSocket, and offer the pair ``["bearer", token]`` instead. The
        token is never chosen as a subprotocol, and never sent back.
        """
        scheme, _, credentials = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == BEARER and credentials.strip():
            return credentials.strip()
        return read_offer(self.subprotocols).token
