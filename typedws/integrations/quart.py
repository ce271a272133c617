"""Endpoints as websocket views of Quart, with its sessions, authentication, blueprints and hooks.

A view has no ``receive`` and ``send`` of ASGI; a bridge in this file makes them from Quart's methods.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeAlias

from hypercorn.typing import ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable
from quart import Response, current_app, websocket
from quart.asgi import ASGIWebsocketConnection
from quart.wrappers import Websocket, base
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from typedws._endpoint.endpoints import Endpoint
from typedws.routing import App

__all__ = ["View", "WebsocketConnection", "view"]

View: TypeAlias = Callable[..., Awaitable[Response | None]]
"""A view function of Quart."""

_DISCONNECT: Final = "typedws.disconnect"
"""The key of the scope for the disconnect event, ``None`` before it. Missing with Quart's own connection class."""

_Left: Final[type[Exception]] = getattr(base, "ClientDisconnectedError", OSError)
"""The exception of Quart 0.23 and newer when the client has left."""


class WebsocketConnection(ASGIWebsocketConnection):
    """Quart's connection class with two fixes: close codes reach the view, and empty messages arrive.

    ``app.asgi_websocket_class = WebsocketConnection`` sets it for all websockets of an application.
    """

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        scope: Any = self.scope
        scope[_DISCONNECT] = None
        await super().__call__(partial(self._receive, receive), send)

    async def _receive(self, receive: ASGIReceiveCallable) -> ASGIReceiveEvent:
        event: Any = await receive()
        if event["type"] == "websocket.disconnect":
            scope: Any = self.scope
            scope[_DISCONNECT] = event
            self._closed = True  # else Quart tries to close the connection again when its view raises
        elif event.get("bytes") == b"":  # Quart treats empty bytes as missing
            event = {**event, "text": b""}
        message: ASGIReceiveEvent = event
        return message


def view(app: Endpoint[Any, Any, Any] | App, *, name: str | None = None) -> View:
    """Return a view for an endpoint: ``app.add_websocket("/chat/<room>", view_func=view(talk))``.

    The variable parts of Quart's rule are path parameters. ``quart.session``, ``quart.g`` and ``current_user`` work in
    the handler as in any view. Quart cancels a view when the client leaves. The handler is not cancelled: it receives
    the disconnect, and the view lasts until the handler has ended.

    :param name: Quart's name of the endpoint, for ``url_for``; by default the handler's name
    """

    async def serve(**params: Any) -> Response | None:
        return await _Bridge(websocket, params).run(app)

    handler: object = app.handler if isinstance(app, Endpoint) else app
    serve.__name__ = name or str(getattr(handler, "__name__", type(handler).__name__))
    return serve


class _Bridge:
    """One websocket of Quart as an ASGI connection."""

    def __init__(self, websocket: Websocket, params: Mapping[str, Any]) -> None:
        self._websocket: Any = websocket  # its annotations have bare dictionaries
        self._params = params
        self._inbox: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        self._inbox.put_nowait({"type": "websocket.connect"})
        self._pump: asyncio.Task[None] | None = None
        self._denial: Response | None = None

    async def run(self, app: Endpoint[Any, Any, Any] | App) -> Response | None:
        """Run an application; return the response if it denied the handshake."""
        # In a separate task, since Quart cancels the view's task when the client leaves. It has the view's context.
        handling = asyncio.create_task(app(self._scope(), self._inbox.get, self._send))
        try:
            await asyncio.wait([handling])
        except asyncio.CancelledError:
            await self._client_left(handling)
            raise
        finally:
            if self._pump is not None:
                self._pump.cancel()
        handling.result()
        return self._denial

    async def _client_left(self, handling: "asyncio.Task[None]") -> None:
        """Deliver the disconnect and wait for the handler: as on ASGI servers, which do not cancel it."""
        disconnect: Mapping[str, Any] | None = self._websocket.scope.get(_DISCONNECT, {"type": "websocket.disconnect"})
        try:
            if disconnect is not None:
                self._inbox.put_nowait(disconnect)
                await asyncio.wait([handling])
        finally:  # the handler has ended, or the server is shutting down and has cancelled this wait
            if not handling.cancelling():  # a second cancellation would interrupt the close
                handling.cancel()
            await asyncio.wait([handling])
        handling.result()

    def _scope(self) -> dict[str, Any]:
        scope: Mapping[str, Any] = self._websocket.scope
        app: Any = current_app
        return {
            **scope,
            "app": app._get_current_object(),  # noqa: SLF001 - werkzeug's way to the object behind a proxy
            "path_params": {**scope.get("path_params", {}), **self._params},
            # Quart can send a response for a denial; without the extension a denial would be a bare 403.
            "extensions": {**(scope.get("extensions") or {}), "websocket.http.response": {}},
            "typedws.handles": self._is_handled,
        }

    def _is_handled(self, error: Exception) -> bool:
        """Whether the application has an ``errorhandler`` for an exception whose response can still be sent."""
        if self._pump is not None:
            return False
        code: int | None = error.code if isinstance(error, HTTPException) else None
        by_owner = [current_app.error_handler_spec.get(owner, {}) for owner in (*self._websocket.blueprints, None)]
        by_class = [by_code.get(each, {}) for by_code in by_owner for each in (code, None)]
        return any(class_ in handlers for handlers in by_class for class_ in type(error).__mro__)

    async def _receive_all(self) -> None:
        with suppress(_Left):
            while True:
                data: str | bytes | None = await self._websocket.receive()
                if isinstance(data, str):
                    self._inbox.put_nowait({"type": "websocket.receive", "text": data})
                else:  # Quart may return an empty binary message as `None`
                    self._inbox.put_nowait({"type": "websocket.receive", "bytes": data or b""})

    async def _send(self, event: Mapping[str, Any]) -> None:
        try:
            await self._pass_on(event)
        except _Left as error:
            raise ConnectionResetError from error  # an OSError, as the ASGI specification says

    async def _pass_on(self, event: Mapping[str, Any]) -> None:
        match event["type"]:
            case "websocket.send":
                text: str | None = event.get("text")
                await self._websocket.send(event["bytes"] if text is None else text)
            case "websocket.accept":
                await self._websocket.accept(_headers(event), event.get("subprotocol"))
                self._pump = asyncio.create_task(self._receive_all())
            case "websocket.close" if self._pump is not None:
                await self._websocket.close(event.get("code", 1000), event.get("reason") or "")
            case "websocket.close":
                self._denial = Response("", 403)
            case "websocket.http.response.start":
                self._denial = Response(b"", event["status"], _headers(event))
            case _:
                assert self._denial is not None, event["type"]  # noqa: S101 - there is only "websocket.http.response.body"
                self._denial.set_data(await self._denial.get_data(as_text=False) + event.get("body", b""))


def _headers(event: Mapping[str, Any]) -> Headers:
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.get("headers") or ()])
