"""Endpoints in Litestar, Quart and Django: what the integrations accept, and what they return to a framework."""

import litestar
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp as LitestarApp
from litestar.types import Receive, Scope, Send
from quart import Blueprint, Quart
from tests.typing.cases.messages import ChatConnection, ChatHandshake
from typedws import App, Outcome, WebSocketRoute, endpoint
from typedws.asgi import ASGIApp
from typedws.integrations.django import routed
from typedws.integrations.litestar import mount, websocket_route
from typedws.integrations.quart import WebsocketConnection, view


@endpoint
async def talk(ws: ChatConnection) -> None:
    async for _ in ws:
        pass


@endpoint
async def decide(handshake: ChatHandshake) -> Outcome:
    return await handshake.deny()


app = App([WebSocketRoute("/chat/{room}", talk)])


def a_guard(connection: "ASGIConnection[BaseRouteHandler, str, None, State]", _: BaseRouteHandler) -> None:
    connection.headers.get("x-name")


async def an_asynchronous_guard(_: "ASGIConnection[BaseRouteHandler, str, None, State]", __: BaseRouteHandler) -> None: ...


def a_middleware(app: LitestarApp) -> LitestarApp:
    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return run


in_litestar = litestar.Litestar(
    [
        websocket_route("/chat/{room:str}", talk),
        websocket_route(["/one/{room:str}", "/two/{room:str}"], decide, guards=[a_guard, an_asynchronous_guard]),
        litestar.Router("/in", route_handlers=[websocket_route("/", talk, middleware=[a_middleware], name="x", opt={})]),
        mount("/ws", app, guards=[a_guard], middleware=[a_middleware], name="app", opt={"only": "ann"}),
    ]
)

in_quart = Quart(__name__)
in_quart.asgi_websocket_class = WebsocketConnection
in_quart.add_websocket("/chat/<room>", view_func=view(talk))
in_quart.add_websocket("/decide/<room>", view_func=view(decide, name="decided"))
blueprint = Blueprint("chat", __name__)
blueprint.add_websocket("/<path:rest>", view_func=view(app))

in_django: list[ASGIApp] = [routed(talk), routed(decide), routed(app)]
