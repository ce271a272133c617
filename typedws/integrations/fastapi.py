"""`typed_websocket`: a typed connection as a dependency of a FastAPI route. The rules are `typedws._endpoint.runner`'s.

FastAPI offers no place between the last dependency and the route's function, where a client is let in, and none behind
the exit of the last dependency, where a connection ends. Two things make these places: the route's function is replaced
by one that lets in, as tracing tools replace it; and what ends the connection goes to the bottom of FastAPI's stack.
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
    """Make the dependency that gives a FastAPI route its typed connection.

    ``ws: Annotated[Connection[In, Out, Params], typed_websocket()]`` is accepted when all other dependencies of the
    route have had their say, wherever it stands among them, and just before the function runs: what they raise denies.
    With ``Annotated[Handshake[In, Out, Params], typed_websocket()]`` the function decides, and returns an ``Outcome``.

    However the function ends, its connection ends as that of an `Endpoint`, when all dependencies have been left: they
    see exceptions while the connection is open. An exception that the application has a handler for is left to it.
    Declare the parameter first, and what the policy refuses costs no other dependency anything; the
    ``handshake_timeout`` counts from here. Another dependency that has the same parameter gets the same connection,
    to read ``ws.params`` and the request: not accepted yet.

    :param contract: what is agreed on; by default what the parameter's annotation says
    :param policy: by default ``Policy()``. Its ``max_connections`` counts all routes that have this very dependency
    :raises InvalidEndpoint: when the route is declared, for a parameter that disagrees with the contract
    :raises InvalidContract: when the route is declared, for an annotation that contradicts itself
    """
    admission = Admission(policy or Policy())
    made: list[tuple[Any, _Dependency]] = []  # so that FastAPI knows two uses of one alias for the same dependency

    def complete(depends: params.Depends, annotation: Any) -> None:
        known = next((dependency for form, dependency in made if form is annotation), None)
        if known is None and annotation is not None:
            known = _Dependency(annotation, contract, admission)
            made.append((annotation, known))
        vars(depends)["dependency"] = known

    # As with any `Depends()` that names no function, FastAPI sets `dependency` to the annotation of the parameter.
    completed = property(_dependency_of, complete)
    class_: type[params.Depends] = type("TypedWebSocket", (params.Depends,), {"dependency": completed})
    return class_()


def _dependency_of(depends: params.Depends) -> "_Dependency | None":
    known: _Dependency | None = vars(depends)["dependency"]
    return known


_KINDS: Final[Mapping[Any, HandlerKind]] = {Connection: "connection", Handshake: "handshake"}
_NAME: Final = "typed_websocket"


class _Dependency:
    """What FastAPI calls: it gives one connection, under one contract and policy."""

    def __init__(self, annotation: Any, contract: Contract[Any, Any, Any] | None, admission: Admission) -> None:
        kind = _KINDS.get(get_origin(annotation) or annotation)
        if kind is None:
            raise InvalidEndpoint("a parameter of a Connection[In, Out] or Handshake[In, Out]", type_name(annotation))
        if contract is None:
            contract = Contract[Any, Any, Any].unnamed(type_name(annotation), annotation)
        else:
            check_agrees(Signature(_NAME, kind, annotation), contract)
        self._admission = admission
        self._runner = Runner(_call_route, kind, contract, admission)

    async def __call__(self, connection: HTTPConnection) -> AsyncGenerator[TypedWebSocket[Any, Any, Any]]:
        visit = _Visit(self._runner, self._admission, _websocket_of(connection))
        visit.outlast_dependencies()
        if (refusal := self._admission.refusal(connection.scope)) is not None:
            raise visit.ended(refusal)
        self._runner.declare(visit.ws)
        self._admission.connections += 1
        token = _visit.set(visit)
        try:
            with visit.patience:
                yield visit.ws
        finally:
            _visit.reset(token)
            self._admission.connections -= 1
            visit.ending = visit.patience.expired
        if visit.ending is not None:
            raise visit.ended(visit.ending)


class _Calls:
    """What receives and sends: through FastAPI's object, so that all find it in the state that it is in.

    Messages do not change that, and pass it by.
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


class _Visit:
    """One client's visit to a route: let in last of all, and seen off last of all."""

    def __init__(self, runner: Runner, admission: Admission, websocket: WebSocket) -> None:
        self._runner = runner
        self._websocket = websocket
        calls = _Calls(websocket)
        self.ws: TypedWebSocket[Any, Any, Any] = runner.make(websocket.scope, calls.receive, calls.send)
        self.patience = TimeoutMonitor(session_of(self.ws), admission)
        self.call: Callable[[], Awaitable[object]]
        """The route's function, with what the dependencies gave."""
        self.ending: Ending | None = None
        """How it ends, where a policy ended it."""

    def outlast_dependencies(self) -> None:
        """See to it that the end comes after the exit of every dependency, of those before this one too."""
        scope = self._websocket.scope
        stack: AsyncExitStack = scope.get("fastapi_inner_astack") or scope["fastapi_astack"]
        entered = stack.pop_all()
        stack.push_async_exit(self._end)
        stack.push_async_exit(entered)

    def ended(self, ending: Ending) -> "_Ended":
        """Give the exception that tells the other dependencies of an end by policy."""
        self.ending = ending
        return _Ended(ending.log_message)

    async def let_in(self, call: Callable[[], Awaitable[object]]) -> None:
        """Accept, unless the route decides, and run the route's function."""
        self.call = call
        try:
            found = await self._runner.handle(self.ws)
        finally:
            self.patience.stop()  # it has its verdict: the dependencies leave in peace
        if found is not None:
            raise found

    async def _end(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if isinstance(error, anyio.get_cancelled_exc_class()):
            await self._runner.finish(self.ws, CANCELLED, is_mounted=True)
        if error is not None and not isinstance(error, Exception):
            return False
        raised = await self._runner.finish(self.ws, self.ending or self._found(error), is_mounted=True)
        if raised is not None and raised is not error:
            raise raised
        return raised is None

    def _found(self, error: Exception | None) -> Exception | Ending | None:
        if isinstance(error, WebSocketRequestValidationError) and not is_handled_outside(self.ws.scope, error):
            return _invalid_request(error)
        return None if error is None else root_cause(error)


_visit: Final[ContextVar[_Visit | None]] = ContextVar("typedws.visit", default=None)


async def _call_route(_: object) -> None:
    visit = _visit.get()
    assert visit is not None  # noqa: S101 - who is let in visits
    await visit.call()


class _Ended(TypedWSError):
    """A policy ended the connection: other dependencies see it, and FastAPI does not."""


class _LettingIn:
    """Stands for the function of a route: FastAPI calls it once all dependencies are solved."""

    def __init__(self, function: Callable[..., Awaitable[object]]) -> None:
        update_wrapper(self, function)
        self._function = function

    async def __call__(self, /, **values: Any) -> None:
        visit, call = _visit.get(), partial(self._function, **values)
        await (call() if visit is None else visit.let_in(call))


def _websocket_of(connection: HTTPConnection) -> WebSocket:
    """Give the connection of a route, whose function is from now on called by ours.

    :raises InvalidEndpoint: for another kind of route, or one that has a typed connection already
    """
    route = connection.scope.get("route")
    if not isinstance(route, APIWebSocketRoute) or not isinstance(connection, WebSocket):
        raise InvalidEndpoint("typed_websocket() in a route of @app.websocket(path)", f"it in {route!r}")
    if _visit.get() is not None:
        hint = "name the annotation once, as in Chat = Annotated[..., typed_websocket()], and use that"
        raise InvalidEndpoint("one typed_websocket() in a route", f"two in {route.path}", hint)
    function = cast(Callable[..., Awaitable[object]], route.dependant.call)
    if not isinstance(function, _LettingIn):
        route.dependant.call = _LettingIn(function)
    return connection


def _invalid_request(error: WebSocketRequestValidationError) -> Ending:
    """Give the ending for what FastAPI itself validates: the other parameters of the route."""
    problems = [{"name": _name_of(each), "problem": each["type"]} for each in error.errors()]
    return Ending(
        422, "invalid parameters", members={"errors": problems}, log_message=f"invalid parameters: {problems}"
    )


def _name_of(problem: Mapping[str, Any]) -> str:
    where, *names = (str(each) for each in problem["loc"])
    # All but an extra parameter's name is the route's; that one is the client's.
    return names[0] if names and problem["type"] != "extra_forbidden" else where
