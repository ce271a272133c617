"""Endpoints in Litestar: a route handler for one endpoint, and a mount for an `App`."""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import litestar
from litestar.connection import ASGIConnection
from litestar.handlers import ASGIRouteHandler, BaseRouteHandler, WebsocketRouteHandler
from litestar.types import ASGIApp, Message, Middleware, Receive, Scope, Send

from typedws._endpoint.endpoints import Endpoint
from typedws.routing import App

__all__ = ["Guard", "mount", "websocket_route"]

Guard: TypeAlias = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None] | None]
"""A guard of Litestar: it raises to refuse a connection."""

_ENDED: Final = "typedws.ended"
"""The key of the scope that is set when the connection was ended before its exception was raised to Litestar."""


def websocket_route(
    path: str | Sequence[str],
    endpoint: Endpoint[Any, Any, Any],
    *,
    guards: Sequence[Guard] = (),
    middleware: Sequence[Middleware] = (),
    name: str | None = None,
    opt: Mapping[str, Any] | None = None,
) -> WebsocketRouteHandler:
    """Return a route handler for an endpoint, for ``Litestar([...])``, a ``Router`` or a ``Controller``.

    Guards and middleware of every layer apply, and Litestar's path parameters are those of the endpoint. Dependencies
    are not injected: an endpoint's handler takes only the connection.

    :param path: in Litestar's syntax: ``/chat/{room:str}``
    :param endpoint: the endpoint
    :param guards: run before the policy and the parameters; Litestar denies with 403 if one refuses
    :param middleware: Litestar's middleware around the endpoint
    :param name: the name of the route handler, for ``route_reverse``
    :param opt: values for guards, in ``route_handler.opt``
    """

    async def serve(socket: litestar.WebSocket[Any, Any, Any]) -> None:
        scope: Any = socket.scope
        with _marking(scope):
            await endpoint(scope, socket.receive, socket.send)

    all_middleware: list[Middleware] = [*middleware, _ended_once]
    return WebsocketRouteHandler(
        path if isinstance(path, str) else list(path),
        guards=list(guards),
        middleware=all_middleware,
        name=name,
        opt=dict(opt or {}),
    )(serve)


def mount(
    path: str,
    app: App,
    *,
    guards: Sequence[Guard] = (),
    middleware: Sequence[Middleware] = (),
    name: str | None = None,
    opt: Mapping[str, Any] | None = None,
) -> ASGIRouteHandler:
    """Return a route handler for all paths below one, which an `App` routes further.

    The app's own lifespan is not run: use Litestar's. Otherwise as `websocket_route`.

    :param path: without parameters, which Litestar does not support for mounts
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        below = scope["path"].rstrip("/") or "/"  # Litestar removes the mount's path and adds a slash
        with _marking(scope):
            await app({**scope, "path": below, "root_path": ""}, receive, send)

    all_middleware: list[Middleware] = [*middleware, _ended_once]
    return ASGIRouteHandler(
        path, is_mount=True, copy_scope=False, guards=guards, middleware=all_middleware, name=name, opt=opt
    )(serve)


@contextmanager
def _marking(scope: Any) -> Generator[None]:
    """Mark the scope when an exception passes: the endpoint has denied with 500 or closed with 1011 by then."""
    try:
        yield
    except Exception:
        scope[_ENDED] = True
        raise


def _ended_once(app: ASGIApp) -> ASGIApp:
    """Drop the close that Litestar sends for each exception that it sees, if the endpoint has ended the connection."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        def send_unless_ended(event: Message) -> Awaitable[None]:
            return _nothing() if _ENDED in scope else send(event)

        await app(scope, receive, send_unless_ended)

    return run


async def _nothing() -> None:
    pass
