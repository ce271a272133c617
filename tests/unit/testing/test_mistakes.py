"""The most frequent mistakes in applications, made with Starlette: each raises an error that names it.

The numbers are those of the GitHub threads that report them; see also `test_hangs` and `test_strictness`.
"""

import traceback
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from typedws.testing import TestConnection, connect, settle

pytestmark = pytest.mark.anyio

Play = Callable[[TestConnection[object, Any]], Awaitable[object]]

TIMEOUT: Final = 0.05


async def echoes(ws: WebSocket) -> None:
    await ws.accept()
    while True:
        await ws.send_text(await ws.receive_text())


async def never_accepts(ws: WebSocket) -> None:
    await anyio.sleep_forever()


async def forgets_to_accept(ws: WebSocket) -> None:
    await ws.send_text("hello")


async def returns_without_accepting(ws: WebSocket) -> None:
    pass


async def forgets_to_close(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_text("hello")


async def does_not_notice_that_the_client_left(ws: WebSocket) -> None:
    await ws.accept()
    await anyio.sleep_forever()


async def sends_after_its_close(ws: WebSocket) -> None:
    await ws.accept()
    await ws.close()
    await ws.send_text("one more thing")


async def refuses_after_accepting(ws: WebSocket) -> None:
    await ws.accept()
    raise HTTPException(401, "token missing")


async def accepts_a_subprotocol_that_was_not_offered(ws: WebSocket) -> None:
    await ws.accept(subprotocol="graphql-ws")


async def closes_with_1006(ws: WebSocket) -> None:
    await ws.accept()
    await ws.close(1006)


async def sends_a_value_that_is_not_json(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_json({"when": object()})


async def forgets_an_await(ws: WebSocket) -> None:
    await ws.accept()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ws.send_text("hello")  # type: ignore[unused-coroutine] # pyright: ignore[reportUnusedCoroutine]
    await ws.receive_text()


async def receives(ws: TestConnection[object, Any]) -> None:
    await ws.receive_text()


async def receives_twice(ws: TestConnection[object, Any]) -> None:
    await ws.receive_text()
    await ws.receive_text()


async def sends_bytes(ws: TestConnection[object, Any]) -> None:
    await ws.send_bytes(b"hello")
    await ws.receive_text()


async def leaves(ws: TestConnection[object, Any]) -> None:
    pass


async def waits(ws: TestConnection[object, Any]) -> None:
    await settle()


@pytest.mark.parametrize(
    ("handler", "path", "play", "parts"),
    [
        pytest.param(
            echoes,
            "/ws",
            receives,
            [
                "WaitTimeout: expected a message from the application within 0.05 s, found nothing: "
                "the application waits for a message at ",
                " in echoes: await ws.send_text(await ws.receive_text())",
            ],
            id="starlette#1140, #2329, #2598: both wait",
        ),
        pytest.param(
            never_accepts,
            "/ws",
            leaves,
            ["WaitTimeout: expected the application to accept or deny within 0.05 s", " in never_accepts: "],
            id="httpx-ws#123: it never accepts",
        ),
        pytest.param(
            forgets_to_accept,
            "/ws",
            leaves,
            ['Expected ASGI message "websocket.accept", ', "but got 'websocket.send'", "in forgets_to_accept"],
            id="it forgets to accept",
        ),
        pytest.param(
            returns_without_accepting,
            "/ws",
            leaves,
            ["ApplicationReturned: the application returned without accepting or denying"],
            id="httpx-ws#92: it returns without accepting",
        ),
        pytest.param(
            forgets_to_close,
            "/ws",
            receives_twice,
            ["WebSocketDisconnect: the connection was lost: 1006", "application  ends without a close"],
            id="the handler returned: no further message arrives",
        ),
        pytest.param(
            does_not_notice_that_the_client_left,
            "/ws",
            leaves,
            [
                "WaitTimeout: expected the application to end after its client has left within 0.05 s, found nothing: "
                "the application waits at ",
                " in does_not_notice_that_the_client_left: await anyio.sleep_forever()",
            ],
            id="starlette#947: it does not notice that its client left",
        ),
        pytest.param(
            echoes,
            "/wss",
            leaves,
            [
                "ConnectionDenied: the server denied the handshake with 403",
                "client       asks for /wss",
            ],
            id="async-asgi-testclient#54: an unknown path",
        ),
        pytest.param(
            sends_after_its_close,
            "/ws",
            waits,
            ['Cannot call "send" once a close message has been sent.', "in sends_after_its_close"],
            id="starlette#2766: it sends after its close",
        ),
        pytest.param(
            echoes,
            "/ws",
            sends_bytes,
            ["KeyError: 'text'", "client       sends bytes b'hello'"],
            id="starlette#3381: bytes instead of text",
        ),
        pytest.param(
            refuses_after_accepting,
            "/ws",
            waits,
            ["401: token missing", "in refuses_after_accepting"],
            id="it denies after accepting",
        ),
        pytest.param(
            accepts_a_subprotocol_that_was_not_offered,
            "/ws",
            waits,
            ["InvalidHandshake: subprotocol: expected one of the 0 that the client offered, found 'graphql-ws'"],
            id="a subprotocol that was not offered",
        ),
        pytest.param(
            closes_with_1006,
            "/ws",
            waits,
            ["InvalidClose: expected a close code that may be sent ", " found 1006 (abnormal closure, no close frame)"],
            id="a close code that must not be sent",
        ),
        pytest.param(
            sends_a_value_that_is_not_json,
            "/ws",
            waits,
            ["TypeError: Object of type object is not JSON serializable", "in sends_a_value_that_is_not_json"],
            id="channels#1646: a value that is not JSON",
        ),
        pytest.param(
            forgets_an_await,
            "/ws",
            receives,
            ["WaitTimeout: expected a message from the application", " in forgets_an_await: await ws.receive_text()"],
            id="it forgets an await",
        ),
    ],
)
async def test_a_mistake_raises_an_error_that_names_it(
    handler: Callable[[WebSocket], Awaitable[None]], path: str, play: Play, parts: list[str]
) -> None:
    app = Starlette(routes=[WebSocketRoute("/ws", handler)])
    with pytest.raises(Exception) as caught:
        async with connect(app, path, timeout=TIMEOUT) as ws:
            await play(ws)
    shown = "".join(traceback.format_exception(caught.value))
    assert [part for part in parts if part not in shown] == [], shown
