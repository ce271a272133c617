"""The quirks of real servers, as switches. `typedws.testing.fake_server` implements them."""

from dataclasses import dataclass
from typing import Final

__all__ = ["STRICT", "ServerBehaviour"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerBehaviour:
    """The behaviour of the simulated server: by default it follows the ASGI specification strictly.

    Each switch is a behaviour of the real servers named beside it; tests compare the two.

    :param drops_sends_silently: a message to a client that is gone is lost without an exception (hypercorn, granian,
        daphne)
    :param no_denial_extension: there is no ``websocket.http.response`` extension, so every denial is a bare 403
        (daphne)
    :param no_close_reason: the application's close reason does not reach the client (daphne)
    :param cancelled_at_shutdown: at a shutdown the application is cancelled without a disconnect (hypercorn's asyncio
        worker); otherwise it receives a disconnect with code 1012
    :param both_data_keys: a received event has both keys, ``text`` and ``bytes``, one of them ``None`` (hypercorn)
    :param max_message_size: the maximum size of a client's message in bytes, 16 MiB by default; a larger message ends
        the connection with code 1009
    """

    drops_sends_silently: bool = False
    no_denial_extension: bool = False
    no_close_reason: bool = False
    cancelled_at_shutdown: bool = False
    both_data_keys: bool = False
    max_message_size: int = 16 * 2**20


STRICT: Final = ServerBehaviour()
"""A server without quirks."""
