"""How a handler can end, row by row: what the client sees and what is logged, on every server and event loop.

Four servers run for the whole file: both implementations of uvicorn, and both workers of hypercorn. Where a server
does something by itself that differs from what typedws would do, the row says so.
"""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Final, Literal, Never, TypeAlias, get_args

import anyio
import fastapi
import pytest
import starlette.exceptions
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute as StarletteRoute
from starlette.websockets import WebSocket as StarletteWebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response
from websockets.typing import Origin, Subprotocol

from tests.e2e.hypercorn_serving import running_hypercorn
from tests.e2e.raw_client import RawClient, frame, raw_client
from tests.e2e.serving import LIMIT, Host, Implementation, running
from typedws import (
    App,
    Connection,
    Contract,
    Endpoint,
    ErrorReply,
    Handshake,
    HTTPException,
    InvalidMessage,
    Outcome,
    Policy,
    WebSocketDisconnect,
    WebSocketException,
    WebSocketRoute,
    endpoint,
)
from typedws._endpoint.http_responses import answer_http
from typedws.asgi import ASGIApp, Receive, Scope, Send

pytestmark = pytest.mark.anyio

ServerName: TypeAlias = Literal["sansio", "wsproto", "asyncio", "trio"]
SERVERS: Final[tuple[ServerName, ...]] = get_args(ServerName)
UVICORN: Final = ("sansio", "wsproto")


def starting(name: ServerName, grace: float = 1.0) -> AbstractAsyncContextManager[Host]:
    """Run a server that waits ``grace`` seconds for its handlers when it is stopped."""
    if name == "sansio" or name == "wsproto":
        implementation = WEBSOCKETS[name]
        return running(implementation, log_level="info", timeout_graceful_shutdown=grace)
    return running_hypercorn(name, graceful_timeout=grace)


WEBSOCKETS: Final[Mapping[ServerName, Implementation]] = {"sansio": "websockets-sansio", "wsproto": "wsproto"}

SECRET: Final = "the vault opens with 4711"
"""What no client and no log record of ours may contain, except the traceback of an unexpected failure."""


@pytest.fixture(scope="module", params=SERVERS)
def name(request: pytest.FixtureRequest) -> ServerName:
    """Return the name of the server."""
    chosen: ServerName = request.param
    return chosen


@pytest.fixture(scope="module")
async def host(name: ServerName) -> AsyncGenerator[Host]:
    """Run one server for all tests that do not end it."""
    async with starting(name) as host:
        yield host


# --- the application, observed ---


class Run:
    """An application as the server runs it: how many of its connections are running, and what they raised."""

    def __init__(self, app: ASGIApp) -> None:
        self.raised: list[BaseException] = []
        self._app = app
        self._loop = asyncio.get_running_loop()
        self._running = 0
        self._has_started = asyncio.Event()
        self._is_idle = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._loop.call_soon_threadsafe(self._count, 1)
        try:
            await self._app(scope, receive, send)
        except BaseException as error:
            self.raised.append(error)
            raise
        finally:
            self._loop.call_soon_threadsafe(self._count, -1)

    def _count(self, change: int) -> None:
        self._running += change
        if self._running:
            self._has_started.set()
            self._is_idle.clear()
        else:
            self._is_idle.set()

    async def started(self) -> None:
        """Wait until the application has begun to run."""
        await self._has_started.wait()

    async def ended(self) -> None:
        """Wait until the application has run and has ended."""
        await self._is_idle.wait()


class Log(logging.Handler):
    """What is logged while it is attached: by us from DEBUG on, by servers and event loops from WARNING on."""

    def __init__(self) -> None:
        super().__init__()
        self._records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)

    def _of(self, *, ours: bool) -> list[logging.LogRecord]:
        return [record for record in self._records if record.name.startswith("typedws.") is ours]

    @property
    def ours(self) -> list[tuple[str, str]]:
        """Our levels and messages, without the name of the handler, which comes before the first colon."""
        return [(record.levelname, record.getMessage().partition(": ")[2]) for record in self._of(ours=True)]

    @property
    def tracebacks(self) -> list[str]:
        """The classes of the exceptions that we logged with their tracebacks."""
        return [record.exc_info[0].__name__ for record in self._of(ours=True) if record.exc_info and record.exc_info[0]]

    @property
    def servers(self) -> list[tuple[str, str]]:
        """The loggers and first lines of the warnings and errors of others."""
        records = [record for record in self._of(ours=False) if record.levelno >= logging.WARNING]
        return [(record.name, record.getMessage().splitlines()[0]) for record in records]


@contextmanager
def logged() -> Generator[Log]:
    log, root, ours = Log(), logging.getLogger(), logging.getLogger("typedws")
    before = ours.level
    root.addHandler(log)
    ours.setLevel(logging.DEBUG)
    try:
        yield log
    finally:
        ours.setLevel(before)
        root.removeHandler(log)


@asynccontextmanager
async def served(host: Host, app: ASGIApp) -> AsyncGenerator[tuple[Run, Log]]:
    """Serve an application to a client that connects and leaves in the block. The log is complete after the block."""
    host.app = run = Run(app)
    with logged() as log, anyio.fail_after(LIMIT):
        yield run, log
        await run.ended()
        await settled(host)


async def settled(host: Host) -> None:
    """Wait until the server has finished its work after an application has ended: it has served another request."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer_http(send, 404)

    host.app = app
    assert (await answer_to_get(host)).startswith(b"HTTP/1.1 404 ")
    host.app = None


async def answer_to_get(host: Host) -> bytes:
    """Send a plain HTTP request, and return the raw response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def client_of(host: Host, path: str = "/", **options: Any) -> connect:
    return connect(f"ws://127.0.0.1:{host.port}{path}", proxy=None, max_size=None, **options)


# --- what a client can see ---


@dataclass(frozen=True)
class Denial:
    """A handshake that is denied with a problem document."""

    status: int
    detail: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    members: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Close:
    """A connection that is closed with a close frame, and the messages before it."""

    code: int
    reason: str = ""
    received: tuple[str, ...] = ()


Seen: TypeAlias = Denial | Close


@dataclass(frozen=True)
class Bare:
    """A denial without a problem document: that of a framework or a server."""

    status: int
    body: bytes


def denial_of(response: Response, headers: Mapping[str, str]) -> Denial | Bare:
    """Read a denial, with the given headers only."""
    assert SECRET not in str(response.headers)
    if response.headers.get("Content-Type") != "application/problem+json":
        return Bare(response.status_code, bytes(response.body or b""))
    document = json.loads(response.body or b"")
    assert document.pop("status") == response.status_code
    assert (document.pop("type"), bool(document.pop("title"))) == ("about:blank", True)
    found_headers = {name: response.headers[name] for name in headers}
    return Denial(response.status_code, document.pop("detail", None), found_headers, document)


# --- handlers ---


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str


class Leave(BaseModel):
    type: Literal["leave"] = "leave"


class Said(BaseModel):
    text: str


class Echo(BaseModel):
    type: Literal["echo"] = "echo"
    text: str


ClientMessages = Annotated[Say | Leave, Field(discriminator="type")]
ServerMessages = Annotated[Echo | ErrorReply, Field(discriminator="type")]


class Params(BaseModel):
    room: int
    since: int = 0


MakeError: TypeAlias = Callable[[], Exception]
Apply: TypeAlias = Callable[[Endpoint[Any, Any, Any]], ASGIApp]


def before(error: MakeError, policy: Policy | None = None) -> Endpoint[Any, Any, Any]:
    """Raise before the accept."""

    async def handler(handshake: Handshake[ClientMessages, Said]) -> Outcome:
        raise error()

    return endpoint(handler, policy=policy)


def after(error: MakeError, policy: Policy | None = None) -> Endpoint[Any, Any, Any]:
    """Raise after the accept."""

    async def handler(ws: Connection[ClientMessages, Said]) -> None:
        raise error()

    return endpoint(handler, policy=policy)


async def echo(ws: Connection[ClientMessages, Said]) -> None:
    async for message in ws:
        if isinstance(message, Leave):
            return
        await ws.send_model(Said(text=message.text))


async def echo_or_reply(ws: Connection[ClientMessages, ServerMessages]) -> None:
    async for message in ws:
        if isinstance(message, Say):
            await ws.send_model(Echo(text=message.text))


async def undecided(handshake: Handshake[ClientMessages, Said]) -> Any:
    """Decide nothing. Only the ``Any`` makes type checkers accept that."""


async def closes(ws: Connection[ClientMessages, Said]) -> None:
    await ws.close(4001, "bye")


async def goes_on_after_its_close(ws: Connection[ClientMessages, Said]) -> None:
    await ws.close(4001, "bye")
    await ws.send_model(Said(text="and another thing"))


async def denies(handshake: Handshake[ClientMessages, Said]) -> Outcome:
    return await handshake.deny(418, detail="short and stout")


async def with_params(ws: Connection[ClientMessages, Said, Params]) -> None:
    await ws.send_model(Said(text=f"{ws.params.room} since {ws.params.since}"))


async def never_decides(handshake: Handshake[ClientMessages, Said]) -> Outcome:
    await anyio.sleep_forever()
    raise AssertionError


async def fails_in_a_group(ws: Connection[ClientMessages, Said]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        raise ValueError(SECRET)


async def raises_in_a_group(ws: Connection[ClientMessages, Said]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        raise WebSocketException(4002, "not like this")


async def fails_twice(ws: Connection[ClientMessages, Said]) -> None:
    raise ExceptionGroup("both", [ValueError(SECRET), TypeError(SECRET), WebSocketDisconnect(1001)])


def in_app(end: Endpoint[Any, Any, Any]) -> ASGIApp:
    return App([WebSocketRoute("/", end)])


def in_debug(end: Endpoint[Any, Any, Any]) -> ASGIApp:
    return App([WebSocketRoute("/", end)], debug=True)


async def refuses(ws: Connection[Any, Any, Any], error: InvalidMessage) -> None:
    raise WebSocketException(4400, "learn to speak")


# --- inside a framework ---


class Outer:
    """A middleware as error reporters install it."""

    seen: list[BaseException]

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        Outer.seen = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except BaseException as error:
            Outer.seen.append(error)
            raise


def in_starlette(end: Endpoint[Any, Any, Any]) -> ASGIApp:
    middleware: Any = Outer
    return Starlette(routes=[StarletteRoute("/", end)], middleware=[Middleware(middleware)])


class Teapot(Exception):
    """An exception with a handler in the application. That handler cannot see whether the connection was accepted."""


async def pour(websocket: StarletteWebSocket, error: Exception) -> None:
    if "late" in error.args:
        await websocket.close(4018, "I am a teapot")
    else:
        await websocket.send_denial_response(PlainTextResponse("I am a teapot", 418))


def in_fastapi(end: Endpoint[Any, Any, Any]) -> ASGIApp:
    app = fastapi.FastAPI()
    handler: Any = pour
    app.add_exception_handler(Teapot, handler)
    app.router.routes.append(StarletteRoute("/", end))
    return app


# --- the table ---

RETURNED: Final = ("DEBUG", "ended with 1000: the handler returned")


def alone(end: Endpoint[Any, Any, Any]) -> ASGIApp:
    return end


@dataclass(frozen=True, kw_only=True)
class Row:
    """How a handler ends, and the consequences."""

    end: Callable[[], Endpoint[Any, Any, Any]]
    sees: Seen | Bare
    logs: tuple[tuple[str, str], ...]
    tracebacks: tuple[str, ...] = ()
    """The exceptions that we log as failures."""
    raises: type[Exception] | None = None
    """The exception that reaches the framework around the endpoint, and through it the server."""
    mount: Apply = alone
    path: str = "/"
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sends: tuple[str | bytes, ...] = ()
    differs: Mapping[ServerName, Seen | Bare] = field(default_factory=dict[ServerName, "Seen | Bare"])
    """What is seen on servers that differ."""


def secret() -> Exception:
    return ValueError(SECRET)


def failure(what: str, error: str = "ValueError") -> tuple[tuple[str, str], ...]:
    return (("ERROR", f"{what}: the handler raised {error}"),)


def raised(what: str, error: str) -> tuple[tuple[str, str], ...]:
    return (("INFO", f"{what}: the handler raised {error}"),)


def invalid(code: int, detail: str) -> Any:
    """Return the effects of an invalid message: client and log get the same text, without content of the message."""
    return {"sees": Close(code, detail), "logs": (("INFO", f"closed with {code}: an invalid message: {detail}"),)}


REPLY: Final = (
    '{"type":"error","problem":"invalid",'
    '"detail":"expected Say | Leave, found a message that fails validation (dict_type)",'
    '"errors":[{"location":"","problem":"dict_type"}]}'
)

BASIC: Final = {"WWW-Authenticate": "Basic"}
HTTP_EXCEPTIONS: Final[Mapping[str, MakeError]] = {
    "ours": lambda: HTTPException(401, "token missing", BASIC),
    "Starlette's": lambda: starlette.exceptions.HTTPException(401, "token missing", BASIC),
    "FastAPI's": lambda: fastapi.HTTPException(401, "token missing", BASIC),
}
WEBSOCKET_EXCEPTIONS: Final[Mapping[str, MakeError]] = {
    "ours": lambda: WebSocketException(4003, "not you"),
    "Starlette's": lambda: starlette.exceptions.WebSocketException(4003, "not you"),
    "FastAPI's": lambda: fastapi.WebSocketException(4003, "not you"),
}

ROWS: Final[dict[str, Row]] = {
    "it returns": Row(end=lambda: endpoint(echo), sends=('{"type":"leave"}',), sees=Close(1000), logs=(RETURNED,)),
    "it returns while messages are unread": Row(
        end=lambda: endpoint(echo),
        sends=('{"type":"say","text":"a"}', '{"type":"leave"}', '{"type":"say","text":"b"}'),
        sees=Close(1000, received=('{"text":"a"}',)),
        logs=(RETURNED,),
    ),
    "it closes": Row(
        end=lambda: endpoint(closes),
        sees=Close(4001, "bye"),
        logs=(("DEBUG", "ended with 4001: the handler returned"),),
    ),
    "it denies": Row(
        end=lambda: endpoint(denies),
        sees=Denial(418, "short and stout"),
        logs=(("DEBUG", "ended with 1006: the handler returned"),),
    ),
    "it returns without a decision": Row(
        end=lambda: endpoint(undecided),
        sees=Denial(403),
        logs=(
            (
                "WARNING",
                "denied with 403: the handler returned without a decision, which denies the handshake: "
                "call accept() or deny(...)",
            ),
        ),
    ),
    **{
        f"{library} HTTPException before the accept": Row(
            end=partial(before, error),
            sees=Denial(401, "token missing", BASIC),
            logs=raised("denied with 401", "HTTPException(401)"),
        )
        for library, error in HTTP_EXCEPTIONS.items()
    },
    **{
        f"{library} HTTPException after the accept": Row(
            end=partial(after, error),
            sees=Close(1008, "token missing"),
            logs=raised("closed with 1008", "HTTPException(401)"),
        )
        for library, error in HTTP_EXCEPTIONS.items()
    },
    "an HTTPException with a detail that is not text": Row(
        end=lambda: before(lambda: fastapi.HTTPException(409, [{"seat": 7}])),
        sees=Denial(409, members={"errors": [{"seat": 7}]}),
        logs=raised("denied with 409", "HTTPException(409)"),
    ),
    "an HTTPException with a status that cannot deny": Row(
        end=lambda: before(lambda: HTTPException(204)),
        sees=Denial(500),
        logs=failure("denied with 500", "HTTPException: expected an HTTP status from 300 to 599, found 204"),
        tracebacks=("HTTPException",),
    ),
    **{
        f"{library} WebSocketException before the accept": Row(
            end=partial(before, error),
            sees=Denial(403, "not you"),
            logs=raised("denied with 403", "WebSocketException(4003)"),
        )
        for library, error in WEBSOCKET_EXCEPTIONS.items()
    },
    **{
        f"{library} WebSocketException after the accept": Row(
            end=partial(after, error),
            sees=Close(4003, "not you"),
            logs=raised("closed with 4003", "WebSocketException(4003)"),
        )
        for library, error in WEBSOCKET_EXCEPTIONS.items()
    },
    "a WebSocketException with a code that must not be sent": Row(
        end=lambda: after(lambda: WebSocketException(1006)),
        sees=Close(1011),
        logs=failure("closed with 1011", "WebSocketException: expected a close code that may be sent, found 1006"),
        tracebacks=("WebSocketException",),
    ),
    "another exception before the accept": Row(
        end=lambda: before(secret), sees=Denial(500), logs=failure("denied with 500"), tracebacks=("ValueError",)
    ),
    "another exception after the accept": Row(
        end=lambda: after(secret), sees=Close(1011), logs=failure("closed with 1011"), tracebacks=("ValueError",)
    ),
    "another exception before the accept, with debug": Row(
        end=lambda: before(lambda: ValueError("boom")),
        mount=in_debug,
        sees=Denial(500, "ValueError: boom"),
        logs=failure("denied with 500"),
        tracebacks=("ValueError",),
    ),
    "another exception after the accept, with debug": Row(
        end=lambda: after(lambda: ValueError("boom")),
        mount=in_debug,
        sees=Close(1011, "ValueError: boom"),
        logs=failure("closed with 1011"),
        tracebacks=("ValueError",),
    ),
    "another exception in Starlette, before the accept": Row(
        end=lambda: before(secret),
        mount=in_starlette,
        sees=Denial(500),
        logs=(("WARNING", "denied with 500: the handler raised ValueError"),),
        raises=ValueError,
    ),
    "another exception in Starlette, after the accept": Row(
        end=lambda: after(secret),
        mount=in_starlette,
        sees=Close(1011),
        logs=(("WARNING", "closed with 1011: the handler raised ValueError"),),
        raises=ValueError,
    ),
    "an HTTPException in Starlette, before the accept": Row(
        end=lambda: before(HTTP_EXCEPTIONS["Starlette's"]),
        mount=in_starlette,
        sees=Denial(401, "token missing", BASIC),
        logs=raised("denied with 401", "HTTPException(401)"),
    ),
    "an exception that FastAPI's application handles, before the accept": Row(
        end=lambda: before(Teapot), mount=in_fastapi, sees=Bare(418, b"I am a teapot"), logs=()
    ),
    "an exception that FastAPI's application handles, after the accept": Row(
        end=lambda: after(lambda: Teapot("late")), mount=in_fastapi, sees=Close(4018, "I am a teapot"), logs=()
    ),
    "a failure in a task group": Row(
        end=lambda: endpoint(fails_in_a_group),
        sees=Close(1011),
        logs=failure("closed with 1011"),
        tracebacks=("ValueError",),
    ),
    "a WebSocketException in a task group": Row(
        end=lambda: endpoint(raises_in_a_group),
        sees=Close(4002, "not like this"),
        logs=raised("closed with 4002", "WebSocketException(4002)"),
    ),
    "two failures in a group": Row(
        end=lambda: endpoint(fails_twice),
        sees=Close(1011),
        logs=failure("closed with 1011", "ExceptionGroup"),
        tracebacks=("ExceptionGroup",),
    ),
    "it goes on after its own close": Row(
        end=lambda: endpoint(goes_on_after_its_close),
        sees=Close(4001, "bye"),
        logs=(
            (
                "WARNING",
                "ended with 4001: the handler used the connection after its end: this connection is over and cannot be "
                "used: this application closed the connection: 4001 (private use), reason 'bye'",
            ),
        ),
    ),
    "malformed JSON": Row(
        end=lambda: endpoint(echo), sends=("{bad",), **invalid(1007, "expected Say | Leave, found malformed JSON")
    ),
    "100,000 brackets": Row(
        end=lambda: endpoint(echo),
        sends=("[" * 100_000,),
        **invalid(1007, "expected Say | Leave, found malformed JSON"),
    ),
    "a message that fails validation": Row(
        end=lambda: endpoint(echo),
        sends=(json.dumps({"type": "say", "txt": SECRET}),),
        **invalid(1007, "expected Say | Leave, found a message that fails validation (missing at say.text)"),
    ),
    "a binary frame in text mode": Row(
        end=lambda: endpoint(echo),
        sends=(b"\x00",),
        **invalid(1003, "expected Say | Leave in a text frame, found a binary frame"),
    ),
    "a message beyond max_message_size": Row(
        end=lambda: endpoint(echo, policy=Policy(max_message_size=64)),
        sends=(json.dumps({"type": "say", "text": "x" * 64}),),
        **invalid(1009, "expected Say | Leave of at most 64 bytes, found a message of 91 bytes"),
    ),
    "more invalid messages than max_invalid": Row(
        end=lambda: endpoint(echo_or_reply, policy=Policy(on_invalid="reply", max_invalid=1)),
        sends=("1", '{"type":"say","text":"sorry"}', "2", "3"),
        sees=Close(1008, "too many invalid messages", received=(REPLY, '{"type":"echo","text":"sorry"}', REPLY)),
        logs=raised("closed with 1008", "WebSocketException(1008)"),
    ),
    "an invalid message that is dropped": Row(
        end=lambda: endpoint(echo, policy=Policy(on_invalid="drop")),
        sends=("1", '{"type":"say","text":"a"}', '{"type":"leave"}'),
        sees=Close(1000, received=('{"text":"a"}',)),
        logs=(RETURNED,),
    ),
    "an invalid message that a function refuses": Row(
        end=lambda: endpoint(echo, policy=Policy(on_invalid=refuses)),
        sends=("1",),
        sees=Close(4400, "learn to speak"),
        logs=raised("closed with 4400", "WebSocketException(4400)"),
    ),
    "valid parameters": Row(
        end=lambda: endpoint(with_params),
        path="/?room=7",
        sees=Close(1000, received=('{"text":"7 since 0"}',)),
        logs=(RETURNED,),
    ),
    "invalid parameters": Row(
        end=lambda: endpoint(with_params),
        path="/?since=yesterday",
        sees=Denial(
            422,
            "expected Params, found parameters that fail validation (missing at room; int_parsing at since)",
            members={
                "errors": [{"name": "room", "problem": "missing"}, {"name": "since", "problem": "int_parsing"}],
            },
        ),
        logs=(
            (
                "INFO",
                "denied with 422: invalid parameters: expected Params, found parameters that fail validation "
                "(missing at room; int_parsing at since)",
            ),
        ),
    ),
    "a foreign origin": Row(
        end=lambda: endpoint(echo),
        options={"origin": Origin("https://evil.example")},
        sees=Denial(403, "this origin may not connect"),
        logs=(
            (
                "INFO",
                "denied with 403: origin https://evil.example was refused: the request's own host is HOST: "
                'Policy(origins=["https://evil.example"]) would allow it',
            ),
        ),
    ),
    "unknown subprotocols": Row(
        end=lambda: endpoint(echo, Contract("chat", Connection[ClientMessages, Said])),
        options={"subprotocols": [Subprotocol("chat.v2.json"), Subprotocol("soap")]},
        sees=Denial(400, "the client offers subprotocols, but not chat.v1.json"),
        logs=(("INFO", "denied with 400: the client offers subprotocols, but not chat.v1.json"),),
    ),
    "no decision within handshake_timeout": Row(
        end=lambda: endpoint(never_decides, policy=Policy(handshake_timeout=0.05)),
        sees=Denial(503, "no decision in time"),
        logs=(("WARNING", "denied with 503: the handler did not decide within Policy(handshake_timeout=...)"),),
    ),
    "no message within idle_timeout": Row(
        end=lambda: endpoint(echo, policy=Policy(idle_timeout=0.05)),
        sees=Close(3008, "no message in time"),
        logs=(("INFO", "closed with 3008: no message arrived within Policy(idle_timeout=...)"),),
    ),
    "an unknown path": Row(
        end=lambda: endpoint(echo),
        mount=in_app,
        path="/nowhere",
        sees=Denial(404, "nothing is served here"),
        logs=(),
    ),
}

COMPLAINTS: Final[Mapping[ServerName, tuple[str, str]]] = {
    "sansio": ("uvicorn.error", "Exception in ASGI application"),
    "wsproto": ("uvicorn.error", "Exception in ASGI application"),
    "asyncio": ("hypercorn.error", "Error in ASGI Framework"),
    "trio": ("hypercorn.error", "Error in ASGI Framework"),
}
"""How a server logs an exception that the application raises."""

DENIALS: Final[Mapping[ServerName, tuple[tuple[str, str], ...]]] = {
    "sansio": (("uvicorn.error", "ASGI callable returned without completing handshake."),),
}
"""What a server logs at each denial, although nothing is wrong: one line, without a traceback."""


def complaints(name: ServerName, seen: Seen | Bare, *, is_raised: bool = False) -> list[tuple[str, str]]:
    """Return what a server itself logs about an end."""
    if is_raised:
        return [COMPLAINTS[name]]
    return [] if isinstance(seen, Close) else list(DENIALS.get(name, ()))


async def talk(connecting: connect, row: Row) -> Seen | Bare:
    """Connect, send the messages of the row, receive to the end, and return what was seen."""
    try:
        client = await connecting
    except InvalidStatus as denied:
        return denial_of(denied.response, row.sees.headers if isinstance(row.sees, Denial) else {})
    try:
        with suppress(ConnectionClosed):  # the server may close before that
            for message in row.sends:
                await client.send(message)
        received = [str(message) async for message in _until_closed(client)]
        assert client.close_code is not None
        return Close(client.close_code, client.close_reason or "", tuple(received))
    finally:
        await client.close()


async def _until_closed(client: ClientConnection) -> AsyncGenerator[str | bytes]:
    with suppress(ConnectionClosed):
        while True:
            yield await client.recv()


@pytest.mark.parametrize("case", ROWS)
async def test_every_end_is_seen_and_logged_as_the_table_says(name: ServerName, host: Host, case: str) -> None:
    row = ROWS[case]
    async with served(host, row.mount(row.end())) as (run, log):
        seen = await talk(client_of(host, row.path, **row.options), row)
    assert seen == row.differs.get(name, row.sees)
    assert log.ours == [(level, message.replace("HOST", f"127.0.0.1:{host.port}")) for level, message in row.logs]
    assert log.tracebacks == list(row.tracebacks)
    assert [type(error) for error in run.raised] == ([row.raises] if row.raises else [])
    assert log.servers == complaints(name, seen, is_raised=row.raises is not None)
    if row.mount is in_starlette:
        assert Outer.seen == run.raised


async def test_plain_http_on_the_path_of_a_websocket_gets_426(host: Host) -> None:
    async with served(host, endpoint(echo)) as (run, log):
        head, _, body = (await answer_to_get(host)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 426 ")
    assert b"\r\nupgrade: websocket\r\n" in head.lower() + b"\r\n"
    assert json.loads(body)["status"] == 426
    assert (run.raised, log.ours, log.servers) == ([], [], [])


async def test_one_connection_too_many_is_denied_with_503(name: ServerName, host: Host) -> None:
    end = endpoint(echo, policy=Policy(max_connections=1))
    full = Denial(503, "too many connections", {"Retry-After": "5"})
    async with served(host, end) as (run, log):
        async with client_of(host) as client:
            await client.send('{"type":"say","text":"first"}')
            assert await client.recv() == '{"text":"first"}'
            with pytest.raises(InvalidStatus) as denied:
                await client_of(host)
            assert denial_of(denied.value.response, full.headers) == full
        await run.ended()
        async with client_of(host) as client:  # the first client's place is free again
            await client.send('{"type":"leave"}')
            await client.wait_closed()
    refusal = "denied with 503: the limit of Policy(max_connections=...) is reached"
    assert [line for line in log.ours if line[0] != "DEBUG"] == [("INFO", refusal)]
    assert log.servers == complaints(name, full)


# --- the peer disconnects ---


class Tick(BaseModel):
    tick: int = 0


ended: list[str] = []


@contextmanager
def recording_the_end() -> Generator[None]:
    """Record how the block in a handler ended."""
    try:
        yield
    except BaseException as error:
        ended.append(type(error).__name__)
        raise
    else:
        ended.append("returned")


async def iterates(ws: Connection[ClientMessages, Tick]) -> None:
    await ws.send_model(Tick())
    with recording_the_end():
        async for _ in ws:
            pass


async def receives(ws: Connection[ClientMessages, Tick]) -> None:
    await ws.send_model(Tick())
    with recording_the_end():
        await ws.receive_model()


async def sends_on(ws: Connection[ClientMessages, Tick]) -> None:
    await ws.send_model(Tick())
    with recording_the_end():
        with suppress(WebSocketDisconnect):
            await ws.receive_model()
        await ws.send_model(Tick())


async def feeds(ws: Connection[Never, Tick]) -> None:
    await ws.send_model(Tick())
    with recording_the_end():
        await anyio.sleep_forever()


async def feeds_from_a_handshake(handshake: Handshake[Never, Tick]) -> Outcome:
    ws = await handshake.accept()
    await feeds(ws)
    return await ws.close()


CANCELLED: Final = {"CancelledError", "Cancelled"}
RECEIVERS: Final[Mapping[str, tuple[Callable[[], Endpoint[Any, Any, Any]], set[str]]]] = {
    "iterates": (lambda: endpoint(iterates), {"returned"}),
    "receives": (lambda: endpoint(receives), {"WebSocketDisconnect"}),
    "sends on": (lambda: endpoint(sends_on), {"WebSocketDisconnected"}),
    "feeds": (lambda: endpoint(feeds), CANCELLED),
    "feeds from a handshake": (lambda: endpoint(feeds_from_a_handshake), CANCELLED),
}
DEPARTURES: Final[Mapping[str, Callable[[RawClient], None]]] = {
    "closes": lambda client: client.send(frame(8, (1000).to_bytes(2))),
    "closes with a reason": lambda client: client.send(frame(8, (4001).to_bytes(2) + SECRET.encode())),
    "closes without a code": lambda client: client.send(frame(8)),
    "finishes": RawClient.finish,
    "resets": RawClient.reset,
}


@pytest.mark.parametrize("departure", DEPARTURES)
@pytest.mark.parametrize("handler", RECEIVERS)
async def test_a_peer_that_leaves_ends_the_handler_at_once_and_quietly(
    name: ServerName, host: Host, handler: str, departure: str
) -> None:
    make, ends = RECEIVERS[handler]
    ended.clear()
    async with served(host, make()) as (run, log), raw_client(host.port) as client:
        assert await client.next_frame() is not None
        DEPARTURES[departure](client)
        with anyio.fail_after(1):
            await run.ended()
    assert len(ended) == 1
    assert set(ended) <= ends
    assert [line for line in log.ours if line[0] != "DEBUG"] == []
    assert SECRET not in str(log.ours)
    assert (run.raised, log.servers) == ([], [])


# --- the server stops ---


async def is_busy(ws: Connection[ClientMessages, Tick]) -> None:
    await ws.send_model(Tick())
    with recording_the_end():
        await anyio.sleep_forever()


CANCELLATION: Final = (
    ("uvicorn.error", "Cancel 1 running task(s), timeout graceful shutdown exceeded"),
    ("uvicorn.error", "Exception in ASGI application"),
)
"""What uvicorn logs when its grace period is over. The exception is its own cancellation."""


def waits_for_its_clients(name: ServerName) -> bool:
    """Whether a server that stops leaves connections open: hypercorn does on asyncio, which waits for them."""
    return name == "asyncio" and sys.version_info >= (3, 12)


@pytest.mark.parametrize("handler", [iterates, feeds, is_busy])
async def test_a_server_that_stops_ends_every_handler(name: ServerName, handler: Any) -> None:
    """On a stop, uvicorn closes and the handler sees a disconnect; hypercorn cancels the handler and typedws closes."""
    if waits_for_its_clients(name) and handler is is_busy:
        pytest.skip("neither the server nor its client ends this handler")
    ended.clear()
    tasks = asyncio.all_tasks()
    with logged() as log, anyio.fail_after(LIMIT):
        async with starting(name, grace=0.1) as host:
            host.app = run = Run(endpoint(handler))
            async with client_of(host) as client:
                await client.recv()
                host.stop()
                with anyio.move_on_after(0.5 if waits_for_its_clients(name) else LIMIT) as scope:
                    await client.wait_closed()
            await run.ended()
    assert scope.cancelled_caught is waits_for_its_clients(name)
    is_cancelled = not scope.cancelled_caught and (name not in UVICORN or handler is is_busy)
    if not scope.cancelled_caught:
        assert client.close_code == 1012
        assert client.close_reason == ("the server restarts" if name not in UVICORN else "")
    assert len(ended) == 1
    assert set(ended) <= (CANCELLED if is_cancelled or handler is feeds else {"returned"})
    assert [type(error).__name__ in CANCELLED for error in run.raised] == [True] * is_cancelled
    assert [line for line in log.ours if line[0] != "DEBUG"] == []
    if name in UVICORN:
        assert log.servers == list(CANCELLATION if is_cancelled else ())
    else:  # before Python 3.12 asyncio itself logs the cancelled task of hypercorn
        assert {logger for logger, _ in log.servers} <= {"asyncio"}
    assert asyncio.all_tasks() == tasks


async def test_a_server_that_stops_denies_undecided_handshakes(name: ServerName) -> None:
    with logged() as log, anyio.fail_after(LIMIT):
        async with starting(name, grace=0.1) as host:
            host.app = run = Run(endpoint(never_decides, policy=Policy(handshake_timeout=0.5)))
            connecting = asyncio.create_task(_denied(host))
            await run.started()
            host.stop()
            seen = await connecting
            await run.ended()
    if waits_for_its_clients(name):
        assert seen == Denial(503, "no decision in time")
        return
    assert seen == (Bare(500, b"Internal Server Error") if name in UVICORN else Denial(503, "the server restarts"))
    assert log.ours == [("DEBUG", "denied with 503: the handler was cancelled")]


async def _denied(host: Host) -> Seen | Bare:
    with pytest.raises(InvalidStatus) as denied:
        await client_of(host)
    return denial_of(denied.value.response, {})


# --- the peer does not read ---

SIZE: Final = 1 << 18
MAX_SENT: Final = 64
"""More messages of that size than the buffers of both sides hold: a connection must not take more memory."""


async def test_a_peer_that_does_not_read_is_closed(
    name: ServerName, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trio worker of hypercorn shields its writes: no handler ends there before its peer reads or disconnects."""
    monkeypatch.setattr("typedws._connection.session.CLOSE_TIMEOUT", 0.1)
    sent = 0

    async def floods(ws: Connection[ClientMessages, Tick]) -> None:
        nonlocal sent
        with recording_the_end():
            while True:
                await ws.send_text("x" * SIZE)
                sent += 1

    ended.clear()
    end = endpoint(floods, policy=Policy(send_timeout=0.1))
    async with served(host, end) as (run, log), raw_client(host.port) as client:
        is_shielded = name == "trio"
        with anyio.move_on_after(0.5 if is_shielded else LIMIT) as scope:
            await run.ended()
        assert scope.cancelled_caught is is_shielded
        assert sent < MAX_SENT
        last = await client.close_frame()  # the client now reads, up to the end
    if name in UVICORN:  # uvicorn writes nothing after data that is not read
        assert last is None
    else:
        assert last is not None
        assert (last.close_code, last.payload[2:]) == (1008, b"messages are not read")
    assert len(ended) == 1
    assert set(ended) <= CANCELLED
    assert log.ours == [("INFO", "closed with 1008: the peer did not read within Policy(send_timeout=...)")]
    assert (run.raised, log.servers) == ([], [])
