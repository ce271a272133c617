"""The guarantees of every codec for messages in any mode: one suite for the four built-in codecs and a user's own."""

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Never
from uuid import UUID

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Base64Bytes, BeforeValidator, Field, Json, PlainSerializer, SerializeAsAny, TypeAdapter

from tests.conformance.messages import (
    EVERYTHING,
    PLAIN_EVERYTHING,
    SUBJECTS,
    Bird,
    Blob,
    Box,
    ByFunction,
    ByName,
    Camel,
    Chat,
    ChatAlias,
    Checked,
    Circle,
    Closed,
    Colour,
    Constant,
    Crate,
    Doubled,
    Duration,
    Everything,
    FailingField,
    FailingModel,
    FailingProperty,
    FakeSay,
    FlatPoint,
    Join,
    Joined,
    Keyed,
    LeftOut,
    Line,
    Lookalike,
    Loose,
    Measured,
    Name,
    NamedBird,
    Names,
    Nest,
    Nested,
    Number,
    Open,
    OpenTyped,
    OtherPixel,
    Outline,
    OwnCodec,
    Picture,
    Pixel,
    Point,
    Points,
    Price,
    Profile,
    Say,
    SecretPixel,
    SecretPoint,
    SecretSay,
    Short,
    Spelt,
    StrictEverything,
    StrictText,
    SubByName,
    Subject,
    SubNumber,
    SubTable,
    Table,
    Tree,
    Unsure,
    UnsureInJSON,
    Wing,
    Wordy,
    Wrapped,
)
from tests.support import stable_id
from typedws._messages.adapter import MessageAdapter, adapter_for
from typedws.codecs import Codec
from typedws.exceptions import InvalidMessage, UnsendableMessage

BY_NAME = {subject.name: subject for subject in SUBJECTS}
BINARY = ("msgpack", "cbor")
ALL_MODES = " ".join(BY_NAME)
NAN, INF = float("nan"), float("inf")
NON_FINITE = (NAN, INF, -INF)
SURROGATE = "\ud800"
SECRET = "s3cr3t-t0k3n"
SECRET_NUMBER = 987_654_321

Hold = Callable[[Any], Any]


def each(cases: Mapping[str, tuple[Any, ...]], modes: str = "") -> list[Any]:
    """Return the parameters of every case in every mode, or in the modes named."""
    return [
        pytest.param(BY_NAME[mode], *case, id=f"{mode}-{name}")
        for mode in (modes.split() or BY_NAME)
        for name, case in cases.items()
    ]


every_mode = pytest.mark.parametrize("subject", SUBJECTS, ids=stable_id)
binary_mode = pytest.mark.parametrize("subject", [BY_NAME[name] for name in BINARY], ids=stable_id)


def adapter(form: Any) -> MessageAdapter[Any]:
    return adapter_for(form)


def encode(subject: Subject, form: Any, message: object) -> Any:
    """Encode a message, and assert that the fast path agrees if the codec has one and it does not raise."""
    frame: Any = None
    data = None
    with suppress(Exception):
        data = (subject.codec.quick_encoders(adapter(form)) or {})[type(message)](message)
    try:
        frame = subject.codec.encoder(adapter(form))(message)
        return frame
    finally:
        assert data in (None, frame if frame is None else as_bytes(frame))


def decode(subject: Subject, form: Any, frame: Any) -> Any:
    """Decode a message, and assert that the fast path agrees if the codec has one and it does not raise."""
    quick: Any = subject.codec.quick_decoder(adapter(form))
    message = quick_message = missing = object()
    if quick is not None and not any(mark in frame for mark in quick.unless):
        with suppress(ValueError, RecursionError):
            quick_message = quick.decode(frame)
    try:
        message = subject.codec.decoder(adapter(form))(frame)
        return message
    finally:
        assert quick_message is missing or repr(quick_message) == repr(message)


def as_bytes(frame: str | bytes) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame


def truncated(frame: Any, size: int) -> Any:
    return frame[:size]


# --- round trips ---

MESSAGES: dict[str, tuple[Any, Any, Any]] = {
    "model": (Point, Point(x=1), {"x": 1, "y": 0}),
    "nested model": (Line, Line(start=Point(x=1)), {"start": {"x": 1, "y": 0}, "end": None}),
    "dataclass": (Pixel, Pixel(1), {"x": 1, "colour": "red"}),
    "dataclass of models": (
        Picture,
        Picture([Pixel(1)], Point(x=1)),
        {"pixels": [{"x": 1, "colour": "red"}], "centre": {"x": 1, "y": 0}},
    ),
    "pydantic dataclass": (Checked, Checked(date(2024, 1, 1)), {"when": "2024-01-01"}),
    "TypedDict": (Profile, {"name": "ann", "age": 3}, {"name": "ann", "age": 3}),
    "TypedDict without an optional key": (Profile, {"name": "ann"}, {"name": "ann"}),
    "TypedDict of models": (Outline, {"corners": [Point(x=1)]}, {"corners": [{"x": 1, "y": 0}]}),
    "union": (Join | Say, Say(text="hi"), {"type": "say", "text": "hi"}),
    "union with None": (Point | None, Point(x=1), {"x": 1, "y": 0}),
    "None of a union": (Point | None, None, None),
    "union of a dataclass and a model": (Pixel | Name, Pixel(1), {"x": 1, "colour": "red"}),
    "discriminated union": (Chat, Join(room="r"), {"type": "join", "room": "r"}),
    "union discriminated by a function": (ByFunction, Say(text="hi"), {"type": "say", "text": "hi"}),
    "alias of a union": (ChatAlias, Join(room="r"), {"type": "join", "room": "r"}),
    "list of models": (list[Point], [Point(x=1), Point(x=2)], [{"x": 1, "y": 0}, {"x": 2, "y": 0}]),
    "list of a union": (list[Chat], [Say(text="hi")], [{"type": "say", "text": "hi"}]),
    "empty list": (list[Point], [], []),
    "dictionary of models": (dict[str, Point], {"a": Point(x=1)}, {"a": {"x": 1, "y": 0}}),
    "dictionary by number": (dict[int, Point], {7: Point(x=1)}, {"7": {"x": 1, "y": 0}}),
    "generic model": (Box[int], Box[int](content=1), {"content": 1}),
    "generic model of a model": (Box[Point], Box[Point](content=Point(x=1)), {"content": {"x": 1, "y": 0}}),
    "list of a generic model": (list[Box[str]], [Box[str](content="a")], [{"content": "a"}]),
    "recursive model": (
        Tree,
        Tree(name="a", branches=[Tree(name="b", branches=[Tree(name="c")])]),
        {"name": "a", "branches": [{"name": "b", "branches": [{"name": "c", "branches": []}]}]},
    ),
    "root model": (Names, Names(["a", "b"]), ["a", "b"]),
    "root model of models": (Points, Points({"a": Point(x=1)}), {"a": {"x": 1, "y": 0}}),
    "everything": (Everything, Everything(**EVERYTHING), PLAIN_EVERYTHING),
    "strict everything": (StrictEverything, StrictEverything(**EVERYTHING), PLAIN_EVERYTHING),
    "list of strict everything": (list[StrictEverything], [StrictEverything(**EVERYTHING)], [PLAIN_EVERYTHING]),
    "bytes as base64": (Blob, Blob(data=b"\xff\x00"), {"data": "_wA="}),
    "base64 field": (Base64Bytes, b"hi", "aGk="),
    "time span as a number": (Duration, Duration(took=timedelta(seconds=1.5)), {"took": 1.5}),
    "a time where text is allowed": (
        datetime | str,
        datetime(2024, 1, 1, tzinfo=UTC),
        "2024-01-01T00:00:00Z",
    ),
    "a UUID where text is allowed": (UUID | str, UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    "a decimal where text is allowed": (Box[Decimal | str], Box[Decimal | str](content=Decimal(1)), {"content": "1"}),
    "bytes where text is allowed": (bytes | str, b"a", "a"),
    "text": (str, "caf\u00e9 \U0001f600 \u0000", "caf\u00e9 \U0001f600 \u0000"),
    "number": (float, 1.5, 1.5),
    "number written without a fraction": (float, 2.0, 2.0),
    "enum": (Colour, Colour.RED, "red"),
    "literal": (Literal["a", "b"], "b", "b"),
    "tuple": (tuple[int, str], (1, "a"), [1, "a"]),
    "set": (set[int], {1}, [1]),
    "None": (None, None, None),
}


@pytest.mark.parametrize(
    ("subject", "form", "message", "plain"),
    each(MESSAGES),
)
def test_a_message_is_decoded_as_it_was_encoded(subject: Subject, form: Any, message: Any, plain: Any) -> None:
    back = decode(subject, form, encode(subject, form, message))
    assert back == message
    assert type(back) is type(message)


@pytest.mark.parametrize(("subject", "form", "message", "plain"), each(MESSAGES))
def test_the_encoded_values_are_the_same_in_every_mode_and_of_the_declared_type(
    subject: Subject, form: Any, message: Any, plain: Any
) -> None:
    frame = encode(subject, form, message)
    assert subject.codec.decode(frame) == plain
    assert json.dumps(subject.codec.decode(frame)) == json.dumps(plain)  # the order counts, and True differs from 1
    assert TypeAdapter[Any](form).validate_json(json.dumps(plain)) == message


@pytest.mark.parametrize(("subject", "form", "message", "plain"), each(MESSAGES))
def test_the_methods_agree_with_the_cached_functions(subject: Subject, form: Any, message: Any, plain: Any) -> None:
    codec, built = subject.codec, adapter(form)
    frame = codec.encode_model(message, built)
    assert frame == codec.encoder(built)(message)
    assert codec.decode_model(frame, built) == codec.decoder(built)(frame)
    assert type(frame) is (str if codec.kind == "text" else bytes)


@every_mode
def test_functions_are_cached_for_each_codec_and_type(subject: Subject) -> None:
    codec, built = subject.codec, adapter(Point)
    assert codec.encoder(built) is codec.encoder(built)
    assert codec.decoder(built) is codec.decoder(built)
    assert codec.encoder(built) is not codec.encoder(adapter(Name))


def test_codecs_made_for_each_call_do_not_fill_the_cache() -> None:
    built = adapter(Point)
    for _ in range(100):
        codec = OwnCodec()
        assert codec.decoder(built)(codec.encoder(built)(Point(x=1))) == Point(x=1)
    assert 0 < len(built.encoders) <= 16
    assert 0 < len(built.decoders) <= 16


# --- aliases ---

ALIASES: dict[str, tuple[Any, Any, Any]] = {
    "alias": (Wing, Wing(), {"wingSpan": 1}),
    "nested alias": (Bird, Bird(), {"birdName": "owl", "left": {"wingSpan": 1}}),
    "alias generator": (Camel, Camel(), {"humpCount": 2}),
    "no alias of its own": (Box[Wing], Box[Wing](content=Wing()), {"content": {"wingSpan": 1}}),
    "list": (list[Wing], [Wing()], [{"wingSpan": 1}]),
    "dictionary": (dict[str, Camel], {"a": Camel()}, {"a": {"humpCount": 2}}),
    "optional": (Wing | None, Wing(), {"wingSpan": 1}),
    "union": (Wing | Camel, Camel(), {"humpCount": 2}),
    "annotated": (Annotated[Wing, Field(description="a wing")], Wing(), {"wingSpan": 1}),
    "in a dataclass": (Nest, Nest(Bird()), {"owner": {"birdName": "owl", "left": {"wingSpan": 1}}}),
    "two aliases": (Doubled, Doubled(), {"nOut": 1}),
    "by name": (ByName, ByName(), {"by_name": 1}),
    "by name, nested in by name": (NamedBird, NamedBird(), {"bird_name": "owl", "left": {"hump_count": 2}}),
    "list of by name": (list[ByName], [ByName()], [{"by_name": 1}]),
    "optional by name": (ByName | None, ByName(), {"by_name": 1}),
    "by name in a union with by alias": (ByName | Wing, ByName(), {"by_name": 1}),
    "by alias in a union with by name": (ByName | Wing, Wing(), {"wingSpan": 1}),
    "subclass by name in a union with by alias": (ByName | Wing, SubByName(), {"by_name": 1}),
    # One serialization has one flag: if the models in a container disagree, all of them are serialized by alias.
    "list of a union of both": (list[ByName | Wing], [ByName(), Wing()], [{"byAlias": 1}, {"wingSpan": 1}]),
    "alias in a field of any type": (Crate, Crate(content=Wing()), {"content": {"wingSpan": 1}}),
}


@pytest.mark.parametrize(
    ("subject", "form", "message", "plain"),
    each(ALIASES),
)
def test_messages_are_encoded_by_alias_unless_configured_by_name(
    subject: Subject, form: Any, message: Any, plain: Any
) -> None:
    assert subject.codec.decode(encode(subject, form, message)) == plain


@pytest.mark.parametrize(
    ("subject", "form", "message"),
    each({name: case[:2] for name, case in ALIASES.items() if name in ("alias", "nested alias", "by name", "union")}),
)
def test_aliases_are_decoded(subject: Subject, form: Any, message: Any) -> None:
    assert decode(subject, form, encode(subject, form, message)) == message


# --- subclasses ---

LEAKS: dict[str, tuple[Any, Any, Any]] = {
    "model": (Point, SecretPoint(x=1), {"x": 1, "y": 0}),
    "optional": (Point | None, SecretPoint(x=1), {"x": 1, "y": 0}),
    "union": (Point | Name, SecretPoint(x=1), {"x": 1, "y": 0}),
    "discriminated union": (Chat, SecretSay(text="hi"), {"type": "say", "text": "hi"}),
    "union discriminated by a function": (ByFunction, SecretSay(text="hi"), {"type": "say", "text": "hi"}),
    "annotated": (Annotated[Point, Field(description="a point")], SecretPoint(x=1), {"x": 1, "y": 0}),
    "list": (list[Point], [SecretPoint(x=1)], [{"x": 1, "y": 0}]),
    "tuple": (tuple[Point, ...], (SecretPoint(x=1),), [{"x": 1, "y": 0}]),
    "dictionary": (dict[str, Point], {"a": SecretPoint(x=1)}, {"a": {"x": 1, "y": 0}}),
    "nested field": (
        Line,
        Line(start=SecretPoint(x=1), end=SecretPoint(x=2)),
        {"start": {"x": 1, "y": 0}, "end": {"x": 2, "y": 0}},
    ),
    "generic model": (Box[Point], Box[Point](content=SecretPoint(x=1)), {"content": {"x": 1, "y": 0}}),
    "root model": (Points, Points({"a": SecretPoint(x=1)}), {"a": {"x": 1, "y": 0}}),
    "TypedDict": (Outline, {"corners": [SecretPoint(x=1)]}, {"corners": [{"x": 1, "y": 0}]}),
    "additional key of a TypedDict": (Profile, {"name": "ann", "password": "hunter2"}, {"name": "ann"}),
    "dataclass": (Pixel, SecretPixel(1), {"x": 1, "colour": "red"}),
    "list of dataclasses": (list[Pixel], [SecretPixel(1)], [{"x": 1, "colour": "red"}]),
    "union with a dataclass": (Pixel | Name, SecretPixel(1), {"x": 1, "colour": "red"}),
    "dataclass in a dataclass": (
        Picture,
        Picture([SecretPixel(1)], SecretPoint(x=1)),
        {"pixels": [{"x": 1, "colour": "red"}], "centre": {"x": 1, "y": 0}},
    ),
}


@pytest.mark.parametrize(("subject", "form", "message", "plain"), each(LEAKS))
def test_the_additional_fields_of_a_subclass_are_not_sent(
    subject: Subject, form: Any, message: Any, plain: Any
) -> None:
    frame = encode(subject, form, message)
    assert subject.codec.decode(frame) == plain
    assert b"hunter2" not in as_bytes(frame)


@every_mode
def test_a_subclass_is_encoded_whole_with_serialize_as_any(subject: Subject) -> None:
    frame = encode(subject, list[SerializeAsAny[Point]], [SecretPoint(x=1)])
    assert subject.codec.decode(frame) == [{"x": 1, "y": 0, "password": "hunter2"}]


# --- messages of another type ---

WRONG: dict[str, tuple[Any, Any]] = {
    "another model": (Point, Name(name="ann")),
    "a model with the same fields": (Point, Lookalike(x=1)),
    "a base class": (SecretPoint, Point(x=1)),
    "a dictionary for a model": (Point, {"x": 1, "y": 0}),
    "None for a model": (Point, None),
    "the class itself": (Point, Point),
    "another parametrisation": (Box[int], Box[str](content="a")),
    "not a member of the union": (Point | Name, Lookalike(x=1)),
    "not a member of a discriminated union, with its tag": (Chat, FakeSay(text="hi")),
    "another model for an optional one": (Point | None, Lookalike(x=1)),
    "another model for an annotated one": (Annotated[Point, Field(description="a point")], Lookalike(x=1)),
    "another model in a list": (list[Point], [Point(x=1), Lookalike(x=1)]),
    "a model that shares no field in a list": (list[Point], [Name(name="ann")]),
    "another model in a dictionary": (dict[str, Point], {"a": Lookalike(x=1)}),
    "another model in a tuple": (tuple[Point, ...], (Lookalike(x=1),)),
    "another model in a TypedDict": (Outline, {"corners": [Lookalike(x=1)]}),
    "a dictionary in a list of models": (list[Point], [{"x": 1}]),
    "another dataclass": (Pixel, OtherPixel(1)),
    "another dataclass in a list": (list[Pixel], [OtherPixel(1)]),
    "a model for a dataclass": (Pixel, Lookalike(x=1)),
    "a TypedDict without a required key": (Profile, {"age": 3}),
    "a model for a TypedDict": (Profile, Name(name="ann")),
    "a serializer's wrong argument": (FlatPoint, Name(name="ann")),
    "a number for text": (str, 1),
    "text for a number": (int, "1"),
    "None for text": (str, None),
    "a tuple for a list": (list[int], (1, 2)),
    "another literal": (Literal["a"], "b"),
    "another enum's value": (Colour, "red"),
    "anything where nothing is sent": (Never, Point(x=1)),
    "None where nothing is sent": (Never, None),
}


@pytest.mark.parametrize(("subject", "form", "message"), each(WRONG))
def test_a_message_of_another_type_is_refused(subject: Subject, form: Any, message: Any) -> None:
    with pytest.raises(UnsendableMessage) as caught:
        encode(subject, form, message)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(UnsendableMessage):
        subject.codec.encode_model(message, adapter(form))


# --- serializers ---

SERIALIZED: dict[str, tuple[Any, Any, Any]] = {
    "field serializer and excluded field": (Price, Price(amount=1), {"amount": "1 EUR"}),
    "computed field": (Circle, Circle(radius=2), {"radius": 2, "theArea": 12.0}),
    "model serializer": (Short, Short(text="hi"), ["hi"]),
    "wrapping model serializer": (Wrapped, Wrapped(text="hi"), {"wrapped": {"text": "hi"}}),
    "root model": (Names, Names(["a"]), ["a"]),
    "in a union": (Price | Short, Price(amount=1), {"amount": "1 EUR"}),
    "the other of a union": (Price | Short, Short(text="hi"), ["hi"]),
    "in a list": (list[Price | Circle], [Price(amount=1), Circle(radius=1)], None),
    "annotated": (FlatPoint, Point(x=1), "1/0"),
    "annotated on a union member": (FlatPoint | Name, Point(x=1), "1/0"),
    "beside an annotated union member": (FlatPoint | Name, Name(name="ann"), {"name": "ann"}),
    "subclass of an annotated union member": (FlatPoint | Name, SecretPoint(x=1), "1/0"),
    "annotated in a list": (list[FlatPoint], [Point(x=1)], ["1/0"]),
    "number as None": (Unsure, Unsure(value=NAN), {"value": None}),
    "number as text": (Wordy, Wordy(value=INF), {"value": "inf"}),
    "numbers as one text, in JSON": (Joined, Joined(values=[1, NAN]), {"values": "1.0 nan", "more": None}),
    "number that is left out": (LeftOut, LeftOut(value=NAN), {"more": None}),
    "annotated twice": (
        Annotated[FlatPoint | Name, PlainSerializer(lambda message: type(message).__name__)],
        Name(name="ann"),
        "Name",
    ),
}


@pytest.mark.parametrize(
    ("subject", "form", "message", "plain"),
    each(SERIALIZED),
)
def test_serializers_have_the_same_effect_in_every_mode(subject: Subject, form: Any, message: Any, plain: Any) -> None:
    expected = [{"amount": "1 EUR"}, {"radius": 1, "theArea": 3.0}] if plain is None else plain
    assert subject.codec.decode(encode(subject, form, message)) == expected


FAILING: dict[str, tuple[Any, Any]] = {
    "field": (FailingField, FailingField(kind=ValueError)),
    "field, KeyError": (FailingField, FailingField(kind=KeyError)),
    "model": (FailingModel, FailingModel()),
    "in a union": (FailingModel | Name, FailingModel()),
    "in a list": (list[FailingField], [FailingField(kind=ZeroDivisionError)]),
    "property": (FailingProperty, FailingProperty(kind=ValueError)),
    "property, KeyError": (FailingProperty, FailingProperty(kind=KeyError)),
    "property, AttributeError": (FailingProperty | Name, FailingProperty(kind=AttributeError)),
}


@pytest.mark.parametrize(
    ("subject", "form", "message"),
    each(FAILING),
)
def test_an_exception_of_a_serializer_becomes_an_unsendable_message(subject: Subject, form: Any, message: Any) -> None:
    with pytest.raises(UnsendableMessage) as caught:
        encode(subject, form, message)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is not None


# --- messages changed without validation ---


@every_mode
@pytest.mark.parametrize("y", [1, None])
def test_a_value_assigned_without_validation_is_sent_with_a_warning(subject: Subject, y: int | None) -> None:
    message = Line(start=Point(x=1), end=None if y is None else Point(x=y))
    message.start.x = "one"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.warns(UserWarning, match="serializer warnings"):
        frame = encode(subject, Line, message)
    assert subject.codec.decode(frame)["start"] == {"x": "one", "y": 0}


# --- non-finite numbers ---

HOLDERS: dict[str, tuple[Any, Hold]] = {
    "model": (Number, lambda number: Number(value=number)),
    "constants": (Constant, lambda number: Constant(value=number)),
    "strings": (Spelt, lambda number: Spelt(value=number)),
    "nested": (Nested, lambda number: Nested(one=Constant(value=number))),
    "list of models": (list[Constant], lambda number: [Constant(value=1.5), Constant(value=number)]),
    "dictionary of models": (dict[str, Constant], lambda number: {"a": Constant(value=number)}),
    "union": (Number | Name, lambda number: Number(value=number)),
    "subclass": (Number, lambda number: SubNumber(value=number)),
    "subclass in a union": (Number | Name, lambda number: SubNumber(value=number)),
    "dataclass": (Measured, Measured),
    "generic model": (Box[float], lambda number: Box[float](content=number)),
    "additional field": (OpenTyped, lambda number: OpenTyped.model_validate({"y": number})),
    "number itself": (float, lambda number: number),
    "list of numbers": (list[float], lambda number: [number]),
    "dictionary of numbers": (dict[str, float], lambda number: {"a": number}),
    "field of any type": (Loose, lambda number: Loose(value=number)),
    "list in a field of any type": (Loose, lambda number: Loose(value=[{"a": (number,)}])),
    "model in a field of any type": (Loose, lambda number: Loose(value=Number(value=number))),
    "additional field of any type": (Open, lambda number: Open.model_validate({"y": number})),
    "anything": (Any, lambda number: number),
    "list of anything": (list[Any], lambda number: [number]),
}


@pytest.mark.parametrize(
    ("subject", "form", "hold"),
    each(HOLDERS),
)
def test_a_message_with_a_non_finite_number_is_refused(subject: Subject, form: Any, hold: Any) -> None:
    for number in NON_FINITE:
        with pytest.raises(UnsendableMessage, match="finite"):
            encode(subject, form, hold(number))


@pytest.mark.parametrize(
    ("subject", "form", "hold"),
    each(HOLDERS),
)
def test_a_message_with_a_finite_number_is_accepted(subject: Subject, form: Any, hold: Any) -> None:
    for number in (1.5, -0.0, 5e-324, 1.7976931348623157e308):
        frame = encode(subject, form, hold(number))
        assert repr(number) in repr(subject.codec.decode(frame))
        assert repr(number) in repr(decode(subject, form, frame))


@every_mode
def test_a_number_that_is_a_key_is_encoded_as_text(subject: Subject) -> None:
    for number in NON_FINITE:
        message = Keyed(by_float={number: 1})
        [keys] = subject.codec.decode(encode(subject, Keyed, message)).values()
        assert all(isinstance(key, str) for key in keys)


@every_mode
def test_a_serializer_for_json_must_not_write_none_for_a_non_finite_number(subject: Subject) -> None:
    with pytest.raises(UnsendableMessage, match="finite"):
        encode(subject, UnsureInJSON, UnsureInJSON(value=NAN))


@every_mode
def test_a_non_finite_number_is_refused_in_a_set_of_a_field_of_any_type(subject: Subject) -> None:
    for number in range(100):
        with pytest.raises(UnsendableMessage):
            encode(subject, Loose, Loose(value={NAN, *map(str, range(number, number + 5))}))


PLAIN_HOLDERS: dict[str, tuple[Hold]] = {
    "itself": (lambda number: number,),
    "list": (lambda number: [1, number],),
    "dictionary": (lambda number: {"a": number},),
    "deep": (lambda number: [{"a": [{"b": [None, number]}]}],),
    "tuple": (lambda number: (number,),),
}


@pytest.mark.parametrize(("subject", "hold"), each(PLAIN_HOLDERS))
def test_a_plain_value_with_a_non_finite_number_is_refused(subject: Subject, hold: Any) -> None:
    for number in NON_FINITE:
        with pytest.raises(UnsendableMessage, match="finite"):
            subject.codec.encode(hold(number))


RICH_HOLDERS: dict[str, tuple[Hold]] = {
    "model": (lambda number: Number(value=number),),
    "list of models": (lambda number: [Constant(value=number)],),
    "model with text for it": (lambda number: {"a": [Spelt(value=number)]},),
    "dataclass": (lambda number: [Measured(number)],),
    "set": (lambda number: {number},),
    "beside a large number": (lambda number: [2**63, number],),
    "beside bytes": (lambda number: [b"bytes", number],),
    "beside a time": (lambda number: [datetime(2024, 1, 1), number],),
    "beside a key that is a number": (lambda number: {1: number},),
    "model with any field": (lambda number: [Loose(value=number)],),
    "key": (lambda number: {number: 1},),
    "decimal": (lambda number: [Decimal(number)],),
}


@pytest.mark.parametrize(
    ("subject", "hold"),
    each(
        RICH_HOLDERS,
        "text binary msgpack cbor",
    ),
)
def test_a_non_finite_number_is_refused_in_every_value_of_send_json(subject: Subject, hold: Any) -> None:
    for number in NON_FINITE:
        with pytest.raises(UnsendableMessage, match="finite"):
            subject.codec.encode(hold(number))


INCOMING: dict[str, tuple[Any, Hold]] = {
    "model": (Number, lambda number: {"value": number}),
    "constants": (Constant, lambda number: {"value": number}),
    "strict model": (StrictEverything, lambda number: {"maybe": number}),
    "nested": (Nested, lambda number: {"one": {"value": number}}),
    "list of models": (list[Constant], lambda number: [{"value": number}]),
    "field of any type": (Loose, lambda number: {"value": [number]}),
    "additional field": (Open, lambda number: {"y": number}),
    "ignored field": (Point, lambda number: {"x": 1, "z": number}),
    "number itself": (float, lambda number: number),
    "list of numbers": (list[float], lambda number: [number]),
    "anything": (Any, lambda number: {"a": [number]}),
    "integer": (int, lambda number: number),
    "text": (str, lambda number: number),
}


@pytest.mark.parametrize(("subject", "form", "hold"), each(INCOMING))
def test_a_non_finite_number_is_malformed(subject: Subject, form: Any, hold: Any) -> None:
    for number in NON_FINITE:
        refuses(subject, form, subject.write(hold(number)))


WORDS = ("NaN", "Infinity", "-Infinity", "null", "nan", "N", "I", "\ufffd", "NaN\ufffdnull")


@pytest.mark.parametrize("word", WORDS)
@every_mode
def test_text_that_looks_like_a_non_finite_number_is_accepted(subject: Subject, word: str) -> None:
    for form, message in (
        (Name, Name(name=word)),
        (Name | Point, Name(name=word)),
        (dict[str, str], {word: word}),
        (Loose, Loose(value={word: [word, None]})),
        (Open, Open.model_validate({word: word})),
        (Number | Name, Name(name=word)),
        (str, word),
    ):
        assert decode(subject, form, encode(subject, form, message)) == message
    for plain in (word, [word], {word: word, "a": None}):
        assert subject.codec.decode(subject.codec.encode(plain)) == plain
        assert subject.codec.decode(subject.write(plain)) == plain


@every_mode
def test_none_is_accepted_for_an_optional_number(subject: Subject) -> None:
    assert decode(subject, Number, encode(subject, Number, Number())) == Number()
    assert subject.codec.decode(encode(subject, Number, SubNumber(value=None))) == {"value": None}


@settings(max_examples=100, deadline=None)
@given(st.floats(width=64) | st.floats(width=32), st.lists(st.integers(0, 255), max_size=3))
@pytest.mark.parametrize("subject", SUBJECTS, ids=stable_id)
def test_non_finite_numbers_are_refused_and_no_others(subject: Subject, number: float, around: list[int]) -> None:
    value = [*around, {"a": number}, *around]
    if math.isfinite(number):
        assert subject.codec.decode(subject.codec.encode(value)) == value
        assert subject.codec.decode(subject.write(value)) == value
    else:
        with pytest.raises(UnsendableMessage):
            subject.codec.encode(value)
        with pytest.raises(InvalidMessage):
            subject.codec.decode_or_refuse(subject.write(value), "")


def _encoded_numbers() -> list[Any]:
    """Return one-number frames in every width, as (codec, frame, whether the number is finite)."""
    cases: list[Any] = []
    for width, exponent in ((2, 0x7C00), (4, 0x7F800000), (8, 0x7FF0000000000000)):
        sign = 1 << (8 * width - 1)
        fraction = sign - exponent - 1
        for bits, finite in (
            (exponent, False),
            (exponent | sign, False),
            (exponent | 1, False),
            (exponent | fraction, False),
            (exponent | sign | fraction, False),
            (exponent - 1, True),
            (exponent - 1 | sign, True),
            (fraction, True),
            (1 | sign, True),
            (0, True),
        ):
            data = bits.to_bytes(width, "big")
            for mode, first in (("cbor", {2: 0xF9, 4: 0xFA, 8: 0xFB}), ("msgpack", {4: 0xCA, 8: 0xCB})):
                if width in first:
                    frame = bytes([first[width]]) + data
                    cases.append(pytest.param(BY_NAME[mode], frame, finite, id=f"{mode}-{frame.hex()}"))
    return cases


@pytest.mark.parametrize(("subject", "frame", "finite"), _encoded_numbers())
def test_numbers_of_every_width_are_checked(subject: Subject, frame: bytes, finite: bool) -> None:
    if finite:
        assert math.isfinite(decode(subject, float, frame))
    else:
        with pytest.raises(InvalidMessage):
            decode(subject, float, frame)


HIDDEN: dict[str, tuple[Any]] = {
    "cbor key": (b"\xa1\xf9\x7e\x00\x01",),
    "cbor set": (b"\xd9\x01\x02\x81\xf9\x7e\x00",),
    "cbor unknown tag": (b"\xd9\x17\x70\xf9\x7e\x00",),
    "cbor complex": (b"\xd9\xa7\xf8\x82\xf9\x7e\x00\x01",),
    "cbor list in a key": (b"\xa1\x81\xf9\x7e\x00\x01",),
    "msgpack key": (b"\x81\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\x01",),
}


@pytest.mark.parametrize(("mode", "frame"), [(name.split()[0], *case) for name, case in HIDDEN.items()], ids=HIDDEN)
def test_a_non_finite_number_is_found_in_keys_sets_and_tags(mode: str, frame: bytes) -> None:
    with pytest.raises(InvalidMessage):
        decode(BY_NAME[mode], Any, frame)


LOOKS_NON_FINITE = b"\xf9\x7e\x00 \xfa\x7f\x80\x00\x00 \xfb\x7f\xf0 \xca\x7f\x80\x00\x00 \xcb\x7f\xf0"


@binary_mode
def test_bytes_that_look_like_a_non_finite_number_are_encoded(subject: Subject) -> None:
    assert subject.codec.decode(subject.codec.encode([LOOKS_NON_FINITE])) == [LOOKS_NON_FINITE]


@binary_mode
def test_bytes_that_look_like_a_non_finite_number_are_decoded(subject: Subject) -> None:
    assert decode(subject, bytes, subject.write(LOOKS_NON_FINITE)) == LOOKS_NON_FINITE


# --- lone surrogates ---

BROKEN_TEXTS: dict[str, tuple[Any, Any]] = {
    "field": (Name, Name.model_construct(name=SURROGATE)),
    "field in a union": (Name | Point, Name.model_construct(name=SURROGATE)),
    "field in a list": (list[Name], [Name.model_construct(name=SURROGATE)]),
    "key": (Table, Table.model_construct(rows={SURROGATE: 1})),
    "key in a subclass": (Table, SubTable.model_construct(rows={SURROGATE: 1})),
    "key in a union": (Table | Name, Table.model_construct(rows={SURROGATE: 1})),
    "key of a subclass in a union": (Table | Name, SubTable.model_construct(rows={SURROGATE: 1})),
    "key of a dictionary": (dict[str, int], {SURROGATE: 1}),
    "key of a nested dictionary": (dict[str, dict[str, int]], {"a": {"b" + SURROGATE: 1}}),
    "additional field": (Open, Open.model_construct(None, **{SURROGATE: 1})),
    "key in a field of any type": (Loose, Loose(value={SURROGATE: 1})),
    "text in a field of any type": (Loose, Loose(value=[SURROGATE])),
    "text": (str, SURROGATE),
    "text in a list": (list[str], ["a" + SURROGATE + "b"]),
    "key beside U+FFFD": (dict[str, str], {"a": "\ufffd", SURROGATE: "\ufffd"}),
}


@pytest.mark.parametrize(
    ("subject", "form", "message"),
    each(BROKEN_TEXTS),
)
def test_a_message_with_a_lone_surrogate_is_refused(subject: Subject, form: Any, message: Any) -> None:
    with pytest.raises(UnsendableMessage):
        encode(subject, form, message)


BROKEN_PLAIN = (SURROGATE, [SURROGATE], {SURROGATE: 1}, {"a": {"b" + SURROGATE: 1}}, {"a": [SURROGATE]}, (SURROGATE,))


@pytest.mark.parametrize("value", BROKEN_PLAIN, ids=ascii)
@every_mode
def test_a_plain_value_with_a_lone_surrogate_is_refused(subject: Subject, value: Any) -> None:
    with pytest.raises(UnsendableMessage):
        subject.codec.encode(value)


RICH_BROKEN: dict[str, tuple[Any]] = {
    "model": ([Name.model_construct(name=SURROGATE)],),
    "key in a model": ([Table.model_construct(rows={SURROGATE: 1})],),
    "beside a key that is a number": ({1: SURROGATE},),
    "beside a large number": ({SURROGATE: 2**63},),
    "set": ({SURROGATE},),
    "beside bytes": ([b"bytes", SURROGATE],),
    "beside a time": ([datetime(2024, 1, 1), {SURROGATE: 1}],),
}


@pytest.mark.parametrize(
    ("subject", "value"),
    each(RICH_BROKEN, modes="text binary msgpack cbor"),
)
def test_a_lone_surrogate_is_refused_in_every_value_of_send_json(subject: Subject, value: Any) -> None:
    with pytest.raises(UnsendableMessage):
        subject.codec.encode(value)


def test_text_of_a_codec_that_utf8_cannot_encode_is_refused() -> None:
    class Careless(OwnCodec):
        def encode(self, value: object) -> str:
            return str(value)

    with pytest.raises(UnsendableMessage, match="lone surrogate at index 1"):
        Careless().encoder(adapter(str))("a" + SURROGATE)


# --- malformed data ---

FORMS: dict[str, Any] = {
    "anything": Any,
    "model": Point,
    "strict model": StrictEverything,
    "strict text": StrictText,
    "everything": Everything,
    "discriminated union": Chat,
    "recursive model": Tree,
    "list of models": list[Point],
    "dictionary by number": dict[int, Any],
    "numbers": list[float],
    "nothing": Never,
}


def refuses_or_reads(subject: Subject, frame: Any) -> None:
    """Decode a frame in every way: each must return a value, or raise an `InvalidMessage` whose methods work."""
    for form in (None, *FORMS.values()):
        try:
            if form is None:
                subject.codec.decode_or_refuse(frame, "anything")
            else:
                decode(subject, form, frame)
        except InvalidMessage as error:
            check_methods(error)


def check_methods(error: InvalidMessage) -> None:
    assert error.problem in ("malformed", "invalid")
    assert error.close_code == 1007
    assert str(error)
    assert len(error.errors()) >= 1
    assert len(error.errors(include_input=True)) == len(error.errors())
    assert len(error.locations()) in (0, len(error.errors()))


def refuses(subject: Subject, form: Any, frame: Any) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        subject.codec.decode_or_refuse(frame, "anything")
    assert caught.value.problem == "malformed"
    with pytest.raises(InvalidMessage) as caught:
        decode(subject, form, frame)
    assert caught.value.problem == "malformed"
    assert caught.value.close_code == 1007
    return caught.value


@pytest.mark.parametrize("name", ["model", "everything", "recursive model", "list of models", "discriminated union"])
@every_mode
def test_a_frame_truncated_anywhere_is_malformed(subject: Subject, name: str) -> None:
    form, message, _ = MESSAGES[name]
    frame = encode(subject, form, message)
    for size in range(len(frame)):
        refuses(subject, form, truncated(frame, size))


@every_mode
def test_a_frame_with_trailing_data_is_malformed(subject: Subject) -> None:
    frame = encode(subject, Point, Point(x=1))
    refuses(subject, Point, frame + frame)


BRACKETS: dict[str, tuple[Any]] = {
    "text lists": ("[" * 100_000,),
    "text closed lists": ("[" * 100_000 + "]" * 100_000,),
    "text dictionaries": ('{"a":' * 100_000,),
    "text lists with a constant": ("[" * 100_000 + "NaN",),
    "binary lists": (b"[" * 100_000,),
    "binary dictionaries": (b'{"branches":[' * 100_000,),
    "msgpack lists": (b"\x91" * 100_000,),
    "msgpack dictionaries": (b"\x81\xa1a" * 100_000,),
    "msgpack lists with a number": (b"\x91" * 100_000 + b"\xcb\x7f\xf0" + bytes(6),),
    "cbor lists": (b"\x81" * 100_000,),
    "cbor endless lists": (b"\x9f" * 100_000,),
    "cbor dictionaries": (b"\xa1\x61a" * 100_000,),
    "cbor keys": (b"\xa1" * 100_000,),
    "cbor tags": (b"\xd9\x01\x02\x81" * 100_000,),
    "own lists": ("[" * 100_000,),
    "own dictionaries": ('{"a":' * 100_000,),
}


@pytest.mark.parametrize(("mode", "frame"), [(name.split()[0], *case) for name, case in BRACKETS.items()], ids=BRACKETS)
def test_a_hundred_thousand_nested_containers_are_malformed(mode: str, frame: Any) -> None:
    for form in FORMS.values():
        assert len(str(refuses(BY_NAME[mode], form, frame))) < 200


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=40))
@example(b"\xf7")
@pytest.mark.parametrize(
    "name",
    ["binary", "msgpack", "cbor"],
)
def test_random_bytes_are_decoded_or_refused(name: str, data: bytes) -> None:
    refuses_or_reads(BY_NAME[name], data)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40) | st.text(alphabet='[]{},:"\\u1e-.NaIty0 ', max_size=20))
@pytest.mark.parametrize("name", ["text", "own"])
def test_random_text_is_decoded_or_refused(name: str, data: str) -> None:
    refuses_or_reads(BY_NAME[name], data)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
plain_values = st.recursive(
    scalars,
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), children, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(plain_values)
@pytest.mark.parametrize("subject", SUBJECTS, ids=stable_id)
def test_plain_values_are_decoded_as_they_were_encoded(subject: Subject, value: Any) -> None:
    for frame in (subject.codec.encode(value), encode(subject, Any, value), subject.write(value)):
        for back in (
            subject.codec.decode(frame),
            subject.codec.decode_or_refuse(frame, ""),
            decode(subject, Any, frame),
        ):
            assert json.dumps(back) == json.dumps(value)  # True differs from 1 and from 1.0


@settings(max_examples=100, deadline=None)
@given(plain_values, st.floats(0, 1), st.integers(0, 255))
@example([0], 1, 0xF7)
@every_mode
def test_damaged_frames_are_decoded_or_refused(subject: Subject, value: Any, where: float, byte: int) -> None:
    frame = subject.write(value)
    at = round(where * (len(frame) - 1))
    damage: Any = chr(byte) if isinstance(frame, str) else bytes([byte])
    refuses_or_reads(subject, frame[:at] + damage + frame[at + 1 :])


# --- values that JSON does not have, in the formats that do ---

FOREIGN: dict[str, tuple[Any]] = {
    "bytes that are not text": (b"\xff",),
    "bytes that are text": (b"a",),
    "bytes as a key": ({b"\xff": 1},),
    "number as a key": ({1: 1},),
    "None as a key": ({None: 1},),
    "large number": (2**64 - 1,),
}
FOREIGN_TO_MSGPACK: dict[str, tuple[Any]] = {
    "undefined": (cbor2.undefined,),
    "simple value": (cbor2.CBORSimpleValue(99),),
    "unknown tag": (cbor2.CBORTag(6000, 1),),
    "self-described": (cbor2.CBORTag(55799, []),),
    "time": (datetime(2024, 1, 1, tzinfo=UTC),),
    "day": (cbor2.CBORTag(1004, "2024-01-01"),),
    "UUID": (UUID(int=5),),
    "decimal": (Decimal("1.5"),),
    "large decimal": (Decimal("1e1000"),),
    "fraction": (cbor2.CBORTag(30, [1, 3]),),
    "zero denominator": (cbor2.CBORTag(30, [1, 0]),),
    "complex": (cbor2.CBORTag(43000, [1.5, 2.5]),),
    "set": ({1, 2},),
    "address": (cbor2.CBORTag(52, b"\x01\x02\x03\x04"),),
    "large integer": (2**80,),
    "very large integer": (10**400,),
    "list as a key": ({(1, 2): 1},),
}
INTO: tuple[Any, ...] = (
    Any,
    str,
    int,
    float,
    bytes,
    datetime,
    UUID,
    Decimal,
    bool,
    list[int],
    dict[str, int],
    Colour,
    Never,
    Point,
    Box[Any],
    StrictText,
    Everything,
    StrictEverything,
    Chat,
)


@pytest.mark.parametrize(
    ("subject", "value"),
    [
        *each(
            FOREIGN,
            "msgpack cbor",
        ),
        *each(
            FOREIGN_TO_MSGPACK,
            "cbor",
        ),
    ],
)
def test_a_value_that_json_does_not_have_is_decoded_or_refused(subject: Subject, value: Any) -> None:
    for content in (value, {"text": value}, {"id": value}, [value], {"type": value}):
        frame = subject.write(content)
        for form in INTO:
            try:
                decode(subject, form, frame)
            except InvalidMessage as error:
                check_methods(error)


@binary_mode
def test_an_exception_of_a_validator_that_meets_more_than_json_is_an_invalid_message(subject: Subject) -> None:
    def first(value: Any) -> Any:
        return value["first"]

    form = Annotated[int, BeforeValidator(first)]
    if subject.name == "binary":
        with pytest.raises(InvalidMessage):
            decode(subject, form, b'"\xff"')
    else:
        with pytest.raises(InvalidMessage, match="with a value that JSON does not have") as caught:
            decode(subject, form, subject.write(b"\xff"))
        assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("tag", [25, 28, 29, 35, 36, 256])
def test_cbor_refuses_tags_that_no_message_needs(tag: int) -> None:
    contents: tuple[object, ...] = (0, [], ["a"], "a", b"a", {"a": 1})
    for content in contents:
        tagged = cbor2.CBORTag(tag, content)
        for value in (tagged, [tagged], {"x": tagged}, {"x": {"y": [tagged]}}):
            refuses(BY_NAME["cbor"], Point, cbor2.dumps(value))


def test_a_cbor_decimal_cannot_become_a_huge_integer() -> None:
    frame = cbor2.dumps(cbor2.CBORTag(4, [1_000_000, 1]))
    assert len(frame) < 10
    with pytest.raises(InvalidMessage):
        decode(BY_NAME["cbor"], int, frame)


@pytest.mark.parametrize("form", [Any, Decimal, Box[Decimal]], ids=stable_id)
def test_a_cbor_decimal_with_huge_digits_is_refused(form: Any) -> None:
    huge = 2**200_000
    for value in (cbor2.CBORTag(4, [0, huge]), {"content": cbor2.CBORTag(4, [0, huge])}):
        with pytest.raises(InvalidMessage):
            decode(BY_NAME["cbor"], form, cbor2.dumps(value))


def test_a_huge_integer_in_a_decimal_field_is_refused() -> None:
    with pytest.raises(InvalidMessage):
        decode(BY_NAME["cbor"], Box[Decimal], cbor2.dumps({"content": 2**200_000}))


def test_cbor_keeps_the_values_that_have_tags() -> None:
    values: dict[str, Any] = {
        "at": datetime(2024, 1, 1, tzinfo=UTC),
        "id": UUID(int=5),
        "price": Decimal("1.50"),
        "exact": Decimal("-1.2345678901234567890123456789012345678901234567890E-10"),
        "tags": {1, 2},
        "data": b"\xff",
        "large": 2**80,
        "small": -(2**80),
    }
    cbor = BY_NAME["cbor"].codec
    assert cbor.decode(cbor.encode(values)) == values


@pytest.mark.parametrize("kind", [0, 5, 127, 128, 255])
def test_msgpack_refuses_extension_types(kind: int) -> None:
    for frame in (bytes([0xD4, kind, 0]), bytes([0xC7, 3, kind]) + b"abc", b"\x91" + bytes([0xD6, kind]) + bytes(4)):
        refuses(BY_NAME["msgpack"], Point, frame)


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**400])
def test_msgpack_refuses_integers_beyond_64_bits(number: int) -> None:
    msgpack = BY_NAME["msgpack"]
    for value in (number, [number], {"a": number}):
        with pytest.raises(UnsendableMessage, match="msgpack can express"):
            msgpack.codec.encode(value)
    with pytest.raises(UnsendableMessage):
        encode(msgpack, Point, Point(x=number))


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 2**53 + 1])
@every_mode
def test_integers_within_64_bits_are_exact(subject: Subject, number: int) -> None:
    assert decode(subject, Point, encode(subject, Point, Point(x=number))).x == number
    assert subject.codec.decode(subject.codec.encode([number])) == [number]


@pytest.mark.parametrize("subject", [BY_NAME[name] for name in ("text", "binary", "cbor", "own")], ids=stable_id)
def test_integers_of_a_model_are_exact_whatever_their_size(subject: Subject) -> None:
    for number in (2**64, -(2**80), 10**400):
        assert decode(subject, Point, encode(subject, Point, Point(x=number))).x == number


@every_mode
def test_a_message_that_contains_itself_is_refused(subject: Subject) -> None:
    loop: list[Any] = []
    loop.append(loop)
    for form, message in ((Loose, Loose(value=loop)), (Any, loop), (list[Any], loop)):
        with pytest.raises(UnsendableMessage):
            encode(subject, form, message)


@every_mode
def test_a_plain_value_that_contains_itself_is_refused(subject: Subject) -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(UnsendableMessage):
        subject.codec.encode(loop)


@every_mode
def test_a_value_that_cannot_be_encoded_is_refused(subject: Subject) -> None:
    for value in (object(), [object()], {"a": object()}, len):
        with pytest.raises(UnsendableMessage):
            subject.codec.encode(value)
        with pytest.raises(UnsendableMessage):
            encode(subject, Loose, Loose(value=value))


# --- failures of validation ---

INVALID: dict[str, tuple[Any, Any, list[tuple[str, str]]]] = {
    "value": (Point, {"x": SECRET}, [("x", "int_parsing")]),
    "missing": (Point, {}, [("x", "missing")]),
    "missing with an unknown key": (Closed, {SECRET: 1}, [("*", "extra_forbidden")]),
    "key": (dict[str, int], {SECRET: SECRET}, [("*", "int_parsing")]),
    "key of another type": (dict[int, int], {SECRET: 1}, [("*.*", "int_parsing")]),
    "key of models": (dict[str, Point], {SECRET: {"x": SECRET}}, [("*.x", "int_parsing")]),
    "tag": (Chat, {"type": SECRET}, [("", "union_tag_invalid")]),
    "no tag": (Chat, {SECRET: SECRET}, [("", "union_tag_not_found")]),
    "behind a tag": (Chat, {"type": "say", "text": [SECRET]}, [("say.text", "string_type")]),
    "in a list": (list[Point], [{"x": 1}, {"x": SECRET}], [("1.x", "int_parsing")]),
    "literal": (Literal["a"], SECRET, [("", "literal_error")]),
    "enum": (Colour, SECRET, [("", "enum")]),
    "alias": (Bird, {"left": {"wingSpan": SECRET}}, [("left.wingSpan", "int_parsing")]),
    "strict": (StrictText, {"text": [SECRET]}, [("text", "string_type")]),
    "no message": (Never, SECRET, [("", "never")]),
    "no message of None": (Never, None, [("", "never")]),
    "UUID": (UUID, SECRET, [("", "uuid_parsing")]),
    "TypedDict": (Profile, {"name": 1, SECRET: 1}, [("name", "string_type")]),
    "additional field": (OpenTyped, {SECRET: SECRET}, [("*", "float_parsing")]),
    "JSON in a field of a model": (Box[Json[int]], {"content": SECRET}, [("content", "json_invalid")]),
}


@pytest.mark.parametrize(
    ("subject", "form", "value", "where"),
    each(
        INVALID,
    ),
)
def test_a_failed_validation_reports_the_location_and_not_the_input(
    subject: Subject, form: Any, value: Any, where: list[tuple[str, str]]
) -> None:
    with pytest.raises(InvalidMessage) as caught:
        decode(subject, form, subject.write(value))
    error = caught.value
    assert error.problem == "invalid"
    assert error.close_code == 1007
    assert error.locations() == where
    assert error.expected == adapter(form).name
    for text in (str(error), repr(error), str(error.args), str(error.locations())):
        assert SECRET not in text
    for kind in [kind for _, kind in where][:3]:
        assert kind in str(error)


@pytest.mark.parametrize(("subject", "form", "value", "where"), each(INVALID))
def test_the_input_is_included_on_request(
    subject: Subject, form: Any, value: Any, where: list[tuple[str, str]]
) -> None:
    with pytest.raises(InvalidMessage) as caught:
        decode(subject, form, subject.write(value))
    error = caught.value
    assert [(len(detail["loc"]), detail["type"]) for detail in error.errors()] == [
        (len(place.split(".")) if place else 0, kind) for place, kind in where
    ]
    assert not any("input" in detail or "url" in detail for detail in error.errors())
    assert all("input" in detail for detail in error.errors(include_input=True))
    if where[0][0] == "x":
        assert error.errors(include_input=True)[0].get("input") in (SECRET, value)


@pytest.mark.parametrize(
    ("subject", "form", "value"),
    each(
        {
            "key": (dict[int, int], {SECRET_NUMBER: "a"}),
            "key of text": (dict[str, int], {SECRET_NUMBER: "a"}),
            "unknown key": (Closed, {SECRET_NUMBER: 1}),
        },
    ),
)
def test_numbers_that_are_keys_are_not_reported_either(subject: Subject, form: Any, value: Any) -> None:
    with pytest.raises(InvalidMessage) as caught:
        decode(subject, form, subject.write(value))
    assert str(SECRET_NUMBER) not in str(caught.value)
    assert str(SECRET_NUMBER) not in str(caught.value.locations())


@every_mode
def test_a_long_list_of_failures_is_shortened_in_the_text_only(subject: Subject) -> None:
    with pytest.raises(InvalidMessage) as caught:
        decode(subject, list[int], subject.write(["a"] * 10))
    assert str(caught.value).endswith("(int_parsing at 0; int_parsing at 1; int_parsing at 2; 7 more)")
    assert len(caught.value.locations()) == len(caught.value.errors()) == 10


@every_mode
def test_the_error_for_a_malformed_message_does_not_repeat_it(subject: Subject) -> None:
    frame = truncated(subject.write({SECRET: SECRET}), -1)
    error = refuses(subject, Point, frame)
    texts = (str(error), repr(error), str(error.locations()), error.expected, error.found)
    assert not any(SECRET in text for text in texts)
    assert error.found.startswith("malformed ")


@every_mode
def test_an_invalid_message_raised_by_a_decoder_is_not_changed(subject: Subject) -> None:
    class Refusing(OwnCodec):
        def decode(self, data: str) -> Any:
            raise InvalidMessage("too_big", "less", "more")

    with pytest.raises(InvalidMessage) as caught:
        Refusing().decoder(adapter(Point))("{}")
    assert caught.value.problem == "too_big"


# --- codecs of a user ---


class Bare(Codec[bytes]):
    """A codec that translates no exceptions."""

    name = "bare"
    kind = "binary"

    def encode(self, value: object) -> bytes:
        return str(value).encode()

    def decode(self, data: bytes) -> Any:
        return int(data)


@pytest.mark.parametrize("error", [ValueError, KeyError, RecursionError, MemoryError, ZeroDivisionError, RuntimeError])
def test_any_exception_of_a_users_decoder_is_a_malformed_message(error: type[Exception]) -> None:
    class Failing(Bare):
        def decode(self, data: bytes) -> Any:
            raise error(SECRET)

    with pytest.raises(InvalidMessage, match="malformed bare") as caught:
        Failing().decoder(adapter(int))(b"1")
    assert isinstance(caught.value.__cause__, error)
    assert SECRET not in str(caught.value)


def test_a_users_codec_needs_two_methods() -> None:
    bare = Bare()
    assert bare.encoder(adapter(int))(7) == b"7"
    assert bare.decoder(adapter(int))(b"7") == 7
    with pytest.raises(InvalidMessage):
        bare.decoder(adapter(int))(b"\xff")
    with pytest.raises(TypeError, match="abstract"):
        Codec()  # type: ignore[abstract]  # pyright: ignore[reportAbstractUsage]
