"""`Policy`: the values that it accepts, and the errors for the others."""

import dataclasses
import re
from typing import Any

import pytest

from tests.support import stable_id
from typedws._endpoint.policy import Policy
from typedws.exceptions import InvalidMessage, InvalidPolicy
from typedws.websockets import Connection


async def answer(ws: Connection[Any, Any, Any], error: InvalidMessage) -> None:
    """Stand in for a function of the user's."""


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"origins": "*"},
        {"origins": ["https://app.example"]},
        {"origins": re.compile("https://.*")},
        {"hosts": ["chat.example", "*.chat.example"]},
        {"on_invalid": "close"},
        {"on_invalid": "reply"},
        {"on_invalid": "drop"},
        {"on_invalid": answer},
        {"max_invalid": 1},
        {"max_message_size": 1, "max_connections": 1},
        {"handshake_timeout": 0.1, "idle_timeout": 5, "send_timeout": float("inf")},
        {"handshake_timeout": None, "idle_timeout": None, "send_timeout": None},
    ],
    ids=stable_id,
)
def test_a_policy_has_the_given_values(fields: dict[str, Any]) -> None:
    policy = Policy(**fields)
    assert {name: getattr(policy, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"on_invalid": "ignore"},
            'expected on_invalid to be "close", "reply", "drop" or a function, found \'ignore\'',
        ),
        ({"on_invalid": None}, 'expected on_invalid to be "close", "reply", "drop" or a function, found None'),
        *(
            ({name: value}, f"expected {name} to be above zero, found {value!r}: None means no limit")
            for name in ("max_message_size", "handshake_timeout", "idle_timeout", "send_timeout", "max_connections")
            for value in (0, -1, float("nan"))
        ),
        ({"max_invalid": 0}, "expected max_invalid to be above zero, found 0: None means no limit"),
        ({"origins": "https://app.example"}, "expected origins to be"),
        ({"hosts": []}, "expected hosts to name at least one host"),
    ],
    ids=stable_id,
)
def test_an_invalid_policy_raises_when_it_is_created(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        Policy(**fields)
    assert str(caught.value).startswith(message)


def test_a_policy_is_immutable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Policy().max_invalid = 5  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]


def test_policies_with_equal_fields_are_equal_and_a_policy_can_be_replaced() -> None:
    assert Policy(max_connections=5) == dataclasses.replace(Policy(), max_connections=5)
