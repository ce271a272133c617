"""The mistakes that people make most often, with the framework that most of them use: each is told by its name.

The numbers are those of the threads in which they met them; see also `test_hangs` and `test_strictness`.
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

WAIT: Final = 0.05


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


async def is_not_told_that_the_client_left(ws: WebSocket) -> None:
    await ws.accept()
    await anyio.sleep_forever()


async def goes_on_after_its_close(ws: WebSocket) -> None:
    await ws.accept()
    await ws.close()
    await ws.send_text("one more thing")


async def refuses_after_accepting(ws: WebSocket) -> None:
    await ws.accept()
    raise HTTPException(401, "token missing")


async def accepts_what_nobody_offered(ws: WebSocket) -> None:
    await ws.accept(subprotocol="graphql-ws")


async def closes_with_what_must_not_be_sent(ws: WebSocket) -> None:
    await ws.accept()
    await ws.close(1006)


async def sends_what_is_no_json(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_json({"when": object()})


async def forgets_an_await(ws: WebSocket) -> None:
    await ws.accept()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ws.send_text("hello")  # type: ignore[unused-coroutine] # pyright: ignore[reportUnusedCoroutine]
    await ws.receive_text()


async def hears(ws: TestConnection[object, Any]) -> None:
    await ws.receive_text()


async def hears_twice(ws: TestConnection[object, Any]) -> None:
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
    ("handler", "path", "play", "told"),
    [
        pytest.param(
            echoes,
            "/ws",
            hears,
            [
                "WaitTimeout: expected a message of the application within 0.05 s, found nothing: "
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
            ["ApplicationReturned: expected the application to accept or deny, found that it returned without either"],
            id="httpx-ws#92: it returns without accepting",
        ),
        pytest.param(
            forgets_to_close,
            "/ws",
            hears_twice,
            ["WebSocketDisconnect: the connection was lost: 1006", "application  ends without a close"],
            id="the handler returned: nothing more comes",
        ),
        pytest.param(
            is_not_told_that_the_client_left,
            "/ws",
            leaves,
            [
                "WaitTimeout: expected the application to end after its client has left within 0.05 s, found nothing: "
                "the application stands at ",
                " in is_not_told_that_the_client_left: await anyio.sleep_forever()",
            ],
            id="starlette#947: it does not notice that its client left",
        ),
        pytest.param(
            echoes,
            "/wss",
            leaves,
            [
                "ConnectionDenied: expected an accepted connection, found it denied with 403",
                "client       asks for /wss",
            ],
            id="async-asgi-testclient#54: an unknown path",
        ),
        pytest.param(
            goes_on_after_its_close,
            "/ws",
            waits,
            ['Cannot call "send" once a close message has been sent.', "in goes_on_after_its_close"],
            id="starlette#2766: it goes on after its close",
        ),
        pytest.param(
            echoes,
            "/ws",
            sends_bytes,
            ["KeyError: 'text'", "client       sends bytes b'hello'"],
            id="starlette#3381: bytes in place of text",
        ),
        pytest.param(
            refuses_after_accepting,
            "/ws",
            waits,
            ["401: token missing", "in refuses_after_accepting"],
            id="it refuses after accepting",
        ),
        pytest.param(
            accepts_what_nobody_offered,
            "/ws",
            waits,
            ["InvalidHandshake: subprotocol: expected one of the 0 that the client offered, found 'graphql-ws'"],
            id="a subprotocol that nobody offered",
        ),
        pytest.param(
            closes_with_what_must_not_be_sent,
            "/ws",
            waits,
            ["InvalidClose: expected a close code that may be sent ", " found 1006 (abnormal closure, no close frame)"],
            id="a close code that must not be sent",
        ),
        pytest.param(
            sends_what_is_no_json,
            "/ws",
            waits,
            ["TypeError: Object of type object is not JSON serializable", "in sends_what_is_no_json"],
            id="channels#1646: what is no JSON",
        ),
        pytest.param(
            forgets_an_await,
            "/ws",
            hears,
            ["WaitTimeout: expected a message of the application", " in forgets_an_await: await ws.receive_text()"],
            id="it forgets an await",
        ),
    ],
)
async def test_a_mistake_is_told_by_its_name(
    handler: Callable[[WebSocket], Awaitable[None]], path: str, play: Play, told: list[str]
) -> None:
    app = Starlette(routes=[WebSocketRoute("/ws", handler)])
    with pytest.raises(Exception) as caught:
        async with connect(app, path, timeout=WAIT) as ws:
            await play(ws)
    shown = "".join(traceback.format_exception(caught.value))
    assert [each for each in told if each not in shown] == [], shown
