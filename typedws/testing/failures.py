"""The exceptions that a test sees: a sentence, and below it the last events of the connection. Nothing waits here."""

from collections.abc import Sequence

from typedws.exceptions import TypedWSError

__all__ = ["ApplicationReturned", "ClientGone", "ExpectationFailed", "LifespanFailed", "WaitTimeout", "list_events"]


def list_events(events: Sequence[str]) -> str:
    """Return the last events of a connection as lines below a heading."""
    return "\n  ".join(("the last events:", *events))


class _Failure(TypedWSError):
    """One sentence, by default "expected ..., found ...", and below it the last events of the connection."""

    def __init__(self, expected: str, found: str, events: Sequence[str] = ()) -> None:
        super().__init__(expected, found, tuple(events))
        self.expected: str = expected
        self.found: str = found
        self.events: tuple[str, ...] = tuple(events)
        """The last events in both directions, oldest first; empty for a lifespan or a blocked event loop."""

    def __str__(self) -> str:
        sentence = self._sentence()
        return f"{sentence}\n{list_events(self.events)}" if self.events else sentence

    def _sentence(self) -> str:
        return f"expected {self.expected}, found {self.found}"


class WaitTimeout(_Failure, TimeoutError):
    """Something did not happen in time.

    It shows what was awaited, the line at which the application waits, and the last events.
    """


class ExpectationFailed(_Failure, AssertionError):
    """Something other than the expected message, close or denial arrived."""


class ApplicationReturned(_Failure):
    """The application returned without accepting or denying the handshake; a server then responds with 500."""

    def _sentence(self) -> str:
        return "the application returned without accepting or denying"


class LifespanFailed(_Failure):
    """The application reported that its startup or its shutdown failed (``lifespan.startup.failed`` and the like)."""


class ClientGone(OSError):
    """The error of the server's ``send`` in an application whose client is gone (ASGI specification 2.4)."""
