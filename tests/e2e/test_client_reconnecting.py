"""What a typed client does after each end of a connection, and after each denial, with a real server."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

import pytest

from tests.e2e.conftest import Place
from tests.e2e.ruling import APP, SECRET, Params, Step, ruling
from tests.e2e.servers import Run, RunningServer
from typedws import WebSocketDisconnect
from typedws._protocol.outcomes import Closed
from typedws.client import Backoff, Change, ConnectionDenied, reconnecting
from typedws.close_codes import Reconnect
from typedws.exceptions import ConnectionFailed

UVICORN: Final[list[Place]] = [("uvicorn-sansio", "asyncio")]

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"]),
    pytest.mark.parametrize("place", UVICORN, indirect=True, ids=lambda place: place[0]),
]

BACKOFF: Final = Backoff(initial=0.02, maximum=0.02)

numbers: Final = count()


@dataclass(frozen=True)
class Rule:
    """How the server ends one connection after another, and how the client's state changes."""

    steps: Sequence[str]
    changes: Sequence[str]
    raises: str = ""
    retry: Mapping[int, Reconnect] | None = None


def final(step: str, code: str, raises: str) -> Rule:
    return Rule([step], ["connecting", "open", f"ended after {code}"], raises)


def refused(status: str) -> Rule:
    return Rule([status], ["connecting", f"ended after {status}"], status)


def retried(step: str, code: str, retry: Mapping[int, Reconnect] | None = None) -> Rule:
    """The client reconnects after a delay."""
    return Rule(
        [step, "serve"],
        ["connecting", "open", f"waiting after {code}", f"connecting after {code}", "open", "ended"],
        retry=retry,
    )


RULES: Final[Mapping[str, Rule]] = {
    "never": final("NEVER", "4001", "4001"),
    "resume": Rule(
        ["RESUME", "RESUME", "serve"],
        [
            "connecting",
            "open",
            "waiting not at all after 4002",
            "connecting after 4002",
            "open",
            "waiting after 4002",
            "connecting after 4002",
            "open",
            "ended",
        ],
    ),
    "backoff": retried("BACKOFF", "4003"),
    "1000": final("1000", "1000", ""),
    "1001": retried("1001", "1001"),
    "1008": final("1008", "1008", "1008"),
    "1011": final("1011", "1011", "1011"),
    "1011 on request": retried("1011", "1011", retry={1011: "backoff"}),
    "1012": retried("1012", "1012"),
    "401": refused("401"),
    "403": refused("403"),
    "404": refused("404"),
    "422": refused("422"),
    "429": Rule(["429", "serve"], ["connecting", "waiting after 429", "connecting after 429", "open", "ended"]),
    "403 on request": Rule(
        ["403", "serve"],
        ["connecting", "waiting after 403", "connecting after 403", "open", "ended"],
        retry={403: "backoff"},
    ),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
async def test_a_client_reconnects_by_the_rules(host: RunningServer, rule: Rule) -> None:
    async with host.run(APP) as run:
        changes, raised = await reconnected(run, rule)
        visited = await run.wait_for_reports("visited", len(rule.steps))
    assert [described(change) for change in changes] == rule.changes
    assert raised == rule.raises
    assert [each["step"] for each in visited] == rule.steps


async def test_a_client_waits_as_long_as_a_denial_asks(host: RunningServer) -> None:
    rule = Rule(["503", "serve"], ["connecting", "waiting after 503", "connecting after 503", "open", "ended"])
    async with host.run(APP) as run:
        changes, _ = await reconnected(run, rule)
        first, second = await run.wait_for_reports("visited", 2)
    assert [described(change) for change in changes] == rule.changes
    delay = changes[1].delay
    assert delay is not None
    assert 1 <= delay <= 1 + BACKOFF.maximum
    assert second["at"] - first["at"] >= 1


async def test_no_secret_is_logged(host: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "typedws.client")
    async with host.run(APP) as run:
        for rule in (Rule(["RESUME", "BACKOFF", "1001", "429", "serve"], []), RULES["never"], RULES["403"]):
            await reconnected(run, rule)
    messages = [record.getMessage() for record in caplog.records if record.name == "typedws.client"]
    assert all(each.startswith(f"the client of 127.0.0.1:{host.port} is ") for each in messages)
    assert {each.split(" is ")[1].split()[0] for each in messages} == {"connecting", "open", "waiting", "ended"}
    for record in caplog.records:
        if record.name == "typedws.client" or record.levelno >= logging.INFO:
            assert SECRET not in logging.Formatter().format(record)


async def reconnected(run: Run, rule: Rule) -> tuple[list[Change], str]:
    """Connect, and reconnect until it is over. Return all changes of state, and what is raised in the end."""
    changes: list[Change] = []

    def on_change(change: Change) -> None:
        assert connections.change is change
        changes.append(change)

    connections = reconnecting(
        f"{run.url('/rule/{name}')}&token={SECRET}-query",
        ruling,
        params=Params(name=f"{SECRET}-{os.getpid()}-{next(numbers)}", steps=list(rule.steps)),
        backoff=BACKOFF,
        retry=rule.retry or {},
        on_change=on_change,
    )
    try:
        async for ws in connections:
            async for message in ws:
                if message.step == "serve":
                    await ws.send_model(Step(step="last"))
                elif message.step == "last":
                    await ws.close()
    except WebSocketDisconnect as error:
        return changes, str(int(error.code))
    except ConnectionDenied as error:
        return changes, str(error.status)
    return changes, ""


def described(change: Change) -> str:
    """Describe a change in a few words."""
    words: list[str] = [change.state]
    if change.delay == 0:
        words.append("not at all")
    if change.cause is not None:
        words.append(f"after {short_cause(change.cause)}")
    assert (change.delay is not None) == (change.state == "waiting")
    return " ".join(words)


def short_cause(cause: Closed | ConnectionFailed) -> str:
    if isinstance(cause, Closed):
        return str(int(cause.code))
    return str(cause.status) if isinstance(cause, ConnectionDenied) else type(cause).__name__
