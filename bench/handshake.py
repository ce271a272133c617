"""Measure what a connection with no message, or with one, costs: typedws against routes of Starlette and FastAPI.

The contestants run interleaved. A connection is: connect, accept, the handler returns, close, in process with stubbed
callables. The first table has no parameters. The second validates one path parameter and two query parameters: typedws
and Starlette's handler with the same model, FastAPI with the parameters of its function. The work is not the same: the
request has an ``Origin``, which only typedws checks, and only typedws sets up timeouts. An endpoint on its own does no
routing, unlike the apps. The last table has no parameters, and one message that is echoed: it shows what the first
message costs beyond those that follow it.

"Starlette, checked" is a handler that does by hand what an endpoint does before it runs the handler: it compares
``Origin`` and ``Host``, and bounds the time. Costs are CPU time, so that other work on the machine does not count.
"""

import asyncio
import time
from collections.abc import Iterator
from statistics import median
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import anyio
import fastapi
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute as ClassicRoute
from starlette.websockets import WebSocket as ClassicWebSocket

from bench.floor import ADAPTER, FRAME, SCOPE, Message, Say
from bench.report import Scale, Table, main, table
from typedws import App, Connection, Handshake, Outcome, Policy, WebSocket, endpoint


class Params(BaseModel):
    room: str
    since: int
    token: str = ""


HEADERS: Final = [
    (b"host", b"localhost"),
    (b"connection", b"Upgrade"),
    (b"upgrade", b"websocket"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"origin", b"http://localhost"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", b"c2l4dGVlbiBieXRlcy4uLg=="),
]
REQUEST: Final = {
    **SCOPE,
    "path": "/rooms/lobby",
    "raw_path": b"/rooms/lobby",
    "query_string": b"since=7&token=sesame",
    "headers": HEADERS,
    "extensions": {"websocket.http.response": {}},
}
ROUTED: Final = {**REQUEST, "path_params": {"room": "lobby"}}
"""The request as a framework's router passes it to an endpoint on its own."""


# --- typedws ---


async def bare(scope: Any, receive: Any, send: Any) -> None:
    ws = WebSocket[Say, Say](scope, receive, send)
    await ws.accept()
    await ws.close()


async def handler(ws: Connection[Say, Say]) -> None:
    pass


async def handler_of_params(ws: Connection[Say, Say, Params]) -> None:
    assert ws.params.since == 7


async def handler_that_decides(handshake: Handshake[Say, Say, Params]) -> Outcome:
    assert handshake.params.since == 7
    ws = await handshake.accept()
    return await ws.close()


app = App()
app.websocket("/rooms/{room}")(handler_of_params)
plain_app = App()
plain_app.websocket("/rooms/{room}")(handler)
NO_TIMEOUTS: Final = Policy(handshake_timeout=None, send_timeout=None)


# --- the others ---


async def starlette_handler(websocket: ClassicWebSocket) -> None:
    await websocket.accept()
    await websocket.close()


async def starlette_handler_of_params(websocket: ClassicWebSocket) -> None:
    try:
        params = Params.model_validate({**websocket.query_params, **websocket.path_params})
    except ValidationError:
        await websocket.close(1008)
        return
    assert params.since == 7
    await websocket.accept()
    await websocket.close()


def is_same_host(websocket: ClassicWebSocket) -> bool:
    origin = websocket.headers.get("origin")
    return origin is None or urlsplit(origin.lower()).netloc == websocket.headers.get("host", "").lower()


async def checked_starlette_handler(websocket: ClassicWebSocket) -> None:
    if not is_same_host(websocket):
        await websocket.close()
        return
    with anyio.move_on_after(10):
        await starlette_handler(websocket)


async def checked_starlette_handler_of_params(websocket: ClassicWebSocket) -> None:
    if not is_same_host(websocket):
        await websocket.close()
        return
    with anyio.move_on_after(10):
        await starlette_handler_of_params(websocket)


fast = fastapi.FastAPI()


@fast.websocket("/rooms/{room}")
async def fastapi_handler_of_params(
    websocket: fastapi.WebSocket, room: str, since: int, token: Annotated[str, fastapi.Query()] = ""
) -> None:
    assert since == 7
    await websocket.accept()
    await websocket.close()


plain_fast = fastapi.FastAPI()


@plain_fast.websocket("/rooms/{room}")
async def fastapi_handler(websocket: fastapi.WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


# --- the same with one message, echoed ---


async def bare_echo(scope: Any, receive: Any, send: Any) -> None:
    ws = WebSocket[Message, Message](scope, receive, send)
    await ws.accept()
    await echo(ws)
    await ws.close()


async def echo(ws: Connection[Message, Message]) -> None:
    async for message in ws:
        await ws.send_model(message)
        break


async def classic_echo(websocket: ClassicWebSocket) -> None:
    await websocket.accept()
    message = ADAPTER.validate_json(await websocket.receive_text())
    await websocket.send_text(message.model_dump_json())
    await websocket.close()


echo_app = App()
echo_app.websocket("/rooms/{room}")(echo)
echo_fast = fastapi.FastAPI()
echo_fast.websocket("/rooms/{room}")(classic_echo)


SMALL: Final[dict[str, tuple[Any, Any]]] = {
    "typedws, endpoint": (endpoint(handler), REQUEST),
    "typedws, bare class": (bare, REQUEST),
    "typedws, no timeouts": (endpoint(handler, policy=NO_TIMEOUTS), REQUEST),
    "typedws, App": (plain_app, REQUEST),
    "Starlette, app": (Starlette(routes=[ClassicRoute("/rooms/{room}", starlette_handler)]), REQUEST),
    "Starlette, checked": (Starlette(routes=[ClassicRoute("/rooms/{room}", checked_starlette_handler)]), REQUEST),
    "FastAPI, app": (plain_fast, REQUEST),
}
WITH_PARAMS: Final[dict[str, tuple[Any, Any]]] = {
    "typedws, endpoint": (endpoint(handler_of_params), ROUTED),
    "typedws, Handshake": (endpoint(handler_that_decides), ROUTED),
    "typedws, App": (app, REQUEST),
    "Starlette, app": (Starlette(routes=[ClassicRoute("/rooms/{room}", starlette_handler_of_params)]), REQUEST),
    "Starlette, checked": (
        Starlette(routes=[ClassicRoute("/rooms/{room}", checked_starlette_handler_of_params)]),
        REQUEST,
    ),
    "FastAPI, app": (fast, REQUEST),
}


WITH_ECHO: Final[dict[str, tuple[Any, Any]]] = {
    "typedws, endpoint": (endpoint(echo), REQUEST),
    "typedws, bare class": (bare_echo, REQUEST),
    "typedws, App": (echo_app, REQUEST),
    "Starlette, app": (Starlette(routes=[ClassicRoute("/rooms/{room}", classic_echo)]), REQUEST),
    "FastAPI, app": (echo_fast, REQUEST),
}


async def connection(candidate: Any, scope: Any, messages: int) -> None:
    """Run one connection. Check that it was accepted, echoed this many messages, and was closed normally."""
    sent: list[Any] = []
    echoed = [{"type": "websocket.receive", "text": FRAME}] * messages
    events = iter([{"type": "websocket.connect"}, *echoed, {"type": "websocket.disconnect", "code": 1000}])

    async def receive() -> Any:
        return next(events)

    async def send(event: Any) -> None:
        sent.append(event)

    await candidate(dict(scope), receive, send)
    kinds = ["websocket.accept", *["websocket.send"] * messages, "websocket.close"]
    assert [event["type"] for event in sent] == kinds, sent
    assert sent[-1]["code"] == 1000


async def cost(candidate: Any, scope: Any, count: int, messages: int) -> float:
    """Return the CPU microseconds per connection."""
    started = time.process_time()
    for _ in range(count):
        await connection(candidate, scope, messages)
    return (time.process_time() - started) / count * 1e6


async def compare(
    title: str, contestants: dict[str, tuple[Any, Any]], rounds: int, count: int, messages: int = 0
) -> Table:
    costs: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            costs[name].append(await cost(*contestant, count, messages))
    more = {name: {**of_others(costs, name), "a second": 1e6 / median(values)} for name, values in costs.items()}
    return table(title, "us", costs, "FastAPI, app", more=more)


def of_others(costs: dict[str, list[float]], name: str) -> dict[str, float]:
    """Return the cost of one contestant as a multiple of the cost of each Starlette route."""
    return {
        f"of {other}": median(a / b for a, b in zip(costs[name], costs[other], strict=True))
        for other in ("Starlette, app", "Starlette, checked")
        if other in costs
    }


def measure(scale: Scale) -> Iterator[Table]:
    for title, contestants in (("without parameters", SMALL), ("with parameters", WITH_PARAMS)):
        yield asyncio.run(compare(f"a handshake and a close, {title}", contestants, scale.rounds(15), scale.count(500)))
    title = "a handshake, one message echoed, and a close"
    yield asyncio.run(compare(title, WITH_ECHO, scale.rounds(15), scale.count(500), messages=1))


if __name__ == "__main__":
    main("bench.handshake", measure)
