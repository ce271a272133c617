"""The timeouts of a policy in force: for how long a connection may keep its handler waiting. Nothing is sent here."""

from collections.abc import Awaitable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self

from typedws._connection.session import Session
from typedws._endpoint.admission import Admission
from typedws._endpoint.endings import IDLE, STALLED, UNREAD, Ending
from typedws._protocol.state import Application
from typedws._runtime.event_loop import interruptible
from typedws._runtime.watchdog import watchdog

__all__ = ["TimeoutMonitor"]

_GRACE: Final = 5.0
"""Seconds that a handler which was cancelled is given to leave, before it is cancelled again."""


class TimeoutMonitor:
    """Looks at one connection: is it undecided, is its peer silent, is a message unread, for too long?

    While the block runs, which it interrupts then: ``expired`` says so. Nothing is done for a message but to count it,
    and that from the first look on, which most connections of a moment do not live to see.
    """

    __slots__ = (
        "_asgi_receive",
        "_asgi_send",
        "_cancelled",
        "_context",
        "_dog",
        "_interruption",
        "_period",
        "_policy",
        "_receives",
        "_seen",
        "_sends",
        "_session",
        "expired",
    )

    def __init__(self, session: Session, admission: Admission) -> None:
        self._session = session
        self._policy = admission.policy
        self._period = admission.period
        self._seen: dict[str, tuple[int, float]] | None = None
        self.expired: Ending | None = None
        """How the connection is to end, if patience was lost with it."""

    def __enter__(self) -> Self:
        self._dog = watchdog()
        self._context = interruptible()
        self._interruption = self._context.__enter__()
        if self._period is not None:
            self._dog.add(self, self._period)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self.stop()
        return bool(self._context.__exit__(kind, error, traceback))

    def stop(self) -> None:
        """Look no more; a verdict stands."""
        self._dog.discard(self)

    def look(self, now: float) -> None:
        """Cancel the handler where the same thing has been waited for since too long."""
        before = self._start_counting() if self._seen is None else self._seen
        self._seen = {}
        for what, mark, timeout, ending in self._waits():
            known = before.get(what)
            since = known[1] if known is not None and known[0] == mark else now
            self._seen[what] = mark, since
            if self.expired is None and timeout is not None and now - since >= timeout:
                self.expired = ending
                self._cancel(now)
        # Not at each look: what cleans up behind a shield has its time.
        if self.expired is not None and now - self._cancelled >= _GRACE:
            self._cancel(now)

    def _cancel(self, now: float) -> None:
        self._cancelled = now
        self._interruption.cancel()

    def _waits(self) -> Iterator[tuple[str, int, float | None, Ending]]:
        """Give what is waited for, with a mark that changes when it comes."""
        session, policy = self._session, self._policy
        if session.state.application is Application.CONNECTING:
            yield "decision", 0, policy.handshake_timeout, STALLED
        if session.sending == "busy":
            yield "send", self._sends, policy.send_timeout, UNREAD
        if session.receiving == "busy":
            yield "receive", self._receives, policy.idle_timeout, IDLE

    def _start_counting(self) -> dict[str, tuple[int, float]]:
        session, policy = self._session, self._policy
        self._sends = self._receives = 0
        if policy.send_timeout is not None:
            self._asgi_send = session.asgi_send
            session.asgi_send = self._send
        if policy.idle_timeout is not None:
            self._asgi_receive = session.asgi_receive
            session.asgi_receive = self._receive
        return {}

    # Neither is a coroutine of its own: that would cost each message more.

    def _send(self, event: Any) -> Awaitable[None]:
        self._sends += 1
        return self._asgi_send(event)

    def _receive(self) -> Awaitable[Mapping[str, Any]]:
        self._receives += 1
        return self._asgi_receive()
