"""The messages and the codecs of the conformance suite. Nothing is asserted here."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import PurePosixPath
from typing import Annotated, Any, Generic, Literal, NoReturn, NotRequired
from uuid import UUID

import cbor2
import ormsgpack
import pydantic.dataclasses
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    RootModel,
    SerializerFunctionWrapHandler,
    Tag,
    computed_field,
    field_serializer,
    model_serializer,
)
from pydantic.alias_generators import to_camel
from typing_extensions import TypeAliasType, TypedDict, TypeVar

from typedws.codecs import BinaryJSON, Codec, TextJSON
from typedws.codecs.cbor import CBOR
from typedws.codecs.msgpack import MessagePack
from typedws.exceptions import UnsendableMessage

T = TypeVar("T")

# --- codecs ---


class OwnCodec(Codec[str]):
    """A codec as a user writes it: plain values only, with the json module of the standard library."""

    name = "own"
    kind = "text"

    def encode(self, value: object) -> str:
        try:
            data = json.dumps(value, allow_nan=False, ensure_ascii=False)
            data.encode()
        except (ValueError, TypeError, RecursionError) as error:
            raise UnsendableMessage("finite, plain values in text that UTF-8 can encode", "another") from error
        return data

    def decode(self, data: str) -> Any:
        return json.loads(data, parse_constant=_refuse, parse_float=_finite)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("beyond a double")
    return value


def _write_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class Subject:
    """A codec under test. ``write`` makes frames of its format, even those that the codec refuses to encode."""

    name: str
    codec: Codec[Any]
    write: Callable[[object], Any]

    def __str__(self) -> str:
        return self.name


SUBJECTS = (
    Subject("text", TextJSON(), _write_json),
    Subject("binary", BinaryJSON(), lambda value: _write_json(value).encode()),
    Subject("msgpack", MessagePack(), lambda value: ormsgpack.packb(value, option=ormsgpack.OPT_NON_STR_KEYS)),
    Subject("cbor", CBOR(), cbor2.dumps),
    Subject("own", OwnCodec(), _write_json),
)


# --- models ---


class Point(BaseModel):
    x: int
    y: int = 0


class SecretPoint(Point):
    password: str = "hunter2"


class Lookalike(BaseModel):
    """Has the fields of `Point`, but is not a `Point`."""

    x: int
    y: int = 0


class Name(BaseModel):
    name: str


class Line(BaseModel):
    start: Point
    end: Point | None = None


class Join(BaseModel):
    type: Literal["join"] = "join"
    room: str


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str


class SecretSay(Say):
    password: str = "hunter2"


class FakeSay(BaseModel):
    type: Literal["say"] = "say"
    text: str


Chat = Annotated[Join | Say, Field(discriminator="type")]
ByFunction = Annotated[
    Annotated[Join, Tag("j")] | Annotated[Say, Tag("s")],
    Discriminator(lambda value: "j" if "room" in (value if isinstance(value, dict) else vars(value)) else "s"),
]
ChatAlias = TypeAliasType("ChatAlias", Join | Say)


@dataclass
class Pixel:
    x: int
    colour: str = "red"


@dataclass
class SecretPixel(Pixel):
    password: str = "hunter2"


@dataclass
class OtherPixel:
    x: int
    colour: str = "red"


@dataclass
class Picture:
    pixels: list[Pixel] = field(default_factory=list[Pixel])
    centre: Point | None = None


@pydantic.dataclasses.dataclass
class Checked:
    when: date


class Profile(TypedDict):
    name: str
    age: NotRequired[int]


class Outline(TypedDict):
    corners: list[Point]


class Box(BaseModel, Generic[T]):
    content: T


class Tree(BaseModel):
    name: str
    branches: "list[Tree]" = []


class Names(RootModel[list[str]]):
    pass


class Points(RootModel[dict[str, Point]]):
    pass


class Colour(Enum):
    RED = "red"
    TWO = 2


class Level(IntEnum):
    LOW = 1


class Everything(BaseModel):
    at: datetime
    day: date
    clock: time
    took: timedelta
    id: UUID
    pair: tuple[int, str]
    price: Decimal
    colour: Colour
    level: Level
    data: bytes
    tags: set[int]
    names: frozenset[str]
    path: PurePosixPath
    by_number: dict[int, str]
    by_id: dict[UUID, Point]
    many: tuple[Point, ...]
    maybe: float | None
    flag: bool


class StrictEverything(Everything):
    model_config = ConfigDict(strict=True)


EVERYTHING: dict[str, Any] = {
    "at": datetime(2024, 2, 29, 12, 30, 15, 19218, tzinfo=UTC),
    "day": date(2024, 2, 29),
    "clock": time(12, 30, 15, 19218),
    "took": timedelta(days=1, seconds=2),
    "id": UUID(int=5),
    "pair": (1, "one"),
    "price": Decimal("1.50"),
    "colour": Colour.TWO,
    "level": Level.LOW,
    "data": "caf\u00e9".encode(),
    "tags": {1},
    "names": frozenset({"ann"}),
    "path": PurePosixPath("/a/b"),
    "by_number": {1: "one"},
    "by_id": {UUID(int=6): Point(x=1)},
    "many": (Point(x=1), Point(x=2)),
    "maybe": 1.5,
    "flag": True,
}

PLAIN_EVERYTHING: dict[str, Any] = {
    "at": "2024-02-29T12:30:15.019218Z",
    "day": "2024-02-29",
    "clock": "12:30:15.019218",
    "took": "P1DT2S",
    "id": "00000000-0000-0000-0000-000000000005",
    "pair": [1, "one"],
    "price": "1.50",
    "colour": 2,
    "level": 1,
    "data": "caf\u00e9",
    "tags": [1],
    "names": ["ann"],
    "path": "/a/b",
    "by_number": {"1": "one"},
    "by_id": {"00000000-0000-0000-0000-000000000006": {"x": 1, "y": 0}},
    "many": [{"x": 1, "y": 0}, {"x": 2, "y": 0}],
    "maybe": 1.5,
    "flag": True,
}


class Blob(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    data: bytes


class Duration(BaseModel):
    model_config = ConfigDict(ser_json_timedelta="float")
    took: timedelta


class StrictText(BaseModel):
    model_config = ConfigDict(strict=True)
    text: str = ""


# --- aliases ---


class Wing(BaseModel):
    wing_span: int = Field(default=1, alias="wingSpan")


class Bird(BaseModel):
    bird_name: str = Field(default="owl", alias="birdName")
    left: Wing = Wing()


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
    hump_count: int = 2


class ByName(BaseModel):
    model_config = ConfigDict(serialize_by_alias=False, populate_by_name=True)
    by_name: int = Field(default=1, alias="byAlias")


class SubByName(ByName):
    more: int = 1


class NamedBird(BaseModel):
    model_config = ConfigDict(serialize_by_alias=False, populate_by_name=True)
    bird_name: str = Field(default="owl", alias="birdName")
    left: Camel = Camel()


class Crate(BaseModel):
    """Has no alias of its own."""

    content: Any


class Doubled(BaseModel):
    n: int = Field(default=1, validation_alias="nIn", serialization_alias="nOut")


@dataclass
class Nest:
    owner: Bird


# --- models with serializers, computed fields and excluded fields ---


class Price(BaseModel):
    amount: int
    secret: str = Field(default="hunter2", exclude=True)

    @field_serializer("amount")
    def _in_words(self, amount: int) -> str:
        return f"{amount} EUR"


class Circle(BaseModel):
    radius: int

    @computed_field(alias="theArea")  # type: ignore[prop-decorator]
    @property
    def area(self) -> float:
        return self.radius**2 * 3.0


class Short(BaseModel):
    text: str

    @model_serializer
    def _short(self) -> list[str]:
        return [self.text]


class Wrapped(BaseModel):
    text: str

    @model_serializer(mode="wrap")
    def _wrap(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"wrapped": handler(self)}


class FailingField(BaseModel):
    kind: type[Exception]

    @field_serializer("kind")
    def _fail(self, kind: type[Exception]) -> str:
        raise kind("hunter2")


class FailingModel(BaseModel):
    @model_serializer
    def _fail(self) -> str:
        raise KeyError("hunter2")


class FailingProperty(BaseModel):
    kind: type[Exception] = Field(exclude=True)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def fails(self) -> int:
        raise self.kind("hunter2")


def _flat(point: Point) -> str:
    return f"{point.x}/{point.y}"


FlatPoint = Annotated[Point, PlainSerializer(_flat)]


# --- numbers ---


class Number(BaseModel):
    value: float | None = None


class Unsure(BaseModel):
    value: float

    @field_serializer("value")
    def _or_none(self, value: float) -> float | None:
        return value if math.isfinite(value) else None


class UnsureInJSON(BaseModel):
    value: float

    @field_serializer("value", when_used="json")
    def _or_none(self, value: float) -> float | None:
        return value if math.isfinite(value) else None


class Wordy(BaseModel):
    value: float

    @field_serializer("value")
    def _as_text(self, value: float) -> str:
        return str(value)


class Joined(BaseModel):
    values: list[float]
    more: int | None = None

    @field_serializer("values", when_used="json")
    def _joined(self, values: list[float]) -> str:
        return " ".join(map(str, values))


class LeftOut(BaseModel):
    value: float = Field(exclude=True)
    more: int | None = None


class SubNumber(Number):
    more: int = 1


class Constant(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants")
    value: float | None = None


class Spelt(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="strings")
    value: float | None = None


class Nested(BaseModel):
    one: Constant


class Loose(BaseModel):
    value: Any = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    x: int = 1


class OpenTyped(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]
    x: int = 1


@dataclass
class Measured:
    value: float


class Table(BaseModel):
    rows: dict[str, int] = {}


class SubTable(Table):
    more: int = 1


class Keyed(BaseModel):
    by_float: dict[float, int] = {}


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    x: int = 1
