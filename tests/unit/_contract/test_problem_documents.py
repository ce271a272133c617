"""`typedws._contract.problem_documents`: denial responses and problem documents, rendered as ASGI events."""

from http import HTTPStatus
from typing import Any

import pytest
from pydantic import BaseModel, Field

from typedws._contract.problem_documents import DenialResponse, ProblemDocument, supports_denial_response
from typedws.exceptions import InvalidHandshake, UnsendableMessage


class Retry(BaseModel):
    after: int = Field(alias="retryAfter")


@pytest.mark.parametrize(
    ("body", "content_type", "rendered"),
    [
        (b"", None, b""),
        (b"\xff", b"application/octet-stream", b"\xff"),
        ("", b"text/plain; charset=utf-8", b""),
        ("né", b"text/plain; charset=utf-8", "né".encode()),
        (Retry(retryAfter=3), b"application/json", b'{"retryAfter":3}'),
        (
            ProblemDocument.of(401, "token missing"),
            b"application/problem+json",
            b'{"type":"about:blank","title":"Unauthorized","status":401,"detail":"token missing"}',
        ),
        (
            ProblemDocument(title="Denied", status=400, limit=3),  # type: ignore[call-arg]
            b"application/problem+json",
            b'{"type":"about:blank","title":"Denied","status":400,"limit":3}',
        ),
    ],
)
def test_a_body_is_rendered_by_its_type(
    body: bytes | str | BaseModel, content_type: bytes | None, rendered: bytes
) -> None:
    start, end = DenialResponse(401, body=body).events()
    headers = dict(start.get("headers", ()))
    assert headers.get(b"content-type") == content_type
    assert headers[b"content-length"] == str(len(rendered)).encode()
    assert end == {"type": "websocket.http.response.body", "body": rendered}
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)


def test_given_headers_win_except_content_length() -> None:
    response = DenialResponse(401, headers={"Content-Type": "text/html", "Content-Length": "99"}, body="no")
    assert response.headers == [(b"content-type", b"text/html"), (b"content-length", b"2")]


@pytest.mark.parametrize("status", [-1, 0, 100, 101, 200, 204, 299, 600, 1000])
def test_a_status_that_does_not_deny_raises(status: int) -> None:
    with pytest.raises(InvalidHandshake, match="status"):
        DenialResponse(status)


@pytest.mark.parametrize("status", [300, 403, 599, HTTPStatus.NOT_FOUND])
def test_a_status_that_denies_is_stored_as_a_plain_int(status: int) -> None:
    response = DenialResponse(status)
    assert response.status == status
    assert type(response.status) is int


@pytest.mark.parametrize(("status", "title"), [(401, "Unauthorized"), (404, "Not Found"), (499, "Denied")])
def test_the_title_of_a_problem_document_is_the_phrase_of_its_status(status: int, title: str) -> None:
    document = ProblemDocument.of(status)
    assert document.model_dump(exclude_none=True) == {"type": "about:blank", "title": title, "status": status}


@pytest.mark.parametrize("make", [lambda: DenialResponse(body="\ud800"), lambda: ProblemDocument.of(403, "\ud800")])
def test_text_with_a_lone_surrogate_raises(make: Any) -> None:
    with pytest.raises(UnsendableMessage):
        make()


@pytest.mark.parametrize(
    ("extensions", "supported"),
    [
        ({"websocket.http.response": {}}, True),
        ({"websocket.http.response": None}, True),
        ({"other": {}}, False),
        ({}, False),
        (None, False),
    ],
)
def test_the_extension_is_detected(extensions: Any, supported: bool) -> None:
    assert supports_denial_response({"extensions": extensions}) is supported


def test_a_scope_without_extensions_does_not_support_denial_responses() -> None:
    assert not supports_denial_response({})
