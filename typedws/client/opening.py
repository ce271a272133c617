"""Opening a connection: TCP, TLS and the opening handshake. No message is decoded here."""

import os
import socket
import ssl as tls
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
from anyio.abc import ByteStream, SocketAttribute

from typedws._connection.base import session_of
from typedws._connection.client_connection import Accepted, ClientConnection
from typedws._contract.contract import Contract
from typedws._http.outgoing_request import OutgoingRequest
from typedws._protocol.events import disconnect_of
from typedws._protocol.outcomes import Closed
from typedws.client.skip_unknown import SkipUnknownConnection
from typedws.client.transport import Timing, Transport
from typedws.exceptions import ClientNotInstalled, ConnectTimeout, ServerUnreachable, TLSHandshakeFailed

__all__ = ["Opened", "Plan", "open_connection"]

if TYPE_CHECKING:
    from typedws.client.wire import Wire

_READ_SIZE: Final = 1 << 13
"""Bytes read at once. Messages may come with the response, and compressed ones may grow a thousandfold."""

_BROKEN: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
"""What a stream raises once it has ended."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All parameters of a connection, checked, before it is opened."""

    request: OutgoingRequest
    contract: Contract[Any, Any, Any] | None
    ssl: tls.SSLContext | None
    open_timeout: float | None
    timing: Timing
    max_message_size: int | None
    is_compressing: bool
    skips_unknown: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """An open connection and its transport."""

    connection: ClientConnection[Any, Any]
    transport: Transport

    @property
    def end(self) -> Closed | None:
        """How the connection ended, once the transport knows it. The application need not have received the end."""
        return self.connection.end or self._end

    @property
    def _end(self) -> Closed | None:
        event = self.transport.disconnect
        return None if event is None else disconnect_of(event, session_of(self.connection).profile)

    @property
    def is_failed(self) -> bool:
        """Whether this side failed the connection, because the server broke the protocol or exceeded a limit."""
        return self._end is not None and self._end.closed_by == "application"

    async def close(self, code: int) -> None:
        """Close, and wait until nothing of the connection is left, for at most twice the close timeout.

        Shielded from cancellation.
        """
        await self.connection.close(code)
        with anyio.CancelScope(shield=True):
            await self.transport.ended.wait()


async def open_connection(plan: Plan) -> Opened:
    """Open a connection: TCP, TLS, the opening handshake, and the tasks that read and write.

    :raises ConnectionFailed: if connecting fails; the subclass says why
    :raises ClientNotInstalled: if the extra ``client`` is not installed
    """
    # Imported here, as it needs `websockets`, which only the extra installs.
    try:
        from typedws.client.wire import Wire
    except ImportError as error:
        raise ClientNotInstalled from error
    request = plan.request
    wire = Wire(request, plan.max_message_size, plan.is_compressing)
    scope = request.scope(wire.request_headers)
    with anyio.move_on_after(plan.open_timeout):
        stream = await _open_stream(request, plan.ssl)
        try:
            accepted = await _await_response(stream, wire)
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise
        # No await from here on: until the transport runs, a cancellation would leave the stream open.
        scope["client"] = stream.extra(SocketAttribute.local_address, None)  # noqa: S610 - this is not Django's extra()
        transport = Transport(stream, wire, plan.timing)
        connection_type: type[ClientConnection[Any, Any]] = (
            SkipUnknownConnection if plan.skips_unknown else ClientConnection
        )
        connection = connection_type(scope, transport.receive, transport.send, accepted, plan.contract, transport)
        session_of(connection).close_timeout = plan.timing.close_timeout
        transport.start()
        return Opened(connection, transport)
    raise ConnectTimeout(plan.open_timeout or 0)


async def _open_stream(request: OutgoingRequest, context: tls.SSLContext | None) -> ByteStream:
    address = f"{request.host}:{request.port}"
    try:
        if not request.is_secure:
            return await anyio.connect_tcp(request.host, request.port)
        return await anyio.connect_tcp(
            request.host,
            request.port,
            ssl_context=context or _default_context(),
            # Servers may end TCP without TLS's close_notify. The close frame already shows that nothing is missing.
            tls_standard_compatible=False,
        )
    except tls.SSLError as error:  # an OSError, so it comes before _BROKEN
        problem = _describe_tls_problem(error)
        sentence = f"the TLS handshake with {address} failed: {problem}"
        raise TLSHandshakeFailed("a trusted TLS server", problem, sentence=sentence) from error
    except _BROKEN as error:
        problem = _describe_problem(error)
        sentence = f"could not connect to {address}: {problem}"
        raise ServerUnreachable(f"a server at {address}", problem, sentence=sentence) from error


async def _await_response(stream: ByteStream, wire: "Wire") -> Accepted:
    try:
        await stream.send(wire.take_outgoing())
        while (accepted := wire.accepted()) is None:
            try:
                wire.feed(await stream.receive(_READ_SIZE))
            except anyio.EndOfStream:
                wire.feed(b"")
        return accepted
    except _BROKEN as error:
        raise ServerUnreachable("an answer to the opening handshake", "a closed connection") from error


@cache
def _default_context() -> tls.SSLContext:
    return tls.create_default_context()  # Slow: it reads all certificate authorities of the system.


def _describe_problem(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "no address of that name"
    cause: object = error.__cause__ or error
    if isinstance(cause, ExceptionGroup):  # one exception for each address of the host
        cause = cast("ExceptionGroup[Exception]", cause).exceptions[0]
    number = cause.errno if isinstance(cause, OSError) else None
    return "the connection ended" if number is None else os.strerror(number).lower()


def _describe_tls_problem(error: tls.SSLError) -> str:
    if isinstance(error, tls.SSLCertVerificationError):
        return error.verify_message.rstrip(".").lower()
    return (error.reason or "unknown reason").replace("_", " ").lower()
