"""One handler behaves the same on every server and event loop, except where the table says otherwise."""

import pytest

from tests.e2e.behaviours import BEHAVIOURS, observe
from tests.e2e.servers import RunningServer

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", BEHAVIOURS)
async def test_a_handler_behaves_as_the_table_says(host: RunningServer, name: str) -> None:
    behaviour = BEHAVIOURS[name]
    assert await observe(host, behaviour) == behaviour.expected(host.name)
