"""Answers to what is no WebSocket: a plain HTTP request on a WebSocket path, a server's lifespan. No handler is run."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from typedws.asgi import Receive, Scope, Send
from typedws.denial import DenialResponse, ProblemDocument
from typedws.errors import InvalidState

__all__ = ["answer_http", "answer_lifespan"]

_UPGRADE: Final = {"Upgrade": "websocket"}  # RFC 9110 section 15.5.22


async def answer_http(send: Send, status: int) -> None:
    """Answer a plain HTTP request with a problem document: 426 where a WebSocket is served, 404 where nothing is."""
    detail = "a WebSocket is served here" if status == 426 else None
    document = ProblemDocument.of(status, detail)
    for event in DenialResponse(status, headers=_UPGRADE if status == 426 else None, body=document).events():
        await send({**event, "type": event["type"].removeprefix("websocket.")})


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
