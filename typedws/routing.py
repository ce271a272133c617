"""`App`: endpoints by path, under one policy, with a lifespan. Middleware and HTTP routes are a framework's matter."""

import inspect
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from typedws._contract.contract import Contract
from typedws._contract.security_schemes import SecurityScheme
from typedws._endpoint.admission import Admission
from typedws._endpoint.endpoints import ContractDecorator, Endpoint, EndpointDecorator, make_endpoint
from typedws._endpoint.http_responses import answer_document, answer_http
from typedws._endpoint.lifespan import answer_lifespan
from typedws._endpoint.policy import Policy
from typedws._endpoint.runner import Runner
from typedws._http.path_templates import PathTemplate
from typedws._http.subprotocols import read_offer
from typedws.asgi import Receive, Scope, Send
from typedws.websockets import WebSocket

if TYPE_CHECKING:
    from typedws.schema import Channel

__all__ = ["App", "Lifespan", "WebSocketRoute"]

In = TypeVar("In")
Out = TypeVar("Out")
Params = TypeVar("Params")

Lifespan: TypeAlias = Callable[["App"], AbstractAsyncContextManager[Mapping[str, Any] | None]]
"""Makes a context that is entered when the server starts; what it gives is ``ws.state`` of every connection."""


class WebSocketRoute:
    """A path and what serves it: an `Endpoint`, or a handler of the whole `WebSocket`, as in the classic API.

    A classic handler accepts and closes by itself; how it ends is decided as everywhere. It may say what it hears and
    says: ``WebSocket[In, Out, Params]``.

    :param path: a template: ``/chat/{room}``, ``{id:int}``, ``{share:float}``, ``{id:uuid}``, ``{rest:path}``
    :param security: for documents, how a client proves who it is, by names of your own; one of them is enough
    :raises InvalidPath: for a template that is none
    :raises InvalidEndpoint: for a handler that cannot serve
    """

    __slots__ = ("endpoint", "path", "security")

    def __init__(
        self,
        path: str,
        handler: Endpoint[Any, Any, Any] | Callable[[WebSocket[Any, Any, Any]], Awaitable[None]],
        *,
        policy: Policy | None = None,
        security: Mapping[str, SecurityScheme] | None = None,
    ) -> None:
        self.path: PathTemplate = PathTemplate(path)
        self.security: Mapping[str, SecurityScheme] = security or {}
        if not isinstance(handler, Endpoint):
            names = sys._getframe(1).f_locals  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - names of the function around
            handler = make_endpoint(handler, None, policy, names, is_classic=True)
        elif policy is not None:
            handler = Endpoint(handler.handler, handler.kind, handler.contract, policy)
        self.endpoint: Endpoint[Any, Any, Any] = handler

    def __repr__(self) -> str:
        return f"<WebSocketRoute {self.path.template}: {self.endpoint!r}>"


class App:
    """An ASGI application of WebSocket endpoints: a table of paths, a policy, a lifespan. Small on purpose.

    The first route whose path matches serves; where several have the same path, they are versions, of which the
    subprotocol that the client offers first picks one, and the first serves a client that offers none. An unknown path
    is denied with 404; a plain HTTP request gets 426 on a path of a WebSocket, else 404.

    Whoever wants middleware, dependency injection and HTTP routes mounts endpoints in a framework.

    :param routes: what is served; ``@app.websocket`` adds to it
    :param policy: holds for every endpoint without one of its own; ``max_connections`` counts all of them together
    :param lifespan: a function of the app that gives an asynchronous context manager
    :param debug: tell the peer what a handler raised, in the denial's body or the close reason: never in production
    :param schema_path: a path on which the AsyncAPI document is served over HTTP; by default on none
    :param title: of the application, in that document
    :param version: of the application, in that document
    :param description: of the application, in that document
    :param servers: URLs that the application is reached at, by names of your own, in that document
    """

    def __init__(
        self,
        routes: Sequence[WebSocketRoute] = (),
        *,
        policy: Policy | None = None,
        lifespan: Lifespan | None = None,
        debug: bool = False,
        schema_path: str | None = None,
        title: str = "WebSocket API",
        version: str = "1.0.0",
        description: str | None = None,
        servers: Mapping[str, str] | None = None,
    ) -> None:
        self.policy: Policy = policy or Policy()
        self.debug: bool = debug
        self.title: str = title
        self.version: str = version
        self.description: str | None = description
        self.servers: Mapping[str, str] = servers or {}
        self._schema_path = None if schema_path is None else PathTemplate(schema_path)
        self._schema: tuple[tuple[WebSocketRoute, ...], bytes] | None = None
        self._lifespan = lifespan
        self._admission = Admission(self.policy, debug=debug)
        self._routes: list[tuple[WebSocketRoute, Runner]] = []
        for route in routes:
            self._add(route)

    @property
    def routes(self) -> tuple[WebSocketRoute, ...]:
        """What is served, in the order in which it is looked at."""
        return tuple(route for route, _ in self._routes)

    @overload
    def websocket(
        self, path: str, *, policy: Policy | None = None, security: Mapping[str, SecurityScheme] | None = None
    ) -> EndpointDecorator: ...
    @overload
    def websocket(
        self,
        path: str,
        contract: Contract[In, Out, Params],
        *,
        policy: Policy | None = None,
        security: Mapping[str, SecurityScheme] | None = None,
    ) -> ContractDecorator[In, Out, Params]: ...
    def websocket(
        self,
        path: str,
        contract: Contract[Any, Any, Any] | None = None,
        *,
        policy: Policy | None = None,
        security: Mapping[str, SecurityScheme] | None = None,
    ) -> Any:
        """Serve a handler on a path; the handler becomes an `Endpoint`.

        :param path: a template, as `WebSocketRoute` takes it
        :param contract: what is agreed on; by default what the handler's annotation says
        :param policy: the endpoint's own, in place of the application's
        :param security: for documents, as `WebSocketRoute` takes it; the handler is who checks
        :raises InvalidPath: for a template that is none
        :raises InvalidEndpoint: for a handler that cannot serve, or disagrees with its contract
        :raises InvalidContract: for an annotation that contradicts itself
        """
        names = sys._getframe(1).f_locals  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - names of the function around

        def decorate(handler: Callable[[Any], Awaitable[Any]]) -> Endpoint[Any, Any, Any]:
            endpoint = make_endpoint(handler, contract, policy, names)
            self._add(WebSocketRoute(path, endpoint, security=security))
            return endpoint

        return decorate

    def _add(self, route: WebSocketRoute) -> None:
        endpoint = route.endpoint
        admission = self._admission if endpoint.policy is None else Admission(endpoint.policy, debug=self.debug)
        self._routes.append((route, endpoint.runner(admission)))

    def asyncapi(self) -> dict[str, Any]:
        """Make the AsyncAPI 3.1.0 document of what is served, as JSON has it."""
        from typedws.schema import Info, asyncapi_document  # who does not ask does not pay for the import

        info = Info(self.title, self.version, self.description, self.servers)
        return asyncapi_document(info, [self._channel(route) for route in self.routes])

    def _channel(self, route: WebSocketRoute) -> "Channel":
        from typedws.schema import Channel

        endpoint = route.endpoint
        policy = endpoint.policy or self.policy
        return Channel(
            route.path,
            endpoint.contract,
            description=inspect.getdoc(endpoint.handler),
            security=route.security,
            replies_to_invalid=policy.on_invalid == "reply",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind: str = scope["type"]
        if kind == "lifespan":
            await answer_lifespan(scope, receive, send, self._lifespan and partial(self._lifespan, self))
        elif kind == "websocket":
            await self._serve(scope, receive, send)
        elif self._is_for_schema(scope):
            await self._serve_schema(scope, send)
        else:
            await answer_http(send, 404 if self._find(scope) is None else 426)

    def _is_for_schema(self, scope: Scope) -> bool:
        path = self._schema_path
        return (
            path is not None and scope["method"] in ("GET", "HEAD") and path.match(_path_below_mount(scope)) is not None
        )

    async def _serve_schema(self, scope: Scope, send: Send) -> None:
        from typedws.schema import CONTENT_TYPE, text_of

        routes = self.routes
        if self._schema is None or self._schema[0] != routes:  # one may have been added
            self._schema = routes, text_of(self.asyncapi()).encode()
        await answer_document(scope, send, self._schema[1], CONTENT_TYPE)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope)
        if found is None:
            await WebSocket(scope, receive, send).deny(404, detail="nothing is served here")
            return
        runner, params = found
        outer = scope.get("path_params")
        inner = {"app": self, **scope, "path_params": {**outer, **params} if outer else params}
        await runner.run(inner, receive, send, is_mounted="app" in scope)

    def _find(self, scope: Scope) -> tuple[Runner, Mapping[str, Any]] | None:
        path = _path_below_mount(scope)
        found: list[tuple[WebSocketRoute, Runner, Mapping[str, Any]]] = []
        for route, runner in self._routes:
            if (not found or route.path == found[0][0].path) and (params := route.path.match(path)) is not None:
                found.append((route, runner, params))
        if not found:
            return None
        _, runner, params = found[0] if len(found) == 1 else _version(found, scope.get("subprotocols") or ())
        return runner, params


def _version(
    found: Sequence[tuple[WebSocketRoute, Runner, Mapping[str, Any]]], offered: Sequence[str]
) -> tuple[WebSocketRoute, Runner, Mapping[str, Any]]:
    """Give the route whose contract speaks what the client likes best."""
    for name in read_offer(tuple(offered)).names:
        for each in found:
            if name in each[0].endpoint.contract.subprotocols:
                return each
    return found[0]


def _path_below_mount(scope: Scope) -> str:
    """Give the path as this application sees it: ASGI's ``path`` includes the ``root_path`` that it is mounted at."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if not root:
        return path
    below = path.removeprefix(root)
    return (below or "/") if path.startswith(root) and below[:1] in ("", "/") else path
