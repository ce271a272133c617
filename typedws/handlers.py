"""What the annotations of a handler say: which view of a connection it takes, and of which types. Nothing is run here.

Refused here is what a checker refuses, and no more: a handler without annotations may be right.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import NoneType
from typing import Any, Final, Literal, TypeAlias, get_origin, get_type_hints

from typedws.connection import Connection
from typedws.contract import Contract
from typedws.declared import declared_by
from typedws.errors import InvalidEndpoint
from typedws.handshake import Handshake
from typedws.typeforms import may_be, type_name
from typedws.websockets import WebSocket

__all__ = ["HandlerKind", "Signature", "agreed", "read_signature"]

HandlerKind: TypeAlias = Literal["connection", "handshake", "classic"]
"""What a handler takes: an accepted `Connection`, a `Handshake` to decide, or a `WebSocket` that does all."""

_KINDS: Final[Mapping[Any, HandlerKind]] = {
    Connection: "connection",
    Handshake: "handshake",
    WebSocket: "classic",
}


@dataclass(frozen=True, slots=True)
class Signature:
    """What a handler takes."""

    name: str
    kind: HandlerKind
    takes: Any
    """The annotation, as in ``Connection[In, Out]``; ``None`` where there is none."""


def read_signature(handler: Callable[..., Any], names: Mapping[str, Any], *, is_classic: bool) -> Signature:
    """Read what a handler takes; ``names`` are those of the place where it is declared.

    :raises InvalidEndpoint: for what is no asynchronous function of one connection
    """
    function = _function_of(handler)
    name = getattr(function, "__name__", type(handler).__name__)
    hints = _hints(function, name, names)
    parameter = _first_parameter(handler, name)
    takes = hints.get(parameter)
    takes = None if takes is Any else takes
    kind = _kind(takes, name, is_classic=is_classic)
    _check_returns(function, hints, name, kind)
    return Signature(name, kind, takes)


def _function_of(handler: Any) -> Any:
    while isinstance(handler, partial):
        handler = handler.func
    if not callable(handler):
        raise InvalidEndpoint("an asynchronous function", repr(type(handler).__name__))
    if inspect.isfunction(handler) or inspect.ismethod(handler) or inspect.isbuiltin(handler):
        return inspect.unwrap(handler)
    return type(handler).__call__


def _hints(function: Any, name: str, names: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, localns=dict(names), include_extras=True)
    except NameError as error:
        hint = "define it before the handler, outside of `if TYPE_CHECKING:`"
        raise InvalidEndpoint("annotations that name what is defined", f"{error} at {name}", hint) from error
    except TypeError:  # a function of C has none
        return {}


def _first_parameter(handler: Any, name: str) -> str:
    parameters = list(inspect.signature(handler).parameters.values())
    required = [each for each in parameters if each.default is each.empty and each.kind not in _VARIADIC]
    if not parameters or len(required) > 1 or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
        found = f"{name}({', '.join(each.name for each in required)})"
        raise InvalidEndpoint("a handler of one argument, the connection", found, _PARAMETERS)
    return parameters[0].name


_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_PARAMETERS: Final = "path and query are in ws.params"


def _kind(takes: Any, name: str, *, is_classic: bool) -> HandlerKind:
    if takes is None:
        return "classic" if is_classic else "connection"
    class_ = get_origin(takes) or takes
    kind = _KINDS.get(class_) if isinstance(class_, type) else None
    if kind is None or (kind == "classic") is not is_classic:
        expected = "WebSocket" if is_classic else "Connection[In, Out] or Handshake[In, Out]"
        hint = (
            "" if is_classic or kind is None else "WebSocketRoute(path, handler) takes a handler of the whole WebSocket"
        )
        raise InvalidEndpoint(f"a handler of a {expected}", f"{name}(ws: {type_name(takes)})", hint)
    return kind


def _check_returns(function: Any, hints: Mapping[str, Any], name: str, kind: HandlerKind) -> None:
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise InvalidEndpoint("an asynchronous function", f"{name}, a generator", "send with ws.send_model(...)")
    returns = hints.get("return", Any)
    if not inspect.iscoroutinefunction(function):
        if inspect.isfunction(function) and returns in (NoneType, Any) and "return" in hints:
            raise InvalidEndpoint("an asynchronous function", f"{name}, which is none", "write async def")
    elif kind == "handshake" and returns is NoneType:
        hint = "return what deny() or close() gives, on every path"
        raise InvalidEndpoint("a handler of a Handshake that returns an Outcome", f"{name}(...) -> None", hint)


def agreed(signature: Signature, contract: Contract[Any, Any, Any]) -> None:
    """Refuse a handler whose annotation and contract no checker would take together.

    :raises InvalidEndpoint: naming both
    """
    if signature.takes is None:
        return
    takes = signature.takes
    hears, says, params = declared_by(get_origin(takes) or takes, takes)
    theirs = (contract.hears, contract.says, contract.params)
    of_contract = [None if adapter is None else adapter.form for adapter in theirs]
    pairs = (("hears", of_contract[0], hears), ("says", says, of_contract[1]), ("params", of_contract[2], params))
    for what, narrow, wide in pairs:
        if narrow is not None and wide is not None and not may_be(narrow, wide):
            mine, agreed_on = (narrow, wide) if what == "says" else (wide, narrow)
            told = {"hears": "hears", "says": "says", "params": "has the parameters"}[what]
            expected = f"a handler that {told} {type_name(agreed_on)}, as {contract!r} does"
            raise InvalidEndpoint(expected, f"{type_name(mine)} in {signature.name}", _AGREE)


_AGREE: Final = "declare the connection once, and name it in both"
