"""`typedws._http.request`: requests and state. The classic class is the oracle for all that both have in common."""

import copy
import weakref
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from typedws._http.request import Address, HandshakeRequest, State

T = TypeVar("T")

SCOPE: dict[str, Any] = {
    "type": "websocket",
    "scheme": "wss",
    "path": "/app/chat/lobby",
    "root_path": "/app",
    "query_string": b"token=1&token=2",
    "headers": [(b"host", b"example.org"), (b"cookie", b"a=1"), (b"cookie", b"b=2; a=3")],
    "client": ["10.0.0.2", 50000],
    "server": ("10.0.0.1", 443),
    "subprotocols": ["chat.v2", "chat.v1"],
    "path_params": {"room": "lobby"},
    "app": object(),
    "state": {"pool": 1},
}
MISSING: dict[str, Any] = {"type": "websocket", "path": "/", "headers": []}


def scope_of(**parts: object) -> dict[str, Any]:
    return {**SCOPE, **parts}


def test_a_request_has_the_values_of_the_classic_class() -> None:
    ours, classic = HandshakeRequest(SCOPE), HTTPConnection(SCOPE)
    assert dict(ours) == dict(classic)
    assert ours.url == str(classic.url)
    assert ours.base_url == str(classic.base_url)
    assert ours.headers.raw == classic.headers.raw
    assert ours.query_params.multi_items() == classic.query_params.multi_items()
    assert ours.path_params == classic.path_params
    assert ours.cookies == classic.cookies
    assert str(ours.client) == str(classic.client)
    assert ours.app is classic.app
    assert ours.state.pool == 1
    assert ours.subprotocols == ("chat.v2", "chat.v1")


def test_a_request_is_the_scope_as_a_mapping() -> None:
    request = HandshakeRequest(SCOPE)
    assert request["path"] == "/app/chat/lobby"
    assert (len(request), list(request), "path" in request) == (len(SCOPE), list(SCOPE), True)
    assert request.get("absent") is None


def test_a_request_equals_only_itself() -> None:
    one, other = HandshakeRequest(SCOPE), HandshakeRequest(SCOPE)
    assert one != other
    assert [one, other].index(other) == 1
    assert len({one, other}) == 2


@pytest.mark.parametrize("name", ["url", "base_url", "headers", "query_params", "cookies", "state"])
def test_a_value_is_built_once(name: str) -> None:
    request = HandshakeRequest(scope_of())
    assert getattr(request, name) is getattr(request, name)


def test_optional_keys_that_a_scope_omits_read_as_empty() -> None:
    request = HandshakeRequest(dict(MISSING))
    assert (request.url, request.base_url, request.client) == ("/", "/", None)
    assert (dict(request.headers), dict(request.query_params)) == ({}, {})
    assert (request.cookies, request.path_params, request.subprotocols) == ({}, {}, ())
    with pytest.raises(KeyError):
        _ = request.app


@pytest.mark.parametrize("name", ["query_string", "client", "subprotocols"])
def test_a_key_that_is_none_reads_as_missing(name: str) -> None:
    empty = HandshakeRequest({**MISSING, name: None})
    assert (empty.query_params.multi_items(), empty.client, empty.subprotocols) == ([], None, ())


@pytest.mark.parametrize(
    ("parts", "base"),
    [
        ({}, "wss://example.org/app/"),
        ({"root_path": ""}, "wss://example.org/"),
        ({"root_path": "/app/"}, "wss://example.org/app/"),
        ({"app_root_path": "/outer"}, "wss://example.org/outer/"),
    ],
)
def test_the_base_url_is_where_the_outermost_application_is_mounted(parts: dict[str, Any], base: str) -> None:
    scope = scope_of(**parts)
    assert HandshakeRequest(scope).base_url == base == str(HTTPConnection(scope).base_url)


@given(st.lists(st.tuples(st.sampled_from([b"host", b"cookie", b"origin"]), st.binary())), st.binary())
def test_nothing_that_a_client_sends_makes_a_property_raise(headers: list[tuple[bytes, bytes]], query: bytes) -> None:
    request = HandshakeRequest(scope_of(headers=headers, query_string=query))
    assert (request.url.scheme, request.base_url.scheme) == ("wss", "wss")
    assert len(request.headers) == len(headers)
    assert len(request.cookies) >= 0
    assert len(request.query_params) >= 0


def test_a_scope_may_be_any_mapping() -> None:
    class ReadOnly(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            return SCOPE[key]

        def __iter__(self) -> Any:
            return iter(SCOPE)

        def __len__(self) -> int:
            return len(SCOPE)

    assert HandshakeRequest(ReadOnly()).client == Address("10.0.0.2", 50000)


def test_a_subclass_may_be_generic_and_have_slots_and_more_bases() -> None:
    class View:
        __slots__ = ()

    class Socket(HandshakeRequest, View, Generic[T]):
        __slots__ = ("receive",)

    socket = Socket[int](SCOPE)
    assert weakref.ref(socket)() is socket
    assert not hasattr(socket, "__dict__")


def test_state_writes_to_the_scope() -> None:
    scope = dict(MISSING)
    HandshakeRequest(scope).state.user = "me"
    assert scope["state"] == {"user": "me"}
    assert HandshakeRequest(scope).state["user"] == "me"


def test_state_has_attributes_and_items() -> None:
    state = State()
    state.a, state["b"], state.c = 1, 2, 3
    assert (state["a"], state.b, len(state), list(state)) == (1, 2, 3, ["a", "b", "c"])
    del state.a
    del state["b"]
    assert "a" not in state
    assert "c" in state


def test_a_missing_attribute_or_item_of_state_raises() -> None:
    state = State({})
    with pytest.raises(AttributeError, match="'State' object has no attribute 'user'"):
        _ = state.user
    with pytest.raises(AttributeError, match="'State' object has no attribute 'user'"):
        del state.user
    with pytest.raises(KeyError):
        _ = state["user"]
    with pytest.raises(KeyError):
        del state["user"]


def test_a_state_that_is_not_initialised_has_no_attributes() -> None:
    with pytest.raises(AttributeError):
        _ = State.__new__(State).user
    with pytest.raises(AttributeError):
        copy.copy(State({"user": "me"}))


@pytest.mark.parametrize(
    ("authorization", "subprotocols", "token"),
    [
        (None, [], None),
        (b"Bearer abc", [], "abc"),
        (b"bearer abc", [], "abc"),
        (b"BEARER   abc ", [], "abc"),
        (b"Bearer a b", [], "a b"),
        (b"Bearer", [], None),
        (b"Bearer ", [], None),
        (b"", [], None),
        (b"Basic YTpi", [], None),
        (b"Bearerabc", [], None),
        (None, ["bearer", "abc"], "abc"),
        (None, ["chat.v1.json", "BEARER", "abc"], "abc"),
        (None, ["bearer", "abc", "chat.v1.json", "bearer", "other"], "abc"),
        (None, ["bearer"], None),
        (None, ["chat.v1.json", "bearer"], None),
        (None, ["chat.v1.json"], None),
        (b"Bearer abc", ["bearer", "other"], "abc"),
        (b"Basic YTpi", ["bearer", "other"], "other"),
        (b"Bearer ", ["bearer", "other"], "other"),
    ],
)
def test_a_bearer_token_is_read_from_the_header_or_the_offer(
    authorization: bytes | None, subprotocols: list[str], token: str | None
) -> None:
    headers = [] if authorization is None else [(b"authorization", authorization)]
    assert HandshakeRequest(scope_of(headers=headers, subprotocols=subprotocols)).bearer_token == token
