"""Reads the annotations of a handler: which view of a connection it takes, with which types. The handler is not run.

It refuses what a type checker refuses, and nothing else: a handler without annotations may be right.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import GenericAlias, SimpleNamespace
from typing import Any, Final, Literal, TypeAlias, get_origin, get_type_hints

from typedws._connection.connection import Connection
from typedws._connection.handshake import Handshake
from typedws._contract.contract import Contract
from typedws._endpoint.assignability import is_assignable
from typedws._messages.type_forms import type_name, unwrap
from typedws._messages.type_parameters import type_arguments_of
from typedws._protocol.outcomes import Closed, Outcome
from typedws.exceptions import InvalidEndpoint
from typedws.websockets import WebSocket

__all__ = ["HandlerKind", "Signature", "check_agrees", "read_signature"]

HandlerKind: TypeAlias = Literal["connection", "handshake", "classic"]
"""What a handler takes: a `Connection`, which is accepted, a `Handshake`, or the whole `WebSocket` (``"classic"``)."""

_KINDS: Final[Mapping[Any, HandlerKind]] = {
    Connection: "connection",
    Handshake: "handshake",
    WebSocket: "classic",
}


@dataclass(frozen=True, slots=True)
class Signature:
    """The name of a handler and what it takes."""

    name: str
    kind: HandlerKind
    takes: Any
    """The annotation, such as ``Connection[In, Out]``, or ``None`` without one."""


def read_signature(handler: Callable[..., Any], names: Mapping[str, Any], *, is_classic: bool) -> Signature:
    """Return what a handler takes; ``names`` are the local names where it is declared.

    :raises InvalidEndpoint: if it is not an asynchronous function that takes one connection
    """
    target = _without_arguments(handler)
    function = target if inspect.isroutine(target) or isinstance(target, type) else target.__call__
    inner = inspect.unwrap(function)
    named: object = inspect.unwrap(target)
    name = str(getattr(named, "__name__", type(named).__name__))
    takes = unwrap(_hint(inner, _parameter(handler, name), name, names))
    kind = _kind(takes, name, is_classic=is_classic)
    _check_returns(function, name, names, kind)
    return Signature(name, kind, takes if _kind_of(takes) else None)


def _without_arguments(handler: Any) -> Any:
    while isinstance(handler, partial):
        handler = handler.func
    if not callable(handler):
        raise InvalidEndpoint("an asynchronous function", repr(type(handler).__name__))
    return handler


def _parameter(handler: Any, name: str) -> str | None:
    """Return the name of the parameter that takes the connection, behind a wrapper that takes ``*args`` too."""
    try:
        own, inner = (inspect.signature(handler, follow_wrapped=each) for each in (False, True))
    except ValueError:  # a built-in function may have no signature
        return None
    if (takes := _first(own)) is None:
        required = [each.name for each in own.parameters.values() if each.default is each.empty]
        found = f"{name}({', '.join(required)})"
        raise InvalidEndpoint("a handler that takes one argument, the connection", found, _PARAMETERS)
    if takes.kind is takes.VAR_POSITIONAL and (takes := _first(inner)) is None:
        return None
    return takes.name


def _first(signature: inspect.Signature) -> inspect.Parameter | None:
    """Return the parameter that takes the only positional argument of a call, or ``None``."""
    try:
        return signature.parameters[next(iter(signature.bind(None).arguments))]
    except TypeError:
        return None


_PARAMETERS: Final = "path and query are in ws.params"


def _hint(function: Any, parameter: str | None, name: str, names: Mapping[str, Any]) -> Any:
    """Evaluate the annotation of one parameter, or of ``"return"``; without one, return ``Any``.

    The other annotations are not evaluated: they may be for type checkers only.
    """
    annotations: Mapping[str, Any] = getattr(function, "__annotations__", {})
    if parameter is None or parameter not in annotations:
        return Any
    global_names = getattr(function, "__globals__", {})
    is_local = "<locals>" in getattr(function, "__qualname__", "")
    local = {key: each for key, each in names.items() if is_local or key not in global_names}
    holder = SimpleNamespace(__annotations__={parameter: annotations[parameter]})
    try:
        return get_type_hints(holder, global_names, local, include_extras=True)[parameter]
    except (NameError, AttributeError) as error:
        hint = "define it before the handler, outside of `if TYPE_CHECKING:`"
        raise InvalidEndpoint(f"annotations of {name} that can be evaluated", str(error), hint) from error


def _kind_of(takes: Any) -> HandlerKind | None:
    class_ = get_origin(takes) or takes
    return _KINDS.get(class_) if isinstance(class_, type) else None


def _kind(takes: Any, name: str, *, is_classic: bool) -> HandlerKind:
    kind = _kind_of(takes)
    if kind == "classic" and not is_classic:
        hint = "use WebSocketRoute(path, handler) for a handler that takes the whole WebSocket"
    elif kind == "connection" or (kind is not None and not is_classic):
        return kind
    elif kind is not None or is_assignable(WebSocket if is_classic else Connection, takes):
        return "classic" if is_classic else "connection"
    else:
        hint = ""
    expected = "WebSocket" if is_classic else "Connection[In, Out] or Handshake[In, Out]"
    raise InvalidEndpoint(f"a handler that takes a {expected}", f"{name}(ws: {type_name(takes)})", hint)


def _check_returns(function: Any, name: str, names: Mapping[str, Any], kind: HandlerKind) -> None:
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise InvalidEndpoint("an asynchronous function", f"{name}, a generator", "send with ws.send_model(...)")
    if hasattr(function, "__wrapped__"):  # functools.wraps copied annotations that the wrapper need not have
        return
    try:
        returns = function if isinstance(function, type) else _hint(function, "return", name, names)
    except InvalidEndpoint:
        return
    is_async = inspect.iscoroutinefunction(function)
    if not is_async and not is_assignable(returns, Awaitable):
        raise InvalidEndpoint("an asynchronous function", f"{name}, which is synchronous", "write async def")
    result = _RESULTS[kind]
    if not is_assignable(returns, result if is_async else GenericAlias(Awaitable, result)):
        found = f"{name}(...) -> {type_name(returns)}"
        if kind == "handshake":
            hint = "return the result of deny() or close() on every path"
            raise InvalidEndpoint("a handler that takes a Handshake and returns an Outcome", found, hint)
        raise InvalidEndpoint(
            "a handler that returns None", found, "only a handler that takes a Handshake returns an Outcome"
        )


_RESULTS: Final[Mapping[HandlerKind, Any]] = {"connection": Closed | None, "handshake": Outcome, "classic": None}


def check_agrees(signature: Signature, contract: Contract[Any, Any, Any]) -> None:
    """Raise if a type checker would refuse the handler for the contract.

    :raises InvalidEndpoint: with both types
    """
    if signature.takes is None:
        return
    roles = ("receives", "sends", "has the parameters")
    for role, taken, agreed in zip(roles, _types(signature.takes), _types(contract.connection), strict=True):
        if not (is_assignable(taken, agreed) if role == "sends" else is_assignable(agreed, taken)):
            expected = f"a handler that {role} {type_name(agreed)}, as the contract {contract.name!r} declares"
            raise InvalidEndpoint(expected, f"{type_name(taken)} in {signature.name}", _AGREE)


def _types(connection: Any) -> tuple[Any, Any, Any]:
    return type_arguments_of(get_origin(connection) or connection, connection)


_AGREE: Final = "declare the connection type once and use it in both"
