"""Endpoints behind a ``URLRouter`` of Django's channels, which is only told by what it puts into the scope.

Neither Django nor channels is imported: a plain dispatcher beside ``get_asgi_application()`` needs nothing from here.
"""

from typing import Any

from typedws._endpoint.endpoints import Endpoint
from typedws.asgi import ASGIApp, Receive, Scope, Send
from typedws.routing import App

__all__ = ["routed"]


def routed(app: Endpoint[Any, Any, Any] | App) -> ASGIApp:
    """Make what ``path("chat/<str:room>", ...)`` in a ``URLRouter`` leads to.

    The named parts of the URL are path parameters, converted as Django does. An `App` sees what is left of the path:
    ``re_path(r"^ws/", routed(app))``. What Django's middleware found is in ``ws.scope``: ``"user"``, ``"session"``,
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
