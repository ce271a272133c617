"""What differs between asyncio and trio: tasks without a parent, and blocks that another task cancels.

Nothing here knows of connections.
"""

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
    """The handle by which another task cancels an `interruptible` block."""

    def cancel(self) -> None:
        """Cancel the block, which then ends without an exception.

        May be called again for a block that swallowed the cancellation. After the end of the block it does nothing.
        """
        ...


class _TaskInterruption:
    """Cancels the task, and withdraws the cancellation at the end of the block, as ``asyncio.timeout`` does.

    An anyio ``CancelScope`` would do the same, but would cost a fifth of a whole handshake.
    """

    __slots__ = ("_requests", "_task")

    def __enter__(self) -> Self:
        # None where no task runs, in a callback of the event loop: cancel() then does nothing.
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
        # From here on cancel() must not reach the task: it would cancel whatever runs after the block.
        task, self._task = self._task, None
        if not self._requests or task is None:
            return False
        # asyncio counts the cancel() calls. Each of ours is taken back, also if the block swallowed the CancelledError:
        # otherwise an enclosing asyncio.timeout or task group takes it for a cancellation from outside.
        for _ in range(self._requests):
            task.uncancel()
        # If a request is left, the task was cancelled from outside too, and its CancelledError must pass.
        is_ours = task.cancelling() == 0
        return is_ours and kind is not None and issubclass(kind, asyncio.CancelledError)


def running_trio() -> Any:
    """Return the trio module if trio runs the caller, or ``None`` on asyncio."""
    # Not imported here: trio is optional. If it runs the caller, it has been imported already.
    trio: Any = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_run() else None


def interruptible() -> AbstractContextManager[Interruption, bool | None]:
    """Return a context manager whose block another task can cancel."""
    return CancelScope() if running_trio() else _TaskInterruption()


_tasks: Final[set[asyncio.Task[None]]] = set()
"""The tasks that run. asyncio keeps weak references to tasks: without this, a waiting one could be collected."""


def spawn(function: Callable[[Unpack[Args]], Coroutine[Any, Any, None]], *args: *Args) -> None:
    """Start a task that has no parent, in a copy of the caller's context.

    The function must not raise: an exception of a trio system task crashes the whole run, and one of an asyncio task
    that is never awaited is only logged.
    """
    if trio := running_trio():
        # trio would run a system task in a new context; asyncio copies the caller's by itself.
        trio.lowlevel.spawn_system_task(function, *args, context=copy_context())
        return
    task = asyncio.get_running_loop().create_task(function(*args))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
