"""The annotations of a handler: how they are read, and that only what a type checker refuses is refused."""

import functools
import json
import re
import runpy
import subprocess
import sys
import typing
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Never, TypeAlias, TypeVar, get_args, get_type_hints

import pytest
from pydantic import BaseModel
from typing_extensions import TypeAliasType

from tests.support import stable_id
from typedws import Connection, Contract, Handshake, InvalidEndpoint, Outcome, WebSocket, endpoint
from typedws._endpoint.assignability import is_assignable
from typedws._endpoint.endpoints import Endpoint
from typedws._endpoint.handler_signature import HandlerKind, Signature, check_agrees, read_signature
from typedws.exceptions import InvalidDeclaration

T = TypeVar("T")
ROOT: Final = Path(__file__).parents[3]


class Message(BaseModel):
    type: Literal["message"] = "message"


class Event(BaseModel):
    type: Literal["event"] = "event"


class Room(BaseModel):
    room: str = ""


Chat: TypeAlias = Connection[Message, Event, Room]
ChatHandshake: TypeAlias = Handshake[Message, Event, Room]
LazyAlias = TypeAliasType("LazyAlias", Connection[Message, Event])
LazyGeneric = TypeAliasType("LazyGeneric", Connection[T, Event], type_params=(T,))
WithMetadata: TypeAlias = Annotated[Connection[Message, Event], "a note"]


def read(handler: Any, *, is_classic: bool = False) -> Signature:
    return read_signature(handler, {}, is_classic=is_classic)


# --- one table for a type checker and for the run time ---

PRELUDE: Final = """
import asyncio
import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from typing import *
from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType, TypedDict
from typedws import *
from typedws._http.request import HandshakeRequest

class Base(BaseModel):
    type: Literal["base"] = "base"
class Sub(Base):
    more: int = 0
class Other(BaseModel):
    type: Literal["other"] = "other"
class Third(BaseModel):
    type: Literal["third"] = "third"
@dataclass
class Plain:
    x: int = 0
class Keys(TypedDict):
    x: int
class MoreKeys(TypedDict):
    x: int
    y: int
class OtherKeys(TypedDict):
    z: int
class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"
class Number(enum.IntEnum):
    ONE = 1
class Named(Protocol):
    type: str
class Typed(Protocol):
    @property
    def type(self) -> str: ...
class Dumpable(Protocol):
    def model_dump_json(self) -> str: ...
@runtime_checkable
class Flying(Protocol):
    def fly(self) -> None: ...
V = TypeVar("V")
class Box(BaseModel, Generic[V]):
    content: V
UserId = NewType("UserId", int)
AdminId = NewType("AdminId", UserId)
Known = TypeAliasType("Known", Base | Other)
Pair = TypeAliasType("Pair", tuple[V, V], type_params=(V,))
Either = Annotated[Base | Other, Field(discriminator="type")]
EitherReversed = Annotated[Other | Base, Field(discriminator="type")]
AnyOfThree = Annotated[Base | Other | Third, Field(discriminator="type")]
"""

# (narrow, wide, whether a checker accepts narrow where wide is declared, whether `is_assignable` does). The last two
# differ where only a checker can decide.
PAIRS: Final[list[tuple[str, str, bool, bool]]] = [
    *((narrow, wide, True, True) for narrow, wide in [
        ("Base", "Base"),
        ("Sub", "Base"),
        ("Base", "object"),
        ("Base", "Any"),
        ("Any", "Base"),
        ("object", "Any"),
        ("Base", "Base | Other"),
        ("Other | Base", "Base | Other"),
        ("Sub | Other", "Other | Base"),
        ("Either", "EitherReversed"),
        ("Either", "AnyOfThree"),
        ("Either", "Base | Other"),
        ("Base | Other", "Either"),
        ("Either", "Known"),
        ("Known", "Either"),
        ("Annotated[Base, 'a']", "Annotated[Base, 'b']"),
        ("None", "Base | None"),
        ("None", "Optional[Base]"),
        ("None", "None"),
        ("None", "Literal['a', None]"),
        ("Literal[None]", "None"),
        ("Never", "Base"),
        ("Never", "Never"),
        ("NoReturn", "Never"),
        ("Literal['a']", "Literal['b', 'a']"),
        ("Literal['a', 'b']", "Literal['a'] | Literal['b']"),
        ("Literal['a', 1]", "Literal['a'] | int"),
        ("Literal['a']", "str"),
        ("Literal[1]", "float"),
        ("Literal[b'a']", "bytes"),
        ("Literal[Colour.RED]", "Colour"),
        ("Literal[Colour.RED]", "Literal[Colour.BLUE, Colour.RED]"),
        ("Colour", "Literal[Colour.RED, Colour.BLUE]"),
        ("Colour", "Literal[Colour.RED] | Literal[Colour.BLUE]"),
        ("Colour", "enum.Enum"),
        ("bool", "Literal[True, False]"),
        ("bool", "int"),
        ("bool", "float"),
        ("bool", "complex"),
        ("int", "float"),
        ("int", "complex"),
        ("float", "complex"),
        ("int", "str | float"),
        ("Number", "int"),
        ("Number", "float"),
        ("Literal['a']", "LiteralString"),
        ("LiteralString", "str"),
        ("LiteralString", "LiteralString"),
        ("str", "LiteralString"),  # mypy accepts it, pyright does not
        ("list[Base]", "list[Base]"),
        ("list[Base | Other]", "list[Other | Base]"),
        ("list[Either]", "list[Known]"),
        ("list[Any]", "list[Base]"),
        ("list[Base]", "list[Any]"),
        ("list[Base]", "Sequence[Base]"),
        ("list[Base]", "Iterable[object]"),
        ("Sequence[Sub]", "Sequence[Base]"),
        ("dict[str, Sub]", "Mapping[str, Base]"),
        ("Mapping[str, Sub]", "Mapping[str, Base]"),
        ("tuple[int, str]", "tuple[int, str]"),
        ("tuple[int, int]", "tuple[int, ...]"),
        ("tuple[bool, int]", "tuple[float, ...]"),
        ("tuple[bool, ...]", "tuple[int, ...]"),
        ("tuple[()]", "tuple[int, ...]"),
        ("tuple[Sub, Other]", "tuple[Base, Other]"),
        ("type[Sub]", "type[Base]"),
        ("frozenset[Sub]", "frozenset[Base]"),
        ("Pair[int]", "Pair[int]"),
        ("Pair[int]", "tuple[int, int]"),
        ("tuple[bool, int]", "Pair[int]"),
        ("Callable[[int], str]", "Callable[[int], str]"),
        ("Callable[..., Any]", "Callable[[int], str]"),
        ("UserId", "int"),
        ("UserId", "UserId"),
        ("UserId", "float"),
        ("AdminId", "UserId"),
        ("AdminId", "int | str"),
        ("UserId", "str | UserId"),
        ("Keys", "Keys"),
        ("MoreKeys", "Keys"),
        ("Keys", "Mapping[str, object]"),
        ("Base", "Typed"),
        ("Base", "Dumpable"),
        ("Plain", "Plain"),
        ("Box[int]", "Box[int]"),
        ("Colour", "Colour"),
    ]),
    *((narrow, wide, False, False) for narrow, wide in [
        ("Base", "Sub"),
        ("Base", "Other"),
        ("object", "Base"),
        ("Base | Other", "Base"),
        ("AnyOfThree", "Either"),
        ("Known", "Base | Third"),
        ("Base | None", "Base"),
        ("None", "Base"),
        ("None", "Literal['a']"),
        ("Base", "None"),
        ("Base", "Never"),
        ("Base", "Literal['a']"),
        ("Literal['a', 'b']", "Literal['a']"),
        ("Literal['a']", "int"),
        ("Literal['a']", "Literal['b'] | int"),
        ("Literal[1]", "Literal[True]"),
        ("Literal[1]", "Literal['1']"),
        ("Literal[b'a']", "Literal['a']"),
        ("Literal[Number.ONE]", "Literal[1]"),
        ("Colour", "Literal[Colour.RED]"),
        ("Colour", "str"),
        ("bool", "Literal[True]"),
        ("bool", "str"),
        ("str", "Literal['a']"),
        ("int", "bool"),
        ("float", "int"),
        ("complex", "float"),
        ("str", "bytes"),
        ("bytearray", "bytes"),
        ("list[Base]", "list[Other]"),
        ("list[Sub]", "list[Base]"),
        ("list[int]", "list[float]"),
        ("set[Sub]", "set[Base]"),
        ("dict[str, int]", "dict[str, float]"),
        ("list[Base]", "set[Base]"),
        ("list[Base]", "Base"),
        ("Sequence[Base]", "list[Base]"),
        ("Sequence[Base]", "Sequence[Sub]"),
        ("tuple[int, str]", "tuple[int, int]"),
        ("tuple[int, str]", "tuple[int, ...]"),
        ("Pair[int]", "tuple[str, str]"),
        ("type[Base]", "type[Sub]"),
        ("int", "UserId"),
        ("UserId", "AdminId"),
        ("UserId", "str"),
        ("Base", "Flying"),
        ("Plain", "Base"),
        ("Box[int]", "Box[str]"),
    ]),
    *((narrow, wide, False, True) for narrow, wide in [  # only a checker can decide
        ("tuple[int, ...]", "tuple[int, int]"),
        ("tuple[int]", "tuple[int, int]"),
        ("list[Base]", "Sequence[Other]"),
        ("Keys", "MoreKeys"),
        ("Keys", "OtherKeys"),
        ("Callable[[int], str]", "Callable[[str], str]"),
    ]),
]  # fmt: skip

# Never called: a checker and `endpoint` read the signature only. mypy would refuse an empty body with a return type.
TEMPLATE: Final = "async def talk(ws: {}) -> {}: raise NotImplementedError"
CONTRACT_TYPE: Final = "Connection[Either, Third, Base]"

# (source of the handler, connection type of the contract or None, whether `endpoint` accepts both)
HANDLERS: Final[list[tuple[str, str | None, bool]]] = [
    # (types of the handler, types of the contract). A handler may receive more and send less.
    *((TEMPLATE.format(f"Connection[{own}]", "None"), f"Connection[{other}]", accepted) for own, other, accepted in [
        ("Either, Third, Base", "Either, Third, Base", True),
        ("EitherReversed, Third, Base", "Either, Third, Base", True),
        ("AnyOfThree, Third, Base", "Either, Third, Base", True),
        ("Base, Third, Base", "Either, Third, Base", False),
        ("Either, Base, Base", "Either, Base | None, Base", True),
        ("Either, Base | None, Base", "Either, Base, Base", False),
        ("Either, Sub, Base", "Either, Base, Base", True),
        ("Either, Base, Base", "Either, Sub, Base", False),
        ("Either, Third, Base", "Either, Third, Sub", True),
        ("Either, Third, Sub", "Either, Third, Base", False),
        ("Either, Third, Base", "Either, Third", False),
        ("Either, Third", "Either, Third, Base", True),
        ("Either, Third, object", "Either, Third, Base", True),
        ("Either, Third, Any", "Either, Third, Base", True),
        ("Either, Third, Base", "Either, Third, Any", True),
        ("Either, Any, Base", "Either, Third, Base", True),
        ("Either", "Either, Third", True),
        ("Any, Any, Any", "Either, Third, Base", True),
        ("object, Third", "Either, Third", True),
        ("Never, Third", "Never, Third", True),
        ("Either, Third", "Never, Third", True),
        ("Never, Third", "Either, Third", False),
        ("list[Either], Third", "list[EitherReversed], Third", True),
        ("int, Third", "bool, Third", True),
        ("bool, Third", "int, Third", False),
        ("Literal['a', 'b'], Third", "Literal['b', 'a'], Third", True),
        ("Literal['a'], Third", "str, Third", False),
        ("Keys, Third", "Keys, Third", True),
        ("Known, Third", "Either, Third", True),
        ("None, Third", "None, Third", True),
        ("Base, Third", "None, Third", False),
    ]),
    (TEMPLATE.format("Connection", "None"), CONTRACT_TYPE, True),  # bare, which mypy --strict refuses itself
    *((TEMPLATE.format(takes, returns), contract, accepted) for takes, returns, contract, accepted in [
        ("Connection[Either, Third]", "None", None, True),
        ("Connection[Either, Third]", "Never", None, True),
        ("Connection[Either, Third]", "Any", None, True),
        ("Connection[Either, Third]", "Outcome", None, False),
        ("Connection[Either, Third]", "Closed", None, True),
        ("Connection[Either, Third]", "Closed | None", None, True),
        ("Connection[Either, Third]", "int", None, False),
        ("Connection[Either, Third]", "object", None, False),
        ("Handshake[Either, Third]", "Outcome", None, True),
        ("Handshake[Either, Third]", "Denied", None, True),
        ("Handshake[Either, Third]", "Closed | Denied", None, True),
        ("Handshake[Either, Third]", "NoReturn", None, True),
        ("Handshake[Either, Third]", "None", None, False),
        ("Handshake[Either, Third]", "Outcome | None", None, False),
        ("Handshake[Either, Third]", "str", None, False),
        ("Handshake[Either, Third, Base]", "Outcome", CONTRACT_TYPE, True),
        ("Handshake[Other, Third, Base]", "Outcome", CONTRACT_TYPE, False),
        ("WebSocket[Either, Third]", "None", None, False),
        ("Either", "None", None, False),
        ("str", "None", None, False),
        ("None", "None", None, False),
        ("object", "None", CONTRACT_TYPE, True),
        ("HandshakeRequest", "None", CONTRACT_TYPE, True),
        ("Mapping[str, Any]", "None", CONTRACT_TYPE, True),
        ("Connection[Either, Third, Base] | None", "None", CONTRACT_TYPE, True),
        ("Annotated[Connection[Either, Third], 'a note']", "None", None, True),
    ]),
    ("def talk(ws: Connection[Either, Third]) -> None: ...", None, False),
    ("def talk(ws: Connection[Either, Third]) -> int: return 1", None, False),
    ("def talk(ws: Connection[Either, Third]) -> Any: ...", None, True),
    ("def talk(ws: Connection[Either, Third]) -> Awaitable[None]: raise NotImplementedError", None, True),
    ("def talk(ws: Connection[Either, Third]) -> Awaitable[int]: raise NotImplementedError", None, False),
    ("def talk(ws: Connection[Either, Third]) -> Coroutine[Any, Any, None]: raise NotImplementedError", None, True),
    ("def talk(ws: Connection[Either, Third]) -> 'asyncio.Future[None]': raise NotImplementedError", None, True),
    ("async def talk(ws: Connection[Either, Third]) -> AsyncIterator[Base]: yield Base()", None, False),
    ("def talk(ws: Connection[Either, Third]) -> Iterable[Base]: yield Base()", None, False),
    ("async def talk(ws: Connection[Either, Third], db: int) -> None: ...", None, False),
    ("async def talk(ws: Connection[Either, Third], *, db: int) -> None: ...", None, False),
    ("async def talk(ws: Connection[Either, Third], db: int = 0) -> None: ...", None, True),
    ("async def talk(ws: Connection[Either, Third], *more: int, **other: int) -> None: ...", None, True),
    ("async def talk(ws: Connection[Either, Third], /) -> None: ...", None, True),
    ("async def talk(*ws: Connection[Either, Third]) -> None: ...", None, True),
    ("async def talk(*, ws: Connection[Either, Third]) -> None: ...", None, False),
    ("async def talk(**ws: Connection[Either, Third]) -> None: ...", None, False),
    ("async def talk() -> None: ...", None, False),
    ("talk = 3", None, False),
    (
        "async def several(db: int, ws: Connection[Either, Third]) -> None: ...\n    talk = partial(several, 1)",
        None,
        True,
    ),
    (
        "async def several(ws: Connection[Either, Third], db: int) -> None: ...\n    talk = partial(several, db=1)",
        None,
        True,
    ),
    (
        "class Talker:\n        async def __call__(self, ws: Connection[Either, Third]) -> None: ...\n"
            "    talk = Talker()",
        None,
        True,
    ),
    (
        "class Talker:\n        def __call__(self, ws: Connection[Either, Third]) -> None: ...\n    talk = Talker()",
        None,
        False,
    ),
    (
        "class Talker:\n        async def run(self, ws: Handshake[Either, Third]) -> None: ...\n"
            "    talk = Talker().run",
        None,
        False,
    ),
    (
        "class Talker:\n        async def run(self, ws: Connection[Either, Third]) -> None: ...\n    talk = Talker.run",
        None,
        False,
    ),
    (
        "class talk:\n        def __init__(self, ws: Connection[Either, Third]) -> None: ...",
        None,
        False,
    ),
    (
        "async def inner(ws: Connection[Either, Third], db: int) -> None: ...\n"
        "    @wraps(inner)\n"
        "    async def talk(ws: Connection[Either, Third]) -> None: ...",
        None,
        True,
    ),
    (
        "def inner(ws: Connection[Either, Third]) -> int: return 1\n"
        "    @wraps(inner)\n"
        "    async def talk(ws: Connection[Either, Third]) -> None: ...",
        None,
        True,
    ),
    (
        "async def inner(ws: Handshake[Either, Third]) -> None: ...\n"
        "    @wraps(inner)\n"
        "    async def talk(ws: Handshake[Either, Third]) -> Outcome: raise NotImplementedError",
        None,
        True,
    ),
    (
        "async def each(message: Base) -> None: ...\n"
        "    @wraps(each)\n"
        "    async def talk(ws: Connection[Either, Third, Base]) -> None: ...",
        CONTRACT_TYPE,
        True,
    ),
]  # fmt: skip
# Without --allow-any-generics, --strict would refuse a bare `Connection` itself, whether or not `endpoint` accepts it.
FLAGS: Final = ("--strict", "--allow-any-generics", "--config-file=", "--output=json")


def source() -> str:
    """Return the tables as a program with one function for each pair and for each handler."""
    lines = [PRELUDE]
    for number, (narrow, wide, *_) in enumerate(PAIRS):
        lines.append(f"def pair_{number}(narrow: {narrow}, wide: list[{wide}]) -> None: wide.append(narrow)")
    for number, (handler, contract, _) in enumerate(HANDLERS):
        contract_source = f'Contract("chat", {contract})' if contract else "None"
        lines += [
            f"def handler_{number}() -> None:",
            f"    {handler}",
            f"    chat = {contract_source}",
            "    endpoint(talk, chat)",
        ]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "handler_tables.py"
    path.write_text(source(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def refused_by_mypy(program: Path) -> dict[str, list[str]]:
    """The errors that mypy reports for the program, by function."""
    command = [sys.executable, "-m", "mypy", *FLAGS, f"--cache-dir={program.parent}", str(program)]
    completed = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=300, check=False)
    assert completed.returncode == 1, completed.stdout + completed.stderr
    owners: list[str] = []
    for line in program.read_text(encoding="utf-8").splitlines():
        match = re.match(r"def (\w+)\(", line)
        owners.append(match[1] if match else owners[-1] if owners else "")
    refused: dict[str, list[str]] = {}
    for line in completed.stdout.splitlines():
        report: dict[str, Any] = json.loads(line)
        if report["severity"] == "error":
            number: int = report["line"]
            refused.setdefault(owners[number - 1], []).append(report["message"])
    return refused


@pytest.fixture(scope="module")
def names(program: Path) -> dict[str, Any]:
    """The global names of the program after its run."""
    return runpy.run_path(str(program))


def test_mypy_refuses_exactly_what_the_tables_list(refused_by_mypy: dict[str, list[str]]) -> None:
    expected = {f"pair_{number}": pair[2] for number, pair in enumerate(PAIRS)}
    expected |= {f"handler_{number}": row[2] for number, row in enumerate(HANDLERS)}
    wrong = {
        function: refused_by_mypy.get(function, "accepted")
        for function, accepted in expected.items()
        if accepted is (function in refused_by_mypy)
    }
    assert wrong == {}


@pytest.mark.parametrize("number", range(len(PAIRS)), ids=[" for ".join(pair[:2]) for pair in PAIRS])
def test_is_assignable_returns_what_the_table_lists(number: int, names: dict[str, Any]) -> None:
    hints = get_type_hints(names[f"pair_{number}"], include_extras=True)
    assert is_assignable(hints["narrow"], get_args(hints["wide"])[0]) is PAIRS[number][3]


@pytest.mark.parametrize("number", range(len(HANDLERS)), ids=[handler.partition("\n")[0] for handler, *_ in HANDLERS])
def test_endpoint_accepts_and_refuses_the_same_handlers_as_a_checker(number: int, names: dict[str, Any]) -> None:
    make: Callable[[], None] = names[f"handler_{number}"]
    if HANDLERS[number][2]:
        make()
    else:
        with pytest.raises(InvalidDeclaration):
            make()


def test_is_assignable_accepts_everything_that_a_checker_accepts() -> None:
    assert [pair for pair in PAIRS if pair[2] and not pair[3]] == []


def test_recursive_aliases_terminate() -> None:
    names: dict[str, Any] = {"Alias": TypeAliasType}
    if sys.version_info >= (3, 12):
        exec("type One = int | list[One]\ntype Other = int | list[Other]\ntype Text = str | list[Text]", names)
        assert is_assignable(names["One"], names["One"])
        assert is_assignable(names["One"], names["Other"])
        assert not is_assignable(names["One"], names["Text"])
    one = TypeAliasType("one", "int | list[one]")  # type: ignore[misc]
    assert is_assignable(one, one)


def test_an_unresolved_type_is_assignable_to_and_from_every_type() -> None:
    for form in (T, "Message", typing.ForwardRef("Message"), [int]):
        assert is_assignable(form, Message)
        assert is_assignable(Message, form)
        assert is_assignable(list[Any], list[T])  # type: ignore[valid-type]
    assert is_assignable(Message, T | None)


# --- reading a signature ---


async def plain(ws: Chat) -> None: ...


async def deciding(handshake: ChatHandshake) -> Outcome:
    return await handshake.deny()


async def whole(ws: WebSocket[Message, Event]) -> None: ...


async def bare(ws: Connection) -> None: ...


async def unannotated(ws):  # type: ignore[no-untyped-def]
    ...


async def anything(ws: Any) -> None: ...


async def quoted(ws: "Connection[Message, Event]") -> "None": ...


async def aliased(ws: LazyAlias) -> None: ...


async def generic(ws: LazyGeneric[Message]) -> None: ...


async def noted(ws: WithMetadata) -> None: ...


async def wide(ws: object) -> None: ...


async def hidden_result(ws: Chat, db: "Hidden | None" = None) -> "Hidden":  # type: ignore[name-defined]  # noqa: F821
    ...


async def two(db: int, ws: Chat) -> None: ...


class Talker:
    async def talk(self, ws: Chat) -> None: ...

    @classmethod
    async def class_talk(cls, ws: Chat) -> None: ...

    @staticmethod
    async def static_talk(ws: Chat) -> None: ...

    async def __call__(self, ws: Chat) -> None: ...


def wrapped_async(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a wrapper that awaits the function, as most decorators do."""

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


def wrapped_sync(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a wrapper that is not asynchronous itself."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def wrapped_with_argument(
    function: Callable[[int, Chat], Awaitable[None]],
) -> Callable[[Chat], Coroutine[Any, Any, None]]:
    @functools.wraps(function)
    async def wrapper(ws: Chat) -> None:
        await function(1, ws)

    return wrapper


CHAT: Final[Any] = Chat
LAMBDA: Final[Callable[[Chat], Awaitable[None]]] = lambda ws: plain(ws)  # noqa: E731
SIGNATURES: Final[list[tuple[Any, str, HandlerKind, Any]]] = [
    (plain, "plain", "connection", CHAT),
    (deciding, "deciding", "handshake", ChatHandshake),
    (bare, "bare", "connection", Connection),
    (unannotated, "unannotated", "connection", None),
    (anything, "anything", "connection", None),
    (wide, "wide", "connection", None),
    (quoted, "quoted", "connection", Connection[Message, Event]),
    (aliased, "aliased", "connection", Connection[Message, Event]),
    (generic, "generic", "connection", Connection[Message, Event]),
    (noted, "noted", "connection", Connection[Message, Event]),
    (hidden_result, "hidden_result", "connection", CHAT),
    (Talker().talk, "talk", "connection", CHAT),
    (Talker.class_talk, "class_talk", "connection", CHAT),
    (Talker.static_talk, "static_talk", "connection", CHAT),
    (Talker(), "Talker", "connection", CHAT),
    (functools.partial(two, 1), "two", "connection", CHAT),
    (functools.partial(functools.partial(two), 1), "two", "connection", CHAT),
    (functools.partial(Talker().talk), "talk", "connection", CHAT),
    (functools.partial(Talker()), "Talker", "connection", CHAT),
    (wrapped_async(plain), "plain", "connection", CHAT),
    (wrapped_async(deciding), "deciding", "handshake", ChatHandshake),
    (wrapped_async(wrapped_sync(plain)), "plain", "connection", CHAT),
    (wrapped_sync(plain), "plain", "connection", CHAT),
    (wrapped_async(two), "two", "connection", None),
    (wrapped_with_argument(two), "two", "connection", CHAT),
    (LAMBDA, "<lambda>", "connection", None),
    (print, "print", "connection", None),
    (min, "min", "connection", None),
]  # fmt: skip


@pytest.mark.parametrize(("handler", "name", "kind", "takes"), SIGNATURES, ids=lambda each: stable_id(each)[:40])
def test_the_signature_of_every_kind_of_callable_is_read(
    handler: Any, name: str, kind: HandlerKind, takes: Any
) -> None:
    assert read(handler) == Signature(name, kind, takes)


CLASSIC: Final[list[tuple[Any, HandlerKind, Any]]] = [
    (whole, "classic", WebSocket[Message, Event]),
    (unannotated, "classic", None),
    (anything, "classic", None),
    (wide, "classic", None),
    (plain, "connection", CHAT),
]


@pytest.mark.parametrize(("handler", "kind", "takes"), CLASSIC, ids=lambda each: getattr(each, "__name__", ""))
def test_a_classic_handler_takes_a_websocket_or_a_connection(handler: Any, kind: HandlerKind, takes: Any) -> None:
    signature = read(handler, is_classic=True)
    assert (signature.kind, signature.takes) == (kind, takes)


def test_a_classic_handler_may_take_a_handshake() -> None:
    async def denies(handshake: ChatHandshake) -> None:
        await handshake.deny()

    assert read(denies, is_classic=True) == Signature("denies", "classic", ChatHandshake)


def test_local_types_are_found_where_the_handler_is_declared() -> None:
    class Local(BaseModel):
        type: Literal["local"] = "local"

    @endpoint
    async def talk(ws: "Connection[Local, Event]") -> None: ...

    app: Endpoint[Any, Any, Any] = talk
    assert app.contract.client_messages is not None
    assert app.contract.client_messages.form is Local


def test_the_names_of_the_caller_apply_to_local_handlers_only() -> None:
    names: dict[str, Any] = {"Message": Room}
    assert read_signature(quoted, names, is_classic=False).takes == Connection[Message, Event]

    async def local(ws: "Connection[Message, Event]") -> None: ...

    assert read_signature(local, names, is_classic=False).takes == Connection[Room, Event]


# --- refused handlers and their error messages ---


async def hidden(ws: "Connection[Hidden, Event]") -> None:  # type: ignore[name-defined]  # noqa: F821
    ...


async def misspelt(ws: "typing.NoSuchThing[Message]") -> None:  # type: ignore[name-defined]
    ...


async def generating(ws: Chat) -> AsyncGenerator[int]:
    yield 1


def generating_at_once(ws):  # type: ignore[no-untyped-def]
    yield 1


def at_once(ws: Chat) -> None: ...


async def returning(ws: Chat) -> Outcome:
    return await ws.close()


async def undecided(handshake: ChatHandshake) -> None: ...


async def maybe(handshake: ChatHandshake) -> Outcome | None: ...


async def of_message(ws: Message) -> None: ...


def generator_function(ws: Chat) -> Generator[int]:
    yield 1


REFUSED: Final[list[tuple[Any, str]]] = [
    (3, "expected an asynchronous function, found 'int'"),
    (Message, "expected a handler that takes one argument, the connection, found Message()"),
    (hidden, "expected annotations of hidden that can be evaluated, found name 'Hidden' is not defined: "
             "define it before the handler, outside of `if TYPE_CHECKING:`"),
    (misspelt, "NoSuchThing"),
    (two, "expected a handler that takes one argument, the connection, found two(db, ws): "
          "path and query are in ws.params"),
    (at_once, "expected an asynchronous function, found at_once, which is synchronous: write async def"),
    (generating, "found generating, a generator: send with ws.send_model(...)"),
    (generating_at_once, "found generating_at_once, a generator"),
    (generator_function, "found generator_function, a generator"),
    (returning, "expected a handler that returns None, found returning(...) -> Closed | Denied: "
                "only a handler that takes a Handshake returns an Outcome"),
    (undecided, "expected a handler that takes a Handshake and returns an Outcome, found undecided(...) -> None: "
                "return the result of deny() or close() on every path"),
    (maybe, "found maybe(...) -> Closed | Denied | None"),
    (of_message, "expected a handler that takes a Connection[In, Out] or Handshake[In, Out], "
                 "found of_message(ws: Message)"),
    (whole, "expected a handler that takes a Connection[In, Out] or Handshake[In, Out], "
            "found whole(ws: WebSocket[Message, Event]): "
            "use WebSocketRoute(path, handler) for a handler that takes the whole WebSocket"),
]  # fmt: skip


@pytest.mark.parametrize(("handler", "message"), REFUSED, ids=lambda each: getattr(each, "__name__", ""))
def test_an_invalid_handler_raises_with_a_hint(handler: Any, message: str) -> None:
    with pytest.raises(InvalidEndpoint) as caught:
        read(handler)
    assert message in str(caught.value)


def test_a_classic_handler_of_another_type_raises() -> None:
    with pytest.raises(
        InvalidEndpoint, match=r"expected a handler that takes a WebSocket, found of_message\(ws: Message\)$"
    ):
        read(of_message, is_classic=True)


async def receives_less(ws: Connection[Never, Event, Room]) -> None: ...


async def sends_more(ws: Connection[Message, Event | Room, Room]) -> None: ...


async def wants_more(ws: Connection[Message, Event, Message]) -> None: ...


HINT: Final = "declare the connection type once and use it in both"


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (
            receives_less,
            "expected a handler that receives Message, as the contract 'chat' declares, found no message in",
        ),
        (sends_more, "expected a handler that sends Event, as the contract 'chat' declares, found Event | Room in"),
        (wants_more, "a handler that has the parameters Room, as the contract 'chat' declares, found Message in"),
    ],
)
def test_the_error_for_a_disagreement_names_both_types(handler: Any, message: str) -> None:
    with pytest.raises(InvalidEndpoint) as caught:
        check_agrees(read(handler), Contract("chat", CHAT))
    assert str(caught.value).endswith(f"{message} {handler.__name__}: {HINT}")


AGREEING: Final[list[Any]] = [unannotated, anything, wide, wrapped_async(two), plain]


@pytest.mark.parametrize("handler", AGREEING)
def test_a_handler_that_does_not_contradict_the_contract_agrees(handler: Any) -> None:
    check_agrees(read(handler), Contract("chat", CHAT))


def test_a_typed_handler_disagrees_with_an_untyped_contract() -> None:
    with pytest.raises(InvalidEndpoint, match=r"a handler that receives object, as the contract 'chat' declares"):
        check_agrees(read(plain), Contract("chat", Connection))
    check_agrees(read(bare), Contract("chat", CHAT))
