"""`Handshake`: the view of a connection that is still to be decided. It accepts or denies; it sends no message."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from typedws._connection.base import BaseConnection, In_co, Out_contra, Params_co
from typedws._connection.connection import Connection
from typedws._connection.session import Session
from typedws._contract.problem_documents import DenialResponse, ProblemDocument, supports_denial_response
from typedws._http.headers import HeadersInput
from typedws._http.subprotocols import choose
from typedws._protocol.events import accept_event, close_event
from typedws._protocol.outcomes import Denied
from typedws._protocol.state import Application, Move
from typedws.asgi import ASGIApp, Scope
from typedws.codecs.modes import Mode
from typedws.exceptions import DenialResponseUnsupported, WebSocketDisconnect

__all__ = ["Handshake"]


class Handshake(BaseConnection[In_co, Out_contra, Params_co]):
    """An opening handshake to decide: all that the request says, ``accept`` and ``deny``; no sending, no receiving."""

    __slots__ = ()

    async def accept(
        self, subprotocol: str | None = None, headers: HeadersInput | None = None
    ) -> Connection[In_co, Out_contra, Params_co]:
        """Accept the connection, and give the view of it that sends and receives.

        :param subprotocol: one of those that the client offered. By default the first of them that stands for a mode,
            where a contract or ``modes`` names some, and that mode is the connection's; none where none are named
        :param headers: additional fields of the response, none that belongs to the handshake itself
        :raises InvalidHandshake: for a subprotocol or header that must not be sent; nothing was sent
        :raises UnknownSubprotocol: where the client offers none that stands for a mode; nothing was sent
        :raises InvalidState: after an accept or a denial
        :raises WebSocketDisconnect: when the client has left
        """
        offered = self.subprotocols
        mode: Mode | None = None
        if self._modes is not None:
            if subprotocol is None:
                choice = choose(offered, self._modes)
                subprotocol, mode = choice.subprotocol, choice.mode
            else:
                mode = self._modes.get(subprotocol)
        event = accept_event(subprotocol, headers, offered)
        await self._session.connect()
        await self._session.send(event)
        if mode is not None:
            self._mode = mode
        return cast("Connection[In_co, Out_contra, Params_co]", self)

    async def deny(
        self, status: int = 403, *, detail: str | None = None, headers: HeadersInput | None = None
    ) -> Denied:
        """Deny the connection with an RFC 9457 problem document, in one body event.

        Where the server lacks the Denial Response extension, the client gets the plain 403 of a closure. A client that
        has left already is no error.

        :raises InvalidHandshake: for a status outside 300-599, or a header that must not be sent; nothing was sent
        :raises InvalidState: after an accept
        """
        return await self.deny_with(ProblemDocument.of(status, detail), headers=headers)

    async def deny_with(self, document: ProblemDocument, *, headers: HeadersInput | None = None) -> Denied:
        """Deny the connection with a problem document of yours, under its status. All else is as with `deny`."""
        response = DenialResponse(document.status, headers=headers, body=document)
        if supports_denial_response(self.scope):
            return await self.send_denial_response(response)
        async with self._denying():
            await self._session.send(close_event(1000, None))
        return Denied(403)

    async def send_denial_response(self, response: DenialResponse | ASGIApp) -> Denied:
        """Deny the connection with an HTTP response: a `DenialResponse`, or any framework's response object.

        A client that has left already is no error.

        :raises DenialResponseUnsupported: where the server lacks the extension; `deny` falls back instead
        :raises InvalidState: after an accept
        """
        if not supports_denial_response(self.scope):
            raise DenialResponseUnsupported
        relay = _ResponseRelay(self._session)
        async with self._denying():
            if isinstance(response, DenialResponse):
                for event in response.events():
                    await relay.send(event)
            else:
                # Other extensions are those of plain HTTP responses, of which a response may not make use here.
                scope: Scope = {**self.scope, "extensions": {"websocket.http.response": {}}}
                await response(scope, relay.receive, relay.send)
        return Denied(relay.status)

    @asynccontextmanager
    async def _denying(self) -> AsyncGenerator[None]:
        if self._session.state.application is not Application.CONNECTING:
            self._session.check(Move.RESPONSE_START)
        await self._session.connect()
        with suppress(WebSocketDisconnect):
            yield


class _ResponseRelay:
    """Stands between any framework's HTTP response and the session: its events become those of a denial."""

    __slots__ = ("_session", "status")

    def __init__(self, session: Session) -> None:
        self._session = session
        self.status = 403

    async def send(self, event: Mapping[str, Any]) -> None:
        kind: str = event["type"]
        if kind.startswith("http."):
            event = {**event, "type": f"websocket.{kind}"}
        if event["type"] == Move.RESPONSE_START:
            self.status = event["status"]
        await self._session.send(event)

    async def receive(self) -> Mapping[str, Any]:
        """Wait for the only thing that a client can do meanwhile, told as HTTP tells it."""
        with suppress(WebSocketDisconnect):
            await self._session.receive()
        return {"type": "http.disconnect"}
