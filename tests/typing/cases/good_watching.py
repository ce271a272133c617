"""`cancelled_on_disconnect`: it never swallows exceptions, so an endless loop in it ends a handler with one."""

from contextlib import AbstractAsyncContextManager
from typing import assert_type

from tests.typing.cases.messages import ChatConnection, ChatHandshake, Joined, Said
from typedws import Closed, Connection, Outcome, WebSocketDisconnect


async def an_endless_loop(handshake: ChatHandshake) -> Outcome:
    ws = await handshake.accept()
    async with ws.cancelled_on_disconnect():
        while True:
            await ws.send_model(Said())


async def an_endless_loop_that_ends_well(handshake: ChatHandshake) -> Outcome:
    ws = await handshake.accept()
    try:
        async with ws.cancelled_on_disconnect():
            while True:
                await ws.send_model(Said())
    except WebSocketDisconnect:
        print("left")
    return await ws.close()


async def a_return_at_the_end_of_it(ws: ChatConnection) -> Closed:
    async with ws.cancelled_on_disconnect():
        return await ws.close()


async def a_loop_that_is_left(ws: ChatConnection) -> Closed:
    async with ws.cancelled_on_disconnect(max_pending=8, on_overflow="discard"):
        await ws.send_model(Joined())
        if ws.params.limit:
            return await ws.close()
    return await ws.close(1001)


async def its_type(ws: ChatConnection, bare: Connection) -> None:
    assert_type(ws.cancelled_on_disconnect(), AbstractAsyncContextManager[None, None])
    try:
        async with bare.cancelled_on_disconnect(on_overflow="close") as nothing:
            assert_type(nothing, None)
    except WebSocketDisconnect as gone:
        assert_type(gone.code, int)
        assert_type(gone.reason, str)
