"""Every asynchronous test runs on both event loops; every property tries the same examples in each run."""

import pytest
from hypothesis import settings

# What a push finds must not depend on luck. To look further: pytest --hypothesis-profile=default
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Name the backend, for anyio's plugin."""
    return str(request.param)
