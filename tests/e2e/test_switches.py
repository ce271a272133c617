"""Each switch of the harness, compared with the servers that it imitates: an application sees and does the same.

The application reports what it sees on a real server, in process with the switch, and in process without it. Without
the switch it must see something else, or the switch would do nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as dial
from websockets.exceptions import InvalidStatus, WebSocketException

from tests.e2e.servers import LOOPS, Run, RunningServer, ServerName, running_server
from tests.e2e.stage import report
from typedws import WebSocket
from typedws.asgi import ASGIApp, Receive, Scope, Send
from typedws.testing import ConnectionDenied, ServerBehaviour, TestConnection, connect, settle

pytestmark = pytest.mark.anyio

Facts = dict[str, Any]

facts_of_test: Final[ContextVar[list[Facts]]] = ContextVar("facts_of_test")


def report_facts(**facts: Any) -> None:
    """Report facts to the test, from its own process or from another one."""
    try:
        facts_of_test.get().append(facts)
    except LookupError:
        report("seen", **facts)


# --- applications ---


async def accept(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})


async def sends_on(scope: Scope, receive: Receive, send: Send) -> None:
    """Send after the client has disconnected."""
    await accept(receive, send)
    await receive()
    try:
        for _ in range(3):
            await send({"type": "websocket.send", "text": "still there?"})
    except OSError:
        report_facts(sends="fail")
    else:
        report_facts(sends="are lost")


async def denies(scope: Scope, receive: Receive, send: Send) -> None:
    await WebSocket(scope, receive, send).deny(401)
    report_facts(extension="websocket.http.response" in (scope.get("extensions") or {}))


async def closes_with_a_reason(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    await send({"type": "websocket.close", "code": 4001, "reason": "bye"})
    report_facts(closes=4001)


async def waits(scope: Scope, receive: Receive, send: Send) -> None:
    """Wait, and report what a shutdown of the server does."""
    await accept(receive, send)
    try:
        event = await receive()
    except BaseException:
        report_facts(shutdown="cancelled")
        raise
    report_facts(shutdown=event["type"])


async def receives(scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    for _ in range(2):
        event = await receive()
        report_facts(keys=sorted(name for name in ("bytes", "text") if name in event))
    await send({"type": "websocket.close", "code": 1000})


# --- clients, over a socket and in process: what they do, and what they see ---

Client = ClientConnection | TestConnection[object, Any]


async def leaves(ws: Client, stop: Callable[[], None]) -> None:
    await ws.close()


async def waits_for_the_close(ws: Client, stop: Callable[[], None]) -> Facts:
    if isinstance(ws, TestConnection):
        await settle()
        return {"reason": ws.end and ws.end.reason}
    await ws.wait_closed()
    return {"reason": ws.close_reason}


async def stops_the_server(ws: Client, stop: Callable[[], None]) -> None:
    await settle()
    stop()


async def sends(ws: Client, stop: Callable[[], None]) -> None:
    for message in ("text", b"bytes"):
        if isinstance(ws, ClientConnection):
            await ws.send(message)
        elif isinstance(message, str):
            await ws.send_text(message)
        else:
            await ws.send_bytes(message)


class Case(NamedTuple):
    """A switch, the servers that it imitates, and a scene in which it has an effect."""

    switch: ServerBehaviour
    servers: tuple[ServerName, ...]
    app: ASGIApp
    play: Callable[[Client, Callable[[], None]], Awaitable[Facts | None]]
    facts: int = 1
    """The number of reports of the application."""


CASES: Final[Mapping[str, Case]] = {
    "drops_sends_silently": Case(
        ServerBehaviour(drops_sends_silently=True),
        ("hypercorn-asyncio", "hypercorn-trio", "granian", "daphne"),
        sends_on,
        leaves,
    ),
    "no_denial_extension": Case(ServerBehaviour(no_denial_extension=True), ("daphne",), denies, leaves),
    "no_close_reason": Case(
        ServerBehaviour(no_close_reason=True), ("daphne",), closes_with_a_reason, waits_for_the_close
    ),
    "cancelled_at_shutdown": Case(
        ServerBehaviour(cancelled_at_shutdown=True), ("hypercorn-asyncio",), waits, stops_the_server
    ),
    "both_data_keys": Case(
        ServerBehaviour(both_data_keys=True), ("hypercorn-asyncio", "hypercorn-trio"), receives, sends, 2
    ),
}


@pytest.mark.parametrize(("name", "server"), [(name, each) for name, case in CASES.items() for each in case.servers])
async def test_a_switch_behaves_like_its_servers(name: str, server: ServerName) -> None:
    case = CASES[name]
    real = await on_a_server(case, server)
    assert await in_process(case, case.switch) == real
    assert await in_process(case, ServerBehaviour()) != real


async def on_a_server(case: Case, name: ServerName) -> list[Facts]:
    """Play a scene on a real server, and return what both ends report."""
    app = f"{__name__}:{getattr(case.app, '__name__', '')}"
    async with running_server(name, loop=LOOPS[name][-1]) as server, server.run(app) as run:
        seen = await over_a_socket(case, server, run)
        facts = await run.wait_for_reports("seen", case.facts)
        return [*({key: each[key] for key in each if key not in ("kind", "client")} for each in facts), *seen]


async def over_a_socket(case: Case, server: RunningServer, run: Run) -> list[Facts]:
    try:
        async with dial(run.url(), proxy=None) as ws:
            seen = await case.play(ws, server.stop)
            await run.wait_for_reports("seen", case.facts)
    except InvalidStatus as denied:
        return [{"status": denied.response.status_code}]
    except WebSocketException:
        return []
    return [seen] if seen else []


async def in_process(case: Case, server: ServerBehaviour) -> list[Facts]:
    """Play a scene on the harness, and return what both ends report."""
    facts: list[Facts] = []
    token = facts_of_test.set(facts)
    try:
        async with connect(case.app, server=server) as ws:
            if seen := await case.play(ws, ws.shut_down_server):
                facts.append(seen)
            await settle()
    except ConnectionDenied as denied:
        facts.append({"status": denied.status})
    finally:
        facts_of_test.reset(token)
    return facts
