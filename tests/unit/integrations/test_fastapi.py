"""`typed_websocket` in routes of FastAPI: when a client is let in, which rules hold, how it ends, who sees that."""

import difflib
import json
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Never, TypeAlias
from unittest.mock import ANY

import anyio
import pytest
from anyio.lowlevel import checkpoint
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, WebSocketException
from fastapi import WebSocket as FastAPIWebSocket
from fastapi.exceptions import WebSocketRequestValidationError
from fastapi.params import Depends as DependsType
from pydantic import BaseModel, Field
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from examples import fastapi_chat
from tests.e2e.serving import LIMIT, running
from tests.support import CONNECT, Event, binary, disconnect, scope, text, wire
from typedws import (
    Closed,
    Connection,
    Contract,
    ErrorReply,
    FromHeader,
    Handshake,
    InvalidContract,
    InvalidEndpoint,
    InvalidState,
    Outcome,
    Policy,
    UnsendableMessage,
    WebSocketDisconnect,
    endpoint,
)
from typedws.asgi import ASGIApp, Receive, Scope, Send
from typedws.integrations.fastapi import typed_websocket

pytestmark = pytest.mark.anyio


class Say(BaseModel):
    text: str


class Said(BaseModel):
    text: str


class Room(BaseModel):
    room: str
    limit: int = 1


class Missing(Exception):
    """A failure of an application's own."""


Talk = Connection[Say, Said, Room]
Decide = Handshake[Say, Said, Room]
chat = Contract("chat", Talk, modes=("text", "binary"))

Chat: TypeAlias = Annotated[Talk, typed_websocket(chat)]
Route: TypeAlias = Callable[..., Awaitable[Any]]


def serving(route: Route, **options: Any) -> FastAPI:
    """Make an application of one route."""
    app = FastAPI(**options)
    app.websocket("/chat/{room}")(route)
    return app


async def visiting(app: ASGIApp, *events: Event, query: str = "", **overrides: Any) -> list[Event]:
    """Let a client connect and do this; give what it is sent."""
    receive, send, sent = wire(CONNECT, *events)
    visit = scope(**{"path": "/chat/lobby", "query_string": query.encode(), **overrides})
    with anyio.fail_after(5):
        await app(visit, receive, send)
    return sent


def told(sent: list[Event]) -> list[str | int]:
    """Give what a client understands of events: acceptance, texts, the status of a denial, the code of a close."""
    said = {"websocket.send": "text", "websocket.close": "code", "websocket.http.response.start": "status"}
    kinds = [(event["type"], event) for event in sent if event["type"] != "websocket.http.response.body"]
    return [event[said[kind]] if kind in said else "accepted" for kind, event in kinds]


def problem(sent: list[Event]) -> Any:
    """Give the problem document of a denial."""
    return json.loads(sent[-1]["body"])


def user(token: str = "") -> str:
    if token != "sesame":
        raise HTTPException(401, "token missing or wrong", {"WWW-Authenticate": "Bearer"})
    return "ann"


async def talk(
    ws: Annotated[Talk, typed_websocket(chat)], name: Annotated[str, Depends(user)], shouting: bool = False
) -> None:
    async for message in ws:
        said = f"{name} in {ws.params.room}: {message.text}"
        await ws.send_model(Said(text=said.upper() if shouting else said))


async def talk_too(
    name: Annotated[str, Depends(user)], ws: Annotated[Talk, typed_websocket()], shouting: bool = False
) -> None:
    await talk(ws, name, shouting)


either_order = pytest.mark.parametrize("route", [talk, talk_too], ids=["first", "last"])

# --- letting in ---


@either_order
async def test_a_conversation(route: Route) -> None:
    sent = await visiting(serving(route), text('{"text":"hi"}'), disconnect(), query="token=sesame&shouting=1")
    assert told(sent) == ["accepted", '{"text":"ANN IN LOBBY: HI"}']


@either_order
async def test_a_dependency_denies_wherever_it_stands(route: Route) -> None:
    sent = await visiting(serving(route), query="token=wrong")
    assert told(sent) == [401]
    assert (b"www-authenticate", b"Bearer") in [(name.lower(), value) for name, value in sent[0]["headers"]]


@either_order
async def test_what_fastapi_validates_denies_with_a_problem_document(route: Route) -> None:
    sent = await visiting(serving(route), query="token=sesame&shouting=perhaps")
    assert told(sent) == [422]
    assert problem(sent)["errors"] == [{"name": "shouting", "problem": "bool_parsing"}]


@either_order
async def test_what_the_contract_validates_denies_with_a_problem_document(route: Route) -> None:
    sent = await visiting(serving(route), query="token=sesame&limit=many")
    assert told(sent) == [422]
    assert problem(sent)["errors"] == [{"name": "limit", "problem": "int_parsing"}]


async def test_the_name_of_an_extra_parameter_is_not_repeated() -> None:
    class Limits(BaseModel, extra="forbid"):
        limit: int = 1

    async def route(ws: Annotated[Connection[Say, Said], typed_websocket()], query: Annotated[Limits, Query()]) -> None:
        raise AssertionError

    sent = await visiting(serving(route), query="evil=1&limit=x")
    assert told(sent) == [422]
    names = {each["name"] for each in problem(sent)["errors"]}
    assert names == {"query", "limit"}


async def test_a_denied_client_never_reaches_what_comes_later() -> None:
    reached: list[str] = []

    async def later() -> None:
        reached.append("dependency")

    async def route(
        ws: Annotated[Talk, typed_websocket(policy=Policy(origins=["https://a.example"]))],
        _: Annotated[None, Depends(later)],
    ) -> None:
        reached.append("route")

    sent = await visiting(serving(route), headers=[(b"host", b"testserver"), (b"origin", b"https://evil.example")])
    assert told(sent) == [403]
    assert reached == []


async def test_a_handshake_is_decided_by_the_route() -> None:
    async def decide(handshake: Annotated[Decide, typed_websocket(chat)], token: str = "") -> Outcome:
        if token != "sesame":
            return await handshake.deny(401)
        ws = await handshake.accept(headers={"x-room": handshake.params.room})
        return await ws.close(4000, "bye")

    app = serving(decide)
    assert told(await visiting(app)) == [401]
    sent = await visiting(app, query="token=sesame")
    assert told(sent) == ["accepted", 4000]
    assert list(sent[0]["headers"]) == [(b"x-room", b"lobby")]


async def test_a_handshake_that_the_route_forgets_is_denied() -> None:
    async def forget(handshake: Annotated[Decide, typed_websocket()]) -> None:
        pass

    assert told(await visiting(serving(forget))) == [403]


async def test_the_mode_is_chosen_by_subprotocol() -> None:
    app = serving(talk)
    frames = [binary(b'{"text":"hi"}'), disconnect()]
    sent = await visiting(app, *frames, query="token=sesame", subprotocols=["chat.v1.binary"])
    assert sent[0]["subprotocol"] == "chat.v1.binary"
    assert sent[1]["bytes"] == b'{"text":"ann in lobby: hi"}'
    assert told(await visiting(app, query="token=sesame", subprotocols=["other"])) == [400]


async def test_parameters_come_from_headers_too() -> None:
    class Tenant(BaseModel):
        room: str
        tenant: Annotated[str, FromHeader("x-tenant")]

    async def route(ws: Annotated[Connection[Say, Said, Tenant], typed_websocket()]) -> None:
        await ws.send_model(Said(text=ws.params.tenant))

    assert told(await visiting(serving(route), headers=[(b"x-tenant", b"acme")])) == [
        "accepted",
        '{"text":"acme"}',
        1000,
    ]


# --- policies ---


async def test_no_more_connections_than_allowed() -> None:
    entered = anyio.Event()

    async def wait(ws: Annotated[Talk, typed_websocket(policy=Policy(max_connections=1))]) -> None:
        entered.set()
        async for _ in ws:
            pass

    app = serving(wait)
    refused: list[Event] = []
    receive, send, sent = wire(CONNECT)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(app, scope(path="/chat/lobby"), receive, send)
            await entered.wait()
            refused = await visiting(app)
            group.cancel_scope.cancel()
    assert told(refused) == [503]
    assert (b"retry-after", b"5") in list(refused[0]["headers"])
    assert told(sent) == ["accepted", 1012]
    assert told(await visiting(app, disconnect())) == ["accepted"]


class Complaint(ErrorReply):
    """Says that a message was not understood."""


class Echoed(BaseModel):
    type: Literal["echoed"] = "echoed"
    text: str


Answer = Annotated[Echoed | Complaint, Field(discriminator="type")]


@pytest.mark.parametrize(
    ("on_invalid", "expected"),
    [
        ("close", []),
        ("drop", [{"type": "echoed", "text": "good"}]),
        (
            "reply",
            [
                {"type": "error", "problem": "malformed", "detail": ANY, "errors": ANY},
                {"type": "echoed", "text": "good"},
            ],
        ),
    ],
)
async def test_invalid_messages_are_the_policys_matter(on_invalid: Any, expected: list[Any]) -> None:
    policy = Policy(on_invalid=on_invalid)

    async def echo(ws: Annotated[Connection[Say, Answer], typed_websocket(policy=policy)]) -> None:
        async for message in ws:
            await ws.send_model(Echoed(text=message.text))

    sent = await visiting(serving(echo), text("{bad"), text('{"text":"good"}'), disconnect())
    assert [json.loads(event["text"]) for event in sent if "text" in event] == expected
    assert sent[-1].get("code") == (1007 if on_invalid == "close" else None)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(idle_timeout=0.05), ["accepted", 3008]),
        (Policy(max_message_size=5), ["accepted", 1009]),
    ],
    ids=["idle", "size"],
)
async def test_limits_hold(policy: Policy, expected: list[str | int]) -> None:
    async def route(ws: Annotated[Talk, typed_websocket(policy=policy)]) -> None:
        async for _ in ws:
            pass

    events = [text('{"text":"long"}')] if policy.max_message_size else []
    assert told(await visiting(serving(route), *events)) == expected


async def test_a_peer_that_does_not_read_is_closed() -> None:
    async def route(ws: Annotated[Talk, typed_websocket(policy=Policy(send_timeout=0.05))]) -> None:
        await ws.send_model(Said(text="hello"))

    receive, send, sent = wire(CONNECT)

    async def send_slowly(event: Any) -> None:
        if event["type"] == "websocket.send":
            await anyio.sleep_forever()
        await send(event)

    with anyio.fail_after(5):
        await serving(route)(scope(path="/chat/lobby"), receive, send_slowly)
    assert told(sent) == ["accepted", 1008]


async def test_dependencies_that_take_too_long_are_interrupted_and_left() -> None:
    seen: list[str] = []

    async def outer() -> AsyncGenerator[None]:
        try:
            yield
        except Exception as error:
            seen.append(str(error))
            raise

    async def slow() -> None:
        await anyio.sleep_forever()

    async def route(
        first: Annotated[None, Depends(outer)],
        ws: Annotated[Talk, typed_websocket(policy=Policy(handshake_timeout=0.05))],
        second: Annotated[None, Depends(slow)],
    ) -> None:
        raise AssertionError

    assert told(await visiting(serving(route))) == [503]
    assert seen == ["the handler did not decide within Policy(handshake_timeout=...)"]


async def test_a_dependency_leaves_in_peace_when_a_policy_ends_the_connection() -> None:
    left: list[str] = []

    async def lingering() -> AsyncGenerator[None]:
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.1)  # several looks of the watchdog long
            left.append("in peace")

    async def route(
        ws: Annotated[Talk, typed_websocket(policy=Policy(idle_timeout=0.05))], _: Annotated[None, Depends(lingering)]
    ) -> None:
        async for _message in ws:
            pass

    assert told(await visiting(serving(route))) == ["accepted", 3008]
    assert left == ["in peace"]


async def test_a_feed_ends_when_its_client_leaves() -> None:
    cancelled: list[bool] = []

    async def feed(ws: Annotated[Connection[Never, Said], typed_websocket()]) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(True)

    assert told(await visiting(serving(feed), disconnect())) == ["accepted"]
    assert cancelled == [True]


# --- how it ends ---


def raising(error: BaseException) -> Route:
    async def route(ws: Annotated[Talk, typed_websocket()]) -> None:
        raise error

    return route


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (HTTPException(404, "no such room"), 1008, "no such room"),
        (WebSocketException(4001, "ours"), 4001, "ours"),
        (ExceptionGroup("of tasks", [HTTPException(404)]), 1008, "Not Found"),
        (WebSocketDisconnect(1001), 1000, ""),
    ],
    ids=["HTTPException", "WebSocketException", "group", "disconnect"],
)
async def test_what_the_route_raises_closes(error: Exception, code: int, reason: str) -> None:
    sent = await visiting(serving(raising(error)))
    assert told(sent) == ["accepted", code]
    assert sent[-1].get("reason", "") == reason


async def test_what_nobody_foresaw_closes_and_is_seen_by_error_reporters() -> None:
    reported: list[str] = []

    class Reporter:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await self.app(scope, receive, send)
            except ValueError as error:
                reported.append(str(error))

    app = serving(raising(ValueError("a secret")))
    app.add_middleware(Reporter)
    assert told(await visiting(app)) == ["accepted", 1011]
    assert reported == ["a secret"]


@pytest.mark.parametrize(
    ("at", "error", "expected"),
    [
        ("route", HTTPException(404), ["accepted", 1008]),
        ("route", Missing(), ["accepted", 4404]),
        ("dependency", Missing(), [403]),
        ("dependency", HTTPException(404), [404]),
        ("dependency", WebSocketException(4001), [403]),
    ],
)
async def test_every_dependency_sees_what_is_raised_while_nothing_is_decided(
    at: str, error: Exception, expected: list[str | int]
) -> None:
    seen: list[tuple[str, type[BaseException], int]] = []
    receive, send, sent = wire(CONNECT)

    @asynccontextmanager
    async def noting(name: str) -> AsyncGenerator[None]:
        try:
            yield
        except Exception as caught:
            seen.append((name, type(caught), len(sent)))
            raise

    async def before() -> AsyncGenerator[None]:
        async with noting("before"):
            yield

    async def after() -> AsyncGenerator[None]:
        async with noting("after"):
            yield

    async def raiser() -> None:
        if at == "dependency":
            raise error

    async def route(
        first: Annotated[None, Depends(before)],
        ws: Annotated[Talk, typed_websocket()],
        second: Annotated[None, Depends(after)],
        third: Annotated[None, Depends(raiser)],
    ) -> None:
        raise error

    app = serving(route)

    @app.exception_handler(Missing)
    async def missing(websocket: FastAPIWebSocket, error: Missing) -> None:
        await websocket.close(4404)

    with anyio.fail_after(5):
        await app(scope(path="/chat/lobby"), receive, send)
    kind, so_far = type(error), int(at == "route")
    assert seen == [("after", kind, so_far), ("before", kind, so_far)]
    codes = [4404 if each == 403 and kind is Missing else each for each in expected]
    assert told(sent) == codes


async def test_a_handler_of_the_applications_own_finds_the_connection_open() -> None:
    app = serving(raising(Missing()))

    @app.exception_handler(Missing)
    async def missing(websocket: FastAPIWebSocket, error: Missing) -> None:
        await websocket.send_json({"sorry": True}, mode="binary")
        await websocket.close(4404)

    sent = await visiting(app)
    assert [event.get("bytes") or event.get("code") for event in sent[1:]] == [b'{"sorry":true}', 4404]


async def test_a_handler_of_the_applications_own_answers_what_fastapi_validates() -> None:
    app = serving(talk)

    @app.exception_handler(WebSocketRequestValidationError)
    async def invalid(websocket: FastAPIWebSocket, error: WebSocketRequestValidationError) -> None:
        await websocket.close(4422)

    assert told(await visiting(app, query="token=sesame&shouting=perhaps")) == [4422]


async def test_a_dependency_that_fails_when_it_is_left_decides_how_the_connection_ends() -> None:
    async def committing() -> AsyncGenerator[None]:
        yield
        raise HTTPException(409, "conflict")

    async def route(
        _: Annotated[None, Depends(committing)], ws: Annotated[Connection[Say, Said], typed_websocket()]
    ) -> None:
        await ws.send_model(Said(text="done"))

    sent = await visiting(serving(route))
    assert told(sent) == ["accepted", '{"text":"done"}', 1008]


async def test_a_failure_among_several_exceptions_is_raised_as_itself() -> None:
    async def in_tasks() -> AsyncGenerator[None]:
        yield
        raise ExceptionGroup("of tasks", [HTTPException(404), ValueError("a secret")])

    async def route(_: Annotated[None, Depends(in_tasks)], ws: Annotated[Talk, typed_websocket()]) -> None:
        pass

    with pytest.raises(ValueError, match="a secret"):
        await visiting(serving(route))


async def test_a_dependency_that_keeps_an_end_by_policy_to_itself_changes_nothing() -> None:
    async def silent() -> AsyncGenerator[None]:
        with suppress(Exception):
            yield

    policy = Policy(origins=["https://a.example"])

    async def route(_: Annotated[None, Depends(silent)], ws: Annotated[Talk, typed_websocket(policy=policy)]) -> None:
        raise AssertionError

    sent = await visiting(serving(route), headers=[(b"host", b"testserver"), (b"origin", b"https://evil.example")])
    assert problem(sent)["detail"] == "this origin may not connect"


async def test_a_shutdown_is_told_to_the_client() -> None:
    entered = anyio.Event()

    async def route(ws: Annotated[Talk, typed_websocket()]) -> None:
        entered.set()
        await anyio.sleep_forever()

    receive, send, sent = wire(CONNECT)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(serving(route), scope(path="/chat/lobby"), receive, send)
            await entered.wait()
            group.cancel_scope.cancel()
    assert told(sent) == ["accepted", 1012]


async def test_what_ends_the_process_is_let_through() -> None:
    class Stop(BaseException):
        pass

    with pytest.raises(Stop):
        await visiting(serving(raising(Stop())))


# --- where it may stand ---


async def test_one_alias_is_one_connection_for_all_who_ask() -> None:
    async def room_of(ws: Chat) -> str:
        with pytest.raises(InvalidState):
            await ws.send_model(Said(text="too early"))
        return ws.params.room.upper()

    async def route(room: Annotated[str, Depends(room_of)], ws: Chat) -> Closed:
        await ws.send_model(Said(text=room))
        return await ws.close(4000)

    async def other(room: Annotated[str, Depends(room_of)]) -> None:
        assert room == "LOBBY"

    assert told(await visiting(serving(route))) == ["accepted", '{"text":"LOBBY"}', 4000]
    assert told(await visiting(serving(other))) == ["accepted", 1000]


async def test_routers_prefixes_and_mounts() -> None:
    inner, outer, below, app = APIRouter(), APIRouter(prefix="/v1"), FastAPI(), FastAPI()
    inner.websocket("/chat/{room}")(talk)
    outer.include_router(inner)
    app.include_router(outer, dependencies=[Depends(checkpoint)])
    below.include_router(inner)
    app.mount("/below", below)
    for path in ("/v1/chat/lobby", "/below/chat/lobby"):
        for _ in range(2):
            sent = await visiting(app, text('{"text":"hi"}'), disconnect(), path=path, query="token=sesame")
            assert told(sent) == ["accepted", '{"text":"ann in lobby: hi"}'], path
        assert told(await visiting(app, path=path)) == [401]


async def test_endpoints_and_routers_of_endpoints() -> None:
    @endpoint
    async def echo(ws: Talk) -> None:
        async for message in ws:
            await ws.send_model(Said(text=f"{message.text} in {ws.params.room}"))

    app, router = FastAPI(), APIRouter()
    for each in (router, app.router):
        untyped: Any = each  # FastAPI's annotation says that this is for functions alone
        untyped.add_websocket_route("/added/{room}", echo)
    app.router.routes.append(WebSocketRoute("/appended/{room}", echo))
    app.mount("/mounted/{room}", echo)
    app.include_router(router, prefix="/included")
    for path in ("/added/lobby", "/appended/lobby", "/mounted/lobby/", "/included/added/lobby"):
        sent = await visiting(app, text('{"text":"hi"}'), disconnect(), path=path)
        assert told(sent) == ["accepted", '{"text":"hi in lobby"}'], path


async def test_an_overridden_dependency_is_not_asked() -> None:
    app = serving(talk)
    app.dependency_overrides[user] = lambda: "bob"
    sent = await visiting(app, text('{"text":"hi"}'), disconnect())
    assert told(sent) == ["accepted", '{"text":"bob in lobby: hi"}']


async def test_two_of_them_in_one_route_are_refused() -> None:
    async def route(one: Annotated[Talk, typed_websocket()], two: Annotated[Talk, typed_websocket()]) -> None:
        raise AssertionError

    with pytest.raises(InvalidEndpoint, match="one typed_websocket"):
        await visiting(serving(route))


async def test_a_route_of_http_is_refused() -> None:
    app = FastAPI()

    @app.get("/")
    async def get(ws: Annotated[Talk, typed_websocket()]) -> None:
        raise AssertionError

    receive, send, _ = wire()
    with pytest.raises(InvalidEndpoint, match="a route of @app"):
        await app({**scope(), "type": "http", "method": "GET"}, receive, send)


async def test_what_goes_out_is_what_is_declared() -> None:
    async def route(ws: Annotated[Talk, typed_websocket()]) -> None:
        with pytest.raises(UnsendableMessage):
            await ws.send_model(Room(room="a"))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

    assert told(await visiting(serving(route))) == ["accepted", 1000]


# --- refused when the route is declared ---


@pytest.mark.parametrize(
    ("annotation", "dependency", "error", "words"),
    [
        (Say, typed_websocket(), InvalidEndpoint, "Connection"),
        (Connection[Room, Said, Room], typed_websocket(chat), InvalidEndpoint, "Room"),
        (Connection[Say, Room, Room], typed_websocket(chat), InvalidEndpoint, "Said"),
        (Connection[Say | Said, Said], typed_websocket(), InvalidContract, "discriminator"),
        (Talk, typed_websocket(policy=Policy(on_invalid="reply")), InvalidEndpoint, "reply"),
    ],
)
def test_a_contradiction_is_refused_when_the_route_is_declared(
    annotation: Any, dependency: DependsType, error: type[Exception], words: str
) -> None:
    async def route(ws: Any) -> None:
        raise AssertionError

    route.__annotations__["ws"] = Annotated[annotation, dependency]
    with pytest.raises(error, match=words):
        serving(route)


# --- over a real socket ---


on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])  # on which uvicorn runs

PAGE = Path(__file__).parents[3] / "docs" / "migrating.md"
PROGRAM = re.compile(r"^<!-- (before|after) -->\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def programs() -> dict[str, str]:
    """Give the two programs of the page."""
    return dict(PROGRAM.findall(PAGE.read_text()))


@on_asyncio
@pytest.mark.parametrize("name", ["before", "after"])
async def test_the_chat_before_and_after_has_the_same_conversation(name: str) -> None:
    namespace: dict[str, Any] = {"__name__": f"chat_{name}"}
    exec(compile(programs()[name], name, "exec"), namespace)

    with anyio.fail_after(LIMIT):
        async with running("websockets-sansio") as server:
            server.app = namespace["app"]
            url = f"ws://127.0.0.1:{server.port}/ws"
            async with connect(f"{url}/1", proxy=None) as ann:
                for said in ("hello", "anybody?"):
                    await ann.send(json.dumps({"text": said}))
                    assert json.loads(await ann.recv()) == {"text": said, "by": 1}
                async with connect(f"{url}/2", proxy=None) as bob:
                    await bob.send(json.dumps({"text": "me"}))
                    for client in (ann, bob):
                        assert json.loads(await client.recv()) == {"text": "me", "by": 2}
                assert json.loads(await ann.recv()) == {"text": "left the chat", "by": 2}


def test_the_chat_after_has_ten_lines_that_the_one_before_had_not() -> None:
    before, after = (programs()[name].splitlines() for name in ("before", "after"))
    new = [line for line in difflib.ndiff(before, after) if line.startswith("+ ") and line[2:].strip()]
    assert len(new) <= 10
    assert not any("ConnectionManager" in line for line in after)


@on_asyncio
async def test_the_example(caplog: pytest.LogCaptureFixture) -> None:
    fastapi_chat.history.clear()
    with anyio.fail_after(LIMIT):
        async with running("websockets-sansio") as server:
            server.app = fastapi_chat.app
            url = f"ws://127.0.0.1:{server.port}/chat/lobby"
            with pytest.raises(InvalidStatus) as denied:
                async with connect(url, proxy=None):
                    pass
            assert denied.value.response.status_code == 401
            async with (
                connect(f"{url}?token=token-of-ann", proxy=None) as ann,
                connect(f"{url}?token=token-of-bob", proxy=None) as bob,
            ):
                await ann.send('{"type":"say","text":"hello"}')
                assert await bob.recv() == '{"type":"said","text":"hello","by":"ann"}'
                await bob.send('{"type":"say","text":""}')
                await bob.wait_closed()
                assert bob.close_code == 1007
    assert fastapi_chat.history == [("lobby", "ann", "hello")]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
