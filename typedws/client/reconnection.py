"""`reconnecting`: opens one typed connection after another, by the rules of `typedws.client.backoff`."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Generic, Literal, TypeAlias, Unpack, overload

from anyio import current_time, sleep
from anyio.lowlevel import current_token
from typing_extensions import TypeVar

from typedws._connection.client_connection import ClientConnection
from typedws._connection.connection_denied import ConnectionDenied
from typedws._contract.contract import Contract
from typedws._messages.type_parameters import In_co, Out_contra
from typedws._protocol.outcomes import Closed
from typedws.client.backoff import Backoff, after_close, after_failure, retry_after
from typedws.client.connecting import ClientOptions, plan_for
from typedws.client.opening import Opened, open_connection
from typedws.close_codes import CloseCode, Reconnect, describe
from typedws.exceptions import ConnectionFailed, WebSocketDisconnect

__all__ = ["Change", "ClientState", "OnChange", "Reconnecting", "reconnecting"]

In = TypeVar("In")
Out = TypeVar("Out")
Params = TypeVar("Params")

ClientState: TypeAlias = Literal["idle", "connecting", "open", "waiting", "ended"]
"""The state of a client that reconnects."""

_NORMAL: Final = CloseCode.NORMAL_CLOSURE
_BACKOFF: Final = Backoff()
_NO_RETRY: Final[Mapping[int, Reconnect]] = MappingProxyType({})
_logger: Final = logging.getLogger("typedws.client")


@dataclass(frozen=True, slots=True)
class Change:
    """A change of state of a client that reconnects.

    ``failures`` is the number of failures in a row. ``cause`` is how the last connection ended, or why it could not be
    opened; ``None`` if there was none yet, or this client closed. ``delay`` is the length of ``"waiting"`` in seconds.
    """

    state: ClientState
    failures: int = 0
    cause: Closed | ConnectionFailed | None = None
    delay: float | None = None


OnChange: TypeAlias = Callable[[Change], object]
"""A function that is called at each change of state."""


class Reconnecting(AsyncIterator[ClientConnection[In_co, Out_contra]], Generic[In_co, Out_contra]):
    """The async iterator that `reconnecting` returns. It yields one open connection after another.

    When the body of the loop has run, its connection is closed if it is still open, and how it ended decides whether
    there is another one. If the loop is left early, the connection is closed in the background; ``aclose()`` waits for
    that.
    """

    def __init__(
        self,
        url: str,
        contract: Contract[Any, Any, Any] | None,
        params: object,
        backoff: Backoff,
        retry: Mapping[int, Reconnect],
        on_change: OnChange | None,
        **options: Unpack[ClientOptions],
    ) -> None:
        self._opened: Opened | None = None  # first, as `__del__` runs even when the next line raises
        self._plan = plan_for(url, contract, params, **options)
        self._backoff = backoff
        self._retry = retry
        self._on_change = on_change
        self._loop_token: object = None
        """Identifies the event loop on which the connection was opened."""
        self._opened_at = 0.0
        self._failures = 0
        self._change = Change("idle")

    @property
    def change(self) -> Change:
        """The last change of state."""
        return self._change

    async def __anext__(self) -> ClientConnection[In_co, Out_contra]:
        """Return the next connection, after as many attempts and waits as it takes.

        :raises WebSocketDisconnect: if the last connection was closed with a code that is not retried, other than 1000,
            or it was the last of ``max_failures`` in a row
        :raises ConnectionFailed: if connecting failed in a way that is not retried, or for the last of ``max_failures``
        :raises ClientNotInstalled: if the extra ``client`` is not installed
        """
        if self._opened is not None:
            await self._finish(self._opened)
        while self._change.state != "ended":
            self._set_state("connecting", self._change.cause)
            try:
                opened = await open_connection(self._plan)
            except ConnectionFailed as failure:
                if not await self._wait_to_retry(after_failure(failure, self._retry), failure):
                    raise
                continue
            self._opened, self._loop_token = opened, current_token()
            self._opened_at = current_time()
            self._set_state("open")
            return opened.connection
        raise StopAsyncIteration

    async def _finish(self, opened: Opened) -> None:
        """Close the connection if it is open; then wait or end, depending on how it ended."""
        # Read before the close below, which would be taken for a close by the body of the loop.
        end, is_failed = opened.end, opened.is_failed
        self._opened = None
        await opened.close(_NORMAL)
        if current_time() - self._opened_at >= self._backoff.healthy:
            self._failures = 0
        if end is None:
            await self._wait_to_retry("backoff", None)
        elif end.closed_by == "application" and not is_failed:
            self._set_state("ended")
        elif (
            not await self._wait_to_retry(after_close(end, self._plan.contract, self._retry), end)
            and end.code != _NORMAL
        ):
            raise WebSocketDisconnect(end.code, end.reason, end.closed_by)

    async def _wait_to_retry(self, decision: Reconnect, cause: Closed | ConnectionFailed | None) -> bool:
        """Wait as decided, and return whether to connect again."""
        # Only the first resume in a row is immediate: a server that closes every connection with such a code would be
        # connected to in a tight loop.
        at_once = decision == "resume" and self._failures == 0
        self._failures += decision != "never"
        if decision == "never" or self._failures == self._backoff.max_failures:
            self._set_state("ended", cause)
            return False
        delay = 0.0 if at_once else self._backoff.delay(self._failures) + retry_after(cause)
        self._set_state("waiting", cause, delay)
        await sleep(delay)
        return True

    def _set_state(
        self, state: ClientState, cause: Closed | ConnectionFailed | None = None, delay: float | None = None
    ) -> None:
        self._change = change = Change(state, self._failures, cause, delay)
        level = logging.DEBUG if state == "connecting" else logging.INFO
        if _logger.isEnabledFor(level):
            request = self._plan.request
            wait = "" if delay is None else f" for {delay:.1f} s"
            reason = "" if cause is None else f" ({_describe_cause(cause)})"
            # Only the host: a path or a query may contain secrets.
            _logger.log(level, "the client of %s:%d is %s%s%s", request.host, request.port, state, wait, reason)
        if self._on_change is not None:
            self._on_change(change)

    async def aclose(self) -> None:
        """Close the connection, if one is open, and open no other."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close(_NORMAL)
        if self._change.state != "ended":
            self._set_state("ended")

    def __del__(self) -> None:
        # After a `break` nothing else closes the connection. Like the garbage collector, this may run on any thread and
        # event loop, but the transport must be closed from its own loop.
        opened, self._opened = self._opened, None
        with suppress(Exception):  # no event loop runs here, or it is closed
            if opened is not None and current_token() == self._loop_token:
                opened.transport.close(CloseCode.GOING_AWAY, "")


def _describe_cause(cause: Closed | ConnectionFailed) -> str:
    """Describe the cause without text of the server, which may contain secrets."""
    if isinstance(cause, Closed):
        code = int(cause.code)  # As a number: the description of a contract's member is text that servers send.
        return f"{code}, {describe(code)}, by the {cause.closed_by}"
    return f"denied with {cause.status}" if isinstance(cause, ConnectionDenied) else str(cause)


@overload
def reconnecting(
    url: str,
    contract: None = None,
    *,
    backoff: Backoff = ...,
    retry: Mapping[int, Reconnect] = ...,
    on_change: OnChange | None = None,
    **options: Unpack[ClientOptions],
) -> Reconnecting[object, Any]: ...
@overload
def reconnecting(
    url: str,
    contract: Contract[In, Out, Params],
    *,
    params: Params | None = None,
    backoff: Backoff = ...,
    retry: Mapping[int, Reconnect] = ...,
    on_change: OnChange | None = None,
    **options: Unpack[ClientOptions],
) -> Reconnecting[Out, In]: ...
def reconnecting(
    url: str,
    contract: Contract[Any, Any, Any] | None = None,
    *,
    params: object = None,
    backoff: Backoff = _BACKOFF,
    retry: Mapping[int, Reconnect] = _NO_RETRY,
    on_change: OnChange | None = None,
    **options: Unpack[ClientOptions],
) -> Reconnecting[Any, Any]:
    """Open one typed connection after another, for an ``async for`` loop on asyncio or trio.

    ::

        async for ws in reconnecting("ws://127.0.0.1:8000/chat/lobby", chat):
            try:
                await ws.send_model(Join(user="ann"))  # what each new connection has to send first
                async for message in ws:
                    ...
            except WebSocketDisconnect:  # raised by a send after the end
                continue

    What follows a connection:

    - closed by the server with a code of the contract: as that code says, ``never``, ``resume`` or ``backoff``
    - 1001, 1006 (lost), 1012, 1013 and 1014: another connection, after a backoff
    - 1000: the loop ends; any other code: `WebSocketDisconnect` is raised
    - closed by ``ws.close()``: the loop ends
    - left open by the body of the loop: it is closed, and there is another connection, after a backoff

    What follows a failure to connect:

    - no TCP connection, no response in time, or a denial with 429, 502, 503 or 504: another attempt, after a backoff
      and the seconds of ``Retry-After``
    - any other denial (401, 403, 404, 422, ...), a TLS failure, an invalid response: that `ConnectionFailed` is raised

    A ``resume`` connects again at once. If the previous connection did not stay healthy either, it waits first.

    :param backoff: the times to wait, and the limit of failures in a row
    :param retry: decisions by close code or status of a denial, which override the rules above, except for connections
        that this side closed or failed
    :param on_change: called with each change of state; changes are also logged, to ``typedws.client``
    :raises InvalidHandshake: as `connect` does, where the other parameters are described
    """
    return Reconnecting(url, contract, params, backoff, retry, on_change, **options)
