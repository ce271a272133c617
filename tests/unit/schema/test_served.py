"""`App(schema_path=...)`: the document is served over HTTP, and nothing else changes."""

import json
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from tests.support import CONNECT, Event, scope, wire
from typedws import App, Connection, InvalidPath, WebSocketRoute

pytestmark = pytest.mark.anyio

MEDIA_TYPE = b"application/vnd.aai.asyncapi+json;version=3.1.0"


class Say(BaseModel):
    text: str = "é"


def serving(**options: Any) -> App:
    app = App(**options)

    @app.websocket("/chat")
    async def chat(ws: Connection[Say, Say]) -> None: ...

    return app


async def request(app: App, method: str = "GET", path: str = "/asyncapi.json", **more: Any) -> tuple[Event, bytes]:
    receive, send, sent = wire()
    with anyio.fail_after(5):
        await app({**scope(path=path, headers=[]), "type": "http", "method": method, **more}, receive, send)
    start, body = sent
    assert (start["type"], body["type"]) == ("http.response.start", "http.response.body")
    return {**start, "headers": dict(start["headers"])}, body["body"]


async def test_the_document_is_served_on_the_schema_path() -> None:
    app = serving(schema_path="/asyncapi.json", title="Chat")
    start, body = await request(app)
    assert (start["status"], start["headers"][b"content-type"]) == (200, MEDIA_TYPE)
    assert start["headers"][b"content-length"] == str(len(body)).encode()
    assert json.loads(body) == app.asyncapi()


async def test_a_head_request_gets_the_same_headers_without_the_body() -> None:
    app = serving(schema_path="/asyncapi.json")
    start, body = await request(app, "HEAD")
    assert body == b""
    assert start == (await request(app))[0]


@pytest.mark.parametrize("known", [b"%s", b'"other", %s', b"W/%s", b"*"])
async def test_a_client_with_the_current_etag_gets_304(known: bytes) -> None:
    app = serving(schema_path="/asyncapi.json")
    tag = (await request(app))[0]["headers"][b"etag"]
    value = known % tag if b"%s" in known else known
    start, body = await request(app, headers=[(b"if-none-match", value)])
    assert (start["status"], start["headers"][b"etag"], body) == (304, tag, b"")
    start, _ = await request(app, headers=[(b"if-none-match", b'"other"')])
    assert start["status"] == 200


async def test_an_added_route_is_in_the_document_and_changes_the_etag() -> None:
    app = serving(schema_path="/asyncapi.json")
    before, _ = await request(app)

    @app.websocket("/more")
    async def more(ws: Connection[Say, Say]) -> None: ...

    after, body = await request(app)
    assert "more" in json.loads(body)["channels"]
    assert before["headers"][b"etag"] != after["headers"][b"etag"]


async def test_a_mounted_app_serves_the_document_below_its_root_path() -> None:
    app = serving(schema_path="/asyncapi.json")
    start, _ = await request(app, path="/ws/asyncapi.json", root_path="/ws")
    assert start["status"] == 200


@pytest.mark.parametrize(
    ("options", "method", "path", "status"),
    [
        ({}, "GET", "/asyncapi.json", 404),
        ({"schema_path": "/asyncapi.json"}, "POST", "/asyncapi.json", 404),
        ({"schema_path": "/asyncapi.json"}, "GET", "/other", 404),
        ({"schema_path": "/asyncapi.json"}, "GET", "/chat", 426),
    ],
)
async def test_other_requests_are_answered_as_without_a_schema_path(
    options: Any, method: str, path: str, status: int
) -> None:
    start, _ = await request(serving(**options), method, path)
    assert start["status"] == status


async def test_a_websocket_on_the_schema_path_is_denied() -> None:
    receive, send, sent = wire(CONNECT)
    with anyio.fail_after(5):
        await serving(schema_path="/asyncapi.json")(scope(path="/asyncapi.json"), receive, send)
    assert sent[0]["status"] == 404


def test_an_invalid_schema_path_is_refused() -> None:
    with pytest.raises(InvalidPath):
        App(schema_path="asyncapi.json")


def test_routes_passed_to_the_app_may_have_security() -> None:
    chat = serving().routes[0].endpoint
    route = WebSocketRoute("/chat", chat, security={"token": {"type": "http", "scheme": "bearer"}})
    assert App([route]).asyncapi()["operations"]["chat.send"]["security"] == [
        {"$ref": "#/components/securitySchemes/token"}
    ]
