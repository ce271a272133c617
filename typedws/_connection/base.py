"""`BaseConnection`: what `Handshake` and `Connection` have in common. Nothing is sent or received here."""

import sys
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from typedws._connection.session import Session
from typedws._contract.params import read_params
from typedws._http.request import HandshakeRequest
from typedws._messages.adapter import adapter_for
from typedws._messages.type_parameters import (
    HasMessageTypes,
    In_co,
    MessageTypes,
    Out_contra,
    Params_co,
    message_types_of,
)
from typedws.asgi import Scope
from typedws.codecs.base import Reader
from typedws.codecs.modes import CodecRegistry, Mode
from typedws.exceptions import UndeclaredMessageType

__all__ = ["BaseConnection", "In_co", "Out_contra", "Params_co", "is_declared", "session_of", "set_declared"]


class BaseConnection(HandshakeRequest, HasMessageTypes[In_co, Out_contra, Params_co]):
    """Base of `Handshake` and `Connection`: the request and its parameters.

    `Handshake` and `Connection` are views of one object. Only the classes behind them can be constructed: `WebSocket`,
    and on a client `ClientConnection`.
    """

    __slots__ = (
        "__orig_class__",
        "_always_within_limit",
        "_decode",
        "_encode",
        "_frame_key",
        "_max_message_size",
        "_message_types",
        "_mode",
        "_modes",
        "_or_contains",
        "_params",
        "_quick_decode",
        "_quick_encoders",
        "_reader",
        "_registry",
        "_sends_text",
        "_session",
        "_slow_if_contains",
    )

    # Abstract, so that type checkers and Python refuse to construct a view: it would lack half of the methods.
    @abstractmethod
    def __init__(
        self,
        scope: Scope,
        session: Session,
        mode: Mode,
        codecs: CodecRegistry,
        max_message_size: int | None = None,
        modes: Mapping[str, Mode] | None = None,
    ) -> None:
        super().__init__(scope)
        self._session = session
        self._mode = mode
        self._modes = modes
        self._registry = codecs
        self._max_message_size = max_message_size
        # A character takes at most four bytes of UTF-8, so a text of a quarter of the limit need not be encoded to
        # know that it fits. Without a limit, every frame is below this.
        self._always_within_limit = sys.maxsize if max_message_size is None else max_message_size // 4
        self._reader: Reader[Any] | None = None
        self._encode: Callable[[Any], str | bytes] | None = None
        self._quick_encoders: Mapping[type[Any], Callable[[Any], bytes]] | None = None
        # The slots below belong to the fast path of `Connection.__anext__`; `__aiter__` sets them. Until then no event
        # has the key "", so that a lone `anext()` takes the checked path.
        self._frame_key = ""
        self._decode: Callable[[Any], Any]
        self._sends_text = True
        self._quick_decode: Callable[[Any], Any]
        self._slow_if_contains: Any = ""
        self._or_contains: Any = ""
        self._params: Params_co | None = None
        self._message_types: MessageTypes | None = None

    @property
    def params(self) -> Params_co:
        """The parameters of the handshake, validated once, when first asked for.

        They come from the path, the query, and the headers and cookies that the declared type names.

        :raises InvalidParams: if they fail validation
        :raises UndeclaredMessageType: if no type is declared for them
        """
        if self._params is None:
            declared = self._declared()[2]
            if declared is None:
                raise UndeclaredMessageType
            self._params = read_params(self, adapter_for(declared))
        return self._params

    def _declared(self) -> MessageTypes:
        if self._message_types is None:
            self._message_types = message_types_of(type(self), getattr(self, "__orig_class__", None))
        return self._message_types


# Other modules reach the private parts of a connection through these functions, one for each part.


def session_of(connection: BaseConnection[Any, Any, Any]) -> Session:
    """Return the session of a connection, for code that runs connections."""
    return connection._session  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def set_declared(connection: BaseConnection[Any, Any, Any], message_types: MessageTypes, params: object) -> None:
    """Set the message types and the validated parameters, where a contract has declared them."""
    connection._message_types, connection._params = message_types, params  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def is_declared(connection: BaseConnection[Any, Any, Any]) -> bool:
    """Whether the message types are known already."""
    return connection._message_types is not None  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
