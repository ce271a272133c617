"""What frameworks call their exceptions and scope keys. No framework is imported here."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, cast

from typedws.asgi import Scope

__all__ = ["is_handled_outside", "is_named"]

_FRAMEWORKS: Final = frozenset({"typedws", "starlette", "fastapi", "litestar", "werkzeug"})
"""The packages whose exceptions count. Quart's are werkzeug's. Without this list, exceptions of HTTP and WebSocket
clients that a handler uses would count too: ``http.client`` and ``websockets`` have classes of the same names."""


def is_named(name: str) -> Callable[[Exception], bool]:
    """Return a function that recognizes a framework's exception by the name of one of its classes."""

    def matches(error: Exception) -> bool:
        return any(
            class_.__name__ == name and class_.__module__.partition(".")[0] in _FRAMEWORKS
            for class_ in type(error).__mro__
        )

    return matches


_Handlers: TypeAlias = tuple[Mapping[type[Any], Any], Mapping[Any, Any]]


def is_handled_outside(scope: Scope, error: Exception) -> bool:
    """Whether the application has registered a handler for this exception with the framework around the endpoint.

    Starlette and FastAPI put their handlers into the scope. For other frameworks their integration puts the function
    ``typedws.handles`` there.
    """
    handles: Callable[[Exception], bool] | None = scope.get("typedws.handles")
    if handles is not None:
        return handles(error)
    by_class, by_status = cast(_Handlers, scope.get("starlette.exception_handlers") or ({}, {}))
    classes = type(error).__mro__
    covering = [by_class[class_] for class_ in classes if class_ in by_class]
    # Starlette looks a handler up by status for its own HTTPException only.
    has_status = any(each.__name__ == "HTTPException" and each.__module__ == "starlette.exceptions" for each in classes)
    handler = (has_status and by_status.get(cast(Any, error).status_code)) or next(iter(covering), None)
    return handler is not None and handler.__module__.partition(".")[0] not in ("starlette", "fastapi")
