"""The request of a handshake: the same typed values on every view."""

from collections.abc import Mapping, Sequence
from typing import Any, assert_type

from tests.typing.cases.messages import ChatConnection, ChatHandshake, ChatWebSocket
from typedws import Connection, Handshake, WebSocketState
from typedws._http.request import URL, Address, Headers, QueryParams, State


def parts(ws: ChatConnection | ChatHandshake | ChatWebSocket) -> None:
    assert_type(ws.url, URL)
    assert_type(ws.base_url, URL)
    assert_type(ws.headers, Headers)
    assert_type(ws.query_params, QueryParams)
    assert_type(ws.path_params, Mapping[str, Any])
    assert_type(ws.cookies, Mapping[str, str])
    assert_type(ws.client, Address | None)
    assert_type(ws.state, State)
    assert_type(ws.subprotocols, Sequence[str])
    assert_type(ws.app, Any)
    assert_type(ws.scope, Any)
    assert_type(ws["path"], Any)
    assert_type(ws.get("path"), Any | None)


def urls(ws: Connection) -> None:
    text: str = ws.url
    assert_type(text.upper(), str)
    assert_type(ws.url.path, str)
    assert_type(ws.url.hostname, str | None)
    assert_type(ws.url.port, int | None)
    assert_type(ws.url.is_secure, bool)
    assert_type(ws.url.replace(scheme="https", port=None), URL)
    assert_type(ws.url.replace("ws", "http"), str)
    assert_type(ws.url.include_query_params(page=2), URL)
    assert_type(ws.url.replace_query_params(page=2), URL)
    assert_type(ws.url.remove_query_params("page"), URL)
    assert_type(ws.url.remove_query_params(["page", "size"]), URL)
    assert_type(URL.from_scope(ws.scope, path="/", query=""), URL)


def fields(handshake: Handshake) -> None:
    assert_type(handshake.headers["host"], str)
    assert_type(handshake.headers.get("authorization"), str | None)
    assert_type(handshake.headers.get("authorization", ""), str)
    assert_type(handshake.headers.getlist("cookie"), list[str])
    assert_type(handshake.headers.raw, list[tuple[bytes, bytes]])
    assert_type(handshake.query_params["page"], str)
    assert_type(handshake.query_params.get("page"), str | None)
    assert_type(handshake.query_params.getlist("page"), list[str])
    assert_type(handshake.query_params.multi_items(), list[tuple[str, str]])
    assert_type(handshake.cookies.get("session"), str | None)
    if (client := handshake.client) is not None:
        assert_type(client.host, str)
        assert_type(client.port, int)


def state(handshake: Handshake) -> None:
    handshake.state.user = "ann"
    handshake.state["user"] = "ann"
    assert_type(handshake.state.name, Any)
    assert_type(handshake.state["name"], Any)


def states(ws: ChatWebSocket) -> None:
    assert_type(ws.client_state, WebSocketState)
    assert_type(ws.application_state, WebSocketState)
    if ws.client_state is WebSocketState.CONNECTED:
        assert_type(ws.application_state, WebSocketState)


def built() -> None:
    assert_type(Headers({"host": "localhost"})["host"], str)
    assert_type(Headers(raw=[(b"host", b"localhost")])["host"], str)
    assert_type(QueryParams("page=2")["page"], str)
    assert_type(QueryParams({"page": 2})["page"], str)
    assert_type(QueryParams([("page", 2)])["page"], str)
    assert_type(URL("ws://localhost").scheme, str)
