"""`typedws._http.query`: query parameters. The classic class is the oracle for all that both have in common."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams as ClassicQueryParams

from typedws._http.query import QueryParams, QuerySource

queries = st.text(alphabet=st.sampled_from("ab=&;%+2c\u00e9"), max_size=30) | st.text(
    alphabet=st.characters(exclude_categories=["Cs"])
)
pairs = st.lists(st.tuples(st.sampled_from(["a", "b", ""]), st.text(st.characters(exclude_categories=["Cs"]))))


@given(queries)
def test_parameters_read_like_those_of_the_classic_class(query: str) -> None:
    ours, classic = QueryParams(query), ClassicQueryParams(query)
    assert (len(ours), list(ours), str(ours)) == (len(classic), list(classic), str(classic))
    assert ours.keys() == classic.keys()
    assert list(ours.values()) == list(classic.values())
    assert ours.items() == classic.items()
    assert ours.multi_items() == classic.multi_items()
    for name in ("a", "b", ""):
        assert ours.get(name) == classic.get(name)
        assert ours.getlist(name) == classic.getlist(name)
        assert (name in ours) == (name in classic)


@given(pairs, pairs)
def test_parameters_are_equal_when_those_of_the_classic_class_are(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    assert (QueryParams(one) == QueryParams(other)) == (ClassicQueryParams(one) == ClassicQueryParams(other))


@given(pairs)
def test_the_text_of_parameters_parses_to_the_same_parameters(given_pairs: list[tuple[str, str]]) -> None:
    params = QueryParams(given_pairs)
    assert QueryParams(str(params)) == params
    assert QueryParams(str(params).encode()) == params
    assert QueryParams(params).multi_items() == given_pairs


@given(st.binary() | st.text(st.characters()))
def test_no_query_string_makes_parsing_raise(query: bytes | str) -> None:
    params = QueryParams(query)
    assert len(params) <= len(params.multi_items())
    assert repr(params).startswith("QueryParams('")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", []),
        ("a=1&a=2&b=", [("a", "1"), ("a", "2"), ("b", "")]),
        (b"a=1+2&lonely", [("a", "1 2"), ("lonely", "")]),
        (b"a=%zz&b=%", [("a", "%zz"), ("b", "%")]),
        (b"a=%ff&b=\xff", [("a", "\ufffd"), ("b", "\ufffd")]),
        ("caf\u00e9=1".encode(), [("caf\u00e9", "1")]),
        ({"a": 1, "b": None}, [("a", "1"), ("b", "None")]),
        ([("a", "1"), ("a", 2)], [("a", "1"), ("a", "2")]),
        (iter([("a", "1")]), [("a", "1")]),
        (QueryParams("a=1&a=2"), [("a", "1"), ("a", "2")]),
    ],
)
def test_parameters_are_built_from_every_kind_of_source(source: QuerySource, expected: list[tuple[str, str]]) -> None:
    assert QueryParams(source).multi_items() == expected


def test_an_item_is_the_last_value_of_its_name() -> None:
    assert QueryParams("a=1&a=2")["a"] == "2"
    assert QueryParams("a=1&a=2").getlist("a") == ["1", "2"]


def test_a_missing_name_raises_a_key_error() -> None:
    with pytest.raises(KeyError):
        QueryParams("a=1")["b"]
    assert QueryParams("a=1").getlist("b") == []


def test_the_number_of_fields_is_not_limited() -> None:
    assert len(QueryParams(b"&".join(b"f%d=%d" % (n, n) for n in range(20_000)))) == 20_000


def test_parameters_are_not_equal_to_a_dictionary() -> None:
    assert QueryParams("a=1") != {"a": "1"}


def test_changing_the_returned_list_does_not_change_the_parameters() -> None:
    params = QueryParams("a=1")
    params.multi_items().clear()
    assert params.multi_items() == [("a", "1")]
