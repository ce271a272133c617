"""What a test expects of an application: what comes is given, typed; what else comes fails, and says how it differs."""

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


async def test_a_message_is_expected_by_its_type_and_by_some_of_its_fields() -> None:
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
async def test_a_type_that_the_contract_does_not_say_is_not_what_comes(form: Any) -> None:
    with pytest.raises(ExpectationFailed, match=r"found Said\(type='said', text='hello', by='ann'\)"):
        async with connect(app, LOBBY, chat) as ws:
            await ws.send_model(Say(text="hello"))
            await ws.expect(form)


async def failed(path: str, *says: BaseModel | str, expects: Any, **fields: object) -> str:
    """Give what is told where something else comes than is expected, without the last events."""
    with pytest.raises(ExpectationFailed) as caught:
        async with connect(app, path, chat) as ws:
            for each in says:
                await (ws.send_text(each) if isinstance(each, str) else ws.send_json(each))
            await ws.expect(expects, **fields)
    told, _, events = str(caught.value).partition("\nthe last events:\n")
    assert "  client       asks for /chat/lobby" in events
    return told


@pytest.mark.parametrize(
    ("says", "expects", "fields", "told"),
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
            id="a field that there is not",
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
async def test_what_else_comes_says_how_it_differs(
    says: BaseModel | str, expects: Any, fields: dict[str, object], told: str
) -> None:
    assert await failed(LOBBY, says, expects=expects, **fields) == told


async def test_a_message_that_the_contract_does_not_know_is_told() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        ws = WebSocket[Any, Any](scope, receive, send)
        await ws.accept()
        await ws.send_json({"type": "sad"})
        await ws.receive()

    with pytest.raises(ExpectationFailed) as caught:
        async with connect(app, "/", chat) as ws:
            await ws.expect(Said)
    assert str(caught.value) == (
        "expected Said, found a message that is none: expected Said | ErrorReply, found a message that fails "
        "validation (union_tag_invalid)\n"
        "the last events:\n"
        "  client       asks for /\n"
        "  application  accepts\n"
        '  application  sends text \'{"type":"sad"}\''
    )


async def test_the_end_is_expected_by_its_code_and_its_reason() -> None:
    async with connect(app, LOBBY, chat) as ws:
        await ws.send_model(Leave())
        assert await ws.expect_close(Closes.LEFT, "you asked for it") == Closed(4001, "you asked for it", "peer")
        assert await ws.expect_close(4001) == ws.end


@pytest.mark.parametrize(
    ("says", "code", "reason", "told"),
    [
        (
            Leave(),
            1000,
            None,
            "expected a close with 1000 (normal closure), found another end: "
            "Closed(code=<Closes.LEFT: 4001>, reason='you asked for it', closed_by='peer')",
        ),
        (
            Leave(),
            4001,
            "bye",
            "expected a close with 4001 (private use) and 'bye', found another end: "
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
async def test_another_end_says_which(says: BaseModel, code: int, reason: str | None, told: str) -> None:
    with pytest.raises(ExpectationFailed) as caught:
        async with connect(app, LOBBY, chat) as ws:
            await ws.send_json(says)
            await ws.expect_close(code, reason)
    assert str(caught.value).partition("\n")[0] == told


async def test_nothing_is_expected_where_the_application_waits() -> None:
    async with connect(app, LOBBY, chat) as ws:
        await ws.expect_nothing()
        await ws.send_model(Say(text="hi"))
        await ws.expect(Said)
        await ws.expect_nothing()


@pytest.mark.parametrize(
    ("says", "found"),
    [
        (Say(text="hi"), 'a message: \'{"type":"said","text":"hi","by":"ann"}\''),
        (Leave(), "the end, with 4001"),
    ],
)
async def test_something_in_place_of_nothing_is_told(says: BaseModel, found: str) -> None:
    with pytest.raises(ExpectationFailed) as caught:
        async with connect(app, LOBBY, chat) as ws:
            await ws.send_json(says)
            await ws.expect_nothing()
    assert str(caught.value).partition("\n")[0] == f"expected nothing, found {found}"


# --- denials ---


async def test_a_denial_is_expected_by_its_status() -> None:
    denied = await connect(app, "/chat/lobby?name=mallory", chat).expect_denied(401)
    assert denied.headers["www-authenticate"] == "Bearer"
    assert (await connect(app, "/nowhere").expect_denied()).status == 404


async def test_another_decision_says_which() -> None:
    with pytest.raises(ExpectationFailed) as caught:
        await connect(app, LOBBY, chat).expect_denied(401)
    assert str(caught.value).startswith("expected the handshake denied with 401, found it accepted\n")
    with pytest.raises(ExpectationFailed) as caught:
        await connect(app, "/nowhere").expect_denied(401)
    assert str(caught.value).startswith("expected the handshake denied with 401, found it denied with 404\n")


class Unreadable:
    """Parameters of a path, as no router would give them."""

    def keys(self) -> Any:
        raise LookupError("the router's")


async def test_a_denial_because_something_raised_has_that_as_its_cause() -> None:
    @endpoint
    async def handler(ws: Connection[str, str, Say]) -> None:
        """Is not reached."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await handler({**scope, "path_params": Unreadable()}, receive, send)

    denied = await connect(app).expect_denied(500)
    assert isinstance(denied.__cause__, LookupError)


async def test_what_a_handler_raises_after_its_denial_is_raised() -> None:
    @endpoint
    async def handler(handshake: Handshake[str, str]) -> Outcome:
        await handshake.deny(403)
        raise LookupError("in a handler")

    with pytest.raises(LookupError, match="in a handler"):
        await connect(handler).expect_denied(403)


async def test_an_application_that_does_not_end_after_its_denial_is_told() -> None:
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
        pytest.param(Point(x=1, y=[1]), {"y": [1, 2]}, ["y.1: expected 2, found none"], id="too little in a list"),
        pytest.param(Point(x=1, y=[1]), {"y": []}, ["y.0: expected none, found 1"], id="too much in a list"),
        pytest.param(
            Point.model_validate({"x": 1, "z": 2}), {"z": 3}, ["z: expected 3, found 2"], id="an additional field"
        ),
        pytest.param(Pair(Point(x=1)), {"left": Point(x=2)}, ["left.x: expected 2, found 1"], id="in a model"),
        pytest.param(
            Pair(Point(x=1)), {"left": {"x": 1}}, ["left: expected {'x': 1}, found Point(x=1, y=[])"], id="type"
        ),
        pytest.param({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b: expected 2, found 1"], id="in a mapping"),
        pytest.param("text", {"a": 1}, ["a: expected 1, found no such field (there are: none)"], id="no parts"),
        pytest.param(
            Pair("x" * 600), {"left": ""}, [f"left: expected '', found '{'x' * 499}... (602 characters)"], id="long"
        ),
    ],
)
def test_a_difference_says_where_it_is(message: object, expected: dict[str, object], lines: list[str]) -> None:
    assert list(differences(message, expected)) == lines
