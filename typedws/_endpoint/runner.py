"""Running one handler for one connection: who is let in, what is watched meanwhile, how it ends.

The rules are those of `typedws._endpoint.policy` and `typedws._endpoint.endings`, the watch is that of `typedws._endpoint.admission`; here they meet
the connection.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar, cast

import anyio

from typedws._connection.base import is_declared, session_of, set_declared
from typedws._connection.session import CLOSE_TIMEOUT, Session
from typedws._contract.contract import Contract
from typedws._contract.params import read_params
from typedws._contract.problem_documents import ProblemDocument
from typedws._endpoint.admission import Admission
from typedws._endpoint.endings import CANCELLED, RETURNED, UNDECIDED, Ending, ending_for, root_cause
from typedws._endpoint.framework_exceptions import is_handled_outside
from typedws._endpoint.handler_signature import HandlerKind
from typedws._endpoint.invalid_messages import AnsweringConnection, SendOnlyConnection, answer_for
from typedws._endpoint.timeouts import TimeoutMonitor
from typedws._messages.type_parameters import MessageTypes
from typedws._protocol.events import close_event
from typedws._protocol.state import Application, Move
from typedws.asgi import Receive, Scope, Send
from typedws.close_codes import CloseCode
from typedws.exceptions import InvalidEndpoint, TypedWSError, WebSocketDisconnect
from typedws.websockets import WebSocket

__all__ = ["OBSERVER", "Observer", "Runner"]

OBSERVER: Final = "typedws.observer"
"""Where a scope has an `Observer`, if it has one: a test's."""

Observer: TypeAlias = Callable[[str, Exception | None], None]
"""Is told how an endpoint ended a connection, in words, and what nobody foresaw, if that ended it."""


logger: Final = logging.getLogger("typedws.endpoint")


class Runner:
    """Runs a handler under a policy, as many times as somebody connects."""

    def __init__(
        self,
        handler: Callable[[Any], Awaitable[object]],
        kind: HandlerKind,
        contract: Contract[Any, Any, Any],
        admission: Admission,
    ) -> None:
        """Make it ready.

        :raises InvalidEndpoint: where invalid messages are to be answered, and nothing says with what
        """
        policy = admission.policy
        if policy.on_invalid == "reply" and contract.error is None:
            hint = "say an ErrorReply, or name one in Contract(error=...)"
            raise InvalidEndpoint(
                'an error model for Policy(on_invalid="reply")', f"none in the contract {contract.name!r}", hint
            )
        self._name = contract.name
        self._handler = handler
        self._is_accepting = kind == "connection"
        self._params = contract.params
        adapters = (contract.client_messages, contract.server_messages, contract.params)
        client_messages, server_messages, params = (None if adapter is None else adapter.form for adapter in adapters)
        self._message_types: MessageTypes = (client_messages, server_messages, params)
        self._admission = admission
        self._answer = answer_for(policy, contract)
        self._most_invalid = policy.max_invalid if policy.on_invalid == "reply" else None
        class_: type[WebSocket[Any, Any, Any]] = WebSocket
        self._run: Callable[[Any], Awaitable[Exception | None]] = self._handled
        if contract.is_feed:
            class_, self._run = SendOnlyConnection, self._listened_to
        elif self._answer is not None:
            class_, self._run = AnsweringConnection, self._answered
        self.make: Callable[[Scope, Receive, Send], WebSocket[Any, Any, Any]] = partial(
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
        ws = self.make(scope, receive, send)
        if (refusal := self._admission.refusal(scope)) is not None:
            await self._end(ws, refusal)
            return
        self._admission.connections += 1
        try:
            found = await self._watched(ws)
        except anyio.get_cancelled_exc_class():
            await self._end(ws, CANCELLED)
            raise
        finally:
            self._admission.connections -= 1
        raised = await self.finish(ws, found, is_mounted=is_mounted)
        if raised is not None:
            raise raised

    def declare(self, ws: WebSocket[Any, Any, Any]) -> None:
        """Tell a connection what it hears and says, and its parameters.

        :raises InvalidParams: for parameters that fail validation
        """
        set_declared(ws, self._message_types, None if self._params is None else read_params(ws, self._params))

    async def handle(self, ws: WebSocket[Any, Any, Any]) -> Exception | None:
        """Accept where the handler does not, and run it; give what it raised.

        For integrations, which have declared the connection, watch it and finish it.
        """
        return await self._run(ws)

    async def finish(
        self, ws: WebSocket[Any, Any, Any], found: Exception | Ending | None, *, is_mounted: bool
    ) -> Exception | None:
        """End a connection as its handler ended, and give what the framework around us wants to see of that."""
        if isinstance(found, Ending):
            await self._end(ws, found)
        elif found is None:
            session = session_of(ws)
            is_undecided = session.state.application is Application.CONNECTING and session.end is None
            await self._end(ws, UNDECIDED if is_undecided else RETURNED)
        elif is_mounted and is_handled_outside(ws.scope, found):
            return found
        else:
            ending = ending_for(found, debug=self._admission.debug)
            is_raised = is_mounted and ending.is_failure
            if is_raised:  # who sees it logs the error; some frameworks do not by default
                await self._end(ws, replace(ending, level=logging.WARNING), found)
                return found
            await self._end(ws, ending, found)
        return None

    async def _watched(self, ws: WebSocket[Any, Any, Any]) -> Exception | Ending | None:
        """Run the handler, and give what it raised, or how it was ended for it."""
        if self._admission.period is None:
            return await self._run(ws)
        found: Exception | None = None
        with TimeoutMonitor(session_of(ws), self._admission) as patience:
            found = await self._run(ws)
            if found is None and patience.expired is None and self._admission.policy.send_timeout is not None:
                await _close_normally(session_of(ws))
        return most_severe(found, patience.expired)

    async def _answered(self, ws: AnsweringConnection[Any, Any, Any]) -> Exception | None:
        ws.answer_with(self._answer, self._most_invalid)
        return await self._handled(ws)

    async def _listened_to(self, ws: SendOnlyConnection[Any, Any, Any]) -> Exception | None:
        ws.answer_with(self._answer, self._most_invalid)
        found: Exception | None = None
        async with anyio.create_task_group() as group:
            ws.listen_in(group)
            found = await self._handled(ws)
            group.cancel_scope.cancel()
        return most_severe(found, ws.ended_by)

    async def _handled(self, ws: WebSocket[Any, Any, Any]) -> Exception | None:
        try:
            if not is_declared(ws):
                self.declare(ws)
            if self._is_accepting:
                await ws.accept()
            await self._handler(ws)
        except Exception as error:  # noqa: BLE001 - what becomes of it is a row of typedws.endings
            return root_cause(error)
        except BaseExceptionGroup as group:
            return _failure_beside_cancellation(group)
        return None

    async def _end(self, ws: WebSocket[Any, Any, Any], ending: Ending, error: Exception | None = None) -> None:
        """Deny or close, where the handler has not, and log it."""
        session = session_of(ws)
        application = session.state.application
        done = "left as it was"
        if session.end is not None:
            done = f"ended with {session.end.code}"
        elif application is Application.CONNECTING:
            done = f"denied with {ending.status}"
        elif application is Application.CONNECTED:
            done = f"closed with {int(ending.code)}"
        if logger.isEnabledFor(ending.level):
            has_traceback = ending.is_failure and ending.level >= logging.ERROR
            logger.log(
                ending.level,
                "%s: %s: %s",
                self._name,
                done,
                ending.log_message,
                exc_info=error if has_traceback else None,
            )
        if (observe := cast(Observer | None, ws.scope.get(OBSERVER))) is not None:
            observe(f"{done}: {ending.log_message}", error if ending.is_failure else None)
        if application is Application.CONNECTING:
            with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
                await _deny(ws, ending)
        elif application is Application.CONNECTED:
            await session.close(ending.code, ending.reason)
        elif application is Application.RESPONSE:
            with anyio.move_on_after(CLOSE_TIMEOUT, shield=True), suppress(Exception):
                # Servers may refuse to end what is shorter than it said.
                await session.send({"type": Move.RESPONSE_END, "body": b""})


async def _deny(ws: WebSocket[Any, Any, Any], ending: Ending) -> None:
    try:
        document = ProblemDocument.of(ending.status, ending.detail, **ending.members)
        await ws.deny_with(document, headers=ending.headers)
    except Exception as error:
        if session_of(ws).state.application is not Application.CONNECTING:
            raise
        # A handler's HTTPException may say what cannot be sent. What pydantic says of it repeats it.
        log_message = error if isinstance(error, TypedWSError) else type(error).__name__
        logger.warning("the denial could not be sent as it was: %s", log_message)
        await ws.deny_with(ProblemDocument.of(ending.status))


E = TypeVar("E", Exception, Ending)


def most_severe(found: Exception | None, ended_by: E | None) -> Exception | E | None:
    """Give what the handler was cancelled for, rather than what it raised then, unless that is a failure."""
    return found if found is not None and ending_for(found).is_failure else ended_by or found


def _failure_beside_cancellation(group: BaseExceptionGroup[BaseException]) -> Exception:
    """Give the failure that trio tells in one group with the cancellation of the task; without one, be cancelled.

    :raises BaseException: for a group of anything else
    """
    raised, others = group.split(Exception)
    cancelled, exits = (None, None) if others is None else others.split(anyio.get_cancelled_exc_class())
    if cancelled is None or exits is not None:
        raise group
    cause = None if raised is None else root_cause(raised)
    if cause is not None and ending_for(cause).is_failure:
        return cause
    leaf: Any = cancelled
    while isinstance(leaf, BaseExceptionGroup):
        leaf = cast(BaseExceptionGroup[BaseException], leaf).exceptions[0]
    raise leaf


async def _close_normally(session: Session) -> None:
    """Close where nothing stands in the way; the caller sees to it that a peer that does not read ends it."""
    if session.state.is_open and session.sending != "busy":
        with suppress(WebSocketDisconnect):
            await session.send(_NORMALLY)


_NORMALLY: Final = close_event(CloseCode.NORMAL_CLOSURE, None)
