"""What the two views of a connection have in common. Nothing is sent or received here."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, Generic, get_args

from typing_extensions import TypeVar

from typedws.adapters import adapter_for
from typedws.asgi import Receive, Scope, Send
from typedws.codecs import CodecRegistry, Mode, registry
from typedws.errors import UndeclaredMessageType
from typedws.params import read_params
from typedws.reader import Reader
from typedws.request import HandshakeRequest
from typedws.session import Session
from typedws.typeforms import says_nothing, type_arguments

__all__ = ["In_co", "Out_contra", "Params_co", "View"]

In_co = TypeVar("In_co", covariant=True, default=object)
Out_contra = TypeVar("Out_contra", contravariant=True, default=Any)
Params_co = TypeVar("Params_co", covariant=True, default=object)


class View(HandshakeRequest, Generic[In_co, Out_contra, Params_co]):
    """What both views show: the request and its parameters. The traffic and the codecs in use are behind it."""

    __slots__ = (
        "__orig_class__",
        "_decode",
        "_encode",
        "_in_key",
        "_mark",
        "_max_message_size",
        "_mode",
        "_other_mark",
        "_params",
        "_quick_decode",
        "_quick_encoders",
        "_reader",
        "_registry",
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
    ) -> None:
        super().__init__(scope)
        self._session = Session(receive, send)
        self._mode = mode
        self._registry = codecs
        self._max_message_size = max_message_size
        # A character is at most four bytes of UTF-8: text of up to a quarter of the limit is certainly within it.
        self._sure_size = sys.maxsize if max_message_size is None else max_message_size // 4
        self._reader: Reader[Any] | None = None
        self._decode: Callable[[Any], Any] | None = None
        self._encode: Callable[[Any], str | bytes] | None = None
        self._quick_encoders: Mapping[type[Any], Callable[[Any], bytes]] | None = None
        self._in_key = "text"
        self._quick_decode: Callable[[Any], Any]
        self._mark: Any
        self._other_mark: Any
        self._params: Params_co | None = None

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

    def _declared(self) -> list[Any]:
        """Read ``[In, Out, Params]`` from the alias that made the object, or its class; ``None`` where undeclared."""
        arguments = type_arguments(type(self), get_args(getattr(self, "__orig_class__", None)), View)
        return [None if says_nothing(argument) else argument for argument in (*arguments, None, None, None)]
