"""Two hundred typed clients at once, on servers in their own processes: each message is answered once and in order."""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import pytest

from tests.e2e.conftest import Place
from tests.e2e.counting import APP, Answer, Ask, Client, Closes, Counting, Finish, Question, counting
from tests.e2e.servers import Run, RunningServer
from tests.e2e.tallies import Tally
from typedws import Connection, Contract, WebSocketDisconnect
from typedws._contract.problem_documents import ProblemDocument
from typedws._protocol.outcomes import Closed
from typedws.client import ConnectionDenied, connect

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]

CROWD: Final = 200
MESSAGES: Final = 100
FINISHED: Final = Closed(Closes.FINISHED, Closes.FINISHED.description, "peer")

UVICORN: Final[Place] = ("uvicorn-sansio", "asyncio")
PLACES: Final[list[Place]] = [UVICORN, ("hypercorn-asyncio", "asyncio"), ("granian", "asyncio")]
on_each_server: Final = pytest.mark.parametrize("place", PLACES, indirect=True, ids=lambda place: place[0])


@on_each_server
async def test_two_hundred_clients_are_answered_once_and_in_order(host: RunningServer) -> None:
    await check_answers(host)


@pytest.mark.parametrize("place", [UVICORN], indirect=True, ids=lambda place: place[0])
async def test_two_hundred_clients_are_answered_once_and_in_order_in_msgpack(host: RunningServer) -> None:
    await check_answers(host, subprotocols=["counting.v1.msgpack"])


async def check_answers(host: RunningServer, **options: Any) -> None:
    """Connect all clients, then send from all, half of them without waiting for each answer."""
    logged = len(host.log)
    expected = Tally(sent=CROWD * MESSAGES)
    crowd = Crowd(CROWD)
    async with host.run(APP, limit=30) as run:
        async with anyio.create_task_group() as tasks:
            for number in range(CROWD):
                tasks.start_soon(crowd.member, run, number, options)
        assert crowd.answered == expected
        assert crowd.ends == {FINISHED: CROWD}
        received = await run.wait_for_reports("received", CROWD)
    assert sum((Tally.of(range(MESSAGES), each["numbers"]) for each in received), Tally()) == expected
    assert [line for line in host.log[logged:] if line.level != "DEBUG"] == []


class Crowd:
    """Clients that send once all of them are connected. Their answers are counted."""

    def __init__(self, size: int) -> None:
        self._missing = size
        self._all_are_connected = anyio.Event()
        self.answered = Tally()
        self.ends: Counter[Closed | None] = Counter()

    async def member(self, run: Run, number: int, options: dict[str, Any]) -> None:
        """Run one client."""
        params = Client(crowd="large", client=str(number))
        async with connect(run.url("/count/{crowd}"), counting, params=params, **options) as ws:
            assert ws.subprotocol == options.get("subprotocols", ["counting.v1.json"])[0]
            self._missing -= 1
            if not self._missing:
                self._all_are_connected.set()
            await self._all_are_connected.wait()
            received = await (receives_at_the_end if number % 2 else receives_each)(ws)
        assert {answer.client for answer in received} == {str(number)}
        self.answered += Tally.of(range(MESSAGES), [answer.number for answer in received])
        self.ends[ws.end] += 1


async def receives_each(ws: Counting) -> list[Answer]:
    """Wait for each answer, and finally for the close."""
    received: list[Answer] = []
    for number in range(MESSAGES):
        await ws.send_model(Ask(number=number))
        received.append(await ws.receive_model())
    await ws.send_model(Finish())
    with pytest.raises(WebSocketDisconnect) as caught:
        received.append(await ws.receive_model())
    assert (caught.value.code, caught.value.reason) == (FINISHED.code, FINISHED.reason)
    return received


async def receives_at_the_end(ws: Counting) -> list[Answer]:
    """Send everything, and receive the answers meanwhile and afterwards."""
    async with sending(ws):
        return [answer async for answer in ws]


@asynccontextmanager
async def sending(ws: Counting) -> AsyncGenerator[None]:
    async def send() -> None:
        for number in range(MESSAGES):
            await ws.send_model(Ask(number=number))
        await ws.send_model(Finish())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        yield


# --- denials ---


@on_each_server
async def test_a_denial_carries_its_problem_document(host: RunningServer) -> None:
    async with host.run(APP) as run:
        for client, status, title in (("nobody", 401, "Unauthorized"), ("mallory", 403, "Forbidden")):
            denied = await denied_of(run, params=Client(crowd="small", client=client))
            assert denied.problem == ProblemDocument(title=title, status=status, detail=f"not you, {client}")
            assert str(denied) == (f"the server denied the handshake with {status} ({title}): not you, {client}")
        await run.ended(2)
        assert run.ends == [None, None]


@on_each_server
async def test_an_unknown_path_and_wrong_parameters_are_denied(host: RunningServer) -> None:
    async with host.run(APP) as run:
        assert (await denied_of(run, "/elsewhere")).status == 404
        denied = await denied_of(run, "/count/small?greetings=often")
        assert denied.status == 422
        assert denied.problem is not None
        assert "greetings" in str(denied.problem.model_extra)


second = Contract("counting", Connection[Question, Answer, Client], version="2.0.0", modes=("text", "msgpack"))


@on_each_server
async def test_a_version_that_the_server_does_not_speak_is_denied_with_400(host: RunningServer) -> None:
    async with host.run(APP) as run:
        denied = await denied_of(run, contract=second, params=Client(crowd="small", client="ann"))
        assert str(denied) == (
            "the server denied the handshake with 400 (Bad Request): the client offers "
            "subprotocols, but not counting.v1.json or counting.v1.msgpack"
        )


async def denied_of(
    run: Run,
    path: str = "/count/{crowd}",
    *,
    contract: Contract[Question, Answer, Client] = counting,
    params: Client | None = None,
) -> ConnectionDenied:
    """Connect, and return the denial."""
    path, _, query = path.partition("?")
    url = run.url(path) + ("&" + query if query else "")
    with pytest.raises(ConnectionDenied) as caught:
        async with connect(url, contract, params=params):
            pass
    return caught.value
