"""Every story in every framework, in process, on every event loop that the framework runs on."""

import pytest

from tests.unit.integrations.frameworks import FRAMEWORKS
from tests.unit.integrations.playing import CASES, Case, InProcess, play
from tests.unit.integrations.stories import STORIES

on_each_loop = [pytest.param(loop, case, id=f"{loop}: {case}") for case in CASES for loop in case.mount.loops]


@pytest.mark.anyio
@pytest.mark.parametrize(("anyio_backend", "case"), on_each_loop)
async def test_the_outcome_is_that_of_the_table(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    assert await play(case, InProcess, caplog) == case.story.outcome


@pytest.mark.parametrize("name", STORIES)
def test_each_difference_names_a_mount_and_has_a_reason(name: str) -> None:
    mounts = {f"{framework}, {mount}" for framework, each in FRAMEWORKS.items() for mount in each.mounts}
    for where, difference in STORIES[name].differs.items():
        assert where in FRAMEWORKS or where in mounts
        if difference is not None:
            assert difference.because.endswith(".")
            assert difference.outcome != STORIES[name].outcome
