"""The seam to Starlette and FastAPI: we accept their objects, and ours satisfy their types."""

import fastapi
import starlette.applications
import starlette.types
import starlette.websockets
from starlette.routing import Mount, Route, Router, WebSocketRoute
from tests.typing.cases.messages import ChatWebSocket, ClientMessage, Room, ServerMessage
from typedws import WebSocket, WebSocketClose
from typedws.asgi import ASGIApp, Receive, Scope, Send


async def a_raw_application(
    scope: starlette.types.Scope, receive: starlette.types.Receive, send: starlette.types.Send
) -> None:
    ws = WebSocket[ClientMessage, ServerMessage, Room](scope, receive, send)
    await ws.close()
    await WebSocketClose()(scope, receive, send)
    await application(scope, receive, send)
    await WebSocket(scope=scope, receive=receive, send=send).close()


async def an_endpoint(websocket: starlette.websockets.WebSocket) -> None:
    ws = WebSocket[ClientMessage, ServerMessage, Room](websocket.scope, websocket.receive, websocket.send)
    await ws.close()


fast = fastapi.FastAPI()


@fast.websocket("/chat/{room}")
async def an_endpoint_of_fastapi(websocket: fastapi.WebSocket, room: str) -> None:
    ws = WebSocket[ClientMessage, ServerMessage, Room](websocket.scope, websocket.receive, websocket.send)
    await ws.close(1000, room)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    await WebSocketClose(1008, "not here")(scope, receive, send)


def middleware(inner: ASGIApp) -> ASGIApp:
    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(scope, receive, send)

    return wrapped


def an_application_of_theirs(inner: starlette.types.ASGIApp) -> ASGIApp:
    return middleware(inner)


ours: starlette.types.ASGIApp = application
wrapped: starlette.types.ASGIApp = middleware(application)
closing: starlette.types.ASGIApp = WebSocketClose()
theirs: ASGIApp = starlette.applications.Starlette()

routes = [
    Mount("/ours", application),
    Mount("/wrapped", app=middleware(application)),
    Mount("/closing", app=WebSocketClose()),
    Route("/http", application),
    WebSocketRoute("/ours", application),
    WebSocketRoute("/closing", WebSocketClose(1008)),
    WebSocketRoute("/theirs", an_endpoint),
]
router = Router(routes, default=application)
fast.mount("/ours", application)
fast.mount("/closing", WebSocketClose())


async def what_we_hand_out(ws: ChatWebSocket, scope: starlette.types.Scope) -> None:
    receive: starlette.types.Receive = ws.receive
    send: starlette.types.Send = ws.send
    theirs = starlette.websockets.WebSocket(scope, ws.receive, ws.send)
    await theirs.close()
    await starlette.applications.Starlette()(scope, receive, send)
    await fast(scope, ws.receive, ws.send)
    await starlette.websockets.WebSocketClose()(ws.scope, receive, send)
