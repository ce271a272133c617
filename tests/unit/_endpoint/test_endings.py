"""How a handler ends: the sent events, log records and raised exceptions, for each kind of handler."""

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


MakeError = Callable[[], Exception]


def raising_endpoint(kind: Kind, when: When, make_error: MakeError) -> Endpoint[Any, Any, Any]:
    """Return an endpoint with a handler of this kind, which raises before or after the accept."""

    async def connection_handler(ws: Connection[Message, Message]) -> None:
        raise make_error()

    async def handshake_handler(handshake: Handshake[Message, Message]) -> Outcome:
        if when == "after":
            await handshake.accept()
        raise make_error()

    async def classic_handler(ws: WebSocket) -> None:
        if when == "after":
            await ws.accept()
        raise make_error()

    if kind == "connection":
        return endpoint(connection_handler)
    if kind == "handshake":
        return endpoint(handshake_handler)
    return WebSocketRoute("/", classic_handler).endpoint


@dataclass
class Result:
    """The sent events, the raised exception and the log records of one connection."""

    sent: list[Event] = field(default_factory=list[Event])
    raised: Exception | None = None
    records: list[logging.LogRecord] = field(default_factory=list[logging.LogRecord])

    @property
    def denial(self) -> tuple[int, dict[str, Any]]:
        """The status and the problem document of the denial. Nothing else may have been sent."""
        start, body = self.sent
        assert start["type"] == "websocket.http.response.start"
        assert body["type"] == "websocket.http.response.body"
        return start["status"], json.loads(body["body"])

    @property
    def closure(self) -> tuple[int, str]:
        """The code and the reason of the close. Nothing but an accept and a close may have been sent."""
        accept, close = self.sent
        assert (accept["type"], close["type"]) == ("websocket.accept", "websocket.close")
        return close["code"], close["reason"]

    @property
    def levels(self) -> list[int]:
        """The levels of the log records."""
        return [record.levelno for record in self.records]


@pytest.fixture
def run(caplog: pytest.LogCaptureFixture) -> Callable[..., Awaitable[Result]]:
    """Return a function that runs an application for one client, which connects and then sends these events."""
    caplog.set_level(logging.DEBUG, "typedws.endpoint")

    async def run(app: ASGIApp, /, *events: Event, **overrides: Any) -> Result:
        caplog.clear()
        receive, send, sent = wire(CONNECT, *events)
        result = Result(sent)
        with anyio.fail_after(5):
            try:
                await app(scope(**overrides), receive, send)
            except Exception as error:
                result.raised = error
        result.records = [record for record in caplog.records if record.name == "typedws.endpoint"]
        return result

    return run


def invalid_params() -> InvalidParams:
    try:
        TypeAdapter(Params).validate_python({"room": SECRET})
    except ValidationError as failure:
        return InvalidParams("invalid", "Params", "parameters that fail validation", failure, {"room"}.__contains__)
    raise AssertionError


def closed_upstream() -> Exception:
    """Return the error of a handler's own client connection, which is not the connection to the peer."""
    return websockets.exceptions.ConnectionClosedError(None, None)


def group(*errors: Exception) -> Exception:
    return ExceptionGroup("several", [ExceptionGroup("nested", [errors[0]]), *errors[1:]])


INVALID = InvalidMessage("wrong_frame", "a text frame", "a binary frame")
UNKNOWN = UnknownSubprotocol(["chat.v1.json"])
PEER_LEFT = WebSocketDisconnect(4001, SECRET)

DENIALS: dict[str, tuple[MakeError, int, str | None, int, str]] = {
    # exception: status and detail if raised before the accept, close code and reason if raised after it
    "typedws": (lambda: HTTPException(401, "who?"), 401, "who?", 1008, "who?"),
    "typedws, the default detail": (lambda: HTTPException(402), 402, "Payment Required", 1008, "Payment Required"),
    "a status without a phrase": (lambda: HTTPException(499), 499, None, 1008, ""),
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
    "werkzeug's, which Quart uses": (lambda: werkzeug.exceptions.Gone("away"), 410, "away", 1008, "away"),
    "a long detail": (lambda: HTTPException(400, "€" * 100), 400, "€" * 100, 1008, "€" * 41),
    "a close": (lambda: WebSocketException(4001, "bye"), 403, "bye", 4001, "bye"),
    "a close without a reason": (lambda: WebSocketException(CloseCode.GOING_AWAY), 403, None, 1001, ""),
    "Starlette's close": (lambda: starlette.exceptions.WebSocketException(1008, "no"), 403, "no", 1008, "no"),
    "FastAPI's close": (lambda: fastapi.WebSocketException(1013), 403, None, 1013, ""),
    "Litestar's close": (lambda: litestar.exceptions.WebSocketException(detail="no"), 403, "no", 4500, "no"),
    "an invalid message": (lambda: INVALID, 400, str(INVALID), 1003, str(INVALID)),
    "invalid parameters": (invalid_params, 422, str(invalid_params()), 1008, ""),
    "an unknown subprotocol": (lambda: UNKNOWN, 400, str(UNKNOWN), 1008, ""),
    "a group with a disconnect": (lambda: group(PEER_LEFT, HTTPException(401, "who?")), 401, "who?", 1008, "who?"),
}
DISCONNECTS: dict[str, MakeError] = {
    "the peer's disconnect": lambda: PEER_LEFT,
    "a use after the peer's disconnect": lambda: WebSocketDisconnected(1001, SECRET),
    "Starlette's": lambda: starlette.websockets.WebSocketDisconnect(1001, SECRET),
    "Litestar's": lambda: litestar.exceptions.WebSocketDisconnect(detail=SECRET),
    "a group": lambda: group(PEER_LEFT, WebSocketDisconnect()),
}
FAILURES: dict[str, MakeError] = {
    "an exception": lambda: ValueError(SECRET),
    "a group of one failure": lambda: group(PEER_LEFT, HTTPException(401), ValueError(SECRET)),
    "several failures": lambda: group(ValueError(SECRET), KeyError(SECRET)),
    "a close code that must not be sent": lambda: WebSocketException(1006, SECRET),
    "a close code that is not an integer": lambda: WebSocketException("1000", SECRET),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    "a status of success": lambda: HTTPException(200, SECRET),
    "no status": lambda: werkzeug.exceptions.HTTPException(SECRET),
    "http.client's HTTPException": lambda: http.client.IncompleteRead(SECRET.encode()),
    "websockets' WebSocketException": closed_upstream,
}
PLACES: list[tuple[Kind, When]] = [
    ("connection", "after"),
    ("handshake", "before"),
    ("handshake", "after"),
    ("classic", "before"),
    ("classic", "after"),
]
places = pytest.mark.parametrize(("kind", "when"), PLACES)
mounts = pytest.mark.parametrize("overrides", [{}, {"app": object()}], ids=["standalone", "mounted"])


@places
@mounts
@pytest.mark.parametrize("name", DENIALS)
async def test_an_expected_exception_denies_or_closes_and_logs_one_line(
    run: Any, name: str, kind: Kind, when: When, overrides: Event
) -> None:
    make_error, status, detail, code, reason = DENIALS[name]
    result = await run(raising_endpoint(kind, when, make_error), **overrides)
    if when == "before":
        assert (result.denial[0], result.denial[1].get("detail")) == (status, detail)
    else:
        assert result.closure == (code, reason)
    assert result.raised is None
    [record] = result.records
    assert (record.levelno, record.exc_info) == (logging.INFO, None)
    done = f"denied with {status}" if when == "before" else f"closed with {code}"
    assert done in record.getMessage()
    for text in ("who?", "bye", "away", SECRET):
        assert text not in record.getMessage()


@places
@mounts
@pytest.mark.parametrize("name", DISCONNECTS)
async def test_an_uncaught_disconnect_is_logged_at_debug_level(
    run: Any, name: str, kind: Kind, when: When, overrides: Event
) -> None:
    result = await run(raising_endpoint(kind, when, DISCONNECTS[name]), **overrides)
    assert result.denial[0] == 403 if when == "before" else result.closure == (1000, "")
    assert (result.raised, result.levels) == (None, [logging.DEBUG])
    assert SECRET not in result.records[0].getMessage()


@places
@pytest.mark.parametrize("name", FAILURES)
async def test_a_standalone_endpoint_logs_an_unexpected_exception_with_its_traceback(
    run: Any, name: str, kind: Kind, when: When
) -> None:
    result = await run(raising_endpoint(kind, when, FAILURES[name]))
    assert result.denial[0] == 500 if when == "before" else result.closure == (1011, "")
    assert SECRET not in str(result.sent)
    [record] = result.records
    assert (result.raised, record.levelno) == (None, logging.ERROR)
    assert record.exc_info is not None
    assert type(record.exc_info[1]) is type(root_cause(FAILURES[name]()))
    assert SECRET not in record.getMessage()


@places
@pytest.mark.parametrize("name", FAILURES)
async def test_a_mounted_endpoint_raises_an_unexpected_exception_and_logs_a_warning(
    run: Any, name: str, kind: Kind, when: When
) -> None:
    result = await run(raising_endpoint(kind, when, FAILURES[name]), app=object())
    assert result.denial[0] == 500 if when == "before" else result.closure == (1011, "")
    assert type(result.raised) is type(root_cause(FAILURES[name]()))
    assert result.levels == [logging.WARNING]
    assert result.records[0].exc_info is None
    assert SECRET not in result.records[0].getMessage()


@places
async def test_debug_sends_an_unexpected_exception_to_the_peer(run: Any, kind: Kind, when: When) -> None:
    make_error: MakeError
    for make_error in (lambda: ValueError("cause " + "€" * 100), lambda: WebSocketException(1006, "cause")):
        app = App([WebSocketRoute("/", raising_endpoint(kind, when, make_error))], debug=True)
        result = await run(app)
        text = result.denial[1]["detail"] if when == "before" else result.closure[1]
        assert text.startswith(f"{type(make_error()).__name__}: ")
        assert "cause" in text
        assert result.levels == [logging.ERROR]


async def test_debug_does_not_change_the_ending_of_an_expected_exception() -> None:
    assert ending_for(HTTPException(401), debug=True) == ending_for(HTTPException(401))


async def test_a_denial_has_the_headers_and_the_data_of_the_exception(run: Any) -> None:
    error = fastapi.HTTPException(401, [{"a": 1}], {"WWW-Authenticate": "Bearer", "Content-Length": "1"})
    result = await run(raising_endpoint("handshake", "before", lambda: error))
    headers = dict(result.sent[0]["headers"])
    assert headers[b"www-authenticate"] == b"Bearer"
    assert int(headers[b"content-length"]) == len(result.sent[1]["body"])
    assert result.denial[1]["errors"] == [{"a": 1}]


async def test_a_denial_lists_the_invalid_parameters_without_their_values(run: Any) -> None:
    result = await run(raising_endpoint("handshake", "before", invalid_params))
    assert result.denial[1]["errors"] == [{"name": "room", "problem": "int_parsing"}]
    assert SECRET not in str(result.sent) + str([record.getMessage() for record in result.records])


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
async def test_a_denial_that_cannot_be_sent_is_sent_without_its_details_and_logs_a_warning(
    run: Any, error: Exception
) -> None:
    result = await run(raising_endpoint("handshake", "before", lambda: error))
    assert result.denial == (401, {"type": "about:blank", "title": "Unauthorized", "status": 401})
    assert (result.raised, result.levels) == (None, [logging.INFO, logging.WARNING])


async def test_without_the_extension_a_denial_is_a_close(run: Any) -> None:
    result = await run(raising_endpoint("handshake", "before", lambda: HTTPException(401)), extensions=None)
    assert result.sent == [{"type": "websocket.close", "code": 1000, "reason": ""}]


def test_the_root_cause_is_the_only_unexpected_exception_or_the_group_of_several() -> None:
    one, other = ValueError(), KeyError()
    both = group(one, PEER_LEFT, other)
    assert root_cause(both) is both
    assert root_cause(group(PEER_LEFT, one)) is one
    assert root_cause(one) is one


def test_the_root_cause_of_expected_exceptions_is_the_most_severe_one() -> None:
    misused = WebSocketDisconnected(1000, "", "application")
    denied = HTTPException(401)
    assert root_cause(group(PEER_LEFT, denied)) is denied
    assert root_cause(group(denied, PEER_LEFT, misused)) is misused


def test_using_the_connection_after_closing_it_is_a_warning() -> None:
    ending = ending_for(WebSocketDisconnected(1000, "", "application"))
    assert (ending.level, ending.code, ending.is_failure) == (logging.WARNING, 1000, False)


def test_a_refused_origin_is_denied_with_403_and_the_refusal_is_logged() -> None:
    refusal = OriginRefusal("origin", "http://evil.example", "chat.example", "why", "Policy(...) would allow it")
    ending = origin_refused(refusal)
    assert ending == Ending(status=403, detail="this origin may not connect", log_message=str(refusal))
    assert ending.level == logging.INFO
