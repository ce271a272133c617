"""What a test is told when it does not go as it should, each in one sentence and what led to it. Nothing waits here."""

from collections.abc import Sequence

from typedws.exceptions import TypedWSError

__all__ = ["ApplicationReturned", "ClientGone", "ExpectationFailed", "LifespanFailed", "WaitTimeout", "listed"]


def listed(events: Sequence[str]) -> str:
    """List the last events of a connection below their heading."""
    return "\n  ".join(("the last events:", *events))


class _Failure(TypedWSError):
    """A sentence, and below it the last events of the connection."""

    def __init__(self, expected: str, found: str, events: Sequence[str] = ()) -> None:
        super().__init__(expected, found, tuple(events))
        self.expected: str = expected
        self.found: str = found
        self.events: tuple[str, ...] = tuple(events)
        """The last events both ways, oldest first."""

    def __str__(self) -> str:
        told = f"expected {self.expected}, found {self.found}"
        return f"{told}\n{listed(self.events)}" if self.events else told


class WaitTimeout(_Failure, TimeoutError):
    """Something did not happen in time: what was awaited, where the application stands, the last events."""


class ExpectationFailed(_Failure, AssertionError):
    """Something else came than what a test expects."""


class ApplicationReturned(_Failure):
    """The application returned and neither accepted nor denied; a server then answers 500."""


class LifespanFailed(_Failure):
    """The application told that its startup or its shutdown failed."""


class ClientGone(OSError):
    """What the server's ``send`` raises in an application whose client is gone (ASGI specification 2.4)."""
