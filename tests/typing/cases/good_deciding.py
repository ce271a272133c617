"""Deciding a handshake and ending a connection: the outcome that every path returns."""

from http import HTTPStatus
from typing import Any, assert_never, assert_type

from tests.typing.cases.messages import (
    ChatConnection,
    ChatHandshake,
    ChatWebSocket,
    ClientMessage,
    Join,
    Joined,
    Room,
    Said,
    Say,
    ServerMessage,
)
from typedws import (
    CloseCode,
    Closed,
    Connection,
    DenialResponse,
    Denied,
    Handshake,
    InvalidMessage,
    Outcome,
    WebSocket,
    WebSocketDisconnect,
    truncate_reason,
)
from typedws.asgi import Receive, Scope, Send
from typedws.exceptions import ClosedBy


async def what_each_gives(handshake: ChatHandshake, whole: ChatWebSocket) -> None:
    assert_type(await handshake.accept(), Connection[Join | Say, Joined | Said, Room])
    assert_type(await whole.accept(), Connection[Join | Say, Joined | Said, Room])
    assert_type(await handshake.deny(), Denied)
    assert_type(await handshake.send_denial_response(DenialResponse()), Denied)
    assert_type(await whole.close(), Closed)
    assert_type(handshake.params, Room)
    assert_type(handshake.params.limit, int)


async def decide(handshake: ChatHandshake) -> Outcome:
    if handshake.params.room == "closed":
        return await handshake.deny(404, detail="no such room")
    try:
        ws = await handshake.accept()
    except WebSocketDisconnect:
        return await handshake.deny()
    try:
        async for message in ws:
            match message:
                case Join():
                    await ws.send_model(Joined(room=ws.params.room))
                case Say(text=text):
                    await ws.send_model(Said(text=text))
                case _:
                    assert_never(message)
    except InvalidMessage as error:
        return await ws.close(error.close_code, truncate_reason(str(error)))
    return await ws.close()


async def every_way_to_accept(handshake: ChatHandshake) -> None:
    await handshake.accept("chat.v1")
    await handshake.accept(subprotocol="chat.v1")
    await handshake.accept(subprotocol=None)
    await handshake.accept(handshake.subprotocols[0])
    await handshake.accept(headers={"X-Room": handshake.params.room})
    await handshake.accept(headers=[("set-cookie", "a=1"), ("set-cookie", "b=2")])
    await handshake.accept(headers=[(b"x-room", b"lobby")])
    await handshake.accept(headers=handshake.headers)
    await handshake.accept(headers=handshake.headers.items())
    await handshake.accept(None, (("x-room", name) for name in ("lobby", "attic")))


async def every_way_to_deny(handshake: ChatHandshake) -> None:
    await handshake.deny(401)
    await handshake.deny(HTTPStatus.UNAUTHORIZED)
    await handshake.deny(status=401, detail="token missing", headers={"WWW-Authenticate": "Bearer"})
    await handshake.deny(headers=[(b"retry-after", b"1")], detail=None)


async def every_way_to_close(ws: ChatConnection) -> None:
    await ws.close(1001)
    await ws.close(CloseCode.GOING_AWAY, "bye")
    await ws.close(code=4000, reason=None)


async def outcomes(outcome: Outcome) -> int:
    match outcome:
        case Denied(status=status):
            return status
        case Closed(code=code, reason=reason, closed_by=closed_by):
            assert_type(reason, str)
            assert_type(closed_by, ClosedBy)
            return code
        case _:
            assert_never(outcome)


async def close_in_finally(ws: ChatConnection) -> Closed:
    try:
        await ws.send_model(Joined())
    finally:
        await ws.close()
    return await ws.close()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    ws = WebSocket[ClientMessage, ServerMessage, Room](scope, receive, send)
    assert_type(await decide(ws), Closed | Denied)


async def parameters(ws: ChatConnection, bare: Connection, other: Handshake[Any, Any, dict[str, int]]) -> None:
    assert_type(ws.params, Room)
    assert_type(ws.params.room, str)
    assert_type(bare.params, object)
    assert_type(other.params, dict[str, int])
