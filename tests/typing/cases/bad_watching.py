"""`cancelled_on_disconnect`: wrong arguments, and wrong ways to enter it."""

from tests.typing.cases.messages import ChatConnection, Order, Said
from typedws import Handshake


async def arguments(ws: ChatConnection) -> None:
    ws.cancelled_on_disconnect(max_pending="64")  # error: cancelled_on_disconnect int
    ws.cancelled_on_disconnect(max_pending=Order())  # error: cancelled_on_disconnect Order int
    ws.cancelled_on_disconnect(on_overflow="drop")  # error: cancelled_on_disconnect drop
    ws.cancelled_on_disconnect(on_overflow=Order())  # error: cancelled_on_disconnect Order
    ws.cancelled_on_disconnect(64)  # error: argument
    ws.cancelled_on_disconnect(timeout=1)  # error: timeout


async def what_it_gives(ws: ChatConnection) -> None:
    async with ws.cancelled_on_disconnect() as inner:
        inner.send_model(Said())  # error: send_model
    async with ws.cancelled_on_disconnect:  # error: __aenter__
        pass


async def entered_the_wrong_way(ws: ChatConnection, handshake: Handshake) -> None:
    with ws.cancelled_on_disconnect():  # error: AbstractAsyncContextManager
        pass
    async with handshake.cancelled_on_disconnect():  # error: Handshake cancelled_on_disconnect
        pass
