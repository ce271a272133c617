"""`typedws._protocol.server_profiles`: the profile of a server is chosen by the scope that it builds."""

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
    ("parts", "profile"),
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
def test_a_scope_has_the_profile_of_its_server(parts: dict[str, Any], profile: ServerProfile) -> None:
    assert profile_of(scope(**parts)) == profile
