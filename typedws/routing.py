"""`App`: an ASGI application that routes to endpoints by path, under one policy, with a lifespan."""

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
from typedws._http.path_templates import Converter, PathTemplate
from typedws._http.subprotocols import read_offer
from typedws.asgi import Receive, Scope, Send
from typedws.websockets import WebSocket

if TYPE_CHECKING:
    from typedws.schema import Channel

__all__ = ["App", "Converter", "Lifespan", "PathTemplate", "WebSocketRoute"]

In = TypeVar("In")
Out = TypeVar("Out")
Params = TypeVar("Params")

Lifespan: TypeAlias = Callable[["App"], AbstractAsyncContextManager[Mapping[str, Any] | None]]
"""Makes a context that is entered when the server starts. Its value becomes ``ws.state`` of every connection."""


class WebSocketRoute:
    """A path and its handler: an `Endpoint`, or a function that takes the whole `WebSocket`, as in the classic API.

    A classic handler accepts and closes by itself. It may declare its message types: ``WebSocket[In, Out, Params]``.

    :param path: a template: ``/chat/{room}``, ``{id:int}``, ``{share:float}``, ``{id:uuid}``, ``{rest:path}``
    :param policy: the endpoint's own policy, in place of the application's
    :param security: for documents: the security schemes, by names of your own, of which a client needs one
    :raises InvalidPath: if the template is invalid
    :raises InvalidEndpoint: if the handler is unsuitable
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
            names = sys._getframe(1).f_locals  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - annotations may use the caller's local names
            handler = make_endpoint(handler, None, policy, names, is_classic=True)
        elif policy is not None:
            handler = Endpoint(handler.handler, handler.kind, handler.contract, policy)
        self.endpoint: Endpoint[Any, Any, Any] = handler

    def __repr__(self) -> str:
        return f"<WebSocketRoute {self.path.template}: {self.endpoint!r}>"


class App:
    """An ASGI application of WebSocket endpoints: a table of paths, a policy and a lifespan.

    The first route whose path matches is used. Several routes with the same path are versions: the client's preferred
    subprotocol selects one of them, and a client that offers none gets the first. An unknown path is denied with 404. A
    plain HTTP request gets 426 on the path of a WebSocket, else 404. For middleware, dependency injection and HTTP
    routes, mount endpoints in a framework.

    :param routes: the routes; ``@app.websocket`` adds to them
    :param policy: the policy of every endpoint without its own; ``max_connections`` counts all of them together
    :param lifespan: a function that takes the app and returns an asynchronous context manager
    :param debug: send the text of an unexpected exception to the peer, in the denial's body or the close reason. Never
        use it in production
    :param schema_path: the path on which the AsyncAPI document is served over HTTP; by default it is not served
    :param title: the title of the application in that document
    :param version: the version of the application in that document
    :param description: the description of the application in that document
    :param servers: the URLs of the application in that document, by names of your own
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
        """The routes, in the order in which they are tried."""
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
        """Return a decorator that serves a handler on a path, and makes it an `Endpoint`.

        :param path: a template, as for `WebSocketRoute`
        :param contract: by default the handler's annotation is the contract
        :param policy: the endpoint's own policy, in place of the application's
        :param security: for documents, as for `WebSocketRoute`; the handler has to check the credentials
        :raises InvalidPath: if the template is invalid
        :raises InvalidEndpoint: if the handler is unsuitable, or does not agree with the contract
        :raises InvalidContract: if the annotation contradicts itself
        """
        names = sys._getframe(1).f_locals  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - annotations may use the caller's local names

        def decorate(handler: Callable[[Any], Awaitable[Any]]) -> Endpoint[Any, Any, Any]:
            endpoint = make_endpoint(handler, contract, policy, names)
            self._add(WebSocketRoute(path, endpoint, security=security))
            return endpoint

        return decorate

    def _add(self, route: WebSocketRoute) -> None:
        endpoint = route.endpoint
        admission = self._admission if endpoint.policy is None else Admission(endpoint.policy, debug=self.debug)
        self._routes.append((route, Runner(endpoint.handler, endpoint.kind, endpoint.contract, admission)))

    def asyncapi(self) -> dict[str, Any]:
        """Return the AsyncAPI 3.1.0 document of the application, as plain JSON values."""
        from typedws.schema import Info, asyncapi_document  # imported when used, as it makes the import slower

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
        if self._schema is None or self._schema[0] != routes:  # a route was added since
            self._schema = routes, text_of(self.asyncapi()).encode()
        await answer_document(scope, send, self._schema[1], CONTENT_TYPE)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = self._find(scope)
        if match is None:
            await WebSocket(scope, receive, send).deny(404, detail="nothing is served here")
            return
        runner, params = match
        outer = scope.get("path_params")
        inner = {"app": self, **scope, "path_params": {**outer, **params} if outer else params}
        await runner.run(inner, receive, send, is_mounted="app" in scope)

    def _find(self, scope: Scope) -> tuple[Runner, Mapping[str, Any]] | None:
        path = _path_below_mount(scope)
        matches: list[tuple[WebSocketRoute, Runner, Mapping[str, Any]]] = []
        for route, runner in self._routes:
            if (not matches or route.path == matches[0][0].path) and (params := route.path.match(path)) is not None:
                matches.append((route, runner, params))
        if not matches:
            return None
        _, runner, params = matches[0] if len(matches) == 1 else _version(matches, scope.get("subprotocols") or ())
        return runner, params


def _version(
    matches: Sequence[tuple[WebSocketRoute, Runner, Mapping[str, Any]]], offered: Sequence[str]
) -> tuple[WebSocketRoute, Runner, Mapping[str, Any]]:
    """Return the route whose contract supports the client's preferred subprotocol, else the first."""
    for name in read_offer(tuple(offered)).names:
        for each in matches:
            if name in each[0].endpoint.contract.subprotocols:
                return each
    return matches[0]


def _path_below_mount(scope: Scope) -> str:
    """Return the path below the mount: ASGI's ``path`` includes the ``root_path`` of the mount."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if not root:
        return path
    below = path.removeprefix(root)
    return (below or "/") if path.startswith(root) and below[:1] in ("", "/") else path
