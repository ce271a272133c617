"""Plays the stories in every framework, with a client in process or at another place."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import anyio
import httpx
import pytest

from tests.unit.integrations.frameworks import FRAMEWORKS
from tests.unit.integrations.sites import Framework, Mount, Site
from tests.unit.integrations.stories import STORIES, Outcome, Story
from typedws import HTTPException, WebSocketDisconnect, endpoint, testing
from typedws.client import ClientConnection, ConnectionDenied

LIMIT: Final = 10.0
"""Seconds that a story may take. Only one that fails takes that long."""


class InProcess:
    """A place where a client reaches a site: the fake server of `typedws.testing`, as strict as the ASGI specification.

    `tests.e2e.test_frameworks` has another one.
    """

    raises_failures: bool = True
    """Whether exceptions of the application are raised to the client."""

    def __init__(self, site: Site) -> None:
        self._site: Any = site

    def connect(self, path: str, **options: Any) -> Any:
        return testing.connect(self._site, path, **options)

    async def denied(self, path: str, **options: Any) -> ConnectionDenied:
        denied: ConnectionDenied = await self.connect(path, **options).expect_denied()
        return denied

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self._site), base_url="http://testserver")


@dataclass(frozen=True)
class Case:
    """One story in one framework."""

    name: str
    framework: Framework
    mount: Mount
    story: Story

    def __str__(self) -> str:
        return self.name

    def site(self) -> Site:
        """Build the application."""
        story, framework = self.story, self.framework
        handled = framework.http_exception if story.handled is HTTPException else story.handled
        handler: Any = story.handler
        site = Site(framework, endpoint(handler, story.contract, policy=story.policy), handled, story.root_path)
        site.app = self.mount.build(site)
        return site


CASES: Final = [
    Case(f"{framework_name}, {mount_name}: {name}", framework, mount, story.as_in(framework_name, mount_name))
    for framework_name, framework in FRAMEWORKS.items()
    for mount_name, mount in framework.mounts.items()
    for name, story in STORIES.items()
    if story.is_native or not mount.is_native
]


async def play(case: Case, place_of: Callable[[Site], Any], caplog: pytest.LogCaptureFixture) -> Outcome:
    """Play a story, check what holds for every story, and return the outcome."""
    site = case.site()
    with anyio.fail_after(LIMIT):
        async with site.started():
            outcome = await _visited(case, place_of(site), site)
    logged = [record.exc_info[1] for record in caplog.records if record.exc_info and record.exc_info[1]]
    reported = [type(error) for error in (*site.reported, *logged)]
    # Each server, and Quart from 0.23 on, has its own class for a client that is gone.
    raised = [OSError if _is_client_gone(error) else type(error) for error in _leaves(site.raised)]
    if case.framework.raises_failures:
        reported += [kind for kind in raised if issubclass(kind, Exception)]
        raised = [kind for kind in raised if not issubclass(kind, Exception)]
    assert all(len(ends) <= 1 for ends in site.ends), site.ends
    assert site.phases == (["startup", "shutdown"] if case.mount.has_lifespan else []), site.phases
    return replace(outcome, notes=site.notes, reported=reported, raised=raised)


def _is_client_gone(error: BaseException) -> bool:
    return isinstance(error, OSError) or type(error).__name__ == "ClientDisconnectedError"


def _leaves(errors: Iterable[BaseException]) -> Iterator[BaseException]:
    """Take exceptions out of their groups: a framework that runs a handler in a task group raises groups."""
    for error in errors:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(cast("BaseExceptionGroup[BaseException]", error).exceptions)
        else:
            yield error


def _raises(kinds: Sequence[type[BaseException]]) -> AbstractContextManager[object]:
    """Expect an exception of one of some classes, which may be in a group."""
    return pytest.RaisesGroup(pytest.RaisesExc(tuple(kinds)), allow_unwrapped=True, flatten_subgroups=True)


async def _visited(case: Case, place: Any, site: Site) -> Outcome:
    story = case.story
    path = case.mount.path if story.path is None else case.mount.root + story.path
    if story.is_http:
        async with place.http() as client:
            return Outcome(status=(await client.get(path)).status_code)
    visit = _denied if story.outcome.status != 101 else _connected
    if not story.is_second:
        return await visit(story, place, path + story.query, site)
    async with place.connect(path):
        outcome = await visit(story, place, path, site)
    await site.idle()
    async with place.connect(path):
        return outcome


def _options(story: Story) -> dict[str, Any]:
    options = {"headers": story.headers, "subprotocols": story.subprotocols}
    return {**options, "server": story.server} if story.is_in_process else options


async def _denied(story: Story, place: Any, path: str, site: Site) -> Outcome:
    expected = story.outcome
    denying = place.denied(path, **_options(story))
    if expected.raised and place.raises_failures:
        with _raises(expected.raised):
            await denying
        return Outcome(status=500)  # as real servers answer
    denied: ConnectionDenied = await denying
    assert b"secret" not in denied.body
    if place.raises_failures and denied.status == 500:
        assert [type(denied.__cause__)] == expected.reported
    problem: dict[str, object] = {} if denied.problem is None else denied.problem.model_dump()
    return Outcome(
        status=denied.status,
        headers={name: denied.headers.get(name) for name in expected.headers},
        problem={name: problem.get(name) for name in expected.problem},
        body=None if expected.body is None else denied.body,
    )


async def _connected(story: Story, place: Any, path: str, site: Site) -> Outcome:
    expected, outcome = story.outcome, Outcome()
    failures = (*expected.reported, *expected.unreported, *expected.raised)
    with _raises(failures) if failures and place.raises_failures else nullcontext():
        async with place.connect(path, **_options(story)) as client:
            if story.fault is not None:
                story.fault(client)
            for message in story.sends:
                await (client.send_text if isinstance(message, str) else client.send_bytes)(message)
            received: list[object] = []
            closed: tuple[int, str] | None = None
            try:
                while story.leaves is None or len(received) < len(expected.receives):
                    received.append(await _next(client, expected.receives[len(received) :]))
            except WebSocketDisconnect as end:
                closed = (end.code, end.reason)
            outcome = Outcome(
                headers={name: client.response_headers.get(name) for name in expected.headers},
                subprotocol=client.subprotocol,
                receives=received,
                closed=closed,
                unreported=expected.unreported,
            )
            if story.leaves is not None:
                await client.close(*story.leaves)
                site.client_left.set()
    return outcome


async def _next(client: ClientConnection[Any, Any], expected: Sequence[object]) -> object:
    """Receive a message: bytes if they come next, else JSON."""
    if expected and isinstance(expected[0], bytes):
        return await client.receive_bytes()
    return json.loads(await client.receive_text())
