"""How a connection ended, as values: `Closed` after an accept, `Denied` without one. Nothing is sent here."""

from dataclasses import dataclass
from typing import TypeAlias

from typedws._http.headers import Headers
from typedws.exceptions import ClosedBy

__all__ = ["Accepted", "Closed", "Denied", "Outcome"]


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is closed, with this code and reason, by this party."""

    code: int
    reason: str
    closed_by: ClosedBy


@dataclass(frozen=True, slots=True)
class Denied:
    """The handshake was denied; ``status`` is the HTTP status that the client gets."""

    status: int


Outcome: TypeAlias = Closed | Denied
"""What a handler that decides a handshake returns."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the server said when it accepted."""

    subprotocol: str | None
    headers: Headers
