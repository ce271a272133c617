"""The request of a client: the URL with its parameters, header fields, offers; checked before anything is sent."""

from enum import Enum
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.support import stable_id
from typedws import Connection, Contract, FromCookie, FromHeader, InvalidHandshake, InvalidPath
from typedws._contract.params import read_params
from typedws._http.outgoing_request import OutgoingRequest
from typedws._http.path_templates import PathTemplate
from typedws._http.request import HandshakeRequest
from typedws._messages.adapter import adapter_for
from typedws.client import connect, connect_sync, reconnecting
from typedws.client.connecting import plan_for


class Colour(Enum):
    RED = "red"


class Room(BaseModel):
    room: str
    page: int = 1
    colour: Colour | None = None
    tags: list[str] = []
    tenant: Annotated[str | None, FromHeader("x-tenant")] = None
    session: Annotated[str | None, FromCookie()] = None


chat = Contract("chat", Connection[str, str, Room], modes=("text", "msgpack"))
plain = Contract("plain", Connection[str, str])


def request_for(url: str, params: object = None, contract: Any = chat, **options: Any) -> OutgoingRequest:
    return plan_for(url, contract, params, **options).request


@pytest.mark.parametrize(
    ("url", "params", "path", "query"),
    [
        ("ws://h/chat/{room}", Room(room="lobby"), "/chat/lobby", "page=1"),
        ("ws://h/chat/{room}?x=1", Room(room="a b ü?", page=2), "/chat/a%20b%20%C3%BC%3F", "x=1&page=2"),
        ("ws://h/chat/{room:path}", Room(room="a/b"), "/chat/a/b", "page=1"),
        ("ws://h/{room}/{page:int}", Room(room="lobby", page=7), "/lobby/7", ""),
        ("ws://h/caf%C3%A9/{room}", Room(room="lobby"), "/caf%C3%A9/lobby", "page=1"),
        ("ws://h/café/{room}", Room(room="lobby"), "/caf%C3%A9/lobby", "page=1"),
        ("ws://h/chat", Room(room="lobby", colour=Colour.RED), "/chat", "room=lobby&page=1&colour=red"),
        ("ws://h/chat", Room(room="a&b", tags=["x", "y"]), "/chat", "room=a%26b&page=1&tags=x&tags=y"),
        ("ws://h/chat/lobby?a=%20b&ü", None, "/chat/lobby", "a=%20b&%C3%BC"),
        ("ws://h", None, "/", ""),
    ],
)
def test_parameters_go_into_the_path_if_it_names_them_and_otherwise_into_the_query(
    url: str, params: Room | None, path: str, query: str
) -> None:
    request = request_for(url, params)
    assert (request.path, request.query) == (path, query)


def test_parameters_declared_as_headers_or_cookies_go_into_headers() -> None:
    params = Room(room="lobby", tenant="acme", session="s1")
    request = request_for("ws://h/{room}", params, headers={"X-Own": "1"})
    assert request.query == "page=1"
    assert request.headers == ((b"x-own", b"1"), (b"x-tenant", b"acme"), (b"cookie", b"session=s1"))


def test_without_a_declared_type_parameters_are_written_by_their_own_class() -> None:
    assert request_for("ws://h/{room}", Room(room="lobby"), plain).path == "/lobby"


@given(
    room=st.text(min_size=1).filter(lambda text: "/" not in text and text not in {".", ".."}),
    page=st.integers(0, 10**9),
    tags=st.lists(st.text()),
)
def test_the_server_reads_what_the_client_wrote(room: str, page: int, tags: list[str]) -> None:
    params = Room(room=room, page=page, tags=tags)
    template = "/chat/{room}/{page:int}"
    request = request_for(f"ws://h{template}", params)
    scope = request.scope(request.headers)
    scope["path_params"] = PathTemplate(template).match(scope["path"])
    assert read_params(HandshakeRequest(scope), adapter_for(Room)) == params


@pytest.mark.parametrize(
    ("url", "params", "error"),
    [
        ("ws://h/{room}", None, "url: expected params for room, found none"),
        ("ws://h/{room}", plain, "params: expected Room, found a Contract that does not fit"),
        ("ws://h/{room}/{page:uuid}", Room(room="a"), "params: expected values that fit into /{room}/{page:uuid}"),
        ("http://h/", None, "url: expected a ws:// or wss:// URL without a fragment, found URL('http://h/')"),
        ("http://h:80/", None, "url: expected a ws:// or wss:// URL without a fragment, found"),
        ("ws://h:x/", None, "url: expected a ws:// or wss:// URL without a fragment, found"),
        (
            "http://ann:secret@h/",
            None,
            "url: expected a ws:// or wss:// URL without a fragment, found URL('http://ann:***",
        ),
        ("ws:///chat", None, "url: expected a ws:// or wss:// URL without a fragment, found"),
        ("ws://h/#part", None, "url: expected a ws:// or wss:// URL without a fragment, found"),
        ("ws://h:99999/", None, "url: expected a ws:// or wss:// URL without a fragment, found"),
        ("ws://[::1/", None, "url: expected a ws:// or wss:// URL without a fragment, found"),
        ("ws://a..ü/", None, "url: expected a valid host name, found 'a..ü'"),
        ("chat", None, "url: expected a ws:// or wss:// URL without a fragment, found URL('chat')"),
    ],
)
def test_an_invalid_request_raises_before_connecting(url: str, params: Any, error: str) -> None:
    with pytest.raises(InvalidHandshake) as caught:
        request_for(url, params)
    assert str(caught.value).startswith(error)


def test_a_parameter_that_does_not_fit_into_the_path_raises() -> None:
    with pytest.raises(InvalidPath):
        request_for("ws://h/{room}", Room(room="a/b"))
    with pytest.raises(InvalidPath):
        request_for("ws://h/{nowhere}", Room(room="a"))


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"Upgrade": "h2c"}},
        {"headers": {"Sec-WebSocket-Key": "x"}},
        {"headers": {"Sec-WebSocket-Protocol": "chat"}},
        {"headers": {"X": "a\nb"}},
        {"headers": {"a b": "x"}},
        {"subprotocols": "chat"},
        {"subprotocols": ["a b"]},
        {"subprotocols": ["chat", "chat"]},
    ],
    ids=stable_id,
)
def test_headers_of_the_handshake_itself_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidHandshake):
        request_for("ws://h/", **options)


@pytest.mark.parametrize(
    ("url", "host", "port", "is_secure", "user_info"),
    [
        ("ws://Example.COM", "example.com", 80, False, None),
        ("wss://example.com/x", "example.com", 443, True, None),
        ("ws://example.com:8000", "example.com", 8000, False, None),
        ("ws://[::1]:8000/", "::1", 8000, False, None),
        ("ws://bücher.example/", "xn--bcher-kva.example", 80, False, None),
        ("ws://ann:s%40c@h/", "h", 80, False, ("ann", "s@c")),
        ("ws://ann@h/", "h", 80, False, ("ann", "")),
    ],
)
def test_a_url_names_the_host_the_port_and_the_user(
    url: str, host: str, port: int, is_secure: bool, user_info: tuple[str, str] | None
) -> None:
    request = request_for(url)
    assert (request.host, request.port, request.is_secure, request.user_info) == (host, port, is_secure, user_info)


def test_the_subprotocols_of_the_contract_are_offered_by_default() -> None:
    assert request_for("ws://h/").subprotocols == ("chat.v1.json", "chat.v1.msgpack")
    assert request_for("ws://h/", subprotocols=["chat.v1.msgpack"]).subprotocols == ("chat.v1.msgpack",)
    assert request_for("ws://h/", subprotocols=()).subprotocols == ()
    assert request_for("ws://h/", contract=None).subprotocols == ()


def test_everything_is_checked_by_the_call_and_not_on_entry() -> None:
    for function in (connect, reconnecting, connect_sync):
        with pytest.raises(InvalidHandshake):
            function("http://h/")
