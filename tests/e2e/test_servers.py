"""Every server runs in a process of its own, serves the application that a test names, reports on it, and stops."""

import asyncio
import os

import pytest
from websockets.asyncio.client import connect

from tests.e2e.servers import LOOPS, SERVERS, Loop, ServerName, running_server
from tests.e2e.stage import report
from typedws.asgi import Receive, Scope, Send

pytestmark = pytest.mark.anyio


async def upper(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer in capitals, and report that the client disconnected."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"].upper()})
    report("left", pid=os.getpid())


async def fails(scope: Scope, receive: Receive, send: Send) -> None:
    """Raise, as an application may."""
    raise LookupError


@pytest.mark.parametrize(("name", "loop"), [(name, loop) for name in SERVERS for loop in LOOPS[name]])
async def test_a_server_serves_the_named_application_and_reports_on_it(name: ServerName, loop: Loop) -> None:
    async with running_server(name, f"{__name__}:upper", loop=loop) as server:
        async with server.run() as run:
            async with connect(run.url(), proxy=None) as client:
                await client.send("hello")
                assert await client.recv() == "HELLO"
                assert (await server.census()).tasks > 0
            assert (await run.report("left"))["pid"] != os.getpid()
            assert await run.ended() is None
        assert server.log == []
        async with server.run(f"{__name__}:fails") as run:
            connecting = asyncio.gather(connect(run.url(), proxy=None), return_exceptions=True)
            assert await run.ended() == "LookupError"
            assert isinstance((await connecting)[0], Exception)
    assert server.printed == ""
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", server.port)
