"""Denials: arguments of the wrong type for a response, and results mistaken for others."""

from tests.typing.cases.messages import ChatHandshake, Join, Order, Point
from typedws import CloseCode, DenialResponse, ProblemDocument, truncate_reason


def arguments() -> None:
    DenialResponse(status="403")  # error: int
    DenialResponse(Order())  # error: Order int
    DenialResponse(403, headers="retry-after: 1")  # error: str
    DenialResponse(403, headers=Point(1, 2))  # error: Point
    DenialResponse(403, headers=[Order()])  # error: Order
    DenialResponse(403, body=Point(1, 2))  # error: Point
    DenialResponse(403, body={"detail": "no"})  # error: dict[str, str]
    DenialResponse(403, body=None)  # error: None
    DenialResponse(403, b"no")  # error: argument
    DenialResponse(403, detail="no")  # error: detail


def what_it_holds(response: DenialResponse) -> None:
    order: Order = response.body  # error: bytes Order
    status: Order = response.status  # error: int Order
    print(order, status, response.reason)  # error: DenialResponse reason
    response.events(403)  # error: argument
    for event in response.events():
        print(event.status)  # error: status
    first: Order = response.events()[0]  # error: WebSocketResponseStartEvent Order
    print(first)


def documents() -> None:
    ProblemDocument.of("403")  # error: of int
    ProblemDocument.of(403, Order())  # error: of Order
    print(ProblemDocument.of(403).reason)  # error: ProblemDocument reason


async def sent(handshake: ChatHandshake) -> None:
    await handshake.send_denial_response(ProblemDocument.of(403))  # error: send_denial_response ProblemDocument
    await handshake.send_denial_response(DenialResponse(403).events())  # error: send_denial_response tuple
    join: Join = await handshake.send_denial_response(DenialResponse(403))  # error: Denied Join
    print(join)


def close_codes() -> None:
    print(CloseCode.NORMAL)  # error: CloseCode NORMAL
    name: Order = CloseCode.GOING_AWAY  # error: CloseCode Order
    text: str = CloseCode(1000)  # error: CloseCode str
    CloseCode.GOING_AWAY = 1000  # error: GOING_AWAY
    truncate_reason(reason=b"bye")  # error: truncate_reason str
    truncate_reason(Order())  # error: truncate_reason Order str
    truncate_reason("bye", 100)  # error: argument
    cut: bytes = truncate_reason("bye")  # error: str bytes
    print(name, text, cut)
