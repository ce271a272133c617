"""Where asyncio and trio differ: tasks without a parent, blocks that another task cancels. No connection is known."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from contextvars import copy_context
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVarTuple, Unpack

from anyio import CancelScope

__all__ = ["Interruption", "interruptible", "running_trio", "spawn"]

Args = TypeVarTuple("Args")


class Interruption(Protocol):
    """What a block is left by."""

    def cancel(self) -> None:
        """Cancel the block, which ends it without an exception; again where the block has not heeded it.

        After the block it does nothing.
        """
        ...


class _TaskInterruption:
    """Cancels the task and takes that back where the block ends, as ``asyncio.timeout`` does.

    A scope of anyio would do the same for a fifth of what a whole handshake costs.
    """

    __slots__ = ("_requests", "_task")

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._requests = 0
        return self

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._requests += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        task, self._task = self._task, None
        if not self._requests or task is None:
            return False
        for _ in range(self._requests):
            task.uncancel()
        is_ours = task.cancelling() == 0
        return is_ours and kind is not None and issubclass(kind, asyncio.CancelledError)


def running_trio() -> Any:
    """Give trio if it runs us: it is not imported, for it need not be installed."""
    trio: Any = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_run() else None


def interruptible() -> AbstractContextManager[Interruption, bool | None]:
    """Return a context manager whose block can be cancelled from outside of it."""
    return CancelScope() if running_trio() else _TaskInterruption()


_tasks: Final[set[asyncio.Task[None]]] = set()
"""The event loop refers to its tasks weakly: without this, one could be collected while it waits."""


def spawn(function: Callable[[Unpack[Args]], Coroutine[Any, Any, None]], *args: *Args) -> None:
    """Start a task that has no parent, in a copy of the caller's context. It must not raise."""
    if trio := running_trio():
        trio.lowlevel.spawn_system_task(function, *args, context=copy_context())
        return
    task = asyncio.get_running_loop().create_task(function(*args))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
