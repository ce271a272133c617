"""The last events of a connection, in both directions, as lines for error messages. Nothing is decided here."""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from typedws._protocol.events import frame_of

__all__ = ["Transcript"]

_MAX_LINES: Final = 10
_MAX_SHOWN: Final = 80
"""Characters or bytes of a message that a line shows."""


class Transcript:
    """The last 10 events of a connection, a line each, and the number of earlier ones."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_MAX_LINES)
        self._count = 0

    def note(self, party: str, action: str) -> None:
        """Add a line."""
        self._count += 1
        self._lines.append(f"{party:<11}  {action}")

    def note_message(self, party: str, event: Mapping[str, Any]) -> None:
        """Add a line for a sent message, shortened if it is long."""
        frame = frame_of(event)
        kind = "text" if isinstance(frame, str) else "bytes"
        content = repr(frame[:_MAX_SHOWN]) + (f"... ({len(frame)} in all)" if len(frame) > _MAX_SHOWN else "")
        self.note(party, f"sends {kind} {content}")

    def lines(self) -> list[str]:
        """Return the lines, oldest first."""
        earlier = self._count - len(self._lines)
        return [*([f"({earlier} earlier)"] if earlier else ()), *self._lines]
