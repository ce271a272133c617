"""Answers to what is no WebSocket: a plain HTTP request on a WebSocket path, a server's lifespan. No handler is run."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import sha256
from typing import Any, Final

from typedws.asgi import Receive, Scope, Send
from typedws.denial import DenialResponse, ProblemDocument
from typedws.errors import InvalidState

__all__ = ["answer_document", "answer_http", "answer_lifespan"]

_UPGRADE: Final = {"Upgrade": "websocket"}  # RFC 9110 section 15.5.22


async def answer_http(send: Send, status: int) -> None:
    """Answer a plain HTTP request with a problem document: 426 where a WebSocket is served, 404 where nothing is."""
    detail = "a WebSocket is served here" if status == 426 else None
    document = ProblemDocument.of(status, detail)
    for event in DenialResponse(status, headers=_UPGRADE if status == 426 else None, body=document).events():
        await send({**event, "type": event["type"].removeprefix("websocket.")})


async def answer_document(scope: Scope, send: Send, body: bytes, content_type: str) -> None:
    """Answer a GET or HEAD request with a document, which a client that has it already need not load again.

    Its ETag is a hash of it (RFC 9110 sections 8.8.3 and 13.1.2).
    """
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = [(b"etag", tag.encode()), (b"cache-control", b"no-cache")]
    known = b",".join(value for name, value in scope["headers"] if name == b"if-none-match").decode("latin-1")
    is_known = not {tag, f"W/{tag}", "*"}.isdisjoint(each.strip() for each in known.split(","))
    if not is_known:
        headers += [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 304 if is_known else 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_known or scope["method"] == "HEAD" else body})


@asynccontextmanager
async def _nothing() -> AsyncGenerator[None]:
    yield


async def answer_lifespan(
    scope: Scope,
    receive: Receive,
    send: Send,
    make: Callable[[], AbstractAsyncContextManager[Mapping[str, Any] | None]] | None = None,
) -> None:
    """Make and enter a context when the server starts, leave it when it stops; what it gives is ``ws.state``.

    What the context raises fails the startup or the shutdown, and is raised, as the server logs it.

    :raises InvalidState: where the context gives a state, and the server has no place for one
    """
    await receive()
    is_started = False
    try:
        async with (make or _nothing)() as state:
            if state:
                _state_of(scope).update(state)
            await send({"type": "lifespan.startup.complete"})
            is_started = True
            await receive()
    except Exception as error:
        phase = "shutdown" if is_started else "startup"
        await send({"type": f"lifespan.{phase}.failed", "message": f"{type(error).__name__}: {error}"})
        raise
    await send({"type": "lifespan.shutdown.complete"})


def _state_of(scope: Scope) -> dict[str, Any]:
    if "state" not in scope:
        hint = "keep it on an object that the handlers know"
        raise InvalidState("a server that passes on the state of a lifespan", "one that does not", hint)
    state: dict[str, Any] = scope["state"]
    return state
