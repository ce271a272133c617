"""`connect`: opens a typed connection to a server, over a socket."""

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
"""The compression that a client can offer: ``"deflate"`` is permessage-deflate (RFC 7692)."""

OnUnknown: TypeAlias = Literal["raise", "skip"]
"""What happens to a message of a type that is not in the contract: it raises `InvalidMessage`, or is skipped."""


class ClientOptions(TypedDict, total=False):
    """The keyword options of a client; see `connect`."""

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
    """The async context manager that `connect` returns. It opens a connection, and closes it when the block ends."""

    def __init__(
        self, url: str, contract: Contract[Any, Any, Any] | None, params: object, **options: Unpack[ClientOptions]
    ) -> None:
        self._plan = plan_for(url, contract, params, **options)
        self._opened: Opened | None = None

    async def __aenter__(self) -> ClientConnection[In_co, Out_contra]:
        """Open the connection.

        :raises ConnectionFailed: if connecting fails; the subclass says why
        :raises ClientNotInstalled: if the extra ``client`` is not installed
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
    """Check all parameters before anything is sent; see `connect`."""
    if subprotocols is None:
        subprotocols = () if contract is None else tuple(contract.subprotocols)
    url, extra_headers = _url_and_headers(url, contract, params)
    return Plan(
        request=OutgoingRequest.of(url, [*header_list(headers), *extra_headers], subprotocols),
        contract=contract,
        ssl=ssl,
        open_timeout=open_timeout,
        timing=Timing(close_timeout, ping_interval, ping_timeout),
        max_message_size=max_message_size,
        is_compressing=compression is not None,
        skips_unknown=on_unknown == "skip",
    )


def _url_and_headers(
    url: str, contract: Contract[Any, Any, Any] | None, params: object
) -> tuple[str, list[tuple[bytes, bytes]]]:
    """Write parameters into the URL, and return it with the header fields of those that are sent in headers."""
    parsed = URL(url)
    template = PathTemplate(unquote(parsed.path)) if "{" in parsed.path else None
    if params is None:
        if template is not None:
            raise InvalidHandshake("url", f"params for {', '.join(template.names)}", "none")
        return url, []
    adapter = contract.params if contract is not None and contract.params is not None else adapter_for(type(params))
    written = write_params(params, adapter, () if template is None else template.names)
    if template is not None:
        parsed = parsed.replace(path=template.render(**_convert_path_params(template, written.path)))
    if written.query:
        query = urlencode(written.query)
        parsed = parsed.replace(query=f"{parsed.query}&{query}" if parsed.query else query)
    return parsed, header_list(written.headers)


def _convert_path_params(template: PathTemplate, values: dict[str, str]) -> dict[str, object]:
    try:
        return {name: template.converters[name].type(value) for name, value in values.items()}
    except ValueError:
        raise InvalidHandshake("params", f"values that fit into {template.template}", "others") from None


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
    """Open a typed connection to a WebSocket server, for the length of an ``async with`` block.

    In ``async with connect(url, contract) as ws``, ``ws`` is a `ClientConnection`, typed by the contract: it receives
    the contract's server messages and sends its client messages. When the block ends, the connection is closed with
    1000, or with 1001 after an exception or a cancellation. It runs on asyncio and trio.

    :param url: ``ws://`` or ``wss://``; its path may name parameters: ``ws://127.0.0.1:8000/chat/{room}``
    :param contract: the contract with the server. Without one the connection sends and receives text, bytes, JSON, and
        models whose type each call names
    :param params: the contract's parameters, checked before anything is sent. They go into the path if it names them,
        into a header or a cookie if their type says so, and otherwise into the query
    :param headers: header fields of the request, in addition to those of every handshake
    :param subprotocols: the subprotocols to offer, in order of preference; by default all of the contract. The one that
        the server selects decides the mode; if it selects none, the contract's first mode is used
    :param ssl: the TLS context for ``wss://``; by default one that trusts the system's certificate authorities and
        checks the host name
    :param open_timeout: seconds for TCP, TLS and the opening handshake together; ``None`` for no limit
    :param close_timeout: seconds for the closing handshake, after which the TCP connection is closed
    :param ping_interval: seconds between two pings; ``None`` for no pings
    :param ping_timeout: seconds within which a pong must come, or the connection counts as lost (1006); ``None`` for no
        limit
    :param max_message_size: the limit of a received message in bytes, uncompressed; a larger one ends the connection
        with 1009; ``None`` for no limit
    :param compression: the compression to offer; by default none, as for small messages it costs more than it saves
    :param on_unknown: what happens to a message of a type that is not in the contract; with ``"skip"`` an old client
        works with a newer server
    :raises InvalidHandshake: if an option is not allowed in a handshake, or ``params`` cannot be sent so that the
        server reads the same; raised by the call itself, before connecting
    """
    return Connecting(url, contract, params, **options)
