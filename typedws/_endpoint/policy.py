"""`Policy`: origins, limits and timeouts of connections, declared. The modules beside it enforce it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

from typedws._connection.connection import Connection
from typedws._endpoint.origins import OriginRule, Origins
from typedws.exceptions import InvalidMessage, InvalidPolicy

__all__ = ["OnInvalid", "Policy"]

OnInvalid: TypeAlias = (
    Literal["close", "reply", "drop"] | Callable[[Connection[Any, Any, Any], InvalidMessage], Awaitable[None]]
)
"""What happens with an invalid message: one of three words, or a function that is called with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Origins, limits and timeouts for all connections of an application or of one endpoint.

    An endpoint's policy replaces that of the application as a whole.

    :param origins: which web pages may connect (RFC 6455 section 10.2): by default those of the request's own host.
        ``["https://app.example.com"]``, or a pattern that matches a whole origin, allows others too; ``"*"`` allows
        all. A request without an ``Origin`` header is not from a browser and is allowed
    :param hosts: the host names of this server, against DNS rebinding; ``*.example.com`` allows all subdomains. By
        default every name is allowed, except that a browser's request to a loopback address must name a loopback host,
        unless ``origins`` names its page. Behind a proxy on the same machine, set your hosts
    :param on_invalid: what happens with an invalid message in ``async for``, ``receive_model`` and ``iter_models``.
        ``"close"``: `InvalidMessage` is raised, and closes with its code unless the handler catches it. ``"reply"``:
        the contract's error model is sent, and the handler waits for the next message. ``"drop"``: the handler waits
        for the next message. A function is called with the connection and the error; then the handler waits for the
        next message, and an exception of the function ends the handler
    :param max_invalid: how many invalid messages in a row are answered under ``"reply"``; the next one closes with 1008
    :param max_message_size: limit of a message in bytes; ``None``: the server's limit
    :param handshake_timeout: seconds in which the handler must accept or deny, else the handshake is denied with 503;
        ``None``: no limit
    :param idle_timeout: seconds that the handler waits for a message before the connection is closed with 3008.
        Messages that are sent do not count, nor do pings; ``None``: no limit
    :param send_timeout: seconds that one message may wait for a peer that does not read; then the connection is
        closed and the handler cancelled; ``None``: no limit
    :param max_connections: limit of simultaneous connections in this process; more are denied with 503 and
        ``Retry-After``; ``None``: no limit
    :raises InvalidPolicy: if a value is out of its range
    """

    origins: Origins = "same-host"
    hosts: Sequence[str] | None = None
    on_invalid: OnInvalid = "close"
    max_invalid: int = 10
    max_message_size: int | None = None
    handshake_timeout: float | None = 10.0
    idle_timeout: float | None = None
    send_timeout: float | None = 30.0
    max_connections: int | None = None

    def __post_init__(self) -> None:
        OriginRule(self.origins, self.hosts)
        if self.on_invalid not in ("close", "reply", "drop") and not callable(self.on_invalid):
            found = repr(self.on_invalid)
            raise InvalidPolicy('on_invalid to be "close", "reply", "drop" or a function', found)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and not value > 0:
                raise InvalidPolicy(f"{field.name} to be above zero", repr(value), "None means no limit")
