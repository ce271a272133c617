"""How a handler ends, in process: the table of `tests.e2e.test_endings` on a strict simulated server."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import anyio
import pytest

from tests.e2e.test_endings import (
    CANCELLED,
    RECEIVERS,
    ROWS,
    SECRET,
    ClientMessages,
    Leave,
    Outer,
    Tick,
    echo,
    ended,
    in_starlette,
    is_busy,
    iterates,
    logged,
)
from tests.unit.testing.rows import assert_ends_as_expected
from typedws import Connection, Handshake, HTTPException, Outcome, Policy, endpoint
from typedws.testing import ServerBehaviour, TestConnection, advance_clock, connect, settle

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("case", ROWS)
async def test_each_end_is_seen_and_logged_as_the_table_says(case: str) -> None:
    row = ROWS[case]
    raised = await assert_ends_as_expected(row)
    if row.mount is in_starlette:
        assert Outer.seen == ([] if raised is None else [raised])


async def test_a_connection_above_the_limit_is_denied_with_retry_after() -> None:
    end = endpoint(echo, policy=Policy(max_connections=1))
    async with connect(end) as ws:
        denied = await connect(end).expect_denied(503)
        assert denied.headers["Retry-After"] == "5"
        assert denied.problem is not None
        assert denied.problem.detail == "too many connections"
        await ws.expect_nothing()
    async with connect(end) as ws:  # the place of the first is free again
        await ws.send_model(Leave())
        await ws.expect_close()


# --- pytest.fail() in a handler ---


async def fails_after_the_accept(ws: Connection[ClientMessages, Tick]) -> None:
    pytest.fail("in the handler")


async def fails_in_a_group(ws: Connection[ClientMessages, Tick]) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fails_after_the_accept, ws)


async def fails_before_the_accept(handshake: Handshake[ClientMessages, Tick]) -> Outcome:
    pytest.fail("in the handler")


async def fails_after_the_denial(handshake: Handshake[ClientMessages, Tick]) -> Outcome:
    await handshake.deny(403)
    pytest.fail("in the handler")


FAILING: Final[Mapping[str, tuple[Any, bool]]] = {
    "after the accept": (fails_after_the_accept, False),
    "in a task group": (fails_in_a_group, False),
    "before the accept": (fails_before_the_accept, False),
    "before the accept, where a denial is expected": (fails_before_the_accept, True),
    "after the denial": (fails_after_the_denial, True),
}


@pytest.mark.parametrize("where", FAILING)
async def test_a_pytest_failure_in_a_handler_fails_the_test(where: str) -> None:
    handler, is_denied = FAILING[where]
    with pytest.raises((pytest.fail.Exception, BaseExceptionGroup)):
        if is_denied:
            await connect(endpoint(handler)).expect_denied()
        else:
            async with connect(endpoint(handler)) as ws:
                await ws.expect(Tick)


# --- the client leaves ---

Departure = Callable[[TestConnection[Any, Any]], Awaitable[object]]


async def lose(ws: TestConnection[Any, Any]) -> None:
    ws.lose()


async def shut_down_server(ws: TestConnection[Any, Any]) -> None:
    ws.shut_down_server()


DEPARTURES: Final[Mapping[str, Departure]] = {
    "it closes": lambda ws: ws.close(),
    "it closes with a reason": lambda ws: ws.close(4001, SECRET),
    "it is lost": lose,
    "it breaks the protocol": lambda ws: ws.send_malformed("protocol_error"),
    "its server shuts down": shut_down_server,
}


@pytest.mark.parametrize("departure", DEPARTURES)
@pytest.mark.parametrize("handler", RECEIVERS)
async def test_a_client_that_leaves_ends_the_handler_at_once_without_a_warning(handler: str, departure: str) -> None:
    make, ends = RECEIVERS[handler]
    ended.clear()
    with logged() as log:
        async with connect(make()) as ws:
            await ws.receive_text()
            await DEPARTURES[departure](ws)
            await settle()
            assert len(ended) == 1
    assert set(ended) <= ends
    assert [line for line in log.ours if line[0] != "DEBUG"] == []
    assert SECRET not in str(log.ours)
    assert log.servers == []


@pytest.mark.parametrize("handler", [iterates, is_busy])
async def test_a_handler_that_is_cancelled_at_a_shutdown_closes_with_1012(handler: Any) -> None:
    ended.clear()
    with logged() as log:
        async with connect(endpoint(handler), server=ServerBehaviour(cancelled_at_shutdown=True)) as ws:
            await ws.receive_text()
            ws.shut_down_server()
            await ws.expect_close(1012, "the server restarts")
    assert len(ended) == 1
    assert set(ended) <= CANCELLED
    assert [line for line in log.ours if line[0] != "DEBUG"] == []


@pytest.mark.parametrize("decision", ["accepts", "denies", "raises"])
async def test_a_client_that_gives_up_before_the_decision_causes_no_warning(decision: str) -> None:
    decided: list[str] = []

    @endpoint
    async def handler(handshake: Handshake[ClientMessages, Tick]) -> Outcome:
        await anyio.sleep(1)
        decided.append(decision)
        if decision == "raises":
            raise HTTPException(401)
        if decision == "denies":
            return await handshake.deny(401)
        return await (await handshake.accept()).close()

    async def connect_and_give_up() -> None:
        with client_scope:
            await connect(handler).expect_denied()

    client_scope = anyio.CancelScope()
    with logged() as log:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connect_and_give_up)
            await settle()
            client_scope.cancel()
            await advance_clock(1)
    assert decided == [decision]
    assert log.tracebacks == []
    assert [line for line in log.ours if line[0] == "WARNING"] == []
