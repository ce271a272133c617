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
    """Enter a context when the server starts and leave it when the server stops. Its value becomes ``ws.state``.

    An exception of the context fails the startup or the shutdown. It is raised too, since the server logs it.

    :raises InvalidState: if the context has a state, and the server does not support one
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
        raise InvalidState(
            "a server with lifespan state",
            "one without it",
            sentence="this server does not support lifespan state: keep the state on an object of your own",
        )
    state: dict[str, Any] = scope["state"]
    return state
