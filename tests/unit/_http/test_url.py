"""`typedws._http.url`: URLs and addresses. The classic class is the oracle for all that both have in common."""

import copy
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette import datastructures

from typedws._http.url import URL, Address, URLComponents, address_from

COMPONENTS = ("scheme", "netloc", "path", "query", "fragment", "username", "password", "hostname", "port", "is_secure")
MALFORMED_HOSTS = [
    b"[::1",
    b"::1]",
    b"[::1]]",
    b"[zz]",
    b"[1:2]",
    b"[1.2.3.4]",
    b"a b",
    b"\xff",
    b"\xc3\xa9",
    b"a/b",
    b"a@b",
    b"h:",
    b"host:99999",
    b"host:65536",
    b"host:" + b"9" * 5000,
    b"host:-1",
    b"host:port",
    b"",
    b"a\r\nb",
    b"a#b",
]

urls = st.builds(
    "{}://{}{}{}{}{}".format,
    st.sampled_from(["ws", "wss", "http", "HTTPS", "redis"]),
    st.sampled_from(["", "user@", "user:secret@", ":secret@", "us%40er:se%3Acret@"]),
    st.sampled_from(["example.org", "EXAMPLE.org:80", "127.0.0.1:8000", "[::1]", "[::1]:443", "host:0"]),
    st.sampled_from(["", "/", "/chat/lobby", "/a%20b;c", "//double"]),
    st.sampled_from(["", "?", "?a=1&b=2&a=3", "?caf%C3%A9=x+y"]),
    st.sampled_from(["", "#part"]),
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "scheme": st.sampled_from(["ws", "https"]),
        "netloc": st.just("other.example:1"),
        "path": st.sampled_from(["", "/other"]),
        "query": st.sampled_from(["", "z=1"]),
        "fragment": st.sampled_from(["", "top"]),
        "username": st.sampled_from([None, "me"]),
        "password": st.sampled_from([None, "word"]),
        "hostname": st.sampled_from([None, "other.example", "::2", "[::2]"]),
        "port": st.sampled_from([None, 81]),
    },
)
host_headers = st.none() | st.sampled_from(
    [b"example.org", b"EXAMPLE.org:80", b"h:00080", b"[::1]", b"[::1]:8000", *MALFORMED_HOSTS]
)
scopes = st.fixed_dictionaries(
    {
        "scheme": st.sampled_from(["ws", "wss", "http", "https"]),
        "path": st.text(st.characters(exclude_categories=["Cc", "Cs"])).map("/{}".format) | st.just("//evil.example/x"),
        "query_string": st.sampled_from([b"", b"a=1&b=%20", "caf\u00e9".encode()]),
        "server": st.sampled_from([None, ("127.0.0.1", 80), ["127.0.0.1", 443], ("::1", 80), ("::1", 8000)]),
        "headers": host_headers.map(lambda host: [(b"accept", b"*/*")] + ([] if host is None else [(b"host", host)])),
    },
    optional={"root_path": st.just("/root")},
)


def scope_of(**parts: object) -> dict[str, Any]:
    return {"type": "websocket", "path": "/chat", "query_string": b"", "headers": [], "server": None, **parts}


@given(urls)
def test_a_url_has_the_components_of_the_classic_class(text: str) -> None:
    ours, classic = URL(text), datastructures.URL(text)
    assert [getattr(ours, name) for name in COMPONENTS] == [getattr(classic, name) for name in COMPONENTS]
    assert ours.components == classic.components
    assert repr(ours) == repr(classic)
    assert classic == ours


@given(urls, changes)
def test_replace_returns_the_url_of_the_classic_class(text: str, changed: URLComponents) -> None:
    replaced = URL(text).replace(**changed)
    assert replaced == str(datastructures.URL(text).replace(**changed))
    assert isinstance(replaced, URL)


@given(urls)
def test_query_parameters_are_changed_as_in_the_classic_class(text: str) -> None:
    ours, classic = URL(text), datastructures.URL(text)
    assert ours.include_query_params(a="x y", n=1) == str(classic.include_query_params(a="x y", n=1))
    assert ours.replace_query_params(a="x y", n=1) == str(classic.replace_query_params(a="x y", n=1))
    assert ours.remove_query_params("a") == str(classic.remove_query_params("a"))
    assert ours.remove_query_params(["a", "c"]) == str(classic.remove_query_params(["a", "c"]))


@given(scopes)
def test_a_scope_has_the_url_of_the_classic_class(scope: Mapping[str, Any]) -> None:
    assert URL.from_scope(scope) == str(datastructures.URL(scope=dict(scope)))


@given(st.text(st.characters()) | st.text(st.sampled_from("ws:/[]@#?:1\t \ud800")))
def test_no_text_fails_to_parse(text: str) -> None:
    url = URL(text)
    assert [getattr(url, name) for name in COMPONENTS]
    assert repr(url)
    assert isinstance(url.replace(port=1), URL)
    assert isinstance(url.include_query_params(a=1), URL)


@given(st.binary(), st.binary(), st.text())
def test_every_request_has_a_url(host: bytes, query: bytes, path: str) -> None:
    url = URL.from_scope(scope_of(headers=[(b"host", host)], query_string=query, path=f"/{path}", server=("h", 80)))
    assert url.hostname
    assert url.path.startswith("/")
    assert url.isprintable() or not (path + query.decode("utf-8", "replace")).isprintable()


def test_a_url_is_a_string() -> None:
    url = URL("ws://host:80/p?q#f")
    assert url == "ws://host:80/p?q#f"
    assert hash(url) == hash("ws://host:80/p?q#f")
    strings = {"ws://host:80/p?q#f", "other"}
    assert url in strings
    assert type(str(url)) is str
    assert url.replace("ws", "wss", 1) == "wss://host:80/p?q#f"
    assert url.replace("p", "", count=1) == "ws://host:80/?q#f"
    assert not URL()


def test_a_url_survives_copies() -> None:
    url = URL("ws://host:80/p")
    assert url.port == 80
    for copied in (copy.copy(url), copy.deepcopy(url), pickle.loads(pickle.dumps(url))):
        assert (type(copied), copied, copied.port) == (URL, url, 80)


@pytest.mark.parametrize(
    ("url", "secure"), [("wss://h", True), ("https://h", True), ("ws://h", False), ("http://h", False), ("/p", False)]
)
def test_is_secure_follows_the_scheme(url: str, secure: bool) -> None:
    assert URL(url).is_secure is secure


@pytest.mark.parametrize(
    ("text", "netloc", "hostname", "port"),
    [
        ("ws://[::1/p", "[::1", None, None),
        ("ws://[::1:80/p", "[::1:80", None, None),
        ("ws://h\u2100st/p", "h\u2100st", None, None),
        ("ws://host:99999/p", "host:99999", "host", None),
        ("ws://host:port/p", "host:port", "host", None),
        ("ws://host:/p", "host:", "host", None),
        ("ws:///p", "", None, None),
    ],
)
def test_a_malformed_authority_has_no_host_or_port(
    text: str, netloc: str, hostname: str | None, port: int | None
) -> None:
    url = URL(text)
    assert (url.scheme, url.netloc, url.path) == ("ws", netloc, "/p")
    assert (url.hostname, url.port) == (hostname, port)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ws://user:hunter2@host/p", "URL('ws://user:********@host/p')"),
        ("ws://user:hunter2@[::1/p", "URL('ws://user:********@[::1/p')"),
        ("\tws:/\t/user:hunter2@[::1/p", "URL('ws://user:********@[::1/p')"),
        ("ws://user@host/p", "URL('ws://user@host/p')"),
        ("ws://host/p'", 'URL("ws://host/p\'")'),
    ],
)
def test_repr_masks_a_password(text: str, shown: str) -> None:
    assert repr(URL(text)) == shown


def test_a_new_user_name_or_password_cannot_change_other_parts() -> None:
    url = URL("ws://host/p").replace(username="a/b@c", password="d:e#f%20")
    assert url == "ws://a%2Fb%40c:d%3Ae%23f%20@host/p"
    assert url.hostname == "host"


@pytest.mark.parametrize("host", MALFORMED_HOSTS)
def test_a_malformed_host_header_is_ignored(host: bytes) -> None:
    assert URL.from_scope(scope_of(headers=[(b"host", host)], server=("10.0.0.1", 8000))) == "ws://10.0.0.1:8000/chat"
    assert URL.from_scope(scope_of(headers=[(b"host", host)])) == "/chat"


@pytest.mark.parametrize(
    ("scope", "url"),
    [
        (scope_of(headers=[(b"Host", b"a"), (b"host", b"b")]), "ws://a/chat"),
        (scope_of(server=("10.0.0.1", 80)), "ws://10.0.0.1/chat"),
        (scope_of(scheme="wss", server=("10.0.0.1", 443)), "wss://10.0.0.1/chat"),
        (scope_of(scheme="wss", server=("10.0.0.1", 80)), "wss://10.0.0.1:80/chat"),
        (scope_of(scheme="other", server=("10.0.0.1", 80)), "other://10.0.0.1:80/chat"),
        (scope_of(server=("/run/app.sock", None)), "/chat"),
        (scope_of(path="//evil.example/x"), "/%2Fevil.example/x"),
        (scope_of(path="/a?b#c\\d\r\n", server=("h", 80)), "ws://h/a%3Fb%23c%5Cd%0D%0A"),
        (scope_of(query_string=b"a=1#b"), "/chat?a=1%23b"),
        (scope_of(query_string=b"a=\xff"), "/chat?a=\ufffd"),
        (scope_of(query_string=None), "/chat"),
        ({"path": "/chat"}, "/chat"),
    ],
)
def test_a_scope_has_this_url(scope: Mapping[str, Any], url: str) -> None:
    assert URL.from_scope(scope) == url


def test_path_and_query_replace_those_of_the_scope() -> None:
    scope = scope_of(query_string=b"a=1", server=("h", 80))
    assert URL.from_scope(scope, path="/other?") == "ws://h/other%3F?a=1"
    assert URL.from_scope(scope, query="") == "ws://h/chat"


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (("127.0.0.1", 80), Address("127.0.0.1", 80)),
        (["::1", 8000], Address("::1", 8000)),
        (None, None),
        (("/run/app.sock", None), None),
        (("host",), None),
        ("ab", None),
        (7, None),
    ],
)
def test_an_address_is_read_from_every_form_that_servers_use(value: object, address: Address | None) -> None:
    assert address_from(value) == address
