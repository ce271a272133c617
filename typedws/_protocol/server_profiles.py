"""Where servers behave differently, and which server built a scope. Facts only; nothing is awaited."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from typedws.close_codes import ApplicationCloseCode

__all__ = ["CURRENT", "PEER", "ServerProfile", "profile_of"]


@dataclass(frozen=True, slots=True)
class ServerProfile:
    """How a server behaves where servers differ. The defaults are those of a current server."""

    send_raises_when_gone: bool = True
    """Whether ``send`` raises once the peer is gone, as ASGI 2.4 requires. Other servers drop the event silently, or
    refuse it before the disconnect event is there (daphne)."""
    reports_close_reasons: bool = True
    """Whether the reason of every close frame is reported, even an empty one: if it is missing, no frame arrived."""
    has_safe_receive: bool = True
    """Whether a cancelled ``receive`` loses no event."""
    accepts_body_parts: bool = True
    """Whether the body of a denial may be sent in parts."""
    is_peer: bool = False
    """Whether the server is the peer: true on a client."""
    closes: type[ApplicationCloseCode] | None = None
    """The close codes of the contract with the server, on a client."""


CURRENT: Final = ServerProfile()
PEER: Final = ServerProfile(is_peer=True)
_OLDER: Final = ServerProfile(send_raises_when_gone=False, reports_close_reasons=False)
_GRANIAN: Final = ServerProfile(
    send_raises_when_gone=False, reports_close_reasons=False, has_safe_receive=False, accepts_body_parts=False
)

_GRANIAN_EXTENSION: Final = "http.response.pathsend"
"""An extension for HTTP responses, which only granian offers in the scope of a WebSocket."""


def profile_of(scope: Mapping[str, Any]) -> ServerProfile:
    """Return the profile of the server that built a scope."""
    extensions: Mapping[str, Any] | None = scope.get("extensions")
    if extensions and _GRANIAN_EXTENSION in extensions:
        return _GRANIAN
    versions: Mapping[str, Any] = scope.get("asgi") or {}
    return CURRENT if _is_current(versions.get("spec_version", "2.0")) else _OLDER


# The version comes from the server and never from a client, so the cache stays small.
@cache
def _is_current(spec_version: str) -> bool:
    major, _, minor = spec_version.partition(".")
    return (int(major), int(minor or 0)) >= (2, 4)
