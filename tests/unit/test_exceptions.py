"""The exceptions of `typedws.exceptions`: their sentences and their fields. One golden file has all sentences."""

import copy
import pickle
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

import pytest
import starlette.exceptions
from pydantic import BaseModel, TypeAdapter, ValidationError

import typedws.exceptions
from tests.support import stable_id
from typedws._http.headers import Headers
from typedws._messages.adapter import adapter_for
from typedws.close_codes import ApplicationCloseCode, CloseCode
from typedws.codecs import TextJSON, registry
from typedws.exceptions import (
    ClientNotInstalled,
    CodecNotInstalled,
    ConcurrentReceive,
    ConnectionFailed,
    ConnectTimeout,
    DenialResponseUnsupported,
    HTTPException,
    InvalidClose,
    InvalidContract,
    InvalidDeclaration,
    InvalidEndpoint,
    InvalidGroup,
    InvalidHandshake,
    InvalidInput,
    InvalidMessage,
    InvalidMessageType,
    InvalidParams,
    InvalidPath,
    InvalidPolicy,
    InvalidResponse,
    InvalidState,
    MessageProblem,
    ServerUnreachable,
    TLSHandshakeFailed,
    TypedWSError,
    UndeclaredMessageType,
    UnknownMode,
    UnknownSubprotocol,
    UnsendableMessage,
    WebSocketDisconnect,
    WebSocketDisconnected,
    WebSocketException,
)
from typedws.testing import ApplicationReturned, ConnectionDenied, ExpectationFailed, LifespanFailed, WaitTimeout

GOLDEN = Path(__file__).parent / "golden" / "sentences.txt"


class ChatClose(ApplicationCloseCode):
    KICKED = 4001, "removed by a moderator"


class Line(BaseModel):
    price: int
    name: str


class Order(BaseModel):
    id: int
    lines: list[Line]


def error_for(message: str) -> InvalidMessage:
    """Return the error for a message that is not a valid ``Order``."""
    with pytest.raises(InvalidMessage) as caught:
        TextJSON().decode_model(message, adapter_for(Order))
    return caught.value


def several_failures() -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Order).validate_python({"id": "x", "lines": [{}, {}]})
    return caught.value


PROBLEM = Headers({"Content-Type": "application/problem+json"})

SENTENCES: list[TypedWSError] = [
    WebSocketDisconnect(),
    WebSocketDisconnect(1001),
    WebSocketDisconnect(1005),
    WebSocketDisconnect(1006),
    WebSocketDisconnect(4001, "bye"),
    WebSocketDisconnect(ChatClose.KICKED, "removed by a moderator"),
    WebSocketDisconnect(ChatClose.KICKED, "bye"),
    WebSocketDisconnect(1012, "", "server"),
    WebSocketDisconnect(1008, "too many messages unread", "application"),
    WebSocketDisconnected(1000, "", "application"),
    WebSocketDisconnected(1006),
    WebSocketDisconnected(4001, "bye"),
    InvalidMessage("wrong_frame", "a text frame", "a binary frame"),
    InvalidMessage("too_big", "Order of at most 100 bytes", "a message of 101 bytes"),
    error_for("{bad"),
    error_for("[1]"),
    error_for('{"id":"secret","lines":[]}'),
    error_for('{"id":1,"lines":[{"price":1,"name":2},{"price":"x"}]}'),
    error_for('{"id":1.5,"lines":[{},{}]}'),
    InvalidParams(
        "invalid", "Order", "parameters that fail validation", several_failures(), adapter_for(Order).names_field
    ),
    InvalidState("websocket.receive or websocket.disconnect", "websocket.connect"),
    InvalidState(
        "an accepted connection", "one that is not", sentence="the connection is not accepted yet: call accept() first"
    ),
    InvalidState(
        "a connection outside of the group", "a member", sentence="this connection is already a member of the group"
    ),
    InvalidState(
        "a server with lifespan state",
        "one without it",
        sentence="this server does not support lifespan state: keep the state on an object of your own",
    ),
    ConcurrentReceive(),
    DenialResponseUnsupported(),
    UndeclaredMessageType(),
    UnsendableMessage("Order", "Line"),
    UnsendableMessage("finite numbers", "nan"),
    UnsendableMessage("text that UTF-8 can encode", "a lone surrogate at index 3"),
    InvalidHandshake("subprotocol", "one of the 2 that the client offered", "'v3'"),
    InvalidHandshake("status", "an HTTP status from 300 to 599", "200"),
    InvalidClose(1006),
    InvalidClose(999),
    InvalidClose(1000, "x" * 124),
    InvalidClose(1000, "\ud800"),
    InvalidMessageType("Order", "it names types that are not defined"),
    UnknownMode("yaml", registry),
    CodecNotInstalled("cbor", "cbor"),
    UnknownSubprotocol(["chat.v1.json", "chat.v1.msgpack"]),
    UnknownSubprotocol([]),
    InvalidContract("a name that is a token", "'my chat'", "use letters, digits, '.', '-' and '_'"),
    InvalidEndpoint("an asynchronous function", "talk, which is not", "write async def"),
    InvalidGroup("max_pending to be at least 1", "0", "nothing could be sent"),
    InvalidPath("a slash at the start", "'c' in the path 'chat'", "write '/chat'"),
    InvalidPolicy("idle_timeout to be above zero", "0", "None means no limit"),
    HTTPException(401),
    HTTPException(499, "no", {"x-why": "because"}),
    WebSocketException(4001, "bye"),
    ConnectionDenied(403),
    ConnectionDenied(599),
    ConnectionDenied(401, PROBLEM, b'{"title":"Unauthorized","status":401,"detail":"token missing"}'),
    ConnectionDenied(401, PROBLEM, b'{"title":"Unauthorized","status":401,"detail":"one\\n\\u001b[1mtwo"}'),
    ConnectionDenied(401, PROBLEM, b"{}"),
    ServerUnreachable(
        "a server at example.com:443",
        "connection refused",
        sentence="could not connect to example.com:443: connection refused",
    ),
    ConnectTimeout(10.0),
    TLSHandshakeFailed(
        "a trusted TLS server",
        "certificate has expired",
        sentence="the TLS handshake with example.com:443 failed: certificate has expired",
    ),
    InvalidResponse("a subprotocol and extensions that were offered", "others"),
    ClientNotInstalled(),
    WaitTimeout("a message from the application within 5 s", "nothing: the application waits for a message"),
    ExpectationFailed("Said", "Joined(room='lobby')", ["application  sends text '...'"]),
    ApplicationReturned("the application to accept or deny", "that it returned without either"),
    LifespanFailed("lifespan.startup.complete", "lifespan.startup.failed: no database"),
]


def test_the_sentences_match_the_reviewed_file() -> None:
    sentences = "".join(f"{type(error).__name__}: {error}\n" for error in SENTENCES)
    assert GOLDEN.read_text() == sentences, f"review these, and put them into {GOLDEN.name}:\n{sentences}"


def test_every_exception_has_a_sentence() -> None:
    public = {getattr(typedws.exceptions, name) for name in typedws.exceptions.__all__}
    classes = {each for each in public if isinstance(each, type) and issubclass(each, TypedWSError)}
    assert classes - {type(error) for error in SENTENCES} == {
        TypedWSError,
        InvalidInput,
        InvalidDeclaration,
        ConnectionFailed,
    }


def after_copy(error: TypedWSError) -> TypedWSError:
    return copy.copy(error)


def after_pickle(error: TypedWSError) -> TypedWSError:
    other = pickle.loads(pickle.dumps(error))
    assert isinstance(other, TypedWSError)
    return other


PORTABLE = [error for error in SENTENCES if not isinstance(error, InvalidInput) or error.problem != "invalid"]


@pytest.mark.parametrize("error", PORTABLE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("duplicate", [after_copy, after_pickle])
def test_an_exception_has_the_same_sentence_after_a_copy_or_pickle(
    error: TypedWSError, duplicate: Callable[[TypedWSError], TypedWSError]
) -> None:
    other = duplicate(error)
    assert (type(other), str(other)) == (type(error), str(error))
    assert vars(other).keys() == vars(error).keys()


@pytest.mark.parametrize(
    ("problem", "close_code"),
    [
        ("wrong_frame", CloseCode.UNSUPPORTED_DATA),
        ("malformed", CloseCode.INVALID_DATA),
        ("invalid", CloseCode.INVALID_DATA),
        ("too_big", CloseCode.MESSAGE_TOO_BIG),
    ],
)
def test_an_invalid_message_has_the_close_code_of_its_problem(problem: MessageProblem, close_code: CloseCode) -> None:
    assert InvalidMessage(problem, "", "").close_code is close_code


def test_invalid_parameters_have_the_status_422() -> None:
    assert InvalidParams("invalid", "", "").status_code == 422


@pytest.mark.parametrize(
    ("class_", "base"),
    [
        (WebSocketDisconnected, WebSocketDisconnect),
        (WebSocketDisconnected, RuntimeError),
        (InvalidState, RuntimeError),
        (ConcurrentReceive, RuntimeError),
        (DenialResponseUnsupported, RuntimeError),
        (UndeclaredMessageType, RuntimeError),
        (UnsendableMessage, ValueError),
        (InvalidHandshake, ValueError),
        (InvalidClose, ValueError),
        (InvalidMessageType, TypeError),
        (InvalidDeclaration, ValueError),
        (UnknownMode, RuntimeError),
    ],
)
def test_an_exception_is_also_of_the_class_that_the_classic_api_raises(
    class_: type[Exception], base: type[Exception]
) -> None:
    assert issubclass(class_, base)


@pytest.mark.parametrize(("code", "closed_by"), [(1000, "peer"), (1006, "network"), (1005, "peer"), (1012, "peer")])
def test_closed_by_defaults_to_the_party_that_the_code_implies(code: int, closed_by: str) -> None:
    assert WebSocketDisconnect(code).closed_by == closed_by


# --- no data of the peer in a sentence, a repr or a location ---


class Tagged(BaseModel):
    kind: Literal["tagged"]
    names: dict[str, int]


SECRET = "hunter2"


@pytest.mark.parametrize(
    "message",
    [
        f'{{"kind":"{SECRET}","names":{{}}}}',
        f'{{"kind":"tagged","names":{{"{SECRET}":"x"}}}}',
        f'{{"kind":"tagged","names":"{SECRET}"}}',
        f'{{"kind":"tagged","{SECRET}"',
    ],
)
def test_no_data_of_the_peer_is_in_the_text_of_an_exception(message: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        TextJSON().decode_model(message, adapter_for(Tagged))
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)
    assert SECRET not in str(caught.value.locations())
    assert caught.value.__cause__ is None or caught.value.problem == "malformed"


def test_a_key_that_the_declared_type_does_not_name_is_replaced_by_a_star() -> None:
    with pytest.raises(InvalidMessage) as caught:
        TextJSON().decode_model('{"kind":"tagged","names":{"bob":"x"}}', adapter_for(Tagged))
    assert caught.value.locations() == [("names.*", "int_parsing")]
    assert caught.value.errors()[0]["loc"] == ("names", "bob")


def test_without_a_declared_type_every_key_is_replaced_by_a_star() -> None:
    error = InvalidMessage("invalid", "Order", "something", several_failures())
    assert error.locations() == [("*", "int_parsing"), *[("*.0.*", "missing")] * 2, *[("*.1.*", "missing")] * 2]


def test_errors_are_those_of_pydantic_without_the_input_by_default() -> None:
    error = error_for('{"id":"x","lines":[]}')
    [detail] = error.errors()
    assert (detail["type"], detail["loc"]) == ("int_parsing", ("id",))
    assert "input" not in detail
    assert error.errors(include_input=True)[0].get("input") == "x"


def test_a_message_refused_before_validation_has_one_error() -> None:
    error = InvalidMessage("wrong_frame", "a text frame", "a binary frame")
    assert error.errors() == [{"type": "wrong_frame", "loc": (), "msg": "expected a text frame, found a binary frame"}]
    assert error.locations() == []


def test_only_the_first_three_failures_are_in_the_sentence() -> None:
    error = error_for('{"id":"x","lines":[{},{}]}')
    assert len(error.locations()) == 5
    assert str(error).endswith("missing at lines.0.name; 2 more)")


# --- what a handler raises to end a connection ---


@pytest.mark.parametrize(
    "arguments",
    [
        {"status_code": 401},
        {"status_code": 401, "detail": "token missing"},
        {"status_code": 401, "detail": ""},
        {"status_code": HTTPStatus.NOT_FOUND},
        {"status_code": 401, "headers": {"WWW-Authenticate": "Bearer"}},
    ],
    ids=stable_id,
)
def test_an_http_exception_has_the_fields_and_the_text_of_the_classic_one(arguments: dict[str, Any]) -> None:
    error, classic = HTTPException(**arguments), starlette.exceptions.HTTPException(**arguments)
    assert (error.status_code, error.detail, error.headers) == (classic.status_code, classic.detail, classic.headers)
    assert str(error) == str(classic)
    assert isinstance(error, TypedWSError)


def test_a_status_without_a_phrase_has_no_detail() -> None:
    assert HTTPException(499).detail == ""
    assert str(HTTPException(499, "gone")) == "499: gone"


@pytest.mark.parametrize("reason", [None, "", "go away"])
@pytest.mark.parametrize("code", [1008, 4001, CloseCode.GOING_AWAY])
def test_a_websocket_exception_has_the_fields_and_the_text_of_the_classic_one(code: int, reason: str | None) -> None:
    error, classic = WebSocketException(code, reason), starlette.exceptions.WebSocketException(code, reason)
    assert (error.code, error.reason) == (classic.code, classic.reason)
    assert str(error) == f"{int(code)}: {reason or ''}" == str(classic)
    assert isinstance(error, TypedWSError)


def test_the_reason_defaults_to_the_description_of_an_application_close_code() -> None:
    assert WebSocketException(ChatClose.KICKED).reason == "removed by a moderator"
    assert WebSocketException(ChatClose.KICKED, "spam").reason == "spam"
    assert WebSocketException(ChatClose.KICKED, "").reason == ""
    assert str(WebSocketException(ChatClose.KICKED)) == "4001: removed by a moderator"


@pytest.mark.parametrize(
    "error",
    [HTTPException(401, "token missing", {"a": "b"}), HTTPException(404), WebSocketException(ChatClose.KICKED, "spam")],
    ids=stable_id,
)
def test_an_exception_has_the_same_fields_after_a_copy_or_pickle(error: Exception) -> None:
    for duplicate in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(duplicate) is type(error)
        assert vars(duplicate) == vars(error)
        assert str(duplicate) == str(error)
