"""Running one handler for one connection: who is let in, what is watched meanwhile, how it ends.

The rules are `typedws.policy`'s and `typedws.endings`'; here they meet the connection. Nothing is done for each message
but to count sends, so that a look at the connection tells whether one of them is stuck.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeAlias, cast

import anyio

from typedws.answering import Answering, Feed, answer_of
from typedws.asgi import Receive, Scope, Send
from typedws.closing import CloseCode
from typedws.contract import Contract
from typedws.declared import Forms
from typedws.denial import ProblemDocument
from typedws.endings import (
    CANCELLED,
    FULL,
    IDLE,
    RETURNED,
    STALLED,
    UNDECIDED,
    UNREAD,
    Ending,
    cause_of,
    ending_of,
    origin_refused,
)
from typedws.errors import InvalidEndpoint, TypedWSError, WebSocketDisconnect
from typedws.events import close_event
from typedws.handlers import HandlerKind
from typedws.origins import OriginRule
from typedws.params import read_params
from typedws.policy import Policy
from typedws.session import CLOSE_TIMEOUT, Session
from typedws.state import Application, Move
from typedws.view import declare, session_of
from typedws.watchdog import Interruption, interruptible, period_for, watchdog
from typedws.websockets import WebSocket

__all__ = ["Guard", "Runner"]

_Handlers: TypeAlias = tuple[Mapping[type[Any], Any], Mapping[Any, Any]]

logger: Final = logging.getLogger("typedws.endpoint")


class Guard:
    """A policy in force: its rules made ready, and how many connections it has let in."""

    __slots__ = ("connections", "debug", "period", "policy", "rule")

    def __init__(self, policy: Policy, *, debug: bool = False) -> None:
        self.policy = policy
        self.debug = debug
        self.rule = OriginRule(policy.origins, policy.hosts)
        self.connections = 0
        timeouts = (policy.handshake_timeout, policy.idle_timeout, policy.send_timeout)
        self.period: float | None = min((period_for(each) for each in timeouts if each is not None), default=None)

    def refusal(self, scope: Scope) -> Ending | None:
        """Give how a connection ends that is not let in; ``None`` for one that is."""
        limit = self.policy.max_connections
        if limit is not None and self.connections >= limit:
            return FULL
        refusal = self.rule.refusal(scope["headers"], scope.get("server"))
        return None if refusal is None else origin_refused(refusal)


class Runner:
    """Runs a handler under a policy, as many times as somebody connects."""

    def __init__(
        self,
        handler: Callable[[Any], Awaitable[object]],
        kind: HandlerKind,
        contract: Contract[Any, Any, Any],
        guard: Guard,
    ) -> None:
        """Make it ready.

        :raises InvalidEndpoint: where invalid messages are to be answered, and nothing says with what
        """
        policy = guard.policy
        if policy.on_invalid == "reply" and contract.error is None:
            hint = "say an ErrorReply, or name one in Contract(error=...)"
            raise InvalidEndpoint('an error model for Policy(on_invalid="reply")', f"none in {contract!r}", hint)
        self._name = contract.name
        self._handler = handler
        self._is_accepting = kind == "connection"
        self._params = contract.params
        adapters = (contract.hears, contract.says, contract.params)
        hears, says, params = (None if adapter is None else adapter.form for adapter in adapters)
        self._forms: Forms = (hears, says, params)
        self._guard = guard
        self._answer = answer_of(policy, contract)
        self._most_invalid = policy.max_invalid if policy.on_invalid == "reply" else None
        class_: type[WebSocket[Any, Any, Any]] = WebSocket
        self._run: Callable[[Any], Awaitable[Exception | None]] = self._handled
        if contract.is_feed:
            class_, self._run = Feed, self._listened_to
        elif self._answer is not None:
            class_, self._run = Answering, self._answered
        self._make = partial(
            class_,
            mode=contract.modes[0],
            codecs=contract.codecs,
            max_message_size=policy.max_message_size,
            modes=None if kind == "classic" else contract.subprotocols,
        )

    async def run(self, scope: Scope, receive: Receive, send: Send, *, is_mounted: bool) -> None:
        """Run the handler for one connection, and end that as the handler ends.

        :param is_mounted: whether a framework around us wants to see what nobody foresaw
        :raises Exception: what nobody foresaw, where mounted; else it is logged
        """
        ws = self._make(scope, receive, send)
        if (refusal := self._guard.refusal(scope)) is not None:
            await self._end(ws, refusal)
            return
        self._guard.connections += 1
        try:
            found = await self._watched(ws)
        except anyio.get_cancelled_exc_class():
            await self._end(ws, CANCELLED)
            raise
        finally:
            self._guard.connections -= 1
        if isinstance(found, Ending):
            await self._end(ws, found)
        elif found is None:
            is_undecided = session_of(ws).state.application is Application.CONNECTING
            await self._end(ws, UNDECIDED if is_undecided else RETURNED)
        elif is_mounted and _is_handled_outside(ws.scope, found):
            raise found
        else:
            ending = ending_of(found, debug=self._guard.debug)
            is_raised = is_mounted and ending.is_failure
            await self._end(ws, ending, None if is_raised else found)
            if is_raised:
                raise found

    async def _watched(self, ws: WebSocket[Any, Any, Any]) -> Exception | Ending | None:
        """Run the handler, and give what it raised, or how it was ended for it."""
        period = self._guard.period
        if period is None:
            return await self._run(ws)
        found: Exception | None = None
        with interruptible() as interruption:
            patience = Patience(session_of(ws), self._guard.policy, interruption)
            dog = watchdog()
            dog.add(patience, period)
            try:
                found = await self._run(ws)
                if found is None and self._guard.policy.send_timeout is not None:
                    await _close_normally(session_of(ws))
            finally:
                dog.discard(patience)
        return patience.verdict or found

    async def _answered(self, ws: Answering[Any, Any, Any]) -> Exception | None:
        ws.answer_with(self._answer, self._most_invalid)
        return await self._handled(ws)

    async def _listened_to(self, ws: Feed[Any, Any, Any]) -> Exception | None:
        ws.answer_with(self._answer, self._most_invalid)
        found: Exception | None = None
        async with anyio.create_task_group() as group:
            ws.listen_in(group)
            found = await self._handled(ws)
            group.cancel_scope.cancel()
        return ws.ended_by or found

    async def _handled(self, ws: WebSocket[Any, Any, Any]) -> Exception | None:
        try:
            declare(ws, self._forms, None if self._params is None else read_params(ws, self._params))
            if self._is_accepting:
                await ws.accept()
            await self._handler(ws)
        except Exception as error:  # noqa: BLE001 - what becomes of it is a row of typedws.endings
            return cause_of(error)
        return None

    async def _end(self, ws: WebSocket[Any, Any, Any], ending: Ending, error: Exception | None = None) -> None:
        """Deny or close, where the handler has not, and log it."""
        session = session_of(ws)
        application = session.state.application
        done = f"ended with {session.end.code}" if session.end is not None else "left as it is"
        if application is Application.CONNECTING:
            done = f"denied with {ending.status}"
        elif application is Application.CONNECTED:
            done = f"closed with {int(ending.code)}"
        if logger.isEnabledFor(ending.level):
            is_failure = ending.is_failure and error is not None
            logger.log(
                ending.level, "%s: %s: %s", self._name, done, ending.told, exc_info=error if is_failure else None
            )
        if application is Application.CONNECTING:
            with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
                await _deny(ws, ending)
        elif application is Application.CONNECTED:
            await session.close(ending.code, ending.reason)
        elif application is Application.RESPONSE:
            with anyio.move_on_after(CLOSE_TIMEOUT, shield=True), suppress(TypedWSError):
                await session.send({"type": Move.RESPONSE_END, "body": b""})


async def _deny(ws: WebSocket[Any, Any, Any], ending: Ending) -> None:
    try:
        document = ProblemDocument.of(ending.status, ending.detail, **ending.members)
        await ws.deny_with(document, headers=ending.headers)
    except TypedWSError as error:  # a handler's HTTPException may say what cannot be sent
        logger.warning("the denial could not be sent as it was: %s", error)
        await ws.deny_with(ProblemDocument.of(ending.status))


async def _close_normally(session: Session) -> None:
    """Close where nothing stands in the way; the caller sees to it that a peer that does not read ends it."""
    if session.sending is None:
        with suppress(WebSocketDisconnect):
            await session.send(_NORMALLY)


_NORMALLY: Final = close_event(CloseCode.NORMAL_CLOSURE, None)


def _is_handled_outside(scope: Scope, error: Exception) -> bool:
    """Whether the application around has a handler of its own for an exception, as Starlette's and FastAPI's tell."""
    by_class, by_status = cast(_Handlers, scope.get("starlette.exception_handlers") or ({}, {}))
    covering = [by_class[class_] for class_ in type(error).__mro__ if class_ in by_class]
    handler = by_status.get(getattr(error, "status_code", None)) or next(iter(covering), None)
    return handler is not None and handler.__module__.partition(".")[0] not in ("starlette", "fastapi")


class Patience:
    """Looks at one connection: is it undecided, is its peer silent, is a message unread, for too long?"""

    __slots__ = (
        "_asgi_receive",
        "_asgi_send",
        "_interruption",
        "_policy",
        "_receives",
        "_seen",
        "_sends",
        "_session",
        "verdict",
    )

    def __init__(self, session: Session, policy: Policy, interruption: Interruption) -> None:
        self._session = session
        self._policy = policy
        self._interruption = interruption
        self._sends = 0
        self._receives = 0
        self._seen: dict[str, tuple[int, float]] = {}
        self.verdict: Ending | None = None
        """How the connection is to end, if patience was lost with it."""
        if policy.send_timeout is not None:
            self._asgi_send = session.asgi_send
            session.asgi_send = self._send
        if policy.idle_timeout is not None:
            self._asgi_receive = session.asgi_receive
            session.asgi_receive = self._receive

    # Neither is a coroutine of its own: that would cost each message more.

    def _send(self, event: Any) -> Awaitable[None]:
        self._sends += 1
        return self._asgi_send(event)

    def _receive(self) -> Awaitable[Mapping[str, Any]]:
        self._receives += 1
        return self._asgi_receive()

    def look(self, now: float) -> None:
        """Cancel the handler where the same thing has been waited for since too long."""
        before, self._seen = self._seen, {}
        for what, mark, timeout, ending in self._waits():
            known = before.get(what)
            since = known[1] if known is not None and known[0] == mark else now
            self._seen[what] = mark, since
            if self.verdict is None and timeout is not None and now - since >= timeout:
                self.verdict = ending
        if self.verdict is not None:
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
