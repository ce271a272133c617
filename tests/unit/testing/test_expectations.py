"""The expectations of a test connection: they return what arrives, typed, or fail and show how it differs."""

from dataclasses import dataclass
from typing import Any, Final

import anyio
import pytest
from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from tests.unit.testing.chat import Closes, Leave, Said, Say, app, chat
from typedws import Connection, ErrorReply, Handshake, Outcome, WebSocket, endpoint
from typedws._protocol.outcomes import Closed
from typedws.testing import ExpectationFailed, WaitTimeout, connect
from typedws.testing.differences import differences

pytestmark = pytest.mark.anyio

LOBBY: Final = "/chat/lobby?name=ann"


async def test_a_message_can_be_expected_by_its_type_and_some_fields() -> None:
    async with connect(app, LOBBY, chat) as ws:
        await ws.send_model(Say(text="hello"))
        await ws.send_model(Say(text="again"))
        assert (await ws.expect(Said)).by == "ann"
        assert await ws.expect(Said, text="again") == Said(text="again", by="ann")


async def test_a_union_can_be_expected() -> None:
    async with connect(app, LOBBY, chat) as ws:
        await ws.send_model(Say(text="hello"))
        assert await ws.expect(Said | ErrorReply, text="hello") == Said(text="hello", by="ann")


async def test_without_a_contract_any_type_can_be_expected() -> None:
    @endpoint
    async def handler(ws: Connection[str, list[int]]) -> None:
        await ws.send_model([1, 2])
        await ws.send_model([3])
        await ws.close(1001, "done")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await handler(scope, receive, send)

    async with connect(app) as ws:
        assert await ws.expect(list[int]) == [1, 2]
        assert await ws.expect(list[int] | str) == [3]
        assert await ws.expect_close(1001, "done") == Closed(1001, "done", "peer")


class Size(TypedDict):
    width: int


@pytest.mark.parametrize("form", [Say | Leave, list[Said], Size, str])
async def test_a_message_of_another_type_fails_the_expectation(form: Any) -> None:
    with pytest.raises(ExpectationFailed, match=r"found Said\(type='said', text='hello', by='ann'\)"):
        async with connect(app, LOBBY, chat) as ws:
            await ws.send_model(Say(text="hello"))
            await ws.expect(form)


async def failure_of(path: str, *messages: BaseModel | str, form: Any, **fields: object) -> str:
    """Return the text of a failed expectation without the last events."""
    with pytest.raises(ExpectationFailed) as caught:
        async with connect(app, path, chat) as ws:
            for each in messages:
                await (ws.send_text(each) if isinstance(each, str) else ws.send_json(each))
            await ws.expect(form, **fields)
    sentence, _, events = str(caught.value).partition("\nthe last events:\n")
    assert "  client       asks for /chat/lobby" in events
    return sentence


@pytest.mark.parametrize(
    ("message", "form", "fields", "sentence"),
    [
        pytest.param(
            Say(text="ho"),
            Said,
            {"text": "hi", "by": "ann"},
            "expected Said, found Said(type='said', text='ho', by='ann')\n  text: expected 'hi', found 'ho'",
            id="another value",
        ),
        pytest.param(
            Say(text="hi"),
            Said,
            {"txt": "hi"},
            "expected Said, found Said(type='said', text='hi', by='ann')\n"
            "  txt: expected 'hi', found no such field (there are: type, text, by)",
            id="an unknown field",
        ),
        pytest.param(
            Say(text="hi"),
            ErrorReply,
            {},
            "expected ErrorReply, found Said(type='said', text='hi', by='ann')",
            id="another type",
        ),
        pytest.param(
            Leave(),
            Said,
            {},
            "expected Said, found the peer closed the connection: 4001 (you asked for it)",
            id="the end",
        ),
        pytest.param(
            '{"type":"say","txt":"hi"}',
            Said,
            {},
            "expected Said, found ErrorReply(type='error', problem='invalid', detail='expected Say | Leave | Fail, "
            "found a message that fails validation (missing at say.text)', errors=[FieldProblem(location='say.text', "
            "problem='missing')])",
            id="an error reply",
        ),
    ],
)
async def test_a_failed_expectation_shows_the_differences(
    message: BaseModel | str, form: Any, fields: dict[str, object], sentence: str
) -> None:
    assert await failure_of(LOBBY, message, form=form, **fields) == sentence


async def test_a_message_that_is_not_in_the_contract_fails_the_expectation() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        ws = WebSocket[Any, Any](scope, receive, send)
        await ws.accept()
        await ws.send_json({"type": "sad"})
        await ws.receive()

    with pytest.raises(ExpectationFailed) as caught:
        async with connect(app, "/", chat) as ws:
            await ws.expect(Said)
    assert str(caught.value) == (
        "expected Said, found an invalid message: expected Said | ErrorReply, found a message that fails "
        "validation (union_tag_invalid)\n"
        "the last events:\n"
        "  client       asks for /\n"
        "  application  accepts\n"
        '  application  sends text \'{"type":"sad"}\''
    )


async def test_the_end_can_be_expected_by_its_code_and_its_reason() -> None:
    async with connect(app, LOBBY, chat) as ws:
        await ws.send_model(Leave())
        assert await ws.expect_close(Closes.LEFT, "you asked for it") == Closed(4001, "you asked for it", "peer")
        assert await ws.expect_close(4001) == ws.end


@pytest.mark.parametrize(
    ("message", "code", "reason", "sentence"),
    [
        (
            Leave(),
            1000,
            None,
            "expected a close with 1000 (normal closure), found another end of the connection: "
            "Closed(code=<Closes.LEFT: 4001>, reason='you asked for it', closed_by='peer')",
        ),
        (
            Leave(),
            4001,
            "bye",
            "expected a close with 4001 (private use) and 'bye', found another end of the connection: "
            "Closed(code=<Closes.LEFT: 4001>, reason='you asked for it', closed_by='peer')",
        ),
        (
            Say(text="hi"),
            1000,
            None,
            'expected a close with 1000 (normal closure), found a message: \'{"type":"said","text":"hi","by":"ann"}\'',
        ),
    ],
)
async def test_a_failed_close_expectation_shows_what_arrived(
    message: BaseModel, code: int, reason: str | None, sentence: str
) -> None:
    with pytest.raises(ExpectationFailed) as caught:
        async with connect(app, LOBBY, chat) as ws:
            await ws.send_json(message)
            await ws.expect_close(code, reason)
    assert str(caught.value).partition("\n")[0] == sentence


async def test_expect_nothing_succeeds_while_the_application_waits() -> None:
    async with connect(app, LOBBY, chat) as ws:
        await ws.expect_nothing()
        await ws.send_model(Say(text="hi"))
        await ws.expect(Said)
        await ws.expect_nothing()


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (Say(text="hi"), 'a message: \'{"type":"said","text":"hi","by":"ann"}\''),
        (Leave(), "the end, with 4001"),
    ],
)
async def test_expect_nothing_fails_on_a_message_or_the_end(message: BaseModel, found: str) -> None:
    with pytest.raises(ExpectationFailed) as caught:
        async with connect(app, LOBBY, chat) as ws:
            await ws.send_json(message)
            await ws.expect_nothing()
    assert str(caught.value).partition("\n")[0] == f"expected nothing, found {found}"


# --- denials ---


async def test_a_denial_can_be_expected_by_its_status() -> None:
    denied = await connect(app, "/chat/lobby?name=mallory", chat).expect_denied(401)
    assert denied.headers["www-authenticate"] == "Bearer"
    assert (await connect(app, "/nowhere").expect_denied()).status == 404


async def test_a_failed_denial_expectation_shows_the_decision() -> None:
    with pytest.raises(ExpectationFailed) as caught:
        await connect(app, LOBBY, chat).expect_denied(401)
    assert str(caught.value).startswith("expected the handshake denied with 401, found it accepted\n")
    with pytest.raises(ExpectationFailed) as caught:
        await connect(app, "/nowhere").expect_denied(401)
    assert str(caught.value).startswith("expected the handshake denied with 401, found it denied with 404\n")


class Unreadable:
    """Path parameters that raise when they are read."""

    def keys(self) -> Any:
        raise LookupError("the router's")


async def test_a_denial_after_an_exception_has_it_as_its_cause() -> None:
    @endpoint
    async def handler(ws: Connection[str, str, Say]) -> None:
        """Never called."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await handler({**scope, "path_params": Unreadable()}, receive, send)

    denied = await connect(app).expect_denied(500)
    assert isinstance(denied.__cause__, LookupError)


async def test_an_exception_after_the_denial_is_raised() -> None:
    @endpoint
    async def handler(handshake: Handshake[str, str]) -> Outcome:
        await handshake.deny(403)
        raise LookupError("in a handler")

    with pytest.raises(LookupError, match="in a handler"):
        await connect(handler).expect_denied(403)


async def test_an_application_that_does_not_end_after_its_denial_raises_wait_timeout() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await WebSocket(scope, receive, send).deny(403)
        await anyio.sleep_forever()

    with pytest.raises(WaitTimeout, match="the application to end after its client has left"):
        await connect(app, timeout=0.05).expect_denied(403)


# --- differences ---


class Point(BaseModel):
    model_config = ConfigDict(extra="allow")

    x: int
    y: list[int] = []


@dataclass
class Pair:
    left: object
    right: object = None


@pytest.mark.parametrize(
    ("message", "expected", "lines"),
    [
        pytest.param(Point(x=1), {"x": 1}, [], id="none"),
        pytest.param(Point(x=1, y=[1, 2]), {"y": [1, 3]}, ["y.1: expected 3, found 2"], id="in a list"),
        pytest.param(
            Point(x=1, y=[1]), {"y": [1, 2]}, ["y.1: expected 2, found no such field"], id="a missing item in a list"
        ),
        pytest.param(
            Point(x=1, y=[1]), {"y": []}, ["y.0: expected no such field, found 1"], id="an extra item in a list"
        ),
        pytest.param(
            Point.model_validate({"x": 1, "z": 2}), {"z": 3}, ["z: expected 3, found 2"], id="an additional field"
        ),
        pytest.param(Pair(Point(x=1)), {"left": Point(x=2)}, ["left.x: expected 2, found 1"], id="in a model"),
        pytest.param(
            Pair(Point(x=1)),
            {"left": {"x": 1}},
            ["left: expected {'x': 1}, found Point(x=1, y=[])"],
            id="another type of value",
        ),
        pytest.param({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b: expected 2, found 1"], id="in a mapping"),
        pytest.param("text", {"a": 1}, ["a: expected 1, found no such field (there are: none)"], id="no parts"),
        pytest.param(
            Pair("x" * 600), {"left": ""}, [f"left: expected '', found '{'x' * 499}... (602 characters)"], id="long"
        ),
    ],
)
def test_a_difference_has_its_path_and_both_values(
    message: object, expected: dict[str, object], lines: list[str]
) -> None:
    assert list(differences(message, expected)) == lines
