"""The request of an opening handshake, as a server would tell it to an application. Nothing is sent here."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

from typedws.errors import InvalidHandshake
from typedws.events import HeadersInput, header_list, is_token
from typedws.testing.behaviour import ServerBehaviour

__all__ = ["scope_of"]

_AS_THEY_ARE: Final = "%/?:@!$&'()*+,;=-._~"
"""What a URL may have unquoted, and ``%``, by which it quotes (RFC 3986 section 3.4)."""

_HOST: Final = "testserver"
_KEY: Final = base64.b64encode(b"sixteen bytes...")


def scope_of(
    url: str,
    headers: HeadersInput | None,
    subprotocols: Sequence[str],
    path_params: Mapping[str, Any] | None,
    server: ServerBehaviour,
) -> dict[str, Any]:
    """Make the scope of a request for a path with its query, or for a whole URL; but for the ``state``.

    :raises InvalidHandshake: for what a client must not send
    """
    parts = urlsplit(url)
    if parts.scheme not in ("", "ws", "wss") or not parts.path.startswith("/") or parts.fragment:
        raise InvalidHandshake("path", "a path such as /chat?name=ann, or a ws:// or wss:// URL", repr(url))
    given = header_list(headers)
    raw_path = quote(parts.path, safe=_AS_THEY_ARE).encode()
    scope: dict[str, Any] = {
        "type": "websocket",
        # ASGI 2.4 is what says that a send to a client that is gone raises.
        "asgi": {"version": "3.0", "spec_version": "2.3" if server.drops_sends_silently else "2.4"},
        "http_version": "1.1",
        "scheme": parts.scheme or "ws",
        "path": unquote_to_bytes(raw_path).decode(errors="replace"),
        "raw_path": raw_path,
        "query_string": quote(parts.query, safe=_AS_THEY_ARE).encode(),
        "root_path": "",
        "headers": [*_handshake_headers(parts.netloc or _HOST, given, subprotocols), *given],
        "client": ("127.0.0.1", 50000),
        "server": (parts.hostname or _HOST, parts.port or (443 if parts.scheme == "wss" else 80)),
        "subprotocols": list(subprotocols),
        "extensions": None if server.no_denial_extension else {"websocket.http.response": {}},
    }
    if path_params is not None:
        scope["path_params"] = dict(path_params)
    return scope


def _handshake_headers(
    host: str, given: Sequence[tuple[bytes, bytes]], subprotocols: Sequence[str]
) -> list[tuple[bytes, bytes]]:
    """Give the fields of RFC 6455 section 4.1 that a client sends by itself, but for those that are given."""
    if isinstance(subprotocols, str):
        raise InvalidHandshake("subprotocols", "a sequence of tokens", repr(subprotocols))
    for each in subprotocols:
        if not is_token(each.encode(errors="replace")):
            raise InvalidHandshake("subprotocols", "tokens (RFC 6455 section 4.1)", repr(each))
    if len(set(subprotocols)) < len(subprotocols):
        raise InvalidHandshake("subprotocols", "each once (RFC 6455 section 4.1)", "one twice")
    names = {name for name, _ in given}
    if b"sec-websocket-protocol" in names:
        raise InvalidHandshake("headers", "no sec-websocket-protocol", "one: pass subprotocols=[...]")
    fields = [
        (b"host", host.encode()),
        (b"connection", b"Upgrade"),
        (b"upgrade", b"websocket"),
        (b"sec-websocket-version", b"13"),
        (b"sec-websocket-key", _KEY),
    ]
    if subprotocols:
        fields.append((b"sec-websocket-protocol", ", ".join(subprotocols).encode()))
    return [field for field in fields if field[0] not in names]
