"""What the two views of a connection have in common. Nothing is sent or received here."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from typedws._connection.server_workarounds import apply_workarounds
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
from typedws._protocol.server_profiles import CURRENT, profile_of
from typedws.asgi import Receive, Scope, Send
from typedws.codecs.base import Reader
from typedws.codecs.modes import CodecRegistry, Mode, registry
from typedws.exceptions import UndeclaredMessageType

__all__ = ["BaseConnection", "In_co", "Out_contra", "Params_co", "is_declared", "session_of", "set_declared"]


class BaseConnection(HandshakeRequest, HasMessageTypes[In_co, Out_contra, Params_co]):
    """What both views show: the request and its parameters. The traffic and the codecs in use are behind it."""

    __slots__ = (
        "__orig_class__",
        "_decode",
        "_encode",
        "_message_types",
        "_frame_key",
        "_slow_if_contains",
        "_max_message_size",
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
        "_always_within_limit",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive | None = None,
        send: Send | None = None,
        *,
        mode: Mode = "text",
        codecs: CodecRegistry = registry,
        max_message_size: int | None = None,
        modes: Mapping[str, Mode] | None = None,
    ) -> None:
        super().__init__(scope)
        self._session = Session(receive, send, server := profile_of(scope))
        if server is not CURRENT:
            apply_workarounds(self._session)
        self._mode = mode
        self._modes = modes
        self._registry = codecs
        self._max_message_size = max_message_size
        # A character is at most four bytes of UTF-8: text of up to a quarter of the limit is certainly within it.
        self._always_within_limit = sys.maxsize if max_message_size is None else max_message_size // 4
        self._reader: Reader[Any] | None = None
        self._encode: Callable[[Any], str | bytes] | None = None
        self._quick_encoders: Mapping[type[Any], Callable[[Any], bytes]] | None = None
        self._frame_key = ""  # which no event has
        self._decode: Callable[[Any], Any]
        self._sends_text = True
        self._quick_decode: Callable[[Any], Any]
        self._slow_if_contains: Any = ""
        self._or_contains: Any = ""
        self._params: Params_co | None = None
        self._message_types: MessageTypes | None = None

    @property
    def params(self) -> Params_co:
        """The path and query parameters, validated as the declared type says; once, when first asked for.

        :raises InvalidParams: for parameters that fail validation
        :raises UndeclaredMessageType: when no type is declared for them
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


def session_of(view: BaseConnection[Any, Any, Any]) -> Session:
    """Give the traffic behind a view: for the rooms that run connections, not for their users."""
    return view._session  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the one door


def set_declared(view: BaseConnection[Any, Any, Any], forms: MessageTypes, params: object) -> None:
    """Tell a view what it hears and says, and its parameters, where somebody else has read all of them."""
    view._message_types, view._params = forms, params  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def is_declared(view: BaseConnection[Any, Any, Any]) -> bool:
    """Whether somebody has told the view already."""
    return view._message_types is not None  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
