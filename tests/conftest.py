"""Run every asynchronous test on both event loops, and every property with the same examples in each run."""

import gc
import os

import pytest
from hypothesis import find, settings
from hypothesis.strategies import none

# Whether a push passes must not depend on chance. To search further: pytest --hypothesis-profile=default
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# A worker of `make check` is measured by now. The servers and scripts that its tests start must not be: it would slow
# them down, and says nothing about the tests.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Return the name of the backend, for anyio's plugin."""
    return str(request.param)


def pytest_collection_finish() -> None:
    """Exclude the collected tests from garbage collection: many tests collect, and would scan them each time."""
    # At its first example Hypothesis looks for a referrer of its generator, and does not find frozen ones.
    find(none(), lambda _: True)
    gc.collect()
    gc.freeze()
