"""`reconnecting`: one typed connection after another, by the rules of `typedws.client.backoff`."""

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
from typedws.client.opening import Opened, Plan, open_connection
from typedws.close_codes import CloseCode, Reconnect, describe
from typedws.exceptions import ConnectionFailed, WebSocketDisconnect

__all__ = ["Change", "ClientState", "OnChange", "Reconnecting", "reconnecting"]

In = TypeVar("In")
Out = TypeVar("Out")
Params = TypeVar("Params")

ClientState: TypeAlias = Literal["idle", "connecting", "open", "waiting", "ended"]
"""Where a client that reconnects stands."""

_NORMAL: Final = CloseCode.NORMAL_CLOSURE
_BACKOFF: Final = Backoff()
_NO_MORE: Final[Mapping[int, Reconnect]] = MappingProxyType({})
_logger: Final = logging.getLogger("typedws.client")


@dataclass(frozen=True, slots=True)
class Change:
    """A change of state: to which, after how many failures in a row, and why.

    ``delay`` are the seconds that a ``"waiting"`` takes. ``cause`` is how the last connection ended, or why there was
    none; of ``"ended"`` it is the reason, and ``None`` where the client itself closed.
    """

    state: ClientState
    failures: int = 0
    cause: Closed | ConnectionFailed | None = None
    delay: float | None = None


OnChange: TypeAlias = Callable[[Change], object]
"""What is called at each change of state."""


class Reconnecting(AsyncIterator[ClientConnection[In_co, Out_contra]], Generic[In_co, Out_contra]):
    """Gives one open connection after another, as long as it makes sense. Made by `reconnecting`.

    The body of the loop has a connection for itself. Where it comes round, that connection is closed if it is open, and
    how it ended decides. Where the loop is left early, the connection is closed in the background; ``aclose()`` waits
    for that.
    """

    def __init__(
        self, plan: Plan, backoff: Backoff, retry: Mapping[int, Reconnect], on_change: OnChange | None
    ) -> None:
        self._plan = plan
        self._backoff = backoff
        self._retry = retry
        self._on_change = on_change
        self._opened: Opened | None = None
        self._token: object = None
        """Of the event loop."""
        self._opened_at = 0.0
        self._failures = 0
        self._change = Change("idle")

    @property
    def change(self) -> Change:
        """Where the client stands, and how it came there."""
        return self._change

    async def __anext__(self) -> ClientConnection[In_co, Out_contra]:
        """Give the next connection, after as many attempts and waits as it takes.

        :raises WebSocketDisconnect: for a close after which nobody should connect again, other than 1000
        :raises ConnectionFailed: for a failure that another attempt would meet again
        :raises ClientNotInstalled: without the extra
        """
        if self._opened is not None:
            await self._go_on_after(self._opened)
        while self._change.state != "ended":
            self._tell("connecting", self._change.cause)
            try:
                opened = await open_connection(self._plan)
            except ConnectionFailed as failure:
                if not await self._waited(after_failure(failure, self._retry), failure):
                    raise
                continue
            self._opened, self._token = opened, current_token()
            self._opened_at = current_time()
            self._tell("open")
            return opened.connection
        raise StopAsyncIteration

    async def _go_on_after(self, opened: Opened) -> None:
        """Close the connection if it is open, and wait, or end, as its end says."""
        end, is_failed = opened.end, opened.is_failed
        self._opened = None
        await opened.close(_NORMAL)
        if current_time() - self._opened_at >= self._backoff.healthy:
            self._failures = 0
        if end is None:
            await self._waited("backoff", None)
        elif end.closed_by == "application" and not is_failed:
            self._tell("ended")
        elif not await self._waited(after_close(end, self._plan.contract, self._retry), end) and end.code != _NORMAL:
            raise WebSocketDisconnect(end.code, end.reason, end.closed_by)

    async def _waited(self, decision: Reconnect, cause: Closed | ConnectionFailed | None) -> bool:
        """Wait as was decided, and tell whether to connect again."""
        at_once = decision == "resume" and self._failures == 0
        self._failures += decision != "never"
        if decision == "never" or self._failures == self._backoff.max_failures:
            self._tell("ended", cause)
            return False
        delay = 0.0 if at_once else self._backoff.delay(self._failures) + retry_after(cause)
        self._tell("waiting", cause, delay)
        await sleep(delay)
        return True

    def _tell(
        self, state: ClientState, cause: Closed | ConnectionFailed | None = None, delay: float | None = None
    ) -> None:
        self._change = change = Change(state, self._failures, cause, delay)
        level = logging.DEBUG if state == "connecting" else logging.INFO
        if _logger.isEnabledFor(level):
            request = self._plan.request
            waits = "" if delay is None else f" for {delay:.1f} s"
            why = "" if cause is None else f" ({_shown(cause)})"
            # The host alone: a path or a query may be secret.
            _logger.log(level, "the client of %s:%d is %s%s%s", request.host, request.port, state, waits, why)
        if self._on_change is not None:
            self._on_change(change)

    async def aclose(self) -> None:
        """Close the connection, if one is open, and give no other."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close(_NORMAL)
        if self._change.state != "ended":
            self._tell("ended")

    def __del__(self) -> None:
        opened, self._opened = self._opened, None
        with suppress(Exception):  # no event loop runs here, or it is closed
            if opened is not None and current_token() == self._token:
                opened.transport.close(CloseCode.GOING_AWAY, "")


def _shown(cause: Closed | ConnectionFailed) -> str:
    """Say why, without what the server wrote."""
    if isinstance(cause, Closed):
        code = int(cause.code)  # whose description may be what the server wrote
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
    retry: Mapping[int, Reconnect] = _NO_MORE,
    on_change: OnChange | None = None,
    **options: Unpack[ClientOptions],
) -> Reconnecting[Any, Any]:
    """Give what ``async for`` makes one connection after another of, on asyncio and on trio.

    ::

        async for ws in reconnecting("ws://127.0.0.1:8000/chat/lobby", chat):
            try:
                await ws.send_model(Join(user="ann"))  # whatever a new connection has to be told
                async for message in ws:
                    ...
            except WebSocketDisconnect:  # a send met the end
                continue

    What comes after a connection:

    - closed with a code of the contract: what that says, ``never``, ``resume`` or ``backoff``
    - 1001, 1006 (lost), 1012, 1013 and 1014: another one, after a while
    - 1000: the end of the loop; any other code: `WebSocketDisconnect`
    - closed here, by ``ws.close()``: the end of the loop; left open by the body: closed, and another one
    - no TCP connection, no answer in time, a denial with 429, 502, 503 or 504, whose Retry-After is heeded: another
      attempt, after a while
    - any other denial (401, 403, 404, 422, ...), no trust, no valid answer: that `ConnectionFailed`

    A ``resume`` is at once, unless the connection before did not stay healthy either.

    :param backoff: how long to wait, and how often in a row
    :param retry: what to do after other close codes, or denials with other statuses, than said above; it comes first
    :param on_change: what is told of each change of state; they are logged too, to ``typedws.client``
    :raises InvalidHandshake: as `connect` does, which knows the other parameters
    """
    return Reconnecting(plan_for(url, contract, params, **options), backoff, retry, on_change)
