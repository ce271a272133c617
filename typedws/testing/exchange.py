"""One application in conversation with one client, in process: every wait is bounded, and what fails is told.

The wire is `typedws.testing.fake_server`'s, the task is a run's; here they meet the time limit.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import anyio

from typedws._connection.connection_denied import ConnectionDenied
from typedws._endpoint.runner import OBSERVER
from typedws._http.headers import Headers
from typedws._protocol.events import disconnect_of, is_disconnect_error
from typedws._protocol.outcomes import Accepted, Closed
from typedws._protocol.server_profiles import PEER
from typedws.asgi import ASGIApp
from typedws.close_codes import CloseCode
from typedws.testing.application_run import ApplicationRun, within
from typedws.testing.failures import ApplicationReturned, ClientGone, WaitTimeout, listed
from typedws.testing.fake_server import FakeServer
from typedws.testing.server_behaviour import ServerBehaviour

__all__ = ["Exchange"]

T = TypeVar("T")


class Exchange:
    """An application that runs for one connection, and the client's end of that."""

    def __init__(self, app: ASGIApp, scope: Mapping[str, Any], server: ServerBehaviour, timeout: float) -> None:
        self.timeout: float = timeout
        scope = {**scope, OBSERVER: self._observe}
        self.wire: FakeServer = FakeServer(scope, server)
        self._failure: Exception | None = None
        self._left: Closed | None = None

        async def play() -> None:
            await app(scope, self.wire.receive, self.wire.send)

        self.run: ApplicationRun = ApplicationRun(play, self.wire.application_ended)

    def _observe(self, told: str, error: Exception | None) -> None:
        """Hear how an endpoint ended: it lets out nothing of what its handler raised."""
        self.wire.transcript.note("endpoint", told)
        self._failure = self._failure or error

    async def decision(self) -> Accepted | ConnectionDenied:
        """Wait until the handshake is accepted or denied.

        :raises Exception: what the application raised instead
        :raises ApplicationReturned: where it did neither
        :raises WaitTimeout: where it did not in time
        """
        await self._within(_DECISION, self.wire.decided.wait)
        if self.wire.accepted is not None:
            return self.wire.accepted
        if self.wire.denied is not None:
            denied = ConnectionDenied(
                self.wire.denied.status, Headers(raw=self.wire.denied.headers), self.wire.denied.body
            )
            self.note_events(denied)
            return denied
        raise self.failure() or ApplicationReturned(
            _DECISION, "that it returned without either", self.wire.transcript.lines()
        )

    async def receive(self) -> Mapping[str, Any]:
        """Be the ``receive`` of the client's end."""
        return await self._within("a message of the application", self.wire.client_receive)

    async def send(self, event: Mapping[str, Any]) -> None:
        """Be the ``send`` of the client's end."""
        await self._within("the application to read what the client sends", partial(self.wire.client_send, event))

    async def _within(self, awaited: str, wait: Callable[[], Awaitable[T]]) -> T:
        """Wait for something within the time limit.

        :raises WaitTimeout: saying what was awaited, and where the application stands
        """
        try:
            return await within(self.timeout, wait)
        except TimeoutError:
            raise self.overdue(awaited) from None

    def end(self) -> Closed | None:
        """Give how the connection ended, whether or not the client has heard it; ``None`` where it has not."""
        last = self.wire.to_client.last
        return self._left or (None if last is None else disconnect_of(last, PEER))

    def shut_down(self) -> None:
        """Let the server shut down."""
        if self.wire.shut_down():
            self.run.interrupt()

    def overdue(self, awaited: str) -> WaitTimeout:
        """Give the error for what did not happen in time."""
        stands = self.run.standing(_WAITS[self.wire.awaits])
        return WaitTimeout(f"{awaited} within {self.timeout:g} s", stands, self.wire.transcript.lines())

    def failure(self) -> BaseException | None:
        """Give what the handler raised, and note the last events; a disconnect that it passed on is no failure."""
        passed_on = self.run.error
        if isinstance(passed_on, ClientGone) or (passed_on is not None and is_disconnect_error(passed_on)):
            passed_on = None
        raised = self._failure or passed_on
        if raised is not None:
            self.note_events(raised)
        return raised

    def note_events(self, error: BaseException) -> None:
        """Add the last events to an error, once."""
        note = listed(self.wire.transcript.lines())
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)

    async def leave(self) -> BaseException | None:
        """Leave from the client's side, wait for the application's end, and give what it failed with."""
        if self.end() is None:
            self._left = Closed(CloseCode.NORMAL_CLOSURE, "", "application")
            self.wire.client_closes(self._left.code, self._left.reason)
        failure: BaseException | None = None
        with anyio.CancelScope(shield=True):
            failure = await self._outlived()
        return failure  # noqa: RET504 - for checkers, a scope may swallow what is in it

    async def _outlived(self) -> BaseException | None:
        if await self.run.ended(self.timeout):
            return self.failure()
        overdue = self.overdue("the application to end after its client has left")
        if not await self.run.cancelled():
            overdue.found += "; cancelled, it went on"
        return self.failure() or overdue


_DECISION: Final = "the application to accept or deny"
_WAITS: Final[Mapping[str | None, str]] = {
    "message": "waits for a message",
    "room": "waits for the client to read",
    None: "stands",
}
