"""What servers are known to do otherwise, told by the scope that each of them makes. Pure facts; nothing is awaited."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from typedws.close_codes import ApplicationCloseCode

__all__ = ["CURRENT", "PEER", "ServerProfile", "profile_of"]


@dataclass(frozen=True, slots=True)
class ServerProfile:
    """How a server behaves where servers differ. The defaults are those of a current one."""

    send_raises_when_gone: bool = True
    """Whether ``send`` raises once the peer is gone, as ASGI 2.4 says. Others say nothing, and drop what is sent."""
    reports_close_reasons: bool = True
    """Whether each close frame is told with its reason, an empty one too: where there is none, no frame came."""
    has_safe_receive: bool = True
    """Whether a cancelled ``receive`` loses nothing."""
    accepts_body_parts: bool = True
    """Whether the body of a denial may come in parts."""
    is_peer: bool = False
    """Whether it is the other end: for a client."""
    closes: type[ApplicationCloseCode] | None = None
    """The close codes of the contract with it: for a client."""


CURRENT: Final = ServerProfile()
PEER: Final = ServerProfile(is_peer=True)
_OLDER: Final = ServerProfile(send_raises_when_gone=False, reports_close_reasons=False)
_GRANIAN: Final = ServerProfile(
    send_raises_when_gone=False, reports_close_reasons=False, has_safe_receive=False, accepts_body_parts=False
)

_OF_GRANIAN: Final = "http.response.pathsend"
"""An extension of HTTP responses, which only granian offers to WebSockets."""


def profile_of(scope: Mapping[str, Any]) -> ServerProfile:
    """Give what is known of the server that made a scope."""
    extensions: Mapping[str, Any] | None = scope.get("extensions")
    if extensions and _OF_GRANIAN in extensions:
        return _GRANIAN
    versions: Mapping[str, Any] = scope.get("asgi") or {}
    return CURRENT if _is_current(versions.get("spec_version", "2.0")) else _OLDER


@cache
def _is_current(spec_version: str) -> bool:
    major, _, minor = spec_version.partition(".")
    return (int(major), int(minor or 0)) >= (2, 4)
