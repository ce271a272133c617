"""Run an application as a task beside the test, keep its failure, report its position, and end it."""

import time
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar, cast

import anyio

from typedws._endpoint.endings import root_cause
from typedws.testing.event_loops import running_loop
from typedws.testing.stack_frames import awaited_by, frame_location, frames_of, user_frame

__all__ = ["TIMEOUT", "UNCLOSABLE", "ApplicationRun", "within"]

T = TypeVar("T")

TIMEOUT: Final = 5.0
"""The default time limit of a single wait, in seconds."""

_GRACE: Final = 0.5
"""Seconds that a cancelled application has to end before it is closed."""


class ApplicationRun:
    """A coroutine that runs in its own task; its failure is kept instead of raised."""

    def __init__(self, function: Callable[[], Awaitable[None]], on_end: Callable[[], None] = lambda: None) -> None:
        self.error: BaseException | None = None
        """What the application raised; a group with a single failure is replaced by that failure."""
        self.is_ended: bool = False
        self._is_killed = False
        self._on_end = on_end
        self._end = anyio.Event()
        self._coroutine = _as_coroutine(function)
        # Not a child of the test's task: a fixture may open a connection in one task and leave it in another.
        self._cancel = running_loop().spawn(self._run)

    async def _run(self) -> None:
        try:
            await self._step()
        except Exception as error:  # noqa: BLE001 - raised later, where the test waits
            self.error = root_cause(error)
        except BaseException as error:
            if _must_propagate(error):
                raise
            # pytest.fail() and pytest.skip() raise BaseExceptions; called in a handler, they must reach the test too.
            self.error = error
        finally:
            self.is_ended = True
            self._end.set()
            self._on_end()

    @types.coroutine
    def _step(self) -> Generator[Any, Any, None]:
        """Drive the coroutine as ``await`` does, so that `cancel` can end one that swallows its cancellation.

        With a plain ``await`` such a coroutine goes on for ever, and ``asyncio.run`` and ``trio.run`` wait for it.
        """
        coroutine = self._coroutine
        resume: Callable[[], Any] = partial(coroutine.send, None)
        while True:
            try:
                awaited = resume()
            except StopIteration:
                return
            try:
                value = yield awaited
            except BaseException as error:
                # A killed coroutine must not see another cancellation, which it would swallow again. A GeneratorExit
                # must not be thrown in: where it is swallowed, this generator would yield after it, which Python
                # forbids.
                if self._is_killed or isinstance(error, GeneratorExit):
                    _close(coroutine)
                    raise
                resume = partial(coroutine.throw, error)
            else:
                # trio resumes a cancelled task with a value, from which its own innermost frame raises. So on trio a
                # kill arrives here.
                if self._is_killed:
                    _close(coroutine)
                    return
                resume = partial(coroutine.send, value)

    def describe_position(self, activity: str) -> str:
        """Describe what the application does (``activity``) and on which line, for the error of a timed-out wait."""
        frame = user_frame(frames_of(self._coroutine))
        return f"nothing: the application {activity}" + ("" if frame is None else f" at {frame_location(frame)}")

    async def wait_ended(self, seconds: float) -> bool:
        """Wait at most this long for the end, and return whether the application has ended."""
        with suppress(TimeoutError):
            await within(seconds, self._end.wait)
        return self.is_ended

    def request_cancel(self) -> None:
        """Cancel the task without waiting for its end."""
        self._cancel()

    async def cancel(self) -> bool:
        """Cancel the task and wait for its end; return ``False`` if it swallowed the cancellation and was closed."""
        self._cancel()
        if await self.wait_ended(_GRACE):
            return True
        self._is_killed = True
        # _step() sees the flag when the task is resumed. On trio every checkpoint of a cancelled task resumes it; on
        # asyncio only a new cancellation does.
        self._cancel()
        await self.wait_ended(_GRACE)
        return False


async def within(seconds: float, wait: Callable[[], Awaitable[T]]) -> T:
    """Return the result of a wait, with a time limit by the wall clock.

    ``wait`` must lose nothing when it is cancelled: it is called again when ``advance_clock()`` makes the event loop's
    timer fire too early.

    :param seconds: the time limit
    :raises TimeoutError: if the wait does not end in time, by the wall clock and not by the loop's clock
    """
    deadline = time.monotonic() + seconds
    while (remaining := deadline - time.monotonic()) > 0:
        with anyio.move_on_after(remaining):
            return await wait()
    raise TimeoutError


def _must_propagate(error: BaseException) -> bool:
    """Whether an exception is a cancellation, or ends the whole program, alone or inside a group."""
    propagated = (anyio.get_cancelled_exc_class(), GeneratorExit, KeyboardInterrupt, SystemExit)
    if isinstance(error, BaseExceptionGroup):
        return cast(BaseExceptionGroup[BaseException], error).split(propagated)[0] is not None
    return isinstance(error, propagated)


async def _as_coroutine(function: Callable[[], Awaitable[None]]) -> None:
    """Await any awaitable in a coroutine, because only a coroutine has send(), throw() and close()."""
    await function()


def _close(coroutine: Coroutine[Any, Any, None]) -> None:
    parts = list(awaited_by(coroutine))
    try:
        coroutine.close()
    except RuntimeError:
        # The coroutine awaits even while it is closed. When it is collected, Python would close it again: its code
        # would run at any moment, and Python would print the same error. A reference to each part prevents that.
        UNCLOSABLE.extend(parts)


UNCLOSABLE: Final[list[Any]] = []
"""The coroutines that could not be closed, and what they await."""
