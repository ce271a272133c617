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
"""Seconds that a cancelled handler has to clean up before it is cancelled again."""


class TimeoutMonitor:
    """Enforces the handshake, idle and send timeouts of one connection while the block runs.

    When a timeout expires, the block is cancelled and ``expired`` is set. A message costs one function call, and that
    only from the first check on: a connection that is shorter pays nothing.
    """

    __slots__ = (
        "_asgi_receive",
        "_asgi_send",
        "_cancelled",
        "_context",
        "_interruption",
        "_interval",
        "_policy",
        "_receives",
        "_seen",
        "_sends",
        "_session",
        "_watchdog",
        "expired",
    )

    def __init__(self, session: Session, admission: Admission) -> None:
        self._session = session
        self._policy = admission.policy
        self._interval = admission.interval
        self._seen: dict[str, tuple[int, float]] | None = None
        self.expired: Ending | None = None
        """How the connection has to end, once a timeout has expired."""

    def __enter__(self) -> Self:
        self._watchdog = watchdog()
        self._context = interruptible()
        self._interruption = self._context.__enter__()
        if self._interval is not None:
            self._watchdog.add(self, self._interval)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self.stop()
        return bool(self._context.__exit__(kind, error, traceback))

    def stop(self) -> None:
        """Stop watching. ``expired`` keeps its value."""
        self._watchdog.discard(self)

    def check(self, now: float) -> None:
        """Cancel the handler if one wait has lasted longer than its timeout."""
        before = self._start_counting() if self._seen is None else self._seen
        self._seen = {}
        for wait, count, timeout, ending in self._waits():
            known = before.get(wait)
            since = known[1] if known is not None and known[0] == count else now
            self._seen[wait] = count, since
            if self.expired is None and timeout is not None and now - since >= timeout:
                self.expired = ending
                self._cancel(now)
        # Not at every check: a handler that cleans up behind a shield needs time.
        if self.expired is not None and now - self._cancelled >= _GRACE:
            self._cancel(now)

    def _cancel(self, now: float) -> None:
        self._cancelled = now
        self._interruption.cancel()

    def _waits(self) -> Iterator[tuple[str, int, float | None, Ending]]:
        """Yield the waits in progress: a name, a counter that changes when the wait is over, its timeout and ending."""
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

    # Plain functions that return the server's awaitable: an additional coroutine would cost each message more.

    def _send(self, event: Any) -> Awaitable[None]:
        self._sends += 1
        return self._asgi_send(event)

    def _receive(self) -> Awaitable[Mapping[str, Any]]:
        self._receives += 1
        return self._asgi_receive()
