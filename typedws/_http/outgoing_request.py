"""The request of an opening handshake: checked, and told as an ASGI scope tells it. Nothing is sent here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import quote, unquote, unquote_to_bytes

from typedws._http.headers import HeadersInput, header_list, is_token
from typedws._http.url import URL
from typedws.exceptions import InvalidHandshake

__all__ = ["OutgoingRequest"]

_AS_THEY_ARE: Final = "%/?:@!$&'()*+,;=-._~"
"""What a URL may have unquoted, and ``%``, by which it quotes (RFC 3986 section 3.4)."""

_OF_THE_HANDSHAKE: Final = frozenset(
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
    """What a client asks for: where, with which header fields, offering which subprotocols."""

    scheme: str
    host: str
    port: int
    path: str
    query: str
    user_info: tuple[str, str] | None
    """A user's name and password, if the URL has them."""
    headers: tuple[tuple[bytes, bytes], ...]
    """The fields beside those of every handshake."""
    subprotocols: tuple[str, ...]

    @classmethod
    def of(cls, url: str, headers: HeadersInput | None, subprotocols: Sequence[str]) -> Self:
        """Read the URL, and check all.

        :raises InvalidHandshake: for what a client must not ask for (RFC 6455 sections 3 and 4.1)
        """
        parsed = URL(url)
        host, port = parsed.hostname, _port(parsed)
        if not host or port is None or parsed.fragment:
            raise InvalidHandshake("url", "a ws:// or wss:// URL without a fragment", repr(parsed))
        user_info = None if parsed.username is None else (unquote(parsed.username), unquote(parsed.password or ""))
        return cls(
            scheme=parsed.scheme,
            host=_ascii(host),
            port=port,
            path=quote(parsed.path or "/", safe=_AS_THEY_ARE),
            query=quote(parsed.query, safe=_AS_THEY_ARE),
            user_info=user_info,
            headers=tuple(_checked_headers(headers)),
            subprotocols=_checked_offer(subprotocols),
        )

    @property
    def is_secure(self) -> bool:
        """Whether it goes over TLS."""
        return self.scheme == "wss"

    def scope(self, headers: Iterable[tuple[bytes, bytes]]) -> dict[str, Any]:
        """Give the scope that a server would make of it, with all header fields that were sent."""
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
    try:
        default = _DEFAULT_PORTS[url.scheme]
        return default if url.components.port is None else url.components.port
    except (KeyError, ValueError):
        return None


def _ascii(host: str) -> str:
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise InvalidHandshake("url", "a host that is one", repr(host)) from None


def _checked_headers(headers: HeadersInput | None) -> list[tuple[bytes, bytes]]:
    fields = header_list(headers)
    for name, _ in fields:
        if name == b"sec-websocket-protocol":
            raise InvalidHandshake("headers", "no sec-websocket-protocol", "one: pass subprotocols=[...]")
        if name in _OF_THE_HANDSHAKE:
            raise InvalidHandshake("headers", "none that belongs to the handshake itself", repr(name.decode()))
    return fields


def _checked_offer(subprotocols: Sequence[str]) -> tuple[str, ...]:
    if isinstance(subprotocols, str):
        raise InvalidHandshake("subprotocols", "a sequence of tokens", repr(subprotocols))
    for each in subprotocols:
        if not is_token(each.encode(errors="replace")):
            raise InvalidHandshake("subprotocols", "tokens (RFC 6455 section 4.1)", repr(each))
    if len(set(subprotocols)) < len(subprotocols):
        raise InvalidHandshake("subprotocols", "each once (RFC 6455 section 4.1)", "one twice")
    return tuple(subprotocols)
