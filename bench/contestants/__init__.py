"""Who is compared: the same applications in process and on servers, one module for each library."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

__all__ = ["ALL_MODES", "ALL_WORKLOADS", "Application", "Contestant", "Mode", "Size", "Task", "Workload"]

Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application; loose, as those of all libraries are."""

Workload: TypeAlias = Literal["echo", "receive", "send"]
"""``echo`` answers each message with itself; ``receive`` hears messages until the client goes; ``send`` says ``count``
messages as soon as it is connected, and closes."""

Size: TypeAlias = Literal["small", "big"]
"""The 57-byte member of a tagged union, or the nested 7 KB."""

Mode: TypeAlias = Literal["text", "binary", "msgpack"]

ALL_WORKLOADS: Final[frozenset[Workload]] = frozenset({"echo", "receive", "send"})
ALL_MODES: Final[frozenset[Mode]] = frozenset({"text", "binary", "msgpack"})


@dataclass(frozen=True, slots=True)
class Task:
    """What an application is to do."""

    workload: Workload = "echo"
    size: Size = "small"
    mode: Mode = "text"
    count: int = 0
    """How many messages to say; for ``send`` alone."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way to write the application of a task."""

    name: str
    make: Callable[[Task], Application]
    workloads: frozenset[Workload] = ALL_WORKLOADS
    modes: frozenset[Mode] = frozenset({"text"})
    does_validate: bool = True
    """Whether it refuses an invalid message; checked, not believed."""

    def takes(self, task: Task) -> bool:
        return task.workload in self.workloads and task.mode in self.modes
