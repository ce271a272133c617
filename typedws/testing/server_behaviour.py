"""What servers do differently: facts about them, by the names of behaviours. The harness plays them in `wire`."""

from dataclasses import dataclass
from typing import Final

__all__ = ["STRICT", "ServerBehaviour"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerBehaviour:
    """How the server behaves that the harness plays: by default as the ASGI specification says, and strictly.

    Each switch is taken from a real server, with which a test compares it.

    :param drops_sends_silently: what is sent to a client that is gone is lost without an exception (hypercorn,
        granian, daphne)
    :param no_denial_extension: there is no ``websocket.http.response``, so that every denial is a bare 403 (daphne)
    :param no_close_reason: the application's close reason does not reach the client (daphne)
    :param cancelled_at_shutdown: at a shutdown the application is cancelled, without a disconnect (hypercorn's asyncio
        worker); else it is told 1012
    :param both_data_keys: a received event has both ``text`` and ``bytes``, one of them ``None`` (hypercorn)
    :param max_message_size: bytes that a message of the client may have; a larger one ends the connection with 1009
    """

    drops_sends_silently: bool = False
    no_denial_extension: bool = False
    no_close_reason: bool = False
    cancelled_at_shutdown: bool = False
    both_data_keys: bool = False
    max_message_size: int = 16 * 2**20


STRICT: Final = ServerBehaviour()
"""A server without quirks."""
