"""`connect_sync`: a typed connection for scripts and notebooks, whose code does not await."""

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
from typedws.client.connecting import ClientOptions, Connecting, plan_for

__all__ = ["PortalCaller", "SyncConnecting", "connect_sync"]

T = TypeVar("T")
In = TypeVar("In")
Out = TypeVar("Out")
Params = TypeVar("Params")


class SyncConnecting(AbstractContextManager["SyncConnection[In_co, Out_contra]", None], Generic[In_co, Out_contra]):
    """A connection to be made: ``with`` makes it, and closes it however the block ends."""

    def __init__(self, connecting: Connecting[In_co, Out_contra]) -> None:
        self._connecting = connecting
        self._thread: AbstractContextManager[BlockingPortal]
        self._caller: PortalCaller

    def __enter__(self) -> SyncConnection[In_co, Out_contra]:
        """Connect; raises as `Connecting` does."""
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
    """Calls into the event loop of a portal. Who is interrupted while it waits, by Ctrl-C say, takes its call back."""

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
            self._portal.call(call.take_back)  # wherever the interruption came, the portal's own code included
            raise


class _Call:
    """A call that may be taken back, whether it has begun or not."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._function = function
        self._arguments = arguments
        self._scope: CancelScope | None = None
        self._ended: Event

    async def run(self) -> Any:
        self._ended = Event()
        with CancelScope() as self._scope:
            try:
                found = self._function(*self._arguments)
                return await found if isawaitable(found) else found
            finally:
                self._ended.set()

    async def take_back(self) -> None:
        """Cancel it, and wait until it has ended; does nothing where it has, or has not begun."""
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
    """Give what ``with`` makes a connection of; for who does not await. It takes what `connect` does.

    ``ws`` is a `SyncConnection`: each of its methods waits. Pings are answered meanwhile, in a thread of its own.
    """
    connecting: Connecting[Any, Any] = Connecting(plan_for(url, contract, params, **options))
    return SyncConnecting(connecting)
