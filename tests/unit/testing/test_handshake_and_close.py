"""How a connection begins and ends, in process: the cases of `tests.e2e.test_handshake_and_close` for the core."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import anyio
import pytest

from tests.e2e.serving import Handler
from tests.e2e.test_handshake_and_close import (
    LONGEST_REASON,
    OFFERED,
    RESPONSES,
    Socket,
    accept,
    close,
    deny,
    deny_with_a_response,
    deny_with_a_stream,
    disconnect_of,
    receive_bytes,
    receive_json,
    receive_model,
    receive_text,
    send_for_ever,
    send_models_for_ever,
    send_with_checkpoints,
    wait,
    waits_for_three,
    waits_then_receives,
)
from typedws import Closed, Denied, InvalidHandshake, WebSocket, WebSocketDisconnect
from typedws.asgi import Receive, Scope, Send
from typedws.testing import ServerBehaviour, TestConnection, advance_clock, connect, settle

pytestmark = pytest.mark.anyio


class Direct:
    """An ASGI application that calls a handler of the whole `WebSocket` and records what it returns."""

    def __init__(self, handler: Handler[Any]) -> None:
        self.results: list[Any] = []
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            self.results.append(await self._handler(WebSocket[int, Any](scope, receive, send)))


# --- denials ---


async def test_a_denial_has_status_headers_and_a_problem_document() -> None:
    async def handler(ws: Socket) -> Denied:
        return await ws.deny(401, detail="token missing — où?", headers={"WWW-Authenticate": 'Bearer realm="chat"'})

    app = Direct(handler)
    denied = await connect(app).expect_denied(401)
    assert denied.headers["WWW-Authenticate"] == 'Bearer realm="chat"'
    assert denied.problem is not None
    assert (denied.problem.title, denied.problem.detail) == ("Unauthorized", "token missing — où?")
    assert app.results == [Denied(401)]


@pytest.mark.parametrize("kind", RESPONSES)
async def test_any_response_can_deny(kind: str, tmp_path: Path) -> None:
    make, status, content_type, body = RESPONSES[kind]
    path = tmp_path / "law.txt"
    path.write_bytes(b"law" * 100_000)

    async def handler(ws: Socket) -> Denied:
        return await ws.send_denial_response(make(path))

    app = Direct(handler)
    denied = await connect(app).expect_denied(status)
    assert denied.body == body
    if body:
        assert denied.headers["content-type"] == content_type
        assert denied.headers["x-who"] == "us"
    assert app.results == [Denied(status)]


async def test_a_server_without_the_extension_makes_a_bare_403_of_every_denial() -> None:
    denied = await connect(Direct(deny), server=ServerBehaviour(no_denial_extension=True)).expect_denied(403)
    assert (denied.body, denied.problem) == (b"", None)


@pytest.mark.parametrize("code", [1000, 4401])
async def test_a_close_before_the_accept_is_a_plain_403(code: int) -> None:
    async def handler(ws: Socket) -> Closed:
        return await ws.close(code, "you are not wanted")

    app = Direct(handler)
    assert (await connect(app).expect_denied(403)).body == b""
    assert app.results == [Closed(1006, "the handshake was denied", "application")]


async def test_a_denied_connection_neither_receives_nor_sends() -> None:
    async def handler(ws: Socket) -> Closed:
        await ws.deny(403)
        with pytest.raises(WebSocketDisconnect):
            await ws.receive_text()
        with pytest.raises(WebSocketDisconnect):
            await ws.send_text("hello?")
        return await ws.close()

    app = Direct(handler)
    await connect(app).expect_denied(403)
    assert [closed.code for closed in app.results] == [1006]


async def test_the_handler_sees_path_query_and_headers_of_the_request() -> None:
    async def handler(ws: Socket) -> Denied:
        assert (ws.url.path, ws.url.query) == ("/room/café", "a=1&b=%C3%A9")
        assert dict(ws.query_params) == {"a": "1", "b": "é"}
        assert ws.headers["X-Token"] == "sesame"
        assert ws.cookies == {"id": "7"}
        return await ws.deny(410)

    for url in ("/room/caf%C3%A9?a=1&b=%C3%A9", "/room/café?a=1&b=é"):
        await connect(Direct(handler), url, headers={"X-Token": "sesame", "Cookie": "id=7"}).expect_denied(410)


# --- accepts ---


@pytest.mark.parametrize("selected", [*OFFERED, None])
async def test_the_selected_subprotocol_reaches_the_client(selected: str | None) -> None:
    async def handler(ws: Socket) -> Closed:
        assert ws.subprotocols == ("chat.v2", "chat.v1")
        await ws.accept(selected)
        return await ws.close()

    async with connect(Direct(handler), subprotocols=OFFERED) as ws:
        assert ws.subprotocol == selected


@pytest.mark.parametrize("offered", [[*OFFERED], []])
async def test_a_subprotocol_that_was_not_offered_is_refused_before_anything_is_sent(offered: list[str]) -> None:
    async def handler(ws: Socket) -> Closed:
        with pytest.raises(InvalidHandshake) as refused:
            await ws.accept("chat.v3")
        assert refused.value.field == "subprotocol"
        await ws.accept(ws.subprotocols[0] if offered else None)
        return await ws.close(1000, "well then")

    async with connect(Direct(handler), subprotocols=offered) as ws:
        assert ws.subprotocol == (offered[0] if offered else None)
        await ws.expect_close(1000, "well then")


@pytest.mark.parametrize(
    ("headers", "cookies"),
    [
        pytest.param({"X-Room": "lobby", "Set-Cookie": "id=7"}, ["id=7"], id="mapping"),
        pytest.param(
            [("X-Room", "lobby"), ("Set-Cookie", "id=7"), ("Set-Cookie", "lang=fr")], ["id=7", "lang=fr"], id="text"
        ),
        pytest.param(
            [(b"x-room", b"lobby"), (b"set-cookie", b"id=7"), (b"set-cookie", b"lang=fr")],
            ["id=7", "lang=fr"],
            id="bytes",
        ),
    ],
)
async def test_the_headers_of_the_accept_reach_the_client(headers: Any, cookies: list[str]) -> None:
    async def handler(ws: Socket) -> Closed:
        await ws.accept(headers=headers)
        return await ws.close()

    async with connect(Direct(handler)) as ws:
        assert ws.response_headers["X-Room"] == "lobby"
        assert ws.response_headers.getlist("Set-Cookie") == cookies


# --- close codes and reasons ---

ENDS: Final = [
    (1000, ""),
    (1000, "bye"),
    (1001, "moving"),
    (3000, "who are you?"),
    (4001, LONGEST_REASON),
    (4999, "🦊" * 30),
]


@pytest.mark.parametrize(("code", "reason"), ENDS)
async def test_the_client_sees_our_close_code_and_reason(code: int, reason: str) -> None:
    async def handler(ws: Socket) -> tuple[Closed, Closed]:
        await ws.accept()
        return await ws.close(code, reason), await ws.close(1011, "too late")

    app = Direct(handler)
    async with connect(app) as ws:
        assert await ws.expect_close(code, reason) == Closed(code, reason, "peer")
    assert app.results == [(Closed(code, reason, "application"),) * 2]


@pytest.mark.parametrize(("code", "reason"), ENDS)
async def test_the_handler_sees_the_close_code_and_reason_of_the_client(code: int, reason: str) -> None:
    app = Direct(disconnect_of)
    async with connect(app) as ws:
        await ws.close(code, reason)
    (closed,) = app.results
    assert (closed.code, closed.reason, closed.closed_by) == (code, reason, "peer")


async def test_a_shutdown_of_the_server_reaches_both_ends() -> None:
    app = Direct(disconnect_of)
    async with connect(app) as ws:
        ws.shut_down_server()
        await ws.expect_close(1012)
    (closed,) = app.results
    assert (closed.code, closed.closed_by) == (1012, "server")


async def test_messages_before_our_close_arrive() -> None:
    async def handler(ws: Socket) -> Closed:
        await ws.accept()
        await ws.send_text("x" * 5_000_000)
        await ws.send_text("last words")
        return await ws.close(4000)

    async with connect(Direct(handler)) as ws:
        assert [len(text) async for text in ws.iter_text()] == [5_000_000, 10]
        await ws.expect_close(4000)


# --- clients that leave ---

Departure = Callable[[TestConnection[Any, Any]], Awaitable[object]]


async def lose(ws: TestConnection[Any, Any]) -> None:
    ws.lose()


DEPARTURES: Final[Mapping[str, tuple[Departure, int]]] = {
    "it closes": (lambda ws: ws.close(1001), 1001),
    "it is lost": (lose, 1006),
    "it breaks the protocol": (lambda ws: ws.send_malformed("protocol_error"), 1002),
}
each_departure = pytest.mark.parametrize(("depart", "code"), DEPARTURES.values(), ids=DEPARTURES)


def codes_seen_by(use: Handler[object]) -> Handler[list[int]]:
    """Return a handler that uses its connection until the end and once more, and returns the close codes it gets."""

    async def handler(ws: Socket) -> list[int]:
        await ws.accept()
        codes: list[int] = []
        for _ in range(2):
            with pytest.raises(WebSocketDisconnect) as caught:
                await use(ws)
            codes.append(caught.value.code)
        return [*codes, (await ws.close()).code]

    return handler


@each_departure
@pytest.mark.parametrize(
    "receive", [receive_text, receive_bytes, receive_json, receive_model], ids=lambda receive: receive.__name__
)
async def test_a_client_that_leaves_ends_a_receive(receive: Handler[None], depart: Departure, code: int) -> None:
    app = Direct(codes_seen_by(receive))
    async with connect(app) as ws:
        await depart(ws)
    assert app.results == [[code] * 3]


@each_departure
@pytest.mark.parametrize("method", ["__aiter__", "iter_models", "iter_text", "iter_bytes", "iter_json"])
async def test_a_client_that_leaves_ends_a_loop(method: str, depart: Departure, code: int) -> None:
    async def handler(ws: Socket) -> int:
        await ws.accept()
        async for _ in getattr(ws, method)():
            raise AssertionError
        return (await ws.close()).code

    app = Direct(handler)
    async with connect(app) as ws:
        await depart(ws)
    assert app.results == [code]


@each_departure
@pytest.mark.parametrize(
    "send", [send_for_ever, send_models_for_ever, send_with_checkpoints], ids=lambda send: send.__name__
)
async def test_a_client_that_leaves_ends_a_handler_that_sends(
    send: Handler[None], depart: Departure, code: int
) -> None:
    app = Direct(codes_seen_by(send))
    async with connect(app) as ws:
        await ws.receive_bytes() if send is send_with_checkpoints else await ws.receive_text()
        await depart(ws)
    assert app.results == [[1006] * 3]  # a handler that only sends does not get the close code of the client


@each_departure
async def test_a_client_that_leaves_ends_every_task_that_sends(depart: Departure, code: int) -> None:
    async def handler(ws: Socket) -> int:
        ends: list[int] = []

        async def send() -> None:
            with pytest.raises(WebSocketDisconnect) as caught:
                await send_with_checkpoints(ws)
            ends.append(caught.value.code)

        await ws.accept()
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(send)
        await ws.close()
        return len(ends)

    app = Direct(handler)
    async with connect(app) as ws:
        await ws.receive_bytes()
        await depart(ws)
    assert app.results == [5]


@each_departure
@pytest.mark.parametrize("busy", [wait, send_with_checkpoints], ids=lambda busy: busy.__name__)
async def test_a_client_that_leaves_cancels_a_handler_that_does_not_receive(
    busy: Handler[None], depart: Departure, code: int
) -> None:
    async def handler(ws: Socket) -> int:
        await ws.accept()
        await ws.send_text("go")
        with pytest.raises(WebSocketDisconnect) as caught:
            async with ws.cancelled_on_disconnect():
                await busy(ws)
        await ws.close()
        return caught.value.code

    app = Direct(handler)
    async with connect(app) as ws:
        assert await ws.receive_text() == "go"
        await depart(ws)
    assert app.results in ([code], [1006])  # 1006 if a send fails before the disconnect arrives


async def test_messages_to_a_handler_that_does_not_receive_are_kept() -> None:
    app = Direct(waits_then_receives)
    async with connect(app) as ws:
        for number in range(10):
            await ws.send_text(str(number))
        await ws.close(4001)
    assert app.results == [(4001, [str(number) for number in range(10)])]


async def test_too_many_messages_to_a_handler_that_does_not_receive_close_with_1008() -> None:
    app = Direct(waits_for_three)
    async with connect(app) as ws:
        for number in range(4):
            await ws.send_text(str(number))
        await ws.expect_close(1008)
    assert app.results == [1008]


@pytest.mark.parametrize(
    "decide", [accept, deny, deny_with_a_response, deny_with_a_stream, close], ids=lambda decide: decide.__name__
)
async def test_a_client_that_gives_up_before_the_decision_is_not_an_error(decide: Handler[object]) -> None:
    async def handler(ws: Socket) -> object:
        await anyio.sleep(1)
        return await decide(ws)

    async def connect_and_give_up() -> None:
        with client_scope:
            await connect(app).expect_denied()

    app, client_scope = Direct(handler), anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connect_and_give_up)
        await settle()
        client_scope.cancel()
        await advance_clock(1)
    (result,) = app.results
    assert isinstance(result, Closed | Denied)
