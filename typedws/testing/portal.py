"""An event loop in another thread, for tests that do not await. Every call into it has a time limit."""

import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar, overload

import anyio

from typedws.testing.event_loops import EventLoop, Poster, running_loop
from typedws.testing.failures import WaitTimeout
from typedws.testing.stack_frames import frame_location, stack_of, user_frame

__all__ = ["Portal"]

T = TypeVar("T")


class Portal:
    """Runs an event loop in a thread and calls functions on it, like anyio's ``BlockingPortal`` but with a time limit.

    anyio's portal waits for ever if a function blocks the loop.

    :param backend: ``"asyncio"`` or ``"trio"``
    :param options: the backend options of ``anyio.run``
    :param limit: the time limit of a call, in seconds, after which the loop counts as blocked
    """

    def __init__(self, backend: str, options: Mapping[str, Any], limit: float) -> None:
        self._limit = limit
        self._blocked: WaitTimeout | None = None
        self._started: Future[tuple[EventLoop, Poster, anyio.Event]] = Future()
        self._loop: EventLoop
        self._post: Poster
        self._stopping: anyio.Event
        # A daemon: the interpreter waits for any other thread at its exit, for ever if the loop is blocked.
        self._thread = threading.Thread(target=self._run, args=(backend, options), name="typedws.testing", daemon=True)

    def start(self) -> None:
        """Start the thread and its event loop.

        :raises LookupError: if anyio does not know the backend
        """
        self._thread.start()
        self._loop, self._post, self._stopping = self._started.result()

    def stop(self) -> None:
        """Stop the event loop and wait for its thread; a blocked loop stops when it continues, without a wait."""
        self._post(self._stopping.set)
        if self._blocked is None:
            self._thread.join(self._limit)

    @overload
    def call(self, function: Callable[..., Awaitable[T]], /, *arguments: Any) -> T: ...
    @overload
    def call(self, function: Callable[..., T], /, *arguments: Any) -> T: ...
    def call(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Call a function on the event loop, await its result if that is awaitable, and return it.

        :raises WaitTimeout: if the loop is blocked by code that waits without ``await``; shows the line that blocks it
        :raises Exception: what the function raises
        """
        if self._blocked is not None:  # another call would only wait for the whole limit again
            raise self._blocked
        result: Future[Any] = Future()

        async def run() -> None:
            try:
                value = function(*arguments)
                result.set_result(await value if inspect.isawaitable(value) else value)
            except Exception as error:  # noqa: BLE001 - raised again in the calling thread
                result.set_exception(error)

        # spawn() returns the only strong reference to the task: without this list, it could be collected while it runs.
        references: list[object] = []
        self._post(lambda: references.append(self._loop.spawn(run)))
        try:
            return result.result(self._limit)
        except TimeoutError:
            if result.done():  # the function itself raised the TimeoutError
                raise
        frame = user_frame(stack_of(self._thread))
        found = "it blocked" + ("" if frame is None else f" at {frame_location(frame)}")
        self._blocked = WaitTimeout(f"the event loop to go on within {self._limit:g} s", found)
        raise self._blocked

    def _run(self, backend: str, options: Mapping[str, Any]) -> None:
        async def serve() -> None:
            loop, stopping = running_loop(), anyio.Event()
            self._started.set_result((loop, loop.poster(), stopping))
            await stopping.wait()

        try:
            anyio.run(serve, backend=backend, backend_options=dict(options))
        except Exception as error:
            if self._started.done():
                raise
            self._started.set_exception(error)
