"""Raw ASGI events: keys that an event does not have, before it is narrowed to one that does."""

from tests.typing.cases.messages import ChatWebSocket, Order
from typedws.asgi import (
    BinarySendEvent,
    TextSendEvent,
    WebSocketAcceptEvent,
    WebSocketReceiveEvent,
    WebSocketScope,
    WebSocketSendEvent,
)


async def received(ws: ChatWebSocket) -> None:
    event: WebSocketReceiveEvent = await ws.receive()
    if event["type"] == "websocket.receive":
        print(event["code"])  # error: code
        return
    if event["type"] == "websocket.disconnect":
        print(event["text"])  # error: text
        return
    print(event["reason"])  # error: reason


def sent(event: TextSendEvent | BinarySendEvent) -> bytes:
    if "text" in event:
        return event["text"]  # error: str bytes
    return event.get("text")  # error: None bytes


def made() -> list[WebSocketSendEvent]:
    accept: WebSocketAcceptEvent = {"type": "websocket.accept", "headers": [("x-room", "lobby")]}  # error: str
    text: TextSendEvent = {"type": "websocket.send", "text": b"hello"}  # error: str
    both: TextSendEvent = {"type": "websocket.send", "text": "hello", "bytes": b"hello"}  # error: None
    none: BinarySendEvent = {"type": "websocket.send"}  # error: bytes
    return [accept, text, both, none]


def the_scope(scope: WebSocketScope) -> None:
    order: Order = scope["path"]  # error: str Order
    print(order, scope["method"])  # error: method
    scope["type"] = "http"  # error: websocket
