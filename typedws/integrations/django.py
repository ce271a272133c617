"""Endpoints behind a ``URLRouter`` of Django Channels, which is recognized by the keys that it adds to the scope.

Neither Django nor channels is imported. A dispatcher of your own beside ``get_asgi_application()`` needs nothing from
here.
"""

from typing import Any

from typedws._endpoint.endpoints import Endpoint
from typedws.asgi import ASGIApp, Receive, Scope, Send
from typedws.routing import App

__all__ = ["routed"]


def routed(app: Endpoint[Any, Any, Any] | App) -> ASGIApp:
    """Return the ASGI application for a route of a ``URLRouter``.

    ``path("chat/<str:room>", routed(talk))`` routes to an endpoint.

    The named parts of the URL are path parameters, converted as Django does. An `App` gets the rest of the path:
    ``re_path(r"^ws/", routed(app))``. ``ws.scope`` has what Django's middleware adds: ``"user"``, ``"session"``,
    ``"cookies"``.
    """

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        route: dict[str, Any] = scope.get("url_route", {})
        inner = {**scope, "path_params": {**scope.get("path_params", {}), **route.get("kwargs", {})}}
        left = scope.get("path_remaining")
        if left is not None and isinstance(app, App):
            inner["root_path"] = scope["path"].removesuffix(left).rstrip("/")
        await app(inner, receive, send)

    return run
