"""`typedws._http.headers`: headers and cookies. The classic class is the oracle for all that both have in common."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.datastructures import Headers as ClassicHeaders
from starlette.requests import cookie_parser

from typedws._http.headers import Headers, parse_cookies

RAW = [(b"host", b"example.org"), (b"x-tag", b"one"), (b"x-tag", b"two"), (b"x-name", b"caf\xe9")]

names = st.sampled_from([b"host", b"cookie", b"x-tag", b"x-name", b"origin"])
raw_headers = st.lists(st.tuples(names, st.binary(max_size=20)), max_size=10)


@given(raw_headers)
def test_headers_read_like_those_of_the_classic_class(raw: list[tuple[bytes, bytes]]) -> None:
    ours, classic = Headers(raw=raw), ClassicHeaders(raw=raw)
    assert (len(ours), list(ours), ours.raw) == (len(classic), list(classic), classic.raw)
    assert list(ours.keys()) == classic.keys()
    assert list(ours.values()) == classic.values()
    assert list(ours.items()) == classic.items()
    for name in ("host", "X-Tag", "absent"):
        assert ours.get(name) == classic.get(name)
        assert ours.getlist(name) == classic.getlist(name)
        assert (name in ours) == (name in classic)


@given(raw_headers, raw_headers)
def test_headers_are_equal_when_those_of_the_classic_class_are(
    one: list[tuple[bytes, bytes]], other: list[tuple[bytes, bytes]]
) -> None:
    assert (Headers(raw=one) == Headers(raw=other)) == (ClassicHeaders(raw=one) == ClassicHeaders(raw=other))
    assert Headers(raw=one) == Headers(raw=one[::-1])


@given(raw_headers)
def test_every_view_has_one_length_and_contains_its_own_members(raw: list[tuple[bytes, bytes]]) -> None:
    headers = Headers(raw=raw)
    assert len(headers.keys()) == len(headers.values()) == len(headers.items()) == len(raw)
    assert all(item in headers.items() for item in headers.items())
    assert all(value in headers.values() for value in headers.values())
    assert all(name in headers.keys() for name in headers.keys())  # noqa: SIM118


@given(st.lists(st.tuples(st.binary(), st.binary())))
def test_no_bytes_fail_to_decode(raw: list[tuple[bytes, bytes]]) -> None:
    headers = Headers(raw=raw)
    assert all(headers[name] is not None for name in headers)
    assert repr(headers)


@pytest.mark.parametrize("name", ["host", "Host", "HOST"])
def test_the_case_of_a_name_does_not_matter(name: str) -> None:
    assert Headers(raw=RAW)[name] == "example.org"
    assert Headers(raw=[(name.encode(), b"example.org")])["host"] == "example.org"
    assert Headers({name: "example.org"}).getlist("hOST") == ["example.org"]
    assert name in Headers({"HoSt": "example.org"})


def test_names_are_in_lower_case_and_raw_names_are_unchanged() -> None:
    headers = Headers(raw=[(b"X-Tag", b"one")])
    assert list(headers) == ["x-tag"]
    assert headers.raw == [(b"X-Tag", b"one")]
    assert headers == Headers({"x-tag": "one"})


def test_an_item_is_the_first_value_of_its_name() -> None:
    assert Headers(raw=RAW)["x-tag"] == "one"
    assert Headers(raw=RAW).getlist("x-tag") == ["one", "two"]


@pytest.mark.parametrize("name", ["absent", "\u20ac", ""])
def test_a_missing_name_raises_a_key_error(name: str) -> None:
    with pytest.raises(KeyError):
        Headers(raw=RAW)[name]
    assert Headers(raw=RAW).getlist(name) == []


def test_only_text_can_be_a_name() -> None:
    names: list[object] = [b"host", None, 1]
    assert not any(name in Headers(raw=RAW) for name in names)


def test_headers_built_from_headers_keep_all_values() -> None:
    assert Headers(Headers(raw=RAW)) == Headers(raw=RAW)


def test_raw_pairs_may_be_any_iterable() -> None:
    assert Headers(raw=iter(RAW)) == Headers(raw=tuple(RAW)) == Headers(raw=RAW)
    assert len(Headers()) == 0


def test_a_mapping_and_raw_pairs_together_are_refused() -> None:
    with pytest.raises(TypeError, match="pass one of them"):
        Headers({}, raw=[])


def test_a_mapping_with_text_outside_latin_1_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        Headers({"x-name": "\u20ac"})


def test_headers_are_not_equal_to_a_dictionary() -> None:
    assert Headers({"a": "b"}) != {"a": "b"}


@pytest.mark.parametrize(
    "name", ["authorization", "Cookie", "proxy-authorization", "Sec-WebSocket-Protocol", "set-cookie"]
)
def test_repr_masks_credentials(name: str) -> None:
    headers = Headers({"host": "example.org", name: "hunter2"})
    assert repr(headers) == f"Headers([('host', 'example.org'), ('{name.lower()}', '********')])"
    assert "hunter2" not in repr(headers.items()) + repr(headers.values()) + repr(headers.keys())


@given(st.text(alphabet=st.sampled_from('ab=; "\\0173\t'), max_size=30) | st.text())
@example('a="b"; =c; d; ;a=e')
@example('a="\\"\\101\\400\\"')
def test_cookies_read_like_those_of_the_classic_class(header: str) -> None:
    assert parse_cookies(header) == cookie_parser(header)


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("", {}),
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ("a=1; a=2", {"a": "2"}),
        ("a=b=c", {"a": "b=c"}),
        ("lonely", {"": "lonely"}),
        ('quoted="say \\"hi\\" \\054"', {"quoted": 'say "hi" ,'}),
        ('half="', {"half": '"'}),
    ],
)
def test_malformed_cookies_are_read_tolerantly(header: str, cookies: dict[str, str]) -> None:
    assert parse_cookies(header) == cookies
