"""`typedws._endpoint.origins`: which handshakes are allowed, and why the others are refused."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typedws._endpoint.origins import OriginRefusal, OriginRule, Origins
from typedws.exceptions import InvalidPolicy

PUBLIC = ("203.0.113.7", 8000)
LOOPBACK = ("127.0.0.1", 8000)


def headers(origin: str | None = None, host: str | None = None) -> list[tuple[bytes, bytes]]:
    """Return the headers of a browser's request: `None` omits one, and ` | ` separates two with one name."""
    return [
        (name, value.encode("latin-1"))
        for name, values in ((b"origin", origin), (b"accept", "*/*"), (b"host", host))
        if values is not None
        for value in values.split(" | ")
    ]


def refusal(
    origin: str | None = None,
    host: str | None = "chat.example.com",
    origins: Origins = "same-host",
    hosts: list[str] | None = None,
    server: object = PUBLIC,
) -> OriginRefusal | None:
    return OriginRule(origins, hosts).refusal(headers(origin, host), server)


SAME_HOST = {
    "same name": ("https://chat.example.com", "chat.example.com"),
    "the scheme does not count": ("http://chat.example.com:443", "chat.example.com:443"),
    "same port": ("http://chat.example.com:8000", "chat.example.com:8000"),
    "the default port of https": ("https://chat.example.com", "chat.example.com:443"),
    "the default port of http": ("http://chat.example.com", "chat.example.com:80"),
    "the default port of wss": ("wss://chat.example.com", "chat.example.com:443"),
    "the default port of ws": ("ws://chat.example.com", "chat.example.com:80"),
    "a proxy's host without its port": ("https://chat.example.com:8443", "chat.example.com"),
    "upper case": ("HTTPS://Chat.Example.com", "chat.EXAMPLE.com"),
    "leading zeros in a port": ("http://chat.example.com:08000", "chat.example.com:8000"),
    "a trailing dot in the origin": ("https://chat.example.com.", "chat.example.com"),
    "a trailing dot in both": ("https://chat.example.com.:8443", "chat.example.com.:8443"),
    "punycode": ("https://xn--bcher-kva.example", "xn--bcher-kva.example"),
    "an underscore": ("http://chat_web:8000", "chat_web:8000"),
    "IPv4": ("http://203.0.113.7:8000", "203.0.113.7:8000"),
    "IPv6": ("http://[2001:db8::1]:8000", "[2001:db8::1]:8000"),
    "IPv6 in two spellings": ("http://[2001:db8::1]", "[2001:DB8:0:0::1]"),
    "IPv6 that maps IPv4": ("http://[::ffff:cb00:7107]", "[::ffff:203.0.113.7]"),
}


@pytest.mark.parametrize(("origin", "host"), SAME_HOST.values(), ids=SAME_HOST)
def test_a_page_of_the_same_host_is_allowed(origin: str, host: str) -> None:
    assert refusal(origin, host) is None


OTHER_HOST = {
    "another name": ("https://evil.example", "chat.example.com"),
    "a subdomain": ("https://a.chat.example.com", "chat.example.com"),
    "the parent domain": ("https://example.com", "chat.example.com"),
    "a name with the same prefix": ("https://chat.example.com.evil.example", "chat.example.com"),
    "a name with the same suffix": ("https://evilchat.example.com", "chat.example.com"),
    "another port": ("https://chat.example.com:8443", "chat.example.com:9443"),
    "the other default port": ("http://chat.example.com", "chat.example.com:443"),
    "the default port and another one": ("https://chat.example.com", "chat.example.com:8443"),
    "IPv4 and a name": ("http://127.0.0.1", "localhost"),
    "an app's page": ("tauri://localhost", "localhost"),
    "an app's page with the port": ("capacitor://localhost:8000", "localhost:8000"),
    "an extension's page": ("chrome-extension://abcdefghijklmnop", "chat.example.com"),
    "null": ("null", "chat.example.com"),
    "null, and a host of that name": ("null", "null"),
}


@pytest.mark.parametrize(("origin", "host"), OTHER_HOST.values(), ids=OTHER_HOST)
def test_a_page_of_another_host_is_refused_unless_the_policy_follows_the_hint(origin: str, host: str) -> None:
    refused = refusal(origin, host)
    assert refused is not None
    assert (refused.refused, refused.origin, refused.host) == ("origin", origin, host)
    assert refused.why == f"the request's own host is {host}"
    allowing = re.match(r'Policy\(origins=\["(.+)"\]\) would allow it', refused.hint)
    assert allowing
    assert refusal(origin, host, origins=[allowing[1]]) is None


MALFORMED_ORIGINS = {
    "two": "https://chat.example.com | https://chat.example.com",
    "two in one": "https://chat.example.com https://evil.example",
    "a list": "https://chat.example.com, https://evil.example",
    "empty": "",
    "blank": " ",
    "no scheme": "chat.example.com",
    "an empty scheme": "://chat.example.com",
    "no host": "https://",
    "a file": "file://",
    "a path": "https://chat.example.com/",
    "a query": "https://chat.example.com?",
    "user information": "https://chat.example.com@evil.example",
    "an empty user": "https://@chat.example.com",
    "a password": "https://chat.example.com:443@evil.example",
    "an empty port": "https://chat.example.com:",
    "a port that is not a number": "https://chat.example.com:https",
    "a port too high": "https://chat.example.com:65536",
    "a port of many digits": "https://chat.example.com:000443",
    "a negative port": "https://chat.example.com:-1",
    "digits of another script": "https://chat.example.com:\xb2",
    "an empty label": "https://chat..example.com",
    "a dot at the start": "https://.chat.example.com",
    "two dots at the end": "https://chat.example.com..",
    "a label too long": f"https://{'a' * 64}.example.com",
    "Latin-1": "https://b\xfccher.example",
    "percent-encoded": "https://chat%2Eexample.com",
    "a backslash": "https:\\\\chat.example.com",
    "a line break at the end": "https://chat.example.com\n",
    "a null": "https://chat.example.com\0",
    "null and more": "null, https://chat.example.com",
    "IPv6 without brackets": "http://2001:db8::1",
    "half a bracket": "http://[2001:db8::1",
    "brackets without IPv6": "http://[1:2]",
    "a zone": "http://[fe80::1%25eth0]",
    "a dot after brackets": "http://[::1].",
}


@pytest.mark.parametrize("origin", MALFORMED_ORIGINS.values(), ids=MALFORMED_ORIGINS)
def test_a_malformed_origin_is_allowed_only_if_all_origins_are_allowed(origin: str) -> None:
    everything = re.compile("(?s:.*)")
    for origins in ("same-host", ["null", "https://chat.example.com"], everything):
        refused = refusal(origin, origins=origins)
        assert refused is not None
        assert refused.why == "it is not a single well-formed origin"
        assert refused.hint == 'only Policy(origins="*") would allow it'
    assert refusal(origin, origins="*") is None


MALFORMED_HOSTS = {
    "missing": None,
    "two": "chat.example.com | chat.example.com",
    "empty": "",
    "two in one": "chat.example.com, evil.example",
    "user information": "evil.example@chat.example.com",
    "a path": "chat.example.com/",
    "a URL": "https://chat.example.com",
    "an empty port": "chat.example.com:",
    "a port too high": "chat.example.com:65536",
    "brackets without IPv6": "[chat.example.com]",
    "IPv6 of nine groups": "[1:2:3:4:5:6:7:8:9]",
    "a wildcard": "*.example.com",
    "Latin-1": "ch\xe4t.example.com",
}


@pytest.mark.parametrize("host", MALFORMED_HOSTS.values(), ids=MALFORMED_HOSTS)
def test_a_browser_must_send_one_well_formed_host(host: str | None) -> None:
    for origins in ("same-host", ["https://chat.example.com"]):
        refused = refusal("https://chat.example.com", host, origins)
        assert refused is not None
        assert (refused.refused, refused.why) == ("host", "it is not a single well-formed host")
    assert refusal(None, host) is None, "no browser"
    assert refusal("https://chat.example.com", host, "*") is None


LISTED: dict[str, tuple[str, Origins, bool]] = {
    "as written": ("https://app.example.com", ["https://app.example.com"], True),
    "one of several": ("https://b.example", ["https://a.example", "https://b.example"], True),
    "with a slash": ("https://app.example.com", ["https://app.example.com/"], True),
    "in upper case": ("https://app.example.com", ["HTTPS://App.Example.COM"], True),
    "with the default port": ("https://app.example.com", ["https://app.example.com:443"], True),
    "sent with the default port": ("https://app.example.com:443", ["https://app.example.com"], True),
    "with a trailing dot": ("https://app.example.com", ["https://app.example.com."], True),
    "with the scheme wss": ("https://app.example.com", ["wss://app.example.com"], True),
    "an app": ("tauri://localhost", ["tauri://localhost"], True),
    "an extension": ("chrome-extension://abcdefgh", ["chrome-extension://abcdefgh"], True),
    "IPv6": ("http://[2001:db8::1]:3000", ["http://[2001:DB8:0::1]:3000"], True),
    "null": ("null", ["null"], True),
    "the same host beside the list": ("https://chat.example.com", ["https://app.example.com"], True),
    "the same host beside an empty list": ("https://chat.example.com", [], True),
    "another scheme": ("http://app.example.com", ["https://app.example.com"], False),
    "another port": ("https://app.example.com:8443", ["https://app.example.com"], False),
    "a subdomain": ("https://a.app.example.com", ["https://app.example.com"], False),
    "null, not listed": ("null", ["https://app.example.com"], False),
    "a tuple": ("https://app.example.com", ("https://app.example.com",), True),
    "a pattern": ("https://a.example.com", re.compile(r"https://[a-z]+\.example\.com"), True),
    "a pattern of the normalised text": ("HTTPS://A.example.com:443", re.compile(r"https://a\.example\.com"), True),
    "a pattern with a port": ("http://a.example:8000", re.compile(r"http://a\.example:\d+"), True),
    "the same host beside a pattern": ("https://chat.example.com", re.compile("x"), True),
    "a pattern that matches null": ("null", re.compile("null"), True),
    "a pattern that matches a prefix": ("https://a.example.com.evil.example", re.compile(r"https://a\.example"), False),
    "a pattern without the port": ("https://a.example.com:8443", re.compile(r"^https://a\.example\.com"), False),
}


@pytest.mark.parametrize(("origin", "origins", "is_allowed"), LISTED.values(), ids=LISTED)
def test_a_list_or_a_pattern_allows_other_origins(origin: str, origins: Origins, is_allowed: bool) -> None:
    assert (refusal(origin, origins=origins) is None) is is_allowed


@pytest.mark.parametrize("origins", ["same-host", "*", ["https://app.example.com"], re.compile("x")])
@pytest.mark.parametrize("server", [PUBLIC, LOOPBACK, None])
def test_a_request_without_an_origin_is_allowed(origins: Origins, server: object) -> None:
    assert refusal(None, "evil.example", origins, server=server) is None


def test_header_names_in_upper_case_are_checked_too() -> None:
    rule = OriginRule()
    assert rule.refusal([(b"Origin", b"https://evil.example"), (b"HOST", b"chat.example.com")]) is not None
    assert rule.refusal([(b"oRIGIN", b"https://chat.example.com"), (b"Host", b"chat.example.com")]) is None
    assert rule.refusal([(b"origin", b"https://a.example"), (b"Origin", b"https://a.example"), (b"host", b"a.example")])


LOOPBACK_SERVERS: dict[str, object] = {
    "IPv4": ("127.0.0.1", 8000),
    "all of 127": ("127.8.9.10", 8000),
    "IPv6": ("::1", 8000),
    "IPv4 in IPv6": ("::ffff:127.0.0.1", 8000),
    "a name": ("localhost", 8000),
    "a list": ["127.0.0.1", 8000],
}
LOOPBACK_HOSTS = [
    *("localhost", "LOCALHOST.", "app.localhost", "127.0.0.1", "127.1.2.3"),
    *("[::1]", "[0:0::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
]
REBOUND_HOSTS = [
    *("evil.example", "127.0.0.1.evil.example", "127.evil.example", "localhost.evil.example", "evillocalhost"),
    *("192.168.0.5", "0.0.0.0", "1.127.0.0.1", "[2001:db8::1]"),
]


@pytest.mark.parametrize("server", LOOPBACK_SERVERS.values(), ids=LOOPBACK_SERVERS)
class TestAtALoopbackAddress:
    @pytest.mark.parametrize("port", ["", ":8000"])
    @pytest.mark.parametrize("host", LOOPBACK_HOSTS)
    def test_loopback_names_are_allowed(self, host: str, port: str, server: object) -> None:
        assert refusal(f"http://{host}{port}", f"{host}{port}", server=server) is None

    @pytest.mark.parametrize("host", REBOUND_HOSTS)
    def test_a_name_that_may_be_rebound_is_refused_unless_the_policy_names_it(self, host: str, server: object) -> None:
        refused = refusal(f"http://{host}:8000", f"{host}:8000", server=server)
        assert refused is not None
        assert refused.refused == "host"
        assert refused.hint == f'Policy(hosts=["{host}"]) would allow it'
        assert refusal(f"http://{host}:8000", f"{host}:8000", hosts=[host], server=server) is None

    def test_an_origin_that_the_policy_names_is_allowed(self, server: object) -> None:
        policies: list[Origins] = ["*", ["https://app.example.com"], re.compile(r"https://app\..*")]
        for origins in policies:
            assert refusal("https://app.example.com", "chat.example.com", origins, server=server) is None

    def test_a_request_without_an_origin_is_allowed(self, server: object) -> None:
        assert refusal(None, "evil.example", server=server) is None


NOT_LOOPBACK: dict[str, object] = {
    "unknown": None,
    "a Unix domain socket": ("/run/app.sock", None),
    "a Unix domain socket of that name": ("localhost", None),
    "a public address": PUBLIC,
    "all addresses": ("0.0.0.0", 8000),
    "a test client's": ("testserver", 80),
    "a name with the same prefix": ("127.0.0.1.example.com", 8000),
    "an invalid value": 7,
}


@pytest.mark.parametrize("server", NOT_LOOPBACK.values(), ids=NOT_LOOPBACK)
def test_at_another_address_any_name_is_allowed(server: object) -> None:
    assert refusal("http://chat.example.com", "chat.example.com", server=server) is None


HOSTS = {
    "its name": (["chat.example.com"], "chat.example.com", True),
    "its name, any port": (["chat.example.com"], "chat.example.com:8443", True),
    "in upper case": (["Chat.Example.com"], "chat.EXAMPLE.com", True),
    "with a trailing dot": (["chat.example.com."], "chat.example.com", True),
    "sent with a trailing dot": (["chat.example.com"], "chat.example.com.:8000", True),
    "one of several": (["a.example", "chat.example.com"], "chat.example.com", True),
    "its port": (["chat.example.com:8443"], "chat.example.com:8443", True),
    "a default port, not sent": (["chat.example.com:443"], "chat.example.com", True),
    "a subdomain": (["*.example.com"], "chat.example.com", True),
    "a subdomain of a subdomain": (["*.example.com"], "a.chat.example.com:8443", True),
    "a subdomain and a port": (["*.example.com:8443"], "chat.example.com:8443", True),
    "IPv6": (["[2001:db8::1]"], "[2001:DB8:0::1]:8000", True),
    "every host": (["*"], "chat.example.com", True),
    "another name": (["chat.example.com"], "evil.example", False),
    "a name with the same suffix": (["example.com"], "chat.example.com", False),
    "another port": (["chat.example.com:8443"], "chat.example.com:8444", False),
    "a port, not sent": (["chat.example.com:8443"], "chat.example.com", False),
    "the domain of a wildcard": (["*.example.com"], "example.com", False),
    "a name with the suffix of a wildcard": (["*.example.com"], "evilexample.com", False),
    "a wildcard's other port": (["*.example.com:8443"], "chat.example.com:8444", False),
    "loopback, not listed": (["chat.example.com"], "localhost", False),
    "missing": (["*"], None, False),
    "malformed": (["*"], "a/b", False),
}


@pytest.mark.parametrize(("hosts", "host", "is_allowed"), HOSTS.values(), ids=HOSTS)
@pytest.mark.parametrize("origins", ["same-host", "*"])
@pytest.mark.parametrize("is_browser", [True, False], ids=["browser", "no browser"])
def test_only_the_hosts_that_the_policy_names_are_allowed(
    hosts: list[str], host: str | None, is_allowed: bool, origins: Origins, is_browser: bool
) -> None:
    origin = f"http://{host}" if is_browser and is_allowed else None
    assert (refusal(origin, host, origins, hosts, LOOPBACK) is None) is is_allowed


def test_a_list_of_hosts_does_not_disable_the_check_of_the_origin() -> None:
    refused = refusal("https://evil.example", "chat.example.com", hosts=["chat.example.com"])
    assert refused is not None
    assert refused.refused == "origin"


INVALID_POLICIES: dict[str, tuple[Any, Any]] = {
    "an origin without a list": ("https://app.example.com", None),
    "an unknown word": ("same-origin", None),
    "nothing": (None, None),
    "a number": (7, None),
    "a number in the list": ([7], None),
    "bytes": (b"https://app.example.com", None),
    "bytes in the list": ([b"https://app.example.com"], None),
    "a pattern of bytes": (re.compile(b"x"), None),
    "a star in the list": (["*"], None),
    "a wildcard": (["https://*.example.com"], None),
    "no scheme": (["app.example.com"], None),
    "a path": (["https://app.example.com/chat"], None),
    "two slashes": (["https://app.example.com//"], None),
    "a blank": ([" https://app.example.com"], None),
    "a user": (["https://ann@app.example.com"], None),
    "a port too high": (["https://app.example.com:65536"], None),
    "an empty string": ([""], None),
    "not in punycode": (["https://bücher.example"], None),
    "outside Latin-1": (["https://\u212aelvin.example"], None),
    "a second entry": (["https://app.example.com", "app"], None),
    "a host without a list": ("same-host", "chat.example.com"),
    "an empty list of hosts": ("same-host", []),
    "a host with a scheme": ("same-host", ["https://chat.example.com"]),
    "a host with a path": ("same-host", ["chat.example.com/"]),
    "IPv6 without brackets": ("same-host", ["::1"]),
    "a wildcard inside": ("same-host", ["chat.*.com"]),
    "two wildcards": ("same-host", ["*.*.com"]),
    "a host that is not in punycode": ("same-host", ["bücher.example"]),
    "a number among hosts": ("same-host", [7]),
}


@pytest.mark.parametrize(("origins", "hosts"), INVALID_POLICIES.values(), ids=INVALID_POLICIES)
def test_an_invalid_policy_is_refused_when_it_is_created(origins: Any, hosts: Any) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        OriginRule(origins, hosts)
    assert ("origins" if hosts is None else "hosts") in caught.value.expected
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("origins", "hosts", "error"),
    [
        (
            "https://app.example.com",
            None,
            'expected origins to be "same-host", "*", a list of origins or a pattern, '
            "found 'https://app.example.com': "
            'write Policy(origins=["https://app.example.com"])',
        ),
        (
            ["https://*.example.com"],
            None,
            'expected each of origins to be scheme://host, scheme://host:port or "null", '
            "found 'https://*.example.com': "
            r'write Policy(origins=re.compile(r"https://[^.]+\.example\.com")), or Policy(origins="*") for all',
        ),
        (
            ["https://bücher.example"],
            None,
            'expected each of origins to be scheme://host, scheme://host:port or "null", '
            "found 'https://b\\xfccher.example': "
            "write the name in punycode (xn--...), as browsers send it",
        ),
        (
            re.compile(b"x"),
            None,
            'expected origins to be a text pattern, found a bytes pattern: write re.compile(r"...")',
        ),
        (
            "same-host",
            ["chat.*"],
            "expected each of hosts to be host, host:port or *.host, found 'chat.*': "
            'write Policy(hosts=["*.example.com"])',
        ),
        (
            "same-host",
            [],
            "expected hosts to name at least one host, found none: leave it None, or list the host names",
        ),
    ],
)
def test_the_error_describes_an_invalid_policy(origins: Any, hosts: Any, error: str) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        OriginRule(origins, hosts)
    assert str(caught.value) == error


LONG = ".".join(["a" * 60] * 4)


@pytest.mark.parametrize(
    ("refused", "line"),
    [
        (
            refusal("https://evil.example"),
            "origin https://evil.example was refused: the request's own host is chat.example.com: "
            'Policy(origins=["https://evil.example"]) would allow it',
        ),
        (
            refusal("null"),
            "origin null was refused: the request's own host is chat.example.com: "
            'Policy(origins=["null"]) would allow it, and with it every sandboxed or local page',
        ),
        (
            refusal("https://a.example | https://b.example"),
            "origin 'https://a.example, https://b.example' was refused: it is not a single well-formed origin: "
            'only Policy(origins="*") would allow it',
        ),
        (
            refusal(""),
            "origin '' was refused: it is not a single well-formed origin: only Policy(origins=\"*\") would allow it",
        ),
        (
            refusal("https://example.com", "example.com", server=LOOPBACK),
            "host example.com was refused: it is not a loopback name, but the request arrived at a loopback address: "
            'Policy(hosts=["example.com"]) would allow it',
        ),
        (
            refusal("https://evil.example", "evil.example", hosts=["chat.example.com"]),
            "host evil.example was refused: it is not among the hosts of the policy: "
            'Policy(hosts=["evil.example"]) would allow it',
        ),
        (
            refusal("https://a.example", None),
            "host (none) was refused: it is not a single well-formed host: "
            "the client, or a proxy before this server, must send one",
        ),
        (
            refusal(f"https://{LONG}"),
            f"origin {f'https://{LONG}'[:97]}... was refused: the request's own host is chat.example.com: "
            "Policy(origins=[...]) would allow it",
        ),
    ],
)
def test_the_text_of_a_refusal_is_a_log_line(refused: OriginRefusal, line: str) -> None:
    assert str(refused) == line


@given(
    st.lists(st.tuples(st.sampled_from([b"origin", b"host", b"cookie"]), st.binary(max_size=200))),
    st.sampled_from([LOOPBACK, PUBLIC, None]),
    st.sampled_from([OriginRule(), OriginRule(["null"], ["a"]), OriginRule(re.compile(".*")), OriginRule("*", ["*"])]),
)
def test_nothing_that_a_client_sends_raises_or_breaks_a_log_line(
    sent: list[tuple[bytes, bytes]], server: object, rule: OriginRule
) -> None:
    refused = rule.refusal(sent, server)
    line = str(refused)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 500


labels = st.text("abcxyz0123456789-_", min_size=1, max_size=8)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
ports = st.none() | st.integers(0, 65535)


def port_suffix(port: int | None) -> str:
    return "" if port is None else f":{port}"


@given(st.sampled_from(["http", "https", "tauri"]), names, ports, names, ports)
def test_a_policy_that_follows_the_hint_allows_the_origin(
    scheme: str, name: str, port: int | None, host: str, host_port: int | None
) -> None:
    origin, sent = f"{scheme}://{name}{port_suffix(port)}", f"{host}{port_suffix(host_port)}"
    refused = refusal(origin, sent)
    if refused is not None:
        named = refused.hint.split('"')[1]
        assert refusal(origin, sent, origins=[named]) is None
        assert refusal(origin, sent, origins=re.compile(re.escape(named))) is None


@given(names, ports)
def test_a_page_of_the_host_itself_is_always_allowed(name: str, port: int | None) -> None:
    assert refusal(f"https://{name}{port_suffix(port)}", f"{name.upper()}{port_suffix(port)}") is None
    refused = refusal(f"https://{name}{port_suffix(port)}", f"{name}{port_suffix(port)}", server=LOOPBACK)
    assert (refused is None) is (name == "localhost" or bool(re.fullmatch(r"127(\.\d{1,3}){3}|.*\.localhost", name)))
