"""The contestants: the same applications in process and on servers, one module for each library."""

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
"""An ASGI application, loosely typed, because the types of the libraries differ."""

Workload: TypeAlias = Literal["echo", "receive", "send"]
"""``echo`` answers each message with itself. ``receive`` receives messages until the client disconnects, and answers
every ``count``-th with itself, so that the client knows how far it got. ``send`` sends ``count`` messages as soon as it
is connected, and closes."""

Size: TypeAlias = Literal["small", "big"]
"""The 57-byte member of a tagged union, or the nested 7 KB: see `bench.messages`."""

Mode: TypeAlias = Literal["text", "binary", "msgpack"]

ALL_WORKLOADS: Final[frozenset[Workload]] = frozenset({"echo", "receive", "send"})
ALL_MODES: Final[frozenset[Mode]] = frozenset({"text", "binary", "msgpack"})

LIBRARIES: Final = ("raw", "msgspec", "classic", "fastapi", "litestar", "quart_schema", "chanx", "typed")
"""The modules of this package, in the order of the tables."""


@dataclass(frozen=True, slots=True)
class Task:
    """What an application has to do."""

    workload: Workload = "echo"
    size: Size = "small"
    mode: Mode = "text"
    count: int = 1
    """How many messages to send, or to receive for each answer; ``echo`` ignores it."""


def _unchanged(content: Any) -> Any:
    return content


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way to write the application for a task."""

    name: str
    make: Callable[[Task], Application]
    workloads: frozenset[Workload] = ALL_WORKLOADS
    modes: frozenset[Mode] = frozenset({"text"})
    does_validate: bool = True
    """Whether it rejects an invalid message; `bench.inprocess` checks this."""
    has_lifespan: bool = False
    """Whether its application needs the startup of ASGI's lifespan before it is called."""
    wrap: Callable[[Any], Any] = _unchanged
    """Converts the content of a message to the shape that a library requires."""
    mark: str = ""
    """A remark that readers of its figures need."""

    def takes(self, task: Task) -> bool:
        return task.workload in self.workloads and task.mode in self.modes


def contestants(only: Collection[str] = ()) -> dict[str, Contestant]:
    """Return the contestants by name, and import what they need: all, or ``only`` those of some names or libraries."""
    libraries = [name for name in LIBRARIES if name in only] if only and set(only) <= set(LIBRARIES) else LIBRARIES
    chosen: dict[str, Contestant] = {}
    for library in libraries:
        each: Contestant
        for each in import_module(f"{__name__}.{library}").CONTESTANTS:
            if not only or library in only or each.name in only:
                chosen[each.name] = each
    if unknown := set(only) - set(LIBRARIES) - set(chosen):
        raise SystemExit(f"nobody is called {', '.join(sorted(unknown))}")
    return chosen
