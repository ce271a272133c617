"""Calls from code that does not await: their results and exceptions, and that an interrupted one is cancelled."""

from collections.abc import Callable, Generator
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from typedws.client.sync import PortalCaller


class Interrupted:
    """A portal whose own code is interrupted by Ctrl-C: before a call is scheduled, or after."""

    def __init__(self, portal: BlockingPortal, where: str) -> None:
        self._portal = portal
        self._where = where
        self.call = portal.call

    def start_task_soon(self, function: Callable[..., Any]) -> Any:
        if self._where == "after":
            self._portal.start_task_soon(function)
        raise KeyboardInterrupt


class Waiting:
    """A call that waits until it is cancelled, and records its steps."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    async def wait(self) -> None:
        self.steps.append("begun")
        try:
            await anyio.sleep_forever()
        finally:
            self.steps.append("ended")


@pytest.fixture
def portal() -> Generator[BlockingPortal]:
    with start_blocking_portal("asyncio") as portal:
        yield portal


@pytest.mark.parametrize(("where", "steps"), [("before", []), ("after", ["begun", "ended"])])
def test_an_interrupted_call_is_cancelled(where: str, steps: list[str], portal: BlockingPortal) -> None:
    waiting = Waiting()
    with pytest.raises(KeyboardInterrupt):
        PortalCaller(cast(BlockingPortal, Interrupted(portal, where))).call(waiting.wait)
    assert waiting.steps == steps


def test_a_call_returns_and_raises_what_its_function_does(portal: BlockingPortal) -> None:
    async def double(number: int) -> int:
        await anyio.lowlevel.checkpoint()
        return 2 * number

    async def fail() -> None:
        raise ZeroDivisionError

    caller = PortalCaller(portal)
    assert caller.call(double, 21) == 42
    assert caller.call(abs, -7) == 7
    with pytest.raises(ZeroDivisionError):
        caller.call(fail)
    assert caller.call(double, 1) == 2
