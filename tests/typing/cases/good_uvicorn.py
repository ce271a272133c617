"""The seam to uvicorn: it accepts our applications, and we accept its typed scope and events."""

import typedws.asgi
import uvicorn
from tests.typing.cases.messages import ChatWebSocket, ClientMessage, Room, ServerMessage
from typedws import WebSocket, WebSocketClose
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope, WebSocketScope


async def typed_by_uvicorn(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    if scope["type"] == "websocket":
        ws = WebSocket[ClientMessage, ServerMessage, Room](scope, receive, send)
        await ws.close()
        await WebSocketClose()(scope, receive, send)
    await application(scope, receive, send)


async def application(scope: typedws.asgi.Scope, receive: typedws.asgi.Receive, send: typedws.asgi.Send) -> None:
    await WebSocket[ClientMessage, ServerMessage, Room](scope, receive, send).close()


ours: ASGI3Application = application
closing: ASGI3Application = WebSocketClose()
theirs: typedws.asgi.ASGIApp = typed_by_uvicorn


def configured() -> list[uvicorn.Config]:
    return [uvicorn.Config(application), uvicorn.Config(WebSocketClose()), uvicorn.Config(app=ours)]


async def what_we_hand_out(ws: ChatWebSocket, scope: WebSocketScope) -> None:
    receive: ASGIReceiveCallable = ws.receive
    send: ASGISendCallable = ws.send
    await typed_by_uvicorn(scope, receive, send)
    await typed_by_uvicorn(scope, ws.receive, ws.send)
