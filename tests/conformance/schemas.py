"""The message types on which schemas are compared with pydantic, with messages of each. No assertions here."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, Never, NotRequired
from uuid import UUID

from hypothesis import strategies as st
from pydantic import (
    UUID4,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Json,
    JsonValue,
    RootModel,
    Tag,
    computed_field,
)
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict, TypeVar

from tests.conformance import messages as known
from typedws import (
    App,
    ApplicationCloseCode,
    Connection,
    Contract,
    ErrorReply,
    FromCookie,
    FromHeader,
    Policy,
    SecurityScheme,
)
from typedws._messages.adapter import MessageAdapter, adapter_for
from typedws.codecs import TextJSON

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Case:
    """A message type, with a strategy for its messages."""

    name: str
    form: Any
    messages: st.SearchStrategy[Any]
    comes_back: bool = True
    """Whether a message, as it is sent, may also be received."""
    is_exact: bool = True
    """Whether JSON Schema can express all that pydantic requires."""

    def __str__(self) -> str:
        return self.name

    @property
    def adapter(self) -> MessageAdapter[Any]:
        return adapter_for(self.form)

    def sent(self, message: object) -> Any:
        """Return a message as it is sent, parsed from JSON.

        :raises UnsendableMessage: if it cannot be sent
        """
        return json.loads(TextJSON().encode_model(message, self.adapter))

    def is_valid(self, value: object) -> bool:
        """Whether pydantic validates a JSON value as a message."""
        try:
            self.adapter.validator.validate_json(json.dumps(value))
        except ValueError:
            return False
        return True


# --- models ---


class Colour(Enum):
    RED = "red"
    TWO = 2


class Weekday(StrEnum):
    MON = "mon"
    SUN = "sun"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Bounded(BaseModel):
    short: str = Field(min_length=1, max_length=5)
    code: str = Field(pattern="^[A-Z]{2,3}$")
    count: int = Field(ge=0, lt=10)
    even: int = Field(multiple_of=2)
    share: float = Field(gt=0, le=1, allow_inf_nan=False)
    some: list[int] = Field(min_length=1, max_length=3)


class Times(BaseModel):
    at: datetime
    aware: AwareDatetime
    day: date
    clock: time
    took: timedelta


class Numbers(BaseModel):
    price: Decimal
    tax: Decimal = Field(max_digits=6, decimal_places=2)
    ratio: float
    big: int


class Ids(BaseModel):
    any: UUID
    four: UUID4


class Bytes(BaseModel):
    data: bytes


class Bytes64(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    data: bytes = Field(min_length=1)


class BytesHex(BaseModel):
    model_config = ConfigDict(ser_json_bytes="hex", val_json_bytes="hex")
    data: bytes = Field(max_length=4)


class Pair(NamedTuple):
    x: int
    y: str = "y"


class Tuples(BaseModel):
    pair: tuple[int, str]
    many: tuple[int, ...]
    named: Pair
    none: tuple[()] = ()


class Mappings(BaseModel):
    by_text: dict[str, int]
    by_number: dict[int, str]
    by_share: dict[float, str]
    by_flag: dict[bool, str]
    by_id: dict[UUID, int]
    by_day: dict[Weekday, int]
    by_code: dict[Annotated[str, Field(pattern="^[a-z]+$")], int]
    by_price: dict[Decimal, int]


class Sets(BaseModel):
    some: set[int]
    fixed: frozenset[str]


class Chosen(BaseModel):
    colour: Colour
    day: Weekday
    level: Level
    word: Literal["a", "b", 3] | None
    flag: bool
    maybe: int | None
    either: int | str | list[int]


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")
    hump_count: int
    is_tame: bool = True


class ByName(BaseModel):
    model_config = ConfigDict(serialize_by_alias=False, validate_by_alias=False, validate_by_name=True)
    by_name: int = Field(alias="byAlias")


class Choices(BaseModel):
    n: int = Field(validation_alias=AliasChoices("n", "number"))


class Doubled(BaseModel):
    n: int = Field(validation_alias="nIn", serialization_alias="nOut")


class Circle(BaseModel):
    radius: int = 1

    @computed_field(alias="theArea")  # type: ignore[prop-decorator]
    @property
    def area(self) -> float:
        return self.radius * 3.0


class Tree(BaseModel):
    name: str
    branches: "list[Tree]" = []


class Box(BaseModel, Generic[T]):
    content: T


class Join(BaseModel):
    type: Literal["join"] = "join"
    room: str


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str = ""


class Leave(BaseModel):
    type: Literal["leave", "quit"] = "leave"


class Nested(BaseModel):
    type: Literal["nested"] = "nested"
    inner: Annotated[Join | Say, Field(discriminator="type")]
    say: Say = Say()


class Aliased(BaseModel):
    kind: Literal["aliased"] = Field(alias="type")


class Plain(BaseModel):
    kind: Literal["plain"] = Field(alias="type")


class Names(RootModel[list[str]]):
    pass


class Free(BaseModel):
    model_config = ConfigDict(extra="allow")
    n: int = 1
    __pydantic_extra__: dict[str, int]  # pyright: ignore[reportIncompatibleVariableOverride]


class Wrapping(BaseModel):
    inner: Json[list[int]]


@dataclass
class Pixel:
    x: int
    colour: str = "red"


class Profile(TypedDict):
    name: str
    age: NotRequired[int]


Tagged = Annotated[Join | Say | Leave | Nested, Field(discriminator="type")]
ByFunction = Annotated[
    Annotated[Join, Tag("j")] | Annotated[Say, Tag("s")],
    Discriminator(lambda value: "j" if "room" in (value if isinstance(value, dict) else vars(value)) else "s"),
]

# --- messages ---

text = st.text(max_size=8)
lower = st.text("abc", min_size=1, max_size=3)
small = st.integers(-20, 20)
finite = st.floats(allow_nan=False, allow_infinity=False)
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=3))])
aware = st.datetimes(timezones=zones)
decimals = st.decimals(allow_nan=False, allow_infinity=False) | st.sampled_from(
    list(map(Decimal, ("1E+5", "-0", "1E-9")))
)
join_messages = st.builds(Join, room=text)
say_messages = st.builds(Say, text=text)
trees = st.recursive(
    st.builds(Tree, name=text),
    lambda inner: st.builds(Tree, name=text, branches=st.lists(inner, max_size=2)),
    max_leaves=4,
)
json_values = st.recursive(
    st.none() | st.booleans() | small | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)

CASES = (
    Case(
        "bounded",
        Bounded,
        st.builds(
            Bounded,
            short=st.text(min_size=1, max_size=5),
            code=st.from_regex("[A-Z]{2,3}", fullmatch=True),
            count=st.integers(0, 9),
            even=small.map(lambda n: 2 * n),
            share=st.floats(0, 1, exclude_min=True),
            some=st.lists(small, min_size=1, max_size=3),
        ),
    ),
    Case(
        "times",
        Times,
        st.builds(
            Times,
            at=st.datetimes() | aware,
            aware=aware,
            day=st.dates(),
            clock=st.times() | st.times(timezones=zones),
            took=st.timedeltas(),
        ),
    ),
    Case(
        "numbers",
        Numbers,
        st.builds(
            Numbers,
            price=decimals,
            tax=st.decimals("-9999.99", "9999.99", places=2),
            ratio=finite,
            big=st.integers(),
        ),
    ),
    Case("ids", Ids, st.builds(Ids, any=st.uuids(), four=st.uuids(version=4))),
    Case("bytes", Bytes, st.builds(Bytes, data=text.map(str.encode))),
    Case("bytes as base64", Bytes64, st.builds(Bytes64, data=st.binary(min_size=1, max_size=8))),
    Case("bytes as hex", BytesHex, st.builds(BytesHex, data=st.binary(max_size=4))),
    Case(
        "tuples",
        Tuples,
        st.builds(
            Tuples,
            pair=st.tuples(small, text),
            many=st.lists(small, max_size=3).map(tuple),
            named=st.builds(Pair, x=small, y=text),
        ),
    ),
    Case(
        "mappings",
        Mappings,
        st.builds(
            Mappings,
            by_text=st.dictionaries(text, small, max_size=2),
            by_number=st.dictionaries(st.integers(), text, max_size=2),
            by_share=st.dictionaries(finite, text, max_size=2),
            by_flag=st.dictionaries(st.booleans(), text, max_size=2),
            by_id=st.dictionaries(st.uuids(), small, max_size=2),
            by_day=st.dictionaries(st.sampled_from(Weekday), small, max_size=2),
            by_code=st.dictionaries(lower, small, max_size=2),
            by_price=st.dictionaries(decimals, small, max_size=2),
        ),
    ),
    Case("sets", Sets, st.builds(Sets, some=st.sets(small, max_size=3), fixed=st.frozensets(text, max_size=3))),
    Case(
        "chosen",
        Chosen,
        st.builds(
            Chosen,
            colour=st.sampled_from(Colour),
            day=st.sampled_from(Weekday),
            level=st.sampled_from(Level),
            word=st.sampled_from(["a", "b", 3, None]),
            flag=st.booleans(),
            maybe=st.none() | small,
            either=small | text | st.lists(small, max_size=2),
        ),
    ),
    Case("aliases", Camel, st.builds(Camel, humpCount=small, isTame=st.booleans())),
    Case("by name", ByName, st.builds(ByName, by_name=small)),
    Case("choices of aliases", Choices, st.builds(Choices, number=small)),
    Case("two aliases", Doubled, st.builds(Doubled, nIn=small), comes_back=False),
    Case("computed fields", Circle, st.builds(Circle, radius=small)),
    Case("recursive", Tree, trees),
    Case("generic", Box[list[Join]], st.builds(Box[list[Join]], content=st.lists(join_messages, max_size=2))),
    Case(
        "tagged",
        Tagged,
        join_messages
        | say_messages
        | st.builds(Leave, type=st.sampled_from(["leave", "quit"]))
        | st.builds(Nested, inner=join_messages | say_messages, say=say_messages),
    ),
    Case("tagged by a function", ByFunction, join_messages | say_messages),
    Case(
        "tagged by an alias",
        Annotated[Aliased | Plain, Field(discriminator="kind")],
        st.sampled_from([Aliased(type="aliased"), Plain(type="plain")]),
    ),
    Case("a root model", Names, st.lists(text, max_size=3).map(Names)),
    Case("additional fields", Free, st.builds(Free, n=small, more=small)),
    Case(
        "JSON in text",
        Wrapping,
        st.lists(small, max_size=2).map(lambda each: Wrapping.model_validate({"inner": json.dumps(each)})),
        comes_back=False,
        is_exact=False,
    ),
    Case("a list of models", list[Join], st.lists(join_messages, max_size=3)),
    Case("a dataclass", Pixel, st.builds(Pixel, x=small, colour=text)),
    Case("a TypedDict", Profile, st.fixed_dictionaries({"name": text}, optional={"age": small})),
    Case("a named tuple", Pair, st.builds(Pair, x=small, y=text)),
    Case("a tuple", tuple[int, Join], st.tuples(small, join_messages)),
    Case("an enum", Colour, st.sampled_from(Colour)),
    Case("text", str, text),
    Case("a number", float, finite),
    Case("nothing at all", None, st.none()),
    Case("an alias of itself", JsonValue, json_values),
    Case("everything", known.Everything, st.just(known.Everything(**known.EVERYTHING))),
)


# --- an application of all of them ---


class Place(BaseModel):
    """The parameters of every case, from all four sources."""

    room: Literal["lobby", "garden"] = Field(description="which room")
    id: int
    page: int = Field(default=1, ge=1)
    colour: Colour = Colour.RED
    tenant: Annotated[str, FromHeader("x-tenant")]
    session: Annotated[str, FromCookie()] = ""


class HardClose(ApplicationCloseCode):
    KICKED = 4001, "removed by a moderator", "never"
    MOVED = 4002, "the room moved", "resume"


def hard_app() -> App:
    """Return an application that serves every case in both directions, with every feature of a contract."""
    app = App(
        title="Everything",
        version="2.0.0",
        description="All that there is.",
        servers={"here": "ws://127.0.0.1:8000", "there": "wss://chat.example.com/api"},
        policy=Policy(on_invalid="drop"),
    )

    async def talk(ws: Any) -> None:
        """Talk about anything."""

    for number, case in enumerate(CASES):
        connection: Any = Connection
        contract = Contract("hard", connection[case.form, case.form, Place], version=f"{number}.0.0", closes=HardClose)
        app.websocket(f"/{number}/{{room}}/{{id:int}}", contract, security=BEARER if number % 2 else TOKEN)(talk)
    modes = ("text", "binary", "msgpack", "cbor")
    feed = Contract("feed", Connection[Never, Tagged], title="A feed", description="It receives nothing.", modes=modes)
    app.websocket("/feed", feed)(talk)
    app.websocket("/feed", Contract("feed", Connection[Never, Join], version="2.0.0"))(talk)
    app.websocket("/answering", policy=Policy(on_invalid="reply"))(answering)
    app.websocket("/silent", Contract("silent", Connection[Tagged, Never]))(talk)
    app.websocket("/undeclared")(talk)
    return app


async def answering(ws: Connection[Tagged, Annotated[Say | ErrorReply, Field(discriminator="type")]]) -> None: ...


BEARER: dict[str, SecurityScheme] = {"token": {"type": "http", "scheme": "bearer"}}
TOKEN: dict[str, SecurityScheme] = {
    "token": {"type": "httpApiKey", "name": "token", "in": "query"},
    "bearer": BEARER["token"],
}
