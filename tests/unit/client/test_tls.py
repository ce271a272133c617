"""The client over TLS: trust, failed TLS handshakes, and connections that end without a TLS ``close_notify``."""

import ssl as tls
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import anyio
import pytest
import trustme
from anyio.streams.tls import TLSStream

from tests.unit.client.scripted import Opcode, Script, ServerEnd, frame, scripted
from typedws import WebSocketDisconnect
from typedws._protocol.outcomes import Closed
from typedws.client import ConnectionFailed, ConnectTimeout, ServerUnreachable, TLSHandshakeFailed, connect

pytestmark = pytest.mark.anyio

SOON: Final = 0.2
"""A short timeout in seconds, for waits that are expected to time out."""
HOST: Final = "127.0.0.1"


class Authorities:
    """Temporary certificate authorities: one that is trusted, one that is not; and the contexts of both sides."""

    def __init__(self) -> None:
        self._trusted = trustme.CA()
        self._other = trustme.CA()
        self.client = tls.create_default_context()
        self._trusted.configure_trust(self.client)

    def server(
        self, host: str = HOST, *, is_trusted: bool = True, expires_in: timedelta | None = None
    ) -> tls.SSLContext:
        """Return the context of a server with a certificate."""
        authority = self._trusted if is_trusted else self._other
        not_after = None if expires_in is None else datetime.now(UTC) + expires_in
        certificate = authority.issue_cert(host, not_after=not_after)
        context = tls.create_default_context(tls.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authorities() -> Authorities:
    """Create the keys once: that is slow."""
    return Authorities()


# --- trust ---


async def echoes(end: ServerEnd) -> int:
    """Send messages back until a close frame, answer it, and return its code."""
    await end.accept()
    while (received := await end.next_frame()) is not None:
        await end.send(frame(received.opcode, received.payload))
        if received.opcode == Opcode.CLOSE:
            return received.close_code
    return 1006


async def test_a_trusted_server_is_sent_to_and_received_from(authorities: Authorities) -> None:
    async with scripted(echoes, ssl=authorities.server()) as server:
        assert server.url.startswith("wss://")
        async with connect(server.url, ssl=authorities.client) as ws:
            for message in (b"", b"hi", bytes(range(256)) * 1000):
                await ws.send_bytes(message)
                assert await ws.receive_bytes() == message
            for number in range(50):
                await ws.send_text(f"{number}")
            assert [await ws.receive_text() for _ in range(50)] == [f"{number}" for number in range(50)]
            assert await ws.close(4000, "bye") == Closed(4000, "bye", "application")
        assert await server.result() == 4000


@pytest.mark.parametrize(
    ("host", "is_trusted", "expires_in", "problem"),
    [
        (HOST, False, None, "unable to get local issuer certificate"),
        ("elsewhere.example", True, None, "ip address mismatch, certificate is not valid for '127.0.0.1'"),
        (HOST, True, timedelta(days=-1), "certificate has expired"),
    ],
    ids=["another authority", "another host", "expired"],
)
async def test_an_untrusted_server_receives_no_request(
    host: str, is_trusted: bool, expires_in: timedelta | None, problem: str, authorities: Authorities
) -> None:
    context = authorities.server(host, is_trusted=is_trusted, expires_in=expires_in)
    async with scripted(echoes, ssl=context) as server:
        with pytest.raises(TLSHandshakeFailed) as caught:
            await connect(server.url, ssl=authorities.client).__aenter__()
        assert server.connections == [] or server.connections[0].request == b""
    where = f"{HOST}:{server.port}"
    assert str(caught.value) == f"the TLS handshake with {where} failed: {problem}"


async def test_an_unknown_authority_is_not_trusted_by_default(authorities: Authorities) -> None:
    async with scripted(echoes, ssl=authorities.server()) as server:
        with pytest.raises(TLSHandshakeFailed, match="unable to get local issuer certificate"):
            await connect(server.url).__aenter__()


# --- failed TLS handshakes ---


async def speaks_http(end: ServerEnd) -> None:
    await end.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await end.until_gone()


async def stays_silent(end: ServerEnd) -> None:
    await end.until_gone()


async def leaves(end: ServerEnd) -> None:
    await end.stream.receive()
    await end.leave()


async def resets(end: ServerEnd) -> None:
    await end.stream.receive()
    await end.reset()


async def refuses(end: ServerEnd) -> None:
    await end.stream.receive()
    await end.send(b"\x15\x03\x03\0\2\2\x28")  # an alert: handshake_failure (RFC 8446 section 6)
    await end.leave()


NOT_TRUSTED: Final = "the TLS handshake with {where} failed: {problem}"
UNREACHABLE: Final = "could not connect to {where}: {problem}"
TOO_EARLY: Final = "expected an answer to the opening handshake, found a closed connection"
TOO_LATE: Final = "the server did not accept the connection within 0.2 s"


@pytest.mark.parametrize(
    ("script", "kind", "sentence", "problem"),
    [
        (speaks_http, TLSHandshakeFailed, NOT_TRUSTED, "wrong version number"),
        (refuses, TLSHandshakeFailed, NOT_TRUSTED, "handshake failure"),
        (stays_silent, ConnectTimeout, TOO_LATE, ""),
        (leaves, ServerUnreachable, UNREACHABLE, "the connection ended"),
        (resets, ServerUnreachable, UNREACHABLE, ""),  # A reset or an end, depending on timing.
    ],
)
async def test_a_failed_tls_handshake_raises_the_exception_for_its_cause(
    script: Script[None], kind: type[ConnectionFailed], sentence: str, problem: str, authorities: Authorities
) -> None:
    async with scripted(script) as server:
        with pytest.raises(ConnectionFailed) as caught:
            await connect(
                f"wss://{HOST}:{server.port}/",
                ssl=authorities.client,
                open_timeout=SOON if kind is ConnectTimeout else 5,
            ).__aenter__()
    assert type(caught.value) is kind
    message = str(caught.value)
    assert message.startswith(sentence.partition("{problem}")[0].format(where=f"{HOST}:{server.port}"))
    assert problem in message


async def test_a_tls_server_is_not_reached_without_tls(authorities: Authorities) -> None:
    async with scripted(echoes, ssl=authorities.server()) as server:
        with pytest.raises(ConnectionFailed) as caught:
            await connect(f"ws://{HOST}:{server.port}/").__aenter__()
    assert (type(caught.value), str(caught.value)) == (ServerUnreachable, TOO_EARLY)


# --- the end ---


async def sends_rubbish_below_tls(end: ServerEnd) -> None:
    assert isinstance(end.stream, TLSStream)
    await end.stream.transport_stream.send(b"\x17\x03\x03\0\x20" + bytes(32))
    await end.until_gone()


async def sends_close_notify(end: ServerEnd) -> None:
    assert isinstance(end.stream, TLSStream)
    await end.stream.unwrap()


@pytest.mark.parametrize("end_by", [ServerEnd.leave, ServerEnd.reset, sends_close_notify, sends_rubbish_below_tls])
@pytest.mark.parametrize("has_closed", [True, False], ids=["after a close frame", "without a close frame"])
async def test_a_close_frame_suffices_without_a_tls_close_notify(
    end_by: Callable[[ServerEnd], Awaitable[None]], has_closed: bool, authorities: Authorities
) -> None:
    received = anyio.Event()

    async def script(end: ServerEnd) -> None:
        await end.accept()
        await end.send(frame(Opcode.TEXT, b"hi"))
        if has_closed:
            await end.close(4000, "bye")
            assert await end.close_code() == 4000
        await received.wait()
        await end_by(end)

    async with (
        scripted(script, ssl=authorities.server()) as server,
        connect(server.url, ssl=authorities.client) as ws,
    ):
        assert await ws.receive_text() == "hi"
        received.set()
        with pytest.raises(WebSocketDisconnect):
            await ws.receive_text()
        assert ws.end == (Closed(4000, "bye", "peer") if has_closed else Closed(1006, "", "network"))


async def test_leaving_ends_a_tls_connection_that_the_server_keeps(authorities: Authorities) -> None:
    async def script(end: ServerEnd) -> None:
        await end.accept()
        await anyio.sleep_forever()

    async with scripted(script, ssl=authorities.server()) as server:
        async with connect(server.url, ssl=authorities.client, close_timeout=SOON):
            started = anyio.current_time()
        assert anyio.current_time() - started < 2
