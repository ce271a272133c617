"""What is the same in every framework: an endpoint, how it ends, and a server that sees whether it ended but once."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import pytest
from pydantic import BaseModel
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.e2e.serving import LIMIT, Server
from typedws import (
    App,
    Closed,
    Handshake,
    HTTPException,
    Outcome,
    WebSocketDisconnect,
    WebSocketException,
    WebSocketRoute,
    endpoint,
)
from typedws.asgi import ASGIApp, Receive, Scope, Send


class Say(BaseModel):
    text: str


class Said(BaseModel):
    text: str
    by: str = ""


class Room(BaseModel):
    room: str
    how: str = ""
    limit: int = 0


class CrashError(Exception):
    """What nobody foresees."""


Opening = Handshake[Say, Said, Room]

BEFORE: Final[Mapping[str, Exception]] = {
    "unauthorized": HTTPException(401, "token missing", {"WWW-Authenticate": "Bearer"}),
    "crash-early": CrashError("secret"),
}
AFTER: Final[Mapping[str, Exception]] = {
    "crash": CrashError("secret"),
    "forbidden": HTTPException(403, "not here"),
    "websocket": WebSocketException(4001, "bye"),
}


@endpoint
async def talk(handshake: Opening) -> Outcome:
    how = handshake.params.how
    if how in BEFORE:
        raise BEFORE[how]
    ws = await handshake.accept()
    if how in AFTER:
        raise AFTER[how]
    async for say in ws:
        await ws.send_model(Said(text=say.text, by=ws.params.room))
        if say.text == "bye":
            break
    return await ws.close(4002, "over")


def chat() -> App:
    """Make an `App` that serves `talk`."""
    return App([WebSocketRoute("/chat/{room}", talk)])


EVIL: Final = {"Origin": "http://evil.example"}

DENIALS: Final[Mapping[str, tuple[str, Mapping[str, str], int]]] = {
    "an exception that denies": ("?how=unauthorized", {}, 401),
    "wrong parameters": ("?limit=many", {}, 422),
    "a foreign origin": ("", EVIL, 403),
    "a crash": ("?how=crash-early", {}, 500),
}
"""By what happens: the query, the headers, the status."""

CLOSURES: Final[Mapping[str, tuple[str, int, str]]] = {
    "a crash": ("?how=crash", 1011, ""),
    "an exception that denies": ("?how=forbidden", 1008, "not here"),
    "an exception that closes": ("?how=websocket", 4001, "bye"),
}
"""By what happens: the query, the code, the reason."""

each_denial = pytest.mark.parametrize("case", DENIALS)
each_closure = pytest.mark.parametrize("case", CLOSURES)


@dataclass
class Mounted:
    """An application that is being served; what it lets out, and how often it ends a connection, is noted."""

    app: ASGIApp
    port: int
    state: dict[str, Any] = field(default_factory=dict[str, Any])
    raised: list[BaseException] = field(default_factory=list[BaseException])
    ends: list[list[str]] = field(default_factory=list[list[str]])
    running: int = 0
    is_idle: asyncio.Event = field(default_factory=asyncio.Event)

    def connect(self, path: str, headers: Mapping[str, str] | None = None, **options: Any) -> connect:
        """Give a client."""
        url = f"ws://127.0.0.1:{self.port}{path}"
        return connect(url, proxy=None, additional_headers=headers, **options)

    async def denied(self, path: str, headers: Mapping[str, str] | None = None) -> InvalidStatus:
        """Connect, and give how that was denied."""
        with pytest.raises(InvalidStatus) as denied:
            async with self.connect(path, headers):
                pass
        return denied.value

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ends: list[str] = []
        self.ends.append(ends)

        async def noting_send(event: Any) -> None:
            if event["type"] in ("websocket.close", "websocket.http.response.start"):
                ends.append(event["type"])
            await send(event)

        self.running += 1
        self.is_idle.clear()
        try:
            await self.app({**scope, "state": self.state.copy()}, receive, noting_send)
        except BaseException as error:
            self.raised.append(error)
            raise
        finally:
            self.running -= 1
            if not self.running:
                self.is_idle.set()


@asynccontextmanager
async def mounted(server: Server, app: ASGIApp, *, has_lifespan: bool = True) -> AsyncGenerator[Mounted]:
    """Serve an application while the block runs; fail where it raises to the server, or ends a connection twice."""
    server.app = served = Mounted(app, server.port)
    try:
        with anyio.fail_after(LIMIT):
            if has_lifespan:
                async with lifespan(app, served.state):
                    yield served
            else:
                yield served
            await served.is_idle.wait()
    finally:
        server.app = None
    assert served.raised == []
    assert all(len(ends) <= 1 for ends in served.ends), served.ends


@asynccontextmanager
async def lifespan(app: ASGIApp, state: dict[str, Any]) -> AsyncGenerator[None]:
    """Start an application and stop it, as servers do."""
    coming: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
    answers: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    task = asyncio.ensure_future(app(scope, coming.get, answers.put))
    for phase in ("startup", "shutdown"):
        coming.put_nowait({"type": f"lifespan.{phase}"})
        assert await answers.get() == {"type": f"lifespan.{phase}.complete"}
        if phase == "startup":
            yield
    await task


async def said(client: ClientConnection, text: str) -> Any:
    """Say something, and give the answer."""
    await client.send(json.dumps({"text": text}))
    return json.loads(await client.recv())


async def check_conversation(served: Mounted, path: str, headers: Mapping[str, str] | None = None) -> None:
    """Talk to `talk`, until it closes."""
    async with served.connect(path, headers) as client:
        assert await said(client, "hello") == {"text": "hello", "by": "lobby"}
        assert await said(client, "bye") == {"text": "bye", "by": "lobby"}
        await client.wait_closed()
    assert (client.close_code, client.close_reason) == (4002, "over")


async def check_denial(served: Mounted, path: str, case: str) -> InvalidStatus:
    """Let `talk` deny in one of the ways."""
    query, headers, status = DENIALS[case]
    denied = await served.denied(path + query, headers)
    assert denied.response.status_code == status
    assert b"secret" not in (denied.response.body or b"")
    if case == "an exception that denies":
        assert denied.response.headers["WWW-Authenticate"] == "Bearer"
        assert json.loads(denied.response.body or b"")["detail"] == "token missing"
    return denied


async def check_closure(served: Mounted, path: str, case: str) -> None:
    """Let `talk` end in one of the ways."""
    query, code, reason = CLOSURES[case]
    async with served.connect(path + query) as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
    assert (client.close_code, client.close_reason) == (code, reason)


class Leaving:
    """An endpoint that tells how its client left."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.gone: asyncio.Future[WebSocketDisconnect | Closed] = asyncio.get_running_loop().create_future()

        @endpoint
        async def listen(handshake: Opening) -> Outcome:
            ws = await handshake.accept()
            if ws.params.how:  # is busy until it has left
                await asyncio.wait_for(asyncio.shield(self.busy.wait()), LIMIT)
            try:
                while True:
                    self.heard.append((await ws.receive_model()).text)
            except WebSocketDisconnect as error:
                self.gone.set_result(error)
                if ws.params.how == "crash":
                    raise CrashError from error
            return await ws.close()

        self.busy = asyncio.Event()
        self.endpoint = listen
