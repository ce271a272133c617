"""What `typedws._messages.nonfinite` finds in values and in JSON, and what it accepts."""

import math
from collections import deque
from decimal import Decimal

import pytest

from typedws._messages.nonfinite import find_unsendable, holds_constants, is_suspicious
from typedws.exceptions import UnsendableMessage

NAN = math.nan


@pytest.mark.parametrize(
    "value",
    [
        NAN,
        math.inf,
        -math.inf,
        Decimal("NaN"),
        Decimal("-Infinity"),
        complex(0, math.inf),
        [1, [NAN]],
        (NAN,),
        {1.5, NAN},
        deque([NAN]),
        {"a": {"b": [NAN]}},
        {NAN: 1},
        {(1, NAN): 1},
        {"\ud800": 1},
        [{"a": {"b\udfff": 1}}],
    ],
    ids=ascii,
)
def test_a_non_finite_number_or_a_surrogate_in_a_key_is_found_at_any_depth(value: object) -> None:
    assert isinstance(find_unsendable(value, value), UnsendableMessage)


@pytest.mark.parametrize(
    "value",
    [0.5, Decimal("1.5"), 1j, None, "NaN", "\ud800", b"\xff", [1, "a"], {"\ufffd": 1, 2: {"\u00e9": 3}}],
    ids=ascii,
)
def test_any_other_value_is_accepted(value: object) -> None:
    assert find_unsendable(value, value) is None


@pytest.mark.parametrize(
    ("value", "plain", "is_refused"),
    [
        (NAN, None, True),
        (NAN, NAN, True),
        (NAN, "NaN", True),
        (math.inf, "Infinity", True),
        (NAN, "unknown", False),
        ([1.5, NAN], [1.5, None], True),
        ([1.5, NAN], [1.5, "unknown"], False),
        ({"a": NAN}, {"A": None}, True),
        ({"a": NAN}, {"A": "unknown"}, False),
        ({"a": NAN}, "a table", False),
        ([NAN], {"first": None, "second": None}, False),
        ([NAN, NAN], ["both"], False),
    ],
)
def test_a_number_is_accepted_if_a_serializer_writes_text_of_its_own(
    value: object, plain: object, is_refused: bool
) -> None:
    assert (find_unsendable(value, plain) is not None) is is_refused


@pytest.mark.parametrize("data", [b"null", b'{"a":null}', '"\ufffd"'.encode(), b"NaN", b'{"a":-Infinity}', b'"NaN"'])
def test_json_that_may_stand_for_something_unsendable_is_suspicious(data: bytes) -> None:
    assert is_suspicious(data)


@pytest.mark.parametrize(("data", "is_null", "is_key"), [(b"null", False, True), ("\ufffd".encode(), True, False)])
def test_json_is_not_suspicious_if_null_and_key_are_certain(data: bytes, is_null: bool, is_key: bool) -> None:
    assert not is_suspicious(data, is_null=is_null, is_key=is_key)
    assert not is_suspicious(data, is_null=False, is_key=False)
    assert is_suspicious(data + b"NaN", is_null=False, is_key=False)


@pytest.mark.parametrize("letters", [0, 1, 7, 8, 40, 1020, 1100, 3000])
@pytest.mark.parametrize(("letter", "word"), [("N", "NaN"), ("I", "Infinity")])
@pytest.mark.parametrize("form", ['"{}"', '["{}"]', '{{"{}":1.5}}', '["","{}",1,2]'])
def test_a_constant_is_found_after_any_number_of_its_letters(letter: str, word: str, letters: int, form: str) -> None:
    for data in (form.format(letter * letters), form.format(f"{letter}a " * letters)):
        assert not holds_constants(data)
        assert not holds_constants(data.encode())
        assert holds_constants(f"[{data},-{word}]")
        assert holds_constants(f"[{data},-{word}]".encode())
        assert holds_constants(f"[{word},{data}]")
        assert not holds_constants(f'["{"-" * 3000}",{data}]')
        assert holds_constants(f'["{"-" * 3000}",{data},{word}]')


@pytest.mark.parametrize("many", [f'["{"NI" * 3000}"', f'["{"NI" * 3000}",{"[" * 300}1{"]" * 300}]'])
def test_json_that_cannot_be_parsed_is_suspicious(many: str) -> None:
    assert holds_constants(many)


@pytest.mark.parametrize("data", [b"1", b'"Nan"', '"\u00e9"'.encode(), b"[true]"])
def test_other_json_is_not_suspicious(data: bytes) -> None:
    assert not is_suspicious(data)
