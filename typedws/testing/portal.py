"""An event loop in a thread of its own, for tests that do not await. A call into it ends in time, even if it hangs."""

import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar, overload

import anyio
from anyio.from_thread import BlockingPortal

from typedws.testing.failures import WaitTimeout
from typedws.testing.standing import place, stack_of, standing

__all__ = ["Portal"]

T = TypeVar("T")


class Portal:
    """Runs an event loop, and calls into it.

    :param limit: seconds that a call may take, after which the loop is taken to be blocked
    """

    def __init__(self, backend: str, options: Mapping[str, Any], limit: float) -> None:
        self._limit = limit
        self._started: Future[BlockingPortal] = Future()
        # A daemon: where something blocks it for ever, the test fails and the run goes on.
        self._thread = threading.Thread(target=self._run, args=(backend, options), name="typedws.testing", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()
        self._portal = self._started.result()

    def stop(self) -> None:
        """End the loop, and with it the thread, unless it is blocked."""
        self.call(self._portal.stop)
        self._thread.join(self._limit)

    @overload
    def call(self, function: Callable[..., Awaitable[T]], /, *arguments: Any) -> T: ...
    @overload
    def call(self, function: Callable[..., T], /, *arguments: Any) -> T: ...
    def call(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Call a function on the loop, and give what it gives.

        :raises WaitTimeout: where the loop is blocked: by a function that waits without ``await``
        """
        called: Future[Any] = self._portal.start_task_soon(function, *arguments)
        try:
            return called.result(self._limit)
        except TimeoutError:
            if called.done():  # the function's own
                raise
        frame = standing(stack_of(self._thread))
        where = "" if frame is None else f" at {place(frame)}"
        raise WaitTimeout(f"the event loop to go on within {self._limit:g} s", f"it blocked{where}")

    def _run(self, backend: str, options: Mapping[str, Any]) -> None:
        async def serve() -> None:
            async with BlockingPortal() as portal:
                self._started.set_result(portal)
                await portal.sleep_until_stopped()

        try:
            anyio.run(serve, backend=backend, backend_options=dict(options))
        except BaseException as error:
            if not self._started.done():
                self._started.set_exception(error)
            raise
