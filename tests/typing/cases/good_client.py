"""The client: it receives the server messages of a contract, and sends the client messages."""

import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Never, assert_never, assert_type

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
from typedws import Closed, Connection, Contract, InvalidHandshake, TypedWSError, endpoint
from typedws.client import (
    Backoff,
    Change,
    ClientConnection,
    ClientNotInstalled,
    ClientOptions,
    ClientState,
    Compression,
    ConnectTimeout,
    Connecting,
    ConnectionDenied,
    ConnectionFailed,
    InvalidResponse,
    OnChange,
    OnUnknown,
    Reconnecting,
    ServerUnreachable,
    SyncConnecting,
    SyncConnection,
    TLSHandshakeFailed,
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


async def a_contract_types_both_ways() -> None:
    async with connect(URL, chat) as ws:
        assert_type(ws, ClientConnection[ServerMessage, ClientMessage])
        await ws.send_model(Say(text="hello"))
        message = await ws.receive_model()
        assert_type(message, Joined | Said)
        match message:
            case Joined():
                pass
            case Said():
                pass
            case _:
                assert_never(message)
        async for each in ws:
            assert_type(each, Joined | Said)
        assert_type(await ws.receive_model(Said), Said)
        assert_type(await ws.close(4001, "bye"), Closed)
        assert_type(ws.end, Closed | None)
        assert_type(ws.subprotocol, str | None)
        connection: Connection[ServerMessage, ClientMessage] = ws
        await connection.send_model(Join())
    async with connect(URL, talk.contract) as same:
        assert_type(same, ClientConnection[ServerMessage, ClientMessage])
    async with connect(URL, feed) as prices:
        assert_type(await prices.receive_model(), Order)


async def without_a_contract_each_call_names_its_type() -> None:
    async with connect("ws://h/") as ws:
        assert_type(ws, ClientConnection[object, Any])
        assert_type(await ws.receive_model(Order), Order)
        assert_type(await ws.receive_text(), str)
        await ws.send_model(Order())
        await ws.send_json({"a": 1})


def parameters_are_those_of_the_contract(params: Room) -> None:
    connect("ws://h/{room}", paged, params=params)
    reconnecting("ws://h/{room}", paged, params=params)
    connect_sync("ws://h/{room}", paged, params=params)
    connect("ws://h/{room}", paged, params=None)


def options(context: ssl.SSLContext, compression: Compression, on_unknown: OnUnknown) -> None:
    some: ClientOptions = {"headers": {"x-own": "1"}, "open_timeout": None}
    _connecting: AbstractAsyncContextManager[Connection[ServerMessage, ClientMessage], None] = connect(
        URL, chat, **some
    )
    assert_type(connect(URL), Connecting[object, Any])
    connect(
        URL,
        chat,
        headers=[("x-own", "1")],
        subprotocols=("chat.v1.json",),
        ssl=context,
        open_timeout=1,
        close_timeout=1.5,
        ping_interval=None,
        ping_timeout=None,
        max_message_size=None,
        compression=compression,
        on_unknown=on_unknown,
    )
    connect(URL, compression="deflate", on_unknown="skip")
    connect(URL, compression=None, on_unknown="raise", subprotocols=None, ssl=None, headers=None)


async def one_connection_after_another(on_change: OnChange) -> None:
    connections = reconnecting(URL, chat, backoff=Backoff(0.5, 30, max_failures=5), retry={1011: "backoff"})
    assert_type(connections, Reconnecting[ServerMessage, ClientMessage])
    _as_iterator: AsyncIterator[Connection[ServerMessage, ClientMessage]] = connections
    async for ws in connections:
        assert_type(ws, ClientConnection[ServerMessage, ClientMessage])
    async for bare in reconnecting("ws://h/", on_change=print, ping_interval=5):
        assert_type(bare, ClientConnection[object, Any])
    reconnecting(URL, chat, on_change=on_change, on_unknown="skip")
    change = connections.change
    assert_type(change, Change)
    assert_type(change.state, ClientState)
    assert_type(change.cause, Closed | ConnectionFailed | None)
    assert_type(change.delay, float | None)
    assert_type(Backoff().delay(3), float)
    await connections.aclose()


def for_scripts() -> None:
    with connect_sync(URL, chat) as ws:
        assert_type(ws, SyncConnection[ServerMessage, ClientMessage])
        ws.send_model(Say(text="hello"))
        assert_type(ws.receive_model(), Joined | Said)
        for message in ws:
            assert_type(message, Joined | Said)
    assert_type(connect_sync("ws://h/"), SyncConnecting[object, Any])
    _connecting: AbstractContextManager[SyncConnection[ServerMessage, ClientMessage], None] = connect_sync(URL, chat)


def failures(denied: ConnectionDenied, late: ConnectTimeout, url: InvalidHandshake) -> None:
    _several: list[ConnectionFailed] = [
        denied,
        late,
        ServerUnreachable("a", "b"),
        TLSHandshakeFailed("a", "b"),
        InvalidResponse("a", "b"),
    ]
    _timeout: TimeoutError = late
    _root: TypedWSError = ClientNotInstalled()
    assert_type(denied.status, int)
    assert_type(denied.body, bytes)
