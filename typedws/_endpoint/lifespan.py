"""The lifespan protocol: a context that is entered when the server starts and left when it stops. No handler runs."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from typedws.asgi import Receive, Scope, Send
from typedws.exceptions import InvalidState

__all__ = ["answer_lifespan"]


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
