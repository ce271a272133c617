"""The seam to asgiref: it accepts our applications, and we accept its typed scope and events."""

import typedws.asgi
from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope, WebSocketScope
from tests.typing.cases.messages import ChatWebSocket, ClientMessage, Room, ServerMessage
from typedws import WebSocket, WebSocketClose


async def typed_by_asgiref(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    if scope["type"] == "websocket":
        ws = WebSocket[ClientMessage, ServerMessage, Room](scope, receive, send)
        await ws.close()
        await WebSocketClose()(scope, receive, send)
    await application(scope, receive, send)


async def application(scope: typedws.asgi.Scope, receive: typedws.asgi.Receive, send: typedws.asgi.Send) -> None:
    await WebSocket[ClientMessage, ServerMessage, Room](scope, receive, send).close()


ours: ASGI3Application = application
closing: ASGI3Application = WebSocketClose()
theirs: typedws.asgi.ASGIApp = typed_by_asgiref


async def what_we_hand_out(ws: ChatWebSocket, scope: WebSocketScope) -> None:
    receive: ASGIReceiveCallable = ws.receive
    send: ASGISendCallable = ws.send
    await typed_by_asgiref(scope, receive, send)
    await typed_by_asgiref(scope, ws.receive, ws.send)
