"""How a handler ends: what is sent, logged and raised for each kind of end, whatever the handler takes."""

import http.client
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
import fastapi
import litestar.exceptions
import pytest
import starlette.exceptions
import starlette.websockets
import websockets.exceptions
import werkzeug.exceptions
from pydantic import BaseModel, TypeAdapter, ValidationError

from tests.support import CONNECT, Event, scope, wire
from typedws._endpoint.endings import Ending, ending_for, origin_refused, root_cause
from typedws._endpoint.endpoints import Endpoint, endpoint
from typedws._endpoint.origins import OriginRefusal
from typedws._protocol.outcomes import Outcome
from typedws.asgi import ASGIApp
from typedws.close_codes import CloseCode
from typedws.exceptions import (
    HTTPException,
    InvalidMessage,
    InvalidParams,
    UnknownSubprotocol,
    WebSocketDisconnect,
    WebSocketDisconnected,
    WebSocketException,
)
from typedws.routing import App, WebSocketRoute
from typedws.websockets import Connection, Handshake, WebSocket

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t"

Kind = Literal["connection", "handshake", "classic"]
When = Literal["before", "after"]


class Message(BaseModel):
    text: str


class Params(BaseModel):
    room: int


Dying = Callable[[], Exception]


def dying(kind: Kind, when: When, error: Dying) -> Endpoint[Any, Any, Any]:
    """Give a handler of that kind which raises before or after it accepts."""

    async def of_connection(ws: Connection[Message, Message]) -> None:
        raise error()

    async def of_handshake(handshake: Handshake[Message, Message]) -> Outcome:
        if when == "after":
            await handshake.accept()
        raise error()

    async def of_websocket(ws: WebSocket) -> None:
        if when == "after":
            await ws.accept()
        raise error()

    if kind == "connection":
        return endpoint(of_connection)
    if kind == "handshake":
        return endpoint(of_handshake)
    return WebSocketRoute("/", of_websocket).endpoint


@dataclass
class Run:
    """What became of one connection."""

    sent: list[Event] = field(default_factory=list[Event])
    raised: Exception | None = None
    records: list[logging.LogRecord] = field(default_factory=list[logging.LogRecord])

    @property
    def denial(self) -> tuple[int, dict[str, Any]]:
        """The status and the problem document of a denial, which is all that was sent."""
        start, body = self.sent
        assert start["type"] == "websocket.http.response.start"
        assert body["type"] == "websocket.http.response.body"
        return start["status"], json.loads(body["body"])

    @property
    def closure(self) -> tuple[int, str]:
        """The code and the reason of a close after an accept, which are all that was sent."""
        accept, close = self.sent
        assert (accept["type"], close["type"]) == ("websocket.accept", "websocket.close")
        return close["code"], close["reason"]

    @property
    def levels(self) -> list[int]:
        """The levels of what was logged."""
        return [record.levelno for record in self.records]


@pytest.fixture
def run(caplog: pytest.LogCaptureFixture) -> Callable[..., Awaitable[Run]]:
    """Run an application for one client, which connects and does these things."""
    caplog.set_level(logging.DEBUG, "typedws.endpoint")

    async def run(app: ASGIApp, /, *events: Event, **overrides: Any) -> Run:
        caplog.clear()
        receive, send, sent = wire(CONNECT, *events)
        found = Run(sent)
        with anyio.fail_after(5):
            try:
                await app(scope(**overrides), receive, send)
            except Exception as error:
                found.raised = error
        found.records = [record for record in caplog.records if record.name == "typedws.endpoint"]
        return found

    return run


def invalid_params() -> InvalidParams:
    try:
        TypeAdapter(Params).validate_python({"room": SECRET})
    except ValidationError as failure:
        return InvalidParams("invalid", "Params", "parameters that fail validation", failure, {"room"}.__contains__)
    raise AssertionError


def closed_upstream() -> Exception:
    """An upstream's connection is over: nothing that our own peer has to do with."""
    return websockets.exceptions.ConnectionClosedError(None, None)


def group(*errors: Exception) -> Exception:
    return ExceptionGroup("several", [ExceptionGroup("nested", [errors[0]]), *errors[1:]])


INVALID = InvalidMessage("wrong_frame", "a text frame", "a binary frame")
UNKNOWN = UnknownSubprotocol(["chat.v1.json"])
GONE = WebSocketDisconnect(4001, SECRET)

DENIALS: dict[str, tuple[Dying, int, str | None, int, str]] = {
    # what is raised: before the accept the status and the detail; after it the code and the reason
    "ours": (lambda: HTTPException(401, "who?"), 401, "who?", 1008, "who?"),
    "our default": (lambda: HTTPException(402), 402, "Payment Required", 1008, "Payment Required"),
    "one without a phrase": (lambda: HTTPException(499), 499, None, 1008, ""),
    "Starlette's": (lambda: starlette.exceptions.HTTPException(401, "who?"), 401, "who?", 1008, "who?"),
    "FastAPI's": (lambda: fastapi.HTTPException(404), 404, "Not Found", 1008, "Not Found"),
    "FastAPI's with data": (lambda: fastapi.HTTPException(409, {"a": [1]}), 409, None, 1008, ""),
    "Litestar's": (
        lambda: litestar.exceptions.NotAuthorizedException("who?"),
        401,
        "who?",
        1008,
        "who?",
    ),
    "werkzeug's, which are Quart's": (lambda: werkzeug.exceptions.Gone("away"), 410, "away", 1008, "away"),
    "a long detail": (lambda: HTTPException(400, "€" * 100), 400, "€" * 100, 1008, "€" * 41),
    "a close": (lambda: WebSocketException(4001, "bye"), 403, "bye", 4001, "bye"),
    "a close without a reason": (lambda: WebSocketException(CloseCode.GOING_AWAY), 403, None, 1001, ""),
    "Starlette's close": (lambda: starlette.exceptions.WebSocketException(1008, "no"), 403, "no", 1008, "no"),
    "FastAPI's close": (lambda: fastapi.WebSocketException(1013), 403, None, 1013, ""),
    "Litestar's close": (lambda: litestar.exceptions.WebSocketException(detail="no"), 403, "no", 4500, "no"),
    "an invalid message": (lambda: INVALID, 400, str(INVALID), 1003, str(INVALID)),
    "invalid parameters": (invalid_params, 422, str(invalid_params()), 1008, ""),
    "an unknown subprotocol": (lambda: UNKNOWN, 400, str(UNKNOWN), 1008, ""),
    "a group with a disconnect": (lambda: group(GONE, HTTPException(401, "who?")), 401, "who?", 1008, "who?"),
}
QUIET: dict[str, Dying] = {
    "the peer's disconnect": lambda: GONE,
    "a use after the peer's disconnect": lambda: WebSocketDisconnected(1001, SECRET),
    "Starlette's": lambda: starlette.websockets.WebSocketDisconnect(1001, SECRET),
    "Litestar's": lambda: litestar.exceptions.WebSocketDisconnect(detail=SECRET),
    "a group": lambda: group(GONE, WebSocketDisconnect()),
}
FAILURES: dict[str, Dying] = {
    "an exception": lambda: ValueError(SECRET),
    "a group of one failure": lambda: group(GONE, HTTPException(401), ValueError(SECRET)),
    "several failures": lambda: group(ValueError(SECRET), KeyError(SECRET)),
    "a close code that must not be sent": lambda: WebSocketException(1006, SECRET),
    "a close code that is none": lambda: WebSocketException("1000", SECRET),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    "a status of success": lambda: HTTPException(200, SECRET),
    "no status": lambda: werkzeug.exceptions.HTTPException(SECRET),
    "http.client's exception of that name": lambda: http.client.IncompleteRead(SECRET.encode()),
    "a client library's exception of that name": closed_upstream,
}
PLACES: list[tuple[Kind, When]] = [
    ("connection", "after"),
    ("handshake", "before"),
    ("handshake", "after"),
    ("classic", "before"),
    ("classic", "after"),
]
places = pytest.mark.parametrize(("kind", "when"), PLACES)
mounts = pytest.mark.parametrize("around", [{}, {"app": object()}], ids=["alone", "mounted"])


@places
@mounts
@pytest.mark.parametrize("name", DENIALS)
async def test_an_end_that_the_handler_names_denies_or_closes_and_is_one_line_of_the_log(
    run: Any, name: str, kind: Kind, when: When, around: Event
) -> None:
    error, status, detail, code, reason = DENIALS[name]
    found = await run(dying(kind, when, error), **around)
    if when == "before":
        assert (found.denial[0], found.denial[1].get("detail")) == (status, detail)
    else:
        assert found.closure == (code, reason)
    assert found.raised is None
    [record] = found.records
    assert (record.levelno, record.exc_info) == (logging.INFO, None)
    done = f"denied with {status}" if when == "before" else f"closed with {code}"
    assert done in record.getMessage()
    for told in ("who?", "bye", "away", SECRET):
        assert told not in record.getMessage()


@places
@mounts
@pytest.mark.parametrize("name", QUIET)
async def test_a_disconnect_that_the_handler_lets_pass_ends_it_quietly(
    run: Any, name: str, kind: Kind, when: When, around: Event
) -> None:
    found = await run(dying(kind, when, QUIET[name]), **around)
    assert found.denial[0] == 403 if when == "before" else found.closure == (1000, "")
    assert (found.raised, found.levels) == (None, [logging.DEBUG])
    assert SECRET not in found.records[0].getMessage()


@places
@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_alone_is_logged_once_with_its_traceback_and_swallowed(
    run: Any, name: str, kind: Kind, when: When
) -> None:
    found = await run(dying(kind, when, FAILURES[name]))
    assert found.denial[0] == 500 if when == "before" else found.closure == (1011, "")
    assert SECRET not in str(found.sent)
    [record] = found.records
    assert (found.raised, record.levelno) == (None, logging.ERROR)
    assert record.exc_info is not None
    assert type(record.exc_info[1]) is type(root_cause(FAILURES[name]()))
    assert SECRET not in record.getMessage()


@places
@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_in_a_framework_is_answered_and_raised_and_one_line_says_so(
    run: Any, name: str, kind: Kind, when: When
) -> None:
    found = await run(dying(kind, when, FAILURES[name]), app=object())
    assert found.denial[0] == 500 if when == "before" else found.closure == (1011, "")
    assert type(found.raised) is type(root_cause(FAILURES[name]()))
    assert found.levels == [logging.WARNING]
    assert found.records[0].exc_info is None
    assert SECRET not in found.records[0].getMessage()


@places
async def test_debug_tells_the_peer_what_was_raised(run: Any, kind: Kind, when: When) -> None:
    error: Dying
    for error in (lambda: ValueError("told " + "€" * 100), lambda: WebSocketException(1006, "told")):
        app = App([WebSocketRoute("/", dying(kind, when, error))], debug=True)
        found = await run(app)
        told = found.denial[1]["detail"] if when == "before" else found.closure[1]
        assert told.startswith(f"{type(error()).__name__}: ")
        assert "told" in told
        assert found.levels == [logging.ERROR]


async def test_debug_tells_nothing_more_of_what_was_foreseen() -> None:
    assert ending_for(HTTPException(401), debug=True) == ending_for(HTTPException(401))


async def test_headers_and_data_of_an_exception_are_those_of_the_denial(run: Any) -> None:
    error = fastapi.HTTPException(401, [{"a": 1}], {"WWW-Authenticate": "Bearer", "Content-Length": "1"})
    found = await run(dying("handshake", "before", lambda: error))
    headers = dict(found.sent[0]["headers"])
    assert headers[b"www-authenticate"] == b"Bearer"
    assert int(headers[b"content-length"]) == len(found.sent[1]["body"])
    assert found.denial[1]["errors"] == [{"a": 1}]


async def test_invalid_parameters_are_named_field_by_field_without_what_was_sent(run: Any) -> None:
    found = await run(dying("handshake", "before", invalid_params))
    assert found.denial[1]["errors"] == [{"name": "room", "problem": "int_parsing"}]
    assert SECRET not in str(found.sent) + str([record.getMessage() for record in found.records])


@pytest.mark.parametrize(
    "error",
    [
        HTTPException(401, "who?", {"x": "a\r\nb"}),
        HTTPException(401, "who?", {"ü": "a"}),
        HTTPException(401, "\ud800"),
        HTTPException(401, "who?", 5),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        fastapi.HTTPException(401, object()),
        fastapi.HTTPException(401, {"a": "\ud800"}),
    ],
    ids=["header value", "header name", "surrogate", "no headers", "no data", "surrogate in data"],
)
async def test_a_denial_that_cannot_be_sent_is_sent_without_what_was_wrong_and_warns(
    run: Any, error: Exception
) -> None:
    found = await run(dying("handshake", "before", lambda: error))
    assert found.denial == (401, {"type": "about:blank", "title": "Unauthorized", "status": 401})
    assert (found.raised, found.levels) == (None, [logging.INFO, logging.WARNING])


async def test_without_the_extension_a_denial_is_a_close(run: Any) -> None:
    found = await run(dying("handshake", "before", lambda: HTTPException(401)), extensions=None)
    assert found.sent == [{"type": "websocket.close", "code": 1000, "reason": ""}]


def test_several_failures_stay_a_group_and_one_is_itself() -> None:
    one, other = ValueError(), KeyError()
    both = group(one, GONE, other)
    assert root_cause(both) is both
    assert root_cause(group(GONE, one)) is one
    assert root_cause(one) is one


def test_a_group_without_failures_is_the_gravest_of_it() -> None:
    misused = WebSocketDisconnected(1000, "", "application")
    denied = HTTPException(401)
    assert root_cause(group(GONE, denied)) is denied
    assert root_cause(group(denied, GONE, misused)) is misused


def test_going_on_after_ones_own_close_is_a_warning() -> None:
    ending = ending_for(WebSocketDisconnected(1000, "", "application"))
    assert (ending.level, ending.code, ending.is_failure) == (logging.WARNING, 1000, False)


def test_a_refused_origin_is_one_line_that_names_both_hosts_and_the_remedy() -> None:
    refusal = OriginRefusal("origin", "http://evil.example", "chat.example", "why", "Policy(...) would allow it")
    ending = origin_refused(refusal)
    assert ending == Ending(status=403, detail="this origin may not connect", log_message=str(refusal))
    assert ending.level == logging.INFO
