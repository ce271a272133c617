"""One run of an application, as a task beside the test: how it ended, where it stands, and how it is ended."""

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

__all__ = ["TIMEOUT", "UNENDING", "ApplicationRun", "within"]

T = TypeVar("T")

TIMEOUT: Final = 5.0
"""Seconds that any single wait may take, where nothing else is said."""

_GRACE: Final = 0.5
"""Seconds that a run which was cancelled is given to end."""


class ApplicationRun:
    """A coroutine that runs beside its maker, and whose failure is kept for later."""

    def __init__(self, function: Callable[[], Awaitable[None]], ended: Callable[[], None] = lambda: None) -> None:
        self.error: BaseException | None = None
        """What it raised; of a group with one failure, that one."""
        self.is_ended: bool = False
        self._is_killed = False
        self._ended = ended
        self._end = anyio.Event()
        self._coroutine = _called(function)
        self._cancel = running_loop().spawn(self._run)

    async def _run(self) -> None:
        try:
            await self._step()
        except Exception as error:  # noqa: BLE001 - it is told where the test waits for it
            self.error = root_cause(error)
        except BaseException as error:
            if _ends_more(error):
                raise
            self.error = error  # what a test runner fails or skips a test by, in a handler too
        finally:
            self.is_ended = True
            self._end.set()
            self._ended()

    @types.coroutine
    def _step(self) -> Generator[Any, Any, None]:
        """Run the coroutine as ``await`` would, but for one that goes on after a cancellation: that can be ended."""
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
                if self._is_killed or isinstance(error, GeneratorExit):
                    _close(coroutine)
                    raise
                resume = partial(coroutine.throw, error)
            else:
                if self._is_killed:  # trio sends its cancellations as values
                    _close(coroutine)
                    return
                resume = partial(coroutine.send, value)

    def standing(self, waits: str) -> str:
        """Say that nothing came of it, and where it stands, or ``waits`` for something."""
        frame = user_frame(frames_of(self._coroutine))
        return f"nothing: the application {waits}" + ("" if frame is None else f" at {frame_location(frame)}")

    async def ended(self, seconds: float) -> bool:
        """Wait until it has ended, and tell whether it has in time."""
        with suppress(TimeoutError):
            await within(seconds, self._end.wait)
        return self.is_ended

    def interrupt(self) -> None:
        """Cancel it, and wait for nothing."""
        self._cancel()

    async def cancelled(self) -> bool:
        """Cancel it, and tell whether it has heeded that; if not, it is ended without being asked."""
        self._cancel()
        if await self.ended(_GRACE):
            return True
        self._is_killed = True
        self._cancel()
        await self.ended(_GRACE)
        return False


async def within(seconds: float, wait: Callable[[], Awaitable[T]]) -> T:
    """Wait for something, and give it.

    What waits must lose nothing when it is cancelled: where the loop's clock is advanced, it is asked again.

    :raises TimeoutError: where it has not come in time, by the wall clock and not by the loop's
    """
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        with anyio.move_on_after(left):
            return await wait()
    raise TimeoutError


def _ends_more(error: BaseException) -> bool:
    """Whether an exception is a cancellation, or ends the whole program."""
    ends = (anyio.get_cancelled_exc_class(), GeneratorExit, KeyboardInterrupt, SystemExit)
    if isinstance(error, BaseExceptionGroup):
        return cast(BaseExceptionGroup[BaseException], error).split(ends)[0] is not None
    return isinstance(error, ends)


async def _called(function: Callable[[], Awaitable[None]]) -> None:
    await function()


def _close(coroutine: Coroutine[Any, Any, None]) -> None:
    parts = list(awaited_by(coroutine))
    try:
        coroutine.close()
    except RuntimeError:  # it awaits even now, and would again when it is collected
        UNENDING.extend(parts)


UNENDING: Final[list[Any]] = []
"""What could not be ended."""
