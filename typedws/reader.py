"""How one frame is read as a message: its kind, and what decodes it. Nothing is received here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from typedws.codecs import FrameKind
from typedws.errors import InvalidMessage

__all__ = ["Reader", "wrong_frame"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reader(Generic[T]):
    """How a message is read: which frame it must be in, what was expected, what decodes it."""

    kind: FrameKind
    expected: str
    decode: Callable[[Any], T]

    def read(self, frame: str | bytes) -> T:
        """Read a frame; raises `InvalidMessage` for one of the other kind, and as ``decode`` does."""
        if isinstance(frame, str) is not (self.kind == "text"):
            raise wrong_frame(f"{self.expected} in a {self.kind} frame", frame)
        return self.decode(frame)


def wrong_frame(expected: str, frame: str | bytes) -> InvalidMessage:
    """Give the error for a frame of the other kind."""
    return InvalidMessage("wrong_frame", expected, f"a {'text' if isinstance(frame, str) else 'binary'} frame")
