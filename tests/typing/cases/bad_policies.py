"""Policies and the exceptions that end a handler: values of the wrong type, and values that are not allowed."""

from dataclasses import replace

from tests.typing.cases.messages import ChatConnection, Order
from typedws import App, Connection, Handshake, HTTPException, InvalidMessage, Policy, WebSocketException, endpoint


async def takes_the_error_alone(error: InvalidMessage) -> None: ...
async def takes_a_handshake(ws: Handshake, error: InvalidMessage) -> None: ...
async def takes_another_error(ws: Connection, error: OSError) -> None: ...
def is_not_asynchronous(ws: Connection, error: InvalidMessage) -> None: ...


def fields() -> None:
    Policy("*")  # error: argument
    Policy(origins=None)  # error: origins None
    Policy(origins=1)  # error: origins
    Policy(origins=[1])  # error: int str
    Policy(hosts=80)  # error: hosts
    Policy(hosts=[b"example.com"])  # error: bytes str
    Policy(on_invalid="ignore")  # error: on_invalid ignore
    Policy(on_invalid=None)  # error: on_invalid None
    Policy(on_invalid=takes_the_error_alone)  # error: on_invalid InvalidMessage
    Policy(on_invalid=takes_a_handshake)  # error: on_invalid Handshake
    Policy(on_invalid=takes_another_error)  # error: on_invalid OSError
    Policy(on_invalid=is_not_asynchronous)  # error: on_invalid None
    Policy(max_invalid="10")  # error: max_invalid int
    Policy(max_invalid=None)  # error: max_invalid None int
    Policy(max_message_size="64k")  # error: max_message_size int
    Policy(max_message_size=1.5)  # error: max_message_size float int
    Policy(handshake_timeout="10s")  # error: handshake_timeout float
    Policy(idle_timeout=Order())  # error: idle_timeout Order float
    Policy(send_timeout="30")  # error: send_timeout float
    Policy(max_connections=0.5)  # error: max_connections float int
    Policy(ping_timeout=20)  # error: ping_timeout


def it_is_frozen(policy: Policy) -> None:
    policy.origins = "*"  # error: origins
    policy.max_invalid = 3  # error: max_invalid
    print(policy.timeout)  # error: Policy timeout


def in_its_place(app: App) -> None:
    App(policy={"origins": "*"})  # error: policy Policy
    App(policy=Policy)  # error: policy type[Policy] Policy
    endpoint(policy="reply")  # error: endpoint
    app.websocket("/chat", policy="reply")  # error: websocket
    app.policy = None  # error: None Policy
    replace(app.policy, send_timeout=1).on_invalid = "drop"  # error: on_invalid


async def exceptions(ws: ChatConnection) -> None:
    HTTPException()  # error: status_code
    HTTPException("401")  # error: int
    HTTPException(status_code=Order())  # error: status_code Order int
    HTTPException(401, b"no")  # error: str
    HTTPException(401, detail={"reason": "no"})  # error: detail dict[str, str] str
    HTTPException(401, headers="retry-after: 1")  # error: headers str Mapping[str, str]
    HTTPException(401, headers={"retry-after": 1})  # error: int str
    HTTPException(401, code=4001)  # error: code
    WebSocketException()  # error: code
    WebSocketException("1008")  # error: int
    WebSocketException(code=Order())  # error: code Order int
    WebSocketException(1008, b"no")  # error: str
    WebSocketException(1008, reason=Order())  # error: reason Order str
    WebSocketException(1008, detail="no")  # error: detail
    print(WebSocketException(1008).status_code)  # error: WebSocketException status_code
    print(HTTPException(401).reason)  # error: HTTPException reason
    raise Policy()  # error: BaseException
