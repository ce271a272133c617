"""HTTP responses to plain HTTP requests: on a WebSocket path, and for the schema document. No handler runs here."""

from hashlib import sha256
from typing import Final

from typedws._contract.problem_documents import DenialResponse, ProblemDocument
from typedws.asgi import Scope, Send

__all__ = ["answer_document", "answer_http"]

_UPGRADE: Final = {"Upgrade": "websocket"}  # RFC 9110 section 15.5.22


async def answer_http(send: Send, status: int) -> None:
    """Answer a plain HTTP request with a problem document: 426 on the path of a WebSocket, else 404."""
    detail = "a WebSocket is served here" if status == 426 else None
    document = ProblemDocument.of(status, detail)
    for event in DenialResponse(status, headers=_UPGRADE if status == 426 else None, body=document).events():
        await send({**event, "type": event["type"].removeprefix("websocket.")})


async def answer_document(scope: Scope, send: Send, body: bytes, content_type: str) -> None:
    """Answer a GET or HEAD request with a document, or with 304 if the client has it already.

    The ETag is a hash of the document (RFC 9110 sections 8.8.3 and 13.1.2).
    """
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = [(b"etag", tag.encode()), (b"cache-control", b"no-cache")]
    etags = b",".join(value for name, value in scope["headers"] if name == b"if-none-match").decode("latin-1")
    is_current = not {tag, f"W/{tag}", "*"}.isdisjoint(each.strip() for each in etags.split(","))
    if not is_current:
        headers += [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 304 if is_current else 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_current or scope["method"] == "HEAD" else body})
