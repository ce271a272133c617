"""The request of a client's opening handshake, checked, and as an ASGI scope. Nothing is sent here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import quote, unquote, unquote_to_bytes

from typedws._http.headers import HeadersInput, header_list, is_token
from typedws._http.url import URL
from typedws.exceptions import InvalidHandshake

__all__ = ["OutgoingRequest"]

_SAFE: Final = "%/?:@!$&'()*+,;=-._~"
"""What a URL may contain unencoded (RFC 3986 section 3.4), and ``%``: what is encoded already is not encoded again."""

# Fields that belong to the handshake itself (RFC 6455 section 4), which a caller must not set.
_HANDSHAKE_FIELDS: Final = frozenset(
    {
        b"connection",
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"upgrade",
    }
)

_DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """A client's checked request: where it goes, its header fields, and the subprotocols that it offers."""

    scheme: str
    host: str
    port: int
    path: str
    query: str
    user_info: tuple[str, str] | None
    """The user name and the password, decoded; ``None`` if the URL has no user name."""
    headers: tuple[tuple[bytes, bytes], ...]
    """The fields that the caller adds to those of every handshake."""
    subprotocols: tuple[str, ...]

    @classmethod
    def of(cls, url: str, headers: HeadersInput | None, subprotocols: Sequence[str]) -> Self:
        """Return the request for a URL, with every part checked.

        :raises InvalidHandshake: if a client must not send such a request (RFC 6455 sections 3 and 4.1)
        """
        parsed = URL(url)
        host, port = parsed.hostname, _port(parsed)
        if not host or port is None or parsed.fragment:
            raise InvalidHandshake("url", "a ws:// or wss:// URL without a fragment", repr(parsed))
        user_info = None if parsed.username is None else (unquote(parsed.username), unquote(parsed.password or ""))
        return cls(
            scheme=parsed.scheme,
            host=_ascii_host(host),
            port=port,
            path=quote(parsed.path or "/", safe=_SAFE),
            query=quote(parsed.query, safe=_SAFE),
            user_info=user_info,
            headers=tuple(_checked_headers(headers)),
            subprotocols=_checked_offer(subprotocols),
        )

    @property
    def is_secure(self) -> bool:
        """Whether the request goes over TLS."""
        return self.scheme == "wss"

    def scope(self, headers: Iterable[tuple[bytes, bytes]]) -> dict[str, Any]:
        """Return the scope that a server would build from this request.

        :param headers: all header fields that were sent, with those of every handshake
        """
        raw_path = self.path.encode()
        return {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": self.scheme,
            "path": unquote_to_bytes(raw_path).decode(errors="replace"),
            "raw_path": raw_path,
            "query_string": self.query.encode(),
            "root_path": "",
            "headers": list(headers),
            "server": (self.host, self.port),
            "subprotocols": list(self.subprotocols),
        }


def _port(url: URL) -> int | None:
    # Not `url.port`: that is None for a malformed port too, and the request would go to the default one.
    try:
        default = _DEFAULT_PORTS[url.scheme]
        return default if url.components.port is None else url.components.port
    except (KeyError, ValueError):
        return None


def _ascii_host(host: str) -> str:
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise InvalidHandshake("url", "a valid host name", repr(host)) from None


def _checked_headers(headers: HeadersInput | None) -> list[tuple[bytes, bytes]]:
    fields = header_list(headers)
    for name, _ in fields:
        if name == b"sec-websocket-protocol":
            raise InvalidHandshake("headers", "no sec-websocket-protocol (pass subprotocols=[...])", "one")
        if name in _HANDSHAKE_FIELDS:
            raise InvalidHandshake("headers", "no header of the handshake itself", repr(name.decode()))
    return fields


def _checked_offer(subprotocols: Sequence[str]) -> tuple[str, ...]:
    # A string is a sequence too: "chat" would offer "c", "h", "a" and "t".
    if isinstance(subprotocols, str):
        raise InvalidHandshake("subprotocols", "a sequence of tokens", repr(subprotocols))
    for name in subprotocols:
        # A lone surrogate becomes `?`, which no token contains.
        if not is_token(name.encode(errors="replace")):
            raise InvalidHandshake("subprotocols", "tokens (RFC 6455 section 4.1)", repr(name))
    if len(set(subprotocols)) < len(subprotocols):
        raise InvalidHandshake("subprotocols", "unique names (RFC 6455 section 4.1)", "a repeated one")
    return tuple(subprotocols)
