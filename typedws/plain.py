"""Answers to what is no WebSocket: a plain HTTP request on a WebSocket path, a server's lifespan. No handler is run."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from typedws.asgi import Receive, Scope, Send
from typedws.denial import DenialResponse, ProblemDocument

__all__ = ["answer_http", "answer_lifespan"]

_UPGRADE: Final = {"Upgrade": "websocket"}  # RFC 9110 section 15.5.22


async def answer_http(send: Send, status: int) -> None:
    """Answer a plain HTTP request with a problem document: 426 where a WebSocket is served, 404 where nothing is."""
    detail = "a WebSocket is served here" if status == 426 else None
    document = ProblemDocument.of(status, detail)
    for event in DenialResponse(status, headers=_UPGRADE if status == 426 else None, body=document).events():
        await send({**event, "type": event["type"].removeprefix("websocket.")})


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield


async def answer_lifespan(
    scope: Scope,
    receive: Receive,
    send: Send,
    context: AbstractAsyncContextManager[Mapping[str, Any] | None] | None = None,
) -> None:
    """Enter a context when the server starts, leave it when it stops; what it gives is the state of connections.

    What the context raises fails the startup or the shutdown, and is raised, as the server logs it.
    """
    await receive()
    is_started = False
    try:
        async with context or _nothing() as state:
            if state:
                scope["state"].update(state)
            await send({"type": "lifespan.startup.complete"})
            is_started = True
            await receive()
    except Exception as error:
        phase = "shutdown" if is_started else "startup"
        await send({"type": f"lifespan.{phase}.failed", "message": f"{type(error).__name__}: {error}"})
        raise
    await send({"type": "lifespan.shutdown.complete"})
