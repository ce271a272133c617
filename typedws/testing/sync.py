"""`TestClient`: the same for tests that do not await. The application runs on an event loop in another thread."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, Final, Generic, Self, Unpack, cast, overload

from typing_extensions import TypeForm, TypeVar

from typedws._connection.connection_denied import ConnectionDenied
from typedws._connection.sync_connection import SyncConnection
from typedws._contract.contract import Contract
from typedws._http.headers import HeadersInput
from typedws._messages.type_parameters import In_co, Out_contra
from typedws._protocol.outcomes import Closed
from typedws.asgi import ASGIApp
from typedws.close_codes import CloseCode
from typedws.testing.application_run import TIMEOUT
from typedws.testing.connecting import RequestOptions, TestConnecting, connect
from typedws.testing.connection import TestConnection
from typedws.testing.event_loops import advance_clock
from typedws.testing.fake_server import Violation
from typedws.testing.lifespans import lifespan
from typedws.testing.portal import Portal
from typedws.testing.server_behaviour import STRICT, ServerBehaviour

__all__ = ["SyncTestConnecting", "SyncTestConnection", "TestClient"]

T = TypeVar("T")
In = TypeVar("In")
Out = TypeVar("Out")

_MARGIN: Final = 1.5
"""Seconds beyond the time limit of a single wait, after which an event loop is taken to be blocked."""


class SyncTestConnection(SyncConnection[In_co, Out_contra]):
    """The client's end of a connection under test, whose methods wait: each does what that of `TestConnection` does."""

    def __init__(self, connection: TestConnection[In_co, Out_contra], portal: Portal) -> None:
        super().__init__(connection, portal)
        self._tested = connection

    def expect(self, form: TypeForm[T], /, **fields: object) -> T:
        """Receive a message, which must be of this type and have these fields, and give it."""

        async def expect() -> T:
            return await self._tested.expect(form, **fields)

        return self._call(expect)

    def expect_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str | None = None) -> Closed:
        """Wait for the server's close, which must have this code, and this reason if one is given."""
        return self._call(self._tested.expect_close, code, reason)

    def expect_nothing(self) -> None:
        """Let the application run until all that it does waits; no message, and no end, must have come by then."""
        self._call(self._tested.expect_nothing)

    def lose(self, *, at_message: int | None = None) -> None:
        """Lose the connection without a close frame, now or at a message of the application."""
        self._call(partial(self._tested.lose, at_message=at_message))

    def stop_reading(self) -> None:
        """Read no more, so that what the application sends waits; `read_again` ends it."""
        self._call(self._tested.stop_reading)

    def read_again(self) -> None:
        """Read again after `stop_reading`."""
        self._call(self._tested.read_again)

    def send_malformed(self, violation: Violation) -> None:
        """Send a malformed frame: the server fails the connection."""
        self._call(self._tested.send_malformed, violation)

    def shut_down_server(self) -> None:
        """Let the server shut down."""
        self._call(self._tested.shut_down_server)


class SyncTestConnecting(
    AbstractContextManager[SyncTestConnection[In_co, Out_contra], None], Generic[In_co, Out_contra]
):
    """A connection to be made: ``with`` makes it, `expect_denied` expects that it is not made."""

    def __init__(
        self, connecting: TestConnecting[In_co, Out_contra], portal: Callable[[], AbstractContextManager[Portal]]
    ) -> None:
        self._connecting = connecting
        self._make = portal
        self._stack = ExitStack()

    def __enter__(self) -> SyncTestConnection[In_co, Out_contra]:
        """Connect. Raises as ``async with connect(...)`` does."""
        with ExitStack() as stack:
            portal = stack.enter_context(self._make())
            connection = portal.call(self._connecting.__aenter__)
            stack.push(partial(portal.call, self._connecting.__aexit__))
            self._stack = stack.pop_all()
        return SyncTestConnection(connection, portal)

    def __exit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close, wait for the application's end, and raise what its handler raised, as itself."""
        self._stack.__exit__(type_, error, traceback)

    def expect_denied(self, status: int | None = None) -> ConnectionDenied:
        """Connect, expect that the handshake is denied, with this status if one is given, and give the denial."""
        with self._make() as portal:
            return portal.call(self._connecting.expect_denied, status)


class TestClient:
    """A client for tests that do not await: ``with TestClient(app) as client``.

    The application runs on an event loop in another thread. Its lifespan runs as long as the ``with`` block of the
    client; without that, as long as each connection.

    :param app: any ASGI application
    :param server: how the server behaves that is played; by default strictly as the specification says
    :param timeout: seconds that any single wait may take
    :param backend: ``"asyncio"`` or ``"trio"``
    :param backend_options: what anyio passes on to it
    """

    __test__: ClassVar[bool] = False  # for pytest: its name is not that of a test

    def __init__(
        self,
        app: ASGIApp,
        *,
        server: ServerBehaviour = STRICT,
        timeout: float = TIMEOUT,
        backend: str = "asyncio",
        backend_options: Mapping[str, Any] | None = None,
    ) -> None:
        self._app = app
        self._server = server
        self._timeout = timeout
        self._backend = backend
        self._options = backend_options or {}
        self._portal: Portal | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start the application's lifespan. Raises as `lifespan` does."""
        with ExitStack() as stack:
            portal = stack.enter_context(self._open_portal())
            held = lifespan(self._app, timeout=self._timeout)
            portal.call(held.__aenter__)
            stack.callback(portal.call, held.__aexit__, None, None, None)
            self._stack = stack.pop_all()
        self._portal = portal
        return self

    def __exit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the lifespan, and the event loop."""
        self._portal = None
        self._stack.__exit__(type_, error, traceback)

    @overload
    def websocket_connect(
        self, path: str = "/", contract: None = None, **options: Unpack[RequestOptions]
    ) -> SyncTestConnecting[object, Any]: ...
    @overload
    def websocket_connect(
        self, path: str = "/", *, contract: Contract[In, Out, Any], **options: Unpack[RequestOptions]
    ) -> SyncTestConnecting[Out, In]: ...
    @overload
    def websocket_connect(
        self, path: str, contract: Contract[In, Out, Any], **options: Unpack[RequestOptions]
    ) -> SyncTestConnecting[Out, In]: ...
    def websocket_connect(
        self,
        path: str = "/",
        contract: Contract[Any, Any, Any] | None = None,
        *,
        headers: HeadersInput | None = None,
        subprotocols: Sequence[str] = (),
        path_params: Mapping[str, Any] | None = None,
    ) -> SyncTestConnecting[Any, Any]:
        """Connect: ``with client.websocket_connect("/chat", chat) as ws``.

        :param path: with a query, if any; or a whole URL
        :param contract: what is agreed on, an endpoint's own too; without one there are text, bytes, JSON and models
            given by each call
        :param headers: fields of the request, beside those of every handshake
        :param subprotocols: what is offered, in order of preference
        :param path_params: for an endpoint alone: what a router would have found in the path
        :raises InvalidHandshake: for a request that no client would send
        """
        connecting: TestConnecting[Any, Any] = connect(
            self._app,
            path,
            cast(Any, contract),
            headers=headers,
            subprotocols=subprotocols,
            path_params=path_params,
            server=self._server,
            timeout=self._timeout,
        )
        return SyncTestConnecting(connecting, self._running_portal)

    def advance_clock(self, seconds: float) -> None:
        """Let time pass for the application, as `typedws.testing.advance_clock` does; inside the ``with`` block."""
        with self._running_portal() as portal:
            portal.call(advance_clock, seconds)

    def _running_portal(self) -> AbstractContextManager[Portal]:
        return self._open_portal() if self._portal is None else nullcontext(self._portal)

    @contextmanager
    def _open_portal(self) -> Generator[Portal]:
        portal = Portal(self._backend, self._options, self._timeout + _MARGIN)
        portal.start()
        try:
            yield portal
        finally:
            portal.stop()
