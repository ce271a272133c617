"""Noticing that the peer leaves while nobody receives: a task that reads ahead for the length of a block."""

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Literal, TypeAlias, cast

import anyio
from anyio.abc import TaskGroup

from typedws.closing import CloseCode
from typedws.errors import ConcurrentReceive, WebSocketDisconnect
from typedws.session import Inbox, Session
from typedws.state import Client

__all__ = ["MAX_PENDING", "OnOverflow", "Watch"]

OnOverflow: TypeAlias = Literal["close", "discard"]
"""What happens to a peer that says more than is kept: it is closed with 1008, or what it says is lost."""

MAX_PENDING: Final = 64
"""How many messages are kept by default."""


class Watch(AbstractAsyncContextManager[None, None]):
    """Cancel the block as soon as the peer goes; keep what it says meanwhile for later."""

    def __init__(self, session: Session, max_pending: int, on_overflow: OnOverflow) -> None:
        self._session = session
        self._max_pending = max_pending
        self._on_overflow = on_overflow
        self._group = anyio.create_task_group()
        self._failure: Exception | None = None
        self._inbox = session.inbox or Inbox()

    async def __aenter__(self) -> None:
        self._session.check_accepted()
        if self._session.receiving == "busy" or self._inbox.is_fed:
            raise ConcurrentReceive
        if self._session.state.client is Client.DISCONNECTED:
            raise self._session.over()
        self._inbox.is_fed = True
        self._session.read_through(self._inbox)
        await self._group.__aenter__()
        self._group.start_soon(self._watch)

    async def __aexit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._group.cancel_scope.cancel()
        if await _leave(self._group, type_, error, traceback) and self._failure is not None:
            raise self._failure from None

    async def _watch(self) -> None:
        try:
            self._failure = await self._read()
        except Exception as error:  # noqa: BLE001 - it is raised where the block ends
            self._failure = error
        finally:
            self._inbox.is_fed = False
            self._inbox.wake()
        self._group.cancel_scope.cancel()

    async def _read(self) -> WebSocketDisconnect:
        """Read until the connection is over, and tell how it ended."""
        while True:
            event = await self._session.pull()
            if self._session.state.client is Client.DISCONNECTED:
                return self._session.disconnected(event)
            if len(self._inbox.events) < self._max_pending:
                self._inbox.put(event)
            elif self._on_overflow == "close":
                await self._session.close(CloseCode.POLICY_VIOLATION, "too many messages unread")
                return self._session.disconnected(event)


async def _leave(
    tasks: TaskGroup, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
) -> bool:
    """Leave a task group that was entered for a block; an exception of the block passes as it is, in no group.

    Give whether there is none, but perhaps the cancellation of the block: then another may be raised.
    """
    if not _is_cancellation(error):
        await tasks.__aexit__(None, None, None)
        return error is None
    await tasks.__aexit__(type_, error, traceback)
    return True


def _is_cancellation(error: BaseException | None) -> bool:
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(error, BaseExceptionGroup):  # what a trio nursery in the block makes of it
        return cast("BaseExceptionGroup[BaseException]", error).split(cancelled)[1] is None
    return isinstance(error, cancelled)
