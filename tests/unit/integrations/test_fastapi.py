"""`typed_websocket` in FastAPI, beyond the stories that all frameworks share: dependencies, routers, the examples."""

import difflib
import json
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import anyio
import pytest
from anyio.lowlevel import checkpoint
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, WebSocketException
from fastapi import WebSocket as FastAPIWebSocket
from fastapi.exceptions import WebSocketRequestValidationError
from fastapi.params import Depends as DependsType
from pydantic import BaseModel
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from examples import fastapi_chat
from tests.e2e.serving import LIMIT, running
from tests.support import CONNECT, Event, disconnect, scope, text, wire
from tests.unit.integrations.handlers import Room, Say, Unwelcome
from typedws import Closed, Connection, Contract, InvalidContract, InvalidEndpoint, InvalidState, Policy
from typedws.asgi import ASGIApp
from typedws.integrations.fastapi import typed_websocket

pytestmark = pytest.mark.anyio


class Said(BaseModel):
    text: str


Talk = Connection[Say, Said, Room]
chat = Contract("chat", Talk, modes=("text", "binary"))

Chat: TypeAlias = Annotated[Talk, typed_websocket(chat)]
Route: TypeAlias = Callable[..., Awaitable[Any]]


def serving(route: Route, **options: Any) -> FastAPI:
    """Return an application of one route."""
    app = FastAPI(**options)
    app.websocket("/chat/{room}")(route)
    return app


async def serve_client(app: ASGIApp, *events: Event, query: str = "", **overrides: Any) -> list[Event]:
    """Run an application for a client that connects and sends these events. Return the sent events."""
    receive, send, sent = wire(CONNECT, *events)
    connection = scope(**{"path": "/chat/lobby", "query_string": query.encode(), **overrides})
    with anyio.fail_after(5):
        await app(connection, receive, send)
    return sent


def summary(sent: list[Event]) -> list[str | int]:
    """Return the accepts, texts, statuses of denials and close codes among the sent events."""
    keys = {"websocket.send": "text", "websocket.close": "code", "websocket.http.response.start": "status"}
    kinds = [(event["type"], event) for event in sent if event["type"] != "websocket.http.response.body"]
    return [event[keys[kind]] if kind in keys else "accepted" for kind, event in kinds]


def problem(sent: list[Event]) -> Any:
    """Return the problem document of a denial."""
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

# --- before the accept ---


@either_order
async def test_a_route_has_its_dependencies_and_parameters_beside_the_connection(route: Route) -> None:
    sent = await serve_client(serving(route), text('{"text":"hi"}'), disconnect(), query="token=sesame&shouting=1")
    assert summary(sent) == ["accepted", '{"text":"ANN IN LOBBY: HI"}']


@either_order
async def test_a_dependency_denies_before_and_after_the_connection(route: Route) -> None:
    sent = await serve_client(serving(route), query="token=wrong")
    assert summary(sent) == [401]
    assert (b"www-authenticate", b"Bearer") in [(name.lower(), value) for name, value in sent[0]["headers"]]


@either_order
@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("shouting=perhaps", {"name": "shouting", "problem": "bool_parsing"}),
        ("limit=many", {"name": "limit", "problem": "int_parsing"}),
    ],
    ids=["of the route", "of the contract"],
)
async def test_an_invalid_parameter_denies_with_a_problem_document(route: Route, query: str, error: object) -> None:
    sent = await serve_client(serving(route), query=f"token=sesame&{query}")
    assert summary(sent) == [422]
    assert problem(sent)["errors"] == [error]


async def test_the_name_of_an_extra_parameter_is_not_repeated() -> None:
    class Limits(BaseModel, extra="forbid"):
        limit: int = 1

    async def route(ws: Annotated[Connection[Say, Said], typed_websocket()], query: Annotated[Limits, Query()]) -> None:
        raise AssertionError

    sent = await serve_client(serving(route), query="evil=1&limit=x")
    assert summary(sent) == [422]
    names = {each["name"] for each in problem(sent)["errors"]}
    assert names == {"query", "limit"}


async def test_a_client_that_the_policy_denies_reaches_no_later_dependency() -> None:
    reached: list[str] = []

    async def later() -> None:
        reached.append("dependency")

    async def route(
        ws: Annotated[Talk, typed_websocket(policy=Policy(origins=["https://a.example"]))],
        _: Annotated[None, Depends(later)],
    ) -> None:
        reached.append("route")

    sent = await serve_client(serving(route), headers=[(b"host", b"testserver"), (b"origin", b"https://evil.example")])
    assert summary(sent) == [403]
    assert reached == []


async def test_dependencies_that_take_too_long_are_cancelled_and_torn_down() -> None:
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

    assert summary(await serve_client(serving(route))) == [503]
    assert seen == ["the handler did not decide within Policy(handshake_timeout=...)"]


async def test_the_teardown_of_a_dependency_is_not_cancelled_when_a_policy_ends_the_connection() -> None:
    left: list[str] = []

    async def lingering() -> AsyncGenerator[None]:
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.1)  # longer than several checks of the timeout
            left.append("after the pause")

    async def route(
        ws: Annotated[Talk, typed_websocket(policy=Policy(idle_timeout=0.05))], _: Annotated[None, Depends(lingering)]
    ) -> None:
        async for _message in ws:
            pass

    assert summary(await serve_client(serving(route))) == ["accepted", 3008]
    assert left == ["after the pause"]


# --- how a connection ends ---


def raising(error: BaseException) -> Route:
    async def route(ws: Annotated[Talk, typed_websocket()]) -> None:
        raise error

    return route


@pytest.mark.parametrize(
    ("at", "error", "expected"),
    [
        ("route", HTTPException(404), ["accepted", 1008]),
        ("route", Unwelcome(), ["accepted", 4404]),
        ("dependency", Unwelcome(), [403]),
        ("dependency", HTTPException(404), [404]),
        ("dependency", WebSocketException(4001), [403]),
    ],
)
async def test_every_dependency_sees_an_exception_before_the_connection_ends(
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

    @app.exception_handler(Unwelcome)
    async def unwelcome(websocket: FastAPIWebSocket, error: Unwelcome) -> None:
        await websocket.close(4404)

    with anyio.fail_after(5):
        await app(scope(path="/chat/lobby"), receive, send)
    kind, so_far = type(error), int(at == "route")
    assert seen == [("after", kind, so_far), ("before", kind, so_far)]
    codes = [4404 if each == 403 and kind is Unwelcome else each for each in expected]
    assert summary(sent) == codes


async def test_an_exception_handler_of_the_application_finds_the_connection_open() -> None:
    app = serving(raising(Unwelcome()))

    @app.exception_handler(Unwelcome)
    async def unwelcome(websocket: FastAPIWebSocket, error: Unwelcome) -> None:
        await websocket.send_json({"sorry": True}, mode="binary")
        await websocket.close(4404)

    sent = await serve_client(app)
    assert [event.get("bytes") or event.get("code") for event in sent[1:]] == [b'{"sorry":true}', 4404]


async def test_an_exception_handler_of_the_application_answers_invalid_parameters_of_the_route() -> None:
    app = serving(talk)

    @app.exception_handler(WebSocketRequestValidationError)
    async def invalid(websocket: FastAPIWebSocket, error: WebSocketRequestValidationError) -> None:
        await websocket.close(4422)

    assert summary(await serve_client(app, query="token=sesame&shouting=perhaps")) == [4422]


async def test_a_dependency_that_fails_in_its_teardown_decides_how_the_connection_ends() -> None:
    async def committing() -> AsyncGenerator[None]:
        yield
        raise HTTPException(409, "conflict")

    async def route(
        _: Annotated[None, Depends(committing)], ws: Annotated[Connection[Say, Said], typed_websocket()]
    ) -> None:
        await ws.send_model(Said(text="done"))

    sent = await serve_client(serving(route))
    assert summary(sent) == ["accepted", '{"text":"done"}', 1008]


async def test_a_failure_among_several_exceptions_is_raised_as_itself() -> None:
    async def in_tasks() -> AsyncGenerator[None]:
        yield
        raise ExceptionGroup("of tasks", [HTTPException(404), ValueError("a secret")])

    async def route(_: Annotated[None, Depends(in_tasks)], ws: Annotated[Talk, typed_websocket()]) -> None:
        pass

    with pytest.raises(ValueError, match="a secret"):
        await serve_client(serving(route))


async def test_a_dependency_that_suppresses_the_exception_of_a_denial_changes_nothing() -> None:
    async def silent() -> AsyncGenerator[None]:
        with suppress(Exception):
            yield

    policy = Policy(origins=["https://a.example"])

    async def route(_: Annotated[None, Depends(silent)], ws: Annotated[Talk, typed_websocket(policy=policy)]) -> None:
        raise AssertionError

    sent = await serve_client(serving(route), headers=[(b"host", b"testserver"), (b"origin", b"https://evil.example")])
    assert problem(sent)["detail"] == "this origin may not connect"


# --- where a typed_websocket may be used ---


async def test_one_alias_is_one_connection_for_the_route_and_its_dependencies() -> None:
    async def room_of(ws: Chat) -> str:
        with pytest.raises(InvalidState):
            await ws.send_model(Said(text="too early"))
        return ws.params.room.upper()

    async def route(room: Annotated[str, Depends(room_of)], ws: Chat) -> Closed:
        await ws.send_model(Said(text=room))
        return await ws.close(4000)

    async def other(room: Annotated[str, Depends(room_of)]) -> None:
        assert room == "LOBBY"

    assert summary(await serve_client(serving(route))) == ["accepted", '{"text":"LOBBY"}', 4000]
    assert summary(await serve_client(serving(other))) == ["accepted", 1000]


async def test_routers_prefixes_and_mounts() -> None:
    inner, outer, below, app = APIRouter(), APIRouter(prefix="/v1"), FastAPI(), FastAPI()
    inner.websocket("/chat/{room}")(talk)
    outer.include_router(inner)
    app.include_router(outer, dependencies=[Depends(checkpoint)])
    below.include_router(inner)
    app.mount("/below", below)
    for path in ("/v1/chat/lobby", "/below/chat/lobby"):
        for _ in range(2):
            sent = await serve_client(app, text('{"text":"hi"}'), disconnect(), path=path, query="token=sesame")
            assert summary(sent) == ["accepted", '{"text":"ann in lobby: hi"}'], path
        assert summary(await serve_client(app, path=path)) == [401]


async def test_an_overridden_dependency_is_not_called() -> None:
    app = serving(talk)
    app.dependency_overrides[user] = lambda: "bob"
    sent = await serve_client(app, text('{"text":"hi"}'), disconnect())
    assert summary(sent) == ["accepted", '{"text":"bob in lobby: hi"}']


async def test_two_typed_websockets_in_one_route_are_refused() -> None:
    async def route(one: Annotated[Talk, typed_websocket()], two: Annotated[Talk, typed_websocket()]) -> None:
        raise AssertionError

    with pytest.raises(InvalidEndpoint, match="one typed_websocket"):
        await serve_client(serving(route))


async def test_a_typed_websocket_in_an_http_route_is_refused() -> None:
    app = FastAPI()

    @app.get("/")
    async def get(ws: Annotated[Talk, typed_websocket()]) -> None:
        raise AssertionError

    receive, send, _ = wire()
    with pytest.raises(InvalidEndpoint, match="a route of @app"):
        await app({**scope(), "type": "http", "method": "GET"}, receive, send)


# --- errors when a route is declared ---


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
    """Return the two programs of the page."""
    return dict(PROGRAM.findall(PAGE.read_text()))


@on_asyncio
@pytest.mark.parametrize("name", ["before", "after"])
async def test_both_programs_of_the_migration_page_exchange_the_same_messages(name: str) -> None:
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


def test_the_migrated_program_has_at_most_ten_new_lines() -> None:
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
