"""The JSON codecs, beyond the suite of all codecs: the values that `send_json` accepts, and how JSON is parsed."""

import json
from collections import OrderedDict, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr, computed_field, field_serializer
from pydantic_core import to_jsonable_python

from tests.support import stable_id
from typedws._messages.adapter import MessageAdapter, adapter_for
from typedws.codecs import BinaryJSON, Codec, TextJSON
from typedws.exceptions import InvalidMessage, UnsendableMessage

TEXT, BINARY, EXACT = TextJSON(), BinaryJSON(), TextJSON(exact_integers=True)
EXACT_BINARY = BinaryJSON(exact_integers=True)
NAN = float("nan")


class Point(BaseModel):
    x: int
    y: int = 0


class Aliased(BaseModel):
    wing_span: int = Field(default=1, alias="wingSpan")


class ByName(BaseModel):
    model_config = ConfigDict(serialize_by_alias=False, populate_by_name=True)
    wing_span: int = Field(default=1, alias="wingSpan")


class Number(BaseModel):
    value: float | None = None


class Lax(BaseModel):
    number: int = 0
    at: datetime | None = None
    pair: tuple[int, str] | None = None
    flag: bool = False
    text: str = ""


class Strict(Lax):
    model_config = ConfigDict(strict=True)


@dataclass
class Pixel:
    x: int
    when: date = date(2024, 1, 1)
    more: Any = None
    hidden: list[int] = field(default_factory=list[int], repr=False)


@dataclass(slots=True)
class Slotted:
    x: int


class Colour(Enum):
    RED = "red"
    PAIR = (1, 2)


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    A = "a"


class Pair(NamedTuple):
    x: int
    y: Any


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Mapped(dict[str, Any]):
    pass


def adapter(form: Any) -> MessageAdapter[Any]:
    return adapter_for(form)


def both() -> tuple[Codec[Any], ...]:
    return TEXT, BINARY


def framed(text: str) -> list[tuple[Codec[Any], Any]]:
    """Return every JSON codec with a text as its frame."""
    return [(TEXT, text), (BINARY, text.encode()), (EXACT, text), (EXACT_BINARY, text.encode())]


def written(value: object) -> Any:
    """Encode a value in both kinds of frame, which must agree, and parse it with the standard library."""
    text, data = TEXT.encode(value), BINARY.encode(value)
    assert isinstance(text, str)
    assert text.encode() == data
    return json.loads(text)


# --- sending ---

AT = datetime(2024, 2, 29, 12, 30, 15, 123456)

VALUES: dict[str, Any] = {
    "None": None,
    "text": "caf\u00e9 \U0001f600 \x00 \u2028",
    "numbers": [0, -1, 2**63, -(2**63), 2**64 - 1, 1.5, -0.0, 5e-324, 1.7976931348623157e308, 1e16, 1e22],
    "model": Point(x=1),
    "models": [Point(x=1), {"a": Point(x=2)}],
    "aliased model": [Aliased()],
    "dataclass": Pixel(1),
    "dataclass with slots": [Slotted(1)],
    "dataclass of all": Pixel(1, more=[Point(x=1), AT, UUID(int=5), {1: Slotted(1)}]),
    "datetime": AT,
    "datetime in UTC": AT.replace(tzinfo=UTC),
    "datetime elsewhere": AT.replace(tzinfo=timezone(timedelta(hours=5, minutes=30))),
    "datetime in a city": AT.replace(tzinfo=ZoneInfo("Europe/Berlin")),
    "datetime without microseconds": datetime(1, 1, 1, tzinfo=UTC),
    "datetime with few microseconds": AT.replace(microsecond=19218),
    "date": date(2024, 2, 29),
    "time": time(12, 30, 15, 123456),
    "time with few microseconds": time(12, 30, 15, 19218),
    "time in UTC": time(12, 30, tzinfo=UTC),
    "time span": timedelta(days=-1, microseconds=5),
    "UUID": UUID(int=5),
    "decimal": Decimal("1.500"),
    "enum": [Colour.RED, Colour.PAIR, Level.LOW, Word.A],
    "set": {1},
    "frozenset": frozenset({"a"}),
    "deque": deque([1, 2]),
    "tuple": (1, ("a",)),
    "named tuple": Pair(1, AT),
    "path": [Path("/a/b"), Path("c")],
    "address": ip_address("10.0.0.1"),
    "bytes": [b"caf\xc3\xa9", bytearray(b"a")],
    "secret": SecretStr("token"),
    "subclasses": [Text("a"), Whole(2), Mapped(a=1), OrderedDict(b=1), defaultdict(int, c=1)],
    "large integers": [2**64, -(2**63) - 1, 10**30, {"a": 10**400}],
    "large integer": 2**70,
    "keys that are numbers": {1: "a", -2: {3: 4}},
    "keys that are fractions": {1.5: "a"},
    "keys of other types": {None: 1, True: 2, UUID(int=5): 3, date(2024, 1, 1): 4, AT: 5, Decimal("1.5"): 6},
    "keys that are enums": {Colour.RED: 1, Word.A: 2, Level.LOW: 3},
    "keys and times": {1: AT, "b": [time(1, 2, 3), Point(x=1)]},
    "all beside a large integer": [2**70, Point(x=1), Pixel(1), AT, Aliased(), UUID(int=5), {1: Colour.RED}],
    "null, as text": ["null", None, {"null": "NaN", "a": "\ufffd", "b": "Infinity"}],
    "null beside a model": [None, Point(x=1), Aliased(), "\ufffd"],
    "nothing": [[], {}, "", (), set[int]()],
}


@pytest.mark.parametrize(
    "value",
    [pytest.param(value, id=name) for name, value in VALUES.items()],
)
def test_common_values_are_encoded_as_pydantic_serializes_them(value: Any) -> None:
    assert written(value) == to_jsonable_python(value, by_alias=True)
    assert written([{"a": value}]) == [{"a": to_jsonable_python(value, by_alias=True)}]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": [True, None, 1.0]}, '{"b":1,"a":[true,null,1.0]}'),
        (2**70, "1180591620717411303424"),
        ([2**70, {"a": -(2**70)}], '[1180591620717411303424,{"a":-1180591620717411303424}]'),
        ({1: 2, None: 3, False: 4}, '{"1":2,"None":3,"false":4}'),
        ({UUID(int=5): date(2024, 1, 2)}, '{"00000000-0000-0000-0000-000000000005":"2024-01-02"}'),
        (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), '"2024-01-02T03:04:05Z"'),
        (timedelta(seconds=90), '"PT1M30S"'),
        ([Decimal("1.50"), Colour.RED, Path("/a")], '["1.50","red","/a"]'),
        (Pixel(1), '{"x":1,"when":"2024-01-01","more":null,"hidden":[]}'),
        ([Aliased(), ByName()], '[{"wingSpan":1},{"wing_span":1}]'),
        ("caf\u00e9 <&> \u2028 \x7f", '"caf\u00e9 <&> \u2028 \x7f"'),
    ],
)
def test_json_is_written_without_spaces(value: object, expected: str) -> None:
    assert TEXT.encode(value) == expected
    assert BINARY.encode(value) == expected.encode()
    assert EXACT.encode(value) == expected


@pytest.mark.parametrize("value", [[ByName(), 2**70], {1: ByName()}, [ByName(), time(1, tzinfo=UTC)]], ids=stable_id)
def test_a_model_configured_by_name_is_encoded_by_name_beside_any_value(value: Any) -> None:
    assert "wing_span" in str(written(value))


no_surrogates = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
zones = st.sampled_from([None, UTC, timezone(timedelta(hours=-3)), ZoneInfo("Asia/Kathmandu")])
rich_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | no_surrogates
    | st.datetimes(timezones=zones)
    | st.dates()
    | st.times().filter(lambda value: value.microsecond == 0 or value.microsecond >= 100_000)
    | st.timedeltas()
    | st.uuids()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.sampled_from([Colour.RED, Colour.PAIR, Level.LOW, Word.A, Path("/a"), Point(x=1), Aliased(), b"bytes"])
)
rich_keys = (
    no_surrogates
    | st.integers()
    | st.booleans()
    | st.none()
    | st.uuids()
    | st.dates()
    | st.datetimes()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([Colour.RED, Word.A, Level.LOW])
)
rich_values = st.recursive(
    rich_scalars,
    lambda children: (
        st.lists(children, max_size=3)
        | st.lists(children, max_size=3).map(tuple)
        | st.lists(children, max_size=3).map(deque)
        | st.dictionaries(rich_keys, children, max_size=3)
        | children.map(lambda each: Pixel(1, more=each))
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(rich_values)
def test_random_values_are_encoded_as_pydantic_serializes_them(value: Any) -> None:
    assert written(value) == json.loads(json.dumps(to_jsonable_python(value, by_alias=True)))


@settings(max_examples=100, deadline=None)
@given(st.times(timezones=st.none() | st.just(UTC)))
def test_a_time_is_decoded_as_it_was_encoded(value: time) -> None:
    for codec in both():
        assert codec.decoder(adapter(time))(codec.encoder(adapter(time))(value)) == value


UNSENDABLE: dict[str, Any] = {
    "an object": object(),
    "a function": len,
    "a type": int,
    "a complex key": {object(): 1},
    "a fraction": [range(3), Fraction(1, 2)],
    "bytes that are not text": b"\xff",
    "bytes that are not text, within": [{"a": b"\xff"}, 2**70],
    "an object in a dataclass": Pixel(1, more=object()),
    "an object in a list": [1, [object()]],
}


@pytest.mark.parametrize("value", UNSENDABLE.values(), ids=list(UNSENDABLE))
def test_a_value_that_json_cannot_represent_is_refused(value: Any) -> None:
    for codec in both():
        with pytest.raises(UnsendableMessage) as caught:
            codec.encode(value)
        assert str(caught.value) == (
            f"expected a value that JSON can express, found a {type(value).__name__}: nothing was sent"
        )


def test_values_that_are_too_deep_are_refused() -> None:
    value: list[Any] = []
    for _ in range(10_000):
        value = [value]
    for codec in both():
        with pytest.raises(UnsendableMessage):
            codec.encode(value)
        with pytest.raises(UnsendableMessage):
            codec.encoder(adapter(list[Any]))(value)


def test_a_value_of_depth_100_is_encoded_and_decoded() -> None:
    value: list[Any] = []
    for _ in range(100):
        value = [value]
    assert TEXT.decode(TEXT.encode(value)) == value
    assert TEXT.decoder(adapter(Any))(TEXT.encode(value)) == value


class Failing(BaseModel):
    kind: type[Exception]

    @field_serializer("kind")
    def _fail(self, kind: type[Exception]) -> str:
        raise kind("secret")


class FailingProperty(BaseModel):
    x: int = 1

    @computed_field  # type: ignore[prop-decorator]
    @property
    def fails(self) -> int:
        raise KeyError("secret")


@pytest.mark.parametrize(
    "message",
    [Failing(kind=ValueError), Failing(kind=KeyError), Failing(kind=AttributeError), FailingProperty()],
    ids=["ValueError", "KeyError", "AttributeError", "KeyError of a property"],
)
@pytest.mark.parametrize("codec", [TEXT, BINARY], ids=["text", "binary"])
def test_an_exception_of_a_serializer_becomes_an_unsendable_message(codec: Codec[Any], message: BaseModel) -> None:
    for built in (adapter(type(message)), adapter(type(message) | Point)):
        for encode in (codec.encoder(built), partial(codec.encode_model, adapter=built)):
            with pytest.raises(UnsendableMessage) as caught:
                encode(message)
            assert "secret" not in str(caught.value)
            assert caught.value.__cause__ is not None
    with pytest.raises(UnsendableMessage):
        codec.encode([message])


# --- receiving ---

JSON_TEXTS: dict[str, Any] = {
    " [1 , 2]\n\t\r": [1, 2],
    '{"a":1,"a":2}': {"a": 2},
    '{"a":{"b":1},"a":{}}': {"a": {}},
    '"\\ud83d\\ude00 \\u0000 \\/"': "\U0001f600 \0 /",
    "-0": 0,
    "1E2": 100.0,
    "1.0": 1.0,
    "123456789012345678": 123456789012345678,
    '"\ufeff"': "\ufeff",
    '"NaN"': "NaN",
    '["Infinity",{"NaN":"-Infinity"},"\ufffd","null",null]': [
        "Infinity",
        {"NaN": "-Infinity"},
        "\ufffd",
        "null",
        None,
    ],
}


@pytest.mark.parametrize(("text", "value"), JSON_TEXTS.items(), ids=ascii)
def test_plain_values_and_messages_are_decoded_alike(text: str, value: Any) -> None:
    for codec, frame in framed(text):
        for back in (codec.decode(frame), codec.decode_or_refuse(frame, ""), codec.decoder(adapter(Any))(frame)):
            assert json.dumps(back) == json.dumps(value)


NOT_JSON = (
    "",
    " ",
    "\ufeff1",
    "\ufeff{}",
    "{",
    "[1,]",
    '{"a":1,}',
    "{'a':1}",
    "{a:1}",
    '{"a"}',
    "{1:2}",
    "[1 2]",
    "1 2",
    "{}{}",
    "01",
    "-",
    "+1",
    ".5",
    "1.",
    "1e",
    "0x10",
    "1_000",
    "\u0661",
    "nul",
    "True",
    "None",
    "undefined",
    "NaN",
    "-NaN",
    "Infinity",
    "-Infinity",
    "[NaN]",
    '{"a":Infinity}',
    "nan",
    "inf",
    '"',
    '"\\"',
    '"\\x41"',
    '"\\u12"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '{"\\ud800":1}',
    '"\n"',
    '"\x00"',
    "'a'",
    "// a\n1",
    "/* a */ 1",
    "\x00",
    "[1]\x00",
    "\u00a01",
)


@pytest.mark.parametrize("text", NOT_JSON, ids=ascii)
def test_text_that_is_not_json_is_malformed(text: str) -> None:
    for codec, frame in framed(text):
        for decode in (codec.decode, codec.decoder(adapter(Any)), codec.decoder(adapter(Point))):
            with pytest.raises(InvalidMessage) as caught:
                decode(frame)
            assert caught.value.problem == "malformed"
            assert caught.value.found == "malformed JSON"
            assert caught.value.close_code == 1007


@pytest.mark.parametrize(
    "data",
    [
        b'"\xff"',
        b'"\xc0\x80"',
        b'"\xed\xa0\x80"',
        b'"\xf4\x90\x80\x80"',
        b'"\xc3',
        b'"\xc3"',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-32"),
        b'["NaN\xff"]',
        b'{"\xff":1}',
    ],
)
def test_bytes_that_are_not_utf8_are_malformed(data: bytes) -> None:
    for decode in (BINARY.decode, BINARY.decoder(adapter(Any)), BINARY.decoder(adapter(dict[str, Any]))):
        with pytest.raises(InvalidMessage) as caught:
            decode(data)
        assert caught.value.problem == "malformed"


@pytest.mark.parametrize("text", ['"\ud800"', '{"\ud800":1}', "\ud800", '["NaN \ud800"]'], ids=ascii)
def test_text_with_a_lone_surrogate_is_refused(text: str) -> None:
    for decode in (TEXT.decode, EXACT.decode, TEXT.decoder(adapter(Any)), TEXT.decoder(adapter(str))):
        with pytest.raises(InvalidMessage):
            decode(text)


@pytest.mark.parametrize("text", ["1e999", "-1e999", "[1e999]", '{"a":[-1e400]}', "1" + "0" * 400 + ".0"])
def test_a_number_beyond_a_double_is_refused_in_plain_values(text: str) -> None:
    for codec in (TEXT, EXACT):
        with pytest.raises(InvalidMessage) as caught:
            codec.decode_or_refuse(text, "JSON")
        assert caught.value.problem == "malformed"
    with pytest.raises(InvalidMessage):
        BINARY.decode(text.encode())


def test_a_number_beyond_a_double_is_infinity_in_a_field_that_allows_it() -> None:
    class Finite(BaseModel):
        value: float = Field(allow_inf_nan=False)

    assert TEXT.decoder(adapter(Number))('{"value":1e999}') == Number(value=float("inf"))
    with pytest.raises(InvalidMessage, match="finite_number at value") as caught:
        TEXT.decoder(adapter(Finite))('{"value":1e999}')
    assert caught.value.problem == "invalid"


def test_integers_beyond_64_bits_become_floats() -> None:
    for number in (2**64, -(2**63) - 1, 10**30):
        for value in (TEXT.decode(str(number)), BINARY.decode(str(number).encode())):
            assert value == float(number)
            assert isinstance(value, float)
    for number in (2**64 - 1, -(2**63), 2**53 + 1):
        assert TEXT.decode(f"[{number}]") == [number]
        assert isinstance(TEXT.decode(str(number)), int)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(10**400), 10**400), max_size=3))
def test_exact_integers_are_exact(numbers: list[int]) -> None:
    for codec, _ in framed("")[2:]:
        back = codec.decode(codec.encode({"a": numbers}))["a"]
        assert back == numbers
        assert all(isinstance(number, int) for number in back)


def test_exact_integers_of_thousands_of_digits_are_refused_at_once() -> None:
    for codec in (EXACT, TEXT):
        for text in ("9" * 1_000_000, "-" + "9" * 1_000_000):
            with pytest.raises(InvalidMessage):
                codec.decode_or_refuse(text, "")
            with pytest.raises(InvalidMessage):
                codec.decoder(adapter(int))(text)


def test_messages_have_exact_integers_with_every_codec() -> None:
    for codec in (TEXT, EXACT):
        assert codec.decoder(adapter(Point))('{"x":1180591620717411303424}') == Point(x=2**70)
        assert codec.encoder(adapter(Point))(Point(x=2**70)) == '{"x":1180591620717411303424,"y":0}'


@pytest.mark.parametrize(
    ("fields", "lax", "strict"),
    [
        ({"number": "1"}, True, False),
        ({"number": 1.0}, True, False),
        ({"number": True}, True, False),
        ({"number": 1}, True, True),
        ({"at": "2024-01-01T00:00:00Z"}, True, True),
        ({"at": 1704067200}, True, False),
        ({"pair": [1, "a"]}, True, True),
        ({"pair": ["1", "a"]}, True, False),
        ({"flag": "yes"}, True, False),
        ({"text": 1}, False, False),
        ({"number": 1.5}, False, False),
    ],
    ids=stable_id,
)
def test_strict_models_accept_exactly_the_values_of_json(fields: Mapping[str, Any], lax: bool, strict: bool) -> None:
    text = json.dumps(fields)
    for form, frames, takes in ((Lax, text, lax), (Strict, text, strict), (list[Strict], f"[{text}]", strict)):
        for codec, frame in framed(frames):
            if takes:
                assert codec.decoder(adapter(form))(frame)
                continue
            with pytest.raises(InvalidMessage) as caught:
                codec.decoder(adapter(form))(frame)
            assert caught.value.problem == "invalid"


def test_a_codec_has_the_name_that_it_was_given() -> None:
    assert (TEXT.name, BINARY.name) == ("json", "json")
    assert (TextJSON("v2").name, BinaryJSON("v2", exact_integers=True).name) == ("v2", "v2")
    assert (TEXT.kind, BINARY.kind) == ("text", "binary")
