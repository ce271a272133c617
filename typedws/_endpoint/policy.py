"""`Policy`: what is decided of a connection before and beside the handler. Who enforces it is `typedws._endpoint.endpoints`."""

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
"""What becomes of an invalid message: one of three words, or a function of yours that answers it, or raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an application or an endpoint decides for all of its connections; the endpoint's replaces the application's.

    :param origins: which pages may connect (RFC 6455 section 10.2): by default those of the request's own host.
        ``["https://app.example.com"]`` or a pattern for the whole of an origin allows others too, ``"*"`` all. A
        client that names no origin is no browser, and passes
    :param hosts: the names that this server goes by, against DNS rebinding; ``*.example.com`` stands for all below.
        By default any name; but a browser's request that reaches a loopback address must be for a loopback name, unless
        ``origins`` names its page: behind a proxy on the same machine, name your hosts
    :param on_invalid: what becomes of an invalid message in ``async for``, ``receive_model`` and ``iter_models``.
        ``"close"``: `InvalidMessage` is raised, and closes with its code where the handler does not catch it.
        ``"reply"``: the contract's error model answers, and the handler waits on. ``"drop"``: it waits on. A function
        is called with the connection and the error: after it the handler waits on, what it raises ends the handler
    :param max_invalid: how many invalid messages in a row are answered under ``"reply"``; the next closes with 1008
    :param max_message_size: bytes that a message may have; by default what the server lets through
    :param handshake_timeout: seconds until a handshake must be decided, else it is denied with 503
    :param idle_timeout: seconds that the handler waits for a message; then the connection is closed with 3008. What is
        sent does not count, nor do pings
    :param send_timeout: seconds that one message may wait for a peer that does not read; then the connection is
        closed, and the handler cancelled
    :param max_connections: connections at a time, in this process; more are denied with 503 and ``Retry-After``
    :raises InvalidPolicy: for a value that means nothing
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
                raise InvalidPolicy(f"{field.name} to be above zero", repr(value), "None is no limit")
