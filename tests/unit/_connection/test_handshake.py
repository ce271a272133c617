"""`Handshake`: accepting and denying, with and without the Denial Response extension, and after the client left."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import fastapi.responses
import pytest
import starlette.responses
from litestar.response.base import ASGIResponse
from pydantic import BaseModel

from tests.support import CONNECT, Event, connecting, scope, text, wire
from typedws._contract.problem_documents import DenialResponse, ProblemDocument
from typedws._protocol.outcomes import Denied
from typedws.codecs import Mode, TextJSON
from typedws.exceptions import (
    DenialResponseUnsupported,
    InvalidHandshake,
    InvalidParams,
    InvalidState,
    UndeclaredMessageType,
    UnknownSubprotocol,
    WebSocketDisconnect,
    WebSocketDisconnected,
)
from typedws.websockets import WebSocket, WebSocketState

pytestmark = pytest.mark.anyio

ACCEPT: Event = {"type": "websocket.accept", "subprotocol": None, "headers": []}


class Room(BaseModel):
    room: str
    limit: int = 10


# --- accept ---


async def test_accept_returns_the_same_object_as_a_connection() -> None:
    ws, sent = connecting(WebSocket)
    assert await ws.accept() is ws
    assert sent == [ACCEPT]


async def test_accept_receives_the_connect_event_unless_it_was_received() -> None:
    ws, sent = connecting(WebSocket, text("a"))
    assert await ws.receive() == CONNECT
    await ws.accept()
    assert sent == [ACCEPT]
    assert await ws.receive_text() == "a"


async def test_accept_sends_the_subprotocol_and_the_headers() -> None:
    receive, send, sent = wire(CONNECT)
    await WebSocket(scope(subprotocols=["v2", "v1"]), receive, send).accept("v1", {"X-Room": "lobby"})
    assert sent == [{"type": "websocket.accept", "subprotocol": "v1", "headers": [(b"x-room", b"lobby")]}]


@pytest.mark.parametrize(
    "arguments", [{"subprotocol": "v1"}, {"headers": {"a b": "c"}}, {"headers": {"Upgrade": "h2c"}}]
)
async def test_an_invalid_accept_sends_nothing_and_a_valid_one_can_follow(arguments: Any) -> None:
    ws, sent = connecting(WebSocket)
    with pytest.raises(InvalidHandshake):
        await ws.accept(**arguments)
    assert sent == []
    await ws.accept()
    assert sent == [ACCEPT]


async def test_a_second_accept_is_an_error() -> None:
    ws, sent = connecting(WebSocket)
    await ws.accept()
    with pytest.raises(InvalidState, match="accepted already"):
        await ws.accept()
    assert sent == [ACCEPT]


async def test_an_accept_after_a_denial_is_an_error() -> None:
    ws, _ = connecting(WebSocket)
    await ws.deny()
    with pytest.raises(WebSocketDisconnected, match="the handshake was denied"):
        await ws.accept()


async def test_an_accept_after_the_client_left_raises_a_disconnect() -> None:
    receive, _, _ = wire(CONNECT)

    async def send(_: Event) -> None:
        raise OSError

    ws = WebSocket(scope(), receive, send)
    with pytest.raises(WebSocketDisconnect, match="the connection was lost"):
        await ws.accept()
    assert ws.application_state is WebSocketState.DISCONNECTED


# --- the mode that the client chooses ---

CODEC = TextJSON("mine")
MODES: dict[str, Mode] = {"chat.v1.json": "text", "chat.v1.binary": "binary", "mine": CODEC}
JOINED: Event = {"type": "websocket.send", "text": '{"room":"lobby","limit":10}'}
JOINED_BINARY: Event = {"type": "websocket.send", "bytes": b'{"room":"lobby","limit":10}'}


@pytest.mark.parametrize(
    ("offered", "passed", "selected", "message"),
    [
        ([], None, None, JOINED_BINARY),
        (["chat.v1.json"], None, "chat.v1.json", JOINED),
        (["chat.v1.binary", "chat.v1.json"], None, "chat.v1.binary", JOINED_BINARY),
        (["other", "mine"], None, "mine", JOINED),
        (["bearer", "s3cr3t"], None, "bearer", JOINED_BINARY),
        (["chat.v1.json", "bearer", "s3cr3t"], None, "chat.v1.json", JOINED),
        (["bearer", "chat.v1.json"], None, "bearer", JOINED_BINARY),
        (["chat.v1.binary", "chat.v1.json"], "chat.v1.json", "chat.v1.json", JOINED),
        (["chat.v1.json", "its-own"], "its-own", "its-own", JOINED_BINARY),
        (["bearer", "s3cr3t", "chat.v1.json"], "bearer", "bearer", JOINED_BINARY),
    ],
)
async def test_accept_selects_a_subprotocol_and_uses_its_mode(
    offered: list[str], passed: str | None, selected: str | None, message: Event
) -> None:
    receive, send, sent = wire(CONNECT)
    ws = WebSocket(scope(subprotocols=offered), receive, send, mode="binary", modes=MODES)
    await ws.accept(passed)
    await ws.send_model(Room(room="lobby"))
    assert sent == [{**ACCEPT, "subprotocol": selected}, message]


@pytest.mark.parametrize("modes", [MODES, {}])
async def test_unknown_subprotocols_are_accepted_only_by_name(modes: dict[str, Mode]) -> None:
    receive, send, sent = wire(CONNECT)
    ws = WebSocket(scope(subprotocols=["other", "bearer", "s3cr3t"]), receive, send, modes=modes)
    with pytest.raises(UnknownSubprotocol) as caught:
        await ws.accept()
    assert (caught.value.status_code, caught.value.known, sent) == (400, tuple(modes), [])
    assert "s3cr3t" not in str(caught.value)
    with pytest.raises(InvalidHandshake) as refused:
        await ws.accept("s3cr3t")
    assert "s3cr3t" not in str(refused.value)
    await ws.accept("other")
    assert sent == [{**ACCEPT, "subprotocol": "other"}]


async def test_without_modes_a_subprotocol_is_selected_only_by_name() -> None:
    receive, send, sent = wire(CONNECT)
    await WebSocket(scope(subprotocols=["chat.v1.json"]), receive, send).accept()
    assert sent == [ACCEPT]


# --- deny ---


def body_of(sent: list[Event]) -> bytes:
    return b"".join(event.get("body", b"") for event in sent)


async def test_deny_sends_a_problem_document_in_one_body_event() -> None:
    ws, sent = connecting(WebSocket)
    assert await ws.deny(401, detail="token missing", headers={"WWW-Authenticate": "Bearer"}) == Denied(401)
    body = b'{"type":"about:blank","title":"Unauthorized","status":401,"detail":"token missing"}'
    assert sent == [
        {
            "type": "websocket.http.response.start",
            "status": 401,
            "headers": [
                (b"www-authenticate", b"Bearer"),
                (b"content-type", b"application/problem+json"),
                (b"content-length", str(len(body)).encode()),
            ],
        },
        {"type": "websocket.http.response.body", "body": body},
    ]


@pytest.mark.parametrize("extensions", [None, {}, {"other": {}}])
async def test_without_the_extension_deny_closes_and_the_client_gets_403(extensions: Any) -> None:
    receive, send, sent = wire(CONNECT)
    ws = WebSocket(scope(extensions=extensions), receive, send)
    assert await ws.deny(401, detail="token missing") == Denied(403)
    assert sent == [{"type": "websocket.close", "code": 1000, "reason": ""}]


@pytest.mark.parametrize("supported", [True, False])
@pytest.mark.parametrize("arguments", [{"status": 200}, {"status": 999}, {"headers": {"a b": "c"}}])
async def test_an_invalid_denial_sends_nothing_on_any_server(arguments: Any, supported: bool) -> None:
    receive, send, sent = wire(CONNECT)
    ws = WebSocket(scope(extensions={"websocket.http.response": {}} if supported else None), receive, send)
    with pytest.raises(InvalidHandshake):
        await ws.deny(**arguments)
    assert sent == []


async def test_a_custom_problem_document_denies_with_its_status() -> None:
    document = ProblemDocument.of(404, "look", errors=[{"name": "room"}])
    ws, sent = connecting(WebSocket)
    assert await ws.deny_with(document, headers={"Retry-After": "5"}) == Denied(404)
    assert sent[0]["status"] == 404
    assert (b"retry-after", b"5") in sent[0]["headers"]
    assert (b"content-type", b"application/problem+json") in sent[0]["headers"]
    assert json.loads(body_of(sent)) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "look",
        "errors": [{"name": "room"}],
    }


@pytest.mark.parametrize("supported", [True, False])
async def test_a_document_with_a_success_status_is_not_sent(supported: bool) -> None:
    receive, send, sent = wire(CONNECT)
    ws = WebSocket(scope(extensions={"websocket.http.response": {}} if supported else None), receive, send)
    with pytest.raises(InvalidHandshake):
        await ws.deny_with(ProblemDocument.of(200))
    assert sent == []
    assert await ws.deny_with(ProblemDocument.of(404)) == Denied(404 if supported else 403)


async def accept(ws: WebSocket) -> None:
    await ws.accept()


async def deny(ws: WebSocket) -> None:
    await ws.deny()


async def deny_with_a_response(ws: WebSocket) -> None:
    await ws.send_denial_response(DenialResponse(401))


async def accept_and_close(ws: WebSocket) -> None:
    await ws.accept()
    await ws.close()


async def accept_and_lose_the_connection(ws: WebSocket) -> None:
    await ws.accept()
    with pytest.raises(WebSocketDisconnect):
        await ws.send_text("this send fails")


@pytest.mark.parametrize("supported", [True, False])
@pytest.mark.parametrize("decide", [accept, deny, accept_and_close, accept_and_lose_the_connection])
async def test_a_denial_after_the_decision_is_an_error(
    decide: Callable[[WebSocket], Awaitable[None]], supported: bool
) -> None:
    receive, deliver, sent = wire(CONNECT)

    async def send(event: Event) -> None:
        if "text" in event:
            raise OSError
        await deliver(event)

    ws = WebSocket(scope(extensions={"websocket.http.response": {}} if supported else None), receive, send)
    await decide(ws)
    sent_before = list(sent)
    for deny_again in [deny, deny_with_a_response] if supported else [deny]:
        with pytest.raises((InvalidState, WebSocketDisconnected)):
            await deny_again(ws)
    assert sent == sent_before


@pytest.mark.parametrize("supported", [True, False])
async def test_denying_a_client_that_left_is_not_an_error(supported: bool) -> None:
    receive, _, _ = wire(CONNECT)

    async def send(_: Event) -> None:
        raise OSError

    ws = WebSocket(scope(extensions={"websocket.http.response": {}} if supported else None), receive, send)
    assert await ws.deny(401) == Denied(401 if supported else 403)


# --- send_denial_response ---


def streaming_response() -> starlette.responses.Response:
    async def parts() -> AsyncGenerator[str]:
        yield "str"
        yield "eamed"

    return starlette.responses.StreamingResponse(parts(), 403, headers={"x-kind": "1"})


def file_response(tmp_path: Path) -> starlette.responses.Response:
    (tmp_path / "page.html").write_text("<p>no</p>")
    return starlette.responses.FileResponse(tmp_path / "page.html", 404)


RESPONSES: dict[str, tuple[Callable[[Path], Any], int, bytes]] = {
    "typedws": (lambda _: DenialResponse(401, body="no"), 401, b"no"),
    "starlette": (lambda _: starlette.responses.PlainTextResponse("no", 401), 401, b"no"),
    "starlette, streaming": (lambda _: streaming_response(), 403, b"streamed"),
    "starlette, file": (file_response, 404, b"<p>no</p>"),
    "fastapi": (lambda _: fastapi.responses.JSONResponse({"no": 1}, 422), 422, b'{"no":1}'),
    "litestar": (lambda _: ASGIResponse(body=b"no", status_code=418), 418, b"no"),
}


@pytest.mark.parametrize("name", RESPONSES)
async def test_a_response_of_any_framework_denies_the_handshake(name: str, tmp_path: Path) -> None:
    make, status, body = RESPONSES[name]
    ws, sent = connecting(WebSocket)
    with anyio.fail_after(5):
        assert await ws.send_denial_response(make(tmp_path)) == Denied(status)
    assert (sent[0]["type"], sent[0]["status"]) == ("websocket.http.response.start", status)
    assert {event["type"] for event in sent[1:]} == {"websocket.http.response.body"}
    assert not sent[-1].get("more_body")
    assert body_of(sent) == body
    assert ws.application_state is WebSocketState.DISCONNECTED


async def test_a_response_receives_the_disconnect_event_of_http() -> None:
    async def response(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 403, "headers": []})
        assert await receive() == {"type": "http.disconnect"}
        assert await receive() == {"type": "http.disconnect"}

    ws, _ = connecting(WebSocket, {"type": "websocket.disconnect", "code": 1006})
    assert await ws.send_denial_response(response) == Denied(403)


async def test_a_response_to_a_client_that_left_raises_nothing() -> None:
    receive, _, _ = wire(CONNECT)

    async def send(_: Event) -> None:
        raise OSError

    ws = WebSocket(scope(), receive, send)
    assert await ws.send_denial_response(starlette.responses.PlainTextResponse("no", 401)) == Denied(401)


async def test_without_the_extension_a_response_raises_an_error_with_the_classic_text() -> None:
    receive, send, sent = wire(CONNECT)
    ws = WebSocket(scope(extensions=None), receive, send)
    expected = "The server doesn't support the Websocket Denial Response extension."
    with pytest.raises(RuntimeError) as caught:
        await ws.send_denial_response(DenialResponse(401))
    assert isinstance(caught.value, DenialResponseUnsupported)
    assert str(caught.value).startswith(expected[:-1])
    assert sent == []
    assert await ws.deny(401) == Denied(403)


async def test_the_scope_of_a_response_has_only_the_denial_extension() -> None:
    extensions_in_scope: list[Any] = []

    async def response(scope: Any, receive: Any, send: Any) -> None:
        extensions_in_scope.append(scope["extensions"])
        await send({"type": "http.response.start", "status": 403})
        await send({"type": "http.response.body"})

    receive, send, _ = wire(CONNECT)
    offered: dict[str, Any] = {"websocket.http.response": {}, "http.response.pathsend": {}}
    await WebSocket(scope(extensions=offered), receive, send).send_denial_response(response)
    assert extensions_in_scope == [{"websocket.http.response": {}}]


# --- parameters ---


async def test_parameters_are_validated_once_from_the_path_and_the_query() -> None:
    ws = WebSocket[Any, Any, Room](scope(path_params={"room": "lobby"}, query_string=b"limit=3"))
    assert ws.params == Room(room="lobby", limit=3)
    assert ws.params is ws.params


async def test_invalid_parameters_have_a_status_and_locations() -> None:
    ws = WebSocket[Any, Any, Room](scope(query_string=b"limit=many"))
    with pytest.raises(InvalidParams) as caught:
        _ = ws.params
    assert caught.value.status_code == 422
    assert caught.value.locations() == [("room", "missing"), ("limit", "int_parsing")]


async def test_parameters_without_a_declared_type_are_an_error() -> None:
    with pytest.raises(UndeclaredMessageType):
        _ = WebSocket[str, str](scope()).params
