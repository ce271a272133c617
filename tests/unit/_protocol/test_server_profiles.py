"""Servers are known by their scopes."""

from typing import Any

import pytest

from tests.support import scope
from typedws._protocol.server_profiles import CURRENT, Server, server_of

DENIAL: dict[str, Any] = {"websocket.http.response": {}}
OLDER = Server(tells_by_send=False, tells_reasons=False)
GRANIAN = Server(tells_by_send=False, tells_reasons=False, keeps_messages=False, takes_parts=False)


@pytest.mark.parametrize(
    ("told", "server"),
    [
        ({"asgi": {"version": "3.0", "spec_version": "2.4"}}, CURRENT),
        ({"asgi": {"version": "3.0", "spec_version": "2.10"}}, CURRENT),
        ({"asgi": {"version": "3.0", "spec_version": "3"}}, CURRENT),
        ({"asgi": {"version": "3.0", "spec_version": "2.3"}}, OLDER),
        ({"asgi": {"version": "3.0"}, "extensions": None}, OLDER),
        ({"asgi": None}, OLDER),
        ({"asgi": {"spec_version": "2.3"}, "extensions": {"http.response.pathsend": {}, **DENIAL}}, GRANIAN),
    ],
)
def test_a_server_is_known_by_its_scope(told: dict[str, Any], server: Server) -> None:
    assert server_of(scope(**told)) == server
