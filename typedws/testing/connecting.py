"""`connect`: a client for an application under test, in process, on the caller's own event loop."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, ClassVar, Final, Generic, TypedDict, Unpack, cast, overload

from typing_extensions import TypeVar

from typedws._connection.connection_denied import ConnectionDenied
from typedws._contract.contract import Contract
from typedws._endpoint.endpoints import Endpoint
from typedws._http.headers import HeadersInput
from typedws._messages.type_parameters import In_co, Out_contra
from typedws._protocol.outcomes import Accepted
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
    """What a request may have besides its path; see `connect`."""

    headers: HeadersInput | None
    subprotocols: Sequence[str]
    path_params: Mapping[str, object] | None


class ConnectOptions(RequestOptions, total=False):
    """What `connect` takes by name; see there."""

    server: ServerBehaviour
    timeout: float


class TestConnecting(
    AbstractAsyncContextManager["TestConnection[In_co, Out_contra]", None], Generic[In_co, Out_contra]
):
    """A connection to be made: ``async with`` makes it, `expect_denied` expects that it is not made."""

    __test__: ClassVar[bool] = False  # pytest collects classes by the prefix of their name

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
        self._server = server
        self._timeout = timeout
        self._exchange: Exchange
        self._lifespan: AbstractAsyncContextManager[Mapping[str, Any]]

    async def __aenter__(self) -> TestConnection[In_co, Out_contra]:
        """Connect.

        :raises ConnectionDenied: where the application denies
        :raises ApplicationReturned: where it returns, and has neither accepted nor denied
        :raises Exception: what its handler raised, as itself
        :raises WaitTimeout: where it decides nothing in time
        """
        decided = await self._open()
        if isinstance(decided, Accepted):
            return TestConnection(self._exchange, decided, self._contract)
        raise await self._leave() or decided

    async def __aexit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close, wait for the application's end, and raise what its handler raised, as itself.

        :raises WaitTimeout: where the application does not end in time; it is cancelled then
        """
        failure = await self._leave()
        if isinstance(error, WebSocketDisconnect):
            self._exchange.note_events(error)
        if failure is None:
            return
        if error is None or (isinstance(error, _CONSEQUENCES) and not isinstance(failure, WaitTimeout)):
            raise failure
        error.add_note(f"besides, the application failed with {type(failure).__name__}: {failure}")

    async def expect_denied(self, status: int | None = None) -> ConnectionDenied:
        """Connect, expect that the handshake is denied, with this status if one is given, and give the denial.

        Where it is denied with 500 because the handler raised, that is the ``__cause__`` of what is given.

        :raises ExpectationFailed: where the application accepts, or denies with another status
        :raises WaitTimeout: where it decides nothing, or does not end, in time
        :raises Exception: what its handler raised otherwise, as itself
        """
        decided = await self._open()
        failure = await self._leave()
        if failure is not None and not (isinstance(decided, ConnectionDenied) and decided.status == _FAILED):
            raise failure
        if isinstance(decided, Accepted) or status not in (None, decided.status):
            wanted = "the handshake denied" + ("" if status is None else f" with {status}")
            found = "it accepted" if isinstance(decided, Accepted) else f"it denied with {decided.status}"
            raise ExpectationFailed(wanted, found, self._exchange.wire.transcript.lines()) from failure
        decided.__cause__ = failure
        return decided

    async def _open(self) -> Accepted | ConnectionDenied:
        self._lifespan = lifespan(self._app, timeout=self._timeout)
        state = await self._lifespan.__aenter__()
        self._exchange = Exchange(self._app, {**self._scope, "state": dict(state)}, self._server, self._timeout)
        try:
            return await self._exchange.decision()
        except BaseException:
            await self._leave()
            raise

    async def _leave(self) -> BaseException | None:
        try:
            return await self._exchange.leave()
        finally:
            await self._lifespan.__aexit__(None, None, None)


def _contract_of(app: ASGIApp) -> Contract[Any, Any, Any] | None:
    return cast(Any, app).contract if isinstance(app, Endpoint) else None


_FAILED: Final = 500
"""The status with which a handler that raises denies."""
_CONSEQUENCES: Final = (WebSocketDisconnect, ExpectationFailed, WaitTimeout)
"""What a test meets where its application fails."""


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
    """Give what ``async with`` makes a connection of, to an application or to an `Endpoint` alone, in process.

    ``ws`` is a `TestConnection`: the client's end, typed by the contract. The application runs beside the test, on its
    event loop, until the block is left: that closes, waits for the application, and raises what its handler raised. Its
    lifespan runs too; connections that overlap share it.

    :param app: any ASGI application; of an `Endpoint` the contract is known
    :param path: with a query, if any; or a whole URL
    :param contract: what is agreed on; without one there are text, bytes, JSON and models given by each call
    :param headers: fields of the request, beside those of every handshake
    :param subprotocols: what is offered, in order of preference
    :param path_params: for an endpoint alone: what a router would have found in the path
    :param server: how the server behaves that is played; by default strictly as the specification says
    :param timeout: seconds that any single wait may take
    :raises InvalidHandshake: for a request that no client would send
    """
    return TestConnecting(app, contract, build_scope(path, headers, subprotocols, path_params, server), server, timeout)
