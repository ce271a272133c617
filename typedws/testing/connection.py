"""`TestConnection`: the client's end of a connection under test, with expectations and faults."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from anyio.lowlevel import checkpoint
from typing_extensions import TypeForm

from typedws._connection.client_connection import Accepted, ClientConnection
from typedws._connection.connection import AS_DECLARED
from typedws._contract.contract import Contract
from typedws._messages.adapter import adapter_for
from typedws._messages.type_forms import type_name
from typedws._messages.type_parameters import In_co, Out_contra
from typedws._protocol.events import frame_of
from typedws._protocol.outcomes import Closed
from typedws._protocol.state import Move
from typedws.close_codes import CloseCode, describe
from typedws.exceptions import InvalidMessage, WebSocketDisconnect
from typedws.testing.differences import differences, short_repr
from typedws.testing.event_loops import settle
from typedws.testing.exchange import Exchange
from typedws.testing.failures import ClientGone, ExpectationFailed
from typedws.testing.fake_server import Violation

__all__ = ["TestConnection"]

T = TypeVar("T")


class TestConnection(ClientConnection[In_co, Out_contra]):
    """The client's end of a connection to an application under test, in process; made by `connect`.

    It receives the contract's server messages and sends its client messages. Every wait ends within the connection's
    ``timeout``, with a `WaitTimeout` that shows what was awaited and the line at which the application waits.
    """

    __test__: ClassVar[bool] = False  # without this, pytest would collect the class because of its name
    __slots__ = ("_exchange",)

    @abstractmethod
    def __init__(self, exchange: Exchange, accepted: Accepted, contract: Contract[Any, Any, Any] | None) -> None:
        super().__init__(exchange.server.scope, exchange.receive, self._send, accepted, contract)
        self._exchange = exchange

    @property
    def end(self) -> Closed | None:
        """How the connection ended and who ended it, or ``None`` while it is open; the ``"peer"`` is the server.

        It is set as soon as the connection ends, even before the client receives the close.
        """
        return self._session.end or self._exchange.end()

    async def _send(self, event: Mapping[str, Any]) -> None:
        try:
            await self._exchange.send(event)
        except ClientGone:
            # The session has not received the end yet. With it, the error for this send has the right code and reason.
            self._session.end = self.end
            raise

    # --- expectations ---

    async def expect(self, form: TypeForm[T], /, **fields: object) -> T:
        """Return the next message, which must be of this type and have these fields.

        :param form: one of the contract's server messages, or a union of several; without a contract, any type
        :param fields: the expected values of some of its fields
        :raises ExpectationFailed: if another message arrives, or the connection ends; the error lists the differences
        :raises WaitTimeout: if no message arrives in time
        """
        expected = type_name(form)
        message: T = await self._next(expected, form)
        # Strict: in lax mode a message of another type, such as "1" for an int, would pass if it can be converted.
        if not adapter_for(form).validator.isinstance_python(message, strict=True):
            raise self._failed(expected, short_repr(message))
        if different := list(differences(message, fields)):
            raise self._failed(expected, "\n  ".join([short_repr(message), *different]))
        return message

    async def _next(self, expected: str, form: Any) -> Any:
        # Under a contract the message is read as any server message, so that another one than expected is shown as
        # itself and not as a validation error.
        try:
            return await self.receive_model(form if self._declared()[0] is None else AS_DECLARED)
        except InvalidMessage as error:
            raise self._failed(expected, f"an invalid message: {error}") from None
        except WebSocketDisconnect as error:
            raise self._failed(expected, str(error)) from None

    async def expect_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str | None = None) -> Closed:
        """Wait for the end of the connection, which must have this close code, and return how it ended.

        :param code: the expected close code, such as 1006 for a lost connection
        :param reason: the expected close reason; any reason by default
        :raises ExpectationFailed: if a message arrives first, or the connection ends in another way
        :raises WaitTimeout: if the connection does not end in time
        """
        expected = f"a close with {int(code)} ({describe(code)})" + ("" if reason is None else f" and {reason!r}")
        if self._session.end is None:
            event = await self._session.receive()
            if event["type"] == Move.RECEIVE:
                raise self._failed(expected, _message(event))
            self._session.record_end(event)
        end = self.end
        if end is None or end.code != code or reason not in (None, end.reason):
            raise self._failed(expected, f"another end of the connection: {end}")
        return end

    async def expect_nothing(self) -> None:
        """Run the application until all tasks wait, and fail if a message or the end has arrived by then.

        Work in other threads and input from a network are not waited for.

        :raises ExpectationFailed: if a message has arrived, or the connection has ended
        """
        await settle()
        if (event := self._exchange.server.to_client.next) is not None:
            if event["type"] == Move.RECEIVE:
                raise self._failed("nothing", _message(event))
            raise self._failed("nothing", f"the end, with {event['code']}")

    def _failed(self, expected: str, found: str) -> ExpectationFailed:
        return ExpectationFailed(expected, found, self._exchange.server.transcript.lines())

    # --- faults ---

    def lose(self, *, at_message: int | None = None) -> None:
        """Lose the connection without a close frame: the application receives code 1006, and its sends fail.

        Messages that the other end has not received yet are lost too.

        :param at_message: lose it instead of delivering the n-th message that the application sends from now on, where
            1 is the next message; by default it is lost at once
        """
        if at_message is None:
            self._exchange.server.lose()
        else:
            self._exchange.server.lose_at_message = at_message

    def stop_reading(self) -> None:
        """Stop reading: messages that the application sends wait until `read_again`, or until the connection ends.

        Messages that it sent before can still be received, and a close is received at once.
        """
        self._exchange.server.to_client.is_read = False

    def read_again(self) -> None:
        """Start reading again after `stop_reading`."""
        self._exchange.server.to_client.is_read = True
        self._exchange.server.to_client.wake()

    async def send_malformed(self, violation: Violation) -> None:
        """Send a malformed frame, for which the server fails the connection: both ends receive the close code.

        :param violation: ``"invalid_utf8"`` (code 1007), ``"protocol_error"`` (1002) or ``"too_big"`` (1009)
        """
        await checkpoint()
        self._exchange.server.client_send_malformed(violation)

    def shut_down_server(self) -> None:
        """Shut down the server: the application receives code 1012, or is cancelled, as the `ServerBehaviour` says."""
        self._exchange.shut_down()


def _message(event: Mapping[str, Any]) -> str:
    return f"a message: {short_repr(frame_of(event))}"
