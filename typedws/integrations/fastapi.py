"""`typed_websocket`: a typed connection as a dependency of a FastAPI route, run as an endpoint is.

FastAPI has no hook between the last dependency and the route's function, where the connection has to be accepted, and
none after the exit of the last dependency, where it has to be ended. So the route's function is replaced by one that
accepts first, as tracing tools replace it; and the callback that ends the connection goes to the bottom of FastAPI's
exit stack.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from contextvars import ContextVar
from functools import partial, update_wrapper
from types import TracebackType
from typing import Any, Final, cast, get_origin

import anyio
from fastapi import WebSocket, params
from fastapi.exceptions import WebSocketRequestValidationError
from fastapi.requests import HTTPConnection
from fastapi.routing import APIWebSocketRoute
from fastapi.websockets import WebSocketState

from typedws._connection.base import session_of
from typedws._connection.connection import Connection
from typedws._connection.handshake import Handshake
from typedws._contract.contract import Contract
from typedws._endpoint.admission import Admission
from typedws._endpoint.endings import CANCELLED, Ending, root_cause
from typedws._endpoint.framework_exceptions import is_handled_outside
from typedws._endpoint.handler_signature import HandlerKind, Signature, check_agrees
from typedws._endpoint.policy import Policy
from typedws._endpoint.runner import Runner
from typedws._endpoint.timeouts import TimeoutMonitor
from typedws._messages.type_forms import type_name
from typedws.exceptions import InvalidEndpoint, TypedWSError
from typedws.websockets import WebSocket as TypedWebSocket

__all__ = ["typed_websocket"]


def typed_websocket(contract: Contract[Any, Any, Any] | None = None, *, policy: Policy | None = None) -> params.Depends:
    """Return the dependency for a typed connection of a FastAPI route.

    ``ws: Annotated[Connection[In, Out, Params], typed_websocket()]`` is accepted after all dependencies of the route
    have run, in whatever order they are declared, and just before the function runs. An exception of a dependency
    denies. With ``Annotated[Handshake[In, Out, Params], typed_websocket()]`` the function accepts or denies, and
    returns an ``Outcome``.

    The connection ends like that of an `Endpoint`, after the exit of all dependencies: a dependency sees an exception
    of the function while the connection is still open. An exception that the application has a handler for is left to
    that handler. Declare the parameter first, so that a refusal of the policy runs no other dependency; the
    ``handshake_timeout`` starts here. Another dependency with the same parameter gets the same connection, to read
    ``ws.params`` and the request before the accept.

    :param contract: by default the parameter's annotation is the contract
    :param policy: by default ``Policy()``. ``max_connections`` counts all routes with this dependency together
    :raises InvalidEndpoint: when the route is declared, if the parameter does not agree with the contract
    :raises InvalidContract: when the route is declared, if the annotation contradicts itself
    """
    admission = Admission(policy or Policy())
    # FastAPI calls a dependency once per route if it is the same object: two uses of one alias must share it.
    dependencies: list[tuple[Any, _Dependency]] = []

    def complete(depends: params.Depends, annotation: Any) -> None:
        dependency = next((each for form, each in dependencies if form is annotation), None)
        if dependency is None and annotation is not None:
            dependency = _Dependency(annotation, contract, admission)
            dependencies.append((annotation, dependency))
        vars(depends)["dependency"] = dependency

    # FastAPI sets `dependency` of a `Depends()` without a function to the annotation of the parameter. This property
    # receives the annotation, which is not available anywhere else.
    dependency_property = property(_dependency_of, complete)
    class_: type[params.Depends] = type("TypedWebSocket", (params.Depends,), {"dependency": dependency_property})
    return class_()


def _dependency_of(depends: params.Depends) -> "_Dependency | None":
    dependency: _Dependency | None = vars(depends)["dependency"]
    return dependency


_KINDS: Final[Mapping[Any, HandlerKind]] = {Connection: "connection", Handshake: "handshake"}
_NAME: Final = "typed_websocket"


class _Dependency:
    """The callable of the dependency: it yields one connection, under one contract and policy."""

    def __init__(self, annotation: Any, contract: Contract[Any, Any, Any] | None, admission: Admission) -> None:
        kind = _KINDS.get(get_origin(annotation) or annotation)
        if kind is None:
            raise InvalidEndpoint(
                "a parameter of type Connection[In, Out] or Handshake[In, Out]", type_name(annotation)
            )
        if contract is None:
            contract = Contract[Any, Any, Any].unnamed(type_name(annotation), annotation)
        else:
            check_agrees(Signature(_NAME, kind, annotation), contract)
        self._admission = admission
        self._runner = Runner(_call_route, kind, contract, admission)

    async def __call__(self, connection: HTTPConnection) -> AsyncGenerator[TypedWebSocket[Any, Any, Any]]:
        route_connection = _RouteConnection(self._runner, self._admission, _websocket_of(connection))
        route_connection.outlast_dependencies()
        if (refusal := self._admission.refusal(connection.scope)) is not None:
            raise route_connection.ended(refusal)
        self._runner.declare(route_connection.ws)
        self._admission.connections += 1
        token = _current.set(route_connection)
        try:
            with route_connection.monitor:
                yield route_connection.ws
        finally:
            _current.reset(token)
            self._admission.connections -= 1
            route_connection.ending = route_connection.monitor.expired
        if route_connection.ending is not None:
            raise route_connection.ended(route_connection.ending)


class _Calls:
    """``receive`` and ``send`` that keep the state of FastAPI's WebSocket correct, for code that reads it.

    Messages do not change that state, so they bypass the object.
    """

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._receive: Callable[[], Awaitable[Any]] = getattr(websocket, "_receive", websocket.receive)
        self._send: Callable[[Any], Awaitable[None]] = getattr(websocket, "_send", websocket.send)

    async def receive(self) -> Any:
        if self._websocket.client_state is not WebSocketState.CONNECTED:
            return await self._websocket.receive()
        event = await self._receive()
        if event["type"] == "websocket.disconnect":
            self._websocket.client_state = WebSocketState.DISCONNECTED
        return event

    def send(self, event: Any) -> Awaitable[None]:
        is_message = event["type"] == "websocket.send"
        if is_message and self._websocket.application_state is WebSocketState.CONNECTED:
            return self._send(event)
        return self._websocket.send(event)


class _RouteConnection:
    """One connection on a FastAPI route: accepted after all dependencies, ended after their exit."""

    def __init__(self, runner: Runner, admission: Admission, websocket: WebSocket) -> None:
        self._runner = runner
        self._websocket = websocket
        calls = _Calls(websocket)
        self.ws: TypedWebSocket[Any, Any, Any] = runner.make(websocket.scope, calls.receive, calls.send)
        self.monitor = TimeoutMonitor(session_of(self.ws), admission)
        self.call: Callable[[], Awaitable[object]]
        """The route's function with the values of its dependencies."""
        self.ending: Ending | None = None
        """How the connection ends, if the policy ended it."""

    def outlast_dependencies(self) -> None:
        """Put the callback that ends the connection below the exits of all dependencies, those before this one too."""
        scope = self._websocket.scope
        stack: AsyncExitStack = scope.get("fastapi_inner_astack") or scope["fastapi_astack"]
        entered = stack.pop_all()
        stack.push_async_exit(self._end)
        stack.push_async_exit(entered)

    def ended(self, ending: Ending) -> "_Ended":
        """Return the exception that the other dependencies see when the policy ends the connection."""
        self.ending = ending
        return _Ended(ending.log_message)

    async def accept_and_run(self, call: Callable[[], Awaitable[object]]) -> None:
        """Accept, unless the function decides itself, and run the function."""
        self.call = call
        try:
            error = await self._runner.handle(self.ws)
        finally:
            self.monitor.stop()  # the timeouts are for the function, not for the exit of the dependencies
        if error is not None:
            raise error

    async def _end(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if isinstance(error, anyio.get_cancelled_exc_class()):
            await self._runner.finish(self.ws, CANCELLED, is_mounted=True)
        if error is not None and not isinstance(error, Exception):
            return False
        raised = await self._runner.finish(self.ws, self.ending or self._result_of(error), is_mounted=True)
        if raised is not None and raised is not error:
            raise raised
        return raised is None

    def _result_of(self, error: Exception | None) -> Exception | Ending | None:
        if isinstance(error, WebSocketRequestValidationError) and not is_handled_outside(self.ws.scope, error):
            return _invalid_request(error)
        return None if error is None else root_cause(error)


_current: Final[ContextVar[_RouteConnection | None]] = ContextVar("typedws.route_connection", default=None)


async def _call_route(_: object) -> None:
    route_connection = _current.get()
    assert route_connection is not None  # noqa: S101 - set while the function runs
    await route_connection.call()


class _Ended(TypedWSError):
    """The policy ended the connection. Other dependencies see this exception; FastAPI does not."""


class _AcceptingFunction:
    """Replaces the function of a route: FastAPI calls it when all dependencies are solved."""

    def __init__(self, function: Callable[..., Awaitable[object]]) -> None:
        update_wrapper(self, function)
        self._function = function

    async def __call__(self, /, **values: Any) -> None:
        route_connection, call = _current.get(), partial(self._function, **values)
        await (call() if route_connection is None else route_connection.accept_and_run(call))


def _websocket_of(connection: HTTPConnection) -> WebSocket:
    """Return FastAPI's WebSocket of a route, and replace the route's function.

    :raises InvalidEndpoint: if it is another kind of route, or has a typed connection already
    """
    route = connection.scope.get("route")
    if not isinstance(route, APIWebSocketRoute) or not isinstance(connection, WebSocket):
        raise InvalidEndpoint("typed_websocket() in a route of @app.websocket(path)", f"it in {route!r}")
    if _current.get() is not None:
        hint = "define the annotation once, as in Chat = Annotated[..., typed_websocket()], and use it in both places"
        raise InvalidEndpoint("one typed_websocket() in a route", f"two in {route.path}", hint)
    function = cast(Callable[..., Awaitable[object]], route.dependant.call)
    if not isinstance(function, _AcceptingFunction):
        route.dependant.call = _AcceptingFunction(function)
    return connection


def _invalid_request(error: WebSocketRequestValidationError) -> Ending:
    """Return the ending for parameters that FastAPI itself validates: the other parameters of the route."""
    problems = [{"name": _name_of(each), "problem": each["type"]} for each in error.errors()]
    return Ending(
        422, "invalid parameters", members={"errors": problems}, log_message=f"invalid parameters: {problems}"
    )


def _name_of(problem: Mapping[str, Any]) -> str:
    where, *names = (str(each) for each in problem["loc"])
    # Names come from the route, except that of an extra parameter: the client chose it, so it is not repeated.
    return names[0] if names and problem["type"] != "extra_forbidden" else where
