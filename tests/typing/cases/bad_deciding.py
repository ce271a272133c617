"""Deciding: methods that a view does not have, paths without an outcome, arguments of the wrong type."""

from typing import assert_never

import starlette.websockets
from tests.typing.cases.messages import (
    ChatConnection,
    ChatHandshake,
    ChatWebSocket,
    ClientMessage,
    Join,
    Joined,
    Order,
    Point,
    Said,
    ServerMessage,
)
from typedws import (
    CloseCode,
    Closed,
    Connection,
    DenialResponse,
    Denied,
    Handshake,
    Outcome,
    ProblemDocument,
    WebSocketDisconnect,
)


async def moves_before_the_accept(handshake: Handshake[ClientMessage, ServerMessage]) -> None:
    await handshake.send_model(Joined())  # error: Handshake send_model
    await handshake.send_text("hello")  # error: Handshake send_text
    await handshake.send_bytes(b"hello")  # error: Handshake send_bytes
    await handshake.send_json({})  # error: Handshake send_json
    await handshake.receive_model()  # error: Handshake receive_model
    await handshake.receive_text()  # error: Handshake receive_text
    await handshake.close()  # error: Handshake close
    handshake.iter_models()  # error: Handshake iter_models
    handshake.cancelled_on_disconnect()  # error: Handshake cancelled_on_disconnect


async def moves_after_the_accept(ws: Connection[ClientMessage, ServerMessage], handshake: ChatHandshake) -> None:
    await ws.accept()  # error: Connection accept
    await ws.deny()  # error: Connection deny
    await ws.send_denial_response(DenialResponse())  # error: Connection send_denial_response
    accepted = await handshake.accept()
    await accepted.deny(403)  # error: Connection deny
    await accepted.accept()  # error: Connection accept
    denied = await handshake.deny()
    await denied.send_model(Joined())  # error: Denied send_model
    closed = await accepted.close()
    await closed.send_model(Joined())  # error: Closed send_model
    await ws.receive()  # error: Connection receive
    await ws.send({})  # error: Connection send


async def no_outcome_in_the_end(handshake: ChatHandshake) -> Outcome:  # error: return
    if handshake.params.limit > 10:
        return await handshake.deny(403)
    ws = await handshake.accept()
    async for message in ws:
        print(message)
    await ws.close()


async def no_outcome_in_one_case(handshake: ChatHandshake) -> Outcome:  # error: return
    if handshake.params.limit > 10:
        await handshake.deny(403)
    else:
        ws = await handshake.accept()
        return await ws.close()


async def no_outcome_after_the_peer_has_left(handshake: ChatHandshake) -> Outcome:  # error: return
    ws = await handshake.accept()
    try:
        async with ws.cancelled_on_disconnect():
            while True:
                await ws.send_model(Said())
    except WebSocketDisconnect:
        print("left")


async def no_outcome_after_an_exception(handshake: ChatHandshake) -> Outcome:  # error: return
    ws = await handshake.accept()
    try:
        return await ws.close()
    except OSError:
        print("lost")


async def something_else_than_an_outcome(handshake: ChatHandshake) -> Outcome:
    if handshake.params.room == "a":
        return None  # error: None
    if handshake.params.room == "b":
        return handshake.params  # error: Room
    if handshake.params.room == "c":
        return handshake.deny()  # error: Denied
    if handshake.params.room == "d":
        return await handshake.accept()  # error: Connection
    return 403  # error: Closed Denied


async def forgotten_outcomes(outcome: Outcome) -> int:
    match outcome:
        case Closed(code=code):
            return code
        case _:
            assert_never(outcome)  # error: Denied Never


async def outcomes_taken_for_each_other(handshake: ChatHandshake, ws: ChatConnection) -> None:
    closed: Closed = await handshake.deny()  # error: Denied Closed
    denied: Denied = await ws.close()  # error: Closed Denied
    ended: Closed = await handshake.send_denial_response(DenialResponse())  # error: Denied Closed
    print(closed, denied, ended, closed.status)  # error: Closed status
    denied.status = 500  # error: status


async def what_accept_gives(handshake: ChatHandshake, whole: ChatWebSocket) -> None:
    again: ChatHandshake = await handshake.accept()  # error: Connection Handshake
    other: Connection[Order] = await handshake.accept()  # error: Connection Join Order
    same: ChatWebSocket = await whole.accept()  # error: Connection WebSocket
    print(again, other, same)


async def arguments_of_accept(handshake: ChatHandshake, whole: ChatWebSocket) -> None:
    await handshake.accept(subprotocol=["chat.v1"])  # error: accept list[str]
    await handshake.accept(b"chat.v1")  # error: accept str
    await handshake.accept(headers="x-room: lobby")  # error: accept str
    await handshake.accept(headers={"x-room": 1})  # error: int str
    await handshake.accept(headers=Point(1, 2))  # error: accept Point
    await whole.accept(headers=[Order()])  # error: Order
    await whole.accept(protocol="chat.v1")  # error: protocol


async def arguments_of_deny(handshake: ChatHandshake, whole: ChatWebSocket) -> None:
    await handshake.deny(status="401")  # error: deny int
    await handshake.deny("401")  # error: deny int
    await handshake.deny(401, detail=b"no")  # error: deny str
    await handshake.deny(401, detail=Order())  # error: deny Order str
    await handshake.deny(401, "no")  # error: argument
    await handshake.deny(headers=401)  # error: deny str
    await whole.deny(headers=Point(1, 2))  # error: deny Point
    await whole.deny(code=401)  # error: code


async def arguments_of_deny_with(handshake: ChatHandshake, whole: ChatWebSocket) -> None:
    await handshake.deny_with(401)  # error: deny_with ProblemDocument
    await whole.deny_with(DenialResponse())  # error: deny_with DenialResponse ProblemDocument
    await handshake.deny_with(ProblemDocument.of(401), headers=401)  # error: deny_with str
    await handshake.deny_with()  # error: document
    handshake.deny_with(ProblemDocument.of(401))  # error: used


async def arguments_of_send_denial_response(handshake: ChatHandshake, theirs: starlette.websockets.WebSocket) -> None:
    await handshake.send_denial_response(401)  # error: send_denial_response DenialResponse
    await handshake.send_denial_response(response=Order())  # error: send_denial_response Order DenialResponse
    await handshake.send_denial_response(DenialResponse)  # error: send_denial_response type[DenialResponse]
    await handshake.send_denial_response(theirs)  # error: send_denial_response WebSocket DenialResponse
    await handshake.send_denial_response()  # error: response


async def arguments_of_close(ws: ChatConnection, whole: ChatWebSocket) -> None:
    await ws.close(code="1000")  # error: close int
    await ws.close("bye")  # error: close int
    await ws.close(1000, reason=b"bye")  # error: close str
    await ws.close(1000, Order())  # error: close Order str
    await ws.close(1000, CloseCode.GOING_AWAY)  # error: close CloseCode str
    await ws.close(code=CloseCode)  # error: close type[CloseCode] int
    await whole.close(None)  # error: close None int
    await whole.close(status=1000)  # error: status


async def forgotten_awaits(handshake: ChatHandshake, ws: ChatConnection) -> None:
    handshake.accept()  # error: used
    handshake.deny()  # error: used
    ws.close()  # error: used
    await handshake.accept().send_model(Joined())  # error: send_model


async def decide_a_bare_one(handshake: Handshake) -> None:
    ws = await handshake.accept()
    message: Join = await ws.receive_model()  # error: object Join
    print(message, ws.params.room)  # error: object room
