"""What a handler raises to end a connection: the classic names, arguments and texts."""

import copy
import pickle
from http import HTTPStatus
from typing import Any

import pytest
import starlette.exceptions

from tests.support import stable_id
from typedws import ApplicationCloseCode, CloseCode, HTTPException, TypedWSError, WebSocketException


class ChatClose(ApplicationCloseCode):
    KICKED = 4001, "removed by a moderator"


@pytest.mark.parametrize(
    "arguments",
    [
        {"status_code": 401},
        {"status_code": 401, "detail": "token missing"},
        {"status_code": 401, "detail": ""},
        {"status_code": HTTPStatus.NOT_FOUND},
        {"status_code": 401, "headers": {"WWW-Authenticate": "Bearer"}},
    ],
    ids=stable_id,
)
def test_it_is_made_and_told_as_the_classic_one(arguments: dict[str, Any]) -> None:
    error, classic = HTTPException(**arguments), starlette.exceptions.HTTPException(**arguments)
    assert (error.status_code, error.detail, error.headers) == (classic.status_code, classic.detail, classic.headers)
    assert str(error) == str(classic)
    assert isinstance(error, TypedWSError)


def test_a_status_that_has_no_phrase_has_no_detail() -> None:
    assert HTTPException(499).detail == ""
    assert str(HTTPException(499, "gone")) == "499: gone"


@pytest.mark.parametrize("reason", [None, "", "go away"])
@pytest.mark.parametrize("code", [1008, 4001, CloseCode.GOING_AWAY])
def test_a_close_is_made_and_told_as_the_classic_one(code: int, reason: str | None) -> None:
    error, classic = WebSocketException(code, reason), starlette.exceptions.WebSocketException(code, reason)
    assert (error.code, error.reason) == (classic.code, classic.reason)
    assert str(error) == f"{int(code)}: {reason or ''}" == str(classic)
    assert isinstance(error, TypedWSError)


def test_a_close_code_of_the_applications_own_has_its_description_as_the_reason() -> None:
    assert WebSocketException(ChatClose.KICKED).reason == "removed by a moderator"
    assert WebSocketException(ChatClose.KICKED, "spam").reason == "spam"
    assert WebSocketException(ChatClose.KICKED, "").reason == ""
    assert str(WebSocketException(ChatClose.KICKED)) == "4001: removed by a moderator"


@pytest.mark.parametrize(
    "error",
    [HTTPException(401, "token missing", {"a": "b"}), HTTPException(404), WebSocketException(ChatClose.KICKED, "spam")],
    ids=stable_id,
)
def test_it_survives_a_copy_and_a_pickle(error: Exception) -> None:
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is type(error)
        assert vars(twin) == vars(error)
        assert str(twin) == str(error)
