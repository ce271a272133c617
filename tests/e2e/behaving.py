"""Handlers as users write them, which report what they see. The servers run them for `tests.e2e.behaviours`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Annotated, Any, Final, Literal, Never

import anyio
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from tests.e2e import echoes
from tests.e2e.stage import report
from typedws import (
    Closed,
    Connection,
    Contract,
    DenialResponse,
    Denied,
    FromHeader,
    Handshake,
    InvalidHandshake,
    Outcome,
    Policy,
    WebSocket,
    WebSocketDisconnect,
    endpoint,
)
from typedws.asgi import ASGIApp, Receive, Scope, Send

AnySocket = WebSocket[Any, Any, Any]


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str


class Leave(BaseModel):
    type: Literal["leave"] = "leave"


class Tick(BaseModel):
    tick: int


ClientMessages = Annotated[Say | Leave, Field(discriminator="type")]


def describe_end(end: Closed | Denied | WebSocketDisconnect) -> str:
    """Describe in a few words how a connection ended."""
    if isinstance(end, Denied):
        return f"denied with {end.status}"
    return " ".join(filter(None, [str(int(end.code)), end.reason and f'"{end.reason}"', f"by the {end.closed_by}"]))


@contextmanager
def reporting_the_end() -> Generator[None]:
    """Report how the block ends, and after how many seconds."""
    began, how = monotonic(), "returned"
    try:
        yield
    except WebSocketDisconnect as end:
        how = f"WebSocketDisconnect: {describe_end(end)}"
        raise
    except BaseException as error:
        how = "cancelled" if isinstance(error, anyio.get_cancelled_exc_class()) else type(error).__name__
        raise
    finally:
        report("left", how=how, seconds=monotonic() - began)


def bare(handler: Callable[[AnySocket], Awaitable[object]]) -> ASGIApp:
    """Return an application that runs a handler of the whole `WebSocket`, without an endpoint."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(WebSocketDisconnect):
            await handler(WebSocket[Any, Any, Any](scope, receive, send))

    return app


# --- messages ---


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Send back every message, with the methods and in the mode that the client names."""
    ws = WebSocket[echoes.Message, echoes.Message](scope, receive, send)
    mode = ws.query_params.get("mode", "text")
    ws = WebSocket[echoes.Message, echoes.Message](scope, receive, send, mode=mode)
    await ws.accept()
    try:
        await echoes.ECHOES[ws.query_params["echo"]](ws)
    except WebSocketDisconnect as end:
        report("ends", how=describe_end(end))
    else:
        report("ends", how=describe_end(await ws.close()))


@bare
async def counts_numbers(ws: AnySocket) -> None:
    """Cancel every receive that waits for 0.3 milliseconds, and count the messages that still arrive."""
    await ws.accept()
    received: list[int] = []
    has_timed_out = False
    while True:
        with anyio.move_on_after(0.0003) as scope:
            try:
                received.append(int(await ws.receive_text()))
            except WebSocketDisconnect:
                break
        if scope.cancelled_caught and not has_timed_out:
            has_timed_out = True
            report("timed out")
    report("counted", count=len(received), in_order=received == sorted(set(received)))


@bare
async def sends_from_many_tasks(ws: AnySocket) -> None:
    """Send from many tasks at once, in the order of their numbers."""
    await ws.accept()
    async with anyio.create_task_group() as tasks:
        for number in range(200):
            tasks.start_soon(ws.send_text, str(number))
            await anyio.lowlevel.checkpoint()
    await ws.close()


# --- handshakes ---


@endpoint
async def denies(handshake: Handshake[ClientMessages, Tick]) -> Outcome:
    headers = [("WWW-Authenticate", 'Bearer realm="chat"'), ("X-Who", "us")]
    return await handshake.deny(401, detail="token missing — où?", headers=headers)


class Refusal(BaseModel):
    error: str
    retry_after: int


async def parts() -> AsyncIterator[bytes]:
    for number in range(3):
        yield b"part %d\n" % number


async def long_parts() -> AsyncIterator[bytes]:
    for _ in range(8):
        yield b"x" * (1 << 16)


RESPONSES: Final[dict[str, Callable[[], Any]]] = {
    "nothing": lambda: DenialResponse(404),
    "bytes": lambda: DenialResponse(400, body=b"\x00\xff", headers={"X-Who": "us"}),
    "model": lambda: DenialResponse(429, body=Refusal(error="busy", retry_after=3), headers={"Retry-After": "3"}),
    "parts": lambda: StreamingResponse(parts(), 503, {"X-Who": "us"}, "text/csv"),
    "long parts": lambda: StreamingResponse(long_parts(), 451, {"X-Who": "us"}, "text/plain"),
}


@endpoint
async def denies_with_response(handshake: Handshake[ClientMessages, Tick]) -> Outcome:
    with reporting_the_end():
        return await handshake.send_denial_response(RESPONSES[handshake.query_params["response"]]())


@bare
async def closes_before_the_accept(ws: AnySocket) -> None:
    report("ends", how=describe_end(await ws.close(4401, "you are not wanted")))


@endpoint
async def decides_nothing(handshake: Handshake[ClientMessages, Tick]) -> Any:
    """Decide nothing. Only the ``Any`` makes type checkers accept that."""


@endpoint
async def fails_before_the_accept(handshake: Handshake[ClientMessages, Tick]) -> Outcome:
    raise LookupError


class Params(BaseModel):
    room: int
    agent: Annotated[str, FromHeader("user-agent")] = ""


@endpoint
async def takes_parameters(ws: Connection[ClientMessages, Tick, Params]) -> None:
    await ws.send_model(Tick(tick=ws.params.room))


@endpoint
async def accepts_with_headers(handshake: Handshake[ClientMessages, Tick]) -> Outcome:
    cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    ws = await handshake.accept(headers=[("X-Who", "us"), *cookies])
    return await ws.close()


@endpoint
async def accepts_the_first_subprotocol(handshake: Handshake[ClientMessages, Tick]) -> Outcome:
    ws = await handshake.accept(subprotocol=next(iter(handshake.subprotocols), None))
    return await ws.close()


@endpoint
async def accepts_another_subprotocol(handshake: Handshake[ClientMessages, Tick]) -> Outcome:
    try:
        ws = await handshake.accept(subprotocol="soap")
    except InvalidHandshake:
        ws = await handshake.accept()
    return await ws.close()


chat: Final = Contract("chat", Connection[ClientMessages, Tick], version="1.0.0", modes=("text", "cbor"))


@endpoint(contract=chat)
async def answers_in_the_chosen_mode(ws: Connection[ClientMessages, Tick]) -> None:
    async for message in ws:
        if isinstance(message, Leave):
            break
        await ws.send_model(Tick(tick=len(message.text)))


@endpoint(policy=Policy(handshake_timeout=0.3))
async def decides_too_late(handshake: Handshake[ClientMessages, Tick]) -> Outcome:
    with reporting_the_end():
        await anyio.sleep_forever()
    return await handshake.deny()


@bare
async def accepts_after_the_client_left(ws: AnySocket) -> None:
    """Wait for the disconnect, at most half a second, and accept only then. Some servers do not report it."""
    await ws.receive()
    report("waits")
    with anyio.move_on_after(0.5) as scope:
        event = await ws.receive()
        report("receives", how=f"{event['type']} {event['code']}")
    if scope.cancelled_caught:
        report("receives", how="nothing")
    with reporting_the_end():
        await ws.accept()
        await ws.receive_text()


# --- closing ---


@endpoint
async def closes(ws: Connection[ClientMessages, Tick]) -> None:
    report("ends", how=describe_end(await ws.close(4001, "bye")))
    report("ends again", how=describe_end(await ws.close(1000)))
    try:
        await ws.send_model(Tick(tick=0))
    except WebSocketDisconnect as end:
        report("sends", how=describe_end(end))


@endpoint
async def closes_with_the_longest_reason(ws: Connection[ClientMessages, Tick]) -> None:
    await ws.close(1000, "é" * 61 + "x")


@bare
async def closes_during_a_receive(ws: AnySocket) -> None:
    """Close in one task while another task waits for a message."""
    await ws.accept()

    async def receive() -> None:
        try:
            await ws.receive_text()
        except WebSocketDisconnect as end:
            report("receives", how=type(end).__name__)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await ws.send_text("ready")
        await anyio.sleep(0.05)  # the other task must wait in the server's receive before the close
        report("closes", how=describe_end(await ws.close(4001, "bye")))


@endpoint
async def returns(ws: Connection[ClientMessages, Tick]) -> None:
    await ws.send_model(Tick(tick=1))


@endpoint
async def fails(ws: Connection[ClientMessages, Tick]) -> None:
    await ws.send_model(Tick(tick=1))
    raise LookupError


@endpoint
async def receives_an_invalid_message(ws: Connection[ClientMessages, Tick]) -> None:
    async for _ in ws:
        pass


@bare
async def receives(ws: AnySocket) -> None:
    """Receive until the end, then use the connection although it has ended."""
    await ws.accept()
    await ws.send_text("ready")
    received = 0
    try:
        while True:
            await ws.receive()
            if ws.client_state.name == "DISCONNECTED":
                break
            received += 1
        await ws.receive()
    except WebSocketDisconnect as end:
        report("ends", how=describe_end(end), received=received)
    for kind, call in (("sends", ws.send_text("late")), ("receives", ws.receive_text())):
        try:
            await call
        except WebSocketDisconnect as end:
            report(kind, how=type(end).__name__)
        else:
            report(kind, how="nothing")
    report("closes", how=describe_end(await ws.close(4002, "late")))


@endpoint
async def iterates(ws: Connection[ClientMessages, Tick]) -> None:
    await ws.send_model(Tick(tick=0))
    with reporting_the_end():
        async for _ in ws:
            pass


async def keep_sending(ws: Connection[Any, Tick, Any]) -> None:
    tick = 0
    with reporting_the_end():
        while True:
            await ws.send_model(Tick(tick=tick))
            await anyio.sleep(0.02)
            tick += 1


@endpoint
async def only_sends(ws: Connection[ClientMessages, Tick]) -> None:
    await keep_sending(ws)


@bare
async def only_sends_without_an_endpoint(ws: AnySocket) -> None:
    await ws.accept()
    await keep_sending(ws)


@endpoint
async def feeds(ws: Connection[Never, Tick]) -> None:
    await ws.send_model(Tick(tick=0))
    with reporting_the_end():
        await anyio.sleep_forever()


@bare
async def is_cancelled_on_disconnect(ws: AnySocket) -> None:
    await ws.accept()
    await ws.send_text("ready")
    with reporting_the_end():
        async with ws.cancelled_on_disconnect():
            await anyio.sleep_forever()


# --- peers that do not read ---

SIZE: Final = 1 << 18
LARGE_MESSAGES: Final = 200
"""Number of messages of that size in a flood, 50 MiB in all. Messages of one byte follow them."""


async def flood(ws: Connection[Any, Any, Any]) -> None:
    with reporting_the_end():
        for _ in range(LARGE_MESSAGES):
            await ws.send_text("x" * SIZE)
        report("flooded")
        while True:
            await ws.send_text("x")
            await anyio.sleep(0.02)


@endpoint(policy=Policy(send_timeout=0.4))
async def floods(ws: Connection[ClientMessages, str]) -> None:
    await flood(ws)


@endpoint
async def floods_with_the_default_timeout(ws: Connection[ClientMessages, str]) -> None:
    await flood(ws)


# --- ending the server ---


@endpoint
async def is_busy(ws: Connection[ClientMessages, Tick]) -> None:
    await ws.send_model(Tick(tick=0))
    with reporting_the_end():
        await anyio.sleep_forever()
