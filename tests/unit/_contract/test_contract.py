"""`Contract`: its attributes, its subprotocols, and the contradictions that raise when it is created."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Never, Optional, TypeAlias, TypeVar, Union

import pytest
from pydantic import BaseModel, Discriminator, Field, RootModel, Tag, model_validator
from typing_extensions import TypedDict

from tests.support import stable_id
from typedws import (
    ApplicationCloseCode,
    BinaryJSON,
    CodecNotInstalled,
    CodecRegistry,
    Connection,
    Contract,
    ErrorReply,
    FieldProblem,
    Handshake,
    InvalidContract,
    InvalidMessage,
    InvalidMessageType,
    TextJSON,
    TypedWSError,
    UnknownMode,
    WebSocket,
    registry,
)
from typedws._messages.adapter import adapter_for
from typedws._messages.core_schema import is_undiscriminated
from typedws.codecs import Mode

T = TypeVar("T")


class Join(BaseModel):
    type: Literal["join"] = "join"


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str = ""


class Shout(BaseModel):
    type: Literal["say"] = "say"


class Untagged(BaseModel):
    text: str = ""


class AfterCheck(BaseModel):
    type: Literal["after"] = "after"

    @model_validator(mode="after")
    def _check(self) -> "AfterCheck":
        return self


class BeforeCheck(BaseModel):
    type: Literal["before"] = "before"

    @model_validator(mode="before")
    @classmethod
    def _check(cls, value: Any) -> Any:
        return value


class Nested(BaseModel):
    type: Literal["nested"] = "nested"
    either: Join | Say


class Tree(BaseModel):
    type: Literal["tree"] = "tree"
    trees: "list[Tree | Join]" = []


class Unbuildable(BaseModel):
    type: Literal["unbuildable"] = "unbuildable"
    of: "NoSuchType"  # type: ignore[name-defined]  # noqa: F821


class JoinKeys(TypedDict):
    type: Literal["join"]


class SayKeys(TypedDict):
    type: Literal["say"]


@dataclass
class JoinPlain:
    type: Literal["join"] = "join"


@dataclass
class SayPlain:
    type: Literal["say"] = "say"


class EitherRoot(RootModel[Join | Say]):
    pass


class ListRoot(RootModel[list[Join]]):
    pass


class TaggedRoot(RootModel[Annotated[Join | Say, Field(discriminator="type")]]):
    pass


class Room(BaseModel):
    room: str = ""


class OwnReply(ErrorReply):
    type: Literal["error"] = "error"
    hint: str = ""

    @classmethod
    def of(cls, error: InvalidMessage) -> "OwnReply":
        return cls(problem=error.problem, detail="no", hint="look it up")


def tag_of(value: Any) -> str:
    return "say" if isinstance(value, Say) else "join"


Either = Annotated[Join | Say, Field(discriminator="type")]
Chat: TypeAlias = Connection[Either, Say, Room]
OPTIONAL: Final[Any] = Optional  # type checkers refuse `|` after the value of an Annotated
OLD_UNION: Final[Any] = Union
OPEN: Final[Any] = Connection
CONNECTION: Final[Any] = Connection[Join, Say]


# --- attributes ---


def test_a_contract_has_the_given_attributes() -> None:
    class Closes(ApplicationCloseCode):
        KICKED = 4001, "removed", "never"

    chat = Contract("chat", Chat, version="2.10.3", title="Chat", description="Rooms", closes=Closes)
    assert (chat.name, chat.version, chat.title, chat.description) == ("chat", "2.10.3", "Chat", "Rooms")
    assert chat.connection == Chat
    assert (chat.client_messages, chat.server_messages, chat.params) == (
        adapter_for(Either),
        adapter_for(Say),
        adapter_for(Room),
    )
    assert chat.closes is Closes
    assert chat.error is None
    assert chat.codecs is registry
    assert not chat.is_feed
    assert repr(chat) == "<Contract chat 2.10.3>"


def test_the_defaults_suit_a_client_in_a_browser() -> None:
    chat = Contract("chat", CONNECTION)
    assert (chat.version, chat.title, chat.description, chat.closes) == ("1.0.0", None, None, None)
    assert chat.modes == ("text",)
    assert dict(chat.subprotocols) == {"chat.v1.json": "text"}
    assert chat.params is None


class JoinConnection(Connection[Join, Say, Room]):
    pass


@pytest.mark.parametrize(
    ("connection", "client_messages", "server_messages", "params"),
    [
        (Connection[Join, Say, Room], Join, Say, Room),
        (Handshake[Join, Say, Room], Join, Say, Room),
        (WebSocket[Join, Say, Room], Join, Say, Room),
        (JoinConnection, Join, Say, Room),
        (Connection[Join, Say], Join, Say, None),
        (Connection[Join], Join, None, None),
        (Connection[None, Say], type(None), Say, None),
        (Connection[Never, Say], Never, Say, None),
        (Connection[list[Join | Say], Any, object], list[Join | Say], None, None),
        (Connection, None, None, None),
        (OPEN[T, Any], None, None, None),
    ],
    ids=stable_id,
)
def test_every_connection_type_declares_messages_and_parameters(
    connection: Any, client_messages: Any, server_messages: Any, params: Any
) -> None:
    for contract in (Contract("chat", connection), Contract[Any, Any, Any].unnamed("chat", connection)):
        declared = (contract.client_messages, contract.server_messages, contract.params)
        assert [adapter and adapter.form for adapter in declared] == [client_messages, server_messages, params]
        assert contract.is_feed is (client_messages is Never)


def test_a_contract_of_an_annotation_has_no_subprotocols() -> None:
    talk = Contract[Any, Any, Any].unnamed("talk to me", Connection[Join, SayOrError])
    assert (talk.name, talk.version, talk.title, talk.description) == ("talk to me", "1.0.0", None, None)
    assert (dict(talk.subprotocols), talk.modes, talk.closes, talk.codecs) == ({}, ("text",), None, registry)
    assert talk.error is ErrorReply
    assert repr(talk) == "<Contract talk to me 1.0.0>"


# --- modes ---

CODEC: Final = TextJSON("mine")

MODES: Final[list[tuple[Any, dict[str, Mode], tuple[Mode, ...]]]] = [
    (("text",), {"chat.v2.json": "text"}, ("text",)),
    (["text"], {"chat.v2.json": "text"}, ("text",)),
    (
        ("msgpack", "text", "binary", "cbor"),
        {"chat.v2.msgpack": "msgpack", "chat.v2.json": "text", "chat.v2.binary": "binary", "chat.v2.cbor": "cbor"},
        ("msgpack", "text", "binary", "cbor"),
    ),
    ((CODEC, "text"), {"chat.v2.mine": CODEC, "chat.v2.json": "text"}, (CODEC, "text")),
    ({"my-chat": "msgpack", "old": "text"}, {"my-chat": "msgpack", "old": "text"}, ("msgpack", "text")),
    ({"new": "text", "old": "text"}, {"new": "text", "old": "text"}, ("text",)),
    ({"own": CODEC}, {"own": CODEC}, (CODEC,)),
]


@pytest.mark.parametrize(("modes", "subprotocols", "order"), MODES, ids=stable_id)
def test_every_mode_has_a_subprotocol(modes: Any, subprotocols: dict[str, Mode], order: tuple[Mode, ...]) -> None:
    chat = Contract("chat", CONNECTION, version="2.1.0", modes=modes)
    assert list(chat.subprotocols.items()) == list(subprotocols.items())
    assert chat.modes == order


def test_the_modes_are_those_of_the_given_registry() -> None:
    own_registry = CodecRegistry()
    own_registry.register("yaml", CODEC)
    chat = Contract("chat", CONNECTION, modes=("yaml",), codecs=own_registry)
    assert dict(chat.subprotocols) == {"chat.v1.yaml": "yaml"}
    assert chat.codecs is own_registry
    with pytest.raises(UnknownMode):
        Contract("chat", CONNECTION, modes=("text",), codecs=own_registry)


def test_the_subprotocols_cannot_be_changed() -> None:
    chat: Any = Contract("chat", CONNECTION)
    with pytest.raises(TypeError):
        chat.subprotocols["other"] = "text"


@pytest.mark.parametrize("modes", [("yaml",), {"chat": "yaml"}, ("text", "yaml")], ids=stable_id)
def test_a_mode_without_a_codec_raises(modes: Any) -> None:
    with pytest.raises(UnknownMode):
        Contract("chat", CONNECTION, modes=modes)


def test_a_mode_whose_library_is_missing_raises() -> None:
    own_registry = registry.copy()
    own_registry.register_extra("yaml", "typedws_yaml_that_is_not_there:YAML", extra="yaml")
    with pytest.raises(CodecNotInstalled, match=r"install typedws\[yaml\]"):
        Contract("chat", CONNECTION, modes=("yaml",), codecs=own_registry)


# --- the error model ---

Both = Annotated[Say | OwnReply, Field(discriminator="type")]
SayOrError = Annotated[Say | ErrorReply, Field(discriminator="type")]
Tagged = Annotated[Annotated[Say, Tag("say")] | Annotated[OwnReply, Tag("error")], Discriminator(lambda _: "say")]

ERRORS: Final[list[tuple[Any, type[ErrorReply] | None, type[ErrorReply] | None]]] = [
    (Say, None, None),
    (SayOrError, None, ErrorReply),
    (SayOrError, ErrorReply, ErrorReply),
    (ErrorReply, None, ErrorReply),
    (Both, None, OwnReply),
    (Both, OwnReply, OwnReply),
    (OPTIONAL[Both], None, OwnReply),
    (Tagged, None, OwnReply),
    (Tagged, OwnReply, OwnReply),
    (list[ErrorReply], None, None),
    (Any, None, None),
    (Never, None, None),
]


@pytest.mark.parametrize(("server_messages", "given", "chosen"), ERRORS, ids=stable_id)
def test_the_error_reply_among_the_server_messages_is_chosen(server_messages: Any, given: Any, chosen: Any) -> None:
    assert Contract("chat", Connection[Join, server_messages], error=given).error is chosen
    if given is None:
        assert Contract[Any, Any, Any].unnamed("chat", Connection[Join, server_messages]).error is chosen


@pytest.mark.parametrize(
    ("server_messages", "error", "message"),
    [
        (Say, ErrorReply, "found ErrorReply: derive it from ErrorReply and add it to the server messages (Say)"),
        (
            SayOrError,
            OwnReply,
            "found OwnReply: derive it from ErrorReply and add it to the server messages (Say | ErrorReply)",
        ),
        (
            Both,
            ErrorReply,
            "found ErrorReply: derive it from ErrorReply and add it to the server messages (Say | OwnReply)",
        ),
        (
            Any,
            ErrorReply,
            "found ErrorReply: derive it from ErrorReply and add it to the server messages (none declared)",
        ),
        (Say, Say, "found Say: derive it from ErrorReply and add it to the server messages (Say)"),
    ],
    ids=stable_id,
)
def test_an_error_reply_outside_the_server_messages_raises(server_messages: Any, error: Any, message: str) -> None:
    with pytest.raises(InvalidContract) as caught:
        Contract("chat", Connection[Join, server_messages], error=error)
    assert str(caught.value) == f"expected an error reply among the server messages, {message}"


def test_an_error_reply_contains_locations_and_no_values() -> None:
    with pytest.raises(InvalidMessage) as caught:
        adapter_for(Either).from_plain({"type": "say", "text": 3, "s3cr3t": "s3cr3t"}, "JSON")
    reply = ErrorReply.of(caught.value)
    assert reply.problem == "invalid"
    assert reply.errors == [FieldProblem(location="say.text", problem="string_type")]
    assert reply.detail == str(caught.value)
    assert "s3cr3t" not in reply.model_dump_json()
    assert OwnReply.of(caught.value) == OwnReply(problem="invalid", detail="no", hint="look it up")


# --- close codes ---


class Low(ApplicationCloseCode):
    LOW = 3999, "too low"


class High(ApplicationCloseCode):
    FINE = 4999, "fine"
    HIGH = 5000, "too high"


class Registered(ApplicationCloseCode):
    AWAY = 1001, "going away"


class Double(ApplicationCloseCode):
    ONE = 4001, "one"
    OTHER = 4001, "other"


class Unsure(ApplicationCloseCode):
    MAYBE = 4001, "maybe", "sometimes"  # pyright: ignore[reportArgumentType]


class Within(ApplicationCloseCode):
    FIRST = 4000, "the first"
    NEXT = 4001, "the next", "resume"
    LAST = 4999, "the last", "backoff"


@pytest.mark.parametrize(
    ("closes", "message"),
    [
        (Low, "expected close codes from 4000 to 4999, found 3999 (LOW): RFC 6455 section 7.4.2"),
        (High, "expected close codes from 4000 to 4999, found 5000 (HIGH): RFC 6455 section 7.4.2"),
        (Registered, "expected close codes from 4000 to 4999, found 1001 (AWAY): RFC 6455 section 7.4.2"),
        (Double, "expected different close codes, found 4001 for ONE and OTHER"),
        (Unsure, "expected reconnect to be one of never, resume, backoff, found 'sometimes' (MAYBE)"),
    ],
)
def test_close_codes_that_contradict_the_standard_or_each_other_raise(closes: Any, message: str) -> None:
    with pytest.raises(InvalidContract) as caught:
        Contract("chat", CONNECTION, closes=closes)
    assert str(caught.value) == message


def test_close_codes_within_the_range_are_accepted() -> None:
    assert Contract("chat", CONNECTION, closes=Within).closes is Within


# --- contradictions ---

INVALID_ARGUMENTS: Final[list[tuple[dict[str, Any], str]]] = [
    ({"name": ""}, "expected a name that is a token, found ''"),
    ({"name": "a chat"}, "expected a name that is a token, found 'a chat'"),
    ({"name": "chat/1"}, "expected a name that is a token, found 'chat/1'"),
    ({"name": "caf\u00e9"}, "expected a name that is a token"),
    ({"name": "chat\n"}, "expected a name that is a token"),
    ({"version": "1"}, "expected a version of three numbers, found '1'"),
    ({"version": "1.0"}, "expected a version of three numbers, found '1.0'"),
    ({"version": "v1.0.0"}, "expected a version of three numbers, found 'v1.0.0'"),
    ({"version": "01.0.0"}, "expected a version of three numbers, found '01.0.0'"),
    ({"version": "1.0.0-rc1"}, "expected a version of three numbers"),
    ({"version": "\u0661.0.0"}, "expected a version of three numbers"),
    ({"modes": "text"}, "expected a sequence of modes, found 'text'"),
    ({"modes": ()}, "expected a sequence of modes, found ()"),
    ({"modes": {}}, "expected a sequence of modes, found {}"),
    ({"modes": ("text", "text")}, "expected one mode for each subprotocol, found two for chat.v1.json"),
    ({"modes": ("text", TextJSON())}, "expected one mode for each subprotocol, found two for chat.v1.json"),
    ({"modes": (TextJSON(), BinaryJSON())}, "expected one mode for each subprotocol, found two for chat.v1.json"),
    ({"modes": {"my chat": "text"}}, "expected a subprotocol that is a token, found 'my chat'"),
    ({"modes": {"": "text"}}, "expected a subprotocol that is a token, found ''"),
    ({"modes": (TextJSON("a b"),)}, "expected a subprotocol that is a token, found 'chat.v1.a b'"),
    ({"modes": {"bearer": "text"}}, "the subprotocol 'bearer' is reserved"),
    ({"modes": {"chat": "text", "Bearer": "msgpack"}}, "the subprotocol 'Bearer' is reserved"),
    ({"connection": int}, "expected the type of a connection, found int"),
    ({"connection": None}, "expected the type of a connection, found None"),
    ({"connection": Either}, "expected the type of a connection, found Join | Say"),
    ({"connection": Connection[Join, Say] | None}, "expected the type of a connection, found "),
    ({"connection": "Chat"}, "expected the type of a connection, found 'Chat'"),
]


@pytest.mark.parametrize(("arguments", "message"), INVALID_ARGUMENTS, ids=stable_id)
def test_invalid_arguments_raise(arguments: dict[str, Any], message: str) -> None:
    complete: dict[str, Any] = {"name": "chat", "connection": Chat, **arguments}
    with pytest.raises(InvalidContract) as caught:
        Contract(**complete)
    assert message in str(caught.value)
    assert isinstance(caught.value, TypedWSError)
    assert isinstance(caught.value, ValueError)


UNDISCRIMINATED: Final[list[Any]] = [
    Join | Say,
    Join | Untagged,
    Untagged | Join | None,
    Annotated[Join | Say, Field(description="without a discriminator")],
    OPTIONAL[Annotated[Join | Say, "a note"]],
    OLD_UNION[Either, Untagged],
    AfterCheck | Join,
    Join | Annotated[BeforeCheck | int, "a note"],
    JoinKeys | SayKeys,
    JoinPlain | SayPlain,
    JoinPlain | SayKeys | Untagged,
    EitherRoot,
    EitherRoot | None,
    Join | TaggedRoot,
    Tree | Join,
]
ALLOWED: Final[list[Any]] = [
    Join,
    Join | None,
    Join | int | str,
    Join | list[Say],
    Join | ListRoot,
    list[Join | Say],
    dict[str, Join | Say],
    tuple[Join | Say, ...],
    Nested,
    Tree,
    TaggedRoot,
    Either,
    OPTIONAL[Either],
    Annotated[AfterCheck | BeforeCheck, Field(discriminator="type")],
    Annotated[JoinKeys | SayKeys, Field(discriminator="type")],
    Annotated[JoinPlain | SayPlain, Field(discriminator="type")],
    Annotated[JoinKeys | Say, Field(discriminator="type")],
    Annotated[Tree | Join, Field(discriminator="type")],
    Annotated[Annotated[Join, Tag("join")] | Annotated[Untagged, Tag("say")], Discriminator(tag_of)],
    Annotated[Annotated[Join | AfterCheck, Field(discriminator="type")] | Say, Field(discriminator="type")],
    int | str | None,
    Any,
    Never,
    None,
]


@pytest.mark.parametrize("form", UNDISCRIMINATED, ids=stable_id)
def test_an_undiscriminated_union_raises_in_both_directions(form: Any) -> None:
    assert is_undiscriminated(adapter_for(form).core_schema)
    for connection, role in ((Connection[form, Join], "client messages"), (Connection[Join, form], "server messages")):
        for make in (Contract, Contract[Any, Any, Any].unnamed):
            with pytest.raises(InvalidContract) as caught:
                make("chat", connection)
            assert str(caught.value).startswith("expected a union with a discriminator, found ")
            assert f" as the {role}: write Annotated[..., Field(discriminator=" in str(caught.value)


@pytest.mark.parametrize("form", ALLOWED, ids=stable_id)
def test_other_message_types_are_accepted_in_both_directions(form: Any) -> None:
    assert not is_undiscriminated(adapter_for(form).core_schema)
    Contract("chat", Connection[form, form])
    Contract[Any, Any, Any].unnamed("chat", Connection[form, form])


def test_a_union_of_parameters_needs_no_discriminator() -> None:
    assert Contract("chat", Connection[Join, Say, Join | Untagged]).params is not None


@pytest.mark.parametrize(
    "form",
    [
        Annotated[Say | Shout, Field(discriminator="type")],
        Annotated[Join | Untagged, Field(discriminator="type")],
        Annotated[Join | int, Field(discriminator="type")],
        Unbuildable,
        list["Join"],
        object(),
        Connection[Join, Say],
    ],
    ids=stable_id,
)
def test_a_type_that_pydantic_cannot_build_raises_in_every_position(form: Any) -> None:
    for connection in (Connection[form, Join], Connection[Join, form], Connection[Join, Join, form]):
        for make in (Contract, Contract[Any, Any, Any].unnamed):
            with pytest.raises(InvalidMessageType):
                make("chat", connection)
