"""Find where suspended or blocked code is: the innermost line of the user's own code. Nothing is run here."""

import gc
import linecache
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import Any, Final

__all__ = ["awaited_by", "frame_location", "frames_of", "stack_of", "user_frame"]

_PATHS: Final = sysconfig.get_paths()
_FOREIGN_PREFIXES: Final = (
    *(_PATHS[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    str(Path(__file__).parents[1]),
    "<",
)
"""How the file names of code that is not the user's begin: folders, or ``<`` for code without a file."""


def user_frame(frames: Iterable[FrameType]) -> FrameType | None:
    """Return the innermost frame of the user's own code, or the innermost of all if none is the user's.

    :param frames: the frames, outermost first
    """
    all_frames = list(frames)
    own = [frame for frame in all_frames if not frame.f_code.co_filename.startswith(_FOREIGN_PREFIXES)]
    return next(reversed(own or all_frames), None)


def frame_location(frame: FrameType) -> str:
    """Describe the position of a frame: file, line number, function, and the code of the line."""
    file, line = frame.f_code.co_filename, frame.f_lineno
    code = linecache.getline(file, line).strip()
    with suppress(ValueError):  # the file is outside the current directory
        file = str(Path(file).relative_to(Path.cwd()))
    return f"{file}:{line} in {frame.f_code.co_qualname}" + (f": {code}" if code else "")


def frames_of(coroutine: object) -> Iterator[FrameType]:
    """Yield the frames of a suspended coroutine, outermost first."""
    for awaitable in awaited_by(coroutine):
        frames = (getattr(awaitable, name, None) for name in ("cr_frame", "gi_frame", "ag_frame"))
        yield from (frame for frame in frames if frame is not None)


def stack_of(thread: Thread) -> list[FrameType]:
    """Return the frames of a running thread, outermost first."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - documented
    stack: list[FrameType] = []
    while frame is not None:
        stack.insert(0, frame)
        frame = frame.f_back
    return stack


def awaited_by(coroutine: object) -> Iterator[object]:
    """Yield a coroutine, the object that it awaits, the object that this one awaits, and so on."""
    awaitable: Any = coroutine
    while awaitable is not None:
        yield awaitable
        # The three attributes of coroutines, generators and asynchronous generators.
        names = ("cr_await", "gi_yieldfrom", "ag_await")
        awaitable = next((inner for name in names if (inner := getattr(awaitable, name, None)) is not None), None)
        # An ``async for`` awaits a built-in object that has no attribute for its generator. Only the garbage collector
        # knows the reference. Without it, the position would be the ``async for`` and not the line inside the
        # generator.
        if type(awaitable).__name__.startswith("async_generator_"):
            awaitable = next(
                (referent for referent in gc.get_referents(awaitable) if hasattr(referent, "ag_frame")), None
            )
