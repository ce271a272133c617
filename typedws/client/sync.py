"""`connect_sync`: opens a typed connection for scripts and notebooks, whose code does not await."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from inspect import isawaitable
from types import TracebackType
from typing import Any, Generic, TypeVar, Unpack, overload

from anyio import CancelScope, Event
from anyio.from_thread import BlockingPortal, start_blocking_portal

from typedws._connection.sync_connection import SyncConnection
from typedws._contract.contract import Contract
from typedws._messages.type_parameters import In_co, Out_contra
from typedws.client.connecting import ClientOptions, Connecting

__all__ = ["PortalCaller", "SyncConnecting", "connect_sync"]

T = TypeVar("T")
In = TypeVar("In")
Out = TypeVar("Out")
Params = TypeVar("Params")


class SyncConnecting(AbstractContextManager["SyncConnection[In_co, Out_contra]", None], Generic[In_co, Out_contra]):
    """The context manager that `connect_sync` returns. It opens a connection, and closes it when the block ends."""

    def __init__(self, connecting: Connecting[In_co, Out_contra]) -> None:
        self._connecting = connecting
        self._thread: AbstractContextManager[BlockingPortal]
        self._caller: PortalCaller

    def __enter__(self) -> SyncConnection[In_co, Out_contra]:
        """Open the connection; raises as `Connecting` does."""
        self._thread = start_blocking_portal("asyncio", name="typedws.client")
        self._caller = PortalCaller(self._thread.__enter__())
        try:
            return SyncConnection(self._caller.call(self._connecting.__aenter__), self._caller)
        except BaseException:
            self._thread.__exit__(None, None, None)
            raise

    def __exit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._caller.call(self._connecting.__aexit__, type_, error, traceback)
        finally:
            self._thread.__exit__(None, None, None)


class PortalCaller:
    """Calls functions on the event loop of a portal. If the wait is interrupted, by Ctrl-C, the call is cancelled."""

    def __init__(self, portal: BlockingPortal) -> None:
        self._portal = portal

    @overload
    def call(self, function: Callable[..., Awaitable[T]], /, *arguments: Any) -> T: ...
    @overload
    def call(self, function: Callable[..., T], /, *arguments: Any) -> T: ...
    def call(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        call = _Call(function, arguments)
        try:
            return self._portal.start_task_soon(call.run).result()
        except BaseException:
            # The interruption may come anywhere, also before the task has started or in the portal's own code. Without
            # this an interrupted receive would go on in the background, and consume a message.
            self._portal.call(call.cancel)
            raise


class _Call:
    """A call that can be cancelled, whether it has begun or not."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._function = function
        self._arguments = arguments
        self._scope: CancelScope | None = None
        self._ended: Event

    async def run(self) -> Any:
        self._ended = Event()
        with CancelScope() as self._scope:
            try:
                result = self._function(*self._arguments)
                return await result if isawaitable(result) else result
            finally:
                self._ended.set()

    async def cancel(self) -> None:
        """Cancel the call, and wait until it has ended. Does nothing if it has ended, or never began."""
        # A call that was scheduled has begun by now, as it came first. So one without a scope was never scheduled.
        if self._scope is not None:
            self._scope.cancel()
            await self._ended.wait()


@overload
def connect_sync(url: str, contract: None = None, **options: Unpack[ClientOptions]) -> SyncConnecting[object, Any]: ...
@overload
def connect_sync(
    url: str, contract: Contract[In, Out, Params], *, params: Params | None = None, **options: Unpack[ClientOptions]
) -> SyncConnecting[Out, In]: ...
def connect_sync(
    url: str,
    contract: Contract[Any, Any, Any] | None = None,
    *,
    params: object = None,
    **options: Unpack[ClientOptions],
) -> SyncConnecting[Any, Any]:
    """Open a typed connection for code that does not await, for the length of a ``with`` block.

    In ``with connect_sync(url, contract) as ws``, ``ws`` is a `SyncConnection`: each of its methods blocks until it is
    done. An event loop in another thread answers pings meanwhile. The parameters and exceptions are those of
    `connect`.
    """
    return SyncConnecting(Connecting[Any, Any](url, contract, params, **options))
