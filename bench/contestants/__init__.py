"""Who is compared: the same applications in process and on servers, one module for each library."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Literal, TypeAlias

__all__ = [
    "ALL_MODES",
    "ALL_WORKLOADS",
    "LIBRARIES",
    "Application",
    "Contestant",
    "Mode",
    "Size",
    "Task",
    "Workload",
    "contestants",
]

Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[Any]]
"""An ASGI application; loose, as those of all libraries are."""

Workload: TypeAlias = Literal["echo", "receive", "send"]
"""``echo`` answers each message with itself; ``receive`` hears messages until the client goes, and answers each
``count``-th with itself, so that a client knows that it got so far; ``send`` says ``count`` messages as soon as it is
connected, and closes."""

Size: TypeAlias = Literal["small", "big"]
"""The 57-byte member of a tagged union, or the nested 7 KB: see `bench.messages`."""

Mode: TypeAlias = Literal["text", "binary", "msgpack"]

ALL_WORKLOADS: Final[frozenset[Workload]] = frozenset({"echo", "receive", "send"})
ALL_MODES: Final[frozenset[Mode]] = frozenset({"text", "binary", "msgpack"})

LIBRARIES: Final = ("raw", "msgspec", "classic", "fastapi", "litestar", "quart_schema", "chanx", "typed")
"""The modules of this package, in the order of the tables."""


@dataclass(frozen=True, slots=True)
class Task:
    """What an application is to do."""

    workload: Workload = "echo"
    size: Size = "small"
    mode: Mode = "text"
    count: int = 1
    """How many messages to say, or to hear for each answer; not for ``echo``."""


def _as_it_is(content: Any) -> Any:
    return content


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way to write the application of a task."""

    name: str
    make: Callable[[Task], Application]
    workloads: frozenset[Workload] = ALL_WORKLOADS
    modes: frozenset[Mode] = frozenset({"text"})
    does_validate: bool = True
    """Whether it refuses an invalid message; checked, not believed."""
    has_lifespan: bool = False
    """Whether its application wants to be started before it is called, as ASGI's lifespan says."""
    wrap: Callable[[Any], Any] = _as_it_is
    """Gives the content of a message the shape that a library dictates."""
    mark: str = ""
    """What a reader of its figures has to know."""

    def takes(self, task: Task) -> bool:
        return task.workload in self.workloads and task.mode in self.modes


def contestants(only: Collection[str] = ()) -> dict[str, Contestant]:
    """Give the contestants by name, importing what they need: all, or ``only`` those of some names or libraries."""
    libraries = [name for name in LIBRARIES if name in only] if only and set(only) <= set(LIBRARIES) else LIBRARIES
    found: dict[str, Contestant] = {}
    for library in libraries:
        each: Contestant
        for each in import_module(f"{__name__}.{library}").CONTESTANTS:
            if not only or library in only or each.name in only:
                found[each.name] = each
    if unknown := set(only) - set(LIBRARIES) - set(found):
        raise SystemExit(f"nobody is called {', '.join(sorted(unknown))}")
    return found
