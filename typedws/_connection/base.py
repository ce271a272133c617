"""What the two views of a connection have in common. Nothing is sent or received here."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from typedws._connection.server_workarounds import even_out
from typedws._connection.session import Session
from typedws._contract.params import read_params
from typedws._http.request import HandshakeRequest
from typedws._messages.adapter import adapter_for
from typedws._messages.type_parameters import Declared, Forms, In_co, Out_contra, Params_co, declared_by
from typedws._protocol.server_profiles import CURRENT, server_of
from typedws.asgi import Receive, Scope, Send
from typedws.codecs.base import Reader
from typedws.codecs.modes import CodecRegistry, Mode, registry
from typedws.exceptions import UndeclaredMessageType

__all__ = ["In_co", "Out_contra", "Params_co", "View", "declare", "is_declared", "session_of"]


class View(HandshakeRequest, Declared[In_co, Out_contra, Params_co]):
    """What both views show: the request and its parameters. The traffic and the codecs in use are behind it."""

    __slots__ = (
        "__orig_class__",
        "_decode",
        "_encode",
        "_forms",
        "_in_key",
        "_mark",
        "_max_message_size",
        "_mode",
        "_modes",
        "_other_mark",
        "_params",
        "_quick_decode",
        "_quick_encoders",
        "_reader",
        "_registry",
        "_sends_text",
        "_session",
        "_sure_size",
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
        self._session = Session(receive, send, server := server_of(scope))
        if server is not CURRENT:
            even_out(self._session)
        self._mode = mode
        self._modes = modes
        self._registry = codecs
        self._max_message_size = max_message_size
        # A character is at most four bytes of UTF-8: text of up to a quarter of the limit is certainly within it.
        self._sure_size = sys.maxsize if max_message_size is None else max_message_size // 4
        self._reader: Reader[Any] | None = None
        self._encode: Callable[[Any], str | bytes] | None = None
        self._quick_encoders: Mapping[type[Any], Callable[[Any], bytes]] | None = None
        self._in_key = ""  # which no event has
        self._decode: Callable[[Any], Any]
        self._sends_text = True
        self._quick_decode: Callable[[Any], Any]
        self._mark: Any = ""
        self._other_mark: Any = ""
        self._params: Params_co | None = None
        self._forms: Forms | None = None

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

    def _declared(self) -> Forms:
        if self._forms is None:
            self._forms = declared_by(type(self), getattr(self, "__orig_class__", None))
        return self._forms


def session_of(view: View[Any, Any, Any]) -> Session:
    """Give the traffic behind a view: for the rooms that run connections, not for their users."""
    return view._session  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the one door


def declare(view: View[Any, Any, Any], forms: Forms, params: object) -> None:
    """Tell a view what it hears and says, and its parameters, where somebody else has read all of them."""
    view._forms, view._params = forms, params  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def is_declared(view: View[Any, Any, Any]) -> bool:
    """Whether somebody has told the view already."""
    return view._forms is not None  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
