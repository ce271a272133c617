"""An event loop in a thread of its own, for tests that do not await. A call into it ends in time, even if it hangs."""

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
    """Runs an event loop, and calls into it. anyio's own waits for ever where something blocks the loop.

    :param limit: seconds that a call may take, after which the loop is taken to be blocked
    """

    def __init__(self, backend: str, options: Mapping[str, Any], limit: float) -> None:
        self._limit = limit
        self._blocked: WaitTimeout | None = None
        self._started: Future[tuple[EventLoop, Poster, anyio.Event]] = Future()
        self._loop: EventLoop
        self._post: Poster
        self._stopping: anyio.Event
        # A daemon: where something blocks it for ever, the test fails and the run goes on.
        self._thread = threading.Thread(target=self._run, args=(backend, options), name="typedws.testing", daemon=True)

    def start(self) -> None:
        """Start the thread; raises what anyio does for an unknown backend."""
        self._thread.start()
        self._loop, self._post, self._stopping = self._started.result()

    def stop(self) -> None:
        """End the loop, and with it the thread; where it is blocked, once it no longer is."""
        self._post(self._stopping.set)
        if self._blocked is None:
            self._thread.join(self._limit)

    @overload
    def call(self, function: Callable[..., Awaitable[T]], /, *arguments: Any) -> T: ...
    @overload
    def call(self, function: Callable[..., T], /, *arguments: Any) -> T: ...
    def call(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Call a function on the loop, and give what it gives.

        :raises WaitTimeout: where the loop is blocked: by a function that waits without ``await``
        """
        if self._blocked is not None:
            raise self._blocked
        called: Future[Any] = Future()

        async def run() -> None:
            try:
                found = function(*arguments)
                called.set_result(await found if inspect.isawaitable(found) else found)
            except Exception as error:  # noqa: BLE001 - it is raised for who calls
                called.set_exception(error)

        kept: list[object] = []  # the loop itself does not hold its tasks
        self._post(lambda: kept.append(self._loop.spawn(run)))
        try:
            return called.result(self._limit)
        except TimeoutError:
            if called.done():  # the function's own
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
