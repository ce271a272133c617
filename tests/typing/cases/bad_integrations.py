"""Endpoints in Litestar, Quart and Django: objects that are not handlers, and what the frameworks refuse later."""

from tests.typing.cases.messages import ChatConnection
from typedws import App, endpoint
from typedws.integrations.django import routed
from typedws.integrations.litestar import mount, websocket_route
from typedws.integrations.quart import view


async def handler(ws: ChatConnection) -> None: ...


talk = endpoint(handler)
app = App()

websocket_route("/chat/{room:str}", handler)  # error: websocket_route
websocket_route("/ws", app)  # error: websocket_route App
websocket_route(1, talk)  # error: websocket_route
websocket_route("/chat", talk, guards=["only ann"])  # error: str
websocket_route("/chat", talk, middleware=["cors"])  # error: str
websocket_route("/chat", talk, name=1)  # error: websocket_route
websocket_route("/chat", talk, opt=["ann"])  # error: list[str]

mount("/ws", talk)  # error: mount App
mount(["/ws"], app)  # error: mount list[str]
mount("/ws", app, guards=["only ann"])  # error: str
mount("/ws", app, middleware=["cors"])  # error: str
mount("/ws", app, name=1)  # error: mount
mount("/ws", app, opt=["ann"])  # error: list[str]

view(handler)  # error: view
view(talk, "chat")  # error: positional argument
view(talk, name=1)  # error: view

routed(handler)  # error: routed
