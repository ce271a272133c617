"""The lifespan of an application under test: one for all of its connections that overlap, as a server has it."""

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
    """One run of an application's lifespan, for as many as hold it."""

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self.holders = 0
        self.state: dict[str, Any] = {}
        self._app = app
        self._timeout = timeout
        self._has_begun = False
        self._told: list[Mapping[str, Any]] = []
        self._change = anyio.Event()
        self._stopping = anyio.Event()
        self._run = ApplicationRun(self._live, self._notify)

    async def _live(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        await self._app(scope, self._receive, self._send)

    async def _receive(self) -> Mapping[str, Any]:
        if not self._has_begun:
            self._has_begun = True
            return {"type": "lifespan.startup"}
        await self._stopping.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, event: Mapping[str, Any]) -> None:
        if event["type"] not in _EVENTS:  # an application of another protocol, which has not looked at the scope
            raise InvalidState("an event of the lifespan", repr(event["type"]))
        self._told.append(event)
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
            if not await self._run.ended(self._timeout):
                await self._run.cancelled()

    async def _phase(self, phase: str) -> None:
        """Wait until a phase is over; an application that ends before it says anything knows no lifespan."""

        async def over() -> None:
            while not self._of(phase) and not self._run.is_ended:
                await self._change.wait()

        with suppress(TimeoutError):
            await within(self._timeout, over)
        found = self._of(phase)
        if not found and not self._run.is_ended:
            overdue = WaitTimeout(f"lifespan.{phase}.complete within {self._timeout:g} s", self._run.standing("stands"))
            await self._run.cancelled()
            raise overdue
        if found and found[0]["type"].endswith(".failed"):
            await self._run.ended(self._timeout)
            told = found[0].get("message", "")
            raise self._run.error or LifespanFailed(f"lifespan.{phase}.complete", f"lifespan.{phase}.failed: {told}")

    def _of(self, phase: str) -> list[Mapping[str, Any]]:
        return [event for event in self._told if event["type"].startswith(f"lifespan.{phase}.")]


_EVENTS: Final = [f"lifespan.{phase}.{end}" for phase in ("startup", "shutdown") for end in ("complete", "failed")]

_running: Final[anyio.lowlevel.RunVar[dict[int, _Lifespan]]] = anyio.lowlevel.RunVar("typedws.testing.lifespans")


@asynccontextmanager
async def lifespan(app: ASGIApp, *, timeout: float = TIMEOUT) -> AsyncGenerator[Mapping[str, Any]]:  # noqa: ASYNC109 - of each phase
    """Keep an application's lifespan running while the block runs, and give its state.

    Every `connect` does so by itself; those that overlap share one lifespan, which ends with the last. Use this where
    it must go on between connections.

    :param timeout: seconds that the startup, and the shutdown, may take
    :raises WaitTimeout: for one that takes longer
    :raises LifespanFailed: for one that the application says has failed, where it raises nothing itself
    """
    running = _running_here()
    found = running.get(id(app))
    if found is None:
        found = running[id(app)] = _Lifespan(app, timeout)
    found.holders += 1
    try:
        await found.start()
        yield found.state
    finally:
        found.holders -= 1
        if not found.holders:
            del running[id(app)]
            with anyio.CancelScope(shield=True):
                await found.stop()


def _running_here() -> dict[int, _Lifespan]:
    try:
        return _running.get()
    except LookupError:
        _running.set(made := dict[int, _Lifespan]())
        return made
