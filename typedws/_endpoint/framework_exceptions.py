"""What frameworks call their exceptions and scope keys. No framework is imported here."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, cast

from typedws.asgi import Scope

__all__ = ["is_handled_outside", "is_named"]

_FRAMEWORKS: Final = frozenset({"typedws", "starlette", "fastapi", "litestar", "werkzeug"})
"""Quart's are werkzeug's. Clients, ``websockets`` and ``http.client`` among them, have classes of the same names."""


def is_named(name: str) -> Callable[[Exception], bool]:
    """Recognise the exceptions of frameworks, none of which is imported here, by the name of one of their classes."""

    def matches(error: Exception) -> bool:
        return any(
            class_.__name__ == name and class_.__module__.partition(".")[0] in _FRAMEWORKS
            for class_ in type(error).__mro__
        )

    return matches


_Handlers: TypeAlias = tuple[Mapping[type[Any], Any], Mapping[Any, Any]]


def is_handled_outside(scope: Scope, error: Exception) -> bool:
    """Whether the application around has a handler of its own for an exception, as it tells in the scope.

    Starlette and FastAPI do; for other frameworks their integration here does.
    """
    handles: Callable[[Exception], bool] | None = scope.get("typedws.handles")
    if handles is not None:
        return handles(error)
    by_class, by_status = cast(_Handlers, scope.get("starlette.exception_handlers") or ({}, {}))
    classes = type(error).__mro__
    covering = [by_class[class_] for class_ in classes if class_ in by_class]
    # The handler of a status is asked for Starlette's own exceptions only.
    has_status = any(each.__name__ == "HTTPException" and each.__module__ == "starlette.exceptions" for each in classes)
    handler = (has_status and by_status.get(cast(Any, error).status_code)) or next(iter(covering), None)
    return handler is not None and handler.__module__.partition(".")[0] not in ("starlette", "fastapi")
