"""The seam to Litestar: we accept its objects, and ours satisfy its types."""

import litestar
import litestar.types
from tests.typing.cases.messages import ChatWebSocket, ClientMessage, Room, ServerMessage
from typedws import WebSocket, WebSocketClose
from typedws.asgi import ASGIApp, Receive, Scope, Send


async def a_raw_application(
    scope: litestar.types.Scope, receive: litestar.types.Receive, send: litestar.types.Send
) -> None:
    ws = WebSocket[ClientMessage, ServerMessage, Room](scope, receive, send)
    await ws.close()
    await WebSocketClose()(scope, receive, send)
    await application(scope, receive, send)


@litestar.asgi("/raw")
async def a_route(scope: litestar.types.Scope, receive: litestar.types.Receive, send: litestar.types.Send) -> None:
    await WebSocket[ClientMessage, ServerMessage](scope, receive, send).close()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    await WebSocketClose(1008, "not here")(scope, receive, send)


ours: litestar.types.ASGIApp = application
closing: litestar.types.ASGIApp = WebSocketClose()


def theirs(app: litestar.types.ASGIApp, whole: litestar.Litestar) -> list[ASGIApp]:
    return [app, whole]


async def what_we_hand_out(ws: ChatWebSocket, app: litestar.types.ASGIApp, scope: litestar.types.Scope) -> None:
    receive: litestar.types.Receive = ws.receive
    send: litestar.types.Send = ws.send
    await app(scope, receive, send)
    await app(scope, ws.receive, ws.send)
