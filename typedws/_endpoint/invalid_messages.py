"""Connections that answer invalid messages by themselves, as a policy says, where the plain class raises.

`SendOnlyConnection` hears nothing at all: what its peer says is answered, and its leaving noticed, while the handler only sends.
"""

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
    """Give what answers an invalid message; ``None`` where it is raised."""
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
    """A connection whose typed receives answer an invalid message, and wait on."""

    __slots__ = ("_answer", "_in_a_row", "_most")

    def answer_with(self, answer: Answer | None, most: int | None) -> None:
        """Answer with this, at most so many times in a row; with ``None`` an invalid message is raised."""
        self._answer = answer
        self._most = most
        self._in_a_row = 0

    async def receive_model(  # pyright: ignore[reportIncompatibleMethodOverride] - one for its overloads
        self, form: Any = AS_DECLARED, /, mode: Mode | None = None
    ) -> Any:
        return await self._answered(partial(super().receive_model, form, mode))

    def iter_models(  # pyright: ignore[reportIncompatibleMethodOverride] - one for its overloads
        self, form: Any = AS_DECLARED, /, mode: Mode | None = None
    ) -> AsyncIterator[Any]:
        return MessageIterator(partial(self.receive_model, form, mode))

    async def __anext__(self) -> Any:
        try:
            return await self._answered(super().__anext__)
        except WebSocketDisconnect:  # while it was answered
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
        if self._most is not None and self._in_a_row > self._most:
            raise WebSocketException(CloseCode.POLICY_VIOLATION, "too many invalid messages") from error
        await self._answer(self, error)


class SendOnlyConnection(AnsweringConnection[In_co, Out_contra, Params_co]):
    """A connection whose peer has nothing to say: from the accept on it is listened to, until it leaves."""

    __slots__ = ("_group", "ended_by")

    def listen_in(self, group: TaskGroup) -> None:
        """Listen in this group, which is cancelled when the peer leaves, or must leave; ``ended_by`` tells why."""
        self._group = group
        self.ended_by: Exception | None = None

    async def accept(self, subprotocol: str | None = None, headers: HeadersInput | None = None) -> Any:
        await super().accept(subprotocol, headers)
        # Who receives waits at a box into which nothing is put, until the peer leaves.
        inbox = Inbox()
        inbox.is_fed = True
        self._session.receive_from(inbox)
        self._group.start_soon(self._listen, inbox)
        return self

    def cancelled_on_disconnect(
        self, *, max_pending: int = MAX_PENDING, on_overflow: OnOverflow = "close"
    ) -> AbstractAsyncContextManager[None, None]:
        """Do nothing: all of the handler is cancelled already."""
        return nullcontext()

    async def _listen(self, inbox: Inbox) -> None:
        session = self._session
        try:
            while True:
                event = await session.next_event()
                if event["type"] != Move.RECEIVE:
                    raise session.record_end(event)
                frame = frame_of(event)
                await self._answer_one(wrong_frame("no message", frame))
        except Exception as error:  # noqa: BLE001 - the handler ends by it
            if session.state.application is Application.CONNECTED:  # not by its own close
                self.ended_by = error
                self._group.cancel_scope.cancel()
        finally:
            inbox.is_fed = False
            inbox.wake()
