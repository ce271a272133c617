"""The client: messages of the wrong direction, parameters of another contract, options without a meaning."""

from typing import Any, Never, assert_never

from tests.typing.cases.messages import (
    ChatConnection,
    ClientMessage,
    Join,
    Joined,
    Order,
    Room,
    Said,
    Say,
    ServerMessage,
)
from typedws import Connection, Contract, endpoint
from typedws.client import (
    Backoff,
    Change,
    ClientOptions,
    ClientState,
    ConnectTimeout,
    Connecting,
    ConnectionDenied,
    Reconnecting,
    SyncConnecting,
    SyncConnection,
    connect,
    connect_sync,
    reconnecting,
)

URL = "ws://127.0.0.1:8000/chat/{room}"
chat = Contract("chat", ChatConnection)
feed = Contract("feed", Connection[Never, Order])
paged = Contract("paged", Connection[Say, Said, Room])


@endpoint
async def talk(ws: ChatConnection) -> None: ...


# --- connect ---


async def what_goes_both_ways() -> None:
    async with connect(URL, chat) as ws:
        await ws.send_model(Said(text="hello"))  # error: Said
        message: Join = await ws.receive_model()  # error: Join
        match await ws.receive_model():
            case Joined():
                pass
            case unhandled:
                assert_never(unhandled)  # error: assert_never Said
        async for each in ws:
            order: Order = each  # error: Order
        await ws.accept()  # error: accept
        await ws.deny(401)  # error: deny
    async with connect(URL, feed) as prices:
        await prices.send_model(Order())  # error: Order Never
    connection: Connection[ClientMessage, ServerMessage] = await connect(URL, chat).__aenter__()  # error: Connection


def what_is_connected_to() -> None:
    connect()  # error: connect
    connect(URL, chat, Room())  # error: connect
    connect(url=b"ws://h/")  # error: connect
    connect(URL, contract=ChatConnection)  # error: connect
    connect(URL, talk)  # error: connect Endpoint
    connect(URL, "chat")  # error: connect
    with connect(URL, chat):  # error: Connecting
        pass


def parameters() -> None:
    connect("ws://h/", paged, params=Order())  # error: connect
    connect("ws://h/", paged, params={"room": 1})  # error: connect
    connect("ws://h/", params=Room())  # error: connect
    reconnecting("ws://h/", paged, params=Order())  # error: reconnecting
    connect_sync("ws://h/", paged, params=Order())  # error: connect_sync


def options(asked: ClientOptions) -> None:
    connect(URL, chat, headers="x-own: 1")  # error: connect
    connect(URL, chat, subprotocols=7)  # error: connect
    connect(URL, chat, ssl=True)  # error: connect
    connect(URL, chat, open_timeout="1 s")  # error: connect
    connect(URL, chat, close_timeout=None)  # error: connect None
    connect(URL, chat, ping_interval="1 s")  # error: connect
    connect(URL, chat, ping_timeout="1 s")  # error: connect
    connect(URL, chat, max_message_size=1.5)  # error: connect float
    connect(URL, chat, compression="gzip")  # error: connect
    connect(URL, chat, on_unknown="drop")  # error: connect
    connect(URL, chat, max_size=1)  # error: connect
    asked["headers"] = 7  # error: Mapping
    asked["timeout"] = 7  # error: timeout


# --- reconnecting ---


async def connections(after: Reconnecting[ServerMessage, ClientMessage]) -> None:
    async for ws in reconnecting(URL, chat):
        await ws.send_model(Joined())  # error: Joined
    async with reconnecting(URL, chat):  # error: Reconnecting
        pass
    for ws in reconnecting(URL, chat):  # error: Reconnecting
        pass
    other: Reconnecting[ClientMessage, ServerMessage] = after  # error: Reconnecting
    after.change = Change("idle")  # error: change
    await after.aclose(1000)  # error: arguments


def how_to_reconnect() -> None:
    reconnecting()  # error: reconnecting
    reconnecting(url=7)  # error: reconnecting
    reconnecting(URL, contract=talk)  # error: reconnecting Endpoint
    reconnecting(URL, params=Room())  # error: reconnecting
    reconnecting(URL, chat, backoff=1.5)  # error: reconnecting float
    reconnecting(URL, chat, retry={1011: "later"})  # error: later
    reconnecting(URL, chat, retry=[1011])  # error: reconnecting
    reconnecting(URL, chat, on_change=7)  # error: reconnecting
    reconnecting(URL, chat, max_tries=7)  # error: reconnecting
    Backoff(initial="1 s")  # error: float
    Backoff(maximum=None)  # error: None float
    Backoff(factor="2")  # error: float
    Backoff(healthy=None)  # error: None float
    Backoff(max_failures=1.5)  # error: float int
    Backoff().delay(failures="3")  # error: int
    Backoff().delay(3, draw="any")  # error: draw float
    Backoff().initial = 2  # error: initial
    state: ClientState = "closed"  # error: closed


# --- connect_sync ---


def for_scripts(ws: SyncConnection[ServerMessage, ClientMessage]) -> None:
    connect_sync()  # error: connect_sync
    connect_sync(url=7)  # error: connect_sync
    connect_sync(URL, contract=talk)  # error: connect_sync Endpoint
    connect_sync(URL, params=Room())  # error: connect_sync
    connect_sync(URL, chat, open_timeout="1 s")  # error: connect_sync
    with connect_sync(URL, chat) as opened:
        opened.send_model(Said(text="hello"))  # error: Said
        message: Join = opened.receive_model()  # error: Join


def what_is_not_to_be_made(connecting: Connecting[Any, Any], waiting: SyncConnecting[Any, Any]) -> None:
    Connecting(URL)  # error: contract params
    SyncConnecting(URL)  # error: Connecting
    Reconnecting(URL)  # error: contract params backoff retry on_change


def failures(denied: ConnectionDenied) -> None:
    status: str = denied.status  # error: int str
    ConnectTimeout("10 s")  # error: float
