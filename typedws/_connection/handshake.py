"""`Handshake`: an opening handshake that the application accepts or denies. It has no method to send or receive."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from typedws._connection.base import BaseConnection, In_co, Out_contra, Params_co
from typedws._connection.connection import Connection
from typedws._connection.session import Session
from typedws._contract.problem_documents import DenialResponse, ProblemDocument, supports_denial_response
from typedws._http.headers import HeadersInput
from typedws._http.subprotocols import choose_subprotocol
from typedws._protocol.events import accept_event, close_event
from typedws._protocol.outcomes import Denied
from typedws._protocol.state import Application, Move
from typedws.asgi import ASGIApp, Scope
from typedws.codecs.modes import Mode
from typedws.exceptions import DenialResponseUnsupported, WebSocketDisconnect

__all__ = ["Handshake"]


class Handshake(BaseConnection[In_co, Out_contra, Params_co]):
    """An opening handshake to accept or deny, and the client's request. It cannot send or receive messages.

    ``Handshake[In, Out, Params]`` declares the messages that are received, those that are sent, and the parameters.
    """

    __slots__ = ()

    async def accept(
        self, subprotocol: str | None = None, headers: HeadersInput | None = None
    ) -> Connection[In_co, Out_contra, Params_co]:
        """Accept the connection and return the `Connection`, which sends and receives.

        :param subprotocol: one of those that the client offered. By default, if a contract or ``modes`` names
            subprotocols, the first offered one that is named; its mode becomes the mode of the connection
        :param headers: additional header fields of the response, none of those that belong to the handshake itself
        :raises InvalidHandshake: if the subprotocol or a header must not be sent; nothing was sent
        :raises UnknownSubprotocol: if the client offers subprotocols, but none that is named; nothing was sent
        :raises InvalidState: after an accept or a denial
        :raises WebSocketDisconnect: if the client has left
        """
        offered = self.subprotocols
        mode: Mode | None = None
        if self._modes is not None:
            if subprotocol is None:
                subprotocol, mode = choose_subprotocol(offered, self._modes)
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
        """Deny the handshake with an HTTP response whose body is a problem document (RFC 9457).

        On a server without the Denial Response extension the client gets a plain 403. It is not an error if the client
        has already left.

        :param status: an HTTP status from 300 to 599
        :param detail: a sentence for the client, in the body
        :param headers: header fields of the response
        :raises InvalidHandshake: if the status or a header must not be sent; nothing was sent
        :raises InvalidState: after an accept
        """
        return await self.deny_with(ProblemDocument.of(status, detail), headers=headers)

    async def deny_with(self, document: ProblemDocument, *, headers: HeadersInput | None = None) -> Denied:
        """Deny the handshake with this problem document, and with its status. Otherwise like `deny`."""
        response = DenialResponse(document.status, headers=headers, body=document)
        if supports_denial_response(self.scope):
            return await self.send_denial_response(response)
        async with self._denying():
            await self._session.send(close_event(1000, None))
        return Denied(403)

    async def send_denial_response(self, response: DenialResponse | ASGIApp) -> Denied:
        """Deny the handshake with an HTTP response: a `DenialResponse`, or the response object of any framework.

        It is not an error if the client has already left.

        :raises DenialResponseUnsupported: if the server lacks the Denial Response extension; `deny` falls back to 403
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
                # A framework's response uses the extensions that it finds here. Those of plain HTTP responses, such as
                # sending a file by its path, do not exist for a denial.
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
    """The ``send`` and ``receive`` of a framework's HTTP response: its events become those of a denial."""

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
        """Wait until the client leaves, the only event that can arrive; return it as an HTTP event."""
        with suppress(WebSocketDisconnect):
            await self._session.receive()
        return {"type": "http.disconnect"}
