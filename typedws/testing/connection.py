"""`TestConnection`: the client's end of a connection under test, with expectations and faults. No application here."""

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from anyio.lowlevel import checkpoint
from typing_extensions import TypeForm

from typedws._connection.client_connection import ClientConnection
from typedws._connection.connection import AS_DECLARED
from typedws._contract.contract import Contract
from typedws._messages.adapter import adapter_for
from typedws._messages.type_forms import type_name
from typedws._messages.type_parameters import In_co, Out_contra
from typedws._protocol.events import frame_of
from typedws._protocol.outcomes import Accepted, Closed
from typedws._protocol.state import Move
from typedws.close_codes import CloseCode, describe
from typedws.exceptions import InvalidMessage, WebSocketDisconnect
from typedws.testing.differences import differences, shown
from typedws.testing.event_loops import settle
from typedws.testing.exchange import Exchange
from typedws.testing.failures import ClientGone, ExpectationFailed
from typedws.testing.fake_server import Violation

__all__ = ["TestConnection"]

T = TypeVar("T")


class TestConnection(ClientConnection[In_co, Out_contra]):
    """The client's end of a connection to an application under test, in process; made by ``connect``.

    It hears what the contract's server says. Every wait ends within the connection's ``timeout``, in a `WaitTimeout`
    that says what was awaited and where the application stands.
    """

    __test__: ClassVar[bool] = False  # for pytest: its name is not that of a test
    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange, accepted: Accepted, contract: Contract[Any, Any, Any] | None) -> None:
        super().__init__(exchange.wire.scope, exchange.receive, self._send, accepted, contract)
        self._exchange = exchange

    @property
    def end(self) -> Closed | None:
        """How the connection ended, and who ended it, as soon as it has; the ``"peer"`` is the server."""
        return self._session.end or self._exchange.end()

    async def _send(self, event: Mapping[str, Any]) -> None:
        try:
            await self._exchange.send(event)
        except ClientGone:
            self._session.end = self.end
            raise

    # --- expectations ---

    async def expect(self, form: TypeForm[T], /, **fields: object) -> T:
        """Receive a message, which must be of this type and have these fields, and give it.

        :param form: one or several of the messages that the server says; without a contract, any type
        :param fields: what some of its fields must equal
        :raises ExpectationFailed: where another message comes, or the end
        :raises WaitTimeout: where none comes in time
        """
        wanted = type_name(form)
        message: T = await self._next(wanted, form)
        if not adapter_for(form).validator.isinstance_python(message, strict=True):
            raise self._failed(wanted, shown(message))
        if different := list(differences(message, fields)):
            raise self._failed(wanted, "\n  ".join([shown(message), *different]))
        return message

    async def _next(self, wanted: str, form: Any) -> Any:
        try:
            return await self.receive_model(form if self._declared()[0] is None else AS_DECLARED)
        except InvalidMessage as error:
            raise self._failed(wanted, f"a message that is none: {error}") from None
        except WebSocketDisconnect as error:
            raise self._failed(wanted, str(error)) from None

    async def expect_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str | None = None) -> Closed:
        """Wait for the server's close, which must have this code, and this reason if one is given.

        :raises ExpectationFailed: where it closes otherwise, or sends a message before
        :raises WaitTimeout: where it does not close in time
        """
        wanted = f"a close with {int(code)} ({describe(code)})" + ("" if reason is None else f" and {reason!r}")
        if self._session.end is None:
            event = await self._session.receive()
            if event["type"] == Move.RECEIVE:
                raise self._failed(wanted, _message(event))
            self._session.record_end(event)
        end = self.end
        if end is None or end.code != code or reason not in (None, end.reason):
            raise self._failed(wanted, f"another end: {end}")
        return end

    async def expect_nothing(self) -> None:
        """Let the application run until all that it does waits; no message, and no end, must have come by then.

        What it does in other threads is not waited for.

        :raises ExpectationFailed: where something has come
        """
        await settle()
        if (event := self._exchange.wire.to_client.next) is not None:
            if event["type"] == Move.RECEIVE:
                raise self._failed("nothing", _message(event))
            raise self._failed("nothing", f"the end, with {event['code']}")

    def _failed(self, expected: str, found: str) -> ExpectationFailed:
        return ExpectationFailed(expected, found, self._exchange.wire.transcript.lines())

    # --- faults ---

    def lose(self, *, at_message: int | None = None) -> None:
        """Lose the connection without a close frame: the application is told 1006, and what it sends fails.

        :param at_message: not now, but instead of the how manieth message that the application sends from now on
        """
        if at_message is None:
            self._exchange.wire.lose()
        else:
            self._exchange.wire.lost_at = at_message

    def stop_reading(self) -> None:
        """Read no more, so that what the application sends waits; `read_again` ends it."""
        self._exchange.wire.to_client.is_read = False

    def read_again(self) -> None:
        """Read again after `stop_reading`."""
        self._exchange.wire.to_client.is_read = True
        self._exchange.wire.to_client.wake()

    async def send_malformed(self, violation: Violation) -> None:
        """Send a malformed frame: the server fails the connection, with 1007, 1002 or 1009, and tells both ends."""
        await checkpoint()
        self._exchange.wire.violate(violation)

    def shut_down_server(self) -> None:
        """Let the server shut down: the application is told 1012, or cancelled, as the server's behaviour says."""
        self._exchange.shut_down()


def _message(event: Mapping[str, Any]) -> str:
    return f"a message: {shown(frame_of(event))}"
