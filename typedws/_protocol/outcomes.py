"""What became of a handshake or a connection, as values: `Closed`, `Denied`. Nothing is sent here."""

from dataclasses import dataclass
from typing import TypeAlias

from typedws.exceptions import ClosedBy

__all__ = ["Closed", "Denied", "Outcome"]


@dataclass(frozen=True, slots=True)
class Closed:
    """How an accepted connection ended: with which close code and close reason, and closed by which party."""

    code: int
    reason: str
    closed_by: ClosedBy


@dataclass(frozen=True, slots=True)
class Denied:
    """How a handshake ended without an accept: ``status`` is the HTTP status that the client receives."""

    status: int


Outcome: TypeAlias = Closed | Denied
"""What a handler that decides a handshake returns."""
