"""The last events of a connection, both ways, in words. What they mean is not decided here."""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from typedws._protocol.events import frame_of

__all__ = ["Transcript"]

_KEPT: Final = 10
_LONGEST: Final = 80


class Transcript:
    """What happened last, a line each, for who reads why a test failed."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._count = 0

    def note(self, who: str, what: str) -> None:
        """Keep a line."""
        self._count += 1
        self._lines.append(f"{who:<11}  {what}")

    def sends(self, who: str, event: Mapping[str, Any]) -> None:
        """Keep a line about a message, cut where it is long."""
        frame = frame_of(event)
        kind = "text" if isinstance(frame, str) else "bytes"
        told = repr(frame[:_LONGEST]) + (f"... ({len(frame)} in all)" if len(frame) > _LONGEST else "")
        self.note(who, f"sends {kind} {told}")

    def lines(self) -> list[str]:
        """Give what is kept, oldest first."""
        earlier = self._count - len(self._lines)
        return [*([f"({earlier} earlier)"] if earlier else ()), *self._lines]
