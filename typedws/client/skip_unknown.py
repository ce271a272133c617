"""`SkipUnknownConnection`: a client connection that skips messages of types newer than its contract. No socket here."""

import logging
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any, Final

from typedws._connection.client_connection import ClientConnection
from typedws._connection.connection import AS_DECLARED, MessageIterator
from typedws._messages.adapter import MessageAdapter, adapter_for
from typedws._messages.core_schema import constants_of
from typedws._messages.type_parameters import In_co, Out_contra
from typedws.codecs.modes import Mode
from typedws.exceptions import InvalidMessage

__all__ = ["SkipUnknownConnection"]

_logger: Final = logging.getLogger("typedws.client")


class SkipUnknownConnection(ClientConnection[In_co, Out_contra]):
    """A client connection to a server that may send messages of types that the contract does not have.

    A message is unknown if its tag names no member of the declared union. If a single type is declared, a message is
    unknown if it has another value in a constant field (a ``Literal`` of one value). Unknown messages are skipped; any
    other invalid message is an `InvalidMessage`, as in every connection.
    """

    __slots__ = ("_frame",)

    async def receive_model(  # pyright: ignore[reportIncompatibleMethodOverride] - covers all overloads
        self, form: Any = AS_DECLARED, /, mode: Mode | None = None
    ) -> Any:
        """Return the next message of a known type; see `Connection.receive_model`."""
        while True:
            try:
                return await super().receive_model(form, mode=mode)
            except InvalidMessage as error:
                if not self._is_unknown(error, form, mode):
                    raise

    def iter_models(  # pyright: ignore[reportIncompatibleMethodOverride] - as above
        self, form: Any = AS_DECLARED, /, mode: Mode | None = None
    ) -> AsyncIterator[Any]:
        """Iterate over the messages of known types; see `Connection.iter_models`."""
        return MessageIterator(partial(self.receive_model, form, mode))

    async def __anext__(self) -> In_co:
        while True:
            try:
                return await super().__anext__()
            except InvalidMessage as error:
                if not _is_unknown(error, adapter_for(self._received_type())):
                    raise

    async def _receive_frame(self, expected: str) -> str | bytes:
        # Kept for _is_unknown(), which validates it again.
        self._frame = await super()._receive_frame(expected)
        return self._frame

    def _is_unknown(self, error: InvalidMessage, form: Any, mode: Mode | None) -> bool:
        """Whether the message is of no declared type. A caller may have asked for a narrower type than declared."""
        declared = self._declared()[0]
        if declared is None:
            return False
        if form is not AS_DECLARED:
            # The error is about the narrower type: a message of another declared type is known, and an error.
            try:
                self._reader_for(AS_DECLARED, mode).read(self._frame)
            except InvalidMessage as as_declared:
                error = as_declared
            else:
                return False
        return _is_unknown(error, adapter_for(declared))


def _is_unknown(error: InvalidMessage, adapter: MessageAdapter[Any]) -> bool:
    if not any(_names_unknown_type(detail, adapter) for detail in error.errors()):
        return False
    _logger.debug("skipped a message whose type is not in the contract")
    return True


def _names_unknown_type(detail: Mapping[str, Any], adapter: MessageAdapter[Any]) -> bool:
    match detail:
        case {"type": "union_tag_invalid", "loc": ()}:
            return True
        case {"type": "literal_error", "loc": (str(name),)}:
            return name in constants_of(adapter.core_schema)
        case _:
            return False
