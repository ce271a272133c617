"""One adapter per framework: the ways to mount an endpoint in it, and its own exceptions and reporting."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, Final, get_args

import fastapi
import litestar
import quart
import starlette.routing as starlette
import werkzeug.exceptions
from litestar.exceptions import HTTPException as LitestarHTTPException
from litestar.exceptions import WebSocketException as LitestarWebSocketException
from starlette.applications import Starlette
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.exceptions import WebSocketException as StarletteWebSocketException
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket as StarletteWebSocket

from tests.unit.integrations.django_site import asgi, by_channels, channels_routing, urls
from tests.unit.integrations.sites import Framework, Mount, Site, beside
from typedws import WebSocket
from typedws.integrations.django import routed
from typedws.integrations.fastapi import typed_websocket
from typedws.integrations.litestar import mount as litestar_mount
from typedws.integrations.litestar import websocket_route
from typedws.integrations.quart import WebsocketConnection, view

variant: Final = partial(Mount, is_variant=True)
on_asyncio: Final = partial(Mount, loops=("asyncio",))

TYPEDWS: Final = Framework({"an App": variant(Site.typed_app)})
"""No framework, to compare the frameworks with."""


def annotation_of(site: Site) -> Any:
    """Return what the handler takes."""
    (annotation,) = (each for name, each in site.endpoint.handler.__annotations__.items() if name != "return")
    return annotation


async def call_handler(site: Site, socket: Any) -> None:
    """Call the handler with a `WebSocket`, as the documentation recommends for the framework's own routes."""
    class_: Any = WebSocket[get_args(annotation_of(site))]  # type: ignore[misc]
    await site.endpoint.handler(class_(socket.scope, socket.receive, socket.send))


# --- Starlette and FastAPI ---


def in_starlette(site: Site, *routes: Any, class_: type[Starlette] = Starlette, **options: Any) -> Any:
    async def handle(websocket: StarletteWebSocket, error: Exception) -> None:
        site.note("handled")
        if site.is_accepted:
            await websocket.close(4003, getattr(error, "problem", "handled"))
        else:
            await websocket.send_denial_response(PlainTextResponse("handled", 418))

    return class_(
        routes=routes,
        lifespan=site.lifespan,
        exception_handlers={} if site.handled is None else {site.handled: handle},
        **options,
    )


def starlette_route(site: Site, path: str = "/chat/{room}") -> starlette.WebSocketRoute:
    return starlette.WebSocketRoute(path, site.endpoint)


def native_route(site: Site) -> Any:
    async def route(websocket: StarletteWebSocket) -> None:
        await call_handler(site, websocket)

    return route


STARLETTE: Final = Framework(
    {
        "a route": Mount(lambda site: in_starlette(site, starlette_route(site))),
        "a route in debug mode": variant(lambda site: in_starlette(site, starlette_route(site), debug=True)),
        "a route of a router": variant(
            lambda site: in_starlette(
                site, starlette.Mount("/chat", starlette.Router([starlette_route(site, "/{room}")]))
            )
        ),
        "a mounted endpoint": variant(
            lambda site: in_starlette(site, starlette.Mount("/chat/{room}", site.endpoint)), "/chat/lobby/"
        ),
        "a mounted App": variant(
            lambda site: in_starlette(site, starlette.Mount("/chat", site.typed_app("/{room}"))), root="/chat"
        ),
        "a host": variant(
            lambda site: Starlette(
                routes=[starlette.Host("testserver", in_starlette(site, starlette_route(site)))], lifespan=site.lifespan
            )
        ),
        "its own route": Mount(
            lambda site: in_starlette(site, starlette.WebSocketRoute("/chat/{room}", native_route(site))),
            is_native=True,
        ),
    },
    Starlette,
    StarletteHTTPException,
    StarletteHTTPException,
    StarletteWebSocketException,
    raises_failures=True,
)


def in_fastapi(site: Site, add: Callable[[Any], object]) -> Any:
    app = in_starlette(site, class_=fastapi.FastAPI)
    add(app)
    return app


def fastapi_route(site: Site) -> Any:
    async def route(ws: Any) -> Any:
        return await site.endpoint.handler(ws)

    dependency = typed_websocket(site.endpoint.contract, policy=site.endpoint.policy)
    route.__annotations__["ws"] = Annotated[annotation_of(site), dependency]
    return route


def fastapi_router(site: Site) -> Any:
    router: Any = fastapi.APIRouter()  # FastAPI's annotation of this method is for functions only
    router.add_websocket_route("/{room}", site.endpoint)
    return router


FASTAPI: Final = Framework(
    {
        "typed_websocket": Mount(
            lambda site: in_fastapi(site, lambda app: app.websocket("/chat/{room}")(fastapi_route(site)))
        ),
        "an added route": variant(
            lambda site: in_fastapi(site, lambda app: app.router.add_websocket_route("/chat/{room}", site.endpoint))
        ),
        "an appended route": variant(
            lambda site: in_fastapi(site, lambda app: app.router.routes.append(starlette_route(site)))
        ),
        "an included route": variant(
            lambda site: in_fastapi(site, lambda app: app.include_router(fastapi_router(site), prefix="/chat"))
        ),
        "a mounted endpoint": variant(
            lambda site: in_fastapi(site, lambda app: app.mount("/chat/{room}", site.endpoint)), "/chat/lobby/"
        ),
        "its own route": Mount(
            lambda site: in_fastapi(site, lambda app: app.websocket("/chat/{room}")(native_route(site))), is_native=True
        ),
    },
    fastapi.FastAPI,
    StarletteHTTPException,
    fastapi.HTTPException,
    fastapi.WebSocketException,
    raises_failures=True,
)

# --- Litestar ---


def in_litestar(site: Site, route: Any) -> Any:
    @asynccontextmanager
    async def lifespan(app: litestar.Litestar) -> AsyncGenerator[None]:
        async with site.lifespan() as state:
            app.state.update(state)
            yield

    async def report(error: Exception, _: object) -> None:
        site.reported.append(error)

    def handle(request: Any, error: Exception) -> Any:
        site.note("handled")

    handlers: Any = {} if site.handled is None else {site.handled: handle}
    return litestar.Litestar(
        [route],
        lifespan=[lifespan],
        after_exception=[report],
        exception_handlers=handlers,
        logging_config=None,
        openapi_config=None,  # which would take most of the time
    )


def litestar_native(site: Site) -> Any:
    @litestar.websocket("/chat/{room:str}")
    async def route(socket: litestar.WebSocket[Any, Any, Any]) -> None:
        await call_handler(site, socket)

    return in_litestar(site, route)


LITESTAR: Final = Framework(
    {
        "a route": Mount(lambda site: in_litestar(site, websocket_route("/chat/{room:str}", site.endpoint))),
        "a mounted App": Mount(
            lambda site: in_litestar(site, litestar_mount("/ws", site.typed_app())), "/ws/chat/lobby", "/ws"
        ),
        "its own route": Mount(litestar_native, is_native=True),
    },
    litestar.Litestar,
    LitestarHTTPException,
    lambda status, detail: LitestarHTTPException(detail, status_code=status),
    lambda code, reason: LitestarWebSocketException(detail=reason, code=code),
    colour=lambda ws: str(ws.app.state.colour),
)

# --- Quart ---


def in_quart(site: Site, class_: type[Any] | None = WebsocketConnection) -> Any:
    app: Any = quart.Quart(__name__)
    app.logger.disabled = True  # it logs what the signal reports
    if class_ is not None:
        app.asgi_websocket_class = class_

    async def lifespan() -> AsyncGenerator[None]:
        async with site.lifespan() as state:
            app.config.update(state)
            yield

    async def report(_: object, exception: Exception, **__: Any) -> None:
        site.reported.append(exception)

    async def handle(error: Exception) -> tuple[str, int]:
        site.note("handled")
        return "handled", 418

    app.while_serving(lifespan)
    quart.got_websocket_exception.connect(report, app)
    app.extensions["tests"] = report  # the signal has a weak reference only
    if site.handled is not None:
        app.register_error_handler(site.handled, handle)
    return app


def quart_view(app: Any, served: Any, rule: str = "/chat/<room>") -> Any:
    app.add_websocket(rule, view_func=view(served))
    return app


QUART: Final = Framework(
    {
        "a view": on_asyncio(lambda site: quart_view(in_quart(site), site.endpoint)),
        "a view on Quart's own connection class": on_asyncio(
            lambda site: quart_view(in_quart(site, None), site.endpoint)
        ),
        "a view of an App": on_asyncio(
            lambda site: quart_view(in_quart(site), site.typed_app(), "/chat/<path:rest>"), root="/chat"
        ),
        "an App beside it": on_asyncio(
            lambda site: beside(in_quart(site), site.typed_app(), ["http", "lifespan"]), is_variant=True
        ),
    },
    quart.Quart,
    werkzeug.exceptions.HTTPException,
    lambda status, detail: werkzeug.exceptions.default_exceptions[status](detail),
    colour=lambda ws: str(ws.app.config["colour"]),
)

# --- Django ---


def django_path(site: Site) -> Any:
    return urls.path("chat/<str:room>", routed(site.endpoint))


in_channels: Final = partial(on_asyncio, has_lifespan=False)

DJANGO: Final = Framework(
    {
        "channels": in_channels(lambda site: by_channels(django_path(site))),
        "channels, nested": in_channels(
            lambda site: by_channels(urls.path("in/", channels_routing.URLRouter([django_path(site)]))),
            "/in/chat/lobby",
            is_variant=True,
        ),
        "channels, an App": in_channels(
            lambda site: by_channels(urls.re_path("^ws/", routed(site.typed_app()))), "/ws/chat/lobby", "/ws"
        ),
        "a URLRouter": variant(lambda site: channels_routing.URLRouter([django_path(site)]), has_lifespan=False),
        "an App beside it": on_asyncio(
            lambda site: beside(asgi.get_asgi_application(), site.typed_app()), is_variant=True
        ),
    }
)

FRAMEWORKS: Final[Mapping[str, Framework]] = {
    "typedws": TYPEDWS,
    "Starlette": STARLETTE,
    "FastAPI": FASTAPI,
    "Litestar": LITESTAR,
    "Quart": QUART,
    "Django": DJANGO,
}
