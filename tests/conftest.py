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


SHARED = ("place", "server", "mypy_messages", "pyright_messages", "folder", "refused_by_mypy")
"""Fixtures that are expensive to set up: a server, a run of a type checker."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that share an expensive fixture in one worker, where `make test` runs several."""
    for item in items:
        if isinstance(item, pytest.Function):
            params = item.callspec.params if hasattr(item, "callspec") else {}
            for name in SHARED:
                if name in item.fixturenames:
                    module = item.module.__name__ if name == "server" else ""
                    item.add_marker(pytest.mark.xdist_group(f"{name} {module} {params.get(name, '')}"))
                    break
