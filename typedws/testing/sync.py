"""`TestClient`: connections for tests that do not await. The application runs on an event loop in another thread."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, Final, Generic, Self, Unpack, cast, overload

from typing_extensions import TypeForm, TypeVar

from typedws._connection.connection_denied import ConnectionDenied
from typedws._connection.sync_connection import Caller, SyncConnection
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
"""Seconds beyond the time limit of a single wait before an event loop that does not respond counts as blocked."""


class SyncTestConnection(SyncConnection[In_co, Out_contra]):
    """The client's end of a connection under test, with blocking methods: each does the same as in `TestConnection`."""

    def __init__(self, connection: TestConnection[In_co, Out_contra], portal: Caller) -> None:
        super().__init__(connection, portal)
        self._test_connection = connection

    def expect(self, form: TypeForm[T], /, **fields: object) -> T:
        """Return the next message, which must be of this type and have these fields; see `TestConnection.expect`."""

        async def expect() -> T:
            return await self._test_connection.expect(form, **fields)

        return self._call(expect)

    def expect_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str | None = None) -> Closed:
        """Wait for the end of the connection, which must have this close code; see `TestConnection.expect_close`."""
        return self._call(self._test_connection.expect_close, code, reason)

    def expect_nothing(self) -> None:
        """Run the application until all tasks wait, and fail if a message or the end has arrived by then."""
        self._call(self._test_connection.expect_nothing)

    def lose(self, *, at_message: int | None = None) -> None:
        """Lose the connection without a close frame, at once or in place of a message; see `TestConnection.lose`."""
        self._call(partial(self._test_connection.lose, at_message=at_message))

    def stop_reading(self) -> None:
        """Stop reading: messages that the application sends wait until `read_again`, or until the connection ends."""
        self._call(self._test_connection.stop_reading)

    def read_again(self) -> None:
        """Start reading again after `stop_reading`."""
        self._call(self._test_connection.read_again)

    def send_malformed(self, violation: Violation) -> None:
        """Send a malformed frame, for which the server fails the connection; see `TestConnection.send_malformed`."""
        self._call(self._test_connection.send_malformed, violation)

    def shut_down_server(self) -> None:
        """Shut down the server; see `TestConnection.shut_down_server`."""
        self._call(self._test_connection.shut_down_server)


class SyncTestConnecting(
    AbstractContextManager[SyncTestConnection[In_co, Out_contra], None], Generic[In_co, Out_contra]
):
    """A connection that is not open yet: ``with`` opens it, `expect_denied` expects a denial."""

    def __init__(
        self, connecting: TestConnecting[In_co, Out_contra], portal: Callable[[], AbstractContextManager[Caller]]
    ) -> None:
        self._connecting = connecting
        self._open_portal = portal
        self._stack = ExitStack()

    def __enter__(self) -> SyncTestConnection[In_co, Out_contra]:
        """Connect, and return the client's end; raises the same errors as ``async with connect(...)``."""
        # If connecting raises, the stack stops a portal that was opened for this connection only.
        with ExitStack() as stack:
            portal = stack.enter_context(self._open_portal())
            connection = portal.call(self._connecting.__aenter__)
            stack.push(partial(portal.call, self._connecting.__aexit__))
            self._stack = stack.pop_all()
        return SyncTestConnection(connection, portal)

    def __exit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection, wait for the application to end, and raise what its handler raised."""
        self._stack.__exit__(type_, error, traceback)

    def expect_denied(self, status: int | None = None) -> ConnectionDenied:
        """Connect, expect the application to deny the handshake, and return the denial; see `TestConnecting`."""
        with self._open_portal() as portal:
            return portal.call(self._connecting.expect_denied, status)


class TestClient:
    """A test client for tests that do not await: ``with TestClient(app) as client``.

    The application runs on an event loop in another thread. Inside the client's ``with`` block all connections share
    one event loop and one lifespan. Without the block, each connection has its own.

    :param app: any ASGI application
    :param server: the behaviour of the simulated server; by default it follows the ASGI specification strictly
    :param timeout: the time limit of each single wait, in seconds
    :param backend: ``"asyncio"`` or ``"trio"``
    :param backend_options: the options of the backend, as for ``anyio.run``
    """

    __test__: ClassVar[bool] = False  # without this, pytest would collect the class because of its name

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
        self._behaviour = server
        self._timeout = timeout
        self._backend = backend
        self._backend_options = backend_options or {}
        self._portal: Portal | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start the event loop and the application's lifespan; raises the same errors as `lifespan`."""
        with ExitStack() as stack:
            portal = stack.enter_context(self._open_portal())
            running = lifespan(self._app, timeout=self._timeout)
            portal.call(running.__aenter__)
            stack.callback(portal.call, running.__aexit__, None, None, None)
            self._stack = stack.pop_all()
        self._portal = portal
        return self

    def __exit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the application's lifespan and the event loop."""
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
        """Return a client connection to the application, which ``with`` opens.

        The ``ws`` of ``with client.websocket_connect("/chat", chat) as ws`` is a `SyncTestConnection`.

        :param path: a path, with its query if it has one, or a whole ``ws://`` or ``wss://`` URL
        :param contract: the contract that types the connection, which must be given for an `Endpoint` too, because type
            checkers do not see its contract here; without one, the connection receives and sends text, bytes, JSON, and
            models whose type each call names
        :param headers: header fields of the request, besides those of every handshake
        :param subprotocols: the offered subprotocols, in order of preference
        :param path_params: the path parameters that a router would find in the path; for an endpoint alone
        :raises InvalidHandshake: if no client would send such a request
        """
        connecting: TestConnecting[Any, Any] = connect(
            self._app,
            path,
            cast(Any, contract),
            headers=headers,
            subprotocols=subprotocols,
            path_params=path_params,
            server=self._behaviour,
            timeout=self._timeout,
        )
        return SyncTestConnecting(connecting, self._running_or_new_portal)

    def advance_clock(self, seconds: float) -> None:
        """Advance the clock of the application's event loop, as `typedws.testing.advance_clock` does.

        Use it inside the client's ``with`` block: without the block, each connection has its own event loop.

        :param seconds: the time that passes
        """
        with self._running_or_new_portal() as portal:
            portal.call(advance_clock, seconds)

    def _running_or_new_portal(self) -> AbstractContextManager[Portal]:
        return self._open_portal() if self._portal is None else nullcontext(self._portal)

    @contextmanager
    def _open_portal(self) -> Generator[Portal]:
        portal = Portal(self._backend, self._backend_options, self._timeout + _MARGIN)
        portal.start()
        try:
            yield portal
        finally:
            portal.stop()
