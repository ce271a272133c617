"""The processes that a benchmark starts: spoken to by lines, kept to one core, and gone when it is."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

__all__ = ["allow_many_files", "answer", "end_with_parent", "pin", "process", "two_cores"]


@contextlib.contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run one of our modules in a session of its own, which is ended as a whole."""
    command = [sys.executable, "-m", *arguments]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def answer(child: subprocess.Popen[str], asked: object = None) -> str:
    """Say a line of JSON to a process, if anything, and give the line that it says."""
    assert child.stdin is not None
    assert child.stdout is not None
    if asked is not None:
        print(json.dumps(asked), file=child.stdin, flush=True)
    line = child.stdout.readline()
    if not line:
        raise RuntimeError(f"{child.args!r} has failed")
    return line


def end_with_parent() -> None:
    """End the session of this process when its standard input ends: whoever started it is gone, however it ended."""

    def wait() -> None:
        while os.read(0, 1 << 10):  # sys.stdin's lock would be held in a child that is forked
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def two_cores() -> tuple[int, int] | None:
    """Give two cores that are not one physical core's, where there is a choice; ``None`` where none can be had."""
    if sys.platform != "linux" or len(available := sorted(os.sched_getaffinity(0))) < 2:
        return None
    first, *others = available
    return first, next((core for core in others if _physical(core) != _physical(first)), others[0])


def _physical(core: int) -> str:
    try:
        return Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(core)


def pin(core: int | None) -> None:
    """Keep this process, and those that it starts, to one core."""
    if sys.platform == "linux" and core is not None:
        os.sched_setaffinity(0, {core})


def allow_many_files() -> None:
    """Let this process open as many connections as the system allows it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS does not take its own "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
