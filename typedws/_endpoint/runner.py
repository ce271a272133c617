"""`Runner`: runs a handler for one connection, from admission to the end. The rules are in the modules beside it."""

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
"""The key of the scope for an `Observer`, which the test harness sets."""

Observer: TypeAlias = Callable[[str, Exception | None], None]
"""Called when an endpoint has ended a connection: with the log line, and the unexpected exception if there was one."""


logger: Final = logging.getLogger("typedws.endpoint")


class Runner:
    """Runs a handler under a policy, once for each connection."""

    def __init__(
        self,
        handler: Callable[[Any], Awaitable[object]],
        kind: HandlerKind,
        contract: Contract[Any, Any, Any],
        admission: Admission,
    ) -> None:
        """Prepare what all connections share.

        :raises InvalidEndpoint: if invalid messages are to be answered, and the contract has no error model
        """
        policy = admission.policy
        if policy.on_invalid == "reply" and contract.error is None:
            hint = "add an ErrorReply to the server messages, or pass Contract(error=...)"
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
        self._run: Callable[[Any], Awaitable[Exception | None]] = self._run_handler
        if contract.is_feed:
            class_, self._run = SendOnlyConnection, self._run_send_only
        elif self._answer is not None:
            class_, self._run = AnsweringConnection, self._run_answering
        self.make: Callable[[Scope, Receive, Send], WebSocket[Any, Any, Any]] = partial(
            class_,
            mode=contract.modes[0],
            codecs=contract.codecs,
            max_message_size=policy.max_message_size,
            modes=None if kind == "classic" else contract.subprotocols,
        )

    async def run(self, scope: Scope, receive: Receive, send: Send, *, is_mounted: bool) -> None:
        """Run the handler for one connection, then end the connection according to how the handler ended.

        :param is_mounted: whether a framework around the endpoint handles unexpected exceptions
        :raises Exception: an unexpected exception, if mounted; otherwise it is logged
        """
        ws = self.make(scope, receive, send)
        if (refusal := self._admission.refusal(scope)) is not None:
            await self._end(ws, refusal)
            return
        self._admission.connections += 1
        try:
            result = await self._watched(ws)
        except anyio.get_cancelled_exc_class():
            await self._end(ws, CANCELLED)
            raise
        finally:
            self._admission.connections -= 1
        raised = await self.finish(ws, result, is_mounted=is_mounted)
        if raised is not None:
            raise raised

    def declare(self, ws: WebSocket[Any, Any, Any]) -> None:
        """Set the message types and the validated parameters of a connection.

        :raises InvalidParams: if the parameters fail validation
        """
        set_declared(ws, self._message_types, None if self._params is None else read_params(ws, self._params))

    async def handle(self, ws: WebSocket[Any, Any, Any]) -> Exception | None:
        """Accept, unless the handler decides itself, and run the handler. Return what it raised.

        For integrations, which declare, watch and finish the connection themselves.
        """
        return await self._run(ws)

    async def finish(
        self, ws: WebSocket[Any, Any, Any], result: Exception | Ending | None, *, is_mounted: bool
    ) -> Exception | None:
        """End a connection after its handler; return the exception that the framework around it should see, if any."""
        if isinstance(result, Ending):
            await self._end(ws, result)
        elif result is None:
            session = session_of(ws)
            is_undecided = session.state.application is Application.CONNECTING and session.end is None
            await self._end(ws, UNDECIDED if is_undecided else RETURNED)
        elif is_mounted and is_handled_outside(ws.scope, result):
            return result
        else:
            ending = ending_for(result, debug=self._admission.debug)
            is_raised = is_mounted and ending.is_failure
            # The framework logs the exception itself. Some do not by default, so a warning is logged here.
            if is_raised:
                await self._end(ws, replace(ending, level=logging.WARNING), result)
                return result
            await self._end(ws, ending, result)
        return None

    async def _watched(self, ws: WebSocket[Any, Any, Any]) -> Exception | Ending | None:
        """Run the handler under the timeouts; return what it raised, or the ending of the timeout that expired."""
        if self._admission.interval is None:
            return await self._run(ws)
        error: Exception | None = None
        with TimeoutMonitor(session_of(ws), self._admission) as monitor:
            error = await self._run(ws)
            if error is None and monitor.expired is None and self._admission.policy.send_timeout is not None:
                await _close_normally(session_of(ws))
        return most_severe(error, monitor.expired)

    async def _run_answering(self, ws: AnsweringConnection[Any, Any, Any]) -> Exception | None:
        ws.answer_with(self._answer, self._most_invalid)
        return await self._run_handler(ws)

    async def _run_send_only(self, ws: SendOnlyConnection[Any, Any, Any]) -> Exception | None:
        ws.answer_with(self._answer, self._most_invalid)
        error: Exception | None = None
        async with anyio.create_task_group() as group:
            ws.read_in(group)
            error = await self._run_handler(ws)
            group.cancel_scope.cancel()
        return most_severe(error, ws.ended_by)

    async def _run_handler(self, ws: WebSocket[Any, Any, Any]) -> Exception | None:
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
        """Deny or close, unless the handler has done so, and log it."""
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
                # A server may refuse to end a body that is shorter than its content-length.
                await session.send({"type": Move.RESPONSE_END, "body": b""})


async def _deny(ws: WebSocket[Any, Any, Any], ending: Ending) -> None:
    try:
        document = ProblemDocument.of(ending.status, ending.detail, **ending.members)
        await ws.deny_with(document, headers=ending.headers)
    except Exception as error:
        if session_of(ws).state.application is not Application.CONNECTING:
            raise
        # A handler's HTTPException may have fields that cannot be sent. Only our own errors are logged as a whole:
        # those of pydantic repeat the field.
        reason = error if isinstance(error, TypedWSError) else type(error).__name__
        logger.warning("the denial could not be sent unchanged: %s", reason)
        await ws.deny_with(ProblemDocument.of(ending.status))


E = TypeVar("E", Exception, Ending)


def most_severe(raised: Exception | None, ended_by: E | None) -> Exception | E | None:
    """Return what the handler raised if that is unexpected or nothing cancelled it, otherwise what cancelled it."""
    return raised if raised is not None and ending_for(raised).is_failure else ended_by or raised


def _failure_beside_cancellation(group: BaseExceptionGroup[BaseException]) -> Exception:
    """Return the unexpected exception that trio groups with a cancellation; without one, raise the cancellation.

    :raises BaseException: the group itself, if it contains anything else
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
    """Close with 1000 if the connection is open and no task sends; the send timeout of the caller bounds it."""
    if session.state.is_open and session.sending != "busy":
        with suppress(WebSocketDisconnect):
            await session.send(_NORMALLY)


_NORMALLY: Final = close_event(CloseCode.NORMAL_CLOSURE, None)
