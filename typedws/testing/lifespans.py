"""The lifespan of an application under test: as on a server, one for all connections that overlap."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import anyio
import anyio.lowlevel

from typedws.asgi import ASGIApp
from typedws.exceptions import InvalidState
from typedws.testing.application_run import TIMEOUT, ApplicationRun, within
from typedws.testing.failures import LifespanFailed, WaitTimeout

__all__ = ["lifespan"]


class _Lifespan:
    """One run of an application's lifespan, shared by its holders: connections and `lifespan` blocks."""

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self.holders = 0
        self.state: dict[str, Any] = {}
        self._app = app
        self._timeout = timeout
        self._has_begun = False
        self._events: list[Mapping[str, Any]] = []
        # Replaced at each event: an anyio.Event cannot be cleared.
        self._change = anyio.Event()
        self._stopping = anyio.Event()
        self._run = ApplicationRun(self._run_app, self._notify)

    async def _run_app(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        await self._app(scope, self._receive, self._send)

    async def _receive(self) -> Mapping[str, Any]:
        if not self._has_begun:
            self._has_begun = True
            return {"type": "lifespan.startup"}
        await self._stopping.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, event: Mapping[str, Any]) -> None:
        # An application that ignores the scope's type sends a WebSocket event here. The error ends this run of it, and
        # an application that ends without a lifespan event counts as one without a lifespan.
        if event["type"] not in _EVENTS:
            raise InvalidState("an event of the lifespan", repr(event["type"]))
        self._events.append(event)
        self._notify()

    def _notify(self) -> None:
        self._change.set()
        self._change = anyio.Event()

    async def start(self) -> None:
        await self._phase("startup")

    async def stop(self) -> None:
        if not self._run.is_ended:
            self._stopping.set()
            await self._phase("shutdown")
            if not await self._run.wait_ended(self._timeout):
                await self._run.cancel()

    async def _phase(self, phase: str) -> None:
        """Wait until a phase is complete. An application that ends without an event of the phase does not support it.

        :raises WaitTimeout: if the phase takes too long; the application is cancelled then
        :raises LifespanFailed: if the application reports that the phase failed and raises nothing itself
        """

        async def wait() -> None:
            while not self._events_of(phase) and not self._run.is_ended:
                await self._change.wait()

        with suppress(TimeoutError):
            await within(self._timeout, wait)
        events = self._events_of(phase)
        if not events and not self._run.is_ended:
            # Made before the cancellation, which changes the position of the application.
            error = WaitTimeout(
                f"lifespan.{phase}.complete within {self._timeout:g} s", self._run.describe_position("waits")
            )
            await self._run.cancel()
            raise error
        if events and events[0]["type"].endswith(".failed"):
            # An application often reports the failure first and then raises its cause, which tells a test more.
            await self._run.wait_ended(self._timeout)
            message = events[0].get("message", "")
            raise self._run.error or LifespanFailed(f"lifespan.{phase}.complete", f"lifespan.{phase}.failed: {message}")

    def _events_of(self, phase: str) -> list[Mapping[str, Any]]:
        return [event for event in self._events if event["type"].startswith(f"lifespan.{phase}.")]


_EVENTS: Final = [f"lifespan.{phase}.{end}" for phase in ("startup", "shutdown") for end in ("complete", "failed")]

# Tasks belong to one event loop, so each run of an event loop has its own lifespans. The key is the id of the
# application, which need not be hashable. The lifespan refers to the application, so that no other object can get the
# same id.
_running: Final[anyio.lowlevel.RunVar[dict[int, _Lifespan]]] = anyio.lowlevel.RunVar("typedws.testing.lifespans")


@asynccontextmanager
async def lifespan(app: ASGIApp, *, timeout: float = TIMEOUT) -> AsyncGenerator[Mapping[str, Any]]:  # noqa: ASYNC109 - of each phase
    """Run an application's lifespan while the block runs, and yield its state.

    Every `connect` runs the lifespan by itself; connections that overlap share one lifespan, which ends with the last
    of them. Use this function if the lifespan must continue between connections.

    :param app: any ASGI application; if it does not support the lifespan protocol, the state is empty
    :param timeout: the time limit of the startup and of the shutdown, each in seconds
    :raises WaitTimeout: if the startup or the shutdown takes longer; the application is cancelled then
    :raises LifespanFailed: if the application reports that one of them failed and raises nothing itself
    :raises Exception: what the application raised after it reported a failure, as itself
    """
    lifespans = _lifespans_of_this_loop()
    running = lifespans.get(id(app))
    if running is None:
        running = lifespans[id(app)] = _Lifespan(app, timeout)
    running.holders += 1
    try:
        await running.start()
        yield running.state
    finally:
        running.holders -= 1
        if not running.holders:
            del lifespans[id(app)]
            # Without the shield, a cancelled test would not wait for the shutdown.
            with anyio.CancelScope(shield=True):
                await running.stop()


def _lifespans_of_this_loop() -> dict[int, _Lifespan]:
    try:
        return _running.get()
    except LookupError:
        _running.set(lifespans := dict[int, _Lifespan]())
        return lifespans
