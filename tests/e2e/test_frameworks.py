"""The stories of `tests.unit.integrations` on a real server, and there, in every framework, clients that vanish."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

import anyio
import anyio.lowlevel
import httpx
import pytest

from tests.e2e.raw_client import RawClient, raw_client
from tests.e2e.serving import LIMIT, Server
from tests.unit.integrations.frameworks import FRAMEWORKS
from tests.unit.integrations.handlers import Answer, Room, Said, Say
from tests.unit.integrations.playing import CASES, Case, play
from tests.unit.integrations.sites import Site
from tests.unit.integrations.stories import Story, left
from typedws import Connection, Handshake, Outcome, WebSocketDisconnect
from typedws import client as typed_client
from typedws.client import ConnectionDenied

pytestmark = pytest.mark.anyio


class OverSocket:
    """A place at which clients connect over TCP."""

    raises_failures = False

    def __init__(self, server: Server, site: Site) -> None:
        self._address = f"127.0.0.1:{server.port}"
        server.app = site

    def connect(self, path: str, **options: Any) -> Any:
        return typed_client.connect(f"ws://{self._address}{path}", **options)

    async def denied(self, path: str, **options: Any) -> ConnectionDenied:
        with pytest.raises(ConnectionDenied) as denied:
            async with self.connect(path, **options):
                pass
        return denied.value

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://{self._address}", trust_env=False)


REAL: Final = [case for case in CASES if not case.story.is_in_process and not case.mount.is_variant]


@pytest.mark.parametrize("case", REAL, ids=str)
async def test_the_outcome_is_that_of_the_table(case: Case, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    assert await play(case, partial(OverSocket, server), caplog) == case.story.outcome


# --- clients that vanish ---

Busy: TypeAlias = Callable[[Connection[Say, Answer, Room]], Awaitable[object]]


async def receive(ws: Connection[Say, Answer, Room]) -> None:
    await ws.receive_model()


async def send(ws: Connection[Say, Answer, Room]) -> None:
    while True:
        await ws.send_model(Said(text="tick" * 1000))


async def send_with_checkpoints(ws: Connection[Say, Answer, Room]) -> None:
    while True:
        await ws.send_text("tick")
        await anyio.lowlevel.checkpoint()


async def send_watching(ws: Connection[Say, Answer, Room]) -> None:
    async with ws.cancelled_on_disconnect():
        await send_with_checkpoints(ws)


def until_the_client_vanishes(busy: Busy) -> Story:
    async def handler(handshake: Handshake[Say, Answer, Room]) -> Outcome:
        ws = await handshake.accept()
        await ws.send_text("go")
        try:
            with pytest.raises(WebSocketDisconnect) as caught:
                await busy(ws)
            Site.of(ws).notes.append(caught.value.code)
        finally:
            outcome = await ws.close()
        return outcome

    return Story(handler, left())


VANISHING: Final = [
    Case(f"{framework_name}, {mount_name}: {busy.__name__}", framework, mount, until_the_client_vanishes(busy))
    for framework_name, framework in FRAMEWORKS.items()
    for mount_name, mount in framework.mounts.items()
    if not mount.is_variant
    for busy in (receive, send, send_with_checkpoints, send_watching)
]


@pytest.mark.parametrize("case", VANISHING, ids=str)
@pytest.mark.parametrize("vanish", [RawClient.reset, RawClient.finish], ids=["reset", "FIN"])
async def test_a_handler_learns_that_its_client_vanished(
    server: Server, case: Case, vanish: Callable[[RawClient], None]
) -> None:
    server.app = site = case.site()
    with anyio.fail_after(LIMIT):
        async with site.started(), raw_client(server.port, case.mount.path) as client:
            assert await client.next_frame()
            vanish(client)
            await client.end()
    assert site.notes in ([1005], [1006])
    assert (site.raised, site.reported) == ([], [])
