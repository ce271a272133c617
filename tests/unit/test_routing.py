"""`App`: which route serves, under which policy, with which state; and the answer where no route matches."""

import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

import anyio
import pytest
from pydantic import BaseModel, Field

from tests.support import CONNECT, Event, disconnect, scope, text, wire
from typedws._contract.contract import Contract, ErrorReply
from typedws._endpoint.endpoints import Endpoint, endpoint
from typedws._endpoint.policy import Policy
from typedws._protocol.outcomes import Outcome
from typedws.asgi import ASGIApp
from typedws.exceptions import HTTPException, InvalidEndpoint, InvalidPath
from typedws.routing import App, WebSocketRoute
from typedws.routing import App as Starlette
from typedws.websockets import Connection, Handshake, WebSocket

pytestmark = pytest.mark.anyio


class Say(BaseModel):
    text: str


Chat = Connection[Say, Say]


async def run(app: ASGIApp, /, *events: Event, **overrides: Any) -> list[Event]:
    receive, send, sent = wire(CONNECT, *events)
    with anyio.fail_after(5):
        await app(scope(**overrides), receive, send)
    return sent


def status(sent: list[Event]) -> int | None:
    """Return the status of a denial, or ``None`` after an accept."""
    if sent[0]["type"] == "websocket.accept":
        return None
    code: int = sent[0]["status"]
    return code


def sent_texts(sent: list[Event]) -> list[str]:
    return [json.loads(event["text"])["text"] for event in sent if event["type"] == "websocket.send"]


Handler = Callable[[Chat], Awaitable[None]]


def sending(message: str) -> Handler:
    async def say(ws: Chat) -> None:  # its name is that of the contract
        await ws.send_model(Say(text=message))

    return say


def sending_endpoint(message: str, contract: Contract[Any, Any, Any] | None = None) -> Endpoint[Any, Any, Any]:
    return endpoint(sending(message), contract)


# --- which route ---


async def test_the_first_matching_route_serves() -> None:
    app = App(
        [WebSocketRoute("/a/{x:int}", sending_endpoint("int")), WebSocketRoute("/a/{x}", sending_endpoint("str"))]
    )

    @app.websocket("/a/b")
    async def never(ws: Chat) -> None:
        raise AssertionError

    assert sent_texts(await run(app, path="/a/1")) == ["int"]
    assert sent_texts(await run(app, path="/a/b")) == ["str"]
    assert [route.path.template for route in app.routes] == ["/a/{x:int}", "/a/{x}", "/a/b"]
    assert never is app.routes[-1].endpoint


async def test_path_parameters_are_converted_for_the_handler_and_its_params() -> None:
    class Place(BaseModel):
        room: str
        id: int
        key: UUID
        rest: str
        page: int = 1

    seen: list[Any] = []
    key = UUID("12345678-1234-5678-1234-567812345678")
    app = App()

    @app.websocket("/{room}/{id:int}/{key:uuid}/{rest:path}")
    async def talk(ws: Connection[Say, Say, Place]) -> None:
        seen.append((ws.params, dict(ws.path_params)))

    await run(app, path=f"/lobby/7/{key}/a/b", query_string=b"page=2&room=other")
    place = Place(room="lobby", id=7, key=key, rest="a/b", page=2)
    assert seen == [(place, {"room": "lobby", "id": 7, "key": key, "rest": "a/b"})]


async def test_parameters_of_the_mount_are_kept_and_those_of_the_route_override_them() -> None:
    seen: list[Any] = []
    app = App()

    @app.websocket("/{room}")
    async def talk(ws: Chat) -> None:
        seen.append(dict(ws.path_params))

    path_params = {"tenant": "t", "room": "outer"}
    await run(app, path="/inner", path_params=path_params)
    assert seen == [{"tenant": "t", "room": "inner"}]
    assert path_params == {"tenant": "t", "room": "outer"}


@pytest.mark.parametrize(
    ("root", "path", "is_found"),
    [
        ("", "/chat", True),
        ("/api", "/api/chat", True),
        ("/api/", "/api/chat", True),
        ("/", "/chat", True),
        ("/api", "/chat", True),  # a server that leaves the root path out
        ("/api", "/apichat", False),
        ("/api", "/api", False),
        ("/chat", "/chat", False),
    ],
)
async def test_routes_are_relative_to_the_mount_of_the_application(root: str, path: str, is_found: bool) -> None:
    app = App([WebSocketRoute("/chat", sending_endpoint("a"))])
    assert (status(await run(app, root_path=root, path=path)) is None) is is_found


async def test_the_mount_itself_is_the_root() -> None:
    app = App([WebSocketRoute("/", sending_endpoint("a"))])
    assert sent_texts(await run(app, root_path="/chat", path="/chat")) == ["a"]


async def test_versions_of_a_contract_serve_one_path_side_by_side() -> None:
    first, second = (Contract("chat", Chat, version=version) for version in ("1.0.0", "2.0.0"))
    app = App(
        [
            WebSocketRoute("/{room}", sending_endpoint("one", first)),
            WebSocketRoute("/chat", sending_endpoint("other path")),
            WebSocketRoute("/{room}", sending_endpoint("two", second)),
        ]
    )
    cases = {
        (): "one",
        ("chat.v1.json",): "one",
        ("chat.v2.json",): "two",
        ("chat.v2.json", "chat.v1.json"): "two",
        ("other", "chat.v2.json"): "two",
        ("bearer", "chat.v2.json", "chat.v1.json"): "one",
    }
    for offered, expected in cases.items():
        assert sent_texts(await run(app, path="/chat", subprotocols=list(offered))) == [expected]
    assert sent_texts(await run(app, path="/chat", subprotocols=None)) == ["one"]
    assert status(await run(app, path="/chat", subprotocols=["chat.v3.json"])) == 400


async def test_an_unknown_path_is_denied_with_404() -> None:
    sent = await run(App(), path="/nowhere")
    assert status(sent) == 404
    assert json.loads(sent[1]["body"])["detail"] == "nothing is served here"


@pytest.mark.parametrize(("path", "expected"), [("/chat/1", 426), ("/chat/a", 404), ("/", 404)])
async def test_plain_http_gets_426_on_the_path_of_a_route_and_404_elsewhere(path: str, expected: int) -> None:
    app = App([WebSocketRoute("/chat/{id:int}", sending_endpoint("a"))])
    receive, send, sent = wire({"type": "http.request", "body": b"", "more_body": False})
    await app(scope(type="http", path=path), receive, send)
    assert sent[0]["status"] == expected
    assert json.loads(sent[1]["body"])["status"] == expected


async def test_the_app_of_a_connection_is_the_outer_application_or_else_this_one() -> None:
    seen: list[Any] = []

    async def talk(ws: WebSocket) -> None:
        seen.append(ws.app)
        await ws.close()

    app = App([WebSocketRoute("/", talk)])
    await run(app)
    outer = object()
    await run(app, app=outer)
    assert seen == [app, outer]


# --- classic routes ---


async def test_a_classic_handler_accepts_and_closes_by_itself() -> None:
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept("two")
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    sent = await run(App([WebSocketRoute("/", talk)]), text("a"), subprotocols=["one", "two"])
    assert (sent[0]["subprotocol"], sent[1]["text"], sent[2]["code"]) == ("two", "a", 1000)


async def test_a_classic_handler_may_declare_its_types() -> None:
    class Local(BaseModel):
        room: int

    received: list[Any] = []

    async def talk(ws: "WebSocket[Say, Say, Local]") -> None:
        await ws.accept()
        async for message in ws:
            received.append((message, ws.params.room))

    app = App([WebSocketRoute("/{room}", talk)])
    await run(app, text('{"text":"a"}'), disconnect(), path="/5")
    assert received == [(Say(text="a"), 5)]
    assert status(await run(app, path="/x")) == 422


def test_the_repr_of_a_route_has_its_path_and_endpoint() -> None:
    assert (
        repr(WebSocketRoute("/a", sending_endpoint("a"))) == "<WebSocketRoute /a: <Endpoint of <Contract say 1.0.0>>>"
    )


def test_an_invalid_path_or_handler_is_refused_when_it_is_declared() -> None:
    with pytest.raises(InvalidPath):
        WebSocketRoute("no slash", sending_endpoint("a"))
    with pytest.raises(InvalidPath):
        App().websocket("/{a:nothing}")(sending("a"))

    async def talk(ws: WebSocket, room: str) -> None: ...

    no_handler: Any = talk
    with pytest.raises(InvalidEndpoint):
        WebSocketRoute("/", no_handler)


# --- policies ---


def waiting(started: anyio.Event) -> Handler:
    async def wait(ws: Chat) -> None:
        started.set()
        await anyio.sleep_forever()

    return wait


async def test_connections_of_an_application_are_counted_together_except_those_under_another_policy() -> None:
    app = App(policy=Policy(max_connections=1))
    started = anyio.Event()
    app.websocket("/a")(waiting(started))
    app.websocket("/b")(sending("b"))
    app.websocket("/own", policy=Policy())(sending("own"))
    async with anyio.create_task_group() as group:
        group.start_soon(partial(run, app, path="/a"))
        with anyio.fail_after(5):
            await started.wait()
        assert status(await run(app, path="/b")) == 503
        assert sent_texts(await run(app, path="/own")) == ["own"]
        group.cancel_scope.cancel()
    assert sent_texts(await run(app, path="/b")) == ["b"]


@pytest.mark.parametrize("how", ["decorator", "route", "endpoint", "application"])
async def test_the_nearest_policy_replaces_the_others(how: str) -> None:
    widened = Policy(origins="*")
    page = [(b"host", b"chat.example"), (b"origin", b"https://other.example")]
    app = App(policy=widened if how == "application" else Policy())
    if how == "decorator":
        app.websocket("/", policy=widened)(sending("a"))
    elif how == "route":
        app = App([WebSocketRoute("/", endpoint(sending("a"), policy=Policy()), policy=widened)])
    elif how == "endpoint":
        app = App([WebSocketRoute("/", endpoint(sending("a"), policy=widened))])
    else:
        app.websocket("/")(sending("a"))
    assert sent_texts(await run(app, headers=page)) == ["a"]
    assert status(await run(App([WebSocketRoute("/", sending_endpoint("a"))]), headers=page)) == 403


async def test_a_classic_route_has_a_policy_too() -> None:
    async def talk(ws: WebSocket) -> None:
        await ws.accept()

    page = [(b"host", b"chat.example"), (b"origin", b"https://other.example")]
    assert status(await run(App([WebSocketRoute("/", talk)]), headers=page)) == 403
    assert status(await run(App([WebSocketRoute("/", talk, policy=Policy(origins="*"))]), headers=page)) is None


def test_an_application_that_replies_needs_error_models() -> None:
    app = App(policy=Policy(on_invalid="reply"))
    with pytest.raises(InvalidEndpoint):
        app.websocket("/")(sending("a"))
    assert app.routes == ()


async def test_the_decorator_passes_a_contract_to_the_endpoint() -> None:
    class Tagged(BaseModel):
        type: Literal["say"] = "say"
        text: str

    contract = Contract("chat", Connection[Say, Annotated[Tagged | ErrorReply, Field(discriminator="type")]])
    app = App(policy=Policy(on_invalid="reply"))

    @app.websocket("/", contract)
    async def talk(ws: "Connection[Say, Annotated[Tagged | ErrorReply, Field(discriminator='type')]]") -> None:
        async for _ in ws:
            pass

    assert talk.contract is contract
    sent = await run(app, text("{"), disconnect(), subprotocols=["chat.v1.json"])
    assert sent[0]["subprotocol"] == "chat.v1.json"
    assert json.loads(sent[1]["text"])["type"] == "error"


@pytest.mark.parametrize("debug", [False, True])
async def test_debug_applies_to_every_endpoint(debug: bool) -> None:
    async def fail(handshake: Handshake[Say, Say]) -> Outcome:
        raise ValueError("boom")

    app = App(debug=debug)
    app.websocket("/app")(fail)
    app.websocket("/own", policy=Policy())(fail)
    for path in ("/app", "/own"):
        sent = await run(app, path=path)
        assert status(sent) == 500
        assert json.loads(sent[1]["body"]).get("detail") == ("ValueError: boom" if debug else None)


# --- the lifespan ---


async def test_the_state_of_the_lifespan_is_the_connections_state() -> None:
    seen: list[Any] = []
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: App) -> AsyncGenerator[Mapping[str, Any]]:
        events.append(f"in {len(app.routes)}")
        yield {"pool": "p"}
        events.append("out")

    app = App(lifespan=lifespan)

    @app.websocket("/")
    async def talk(ws: Chat) -> None:
        seen.append(ws.state.pool)

    state: dict[str, Any] = {}
    receive, send, sent = wire({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    await app({"type": "lifespan", "state": state}, receive, send)
    await run(app, state=dict(state))
    assert (seen, events) == (["p"], ["in 1", "out"])
    assert [event["type"] for event in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_without_a_lifespan_an_application_starts_and_stops() -> None:
    receive, send, sent = wire({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    await App()({"type": "lifespan"}, receive, send)
    assert [event["type"] for event in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_lifespan_that_cannot_be_made_fails_the_startup() -> None:
    def lifespan() -> None: ...

    wrong: Any = lifespan
    receive, send, sent = wire({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    with pytest.raises(TypeError):
        await App(lifespan=wrong)({"type": "lifespan"}, receive, send)
    assert [event["type"] for event in sent] == ["lifespan.startup.failed"]


# --- the reference's last example, imports aside ---


def is_authorized(subprotocols: list[str]):  # type: ignore[no-untyped-def]
    if len(subprotocols) != 2:
        return False
    if subprotocols[0] != "Authorization":
        return False
    # Here we are hard coding the token, in a real application you would validate the token
    # against a database or an external service.
    if subprotocols[1] != "token":  # noqa: SIM103 - as it is written there
        return False
    return True


async def websocket_endpoint(websocket: WebSocket):  # type: ignore[no-untyped-def]
    subprotocols = websocket.scope["subprotocols"]
    if not is_authorized(subprotocols):
        raise HTTPException(status_code=401, detail="Unauthorized")
    await websocket.accept("Authorization")
    await websocket.send_text("Hello, world!")
    await websocket.close()


app = Starlette(debug=True, routes=[WebSocketRoute("/ws", websocket_endpoint)])


async def test_the_last_example_of_the_reference_works_as_written(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "typedws.endpoint")
    denied = await run(app, path="/ws")
    assert status(denied) == 401
    assert json.loads(denied[1]["body"])["detail"] == "Unauthorized"
    sent = await run(app, path="/ws", subprotocols=["Authorization", "token"])
    assert (sent[0]["subprotocol"], sent[1]["text"], sent[2]["code"]) == ("Authorization", "Hello, world!", 1000)
    assert len(caplog.records) == 1
