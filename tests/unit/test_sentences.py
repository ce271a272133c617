"""The sentences that users meet when they declare something wrong, made by doing it wrong; and those of the log.

They stand in one golden file, to be reviewed as a whole. No place in the code that makes such an error is left out.
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


class Codes(ApplicationCloseCode):
    TOO_LOW = 3999, "not the application's"


class Twice(ApplicationCloseCode):
    KICKED = 4001, "removed"
    BANNED = 4001, "removed for ever"


class Wrong(ApplicationCloseCode):
    MOVED = 4002, "moved", "perhaps"  # type: ignore[arg-type,unused-ignore]


Hears = Annotated[Join | Say, Field(discriminator="type")]
Talk = Connection[Hears, Say]
chat = Contract("chat", Talk)
anything: Any = None
PATTERN_OF_BYTES: Final[Any] = re.compile(b".*")


async def sends(ws: Connection[Join, Say]) -> None: ...
async def says_more(ws: Connection[Hears, Hears]) -> None: ...
async def other_params(ws: Connection[Hears, Say, Join]) -> None: ...
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
    lambda: Contract("chat", Talk, closes=Codes),
    lambda: Contract("chat", Talk, closes=Twice),
    lambda: Contract("chat", Talk, closes=Wrong),
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
    lambda: untyped(other_params, Contract("chat", Connection[Hears, Say, Say])),
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
    lambda: Policy(origins=PATTERN_OF_BYTES),
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


def refused(declare: Callable[[], object]) -> TypedWSError:
    """Give the error that a declaration ends in."""
    with pytest.raises(TypedWSError) as caught:
        declare()
    return caught.value


class TheirHTTPException(Exception):
    """As another framework has it."""

    def __init__(self, status_code: object) -> None:
        self.status_code = status_code


TheirHTTPException.__name__ = "HTTPException"


def refused_origin(headers: list[tuple[bytes, bytes]], hosts: list[str] | None, server: Any) -> endings.Ending:
    """Give the ending for a page that must not connect."""
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
            TheirHTTPException("no"),
            WebSocketException(4001, "bye"),
            WebSocketException(1006),
            LookupError("secret"),
        )
    ),
    *(
        lambda headers=headers, hosts=hosts, server=server: refused_origin(headers, hosts, server)
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


def test_the_sentences_of_declarations_are_those_that_were_reviewed() -> None:
    errors = [refused(declare) for declare in DECLARATIONS]
    told = [f"{type(error).__name__}: {error}" for error in errors]
    told += ["", *(f"log: {ending().log_message}" for ending in ENDINGS)]
    sentences = "".join(f"{line}\n" for line in told)
    assert GOLDEN.read_text() == sentences, f"review these, and put them into {GOLDEN.name}:\n{sentences}"


def test_every_place_that_refuses_a_declaration_has_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    reached: set[tuple[str, int]] = set()
    original = InvalidDeclaration.__init__

    def noting(self: InvalidDeclaration, expected: str, found: str, hint: str = "") -> None:
        frame: Any = vars(sys)["_getframe"](1)
        reached.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
        original(self, expected, found, hint)

    monkeypatch.setattr(InvalidDeclaration, "__init__", noting)
    for declare in DECLARATIONS:
        refused(declare)
    forgotten = [
        f"{file}:{first}"
        for file, first, last in places()
        if not any(name == file and first <= line <= last for name, line in reached)
    ]
    assert not forgotten, f"no declaration of this table is refused at {forgotten}"


def places() -> list[tuple[str, int, int]]:
    """Give every place in the package that makes such an error."""
    kinds = {each.__name__ for each in InvalidDeclaration.__subclasses__()}
    return [
        (path.name, node.lineno, node.end_lineno or node.lineno)
        for path in sorted(PACKAGE.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds
    ]
