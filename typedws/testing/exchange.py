"""One application and one client, connected in process: every wait has a time limit, and failures are collected.

The server between the two is `typedws.testing.fake_server`; the task is `typedws.testing.application_run`. This module
joins them and adds the time limit.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import anyio

from typedws._connection.client_connection import Accepted
from typedws._connection.connection_denied import ConnectionDenied
from typedws._endpoint.runner import OBSERVER
from typedws._http.headers import Headers
from typedws._protocol.events import disconnect_of, is_disconnect_error
from typedws._protocol.outcomes import Closed
from typedws._protocol.server_profiles import PEER
from typedws.asgi import ASGIApp
from typedws.close_codes import CloseCode
from typedws.testing.application_run import ApplicationRun, within
from typedws.testing.failures import ApplicationReturned, ClientGone, WaitTimeout, list_events
from typedws.testing.fake_server import FakeServer
from typedws.testing.server_behaviour import ServerBehaviour

__all__ = ["Exchange"]

T = TypeVar("T")


class Exchange:
    """The run of an application for one connection, and the client's side of that connection."""

    def __init__(self, app: ASGIApp, scope: Mapping[str, Any], behaviour: ServerBehaviour, timeout: float) -> None:
        self.timeout: float = timeout
        # An endpoint handles what its handler raises, so self.run does not see it. The observer gets the exception.
        scope = {**scope, OBSERVER: self._observe}
        self.server: FakeServer = FakeServer(scope, behaviour)
        self._failure: Exception | None = None
        self._own_close: Closed | None = None

        async def run_app() -> None:
            await app(scope, self.server.receive, self.server.send)

        self.run: ApplicationRun = ApplicationRun(run_app, self.server.application_ended)

    def _observe(self, summary: str, error: Exception | None) -> None:
        self.server.transcript.note("endpoint", summary)
        self._failure = self._failure or error

    async def decision(self) -> Accepted | ConnectionDenied:
        """Wait until the application accepts or denies the handshake, and return which.

        :raises Exception: what the application raised instead
        :raises ApplicationReturned: if the application returned without accepting or denying
        :raises WaitTimeout: if the application neither accepts nor denies in time
        """
        await self._within(_DECISION, self.server.decided.wait)
        if self.server.accepted is not None:
            return self.server.accepted
        if self.server.denied is not None:
            denied = ConnectionDenied(
                self.server.denied.status, Headers(raw=self.server.denied.headers), self.server.denied.body
            )
            self.note_events(denied)
            return denied
        raise self.failure() or ApplicationReturned(
            _DECISION, "that it returned without either", self.server.transcript.lines()
        )

    async def receive(self) -> Mapping[str, Any]:
        """Return the next event for the client; the ``receive`` of its `Connection`."""
        return await self._within("a message from the application", self.server.client_receive)

    async def send(self, event: Mapping[str, Any]) -> None:
        """Send an event of the client; the ``send`` of its `Connection`."""
        await self._within("the application to read what the client sends", partial(self.server.client_send, event))

    async def _within(self, awaited: str, wait: Callable[[], Awaitable[T]]) -> T:
        """Return the result of a wait, with the time limit of the connection.

        :raises WaitTimeout: if it does not end in time; shows what was awaited and the position of the application
        """
        try:
            return await within(self.timeout, wait)
        except TimeoutError:
            raise self.wait_timeout(awaited) from None

    def end(self) -> Closed | None:
        """Return how the connection ended, even if the client has not received it yet, or ``None`` while it is open."""
        last = self.server.to_client.last
        return self._own_close or (None if last is None else disconnect_of(last, PEER))

    def shut_down(self) -> None:
        """Shut down the server; cancel the application if the `ServerBehaviour` says so."""
        if self.server.shut_down():
            self.run.request_cancel()

    def wait_timeout(self, awaited: str) -> WaitTimeout:
        """Return the error for something that did not happen in time."""
        position = self.run.describe_position(_ACTIVITIES[self.server.waiting_for])
        return WaitTimeout(f"{awaited} within {self.timeout:g} s", position, self.server.transcript.lines())

    def failure(self) -> BaseException | None:
        """Return what the handler raised, with the last events as a note; a disconnect error is not a failure."""
        error = self.run.error
        if isinstance(error, ClientGone) or (error is not None and is_disconnect_error(error)):
            error = None
        raised = self._failure or error
        if raised is not None:
            self.note_events(raised)
        return raised

    def note_events(self, error: BaseException) -> None:
        """Add the last events to an exception as a note, unless it has the same note already."""
        note = list_events(self.server.transcript.lines())
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)

    async def leave(self) -> BaseException | None:
        """Close from the client's side, wait for the application to end, and return its failure."""
        if self.end() is None:
            self._own_close = Closed(CloseCode.NORMAL_CLOSURE, "", "application")
            self.server.client_close(self._own_close.code, self._own_close.reason)
        failure: BaseException | None = None
        # Without the shield, a cancelled test would not wait here, and the application would run on after it.
        with anyio.CancelScope(shield=True):
            failure = await self._end_application()
        return failure  # noqa: RET504 - for type checkers the scope may swallow an exception

    async def _end_application(self) -> BaseException | None:
        if await self.run.wait_ended(self.timeout):
            return self.failure()
        # Made before the cancellation, which changes the position of the application.
        error = self.wait_timeout("the application to end after its client has left")
        if not await self.run.cancel():
            error.found += "; it did not stop when it was cancelled"
        return self.failure() or error


_DECISION: Final = "the application to accept or deny"
_ACTIVITIES: Final[Mapping[str | None, str]] = {
    "message": "waits for a message",
    "room": "waits for the client to read",
    None: "waits",
}
