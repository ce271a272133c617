"""Endpoints in Litestar: a route handler for one, and a mount for an `App`. Litestar's own rules hold around them."""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import litestar
from litestar.connection import ASGIConnection
from litestar.handlers import ASGIRouteHandler, BaseRouteHandler, WebsocketRouteHandler
from litestar.types import ASGIApp, Message, Middleware, Receive, Scope, Send

from typedws._endpoint.endpoints import Endpoint
from typedws.routing import App

__all__ = ["mount", "websocket_route"]

Guard: TypeAlias = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None] | None]
"""Litestar's, with its parameters named."""

_ENDED: Final = "typedws.ended"
"""The key of a scope whose connection was ended before its failure was raised."""


def websocket_route(
    path: str | Sequence[str],
    endpoint: Endpoint[Any, Any, Any],
    *,
    guards: Sequence[Guard] = (),
    middleware: Sequence[Middleware] = (),
    name: str | None = None,
    opt: Mapping[str, Any] | None = None,
) -> WebsocketRouteHandler:
    """Make a route handler of an endpoint, for ``Litestar([...])``, a ``Router`` or a ``Controller``.

    Guards and middleware of every layer apply, and Litestar's path parameters are the endpoint's. Dependencies are
    not injected: an endpoint's handler takes the connection alone.

    :param path: as Litestar writes it: ``/chat/{room:str}``
    :param guards: run before the policy and the parameters are looked at; Litestar denies what they refuse with 403
    :param opt: what guards find in ``route_handler.opt``
    """

    async def serve(socket: litestar.WebSocket[Any, Any, Any]) -> None:
        scope: Any = socket.scope
        with _marking(scope):
            await endpoint(scope, socket.receive, socket.send)

    ours: list[Middleware] = [*middleware, _ended_once]
    return WebsocketRouteHandler(
        path if isinstance(path, str) else list(path),
        guards=list(guards),
        middleware=ours,
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
    """Make a route handler of all paths below one, which an `App` routes further.

    The lifespan is Litestar's: that of the app is not run. All else is as in `websocket_route`.

    :param path: without parameters, which Litestar does not take here
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        below = scope["path"].rstrip("/") or "/"  # Litestar takes the mount's path away, and adds a slash
        with _marking(scope):
            await app({**scope, "path": below, "root_path": ""}, receive, send)

    ours: list[Middleware] = [*middleware, _ended_once]
    return ASGIRouteHandler(path, is_mount=True, copy_scope=False, guards=guards, middleware=ours, name=name, opt=opt)(
        serve
    )


@contextmanager
def _marking(scope: Any) -> Generator[None]:
    """Note that a failure which passes here has been answered: with 500, or by closing with 1011."""
    try:
        yield
    except Exception:
        scope[_ENDED] = True
        raise


def _ended_once(app: ASGIApp) -> ASGIApp:
    """Let pass what an application sends, but for the close with which Litestar answers each failure that it sees."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        def send_unless_ended(event: Message) -> Awaitable[None]:
            return _nothing() if _ENDED in scope else send(event)

        await app(scope, receive, send_unless_ended)

    return run


async def _nothing() -> None:
    pass
