"""Build the ASGI scope of an opening handshake, as a server passes it to an application. Nothing is sent here."""

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
    behaviour: ServerBehaviour,
) -> dict[str, Any]:
    """Return the scope of a handshake request, without the ``state`` of the lifespan.

    :param url: a path, with its query if it has one, or a whole ``ws://`` or ``wss://`` URL
    :raises InvalidHandshake: if a client must not send such a request
    """
    parts = urlsplit(url)
    if parts.scheme not in ("", "ws", "wss") or not parts.path.startswith("/") or parts.fragment:
        raise InvalidHandshake("path", "a path such as /chat?name=ann, or a ws:// or wss:// URL", repr(url))
    full_url = parts._replace(scheme=parts.scheme or "ws", netloc=parts.netloc or _HOST).geturl()
    request = OutgoingRequest.of(full_url, headers, subprotocols)
    scope = request.scope([*_handshake_headers(request, parts.netloc or _HOST), *request.headers])
    # Since ASGI 2.4 a send to a client that is gone must raise an OSError, so a server that drops it cannot claim 2.4.
    scope["asgi"]["spec_version"] = "2.3" if behaviour.drops_sends_silently else "2.4"
    scope["client"] = ("127.0.0.1", 50000)
    scope["extensions"] = None if behaviour.no_denial_extension else {"websocket.http.response": {}}
    if path_params is not None:
        scope["path_params"] = dict(path_params)
    return scope


def _handshake_headers(request: OutgoingRequest, host: str) -> list[tuple[bytes, bytes]]:
    """Return the header fields that every client sends (RFC 6455, section 4.1), except for those already given."""
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
