"""`connect`: open a client connection to an application under test, in process, on the caller's event loop."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, ClassVar, Final, Generic, TypedDict, Unpack, cast, overload

from typing_extensions import TypeVar

from typedws._connection.client_connection import Accepted
from typedws._connection.connection_denied import ConnectionDenied
from typedws._contract.contract import Contract
from typedws._endpoint.endpoints import Endpoint
from typedws._http.headers import HeadersInput
from typedws._messages.type_parameters import In_co, Out_contra
from typedws.asgi import ASGIApp
from typedws.exceptions import WebSocketDisconnect
from typedws.testing.application_run import TIMEOUT
from typedws.testing.connection import TestConnection
from typedws.testing.exchange import Exchange
from typedws.testing.failures import ExpectationFailed, WaitTimeout
from typedws.testing.lifespans import lifespan
from typedws.testing.scope import build_scope
from typedws.testing.server_behaviour import STRICT, ServerBehaviour

__all__ = ["ConnectOptions", "RequestOptions", "TestConnecting", "connect"]

In = TypeVar("In")
Out = TypeVar("Out")


class RequestOptions(TypedDict, total=False):
    """The optional parts of a handshake request; see `connect`."""

    headers: HeadersInput | None
    subprotocols: Sequence[str]
    path_params: Mapping[str, object] | None


class ConnectOptions(RequestOptions, total=False):
    """The keyword arguments of `connect`."""

    server: ServerBehaviour
    timeout: float


class TestConnecting(
    AbstractAsyncContextManager["TestConnection[In_co, Out_contra]", None], Generic[In_co, Out_contra]
):
    """A connection that is not open yet: ``async with`` opens it, `expect_denied` expects a denial."""

    __test__: ClassVar[bool] = False  # without this, pytest would collect the class because of its name

    def __init__(
        self,
        app: ASGIApp,
        contract: Contract[Any, Any, Any] | None,
        scope: Mapping[str, Any],
        server: ServerBehaviour,
        timeout: float,
    ) -> None:
        self._app = app
        self._contract = contract or _contract_of(app)
        self._scope = scope
        self._behaviour = server
        self._timeout = timeout
        self._exchange: Exchange
        self._lifespan: AbstractAsyncContextManager[Mapping[str, Any]]

    async def __aenter__(self) -> TestConnection[In_co, Out_contra]:
        """Connect, and return the client's end of the connection.

        :raises ConnectionDenied: if the application denies the handshake
        :raises ApplicationReturned: if the application returns without accepting or denying
        :raises WaitTimeout: if the application neither accepts nor denies in time
        :raises Exception: what the handler raised, as itself
        """
        decision = await self._open()
        if isinstance(decision, Accepted):
            return _OpenConnection(self._exchange, decision, self._contract)
        raise await self._leave() or decision

    async def __aexit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection, wait for the application to end, and raise what its handler raised.

        If the block itself raised something that the handler's exception explains (a disconnect, a failed expectation,
        a timeout), the handler's exception replaces it. It becomes a note of any other exception of the block.

        :raises WaitTimeout: if the application does not end in time; it is cancelled then
        :raises Exception: what the handler raised, as itself
        """
        failure = await self._leave()
        if isinstance(error, WebSocketDisconnect):
            self._exchange.note_events(error)
        if failure is None:
            return
        # An application that does not end explains nothing of what the block raised: its WaitTimeout becomes a note.
        if error is None or (isinstance(error, _CONSEQUENCES) and not isinstance(failure, WaitTimeout)):
            raise failure
        error.add_note(f"the application also failed with {type(failure).__name__}: {failure}")

    async def expect_denied(self, status: int | None = None) -> ConnectionDenied:
        """Connect, expect the application to deny the handshake, and return the denial.

        If the denial is a 500 because the handler raised, its ``__cause__`` is what the handler raised.

        :param status: the expected HTTP status; any status by default
        :raises ExpectationFailed: if the application accepts, or denies with another status
        :raises WaitTimeout: if the application does not decide, or does not end, in time
        :raises Exception: what the handler raised otherwise, as itself
        """
        decision = await self._open()
        failure = await self._leave()
        if failure is not None and not (isinstance(decision, ConnectionDenied) and decision.status == _HANDLER_RAISED):
            raise failure
        if isinstance(decision, Accepted) or status not in (None, decision.status):
            expected = "the handshake denied" + ("" if status is None else f" with {status}")
            found = "it accepted" if isinstance(decision, Accepted) else f"it denied with {decision.status}"
            raise ExpectationFailed(expected, found, self._exchange.server.transcript.lines()) from failure
        decision.__cause__ = failure
        return decision

    async def _open(self) -> Accepted | ConnectionDenied:
        self._lifespan = lifespan(self._app, timeout=self._timeout)
        state = await self._lifespan.__aenter__()
        self._exchange = Exchange(self._app, {**self._scope, "state": dict(state)}, self._behaviour, self._timeout)
        try:
            return await self._exchange.decision()
        except BaseException:  # a cancelled test, too, must not leave the application and its lifespan behind
            await self._leave()
            raise

    async def _leave(self) -> BaseException | None:
        try:
            return await self._exchange.leave()
        finally:
            await self._lifespan.__aexit__(None, None, None)


class _OpenConnection(TestConnection[In_co, Out_contra]):
    __slots__ = ()

    def __init__(self, exchange: Exchange, accepted: Accepted, contract: Contract[Any, Any, Any] | None) -> None:
        super().__init__(exchange, accepted, contract)


def _contract_of(app: ASGIApp) -> Contract[Any, Any, Any] | None:
    return cast(Any, app).contract if isinstance(app, Endpoint) else None


_HANDLER_RAISED: Final = 500
"""The HTTP status of the denial when a handler raises an unexpected exception."""
_CONSEQUENCES: Final = (WebSocketDisconnect, ExpectationFailed, WaitTimeout)
"""The exceptions that a test sees when its application fails."""


@overload
def connect(
    app: Endpoint[In, Out, Any],
    path: str = "/",
    contract: None = None,
    **options: Unpack[ConnectOptions],
) -> TestConnecting[Out, In]: ...
@overload
def connect(
    app: ASGIApp,
    path: str = "/",
    contract: None = None,
    **options: Unpack[ConnectOptions],
) -> TestConnecting[object, Any]: ...
@overload
def connect(
    app: ASGIApp, path: str = "/", *, contract: Contract[In, Out, Any], **options: Unpack[ConnectOptions]
) -> TestConnecting[Out, In]: ...
@overload
def connect(
    app: ASGIApp, path: str, contract: Contract[In, Out, Any], **options: Unpack[ConnectOptions]
) -> TestConnecting[Out, In]: ...
def connect(
    app: ASGIApp,
    path: str = "/",
    contract: Contract[Any, Any, Any] | None = None,
    *,
    headers: HeadersInput | None = None,
    subprotocols: Sequence[str] = (),
    path_params: Mapping[str, Any] | None = None,
    server: ServerBehaviour = STRICT,
    timeout: float = TIMEOUT,
) -> TestConnecting[Any, Any]:
    """Return a client connection to an application in process, which ``async with`` opens.

    The ``ws`` of ``async with connect(app, "/chat", chat) as ws`` is a `TestConnection`: the client's end, typed by the
    contract. The application runs in a task on the test's event loop. Leaving the block closes the connection, waits
    for the application to end, and raises what its handler raised. The application's lifespan runs too; connections
    that overlap share it.

    :param app: any ASGI application, or an `Endpoint` alone, whose contract is known
    :param path: a path, with its query if it has one, or a whole ``ws://`` or ``wss://`` URL
    :param contract: the contract that types the connection; without one, the connection receives and sends text, bytes,
        JSON, and models whose type each call names
    :param headers: header fields of the request, besides those of every handshake
    :param subprotocols: the offered subprotocols, in order of preference
    :param path_params: the path parameters that a router would find in the path; for an endpoint alone
    :param server: the behaviour of the simulated server; by default it follows the ASGI specification strictly
    :param timeout: the time limit of each single wait, in seconds
    :raises InvalidHandshake: if no client would send such a request
    """
    return TestConnecting(app, contract, build_scope(path, headers, subprotocols, path_params, server), server, timeout)
