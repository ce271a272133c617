"""Each contestant of the benchmarks does its tasks, and validates as its row says. Nothing is timed."""

import asyncio
from importlib.util import find_spec

import pytest

from bench.contestants import LIBRARIES, contestants

# `make test` does without the libraries that typedws is compared with.
pytestmark = pytest.mark.skipif(find_spec("chanx") is None, reason="needs the group bench")


@pytest.mark.parametrize("library", LIBRARIES)
def test_contestants_do_their_tasks_and_validate_as_declared(library: str) -> None:
    from bench.inprocess import TASKS, check

    for contestant in contestants([library]).values():
        for task in TASKS.values():
            if contestant.takes(task):
                asyncio.run(check(contestant, task))


def test_a_contestant_that_does_not_do_its_task_is_detected() -> None:
    from bench.contestants import Application, Contestant, Task
    from bench.inprocess import TASKS, check

    def make(task: Task) -> Application:
        return contestants(["raw"])["raw"].make(Task(task.workload, "small" if task.size == "big" else "big"))

    with pytest.raises(AssertionError, match="expected"):
        asyncio.run(check(Contestant("raw", make), TASKS["send small text"]))


def test_a_contestant_that_does_not_validate_is_detected() -> None:
    from bench.contestants import Application, Contestant, Task
    from bench.floor import nothing
    from bench.inprocess import TASKS, check

    def make(task: Task) -> Application:
        return nothing

    with pytest.raises(AssertionError, match="does_validate is False"):
        asyncio.run(check(Contestant("nothing", make), TASKS["echo small text"]))
