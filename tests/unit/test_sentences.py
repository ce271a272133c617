"""The sentences of declaration errors, each caused by an invalid declaration, and the log messages of endings.

One golden file has all of them, to be reviewed as a whole. Every place in the package that raises a declaration error
must be reached by a row of `DECLARATIONS`, except in the integrations.
"""

import ast
import re
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import pytest
from pydantic import BaseModel, Field

import typedws
from typedws import (
    App,
    ApplicationCloseCode,
    Connection,
    Contract,
    ErrorReply,
    Group,
    Handshake,
    HTTPException,
    InvalidMessage,
    InvalidParams,
    Policy,
    TypedWSError,
    UnknownSubprotocol,
    WebSocket,
    WebSocketDisconnect,
    WebSocketDisconnected,
    WebSocketException,
    WebSocketRoute,
    endpoint,
)
from typedws._endpoint import endings
from typedws._endpoint.origins import OriginRule
from typedws._http.path_templates import PathTemplate
from typedws.exceptions import InvalidDeclaration

GOLDEN: Final = Path(__file__).parent / "golden" / "declarations.txt"
PACKAGE: Final = Path(typedws.__file__).parent


class Join(BaseModel):
    type: Literal["join"] = "join"


class Say(BaseModel):
    type: Literal["say"] = "say"


class Shout(BaseModel):
    type: Literal["say"] = "say"


class Broken(BaseModel):
    when: "Undefined"  # type: ignore[name-defined]  # noqa: F821


class ReservedCode(ApplicationCloseCode):
    TOO_LOW = 3999, "not the application's"


class DuplicateCode(ApplicationCloseCode):
    KICKED = 4001, "removed"
    BANNED = 4001, "removed for ever"


class UnknownReconnect(ApplicationCloseCode):
    MOVED = 4002, "moved", "perhaps"  # type: ignore[arg-type,unused-ignore]


ClientMessage = Annotated[Join | Say, Field(discriminator="type")]
Talk = Connection[ClientMessage, Say]
chat = Contract("chat", Talk)
anything: Any = None
BYTES_PATTERN: Final[Any] = re.compile(b".*")


async def sends(ws: Connection[Join, Say]) -> None: ...
async def says_more(ws: Connection[ClientMessage, ClientMessage]) -> None: ...
async def other_params(ws: Connection[ClientMessage, Say, Join]) -> None: ...
async def whole(ws: WebSocket) -> None: ...
async def returns(ws: Talk) -> int: ...  # type: ignore[empty-body]
async def decides_nothing(handshake: Handshake[Join, Say]) -> None: ...
async def two(ws: Talk, room: str) -> None: ...
async def generates(ws: Talk) -> AsyncGenerator[Say]:
    yield Say()


async def takes_text(text: str) -> None: ...
def blocks(ws: Talk) -> None: ...
async def lost(ws: "Connection[Nowhere, Say]") -> None: ...  # type: ignore[name-defined]  # noqa: F821


untyped: Any = endpoint
untyped_route: Any = WebSocketRoute
DECLARATIONS: Final[list[Any]] = [
    lambda: Contract("chat room", Talk),
    lambda: Contract("chat", Talk, version="1.0"),
    lambda: Contract("chat", anything),
    lambda: Contract("chat", Connection[Join | Say, Say]),
    lambda: Contract("chat", Connection[Join, Join | Say]),
    lambda: Contract("chat", Connection[Annotated[Say | Shout, Field(discriminator="type")], Say]),
    lambda: Contract("chat", Connection[Broken, Say]),
    lambda: Contract("chat", Talk, modes=()),
    lambda: Contract("chat", Talk, modes="text"),
    lambda: Contract("chat", Talk, modes=("yaml",)),
    lambda: Contract("chat", Talk, modes={"chat json": "text"}),
    lambda: Contract("chat", Talk, modes={"bearer": "text"}),
    lambda: Contract("chat", Talk, modes=("text", "text")),
    lambda: Contract("chat", Talk, closes=ReservedCode),
    lambda: Contract("chat", Talk, closes=DuplicateCode),
    lambda: Contract("chat", Talk, closes=UnknownReconnect),
    lambda: Contract("chat", Talk, error=ErrorReply),
    lambda: untyped("talk"),
    lambda: untyped(lost),
    lambda: untyped(two),
    lambda: untyped(takes_text),
    lambda: untyped(whole),
    lambda: untyped_route("/", takes_text),
    lambda: untyped(generates),
    lambda: untyped(blocks),
    lambda: untyped(decides_nothing),
    lambda: untyped(returns),
    lambda: untyped(sends, chat),
    lambda: untyped(says_more, chat),
    lambda: untyped(other_params, Contract("chat", Connection[ClientMessage, Say, Say])),
    lambda: untyped(sends, Policy()),
    lambda: endpoint(sends, policy=Policy(on_invalid="reply")),
    lambda: Group[Say](max_pending=0),
    lambda: Group[Say](on_overflow=anything),
    lambda: Group[Say](on_overflow="conflate"),
    lambda: Group[Say](key=str),
    lambda: Policy(on_invalid=anything),
    lambda: Policy(idle_timeout=0),
    lambda: Policy(max_connections=-1),
    lambda: Policy(origins=anything),
    lambda: Policy(origins="https://app.example.com"),
    lambda: Policy(origins=["app.example.com"]),
    lambda: Policy(origins=["https://*.example.com"]),
    lambda: Policy(origins=[anything]),
    lambda: Policy(origins=BYTES_PATTERN),
    lambda: Policy(hosts=[]),
    lambda: Policy(hosts="chat.example.com"),
    lambda: Policy(hosts=["https://chat.example.com"]),
    *(
        lambda template=template: App().websocket(template)(sends)
        for template in (
            "chat",
            "/chat/{room",
            "/chat?room={room}",
            "/chat/../{room}",
            "/chat/{my room}",
            "/chat/{room:word}",
            "/{a}/{a}",
            "/{a}{b}",
            "/{a:path}/{b:path}",
            "/\ud800",
        )
    ),
    lambda: PathTemplate("/chat/{id:int}").render(),
    lambda: PathTemplate("/chat/{id:int}").render(id=-1),
    lambda: PathTemplate("/chat/{id:int}").render(id=1, room="lobby"),
    lambda: PathTemplate("/chat/{room}").render(room=".."),
    lambda: PathTemplate("/chat/{room}").render(room="a/b"),
]


def declaration_error(declare: Callable[[], object]) -> TypedWSError:
    """Return the error that a declaration raises."""
    with pytest.raises(TypedWSError) as caught:
        declare()
    return caught.value


class ForeignHTTPException(Exception):
    """The ``HTTPException`` of another framework: it is recognized by its name."""

    def __init__(self, status_code: object) -> None:
        self.status_code = status_code


ForeignHTTPException.__name__ = "HTTPException"


def origin_ending(headers: list[tuple[bytes, bytes]], hosts: list[str] | None, server: Any) -> endings.Ending:
    """Return the ending of a handshake with a refused origin or host."""
    refusal = OriginRule("same-host", hosts).refusal(headers, server)
    assert refusal is not None
    return endings.origin_refused(refusal)


ENDINGS: Final[list[Callable[[], endings.Ending]]] = [
    lambda: endings.RETURNED,
    lambda: endings.UNDECIDED,
    lambda: endings.CANCELLED,
    lambda: endings.FULL,
    lambda: endings.STALLED,
    lambda: endings.IDLE,
    lambda: endings.UNREAD,
    *(
        lambda error=error: endings.ending_for(error)
        for error in (
            WebSocketDisconnect(1001),
            WebSocketDisconnected(1000, "", "application"),
            InvalidMessage("wrong_frame", "Join | Say in a text frame", "a binary frame"),
            InvalidParams("invalid", "Room", "parameters that fail validation"),
            UnknownSubprotocol(chat.subprotocols),
            UnknownSubprotocol(()),
            HTTPException(401, "token missing"),
            ForeignHTTPException("no"),
            WebSocketException(4001, "bye"),
            WebSocketException(1006),
            LookupError("secret"),
        )
    ),
    *(
        lambda headers=headers, hosts=hosts, server=server: origin_ending(headers, hosts, server)
        for headers, hosts, server in (
            ([(b"host", b"chat.example"), (b"origin", b"https://evil.example")], None, None),
            ([(b"host", b"chat.example"), (b"origin", b"null")], None, None),
            ([(b"host", b"chat.example"), (b"origin", b"?")], None, None),
            ([(b"origin", b"https://evil.example")], None, None),
            ([(b"host", b"evil.example"), (b"origin", b"http://evil.example")], None, ("127.0.0.1", 80)),
            ([(b"host", b"evil.example")], ["chat.example"], None),
        )
    ),
]


def test_the_sentences_match_the_reviewed_file() -> None:
    errors = [declaration_error(declare) for declare in DECLARATIONS]
    lines = [f"{type(error).__name__}: {error}" for error in errors]
    lines += ["", *(f"log: {ending().log_message}" for ending in ENDINGS)]
    sentences = "".join(f"{line}\n" for line in lines)
    assert GOLDEN.read_text() == sentences, f"review these, and put them into {GOLDEN.name}:\n{sentences}"


def test_every_place_that_raises_a_declaration_error_is_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    reached: set[tuple[Path, int]] = set()
    original = InvalidDeclaration.__init__

    def recording_init(
        self: InvalidDeclaration, expected: str, found: str, hint: str = "", *, sentence: str | None = None
    ) -> None:
        frame: Any = vars(sys)["_getframe"](1)
        reached.add((Path(frame.f_code.co_filename), frame.f_lineno))
        original(self, expected, found, hint, sentence=sentence)

    monkeypatch.setattr(InvalidDeclaration, "__init__", recording_init)
    for declare in DECLARATIONS:
        declaration_error(declare)
    uncovered = [
        f"{file}:{first}"
        for file, first, last in places()
        if not any(path == file and first <= line <= last for path, line in reached)
    ]
    assert not uncovered, f"no declaration of this table is refused at {uncovered}"


def places() -> list[tuple[Path, int, int]]:
    """Return file, first and last line of each call that creates a declaration error, without the integrations.

    Their errors can only be reached through a framework.
    """
    names = {each.__name__ for each in InvalidDeclaration.__subclasses__()}
    return [
        (path, node.lineno, node.end_lineno or node.lineno)
        for path in sorted(PACKAGE.rglob("*.py"))
        if "integrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    ]
