"""A server that is stopped ends its connections as the table says, whatever the handlers do."""

import pytest

from tests.e2e.conftest import Place
from tests.e2e.servers import running_server
from tests.e2e.stopping import expected_stop, observe_stop

pytestmark = pytest.mark.anyio


async def test_a_server_that_is_stopped_ends_its_connections_as_the_table_says(place: Place) -> None:
    name, loop = place
    async with running_server(name, loop=loop, grace=1) as server:
        assert await observe_stop(server) == expected_stop(name, loop)
    assert server.printed == ""
