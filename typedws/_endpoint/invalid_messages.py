"""Connections that answer invalid messages as the policy says, where the plain class raises."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Any

from anyio.abc import TaskGroup

from typedws._connection.base import In_co, Out_contra, Params_co
from typedws._connection.connection import AS_DECLARED, Connection, MessageIterator
from typedws._connection.inbox import Inbox
from typedws._connection.read_ahead import MAX_PENDING, OnOverflow
from typedws._contract.contract import Contract
from typedws._endpoint.policy import Policy
from typedws._http.headers import HeadersInput
from typedws._protocol.events import frame_of
from typedws._protocol.state import Application, Move
from typedws.close_codes import CloseCode
from typedws.codecs.base import wrong_frame
from typedws.codecs.modes import Mode
from typedws.exceptions import InvalidMessage, WebSocketDisconnect, WebSocketException
from typedws.websockets import WebSocket

__all__ = ["Answer", "AnsweringConnection", "SendOnlyConnection", "answer_for"]

Answer = Callable[[Connection[Any, Any, Any], InvalidMessage], Awaitable[None]]


def answer_for(policy: Policy, contract: Contract[Any, Any, Any]) -> Answer | None:
    """Return the function that answers an invalid message, or ``None`` to raise it."""
    if policy.on_invalid == "close":
        return None
    if policy.on_invalid == "drop":
        return _drop
    if policy.on_invalid != "reply":
        return policy.on_invalid
    assert contract.error is not None  # noqa: S101 - an endpoint checks it when it is made
    return partial(_reply, contract.error.of)


async def _drop(ws: Connection[Any, Any, Any], error: InvalidMessage) -> None:
    pass


async def _reply(
    make: Callable[[InvalidMessage], object], ws: Connection[Any, Any, Any], error: InvalidMessage
) -> None:
    await ws.send_model(make(error))


class AnsweringConnection(WebSocket[In_co, Out_contra, Params_co]):
    """A connection whose typed receives answer an invalid message and wait for the next one."""

    __slots__ = ("_answer", "_in_a_row", "_limit")

    def answer_with(self, answer: Answer | None, limit: int | None) -> None:
        """Set the answer and how often it may be given in a row. With ``None`` an invalid message is raised."""
        self._answer = answer
        self._limit = limit
        self._in_a_row = 0

    async def receive_model(  # pyright: ignore[reportIncompatibleMethodOverride] - covers all overloads
        self, form: Any = AS_DECLARED, /, mode: Mode | None = None
    ) -> Any:
        return await self._answered(partial(super().receive_model, form, mode))

    def iter_models(  # pyright: ignore[reportIncompatibleMethodOverride] - covers all overloads
        self, form: Any = AS_DECLARED, /, mode: Mode | None = None
    ) -> AsyncIterator[Any]:
        return MessageIterator(partial(self.receive_model, form, mode))

    async def __anext__(self) -> Any:
        try:
            return await self._answered(super().__anext__)
        except WebSocketDisconnect:  # the answer could not be sent
            raise StopAsyncIteration from None

    async def _answered(self, receive: Callable[[], Awaitable[Any]]) -> Any:
        while True:
            try:
                message = await receive()
            except InvalidMessage as error:
                await self._answer_one(error)
            else:
                self._in_a_row = 0
                return message

    async def _answer_one(self, error: InvalidMessage) -> None:
        if self._answer is None:
            raise error
        self._in_a_row += 1
        if self._limit is not None and self._in_a_row > self._limit:
            raise WebSocketException(CloseCode.POLICY_VIOLATION, "too many invalid messages") from error
        await self._answer(self, error)


class SendOnlyConnection(AnsweringConnection[In_co, Out_contra, Params_co]):
    """A connection that receives no messages: ``Connection[Never, Out]``.

    From the accept on a task reads, to answer every message of the peer as invalid and to cancel the handler when the
    peer leaves.
    """

    __slots__ = ("_group", "ended_by")

    def read_in(self, group: TaskGroup) -> None:
        """Set the task group for the reading task. When the peer leaves, it is cancelled and ``ended_by`` is set."""
        self._group = group
        self.ended_by: Exception | None = None

    async def accept(self, subprotocol: str | None = None, headers: HeadersInput | None = None) -> Any:
        await super().accept(subprotocol, headers)
        # A receive() waits here until the peer disconnects: no message is ever queued.
        inbox = Inbox()
        inbox.is_fed = True
        self._session.receive_from(inbox)
        self._group.start_soon(self._read, inbox)
        return self

    def cancelled_on_disconnect(
        self, *, max_pending: int = MAX_PENDING, on_overflow: OnOverflow = "close"
    ) -> AbstractAsyncContextManager[None, None]:
        """Do nothing: the whole handler is cancelled already when the peer leaves."""
        return nullcontext()

    async def _read(self, inbox: Inbox) -> None:
        session = self._session
        try:
            while True:
                event = await session.next_event()
                if event["type"] != Move.RECEIVE:
                    raise session.record_end(event)
                frame = frame_of(event)
                await self._answer_one(wrong_frame("no message", frame))
        except Exception as error:  # noqa: BLE001 - it ends the handler
            if session.state.application is Application.CONNECTED:  # else our own close ended the reading
                self.ended_by = error
                self._group.cancel_scope.cancel()
        finally:
            inbox.is_fed = False
            inbox.wake()
