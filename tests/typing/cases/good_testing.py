"""Testing: the client's end of a connection receives server messages, and sends client messages."""

from collections.abc import Awaitable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from http import HTTPStatus
from typing import Any, Never, assert_never, assert_type

from fastapi import FastAPI
from starlette.applications import Starlette
from tests.typing.cases.messages import (
    ChatConnection,
    ChatHandshake,
    ClientMessage,
    Join,
    Joined,
    Order,
    Page,
    RushOrder,
    Said,
    Say,
    ServerMessage,
)
from typedws import (
    App,
    ApplicationCloseCode,
    Closed,
    Connection,
    Contract,
    Outcome,
    ProblemDocument,
    WebSocketDisconnect,
    endpoint,
)
from typedws.asgi import ASGIApp, Receive, Scope, Send
from typedws.client import Accepted, Caller, ClientConnection, SyncConnection
from typedws._http.headers import Headers
from typedws.testing import (
    ApplicationReturned,
    ClientGone,
    ConnectOptions,
    ConnectionDenied,
    ExpectationFailed,
    LifespanFailed,
    RequestOptions,
    ServerBehaviour,
    SyncTestConnecting,
    SyncTestConnection,
    TestClient,
    TestConnecting,
    TestConnection,
    Violation,
    WaitTimeout,
    advance_clock,
    connect,
    lifespan,
    settle,
)
from typedws.testing.pytest_plugin import Connect

app = App()
chat = Contract("chat", ChatConnection)
feed = Contract("feed", Connection[Never, Order])


class Closes(ApplicationCloseCode):
    LEFT = 4001, "you asked for it"


@app.websocket("/chat/{room}", chat)
async def talk(ws: ChatConnection) -> None:
    await ws.send_model(Joined())


@endpoint
async def decide(handshake: ChatHandshake) -> Outcome:
    return await handshake.deny(403)


@endpoint
async def feeds(ws: Connection[Never, Order]) -> None:
    await ws.send_model(Order())


@endpoint
async def talks_in_general(ws: Connection) -> None:
    await ws.send_json({})


async def raw(scope: Any, receive: Any, send: Any) -> None: ...
async def raw_and_typed(scope: Scope, receive: Receive, send: Send) -> None: ...


# --- the types that connect infers ---


def with_a_contract(any_app: ASGIApp) -> None:
    assert_type(connect(app, "/chat/lobby", chat), TestConnecting[Joined | Said, Join | Say])
    assert_type(connect(app, path="/chat/lobby", contract=chat), TestConnecting[Joined | Said, Join | Say])
    assert_type(connect(any_app, "/chat/lobby", chat), TestConnecting[Joined | Said, Join | Say])
    assert_type(connect(raw, "/chat/lobby", chat), TestConnecting[Joined | Said, Join | Say])
    assert_type(connect(Starlette(), "/chat/lobby", chat), TestConnecting[Joined | Said, Join | Say])
    assert_type(connect(FastAPI(), "/chat/lobby", chat), TestConnecting[Joined | Said, Join | Say])
    assert_type(connect(talk, "/", chat, path_params={"room": "lobby"}), TestConnecting[Joined | Said, Join | Say])
    assert_type(connect(talks_in_general, "/", chat), TestConnecting[Joined | Said, Join | Say])
    assert_type(connect(app, "/feed", feed), TestConnecting[Order, Never])


def with_an_endpoint_alone() -> None:
    assert_type(connect(talk), TestConnecting[Joined | Said, Join | Say])
    assert_type(connect(decide, "/?limit=3"), TestConnecting[Joined | Said, Join | Say])
    assert_type(connect(app=decide, contract=None), TestConnecting[Joined | Said, Join | Say])
    assert_type(connect(talk, path_params={"room": "lobby", "limit": 3}), TestConnecting[Joined | Said, Join | Say])
    assert_type(connect(feeds), TestConnecting[Order, Never])


def without_either(any_app: ASGIApp) -> None:
    assert_type(connect(app), TestConnecting[object, Any])
    assert_type(connect(app, "wss://chat.example/chat/lobby?name=ann"), TestConnecting[object, Any])
    assert_type(connect(app=any_app, path="/", contract=None), TestConnecting[object, Any])
    assert_type(connect(raw), TestConnecting[object, Any])
    assert_type(connect(raw_and_typed), TestConnecting[object, Any])


def with_options(given: ConnectOptions, asked: RequestOptions, dynamic: dict[str, Any]) -> None:
    assert_type(connect(app, "/", chat, **given), TestConnecting[Joined | Said, Join | Say])
    assert_type(connect(talk, **asked, timeout=1), TestConnecting[Joined | Said, Join | Say])
    assert_type(connect(talk, path_params=dynamic), TestConnecting[Joined | Said, Join | Say])
    connect(app, "/", **dynamic)
    connect(talks_in_general, **dynamic)
    connect(app, headers={"authorization": "Bearer token"}, subprotocols=["chat.v1.json"], timeout=0.5)
    connect(app, headers=[("cookie", "a=1"), ("cookie", "b=2")], subprotocols=("chat.v1.json",), path_params=None)
    connect(app, headers=[(b"cookie", b"a=1")], server=ServerBehaviour(both_data_keys=True))
    connect(app, headers=Headers(raw=[]), server=ServerBehaviour())
    connect(app, headers=None, timeout=1)
    some: ConnectOptions = {"subprotocols": [chat.name], "timeout": 2.5, "server": ServerBehaviour()}
    connect(talk, "/", **some)


async def what_is_made() -> None:
    connecting: AbstractAsyncContextManager[TestConnection[ServerMessage, ClientMessage], None] = connect(talk)
    async with connecting as ws:
        assert_type(ws, TestConnection[Joined | Said, Join | Say])
    async with connect(app, "/chat/lobby", chat) as ann, connect(app, "/chat/lobby") as bob:
        assert_type(ann, TestConnection[Joined | Said, Join | Say])
        assert_type(bob, TestConnection[object, Any])
    async with connect(feeds) as feed_of_orders:
        assert_type(feed_of_orders, TestConnection[Order, Never])
        async for order in feed_of_orders:
            assert_type(order, Order)


async def ends_well() -> Closed:
    async with connect(talk) as ws:
        return await ws.expect_close()


# --- messages, in swapped directions ---


async def messages_both_ways(ws: TestConnection[ServerMessage, ClientMessage]) -> None:
    await ws.send_model(Say(text="hello"))
    await ws.send_model(message=Join(), mode="binary")
    assert_type(await ws.receive_model(), Joined | Said)
    assert_type(await ws.receive_model(mode="text"), Joined | Said)
    assert_type(await ws.receive_model(Said), Said)
    async for message in ws:
        match message:
            case Joined(room=room):
                await ws.send_model(Say(text=room))
            case Said(text=text):
                await ws.send_model(Join(room=text))
            case _:
                assert_never(message)
    assert_type([each async for each in ws], list[Joined | Said])
    assert_type([each async for each in ws.iter_models(Joined)], list[Joined])


async def messages_of_no_contract(ws: TestConnection[object, Any]) -> None:
    await ws.send_model(Say())
    await ws.send_model({"type": "say"})
    await ws.send_text("text")
    await ws.send_bytes(b"bytes")
    await ws.send_json({"a": 1})
    assert_type(await ws.receive_model(Said), Said)
    assert_type(await ws.receive_model(Joined | Said), Joined | Said)
    assert_type(await ws.receive_model(ServerMessage), Joined | Said)
    assert_type(await ws.receive_text(), str)
    assert_type(await ws.receive_bytes(), bytes)
    assert_type(await ws.receive_json(), Any)
    async for message in ws:
        assert_type(message, object)


async def a_client_is_a_connection(tested: TestConnection[ServerMessage, ClientMessage], bare: TestConnection) -> None:
    client: ClientConnection[ServerMessage, ClientMessage] = tested
    connection: Connection[ServerMessage, ClientMessage] = client
    receives_more: TestConnection[Joined | Said | Order, Say] = tested
    assert_type(bare, TestConnection[object, Any])
    print(connection, receives_more)


# --- expectations ---


async def expectations(ws: TestConnection[ServerMessage, ClientMessage], bare: TestConnection[object, Any]) -> None:
    said = await ws.expect(Said)
    assert_type(said, Said)
    assert_type(said.text, str)
    assert_type(await ws.expect(Joined, room="lobby"), Joined)
    assert_type(await bare.expect(Order, id=7, form="as a field"), Order)
    assert_type(await bare.expect(RushOrder), RushOrder)
    assert_type(await bare.expect(Page[Order], total=0), Page[Order])
    assert_type(await bare.expect(int), int)
    assert_type(await bare.expect(Joined | Said), Joined | Said)
    assert_type(await bare.expect(ServerMessage), Joined | Said)
    assert_type(await bare.expect(list[Order]), list[Order])
    assert_type(await ws.expect_nothing(), None)


async def ends(ws: TestConnection[ServerMessage, ClientMessage]) -> None:
    assert_type(await ws.expect_close(), Closed)
    await ws.expect_close(4001)
    await ws.expect_close(Closes.LEFT)
    await ws.expect_close(Closes.LEFT, Closes.LEFT.description)
    await ws.expect_close(code=1000, reason="")
    await ws.expect_close(reason=None)
    assert_type(await ws.close(Closes.LEFT), Closed)
    assert_type(await ws.close(1001, "bye"), Closed)
    if (end := ws.end) is not None:
        assert_type(end.code, int)
        assert_type(end.reason, str)


async def denials() -> None:
    denied = await connect(app, "/chat/lobby", chat).expect_denied(403)
    assert_type(denied, ConnectionDenied)
    assert_type(await connect(decide).expect_denied(), ConnectionDenied)
    assert_type(await connect(app).expect_denied(status=None), ConnectionDenied)
    await connect(app).expect_denied(HTTPStatus.FORBIDDEN)
    assert_type(denied.status, int)
    assert_type(denied.headers, Headers)
    assert_type(denied.headers["content-type"], str)
    assert_type(denied.body, bytes)
    assert_type(denied.problem, ProblemDocument | None)
    if denied.problem is not None:
        assert_type(denied.problem.detail, str | None)
    try:
        async with connect(app):
            pass
    except ConnectionDenied as caught:
        assert_type(caught.problem, ProblemDocument | None)


def denials_by_hand() -> list[ConnectionDenied]:
    return [
        ConnectionDenied(403),
        ConnectionDenied(status=401, headers=Headers(raw=[]), body=b"no"),
        ConnectionDenied(404, None),
    ]


async def failures(ws: TestConnection[ServerMessage, ClientMessage]) -> None:
    try:
        await ws.expect(Said)
    except (ExpectationFailed, WaitTimeout, ApplicationReturned, LifespanFailed) as failed:
        assert_type(failed.expected, str)
        assert_type(failed.found, str)
        assert_type(failed.events, tuple[str, ...])
    except (ClientGone, WebSocketDisconnect):
        pass
    assertion: AssertionError = ExpectationFailed("this", "that")
    timeout: TimeoutError = WaitTimeout("this", "that", ["an event"])
    print(assertion, timeout)


# --- faults ---


async def faults(ws: TestConnection[ServerMessage, ClientMessage], violation: Violation) -> None:
    ws.lose()
    ws.lose(at_message=3)
    ws.lose(at_message=None)
    ws.stop_reading()
    ws.read_again()
    await ws.send_malformed("invalid_utf8")
    await ws.send_malformed("protocol_error")
    await ws.send_malformed(violation=violation)
    ws.shut_down_server()


def behaviours() -> ServerBehaviour:
    hypercorn = ServerBehaviour(drops_sends_silently=True, cancelled_at_shutdown=True, both_data_keys=True)
    daphne = ServerBehaviour(no_denial_extension=True, no_close_reason=True, max_message_size=2**20)
    assert_type(hypercorn.drops_sends_silently, bool)
    assert_type(hypercorn.cancelled_at_shutdown, bool)
    assert_type(hypercorn.both_data_keys, bool)
    assert_type(daphne.no_denial_extension, bool)
    assert_type(daphne.no_close_reason, bool)
    assert_type(daphne.max_message_size, int)
    return ServerBehaviour()


# --- the lifespan and the clock ---


async def lives(any_app: ASGIApp) -> None:
    async with lifespan(app) as state:
        assert_type(state, Mapping[str, Any])
        async with connect(app):
            pass
    async with lifespan(any_app, timeout=0.5), lifespan(app=raw):
        pass


async def time() -> None:
    assert_type(await advance_clock(20), None)
    await advance_clock(seconds=0.5)
    assert_type(await settle(), None)


# --- tests that do not await ---


def without_await(any_app: ASGIApp, asked: RequestOptions) -> None:
    with TestClient(app) as client:
        assert_type(client, TestClient)
        assert_type(client.websocket_connect("/chat/lobby", chat), SyncTestConnecting[Joined | Said, Join | Say])
        assert_type(
            client.websocket_connect(path="/chat/lobby", contract=chat), SyncTestConnecting[Joined | Said, Join | Say]
        )
        assert_type(client.websocket_connect(), SyncTestConnecting[object, Any])
        assert_type(client.websocket_connect("/chat/lobby", None), SyncTestConnecting[object, Any])
        assert_type(client.websocket_connect("/feed", feed), SyncTestConnecting[Order, Never])
        assert_type(client.websocket_connect("/chat", chat, **asked), SyncTestConnecting[Joined | Said, Join | Say])
        client.websocket_connect("/", chat, headers={"x-own": "1"}, subprotocols=["chat.v1.json"])
        client.websocket_connect("/", headers=[("x-own", "1")], path_params={"room": "lobby"})
        assert_type(client.advance_clock(20), None)
        client.advance_clock(seconds=0.5)
        assert_type(client.websocket_connect().expect_denied(403), ConnectionDenied)
        client.websocket_connect().expect_denied(status=None)
        client.websocket_connect().expect_denied()
    TestClient(talk, server=ServerBehaviour(), timeout=0.5, backend="trio")
    TestClient(raw, backend="asyncio", backend_options={"use_uvloop": True})
    TestClient(app=any_app, backend_options=None)


def what_is_made_without_await(client: TestClient) -> None:
    connecting: AbstractContextManager[SyncTestConnection[ServerMessage, ClientMessage], None]
    connecting = client.websocket_connect("/chat/lobby", chat)
    with connecting as ws, client.websocket_connect("/chat/lobby") as bare:
        assert_type(ws, SyncTestConnection[Joined | Said, Join | Say])
        assert_type(bare, SyncTestConnection[object, Any])


def messages_without_await(ws: SyncTestConnection[ServerMessage, ClientMessage]) -> None:
    assert_type(ws.send_model(Say(text="hello")), None)
    ws.send_model(message=Join(), mode="binary")
    assert_type(ws.receive_model(), Joined | Said)
    assert_type(ws.receive_model(mode="text"), Joined | Said)
    assert_type(ws.receive_model(Said), Said)
    assert_type(ws.receive_model(Said, "text"), Said)
    assert_type(ws.receive_model(Joined | Said), Joined | Said)
    assert_type(iter(ws), Iterator[Joined | Said])
    for message in ws:
        match message:
            case Joined(room=room):
                ws.send_model(Say(text=room))
            case Said(text=text):
                ws.send_model(Join(room=text))
            case _:
                assert_never(message)
    ws.send_text("text")
    ws.send_text(data="text")
    ws.send_bytes(b"bytes")
    ws.send_json({"a": 1}, mode="binary")
    assert_type(ws.receive_text(), str)
    assert_type(ws.receive_bytes(), bytes)
    assert_type(ws.receive_json("text"), Any)


def messages_of_no_contract_without_await(ws: SyncTestConnection[object, Any]) -> None:
    ws.send_model(Say())
    assert_type(ws.receive_model(), object)
    assert_type(ws.receive_model(Said), Said)
    assert_type(ws.expect(list[Order]), list[Order])


def expectations_without_await(ws: SyncTestConnection[ServerMessage, ClientMessage], violation: Violation) -> None:
    assert_type(ws.expect(Said, text="hello"), Said)
    assert_type(ws.expect(Joined), Joined)
    assert_type(ws.expect_nothing(), None)
    assert_type(ws.expect_close(), Closed)
    ws.expect_close(Closes.LEFT, reason=Closes.LEFT.description)
    ws.lose()
    ws.lose(at_message=1)
    ws.stop_reading()
    ws.read_again()
    ws.send_malformed("too_big")
    ws.send_malformed(violation=violation)
    ws.shut_down_server()
    assert_type(ws.close(), Closed)
    assert_type(ws.close(Closes.LEFT, None), Closed)


# --- the classes of client connections ---


async def a_client(ws: ClientConnection[ServerMessage, ClientMessage], scope: Scope) -> None:
    await ws.send_model(Say())
    assert_type(await ws.receive_model(), Joined | Said)
    assert_type(ws.subprotocol, str | None)
    assert_type(ws.response_headers, Headers)
    assert_type(ws.end, Closed | None)
    accepted = Accepted("chat.v1.json", Headers(raw=[]))
    assert_type(accepted.subprotocol, str | None)
    assert_type(accepted.headers, Headers)

    async def receive() -> Mapping[str, Any]:
        return {}

    async def send(event: Mapping[str, Any]) -> None: ...

    ClientConnection[ServerMessage, ClientMessage](scope, receive, send, accepted, chat)
    ClientConnection[object, Any](scope, receive=receive, send=send, accepted=accepted, contract=None)


def a_client_without_await(
    tested: SyncTestConnection[ServerMessage, ClientMessage],
    connection: ClientConnection[ServerMessage, ClientMessage],
    caller: Caller,
) -> None:
    ws: SyncConnection[ServerMessage, ClientMessage] = tested
    receives_more: SyncConnection[Joined | Said | Order, Say] = ws
    assert_type(ws.subprotocol, str | None)
    assert_type(ws.response_headers, Headers)
    assert_type(ws.end, Closed | None)
    assert_type(SyncConnection(connection, caller), SyncConnection[Joined | Said, Join | Say])
    print(receives_more)


# --- the fixture of pytest ---


async def with_the_fixture(typedws_connect: Connect, any_app: ASGIApp, given: ConnectOptions) -> None:
    assert_type(await typedws_connect(app, "/chat/lobby", chat), TestConnection[Joined | Said, Join | Say])
    assert_type(await typedws_connect(talk), TestConnection[Joined | Said, Join | Say])
    assert_type(await typedws_connect(talk, "/", **given), TestConnection[Joined | Said, Join | Say])
    assert_type(await typedws_connect(feeds, timeout=1), TestConnection[Order, Never])
    assert_type(await typedws_connect(any_app), TestConnection[object, Any])
    assert_type(await typedws_connect(app=raw, path="/", headers={"x-own": "1"}), TestConnection[object, Any])
    awaited: Awaitable[TestConnection[ServerMessage, ClientMessage]] = typedws_connect(talk, subprotocols=["chat"])
    print(awaited)
