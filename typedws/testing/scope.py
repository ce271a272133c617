"""The request of an opening handshake, as a server would tell it to an application. Nothing is sent here."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from typedws._http.headers import HeadersInput
from typedws._http.outgoing_request import OutgoingRequest
from typedws.exceptions import InvalidHandshake
from typedws.testing.server_behaviour import ServerBehaviour

__all__ = ["build_scope"]

_HOST: Final = "testserver"
_KEY: Final = base64.b64encode(b"sixteen bytes...")


def build_scope(
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
    whole = parts._replace(scheme=parts.scheme or "ws", netloc=parts.netloc or _HOST).geturl()
    request = OutgoingRequest.of(whole, headers, subprotocols)
    scope = request.scope([*_handshake_headers(request, parts.netloc or _HOST), *request.headers])
    # ASGI 2.4 is what says that a send to a client that is gone raises.
    scope["asgi"]["spec_version"] = "2.3" if server.drops_sends_silently else "2.4"
    scope["client"] = ("127.0.0.1", 50000)
    scope["extensions"] = None if server.no_denial_extension else {"websocket.http.response": {}}
    if path_params is not None:
        scope["path_params"] = dict(path_params)
    return scope


def _handshake_headers(request: OutgoingRequest, host: str) -> list[tuple[bytes, bytes]]:
    """Give the fields of RFC 6455 section 4.1 that a client sends by itself, but for those that are given."""
    names = {name for name, _ in request.headers}
    fields = [
        (b"host", host.encode()),
        (b"connection", b"Upgrade"),
        (b"upgrade", b"websocket"),
        (b"sec-websocket-version", b"13"),
        (b"sec-websocket-key", _KEY),
    ]
    if request.subprotocols:
        fields.append((b"sec-websocket-protocol", ", ".join(request.subprotocols).encode()))
    return [field for field in fields if field[0] not in names]
