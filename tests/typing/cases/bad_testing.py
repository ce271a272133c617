"""Testing: messages of the wrong direction, requests that no client makes, invalid faults and servers."""

from typing import Never, assert_never

from tests.typing.cases.messages import (
    ChatConnection,
    ClientMessage,
    Join,
    Joined,
    Order,
    Said,
    Say,
    ServerMessage,
)
from typedws import App, Closed, Connection, Contract, ProblemDocument, endpoint
from typedws.asgi import Receive, Scope, Send
from typedws.client import Accepted, Caller, ClientConnection, SyncConnection
from typedws._http.headers import Headers
from typedws.testing import (
    ConnectOptions,
    ConnectionDenied,
    RequestOptions,
    ServerBehaviour,
    SyncTestConnecting,
    SyncTestConnection,
    TestClient,
    TestConnecting,
    TestConnection,
    Violation,
    advance_clock,
    connect,
    lifespan,
    settle,
)
from typedws.testing.pytest_plugin import Connect

app = App()
chat = Contract("chat", ChatConnection)
feed = Contract("feed", Connection[Never, Order])


async def listens(ws: ChatConnection) -> None: ...


talk = endpoint(listens)


# --- connect ---


def applications_and_contracts() -> None:
    connect()  # error: connect
    connect(listens)  # error: connect
    connect("/chat")  # error: connect
    connect(app=Order())  # error: connect Order
    connect(app, chat)  # error: connect Contract
    connect(app, b"/chat", chat)  # error: connect
    connect(app, path=Order())  # error: connect Order
    connect(talk, 7)  # error: connect
    connect(app, "/chat", ChatConnection)  # error: connect
    connect(app, "/chat", contract="chat")  # error: connect
    connect(app, "/chat", talk)  # error: connect Endpoint
    connect(app, "/chat", chat, ["chat.v1.json"])  # error: connect list
    connect(talk, "/", Order())  # error: connect Order


def options(asked: RequestOptions) -> None:
    connect(app, headers="x-own: 1")  # error: connect str
    connect(app, "/chat", chat, headers={"x-own": 1})  # error: connect int
    connect(app, headers=[("x-own", b"1")])  # error: connect bytes
    connect(app, subprotocols=7)  # error: connect
    connect(talk, subprotocols=[b"chat.v1.json"])  # error: bytes str
    connect(app, "/chat", chat, subprotocols=None)  # error: connect None
    connect(talk, path_params="lobby")  # error: connect str
    connect(talk, path_params={7: "lobby"})  # error: int str
    connect(app, server="hypercorn")  # error: connect
    connect(app, server=ServerBehaviour)  # error: connect ServerBehaviour
    connect(app, "/chat", chat, server=None)  # error: connect None
    connect(app, timeout="1 s")  # error: connect
    connect(talk, timeout=None)  # error: connect None
    connect(app, params={"name": "ann"})  # error: connect dict
    connect(app, "/chat", chat, headers=ChatConnection)  # error: connect
    wrong: ConnectOptions = {"timeout": "1 s"}  # error: str float
    more: ConnectOptions = {"params": {}}  # error: params ConnectOptions
    waiting: RequestOptions = {"timeout": 1}  # error: timeout RequestOptions
    asked["subprotocols"] = 7  # error: Sequence[str]
    print(wrong, more, waiting)


async def what_is_made(connecting: TestConnecting[ServerMessage, ClientMessage]) -> None:
    with connecting:  # error: TestConnecting
        pass
    async with connect:  # error: __aenter__
        pass
    await connecting  # error: TestConnecting
    await connecting.send_model(Say())  # error: TestConnecting send_model
    swapped: TestConnecting[ClientMessage, ServerMessage] = connecting  # error: TestConnecting
    orders: TestConnecting[Order, ClientMessage] = connect(app, "/chat", chat)  # error: Order
    others: TestConnecting[ServerMessage, Order] = connect(talk)  # error: TestConnecting Order
    print(swapped, orders, others)
    await connecting.expect_denied("403")  # error: expect_denied int
    await connecting.expect_denied(status=Order())  # error: expect_denied Order int
    connecting.expect_denied()  # error: used
    TestConnecting(app, chat, {}, ServerBehaviour())  # error: timeout
    TestConnecting(Order(), chat, {}, ServerBehaviour(), 1)  # error: Order ASGIApp
    TestConnecting(app, Order(), {}, ServerBehaviour(), 1)  # error: Order Contract
    TestConnecting(app, chat, Order(), ServerBehaviour(), 1)  # error: Order Mapping[str, Any]
    TestConnecting(app, chat, {}, Order(), 1)  # error: Order ServerBehaviour
    TestConnecting(app, chat, {}, ServerBehaviour(), Order())  # error: Order float


# --- messages, in swapped directions ---


async def messages_both_ways(ws: TestConnection[ServerMessage, ClientMessage]) -> None:
    await ws.send_model(Said())  # error: send_model Said Join Say
    await ws.send_model(message=Order())  # error: send_model Order Join Say
    await ws.send_model({"type": "say"})  # error: send_model dict[str, str] Say
    say: Say = await ws.receive_model()  # error: Joined Say
    said: Said = await ws.receive_model()  # error: Joined Said
    print(say, said)
    ws.send_model(Say())  # error: used
    async for message in ws:
        match message:
            case Joined():
                pass
            case _:
                assert_never(message)  # error: Said Never
    client: ClientConnection[ClientMessage, ServerMessage] = ws  # error: ClientConnection
    narrower: TestConnection[Said, ClientMessage] = ws  # error: TestConnection Said
    wider: TestConnection[ServerMessage, Join | Say | Order] = ws  # error: TestConnection Order
    print(client, narrower, wider)


async def by_the_contract_of_what_is_connected() -> None:
    async with connect(app, "/chat", chat) as ws:
        await ws.send_model(Said())  # error: send_model Said Join Say
        order: Order = await ws.receive_model()  # error: Joined Order
        print(order)
    async with connect(talk) as ws:
        await ws.send_model(Joined())  # error: send_model Joined Join Say
    async with connect(app, "/feed", feed) as client:
        await client.send_model(Order())  # error: send_model Order Never
        text: Said = await client.receive_model()  # error: Order Said
        print(text)
    async with connect(app) as bare:
        undeclared: Order = await bare.receive_model()  # error: object Order
        print(undeclared.id)


# --- expectations ---


async def expectations(ws: TestConnection[ServerMessage, ClientMessage]) -> None:
    joined: Joined = await ws.expect(Said)  # error: Said Joined
    print(joined, (await ws.expect(Said)).room)  # error: Said room
    text: Said = ws.expect(Said)  # error: Coroutine Said
    print(text)
    await ws.expect()  # error: argument
    await ws.expect(Said())  # error: expect Said
    await ws.expect("said")  # error: expect
    await ws.expect(7)  # error: expect
    await ws.expect(Said, "hello")  # error: argument
    await ws.expect(form=Said)  # error: argument
    ws.expect(Said)  # error: used
    await ws.expect_nothing(1)  # error: argument
    ws.expect_nothing()  # error: used


async def ends(ws: TestConnection[ServerMessage, ClientMessage]) -> None:
    await ws.expect_close("1000")  # error: expect_close int
    await ws.expect_close(code=None)  # error: expect_close None int
    await ws.expect_close(Order())  # error: expect_close Order int
    await ws.expect_close(1000, 7)  # error: expect_close str
    await ws.expect_close(reason=Said())  # error: expect_close Said str
    ws.expect_close()  # error: used
    said: Said = await ws.expect_close()  # error: Closed Said
    print(said, ws.end.code)  # error: None code
    ws.end = None  # error: end


def denials(denied: ConnectionDenied) -> None:
    print(denied.problem.detail)  # error: None detail
    problem: ProblemDocument = denied.problem  # error: ProblemDocument None
    print(problem, denied.problem())  # error: ProblemDocument
    denied.problem = None  # error: problem
    text: str = denied.body  # error: bytes str
    print(text, denied.reason)  # error: ConnectionDenied reason
    ConnectionDenied()  # error: status
    ConnectionDenied("403")  # error: int
    ConnectionDenied(status=None)  # error: None int
    ConnectionDenied(403, {"x-own": "1"})  # error: Headers
    ConnectionDenied(403, headers=[])  # error: Headers
    ConnectionDenied(403, None, "no")  # error: bytes
    ConnectionDenied(403, body=Order())  # error: Order bytes


# --- faults ---


async def faults(ws: TestConnection[ServerMessage, ClientMessage]) -> None:
    ws.lose(3)  # error: argument
    ws.lose(at_message="3")  # error: lose int
    await ws.lose()  # error: None
    ws.stop_reading(1)  # error: argument
    ws.read_again(1)  # error: argument
    await ws.send_malformed("too_large")  # error: send_malformed too_large
    await ws.send_malformed(violation=7)  # error: send_malformed violation
    await ws.send_malformed()  # error: violation
    ws.send_malformed("too_big")  # error: used
    ws.shut_down_server(1)  # error: argument
    violation: Violation = "too_small"  # error: too_small
    print(violation)


def behaviours(behaviour: ServerBehaviour) -> None:
    ServerBehaviour(True)  # error: argument
    ServerBehaviour(drops_sends_silently="yes")  # error: bool
    ServerBehaviour(no_denial_extension=1)  # error: bool
    ServerBehaviour(no_close_reason=None)  # error: None bool
    ServerBehaviour(cancelled_at_shutdown="asyncio")  # error: bool
    ServerBehaviour(both_data_keys=Order())  # error: Order bool
    ServerBehaviour(max_message_size="1 MB")  # error: int
    ServerBehaviour(max_message_size=None)  # error: None int
    ServerBehaviour(name="hypercorn")  # error: name
    behaviour.both_data_keys = True  # error: both_data_keys
    print(behaviour.name)  # error: ServerBehaviour name


# --- the lifespan and the clock ---


async def lives() -> None:
    async with lifespan(listens):  # error: ASGIApp
        pass
    async with lifespan(app=Order()):  # error: Order ASGIApp
        pass
    async with lifespan(app, 1):  # error: argument
        pass
    async with lifespan(app, timeout="1 s"):  # error: timeout float
        pass
    with lifespan(app):  # error: __enter__
        pass
    async with lifespan(app) as state:
        state["number"] = 7  # error: Mapping


async def time() -> None:
    await advance_clock("20")  # error: advance_clock float
    await advance_clock(seconds=Order())  # error: advance_clock Order float
    await advance_clock()  # error: seconds
    advance_clock(20)  # error: used
    await settle(1)  # error: argument
    settle()  # error: used


# --- tests that do not await ---


def clients(client: TestClient) -> None:
    TestClient()  # error: app
    TestClient(listens)  # error: ASGIApp
    TestClient(app=Order())  # error: Order ASGIApp
    TestClient(app, ServerBehaviour())  # error: argument
    TestClient(app, server="hypercorn")  # error: ServerBehaviour
    TestClient(app, timeout="1 s")  # error: float
    TestClient(app, backend=7)  # error: str
    TestClient(app, backend_options="uvloop")  # error: Mapping
    TestClient(app, base_url="http://testserver")  # error: base_url
    client.get("/")  # error: TestClient get
    client.advance_clock("20")  # error: advance_clock float
    client.advance_clock(seconds=None)  # error: advance_clock None float
    client.websocket_connect(chat)  # error: websocket_connect Contract
    client.websocket_connect(path=Order())  # error: websocket_connect Order
    client.websocket_connect("/chat", ChatConnection)  # error: websocket_connect
    client.websocket_connect("/chat", contract="chat")  # error: websocket_connect
    client.websocket_connect("/chat", chat, headers={"x-own": 1})  # error: websocket_connect int
    client.websocket_connect("/chat", subprotocols=[b"chat.v1.json"])  # error: bytes str
    client.websocket_connect("/chat", path_params="lobby")  # error: websocket_connect str
    client.websocket_connect("/chat", chat, timeout=1)  # error: websocket_connect
    client.websocket_connect("/chat", server=ServerBehaviour())  # error: websocket_connect ServerBehaviour


async def what_is_made_without_await(
    connecting: SyncTestConnecting[ServerMessage, ClientMessage], client: TestClient
) -> None:
    async with connecting:  # error: SyncTestConnecting
        pass
    async with client:  # error: TestClient
        pass
    connecting.send_model(Say())  # error: SyncTestConnecting send_model
    connecting.expect_denied("403")  # error: expect_denied int
    orders: SyncTestConnecting[Order, ClientMessage] = client.websocket_connect("/", chat)  # error: Order
    print(orders)
    SyncTestConnecting(connect(app))  # error: portal
    SyncTestConnecting(Order(), Order)  # error: SyncTestConnecting Order
    with connecting as ws:
        ws.send_model(Said())  # error: send_model Said Join Say


def messages_without_await(ws: SyncTestConnection[ServerMessage, ClientMessage]) -> None:
    ws.send_model(Said())  # error: send_model Said Join Say
    ws.send_model(message=Order())  # error: send_model Order Join Say
    ws.send_model(Say(), mode=Order())  # error: send_model Order
    ws.send_text(b"hello")  # error: send_text str
    ws.send_bytes("hello")  # error: send_bytes bytes
    ws.send_json({}, mode=Order())  # error: send_json Order
    say: Say = ws.receive_model()  # error: Joined Say
    order: Order = ws.receive_model(Said)  # error: Said Order
    print(say, order)
    ws.receive_model(Order())  # error: receive_model Order
    ws.receive_model(mode=1)  # error: receive_model
    ws.receive_json(mode=Order())  # error: receive_json Order
    text: str = ws.receive_bytes()  # error: bytes str
    data: bytes = ws.receive_text()  # error: str bytes
    print(text, data)
    for message in ws:
        match message:
            case Joined():
                pass
            case _:
                assert_never(message)  # error: Said Never
    ws.close("1000")  # error: close int
    ws.close(1000, reason=7)  # error: close str


async def awaited_in_vain(ws: SyncTestConnection[ServerMessage, ClientMessage]) -> None:
    await ws.receive_model(Said)  # error: Said
    await ws.send_model(Say())  # error: None
    async for _ in ws:  # error: SyncTestConnection
        pass
    awaiting: TestConnection[ServerMessage, ClientMessage] = ws  # error: SyncTestConnection TestConnection
    print(awaiting)


def expectations_without_await(ws: SyncTestConnection[ServerMessage, ClientMessage]) -> None:
    joined: Joined = ws.expect(Said)  # error: Said Joined
    print(joined, ws.expect(Said).room)  # error: Said room
    ws.expect(Said())  # error: expect Said
    ws.expect(Said, "hello")  # error: argument
    ws.expect_nothing(1)  # error: argument
    ws.expect_close("1000")  # error: expect_close int
    ws.expect_close(1000, 7)  # error: expect_close str
    ws.lose(3)  # error: argument
    ws.lose(at_message="3")  # error: lose int
    ws.stop_reading(1)  # error: argument
    ws.read_again(1)  # error: argument
    ws.send_malformed("too_large")  # error: send_malformed too_large
    ws.shut_down_server(1)  # error: argument


# --- the classes of client connections ---


async def a_client(
    ws: ClientConnection[ServerMessage, ClientMessage],
    scope: Scope,
    receive: Receive,
    send: Send,
    accepted: Accepted,
) -> None:
    await ws.send_model(Said())  # error: send_model Said Join Say
    protocol: str = ws.subprotocol  # error: None str
    print(protocol, ws.subprotocol())  # error: str
    ws.subprotocol = "chat.v1.json"  # error: subprotocol
    ws.response_headers = Headers(raw=[])  # error: response_headers
    field: bytes = ws.response_headers["x-own"]  # error: str bytes
    end: Closed = ws.end  # error: Closed None
    print(field, end)
    await ws.expect(Said)  # error: ClientConnection expect
    ClientConnection(scope, receive, send, accepted)  # error: contract
    ClientConnection(Order(), receive, send, accepted, chat)  # error: Order
    ClientConnection(scope, Order(), send, accepted, chat)  # error: Order
    ClientConnection(scope, receive, Order(), accepted, chat)  # error: Order
    ClientConnection(scope, receive, send, Order(), chat)  # error: Order Accepted
    ClientConnection(scope, receive, send, accepted, Order())  # error: Order Contract
    ClientConnection(scope, receive, send, accepted, chat, line=Order())  # error: Order Line
    Accepted("chat.v1.json")  # error: headers
    Accepted(Order(), Headers(raw=[]))  # error: Order str
    accepted.subprotocol = None  # error: subprotocol


def a_client_without_await(
    ws: SyncConnection[ServerMessage, ClientMessage],
    connection: ClientConnection[ServerMessage, ClientMessage],
    tested: TestConnection[ServerMessage, ClientMessage],
    caller: Caller,
) -> None:
    ws.send_model(Said())  # error: send_model Said Join Say
    protocol: str = ws.subprotocol  # error: None str
    field: bytes = ws.response_headers["x-own"]  # error: str bytes
    print(protocol, field, ws.end.code)  # error: None code
    swapped: SyncConnection[ClientMessage, ServerMessage] = ws  # error: SyncConnection
    print(swapped, ws.expect(Said))  # error: SyncConnection expect
    SyncConnection(connection)  # error: caller
    SyncConnection(Order(), caller)  # error: SyncConnection Order
    SyncConnection(connection, Order())  # error: Order Caller
    SyncTestConnection(connection, caller)  # error: ClientConnection TestConnection
    SyncTestConnection(tested, Order())  # error: Order Caller
    TestConnection(connection, accepted=None, contract=chat)  # error: abstract


# --- the fixture of pytest ---


async def with_the_fixture(typedws_connect: Connect) -> None:
    await typedws_connect(listens)  # error: __call__
    await typedws_connect(app, chat)  # error: Contract
    await typedws_connect(app, "/chat", ChatConnection)  # error: __call__
    await typedws_connect(talk, timeout="1 s")  # error: __call__
    await typedws_connect(app, params={})  # error: dict
    ws = await typedws_connect(app, "/chat", chat)
    await ws.send_model(Said())  # error: send_model Said Join Say
    async with typedws_connect(talk):  # error: Coroutine
        pass
    typedws_connect(talk)  # error: used
    said: Said = await typedws_connect(talk)  # error: TestConnection Said
    print(said)
