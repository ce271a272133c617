"""What a server may do instead of accepting: the client raises the right exception, soon, and wastes no memory."""

import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Protocol

import anyio
import pytest

from tests.unit.client.scripted import HeaderChanges, Opcode, ServerEnd, frame, memory_below, scripted
from typedws._contract.problem_documents import ProblemDocument
from typedws.client import (
    ClientNotInstalled,
    Compression,
    ConnectionDenied,
    ConnectionFailed,
    ConnectTimeout,
    InvalidResponse,
    ServerUnreachable,
    connect,
    connect_sync,
)

pytestmark = pytest.mark.anyio

SOON: Final = 0.2
"""The open timeout in seconds for servers that never respond in full."""


class Behaviour(Protocol):
    """The behaviour of a server on one connection."""

    async def __call__(self, end: ServerEnd, /) -> None: ...


def answers_with(*answer: bytes, then_leaves: bool = False) -> Behaviour:
    """Read the request and write the response; then wait for the client to leave, or close TCP."""

    async def behave(end: ServerEnd) -> None:
        await end.read_request()
        for part in answer:
            await end.send(part)
        if not then_leaves:
            await end.until_gone()

    return behave


def never_stops(beginning: bytes, repeated: bytes) -> Behaviour:
    """Read the request and write for as long as the client reads."""

    async def behave(end: ServerEnd) -> None:
        await end.read_request()
        await end.send(beginning)
        while True:
            await end.send(repeated)

    return behave


def accepts(changes: HeaderChanges) -> Behaviour:
    """Accept, except for the changes."""

    async def behave(end: ServerEnd) -> None:
        await end.accept(changes)
        await end.until_gone()

    return behave


async def closes_at_once(end: ServerEnd) -> None:
    await end.leave()


async def resets_at_once(end: ServerEnd) -> None:
    await end.reset()


async def resets_after_the_request(end: ServerEnd) -> None:
    await end.read_request()
    await end.reset()


async def resets_within_the_answer(end: ServerEnd) -> None:
    await end.read_request()
    await end.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: web")
    await end.reset()


async def greets_first(end: ServerEnd) -> None:
    await end.send(b"SSH-2.0-OpenSSH_9.6\r\n")
    await end.until_gone()


PROBLEM: Final = b'{"type": "about:blank", "title": "Unauthorized", "status": 401, "detail": "token missing"}'
ACCEPTED_LINE: Final = b"HTTP/1.1 101 Switching Protocols\r\n"
TOO_EARLY: Final = "expected an answer to the opening handshake, found a closed connection"
TOO_LATE: Final = "the server did not accept the connection within 0.2 s"
TOO_LARGE: Final = "expected a response within the size limits, found a larger one"
NO_HTTP: Final = "expected an HTTP/1.1 response, found something else"
NOT_OFFERED: Final = "expected a subprotocol and extensions that were offered, found others"


def bad_header(name: str) -> str:
    return f"expected the header {name} of RFC 6455 section 4.2.2, found none, or a wrong value"


def denied(status: str) -> str:
    return f"the server denied the handshake with {status}"


FAILURES: Final[Sequence[tuple[str, Behaviour, type[ConnectionFailed], str]]] = [
    # Responses that never end.
    ("no answer", answers_with(), ConnectTimeout, TOO_LATE),
    ("half a status line", answers_with(b"HTTP/1.1 10"), ConnectTimeout, TOO_LATE),
    ("half the headers", answers_with(ACCEPTED_LINE, b"Upgrade: websocket\r\nConn"), ConnectTimeout, TOO_LATE),
    (
        "less of a body than announced",
        answers_with(b"HTTP/1.1 401 No\r\nContent-Length: 9\r\n\r\nx"),
        ConnectTimeout,
        TOO_LATE,
    ),
    ("a body without an end", answers_with(b"HTTP/1.1 401 No\r\n\r\nx"), ConnectTimeout, TOO_LATE),
    (
        "a chunked body without an end",
        answers_with(b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"),
        ConnectTimeout,
        TOO_LATE,
    ),
    # Connections that end too early.
    ("TCP closed at once", closes_at_once, ServerUnreachable, TOO_EARLY),
    ("TCP closed after the request", answers_with(then_leaves=True), ServerUnreachable, TOO_EARLY),
    (
        "TCP closed within the status line",
        answers_with(b"HTTP/1.1 10", then_leaves=True),
        ServerUnreachable,
        TOO_EARLY,
    ),
    (
        "TCP closed within the headers",
        answers_with(ACCEPTED_LINE, b"Upg", then_leaves=True),
        ServerUnreachable,
        TOO_EARLY,
    ),
    ("TCP reset at once", resets_at_once, ServerUnreachable, TOO_EARLY),
    ("TCP reset after the request", resets_after_the_request, ServerUnreachable, TOO_EARLY),
    ("TCP reset within the answer", resets_within_the_answer, ServerUnreachable, TOO_EARLY),
    # Servers that never stop.
    ("an endless status line", never_stops(b"HTTP/1.1 ", b"1" * 65536), InvalidResponse, TOO_LARGE),
    ("an endless header", never_stops(ACCEPTED_LINE + b"X-Long: ", b"x" * 65536), InvalidResponse, TOO_LARGE),
    ("endless headers", never_stops(ACCEPTED_LINE, b"X-More: x\r\n" * 5000), InvalidResponse, TOO_LARGE),
    ("a long header", answers_with(ACCEPTED_LINE, b"X-Long: ", b"x" * 9000, b"\r\n"), InvalidResponse, TOO_LARGE),
    (
        "100 MB, announced",
        never_stops(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", b"x" * 65536),
        InvalidResponse,
        TOO_LARGE,
    ),
    ("an endless body", never_stops(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536), InvalidResponse, TOO_LARGE),
    (
        "endless chunks",
        never_stops(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 1024 + b"\r\n"),
        InvalidResponse,
        TOO_LARGE,
    ),
    (
        "a chunk of 100 MB",
        never_stops(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6400000\r\n", b"x" * 65536),
        InvalidResponse,
        TOO_LARGE,
    ),
    # Responses that are not HTTP/1.1.
    ("the banner of SSH", greets_first, InvalidResponse, NO_HTTP),
    ("rubbish", answers_with(bytes(range(256))), InvalidResponse, NO_HTTP),
    ("lines without CR", answers_with(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"), InvalidResponse, NO_HTTP),
    ("HTTP/1.0", answers_with(b"HTTP/1.0 101 Switching Protocols\r\n\r\n"), InvalidResponse, NO_HTTP),
    (
        "HTTP/2",
        answers_with(b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x64\0\4\0\1\0\0\0\5\0\1\0\0\0\0\7\1\0\0\0\0\0HTTP/2 only\r\n"),
        InvalidResponse,
        NO_HTTP,
    ),
    ("an invalid status", answers_with(b"HTTP/1.1 099 What\r\n\r\n"), InvalidResponse, NO_HTTP),
    ("an invalid header", answers_with(ACCEPTED_LINE, b"no colon\r\n\r\n"), InvalidResponse, NO_HTTP),
    (
        "two lengths",
        answers_with(b"HTTP/1.1 400 No\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        InvalidResponse,
        NO_HTTP,
    ),
    # Denials.
    (
        "301",
        answers_with(
            b"HTTP/1.1 301 Moved Permanently\r\nLocation: ws://elsewhere.example/\r\nContent-Length: 0\r\n\r\n"
        ),
        ConnectionDenied,
        denied("301 (Moved Permanently)"),
    ),
    (
        "401 with a problem document",
        answers_with(
            b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/problem+json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(PROBLEM) + PROBLEM
        ),
        ConnectionDenied,
        denied("401 (Unauthorized): token missing"),
    ),
    (
        "401 with text",
        answers_with(b"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno"),
        ConnectionDenied,
        denied("401 (Unauthorized)"),
    ),
    ("200", answers_with(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), ConnectionDenied, denied("200 (OK)")),
    (
        "404 without a body",
        answers_with(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        ConnectionDenied,
        denied("404 (Not Found)"),
    ),
    ("204", answers_with(b"HTTP/1.1 204 No Content\r\n\r\n"), ConnectionDenied, denied("204 (No Content)")),
    (
        "503 with Retry-After",
        answers_with(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"),
        ConnectionDenied,
        denied("503 (Service Unavailable)"),
    ),
    (
        "400 in chunks",
        answers_with(
            b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"2\r\nab\r\n",
            b"1\r\nc\r\n",
            b"0\r\n\r\n",
        ),
        ConnectionDenied,
        denied("400 (Bad Request)"),
    ),
    (
        "400 up to the end of TCP",
        answers_with(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"ab", b"c", then_leaves=True),
        ConnectionDenied,
        denied("400 (Bad Request)"),
    ),
    (
        "an unregistered status",
        answers_with(b"HTTP/1.1 499 Whatever\r\nContent-Length: 0\r\n\r\n"),
        ConnectionDenied,
        denied("499"),
    ),
    # Almost accepted.
    (
        "a wrong accept key",
        accepts({"Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}),
        InvalidResponse,
        bad_header("Sec-WebSocket-Accept"),
    ),
    ("no accept key", accepts({"Sec-WebSocket-Accept": None}), InvalidResponse, bad_header("Sec-WebSocket-Accept")),
    (
        "two accept keys",
        accepts({"Sec-WebSocket-Accept": ("a", "b")}),
        InvalidResponse,
        bad_header("Sec-WebSocket-Accept"),
    ),
    ("no Upgrade", accepts({"Upgrade": None}), InvalidResponse, bad_header("Upgrade")),
    ("an upgrade to something else", accepts({"Upgrade": "h2c"}), InvalidResponse, bad_header("Upgrade")),
    ("an invalid Upgrade", accepts({"Upgrade": "@"}), InvalidResponse, bad_header("Upgrade")),
    ("no Connection", accepts({"Connection": None}), InvalidResponse, bad_header("Connection")),
    ("another Connection", accepts({"Connection": "close"}), InvalidResponse, bad_header("Connection")),
    ("an unoffered subprotocol", accepts({"Sec-WebSocket-Protocol": "c"}), InvalidResponse, NOT_OFFERED),
    (
        "two subprotocols",
        accepts({"Sec-WebSocket-Protocol": ("a", "b")}),
        InvalidResponse,
        bad_header("Sec-WebSocket-Protocol"),
    ),
    (
        "two subprotocols in one field",
        accepts({"Sec-WebSocket-Protocol": "a, b"}),
        InvalidResponse,
        bad_header("Sec-WebSocket-Protocol"),
    ),
    (
        "an unoffered extension",
        accepts({"Sec-WebSocket-Extensions": "x-webkit-deflate-frame"}),
        InvalidResponse,
        NOT_OFFERED,
    ),
    (
        "an invalid extension",
        accepts({"Sec-WebSocket-Extensions": "=;="}),
        InvalidResponse,
        bad_header("Sec-WebSocket-Extensions"),
    ),
    (
        "an extension twice",
        accepts({"Sec-WebSocket-Extensions": "permessage-deflate, permessage-deflate"}),
        InvalidResponse,
        NOT_OFFERED,
    ),
    (
        "an unknown parameter",
        accepts({"Sec-WebSocket-Extensions": "permessage-deflate; x=1"}),
        InvalidResponse,
        NOT_OFFERED,
    ),
    (
        "an invalid window",
        accepts({"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=16"}),
        InvalidResponse,
        NOT_OFFERED,
    ),
    (
        "a window that zlib does not support",
        accepts({"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits=8"}),
        InvalidResponse,
        NOT_OFFERED,
    ),
]


@pytest.mark.parametrize(
    ("behave", "kind", "sentence"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
async def test_a_failure_to_connect_raises_the_exception_for_its_cause(
    behave: Behaviour, kind: type[ConnectionFailed], sentence: str
) -> None:
    open_timeout = SOON if kind is ConnectTimeout else None
    async with scripted(behave) as server:
        with memory_below(8), pytest.raises(ConnectionFailed) as caught:
            await connect(
                server.url, subprotocols=["a", "b"], compression="deflate", open_timeout=open_timeout
            ).__aenter__()
    assert (type(caught.value), str(caught.value)) == (kind, sentence)


@pytest.mark.parametrize(
    ("changes", "compression"),
    [
        ({"Sec-WebSocket-Protocol": "a"}, "deflate"),
        ({"Sec-WebSocket-Extensions": "permessage-deflate"}, None),
    ],
)
async def test_a_response_must_not_select_what_was_not_offered(
    changes: HeaderChanges, compression: Compression | None
) -> None:
    async with scripted(accepts(changes)) as server:
        with pytest.raises(InvalidResponse) as caught:
            await connect(server.url, compression=compression).__aenter__()
    assert str(caught.value) == NOT_OFFERED


def response(status: str, headers: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status.encode(), headers, len(body), body)


@pytest.mark.parametrize(
    ("answer", "status", "header", "body", "problem"),
    [
        (
            response("401 Unauthorized", b"Content-Type: application/problem+json\r\n", PROBLEM),
            401,
            ("content-type", "application/problem+json"),
            PROBLEM,
            ProblemDocument(title="Unauthorized", status=401, detail="token missing"),
        ),
        (
            response("401 Unauthorized", b"WWW-Authenticate: Bearer\r\n", b"no"),
            401,
            ("www-authenticate", "Bearer"),
            b"no",
            None,
        ),
        (
            response("403 Forbidden", b"Content-Type: application/problem+json\r\n", b"{"),
            403,
            ("content-type", "application/problem+json"),
            b"{",
            None,
        ),
        (
            response("301 Moved", b"Location: ws://elsewhere.example/\r\n", b""),
            301,
            ("location", "ws://elsewhere.example/"),
            b"",
            None,
        ),
        (response("503 Busy", b"Retry-After: 7\r\n", b""), 503, ("retry-after", "7"), b"", None),
    ],
)
async def test_a_denial_has_the_status_the_headers_and_the_body(
    answer: bytes, status: int, header: tuple[str, str], body: bytes, problem: ProblemDocument | None
) -> None:
    async with scripted(answers_with(answer)) as server:
        with pytest.raises(ConnectionDenied) as caught:
            await connect(server.url).__aenter__()
    denial = caught.value
    assert (denial.status, denial.headers[header[0]], denial.body, denial.problem) == (status, header[1], body, problem)


# --- responses that succeed ---


async def test_a_response_may_come_byte_by_byte() -> None:
    async def script(end: ServerEnd) -> None:
        await end.read_request()
        for byte in end.acceptance() + frame(Opcode.TEXT, b"hi"):
            await end.send(bytes([byte]))
        await end.until_gone()

    async with scripted(script) as server, connect(server.url, close_timeout=SOON) as ws:
        assert await ws.receive_text() == "hi"


async def test_frames_that_come_with_the_response_are_received() -> None:
    async def script(end: ServerEnd) -> int | None:
        hello = frame(Opcode.TEXT, b"hi") + frame(Opcode.PING, b"?") + frame(Opcode.BINARY, b"\0")
        await end.accept({"Sec-WebSocket-Protocol": "b"}, then=hello + frame(Opcode.CLOSE, b"\x0f\xa1bye"))
        pong = await end.next_frame()
        assert pong is not None
        assert (pong.opcode, pong.payload) == (Opcode.PONG, b"?")
        return await end.close_code()

    async with scripted(script) as server:
        async with connect(server.url, subprotocols=["a", "b"]) as ws:
            assert ws.subprotocol == "b"
            assert await ws.receive_text() == "hi"
            assert await ws.receive_bytes() == b"\0"
            assert [text async for text in ws.iter_text()] == []
            assert (ws.end and (ws.end.code, ws.end.reason)) == (4001, "bye")
        assert await server.result() == 4001


# --- unreachable servers ---


@contextmanager
def silent_address(host: str = "127.0.0.1", port: int = 0) -> Generator[tuple[str, int]]:
    """Yield an address that never answers a connection attempt: its queue of connections is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):  # more than the queue holds
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()


def unused_port() -> int:
    with socket.socket() as once:
        once.bind(("127.0.0.1", 0))
        port: int = once.getsockname()[1]
        return port


def resolve(monkeypatch: pytest.MonkeyPatch, name: str, addresses: Sequence[str]) -> None:
    """Make the system's resolver return these addresses for a name."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if host not in (name, name.encode()):
            return real(host, port, *rest, **more)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


async def test_a_refused_connection_names_the_address() -> None:
    port = unused_port()
    with anyio.fail_after(5), pytest.raises(ServerUnreachable) as caught:
        await connect(f"ws://127.0.0.1:{port}/").__aenter__()
    assert str(caught.value) == f"could not connect to 127.0.0.1:{port}: connection refused"


async def test_a_name_without_an_address_raises_server_unreachable() -> None:
    with anyio.fail_after(5), pytest.raises(ServerUnreachable) as caught:
        await connect("ws://no-such-host.invalid/").__aenter__()
    assert str(caught.value) == "could not connect to no-such-host.invalid:80: no address of that name"


async def test_an_address_that_does_not_answer_is_abandoned_in_time() -> None:
    with silent_address() as (host, port), anyio.fail_after(5), pytest.raises(ConnectTimeout) as caught:
        await connect(f"ws://{host}:{port}/", open_timeout=SOON).__aenter__()
    assert (str(caught.value), caught.value.seconds) == (TOO_LATE, SOON)


@pytest.mark.parametrize(
    "others", [[], ["127.0.0.3"]], ids=["one that is silent", "one that is silent, one that refuses"]
)
async def test_another_address_of_the_name_is_used_if_the_first_does_not_answer(
    others: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(end: ServerEnd) -> bytes:
        await end.accept()
        await end.until_gone()
        return end.request

    async with scripted(script) as server:
        with silent_address("127.0.0.2", server.port):
            resolve(monkeypatch, "many.example", ["127.0.0.2", *others, "127.0.0.1"])
            async with connect(f"ws://many.example:{server.port}/", close_timeout=0.0) as ws:
                assert ws.url.hostname == "many.example"
        assert b"Host: many.example:%d" % server.port in await server.result()


async def test_a_name_whose_addresses_all_refuse_raises_server_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    port = unused_port()
    resolve(monkeypatch, "many.example", ["127.0.0.1", "127.0.0.2"])
    with anyio.fail_after(5), pytest.raises(ServerUnreachable) as caught:
        await connect(f"ws://many.example:{port}/").__aenter__()
    assert str(caught.value) == f"could not connect to many.example:{port}: connection refused"


def test_connect_sync_raises_the_same_exception() -> None:
    with pytest.raises(ServerUnreachable), connect_sync("ws://127.0.0.1:1/"):
        pytest.fail("no server listens there")
    assert not [thread for thread in threading.enumerate() if thread.name == "typedws.client"]


async def test_without_the_extra_connecting_raises_client_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typedws.client.wire", None)
    with pytest.raises(ClientNotInstalled):
        await connect("ws://127.0.0.1:1/").__aenter__()


def test_without_the_extra_the_client_can_be_imported() -> None:
    code = "import sys; sys.modules['websockets'] = None; import typedws.client"
    subprocess.run([sys.executable, "-c", code], check=True)
