"""Constructing: arguments of the wrong type for a WebSocket, and objects that are not applications."""

from collections.abc import Awaitable, Callable

import starlette.websockets
import uvicorn
from starlette.routing import Mount
from tests.typing.cases.messages import ChatHandshake, ClientMessage, Order, Room, ServerMessage
from typedws import Codec, Connection, Handshake, Outcome, TextJSON, WebSocket, WebSocketClose
from typedws.asgi import ASGIApp, Receive, Scope, Send


def arguments(scope: Scope, receive: Receive, send: Send) -> None:
    WebSocket(scope, receive, send, mode=1)  # error: Codec[str]
    WebSocket(scope, receive, send, mode=Order())  # error: Order
    WebSocket(scope, receive, send, mode=TextJSON)  # error: type[TextJSON]
    WebSocket(scope, receive, send, mode=None)  # error: None
    WebSocket(scope, receive, send, codecs="text")  # error: CodecRegistry
    WebSocket(scope, receive, send, codecs=TextJSON())  # error: TextJSON CodecRegistry
    WebSocket(scope, receive, send, codecs={"text": TextJSON()})  # error: TextJSON CodecRegistry
    WebSocket(scope, receive, send, max_message_size="1 MB")  # error: int
    WebSocket(scope, receive, send, max_message_size=Order())  # error: Order int
    WebSocket(scope, receive, send, modes="text")  # error: str Mapping
    WebSocket(scope, receive, send, "text")  # error: argument
    WebSocket(scope, receive, send, modes="text")  # error: modes
    WebSocket()  # error: scope
    WebSocket[ClientMessage, ServerMessage, Room](Order(), receive, send)  # error: Order
    WebSocket[ClientMessage, ServerMessage, Room](scope, receive, send, mode=1)  # error: Codec[str]
    WebSocket[ClientMessage, ServerMessage, Room](scope=7)  # error: Mapping


def the_views(scope: Scope, receive: Receive, send: Send) -> None:
    Handshake(scope, receive, send)  # error: abstract
    Handshake[ClientMessage, ServerMessage, Room](scope, receive, send)  # error: abstract
    Connection(scope, receive, send)  # error: abstract
    Connection[ClientMessage, ServerMessage, Room](scope, receive, send)  # error: abstract


def callables(scope: Scope, receive: Receive, send: Send, sync: Callable[[], Order]) -> None:
    WebSocket(scope, receive=receive(), send=send)  # error: Awaitable
    WebSocket(scope, receive=sync, send=send)  # error: Order
    WebSocket(scope, receive=send)  # error: Mapping
    WebSocket(scope, receive, send=receive)  # error: Mapping
    WebSocket(scope, receive, send=Order())  # error: Order
    WebSocket(scope, Order(), send)  # error: Order


def of_a_framework(websocket: starlette.websockets.WebSocket) -> None:
    WebSocket(websocket.scope, websocket.receive_text, websocket.send)  # error: str
    WebSocket(websocket.scope, websocket.receive, websocket.send_json(1))  # error: Coroutine


async def inferred(scope: Scope, receive: Receive, send: Send) -> None:
    ws: WebSocket[Order, Room] = WebSocket[Room, Room](scope, receive, send)  # error: Room Order
    typed: ChatHandshake = WebSocket[Order, Order](scope, receive, send)  # error: Order
    print(ws, typed)


async def closing(scope: Scope, receive: Receive, send: Send) -> None:
    WebSocketClose(code="1000")  # error: int
    WebSocketClose(reason=1000)  # error: str
    WebSocketClose(1000, Order())  # error: Order str
    WebSocketClose(status=403)  # error: status
    await WebSocketClose()(scope, receive)  # error: send
    await WebSocketClose()(scope, send, receive)  # error: __call__


async def decide(handshake: ChatHandshake) -> Outcome:
    return await handshake.deny()


def a_sync_function(scope: Scope, receive: Receive, send: Send) -> None: ...
async def wants_a_connection(scope: Connection, receive: Receive, send: Send) -> None: ...


def applications() -> None:
    app: ASGIApp = decide  # error: ASGIApp
    sync: ASGIApp = a_sync_function  # error: ASGIApp None
    one: Callable[[Scope, Receive, Send], Awaitable[None]] = WebSocketClose  # error: WebSocketClose
    print(app, sync, one)
    Mount("/chat", decide)  # error: Handshake
    Mount("/chat", wants_a_connection)  # error: Connection
    uvicorn.Config(WebSocketClose().code)  # error: WebSocketClose code


class Hexadecimal(Codec[str]):
    """A codec that lacks one of its methods."""

    def encode(self, value: object) -> str:
        return str(value)


def abstract(scope: Scope) -> None:
    WebSocket(scope, mode=Hexadecimal())  # error: Hexadecimal decode
