"""The processes that a benchmark starts: they exchange lines with it, stay on one core, and end with it."""

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
    """Run one of our modules in a session of its own, and kill the whole session after the block."""
    command = [sys.executable, "-m", *arguments]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def answer(child: subprocess.Popen[str], request: object = None) -> str:
    """Send a line of JSON to a process, unless ``request`` is ``None``, and return the next line that it prints."""
    assert child.stdin is not None
    assert child.stdout is not None
    if request is not None:
        print(json.dumps(request), file=child.stdin, flush=True)
    line = child.stdout.readline()
    if not line:
        raise RuntimeError(f"{child.args!r} has failed")
    return line


def end_with_parent() -> None:
    """Kill the session of this process when its standard input ends: the parent process has ended, however it did."""

    def wait() -> None:
        while os.read(0, 1 << 10):  # not sys.stdin: a forked child would inherit its lock, held
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def two_cores() -> tuple[int, int] | None:
    """Return two cores, of different physical cores if possible, or ``None`` if there are not two to choose."""
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
    """Keep this process, and the processes that it starts, on one core."""
    if sys.platform == "linux" and core is not None:
        os.sched_setaffinity(0, {core})


def allow_many_files() -> None:
    """Allow this process to open as many connections as the system permits."""
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS does not take its own "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
