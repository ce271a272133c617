"""The lifespan protocol: when its context is entered and left, and how its failures are reported."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from tests.support import Event, wire
from typedws._endpoint.lifespan import answer_lifespan
from typedws.exceptions import InvalidState

pytestmark = pytest.mark.anyio

STARTUP: Event = {"type": "lifespan.startup"}
SHUTDOWN: Event = {"type": "lifespan.shutdown"}
STARTED: Event = {"type": "lifespan.startup.complete"}
STOPPED: Event = {"type": "lifespan.shutdown.complete"}


async def lifespan(make: Any = None, scope: Event | None = None) -> list[Event]:
    """Start and stop the lifespan. Return the sent events; if it raises, they are in ``sent_events``."""
    receive, send, sent = wire(STARTUP, SHUTDOWN)
    try:
        with anyio.fail_after(5):
            await answer_lifespan({"type": "lifespan"} if scope is None else scope, receive, send, make)
    finally:
        sent_events.extend(sent)
    return sent


sent_events: list[Event] = []


@pytest.fixture(autouse=True)
def clear_sent_events() -> None:
    sent_events.clear()


async def test_without_a_context_the_lifespan_starts_and_stops() -> None:
    assert await lifespan() == [STARTED, STOPPED]


async def test_a_context_is_left_when_the_server_stops_and_its_value_is_added_to_the_state() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def make() -> AsyncGenerator[Mapping[str, Any]]:
        seen.append("in")
        yield {"pool": 1}
        seen.append("out")

    state = {"other": 2}
    assert await lifespan(make, {"type": "lifespan", "state": state}) == [STARTED, STOPPED]
    assert seen == ["in", "out"]
    assert state == {"other": 2, "pool": 1}


@pytest.mark.parametrize("state", [None, {}])
async def test_a_context_without_a_state_needs_no_support_by_the_server(state: Any) -> None:
    @asynccontextmanager
    async def make() -> AsyncGenerator[Any]:
        yield state

    assert await lifespan(make) == [STARTED, STOPPED]


async def test_a_state_that_the_server_does_not_support_fails_the_startup() -> None:
    @asynccontextmanager
    async def make() -> AsyncGenerator[Mapping[str, Any]]:
        yield {"pool": 1}

    with pytest.raises(InvalidState, match="this server does not support lifespan state"):
        await lifespan(make)
    assert [event["type"] for event in sent_events] == ["lifespan.startup.failed"]
    assert sent_events[0]["message"].startswith("InvalidState: this server does not support")


async def test_an_exception_at_the_start_is_reported_and_raised() -> None:
    @asynccontextmanager
    async def make() -> AsyncGenerator[None]:
        if not sent_events:
            raise ValueError("no database")
        yield

    with pytest.raises(ValueError, match="no database"):
        await lifespan(make)
    assert sent_events == [{"type": "lifespan.startup.failed", "message": "ValueError: no database"}]


async def test_a_context_that_cannot_be_created_fails_the_startup() -> None:
    def make() -> Any:
        raise TypeError("not a context")

    with pytest.raises(TypeError):
        await lifespan(make)
    assert sent_events == [{"type": "lifespan.startup.failed", "message": "TypeError: not a context"}]


async def test_an_exception_at_the_end_is_reported_and_raised() -> None:
    @asynccontextmanager
    async def make() -> AsyncGenerator[None]:
        yield
        raise ValueError("no goodbye")

    with pytest.raises(ValueError, match="no goodbye"):
        await lifespan(make)
    assert sent_events == [STARTED, {"type": "lifespan.shutdown.failed", "message": "ValueError: no goodbye"}]


async def test_a_lifespan_that_is_cancelled_leaves_its_context() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def make() -> AsyncGenerator[None]:
        try:
            yield
        finally:
            seen.append("out")

    receive, send, sent = wire(STARTUP)
    async with anyio.create_task_group() as group:
        group.start_soon(answer_lifespan, {"type": "lifespan"}, receive, send, make)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert (sent, seen) == ([STARTED], ["out"])
