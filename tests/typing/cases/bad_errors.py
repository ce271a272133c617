"""Exceptions: fields whose types are mistaken for others."""

from tests.typing.cases.messages import ChatConnection, Order
from typedws import InvalidMessage, InvalidParams, TypedWSError, WebSocketDisconnect


async def of_a_message(ws: ChatConnection) -> None:
    try:
        await ws.receive_model()
    except InvalidMessage as error:
        order: Order = error.problem  # error: Order
        if error.problem == "invald":  # error: invald
            raise
        code: Order = error.close_code  # error: CloseCode Order
        where: list[str] = error.locations()  # error: list[tuple[str, str]] list[str]
        print(order, code, where, error.status_code)  # error: InvalidMessage status_code
        print(error.errors(True))  # error: argument
        print(error.errors()[0]["where"])  # error: where
    except WebSocketDisconnect as gone:
        print(gone.problem)  # error: WebSocketDisconnect problem
        reason: Order = gone.reason  # error: str Order
        print(reason)


def of_parameters(error: InvalidParams) -> None:
    print(error.close_code)  # error: InvalidParams close_code
    status: str = error.status_code  # error: int str
    print(status)


def made() -> list[TypedWSError]:
    return [
        WebSocketDisconnect(code="1000"),  # error: int
        WebSocketDisconnect(1000, Order()),  # error: Order str
        WebSocketDisconnect(1000, "", "nobody"),  # error: nobody
        ValueError(),  # error: ValueError TypedWSError
    ]
