"""Raw ASGI events: a checker narrows them by their type, and messages by their keys."""

from collections.abc import Iterable
from typing import assert_never, assert_type

from tests.typing.cases.messages import ChatWebSocket
from typedws.asgi import (
    BinaryReceiveEvent,
    BinarySendEvent,
    TextReceiveEvent,
    TextSendEvent,
    WebSocketConnectEvent,
    WebSocketDisconnectEvent,
    WebSocketReceiveEvent,
    WebSocketScope,
    WebSocketSendEvent,
)


async def what_was_received(ws: ChatWebSocket) -> str | bytes | None:
    event: WebSocketReceiveEvent = await ws.receive()
    if event["type"] == "websocket.receive":
        return frame_of(event)
    if event["type"] == "websocket.disconnect":
        assert_type(event, WebSocketDisconnectEvent)
        assert_type(event.get("code"), int | None)
        return event.get("reason")
    assert_type(event, WebSocketConnectEvent)
    assert_type(event["type"] == "websocket.connect", bool)
    return None


def frame_of(event: TextReceiveEvent | BinaryReceiveEvent) -> str | bytes | None:
    if "text" in event and event["text"] is not None:
        assert_type(event["text"], str)
        return event["text"]
    return event.get("bytes")


def what_is_sent(event: WebSocketSendEvent) -> int:
    match event["type"]:
        case "websocket.accept" | "websocket.close" | "websocket.send":
            return 1
        case "websocket.http.response.start" | "websocket.http.response.body":
            return 2
        case _:
            assert_never(event["type"])


def by_key(event: TextSendEvent | BinarySendEvent) -> str | bytes | None:
    if "text" not in event:
        assert_type(event, BinarySendEvent)
        return event["bytes"]
    if "bytes" not in event:
        assert_type(event, TextSendEvent)
        return event["text"]
    assert_type(event["text"], str | None)
    return event["text"]


def the_scope(scope: WebSocketScope) -> None:
    assert_type(scope["type"] == "websocket", bool)
    assert_type(scope["path"], str)
    assert_type(scope.get("subprotocols"), Iterable[str] | None)
    assert_type(scope.get("query_string"), bytes | None)
