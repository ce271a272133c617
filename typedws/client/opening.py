"""Opening a connection: TCP, TLS, the opening handshake; each failure is told by its kind. No message is read here."""

import os
import socket
import ssl as tls
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
from anyio.abc import ByteStream, SocketAttribute

from typedws._connection.base import session_of
from typedws._connection.client_connection import ClientConnection
from typedws._contract.contract import Contract
from typedws._http.outgoing_request import OutgoingRequest
from typedws._protocol.events import disconnect_of
from typedws._protocol.outcomes import Accepted, Closed
from typedws.client.skip_unknown import SkipUnknownConnection
from typedws.client.transport import Timing, Transport
from typedws.exceptions import ClientNotInstalled, ConnectTimeout, ServerUnreachable, TLSHandshakeFailed

__all__ = ["Opened", "Plan", "open_connection"]

if TYPE_CHECKING:
    from typedws.client.wire import Wire

_READ: Final = 1 << 13
"""Bytes read at once: messages may come with the answer, and compressed ones grow a thousandfold."""

_BROKEN: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
"""What a stream raises once it is over."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is known of a connection before it is made."""

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
    """A connection, and what it goes over."""

    connection: ClientConnection[Any, Any]
    transport: Transport

    @property
    def end(self) -> Closed | None:
        """How the connection ended, as soon as that is known here: it need not have been received."""
        return self.connection.end or self._end

    @property
    def _end(self) -> Closed | None:
        event = self.transport.disconnect
        return None if event is None else disconnect_of(event, session_of(self.connection).server)

    @property
    def is_failed(self) -> bool:
        """Whether it was not closed but failed by this side: what the server said broke the rules."""
        return self._end is not None and self._end.closed_by == "application"

    async def close(self, code: int) -> None:
        """Close, and wait until nothing of the connection is left: not cancelled, within twice the close timeout."""
        await self.connection.close(code)
        with anyio.CancelScope(shield=True):
            await self.transport.ended.wait()


async def open_connection(plan: Plan) -> Opened:
    """Connect, shake hands, and begin to read and to write.

    :raises ConnectionFailed: of the kind that tells why not
    :raises ClientNotInstalled: without the extra
    """
    try:
        from typedws.client.wire import Wire
    except ImportError as error:
        raise ClientNotInstalled from error
    request = plan.request
    wire = Wire(request, plan.max_message_size, plan.is_compressing)
    scope = request.scope(wire.asked)
    with anyio.move_on_after(plan.open_timeout):
        stream = await _stream(request, plan.ssl)
        try:
            accepted = await _answer(stream, wire)
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise
        scope["client"] = stream.extra(SocketAttribute.local_address, None)  # noqa: S610 - no SQL
        transport = Transport(stream, wire, plan.timing)
        kind: type[ClientConnection[Any, Any]] = SkipUnknownConnection if plan.skips_unknown else ClientConnection
        connection = kind(scope, transport.receive, transport.send, accepted, plan.contract, transport)
        session_of(connection).close_timeout = plan.timing.close_timeout
        transport.start()
        return Opened(connection, transport)
    raise ConnectTimeout(plan.open_timeout or 0)


async def _stream(request: OutgoingRequest, context: tls.SSLContext | None) -> ByteStream:
    where = f"{request.host}:{request.port}"
    try:
        if not request.is_secure:
            return await anyio.connect_tcp(request.host, request.port)
        return await anyio.connect_tcp(
            request.host,
            request.port,
            ssl_context=context or _default_context(),
            tls_standard_compatible=False,  # a close frame says that nothing is missing
        )
    except tls.SSLError as error:
        raise TLSHandshakeFailed(
            f"a TLS server trusted to be {where}", f"one that is not ({_tls_problem(error)})"
        ) from error
    except _BROKEN as error:
        raise ServerUnreachable(f"a server at {where}", _problem(error)) from error


async def _answer(stream: ByteStream, wire: "Wire") -> Accepted:
    try:
        await stream.send(wire.take_outgoing())
        while (accepted := wire.accepted()) is None:
            try:
                wire.feed(await stream.receive(_READ))
            except anyio.EndOfStream:
                wire.feed(b"")
        return accepted
    except _BROKEN as error:
        raise ServerUnreachable("an answer to the opening handshake", "the end of the connection before it") from error


@cache
def _default_context() -> tls.SSLContext:
    return tls.create_default_context()  # it reads all certificates of the system


def _problem(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "no address of that name"
    cause: object = error.__cause__ or error
    if isinstance(cause, ExceptionGroup):  # one for each address
        cause = cast("ExceptionGroup[Exception]", cause).exceptions[0]
    number = cause.errno if isinstance(cause, OSError) else None
    return "the end of the connection" if number is None else os.strerror(number).lower()


def _tls_problem(error: tls.SSLError) -> str:
    if isinstance(error, tls.SSLCertVerificationError):
        return error.verify_message.rstrip(".").lower()
    return (error.reason or "a failed handshake").replace("_", " ").lower()
