"""`typedws.websockets` as a drop-in: each script runs on the classic class too, with the same results and events."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from starlette.responses import JSONResponse, StreamingResponse
from starlette.websockets import WebSocket as ClassicWebSocket
from starlette.websockets import WebSocketClose as ClassicWebSocketClose
from starlette.websockets import WebSocketDisconnect as ClassicWebSocketDisconnect

import typedws.websockets
from tests.support import CONNECT, Event, binary, connecting, disconnect, scope, text, wire
from typedws.exceptions import ConcurrentReceive, InvalidClose, InvalidState, UnknownMode
from typedws.websockets import WebSocket, WebSocketClose, WebSocketDisconnect, WebSocketState

pytestmark = pytest.mark.anyio

Script = Callable[[Any], Awaitable[object]]


async def reference(ws: Any) -> object:
    await ws.accept()
    await ws.send_text("Hello, world!")
    await ws.close()
    return None


async def echo_text(ws: Any) -> object:
    await ws.accept()
    async for message in ws.iter_text():
        await ws.send_text(f"Message text was: {message}")
    return ws.client_state.name, ws.application_state.name


async def echo_bytes(ws: Any) -> object:
    await ws.accept()
    return [message async for message in ws.iter_bytes()]


async def echo_json(ws: Any) -> object:
    await ws.accept()
    async for message in ws.iter_json():
        await ws.send_json(message)
        await ws.send_json(message, mode="binary")
    return None


async def receive_one_of_each(ws: Any) -> object:
    await ws.accept()
    return [
        await ws.receive_text(),
        await ws.receive_bytes(),
        await ws.receive_json(),
        await ws.receive_json(mode="binary"),
    ]


async def receive_until_the_disconnect(ws: Any) -> object:
    await ws.accept()
    try:
        while True:
            await ws.receive_text()
    except (WebSocketDisconnect, ClassicWebSocketDisconnect) as error:
        return error.code, error.reason


async def accept_with_everything(ws: Any) -> object:
    await ws.accept(subprotocol="v1", headers=[(b"x-token", b"1")])
    return ws.headers["host"], ws["subprotocols"]


async def close_with_a_reason(ws: Any) -> object:
    await ws.accept()
    await ws.close(code=4001, reason="bye")
    return None


async def close_before_the_accept(ws: Any) -> object:
    await ws.close()
    return ws.application_state.name


async def raw_events(ws: Any) -> object:
    received = [await ws.receive()]
    await ws.send({"type": "websocket.accept"})
    received += [await ws.receive(), await ws.receive()]
    await ws.send({"type": "websocket.send", "text": "a"})
    await ws.send({"type": "websocket.send", "bytes": b"a"})
    await ws.send({"type": "websocket.close"})
    return received


async def deny(ws: Any) -> object:
    await ws.receive()
    await ws.send_denial_response(JSONResponse({"no": True}, 401, headers={"x-why": "token"}))
    return ws.application_state.name


async def deny_in_parts(ws: Any) -> object:
    await ws.receive()
    await ws.send_denial_response(StreamingResponse(iter(["a", "b"]), 403))
    return None


async def deny_raw(ws: Any) -> object:
    await ws.receive()
    states = [ws.application_state.name]
    await ws.send({"type": "websocket.http.response.start", "status": 404, "headers": []})
    states.append(ws.application_state.name)
    await ws.send({"type": "websocket.http.response.body", "body": b"a", "more_body": True})
    await ws.send({"type": "websocket.http.response.body", "body": b"b"})
    return [*states, ws.application_state.name]


async def states(ws: Any) -> object:
    seen = [(ws.client_state.name, ws.application_state.name)]
    await ws.accept()
    seen.append((ws.client_state.name, ws.application_state.name))
    await ws.receive()
    seen.append((ws.client_state.name, ws.application_state.name))
    await ws.close()
    seen.append((ws.client_state.name, ws.application_state.name))
    return seen


async def request(ws: Any) -> object:
    return (
        ws["path"], len(ws), sorted(ws), ws == ws, {ws: 1}[ws], str(ws.url), ws.url.path, ws.url.port, ws.url.scheme,
        str(ws.base_url), ws.headers["Host"], ws.query_params["search"], ws.path_params["username"], ws.cookies,
        ws.client.host, ws.app, ws.scope is not None,
    )  # fmt: skip


async def state_of_the_application(ws: Any) -> object:
    ws.state.user = "ann"
    return ws.scope["state"], ws.state.user


FULL = {
    "path": "/ann",
    "query_string": b"search=a",
    "path_params": {"username": "ann"},
    "headers": [(b"host", b"example.org:8000"), (b"cookie", b"a=1")],
    "subprotocols": ["v1", "v2"],
    "app": "app",
}

SCRIPTS: list[tuple[Script, list[Event]]] = [
    (reference, []),
    (echo_text, [text("a"), text(""), text("\u00e9"), disconnect(1001)]),
    (echo_bytes, [binary(b"a"), binary(b"\xff"), disconnect()]),
    (echo_json, [text('{"a":[1,2.5,null,true,"\u00e9"]}'), text("[]"), text('"a"'), text("1"), disconnect()]),
    (receive_one_of_each, [text("a"), binary(b"b"), text('{"c":1}'), binary(b'{"d":2}')]),
    (receive_until_the_disconnect, [text("a"), disconnect(4001, "bye")]),
    (receive_until_the_disconnect, [disconnect(1006, "")]),
    (accept_with_everything, []),
    (close_with_a_reason, []),
    (close_before_the_accept, []),
    (raw_events, [text("a"), binary(b"b")]),
    (deny, []),
    (deny_in_parts, []),
    (deny_raw, []),
    (states, [text("a")]),
    (request, []),
    (state_of_the_application, []),
]


async def run_script(kind: Callable[..., Any], script: Script, events: list[Event]) -> tuple[object, list[Event]]:
    """Run a script. Return its result and the sent events, without the keys whose value is ``None``."""
    receive, send, sent = wire(CONNECT, *events)
    result = await script(kind(scope=scope(**FULL), receive=receive, send=send))
    return result, [{key: value for key, value in event.items() if value is not None} for event in sent]


@pytest.mark.parametrize(("script", "events"), SCRIPTS, ids=lambda part: getattr(part, "__name__", ""))
async def test_it_returns_and_sends_what_the_classic_class_does(script: Script, events: list[Event]) -> None:
    assert await run_script(WebSocket, script, events) == await run_script(ClassicWebSocket, script, events)


def test_all_names_of_the_classic_class_exist_except_those_of_middleware_and_routers() -> None:
    theirs = {name for name in dir(ClassicWebSocket) if not name.startswith("_")}
    assert theirs - set(dir(WebSocket)) == {"auth", "session", "url_for", "user"}


def test_all_names_of_the_classic_module_exist() -> None:
    assert {"WebSocket", "WebSocketClose", "WebSocketDisconnect", "WebSocketState"} <= set(typedws.websockets.__all__)
    assert {state.name: state.value for state in WebSocketState} == {
        "CONNECTING": 0,
        "CONNECTED": 1,
        "DISCONNECTED": 2,
        "RESPONSE": 3,
    }


def test_a_disconnect_takes_the_arguments_of_the_classic_one() -> None:
    assert (WebSocketDisconnect().code, WebSocketDisconnect().reason) == (1000, "")
    error = WebSocketDisconnect(code=4001, reason="bye")
    assert (error.code, error.reason) == (4001, "bye")


@pytest.mark.parametrize("arguments", [(), (4001,), (4001, "bye")])
async def test_websocket_close_is_an_application_that_closes(arguments: tuple[Any, ...]) -> None:
    events: list[list[Event]] = []
    for application in (WebSocketClose(*arguments), ClassicWebSocketClose(*arguments)):
        receive, send, sent = wire(CONNECT)
        await application(scope(), receive, send)
        events.append(sent)
    assert events[0] == events[1]


def test_websocket_close_refuses_an_unsendable_code_when_it_is_made() -> None:
    with pytest.raises(InvalidClose):
        WebSocketClose(1006)


@pytest.mark.parametrize("method", ["receive_text", "receive_bytes", "receive_json", "receive_model"])
async def test_receiving_before_the_accept_is_an_error_and_consumes_nothing(method: str) -> None:
    ws, _ = connecting(WebSocket[str, str], text('"a"'))
    with pytest.raises(InvalidState, match="accept"):
        await getattr(ws, method)()
    await ws.accept()
    assert await ws.receive_model() == "a"


@pytest.mark.parametrize(("method", "arguments"), [("receive_json", ()), ("send_json", (1,)), ("send_model", (1,))])
async def test_an_unknown_mode_raises_the_classic_error(method: str, arguments: tuple[int, ...]) -> None:
    ws, _ = connecting(WebSocket, text("1"))
    await ws.accept()
    with pytest.raises(RuntimeError, match='The "mode" argument should be') as caught:
        await getattr(ws, method)(*arguments, mode="yaml")
    assert isinstance(caught.value, UnknownMode)
    assert await ws.receive_json() == 1, "nothing was consumed"


async def test_without_callables_it_reads_the_request_and_names_the_missing_one() -> None:
    ws = WebSocket(scope(path="/a"))
    assert ws.url.path == "/a"
    with pytest.raises(InvalidState, match="receive callable"):
        await ws.receive()
    with pytest.raises(InvalidState, match="receive callable"):
        await ws.accept()

    receive, _, _ = wire(CONNECT)
    with pytest.raises(InvalidState, match="send callable"):
        await WebSocket(scope(), receive).accept()


ILLEGAL: list[tuple[list[Event], Event]] = [
    ([], {"type": "websocket.send", "text": "a"}),
    ([], {"type": "websocket.http.response.body"}),
    ([{"type": "websocket.accept"}], {"type": "websocket.accept"}),
    ([{"type": "websocket.accept"}], {"type": "websocket.http.response.start", "status": 401}),
    ([{"type": "websocket.accept"}], {"type": "websocket.nonsense"}),
    ([{"type": "websocket.close"}], {"type": "websocket.close"}),
    ([{"type": "websocket.http.response.start", "status": 401}], {"type": "websocket.accept"}),
]


@pytest.mark.parametrize(("before", "illegal"), ILLEGAL)
async def test_an_illegal_raw_event_sends_nothing_and_changes_nothing(before: list[Event], illegal: Event) -> None:
    ws, sent = connecting(WebSocket)
    await ws.receive()
    for event in before:
        await ws.send(event)
    states_before = ws.client_state, ws.application_state
    with pytest.raises(RuntimeError):
        await ws.send(illegal)
    assert sent == before
    assert (ws.client_state, ws.application_state) == states_before


@pytest.mark.parametrize("event", [CONNECT, {"type": "http.request"}, {"type": "websocket.accept"}])
async def test_an_event_that_the_server_must_not_send_is_an_error(event: Event) -> None:
    ws, _ = connecting(WebSocket, event, text("a"))
    await ws.accept()
    with pytest.raises(InvalidState):
        await ws.receive()
    assert await ws.receive_text() == "a"


async def test_the_raw_disconnect_is_received_once() -> None:
    ws, _ = connecting(WebSocket, disconnect(4001, "bye"))
    await ws.accept()
    assert await ws.receive() == disconnect(4001, "bye")
    assert ws.client_state is WebSocketState.DISCONNECTED
    with pytest.raises(WebSocketDisconnect) as caught:
        await ws.receive()
    assert (caught.value.code, caught.value.reason) == (4001, "bye")


async def test_a_second_task_that_receives_raw_events_gets_an_error() -> None:
    ws, _ = connecting(WebSocket)
    await ws.accept()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ws.receive)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ConcurrentReceive):
            await ws.receive()
        tasks.cancel_scope.cancel()
