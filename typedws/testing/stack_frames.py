"""Where code stands that waits: the innermost line of the user's own. Nothing is run here."""

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
_OTHERS: Final = (
    *(_PATHS[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    str(Path(__file__).parents[1]),
    "<",
)
"""Where code is that is not the user's: in these folders, or in no file."""


def user_frame(frames: Iterable[FrameType]) -> FrameType | None:
    """Give the innermost frame of the user's own code, else of all; the innermost comes last."""
    found = list(frames)
    own = [frame for frame in found if not frame.f_code.co_filename.startswith(_OTHERS)]
    return next(reversed(own or found), None)


def frame_location(frame: FrameType) -> str:
    """Say where a frame is: file, line, function, and the code of the line."""
    file, line = frame.f_code.co_filename, frame.f_lineno
    code = linecache.getline(file, line).strip()
    with suppress(ValueError):  # it is elsewhere
        file = str(Path(file).relative_to(Path.cwd()))
    return f"{file}:{line} in {frame.f_code.co_qualname}" + (f": {code}" if code else "")


def frames_of(coroutine: object) -> Iterator[FrameType]:
    """Give the frames of a coroutine that is suspended, outermost first."""
    for each in awaited_by(coroutine):
        frames = (getattr(each, name, None) for name in ("cr_frame", "gi_frame", "ag_frame"))
        yield from (frame for frame in frames if frame is not None)


def stack_of(thread: Thread) -> list[FrameType]:
    """Give the frames of a thread that runs, outermost first."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - documented
    found: list[FrameType] = []
    while frame is not None:
        found.insert(0, frame)
        frame = frame.f_back
    return found


def awaited_by(coroutine: object) -> Iterator[object]:
    """Give a coroutine, what it awaits, what that awaits, and so on."""
    each: Any = coroutine
    while each is not None:
        yield each
        names = ("cr_await", "gi_yieldfrom", "ag_await")
        each = next((inner for name in names if (inner := getattr(each, name, None)) is not None), None)
        if type(each).__name__.startswith("async_generator_"):  # of these, only the collector knows whose they are
            each = next((one for one in gc.get_referents(each) if hasattr(one, "ag_frame")), None)
