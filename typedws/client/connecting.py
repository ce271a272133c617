"""`connect`: a typed connection to a server, over a socket."""

import ssl as tls
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, Literal, TypeAlias, TypedDict, Unpack, overload
from urllib.parse import unquote, urlencode

from typing_extensions import TypeVar

from typedws._connection.client_connection import ClientConnection
from typedws._contract.contract import Contract
from typedws._contract.params import write_params
from typedws._http.headers import HeadersInput, header_list
from typedws._http.outgoing_request import OutgoingRequest
from typedws._http.path_templates import PathTemplate
from typedws._http.url import URL
from typedws._messages.adapter import adapter_for
from typedws._messages.type_parameters import In_co, Out_contra
from typedws.client.opening import Opened, Plan, open_connection
from typedws.client.transport import Timing
from typedws.close_codes import CloseCode
from typedws.exceptions import InvalidHandshake

__all__ = ["ClientOptions", "Compression", "Connecting", "OnUnknown", "connect", "plan_for"]

In = TypeVar("In")
Out = TypeVar("Out")
Params = TypeVar("Params")

Compression: TypeAlias = Literal["deflate"]
"""How messages may be compressed (RFC 7692)."""

OnUnknown: TypeAlias = Literal["raise", "skip"]
"""What happens to a message of a type that is not in the contract: it is an `InvalidMessage`, or passed over."""


class ClientOptions(TypedDict, total=False):
    """What a client may choose, by name; see `connect`."""

    headers: HeadersInput | None
    subprotocols: Sequence[str] | None
    ssl: tls.SSLContext | None
    open_timeout: float | None
    close_timeout: float
    ping_interval: float | None
    ping_timeout: float | None
    max_message_size: int | None
    compression: Compression | None
    on_unknown: OnUnknown


class Connecting(AbstractAsyncContextManager["ClientConnection[In_co, Out_contra]", None], Generic[In_co, Out_contra]):
    """A connection to be made: ``async with`` makes it, and closes it however the block ends."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._opened: Opened | None = None

    async def __aenter__(self) -> ClientConnection[In_co, Out_contra]:
        """Connect.

        :raises ConnectionFailed: of the kind that tells why not
        :raises ClientNotInstalled: without the extra
        """
        self._opened = await open_connection(self._plan)
        return self._opened.connection

    async def __aexit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._opened is not None:
            await self._opened.close(CloseCode.NORMAL_CLOSURE if error is None else CloseCode.GOING_AWAY)


def plan_for(
    url: str,
    contract: Contract[Any, Any, Any] | None,
    params: object,
    *,
    headers: HeadersInput | None = None,
    subprotocols: Sequence[str] | None = None,
    ssl: tls.SSLContext | None = None,
    open_timeout: float | None = 10.0,
    close_timeout: float = 5.0,
    ping_interval: float | None = 20.0,
    ping_timeout: float | None = 20.0,
    max_message_size: int | None = 1 << 20,
    compression: Compression | None = None,
    on_unknown: OnUnknown = "raise",
) -> Plan:
    """Check all that is asked for, before anything is sent; see `connect`."""
    if subprotocols is None:
        subprotocols = () if contract is None else tuple(contract.subprotocols)
    url, fields = _rendered(url, contract, params)
    return Plan(
        request=OutgoingRequest.of(url, [*header_list(headers), *fields], subprotocols),
        contract=contract,
        ssl=ssl,
        open_timeout=open_timeout,
        timing=Timing(close_timeout, ping_interval, ping_timeout),
        max_message_size=max_message_size,
        is_compressing=compression is not None,
        skips_unknown=on_unknown == "skip",
    )


def _rendered(
    url: str, contract: Contract[Any, Any, Any] | None, params: object
) -> tuple[str, list[tuple[bytes, bytes]]]:
    """Write parameters into a URL, and those into header fields that stand there."""
    parsed = URL(url)
    template = PathTemplate(unquote(parsed.path)) if "{" in parsed.path else None
    if params is None:
        if template is not None:
            raise InvalidHandshake("url", f"params for {', '.join(template.names)}", "none")
        return url, []
    adapter = contract.params if contract is not None and contract.params is not None else adapter_for(type(params))
    written = write_params(params, adapter, () if template is None else template.names)
    if template is not None:
        parsed = parsed.replace(path=template.render(**_converted(template, written.path)))
    if written.query:
        query = urlencode(written.query)
        parsed = parsed.replace(query=f"{parsed.query}&{query}" if parsed.query else query)
    return parsed, header_list(written.headers)


def _converted(template: PathTemplate, texts: dict[str, str]) -> dict[str, object]:
    try:
        return {name: template.converters[name].type(text) for name, text in texts.items()}
    except ValueError:
        raise InvalidHandshake("params", f"what fits into {template.template}", "something else") from None


@overload
def connect(url: str, contract: None = None, **options: Unpack[ClientOptions]) -> Connecting[object, Any]: ...
@overload
def connect(
    url: str, contract: Contract[In, Out, Params], *, params: Params | None = None, **options: Unpack[ClientOptions]
) -> Connecting[Out, In]: ...
def connect(
    url: str,
    contract: Contract[Any, Any, Any] | None = None,
    *,
    params: object = None,
    **options: Unpack[ClientOptions],
) -> Connecting[Any, Any]:
    """Give what ``async with`` makes a connection of; on asyncio and on trio.

    ``ws`` is a `ClientConnection`, typed by the contract: it receives what the server says and sends what the server
    hears. Leaving the block closes with 1000, or with 1001 where it is left by an exception or is cancelled.

    :param url: ``ws://`` or ``wss://``; its path may name parameters: ``ws://127.0.0.1:8000/chat/{room}``
    :param contract: what is agreed on; without one there are text, bytes, JSON and models given by each call
    :param params: the contract's parameters. They go into the path where it names them, into a header or a cookie
        where they say so, and into the query otherwise; checked before anything is sent
    :param headers: fields of the request, beside those of every handshake
    :param subprotocols: what is offered, in order of preference; by default all that the contract names. The one that
        the server selects decides the mode; where it selects none, that is the contract's first
    :param ssl: for ``wss://``; by default the system's certificate authorities, and the host's name is checked
    :param open_timeout: seconds that TCP, TLS and the opening handshake may take together; ``None``: any time
    :param close_timeout: seconds that the closing handshake may take, after which TCP is cut
    :param ping_interval: seconds between two pings; ``None``: none
    :param ping_timeout: seconds within which a pong must come, else the connection is taken for lost; ``None``: any
    :param max_message_size: bytes, uncompressed, that a message may have; a larger one ends the connection with 1009;
        ``None``: any
    :param compression: what is offered to the server; by default nothing, as for small messages it costs more than it
        saves
    :param on_unknown: what happens to a message of a type that is not in the contract; with ``"skip"`` an old client
        survives a newer server
    :raises InvalidHandshake: for what a client must not ask for, or params that cannot be told; before connecting
    """
    return Connecting(plan_for(url, contract, params, **options))
