"""Run every asynchronous test on both event loops, and every property with the same examples in each run."""

import pytest
from hypothesis import settings

# Whether a push passes must not depend on chance. To search further: pytest --hypothesis-profile=default
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Return the name of the backend, for anyio's plugin."""
    return str(request.param)
