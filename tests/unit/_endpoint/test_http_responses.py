"""Plain HTTP requests: each is answered with a problem document."""

import json

import pytest

from tests.support import wire
from typedws._endpoint.http_responses import answer_http

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("status", "detail"), [(426, "a WebSocket is served here"), (404, None)])
async def test_plain_http_is_answered_with_a_problem_document(status: int, detail: str | None) -> None:
    _, send, sent = wire()
    await answer_http(send, status)
    start, body = sent
    assert (start["type"], start["status"]) == ("http.response.start", status)
    assert body["type"] == "http.response.body"
    headers = dict(start["headers"])
    assert headers[b"content-type"] == b"application/problem+json"
    assert int(headers[b"content-length"]) == len(body["body"])
    assert headers.get(b"upgrade") == (b"websocket" if status == 426 else None)
    document = json.loads(body["body"])
    assert (document["status"], document.get("detail")) == (status, detail)
