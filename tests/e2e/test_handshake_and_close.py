"""How a connection begins and ends on a real server: denials, subprotocols, headers, close codes, peers that vanish."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.lowlevel
import pytest
from starlette.responses import FileResponse, JSONResponse, StreamingResponse
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response
from websockets.typing import Subprotocol

from tests.e2e.raw_client import Opcode, RawClient, frame, raw_client, round_trip
from tests.e2e.serving import Handler, Served, Server, of, running, serving
from typedws import Closed, DenialResponse, Denied, InvalidHandshake, WebSocket, WebSocketDisconnect
from typedws.asgi import ASGIApp

pytestmark = pytest.mark.anyio

Socket = WebSocket[Any, Any, Any]


# --- denials ---


async def denial_of(served: Served[Any], path: str = "/") -> Response:
    """Try to connect, and return the response of the denial."""
    with pytest.raises(InvalidStatus) as denied:
        async with served.connect(path):
            pass
    return denied.value.response


async def test_a_denial_has_status_headers_and_a_problem_document(server: Server) -> None:
    async def handler(ws: Socket) -> Denied:
        return await ws.deny(401, detail="token missing — où?", headers={"WWW-Authenticate": 'Bearer realm="chat"'})

    async with serving(server, handler) as served:
        response = await denial_of(served)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="chat"'
        assert response.headers["Content-Type"] == "application/problem+json"
        assert json.loads(response.body) == {
            "type": "about:blank",
            "title": "Unauthorized",
            "status": 401,
            "detail": "token missing — où?",
        }
        assert await served.result() == Denied(401)


async def chunks() -> AsyncIterator[bytes]:
    for number in range(3):
        yield b"chunk %d\n" % number


RESPONSES: Final[dict[str, tuple[Callable[[Path], DenialResponse | ASGIApp], int, str, bytes]]] = {
    "no body": (lambda _: DenialResponse(404), 404, "", b""),
    "bytes": (
        lambda _: DenialResponse(400, body=b"\x00\xff", headers={"X-Who": "us"}),
        400,
        "application/octet-stream",
        b"\x00\xff",
    ),
    "text": (
        lambda _: DenialResponse(503, body="später", headers={"X-Who": "us"}),
        503,
        "text/plain; charset=utf-8",
        "später".encode(),
    ),
    "starlette's JSONResponse": (
        lambda _: JSONResponse({"error": "no"}, 422, {"X-Who": "us"}),
        422,
        "application/json",
        b'{"error":"no"}',
    ),
    "starlette's StreamingResponse": (
        lambda _: StreamingResponse(chunks(), 429, {"X-Who": "us"}, "text/csv"),
        429,
        "text/csv; charset=utf-8",
        b"chunk 0\nchunk 1\nchunk 2\n",
    ),
    "starlette's FileResponse": (
        lambda path: FileResponse(path, 451, {"X-Who": "us"}),
        451,
        "text/plain; charset=utf-8",
        b"law" * 100_000,
    ),
}


@pytest.mark.parametrize("kind", RESPONSES)
async def test_any_response_can_deny(server: Server, kind: str, tmp_path: Path) -> None:
    make, status, content_type, body = RESPONSES[kind]
    path = tmp_path / "law.txt"
    path.write_bytes(b"law" * 100_000)

    async def handler(ws: Socket) -> Denied:
        return await ws.send_denial_response(make(path))

    async with serving(server, handler) as served:
        response = await denial_of(served)
        assert (response.status_code, response.body) == (status, body)
        if body:
            assert response.headers["Content-Type"] == content_type
            assert response.headers["X-Who"] == "us"
        assert await served.result() == Denied(status)


@pytest.mark.parametrize("code", [1000, 4401])
async def test_a_close_before_the_accept_is_a_plain_403(server: Server, code: int) -> None:
    async def handler(ws: Socket) -> Closed:
        return await ws.close(code, "you are not wanted")

    async with serving(server, handler) as served:
        response = await denial_of(served)
        assert (response.status_code, response.body) == (403, b"")
        assert await served.result() == Closed(1006, "the handshake was denied", "application")


async def test_a_denied_connection_is_over_for_its_handler(server: Server) -> None:
    async def handler(ws: Socket) -> Closed:
        await ws.deny(403)
        with pytest.raises(WebSocketDisconnect):
            await ws.receive_text()
        with pytest.raises(WebSocketDisconnect):
            await ws.send_text("hello?")
        return await ws.close()

    async with serving(server, handler) as served:
        assert (await denial_of(served)).status_code == 403
        assert (await served.result()).code == 1006


async def test_path_query_and_headers_of_the_request_reach_the_handler(server: Server) -> None:
    async def handler(ws: Socket) -> Denied:
        assert (ws.url.path, ws.url.query) == ("/room/café", "a=1&b=%C3%A9")
        assert dict(ws.query_params) == {"a": "1", "b": "é"}
        assert ws.headers["X-Token"] == "sesame"
        assert ws.cookies == {"id": "7"}
        return await ws.deny(410)

    async with serving(server, handler) as served:
        with pytest.raises(InvalidStatus) as denied:
            headers = {"X-Token": "sesame", "Cookie": "id=7"}
            async with served.connect("/room/caf%C3%A9?a=1&b=%C3%A9", additional_headers=headers):
                pass
        assert denied.value.response.status_code == 410


# --- accepts ---

OFFERED: Final = [Subprotocol("chat.v2"), Subprotocol("chat.v1")]


@pytest.mark.parametrize("selected", [*OFFERED, None])
async def test_the_selected_subprotocol_reaches_the_client(server: Server, selected: str | None) -> None:
    async def handler(ws: Socket) -> Closed:
        assert ws.subprotocols == ("chat.v2", "chat.v1")
        await ws.accept(selected)
        return await ws.close()

    async with serving(server, handler) as served, served.connect(subprotocols=OFFERED) as client:
        assert client.subprotocol == selected


@pytest.mark.parametrize("offered", [OFFERED, None])
async def test_a_subprotocol_that_was_not_offered_is_refused_before_anything_is_sent(
    server: Server, offered: list[Subprotocol] | None
) -> None:
    async def handler(ws: Socket) -> Closed:
        with pytest.raises(InvalidHandshake) as refused:
            await ws.accept("chat.v3")
        assert refused.value.field == "subprotocol"
        await ws.accept(ws.subprotocols[0] if offered else None)
        return await ws.close(1000, "well then")

    async with serving(server, handler) as served, served.connect(subprotocols=offered) as client:
        assert client.subprotocol == (offered[0] if offered else None)
        await client.wait_closed()
        assert client.close_reason == "well then"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Room": "lobby", "Set-Cookie": "id=7"},
        [("X-Room", "lobby"), ("Set-Cookie", "id=7"), ("Set-Cookie", "lang=fr")],
        [(b"x-room", b"lobby"), (b"set-cookie", b"id=7"), (b"set-cookie", b"lang=fr")],
    ],
    ids=["mapping", "pairs of text", "pairs of bytes"],
)
async def test_the_headers_of_the_accept_reach_the_client(server: Server, headers: Any) -> None:
    async def handler(ws: Socket) -> Closed:
        await ws.accept(headers=headers)
        return await ws.close()

    async with serving(server, handler) as served, served.connect() as client:
        assert client.response is not None
        assert client.response.headers["X-Room"] == "lobby"
        cookies = client.response.headers.get_all("Set-Cookie")
        assert cookies == ["id=7"] if isinstance(headers, dict) else ["id=7", "lang=fr"]


# --- close codes and reasons ---

LONGEST_REASON: Final = "é" * 61 + "!"


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1000, ""), (1000, "bye"), (1001, "moving"), (3000, "who are you?"), (4001, LONGEST_REASON), (4999, "🦊" * 30)],
)
async def test_the_client_sees_our_close_code_and_reason(server: Server, code: int, reason: str) -> None:
    async def handler(ws: Socket) -> tuple[Closed, Closed]:
        await ws.accept()
        return await ws.close(code, reason), await ws.close(1011, "too late")

    async with serving(server, handler) as served, served.connect() as client:
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (code, reason)
        assert await served.result() == (Closed(code, reason, "application"),) * 2


async def disconnect_of(ws: Socket) -> WebSocketDisconnect:
    """Accept, receive until the client disconnects, and return the exception. Check that a close then does nothing."""
    await ws.accept()
    with pytest.raises(WebSocketDisconnect) as caught:
        while True:
            await ws.receive_text()
    error = caught.value
    assert await ws.close(1011, "too late") == Closed(error.code, error.reason, error.closed_by)
    return error


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, ""), (4001, "bye"), (3000, LONGEST_REASON)])
async def test_the_handler_sees_the_close_code_and_reason_of_the_client(server: Server, code: int, reason: str) -> None:
    async with serving(server, disconnect_of) as served:
        async with served.connect() as client:
            await client.close(code, reason)
        error = await served.result()
        assert (error.code, error.reason, error.closed_by) == (code, reason, "peer")


async def test_an_empty_close_frame_is_1005(server: Server) -> None:
    async with serving(server, disconnect_of) as served, raw_client(served.port) as client:
        client.send(frame(Opcode.CLOSE))
        assert (await client.close_frame()) is not None
        error = await served.result()
        assert (error.code, error.reason, error.closed_by) == (1005, "", "peer")


async def test_messages_before_our_close_arrive(server: Server) -> None:
    async def handler(ws: Socket) -> Closed:
        await ws.accept()
        await ws.send_text("x" * 5_000_000)
        await ws.send_text("last words")
        return await ws.close(4000)

    async with serving(server, handler) as served, served.connect() as client:
        assert [len(message) async for message in iterate_to_the_end(client)] == [5_000_000, 10]
        assert client.close_code == 4000


async def iterate_to_the_end(client: Any) -> AsyncIterator[str]:
    try:
        while True:
            yield await client.recv()
    except ConnectionClosed:
        pass


async def test_both_sides_see_that_the_server_stops(server: Server) -> None:
    async with (
        running(server.implementation) as other,
        serving(other, disconnect_of) as served,
        served.connect() as client,
    ):
        other.stop()
        await client.wait_closed()
        assert client.close_code == 1012
        error = await served.result()
        assert (error.code, error.closed_by) == (1012, "server")


# --- peers that vanish ---

WAYS_TO_VANISH: Final[dict[str, Callable[[RawClient], None]]] = {"reset": RawClient.reset, "FIN": RawClient.finish}
vanishing = pytest.mark.parametrize("vanish", WAYS_TO_VANISH.values(), ids=WAYS_TO_VANISH)


async def receive_text(ws: Socket) -> None:
    await ws.receive_text()


async def receive_bytes(ws: Socket) -> None:
    await ws.receive_bytes()


async def receive_json(ws: Socket) -> None:
    await ws.receive_json()


async def receive_model(ws: Socket) -> None:
    await ws.receive_model(int)


@vanishing
@pytest.mark.parametrize(
    "receive", [receive_text, receive_bytes, receive_json, receive_model], ids=lambda receive: receive.__name__
)
async def test_a_peer_that_vanishes_ends_a_receive(
    server: Server, vanish: Callable[[RawClient], None], receive: Handler[None]
) -> None:
    async def handler(ws: Socket) -> WebSocketDisconnect:
        await ws.accept()
        with pytest.raises(WebSocketDisconnect) as caught:
            await receive(ws)
        with pytest.raises(WebSocketDisconnect):
            await receive(ws)
        await ws.close()
        return caught.value

    async with serving(server, handler) as served, raw_client(served.port) as client:
        vanish(client)
        assert (await served.result()).code in (1005, 1006)


@vanishing
@pytest.mark.parametrize("method", ["__aiter__", "iter_models", "iter_text", "iter_bytes", "iter_json"])
async def test_a_peer_that_vanishes_ends_a_loop(
    server: Server, vanish: Callable[[RawClient], None], method: str
) -> None:
    async def handler(ws: Socket) -> Closed:
        await ws.accept()
        async for _ in getattr(ws, method)():
            raise AssertionError
        return await ws.close()

    async with serving(server, handler, of(WebSocket[int, int])) as served, raw_client(served.port) as client:
        vanish(client)
        assert (await served.result()).code in (1005, 1006)


async def send_for_ever(ws: Socket) -> None:
    while True:
        await ws.send_text("tick" * 1000)


async def send_models_for_ever(ws: Socket) -> None:
    while True:
        await ws.send_model(["tick"] * 1000)


async def send_with_checkpoints(ws: Socket) -> None:
    while True:
        await ws.send_bytes(b"tick")
        await anyio.lowlevel.checkpoint()


@vanishing
@pytest.mark.parametrize(
    "send", [send_for_ever, send_models_for_ever, send_with_checkpoints], ids=lambda send: send.__name__
)
async def test_a_peer_that_vanishes_ends_a_handler_that_sends(
    server: Server, vanish: Callable[[RawClient], None], send: Handler[None]
) -> None:
    async def handler(ws: Socket) -> WebSocketDisconnect:
        await ws.accept()
        try:
            with pytest.raises(WebSocketDisconnect) as caught:
                await send(ws)
            return caught.value
        finally:
            await ws.close()

    async with serving(server, handler) as served, raw_client(served.port) as client:
        assert await client.next_frame()
        vanish(client)
        await client.end()
        assert (await served.result()).code in (1005, 1006)


@vanishing
async def test_a_peer_that_vanishes_ends_every_task_that_sends(
    server: Server, vanish: Callable[[RawClient], None]
) -> None:
    async def handler(ws: Socket) -> list[bool]:
        await ws.accept()
        ends = await asyncio.gather(*(send_with_checkpoints(ws) for _ in range(5)), return_exceptions=True)
        await ws.close()
        return [isinstance(end, WebSocketDisconnect) for end in ends]

    async with serving(server, handler) as served, raw_client(served.port) as client:
        assert await client.next_frame()
        vanish(client)
        await client.end()
        assert await served.result() == [True] * 5


async def wait(ws: Socket) -> None:
    await anyio.Event().wait()


@vanishing
@pytest.mark.parametrize("busy", [wait, send_with_checkpoints], ids=lambda busy: busy.__name__)
async def test_a_peer_that_vanishes_cancels_a_handler_that_does_not_receive(
    server: Server, vanish: Callable[[RawClient], None], busy: Handler[None]
) -> None:
    async def handler(ws: Socket) -> WebSocketDisconnect:
        await ws.accept()
        await ws.send_text("go")
        with pytest.raises(WebSocketDisconnect) as caught:
            async with ws.cancelled_on_disconnect():
                await busy(ws)
        await ws.close()
        return caught.value

    async with serving(server, handler) as served, raw_client(served.port) as client:
        assert await client.next_frame()
        vanish(client)
        with anyio.fail_after(1):
            assert (await served.result()).code in (1005, 1006)


async def waits_then_receives(ws: Socket) -> tuple[int, list[str]]:
    await ws.accept()
    with pytest.raises(WebSocketDisconnect) as caught:
        async with ws.cancelled_on_disconnect():
            await wait(ws)
    return caught.value.code, [text async for text in ws.iter_text()]


async def waits_for_three(ws: Socket) -> int:
    await ws.accept()
    with pytest.raises(WebSocketDisconnect) as caught:
        async with ws.cancelled_on_disconnect(max_pending=3):
            await wait(ws)
    return caught.value.code


async def test_messages_to_a_handler_that_does_not_receive_are_kept(server: Server) -> None:
    async with serving(server, waits_then_receives) as served:
        async with served.connect() as client:
            for number in range(10):
                await client.send(str(number))
            await client.close(4001)
        assert await served.result() == (4001, [str(number) for number in range(10)])


async def test_too_many_messages_to_a_handler_that_does_not_receive_close_with_1008(
    server: Server,
) -> None:
    async with serving(server, waits_for_three) as served, served.connect() as client:
        for number in range(4):
            await client.send(str(number))
        await client.wait_closed()
        assert client.close_code == 1008
        assert await served.result() == 1008


async def accept(ws: Socket) -> object:
    with pytest.raises(WebSocketDisconnect):
        await ws.accept()
    return await ws.close()


async def deny(ws: Socket) -> object:
    return await ws.deny(401)


async def deny_with_a_response(ws: Socket) -> object:
    return await ws.send_denial_response(DenialResponse(401))


async def deny_with_a_stream(ws: Socket) -> object:
    return await ws.send_denial_response(StreamingResponse(chunks(), 401))


async def close(ws: Socket) -> object:
    return await ws.close()


@vanishing
@pytest.mark.parametrize(
    "decide", [accept, deny, deny_with_a_response, deny_with_a_stream, close], ids=lambda decide: decide.__name__
)
async def test_a_decision_after_the_peer_vanished_does_not_fail(
    server: Server, vanish: Callable[[RawClient], None], decide: Handler[object]
) -> None:
    arrived, vanished = anyio.Event(), anyio.Event()

    async def handler(ws: Socket) -> object:
        arrived.set()
        await vanished.wait()
        return await decide(ws)

    async with serving(server, handler) as served, raw_client(served.port, wait_for_handshake=False) as client:
        await arrived.wait()
        vanish(client)
        await round_trip(served.port)
        vanished.set()
        assert isinstance(await served.result(), Closed | Denied)


async def test_a_client_that_answers_no_ping_is_disconnected(server: Server) -> None:
    async with (
        running(server.implementation, ws_ping_interval=0.05, ws_ping_timeout=0.05) as other,
        serving(other, disconnect_of) as served,
        raw_client(served.port) as client,
    ):
        ping = await client.next_frame()
        assert ping is not None
        assert ping.opcode == Opcode.PING
        assert (await served.result()).code in (1005, 1006, 1011)
