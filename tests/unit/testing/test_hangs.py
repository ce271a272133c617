"""Each way in which a test or its application could hang: it ends in time and shows the application's position."""

import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import suppress
from typing import Any, Final

import anyio
import pytest

from tests.unit.testing.chat import app as chat_app
from tests.unit.testing.chat import chat
from typedws import Connection, WebSocket, endpoint
from typedws.testing import ApplicationReturned, TestConnection, WaitTimeout, connect, settle
from typedws.testing import application_run as run_module

pytestmark = pytest.mark.anyio

LIMIT: Final = 0.05
MARGIN: Final = 2.0
"""Seconds beyond the limit that ending an application may take if it swallows its cancellation."""


@pytest.fixture(autouse=True)
def end_unclosable_applications() -> Generator[None]:
    """End the applications that could not be closed: otherwise Python would warn when it collects them."""
    TEST_IS_OVER.clear()
    yield
    TEST_IS_OVER.set()
    for part in run_module.UNCLOSABLE:
        if hasattr(part, "close"):
            part.close()
    run_module.UNCLOSABLE.clear()


TEST_IS_OVER: Final = threading.Event()


Play = Callable[[TestConnection[object, Any]], Awaitable[object]]


async def accepts(scope: Any, receive: Any, send: Any) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})


async def never_accepts(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await anyio.sleep_forever()


async def waits_for_a_message(scope: Any, receive: Any, send: Any) -> None:
    await accepts(scope, receive, send)
    await receive()


async def ignores_the_disconnect(scope: Any, receive: Any, send: Any) -> None:
    await accepts(scope, receive, send)
    await anyio.sleep_forever()


async def swallows_cancellation(scope: Any, receive: Any, send: Any) -> None:
    await accepts(scope, receive, send)
    while True:
        try:
            await anyio.sleep(1)
        except anyio.get_cancelled_exc_class():
            pass


async def swallows_everything(scope: Any, receive: Any, send: Any) -> None:
    await accepts(scope, receive, send)
    event = anyio.Event()
    while not TEST_IS_OVER.is_set():
        with suppress(BaseException):
            await event.wait()


async def asks_again_and_again(scope: Any, receive: Any, send: Any) -> None:
    await accepts(scope, receive, send)
    while True:
        with suppress(Exception):
            await receive()


@endpoint
async def receives_again_and_again(ws: Connection[str, str]) -> None:
    while True:
        with suppress(Exception):
            await ws.receive_model()


@endpoint
async def sends_again_and_again(ws: Connection[str, str]) -> None:
    while True:
        with suppress(Exception):
            await ws.send_model("still there?")


async def ticks() -> AsyncIterator[int]:
    await anyio.sleep_forever()
    yield 1


async def waits_in_a_generator(scope: Any, receive: Any, send: Any) -> None:
    await accepts(scope, receive, send)
    async for _ in ticks():
        pass


async def floods(scope: Any, receive: Any, send: Any) -> None:
    await accepts(scope, receive, send)
    while True:
        await send({"type": "websocket.send", "text": "x" * 1000})


async def receives(ws: TestConnection[object, Any]) -> None:
    await ws.receive_text()


async def expects_a_close(ws: TestConnection[object, Any]) -> None:
    await ws.expect_close()


async def sends_for_ever(ws: TestConnection[object, Any]) -> None:
    while True:
        await ws.send_text("x" * 100_000)


async def leaves(ws: TestConnection[object, Any]) -> None:
    pass


@pytest.mark.parametrize(
    ("app", "play", "sentence"),
    [
        pytest.param(
            never_accepts,
            leaves,
            r"expected the application to accept or deny within 0.05 s, found nothing: the application waits at "
            r"\S+test_hangs.py:\d+ in never_accepts: await anyio.sleep_forever\(\)",
            id="it never accepts",
        ),
        pytest.param(
            waits_for_a_message,
            receives,
            r"expected a message from the application within 0.05 s, found nothing: the application waits for a "
            r"message at \S+test_hangs.py:\d+ in waits_for_a_message: await receive\(\)",
            id="both wait for a message",
        ),
        pytest.param(
            waits_for_a_message,
            expects_a_close,
            r"expected a message from the application .* waits for a message at .* in waits_for_a_message",
            id="both wait for the end",
        ),
        pytest.param(
            ignores_the_disconnect,
            leaves,
            r"expected the application to end after its client has left within 0.05 s, found nothing: the application "
            r"waits at \S+test_hangs.py:\d+ in ignores_the_disconnect: await anyio.sleep_forever\(\)$",
            id="it ignores the disconnect",
        ),
        pytest.param(
            swallows_cancellation,
            leaves,
            r"the application to end after .* in swallows_cancellation: .*; it did not stop when it was cancelled$",
            id="it swallows its cancellation",
        ),
        pytest.param(
            swallows_everything,
            leaves,
            r"the application to end after .* in swallows_everything: .*; it did not stop when it was cancelled$",
            id="it swallows every exception",
        ),
        pytest.param(
            asks_again_and_again,
            leaves,
            r"the application to end after .* in asks_again_and_again: await receive\(\)",
            id="a raw application receives after the disconnect",
        ),
        pytest.param(
            receives_again_and_again,
            leaves,
            r"the application to end after .* in receives_again_and_again: await ws.receive_model\(\)",
            id="it receives after the disconnect",
        ),
        pytest.param(
            sends_again_and_again,
            leaves,
            r"the application to end after .* in sends_again_and_again: await ws.send_model",
            id="it sends after the disconnect",
        ),
        pytest.param(
            waits_in_a_generator,
            receives,
            r"a message from the application .* waits at \S+test_hangs.py:\d+ in ticks: await anyio.sleep_forever\(\)",
            id="it waits in a generator",
        ),
        pytest.param(
            ignores_the_disconnect,
            sends_for_ever,
            r"expected the application to read what the client sends within 0.05 s, found nothing: .* "
            r"in ignores_the_disconnect",
            id="it does not read",
        ),
    ],
)
async def test_a_hang_ends_in_time_and_shows_the_position_of_the_application(
    app: Any, play: Play, sentence: str
) -> None:
    started = time.monotonic()
    with pytest.raises(WaitTimeout) as caught:
        async with connect(app, timeout=LIMIT) as ws:
            await play(ws)
    assert time.monotonic() - started < LIMIT + MARGIN
    caught.match(sentence.removesuffix("$") + (r"\nthe last events:" if sentence.endswith("$") else ""))


async def test_an_application_that_returns_early_fails_the_test_at_once() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        return

    with pytest.raises(ApplicationReturned) as caught:
        async with connect(app):
            pass
    assert str(caught.value) == (
        "the application returned without accepting or denying\n"
        "the last events:\n"
        "  client       asks for /\n"
        "  application  ends without a decision"
    )


async def test_a_receive_from_an_application_that_ended_fails_at_once() -> None:
    with pytest.raises(AssertionError, match="found the connection was lost: 1006"):
        async with connect(accepts) as ws:
            await ws.expect(str)


async def test_an_application_waits_for_a_client_that_does_not_read() -> None:
    sentence = r"the application waits for the client to read at \S+ in floods: await send"
    with pytest.raises(WaitTimeout, match=sentence) as caught:
        async with connect(floods, timeout=LIMIT) as ws:
            await settle()
            ws.stop_reading()
            while True:  # the messages that are on the way
                await ws.receive_text()
    count, *last = caught.value.events
    assert 1_000 < int(count[1:].split()[0]) < 2_000
    assert {*last} == {f"application  sends text '{'x' * 80}'... (1000 in all)"}


async def test_an_error_shows_the_last_events_in_both_directions() -> None:
    with pytest.raises(WaitTimeout) as caught:
        async with connect(chat_app, "/chat/lobby?name=ann", chat, timeout=LIMIT) as ws:
            await ws.send_text('{"type":"say","text":"hello"}')
            await ws.send_bytes(b"x" * 100)
            for _ in range(3):
                await ws.receive_model()
    said = '{"type":"said","text":"hello","by":"ann"}'
    assert caught.value.events[:4] == (
        "client       asks for /chat/lobby?name=ann",
        "application  accepts",
        'client       sends text \'{"type":"say","text":"hello"}\'',
        f"client       sends bytes {b'x' * 80!r}... (100 in all)",
    )
    assert f"application  sends text {said!r}" in caught.value.events


async def test_a_handler_that_needs_time_to_end_is_waited_for() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        ws = WebSocket[Any, Any](scope, receive, send)
        await ws.accept()
        async for _ in ws.iter_text():
            pass
        await anyio.sleep(LIMIT)

    async with connect(app, timeout=1.0):
        pass
