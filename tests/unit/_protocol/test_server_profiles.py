"""Servers are known by their scopes."""

from typing import Any

import pytest

from tests.support import scope
from typedws._protocol.server_profiles import CURRENT, ServerProfile, profile_of

DENIAL: dict[str, Any] = {"websocket.http.response": {}}
OLDER = ServerProfile(send_raises_when_gone=False, reports_close_reasons=False)
GRANIAN = ServerProfile(
    send_raises_when_gone=False, reports_close_reasons=False, has_safe_receive=False, accepts_body_parts=False
)


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
def test_a_server_is_known_by_its_scope(told: dict[str, Any], server: ServerProfile) -> None:
    assert profile_of(scope(**told)) == server
