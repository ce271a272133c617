"""Close codes: their names and meanings, which of them an endpoint may send, and how long a close reason may be.

Only facts live here (RFC 6455 section 7.4 and the IANA WebSocket Close Code Number Registry); nothing is sent.
"""

from enum import IntEnum
from typing import Final, Literal, Self, TypeAlias

__all__ = [
    "MAX_REASON_BYTES",
    "ApplicationCloseCode",
    "CloseCode",
    "Reconnect",
    "describe",
    "is_sendable",
    "truncate_reason",
]

MAX_REASON_BYTES: Final = 123
"""The limit of a close reason in bytes of UTF-8: a close frame holds 125, two for the code (RFC 6455 section 5.5)."""


class CloseCode(IntEnum):
    """Every registered close code (RFC 6455 section 7.4.1, IANA registry), named as in ``websockets``."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    RESERVED = 1004
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015
    UNAUTHORIZED = 3000
    FORBIDDEN = 3003
    TIMEOUT = 3008


_MEANINGS: Final[dict[int, str]] = {
    CloseCode.NORMAL_CLOSURE: "normal closure",
    CloseCode.GOING_AWAY: "going away",
    CloseCode.PROTOCOL_ERROR: "protocol error",
    CloseCode.UNSUPPORTED_DATA: "unsupported data",
    CloseCode.RESERVED: "reserved",
    CloseCode.NO_STATUS_RCVD: "no status received",
    CloseCode.ABNORMAL_CLOSURE: "abnormal closure, no close frame",
    CloseCode.INVALID_DATA: "invalid data",
    CloseCode.POLICY_VIOLATION: "policy violation",
    CloseCode.MESSAGE_TOO_BIG: "message too big",
    CloseCode.MANDATORY_EXTENSION: "mandatory extension",
    CloseCode.INTERNAL_ERROR: "internal error",
    CloseCode.SERVICE_RESTART: "service restart",
    CloseCode.TRY_AGAIN_LATER: "try again later",
    CloseCode.BAD_GATEWAY: "bad gateway",
    CloseCode.TLS_HANDSHAKE: "TLS handshake failure",
    CloseCode.UNAUTHORIZED: "unauthorized",
    CloseCode.FORBIDDEN: "forbidden",
    CloseCode.TIMEOUT: "timeout",
}

_NEVER_SENT: Final = frozenset(
    {CloseCode.RESERVED, CloseCode.NO_STATUS_RCVD, CloseCode.ABNORMAL_CLOSURE, CloseCode.TLS_HANDSHAKE}
)


Reconnect: TypeAlias = Literal["never", "resume", "backoff"]
"""Whether a client should reconnect after a close: never, at once to resume, or with a backoff (a growing delay)."""


class ApplicationCloseCode(IntEnum):
    """The base class for the close codes of an application (4000-4999, RFC 6455 section 7.4.2).

    A member has a code, a description, and whether a client should reconnect. Closing with a member sends its
    description as the close reason, unless another reason is passed::

        class ChatClose(ApplicationCloseCode):
            KICKED = 4001, "removed by a moderator", "never"
            MOVED = 4002, "the room moved to another server", "resume"
    """

    description: str
    reconnect: Reconnect

    def __new__(cls, code: int, description: str = "", reconnect: Reconnect = "never") -> Self:
        # Without this method, IntEnum would pass all three values to int().
        member = int.__new__(cls, code)
        member._value_ = code
        member.description = description
        member.reconnect = reconnect
        return member


def describe(code: int) -> str:
    """Return in a few words what a close code means, whether it is registered or not (RFC 6455 section 7.4.2).

    For an `ApplicationCloseCode` with a description, that is its description.
    """
    if isinstance(code, ApplicationCloseCode) and code.description:
        return code.description
    if meaning := _MEANINGS.get(code):
        return meaning
    if 4000 <= code <= 4999:
        return "private use"
    if 3000 <= code <= 3999:
        return "registered"
    return "unknown"


def is_sendable(code: int) -> bool:
    """Whether an endpoint may send ``code`` in a close frame: 1000-1003, 1007-1014 and 3000-4999.

    1004, 1005, 1006 and 1015 are reserved and never sent (RFC 6455 section 7.4.1); the rest of 0-2999 is undefined.
    """
    return 3000 <= code <= 4999 or (1000 <= code <= 1015 and code not in _NEVER_SENT)


def truncate_reason(reason: str) -> str:
    """Return a close reason shortened to at most 123 bytes of UTF-8, at the boundary of a character.

    A lone surrogate, which no frame can carry, becomes ``?``.
    """
    encoded = reason.encode(errors="replace")
    # "ignore" drops the last character if the limit has cut it in two.
    return encoded[:MAX_REASON_BYTES].decode(errors="ignore")
