"""What goes wrong with WebSockets in Python today, and ends well here, as a client sees it in process.

They are numbered as they were collected. What is missing ends a handler as `test_endings` says (1, 2, 5, 10), or is the
matter of servers and brokers (25, 26).
"""

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Literal, Never, cast

import anyio
import ormsgpack
import pytest
from pydantic import BaseModel, Field

from tests.e2e.test_endings import BASIC, RETURNED, Bare, Closure, Denial, Row, failure, logged
from tests.unit.testing.rows import assert_ends_as_told
from typedws import (
    App,
    Connection,
    Contract,
    Endpoint,
    ErrorReply,
    Group,
    Handshake,
    Outcome,
    Policy,
    UnsendableMessage,
    WebSocket,
    WebSocketDisconnect,
    WebSocketRoute,
    endpoint,
)
from typedws._groups.group import Overflow
from typedws.testing import (
    ExpectationFailed,
    ServerBehaviour,
    TestConnection,
    WaitTimeout,
    advance_clock,
    connect,
    settle,
)

pytestmark = pytest.mark.anyio

SECRET_TOKEN: Final = "s3cret"
AnySocket = WebSocket[Any, Any, Any]
AnyEndpoint = Endpoint[Any, Any, Any]


class Order(BaseModel):
    type: Literal["order"] = "order"
    id: int


class Receipt(BaseModel):
    type: Literal["receipt"] = "receipt"
    id: int


Answer = Annotated[Receipt | ErrorReply, Field(discriminator="type")]


async def take(ws: Connection[Order, Answer]) -> None:
    async for order in ws:
        await ws.send_model(Receipt(id=order.id))


def taking(mode: str = "text", policy: Policy | None = None) -> Endpoint[Order, Answer, object]:
    """Make an endpoint that speaks one mode."""
    return endpoint(take, Contract("orders", Connection[Order, Answer], modes=[mode]), policy=policy)


def classic(handler: Callable[[AnySocket], Awaitable[None]]) -> AnyEndpoint:
    """Make an endpoint of a handler in the manner of the classic API, which does everything itself."""
    return WebSocketRoute("/", handler).endpoint


# --- what comes in ---

FRAMES: Final[Mapping[str, tuple[str, str | bytes, int, str]]] = {
    "3: binary where text is spoken": ("text", b'{"type":"order","id":1}', 1003, "wrong_frame"),
    "4: text where binary is spoken": ("binary", '{"type":"order","id":1}', 1003, "wrong_frame"),
    "4: no UTF-8": ("binary", b'{"type":"order","id":"\xff"}', 1007, "malformed"),
    "1: malformed JSON in binary": ("binary", b"{bad", 1007, "malformed"),
    "2: 100,000 brackets in binary": ("binary", b"[" * 100_000, 1007, "malformed"),
    "1: malformed MessagePack": ("msgpack", b"\xc1", 1007, "malformed"),
    "2: 100,000 arrays in MessagePack": ("msgpack", b"\x91" * 100_000, 1007, "malformed"),
    "4: text where MessagePack is spoken": ("msgpack", '{"type":"order","id":1}', 1003, "wrong_frame"),
    "5: another order in MessagePack": ("msgpack", ormsgpack.packb({"type": "order", "id": "one"}), 1007, "invalid"),
    "1: malformed CBOR": ("cbor", b"\xff", 1007, "malformed"),
    "2: 100,000 arrays in CBOR": ("cbor", b"\x81" * 100_000, 1007, "malformed"),
    "1: nothing at all": ("text", "", 1007, "malformed"),
    "1: nothing at all in binary": ("cbor", b"", 1007, "malformed"),
    "21: NaN": ("text", '{"type":"order","id":NaN}', 1007, "malformed"),
}


async def send_frame(ws: TestConnection[Any, Any], frame: str | bytes) -> None:
    await (ws.send_text(frame) if isinstance(frame, str) else ws.send_bytes(frame))


@pytest.mark.parametrize("case", FRAMES)
async def test_what_cannot_be_read_is_closed_with_the_code_that_says_why(case: str) -> None:
    mode, frame, code, _ = FRAMES[case]
    async with connect(taking(mode)) as ws:
        await send_frame(ws, frame)
        assert (await ws.expect_close(code)).reason.startswith("expected Order")


@pytest.mark.parametrize("case", FRAMES)
async def test_what_cannot_be_read_may_be_answered_and_the_connection_goes_on(case: str) -> None:
    mode, frame, _, problem = FRAMES[case]
    async with connect(taking(mode, Policy(on_invalid="reply"))) as ws:
        for id_ in (1, 2):
            await send_frame(ws, frame)
            await ws.expect(ErrorReply, problem=problem)
            await ws.send_model(Order(id=id_))
            await ws.expect(Receipt, id=id_)


@pytest.mark.parametrize("both", [False, True])
async def test_3_a_server_that_sends_both_keys_changes_nothing(*, both: bool) -> None:
    async with connect(taking(), server=ServerBehaviour(both_data_keys=both)) as ws:
        await ws.send_model(Order(id=1))
        await ws.expect(Receipt, id=1)
        await ws.send_bytes(b"1")
        await ws.expect_close(1003)


async def test_4_text_that_is_no_utf_8_is_refused_by_the_server_and_ends_the_handler_as_a_disconnect() -> None:
    async with connect(taking()) as ws:
        await ws.send_malformed("invalid_utf8")
        await ws.expect_close(1007)


PLAIN: Final[Mapping[str, Callable[[Connection[Any, Any]], Awaitable[object]]]] = {
    "receive_json": lambda ws: ws.receive_json(),
    "iter_json": lambda ws: anext(ws.iter_json()),
}


@pytest.mark.parametrize("method", PLAIN)
async def test_1_malformed_json_as_plain_values_closes_as_a_model_would(method: str) -> None:
    async def handler(ws: Connection[Any, Any]) -> None:
        await PLAIN[method](ws)

    async with connect(endpoint(handler)) as ws:
        await ws.send_text("{bad")
        await ws.expect_close(1007)


# --- how it goes on, and ends ---


async def sends_after_its_close(ws: Connection[Order, Receipt]) -> None:
    await ws.close(4001, "bye")
    with pytest.raises(WebSocketDisconnect, match="this application closed the connection: 4001"):
        await ws.send_model(Receipt(id=1))


async def receives_after_its_close(ws: Connection[Order, Receipt]) -> None:
    await ws.close(4001, "bye")
    with pytest.raises(WebSocketDisconnect, match="this application closed the connection: 4001"):
        await ws.receive_model()


async def fails_and_closes(ws: Connection[Order, Receipt]) -> None:
    try:
        raise LookupError
    finally:
        await ws.close(4001, "bye")


async def closes_before_the_accept(ws: AnySocket) -> None:
    await ws.close(4401, "who are you?")


async def denies_after_the_accept(ws: AnySocket) -> None:
    await ws.accept()
    await ws.deny(401, detail="too late")


async def accepts_what_was_not_offered(handshake: Handshake[Order, Receipt]) -> Outcome:
    ws = await handshake.accept("not-offered")
    return await ws.close()


def closing_with(code: int, reason: str = "") -> AnyEndpoint:
    async def handler(ws: Connection[Order, Receipt]) -> None:
        await ws.close(code, reason)

    return endpoint(handler)


def saying(value: object) -> AnyEndpoint:
    async def handler(ws: Connection[Order, Any]) -> None:
        await ws.send_json(value)

    return endpoint(handler)


BY_ITSELF: Final = (("DEBUG", "ended with 4001: the handler returned"),)
EDGES: Final[Mapping[str, Row]] = {
    "6: it sends after its own close": Row(
        end=lambda: endpoint(sends_after_its_close), sees=Closure(4001, "bye"), logs=BY_ITSELF
    ),
    "7: it receives after its own close": Row(
        end=lambda: endpoint(receives_after_its_close), sees=Closure(4001, "bye"), logs=BY_ITSELF
    ),
    "8: it fails and closes in finally": Row(
        end=lambda: endpoint(fails_and_closes),
        sees=Closure(4001, "bye"),
        logs=failure("ended with 4001", "LookupError"),
        tracebacks=("LookupError",),
    ),
    "14: it closes before the accept": Row(
        end=lambda: classic(closes_before_the_accept),
        sees=Bare(403, b""),
        logs=(("DEBUG", "ended with 1006: the handler returned"),),
    ),
    "15: it denies after the accept": Row(
        end=lambda: classic(denies_after_the_accept),
        sees=Closure(1011),
        logs=failure("closed with 1011", "InvalidState"),
        tracebacks=("InvalidState",),
    ),
    "16: it accepts a subprotocol that was not offered": Row(
        end=lambda: endpoint(accepts_what_was_not_offered),
        options={"subprotocols": ["chat", "soap"]},
        sees=Denial(500),
        logs=failure("denied with 500", "InvalidHandshake"),
        tracebacks=("InvalidHandshake",),
    ),
    **{
        f"17: it closes with {code}": Row(
            end=partial(closing_with, code),
            sees=Closure(1011),
            logs=failure("closed with 1011", "InvalidClose"),
            tracebacks=("InvalidClose",),
        )
        for code in (1005, 1006, 1015, 999, 5000)
    },
    "17: it closes with a reason that fits no frame": Row(
        end=partial(closing_with, 1000, "é" * 62),
        sees=Closure(1011),
        logs=failure("closed with 1011", "InvalidClose"),
        tracebacks=("InvalidClose",),
    ),
    "20: a token comes with subprotocols that are not spoken": Row(
        end=taking,
        options={"subprotocols": ["bearer", SECRET_TOKEN, "orders.v2.json"]},
        sees=Denial(400, "expected an offer of the subprotocol orders.v1.json, found only others"),
        logs=(("INFO", "denied with 400: expected an offer of the subprotocol orders.v1.json, found only others"),),
    ),
    **{
        f"21: it says {number}": Row(
            end=partial(saying, {"price": number}),
            sees=Closure(1011),
            logs=failure("closed with 1011", "UnsendableMessage"),
            tracebacks=("UnsendableMessage",),
        )
        for number in (math.nan, math.inf)
    },
    "21: it says a time": Row(
        end=partial(saying, {"at": datetime(2026, 1, 2, tzinfo=UTC)}),
        sees=Closure(1000, heard=('{"at":"2026-01-02T00:00:00Z"}',)),
        logs=(RETURNED,),
    ),
}


@pytest.mark.parametrize("case", EDGES)
async def test_it_ends_well_for_client_and_log(case: str) -> None:
    await assert_ends_as_told(EDGES[case])


# --- lifecycle ---


async def lose(ws: TestConnection[Any, Any]) -> None:
    ws.lose()


GOING: Final[Mapping[str, Callable[[TestConnection[Any, Any]], Awaitable[object]]]] = {
    "closes": lambda ws: ws.close(),
    "is lost": lose,
}


async def closes_in_finally(ws: Connection[Order, Receipt]) -> None:
    try:
        await ws.receive_model()
    finally:
        await ws.close(4001)
        await ws.close()


async def closes_after_a_send(ws: Connection[Order, Receipt]) -> None:
    try:
        with suppress(WebSocketDisconnect):
            await ws.receive_model()
        await ws.send_model(Receipt(id=1))
    finally:
        await ws.close(4001)


@pytest.mark.parametrize("how", GOING)
@pytest.mark.parametrize("handler", [closes_in_finally, closes_after_a_send])
async def test_8_a_close_in_finally_after_the_client_has_left_raises_nothing(handler: Any, how: str) -> None:
    with logged() as log:
        async with connect(endpoint(handler)) as ws:
            await GOING[how](ws)
    assert [line for line in log.ours if line[0] != "DEBUG"] == []


async def pushes(ws: Connection[Never, Receipt]) -> None:
    while True:
        await anyio.sleep(1)
        await ws.send_model(Receipt(id=1))


async def watches(ws: Connection[Order, Receipt]) -> None:
    async with ws.cancelled_on_disconnect():
        await pushes(cast(Connection[Never, Receipt], ws))


async def idles(ws: Connection[Never, Receipt]) -> None:
    await anyio.sleep_forever()


@pytest.mark.parametrize("how", GOING)
@pytest.mark.parametrize("silently", [False, True])
@pytest.mark.parametrize("handler", [pushes, watches, idles])
async def test_9_a_handler_that_only_sends_ends_as_soon_as_its_client_leaves(
    handler: Any, silently: bool, how: str
) -> None:
    server = ServerBehaviour(drops_sends_silently=silently)
    with logged() as log:
        async with connect(endpoint(handler), server=server) as ws:
            await advance_clock(1.5)
            await GOING[how](ws)
            await settle()
            ends = list(log.ours)
    assert [level for level, _ in ends] == ["DEBUG"]


async def test_11_what_tells_a_client_of_a_lost_connection_is_a_sentence() -> None:
    async with connect(taking()) as ws:
        ws.lose()
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.receive_model()
    assert str(caught.value) == "the connection was lost: 1006 (abnormal closure, no close frame)"


async def test_12_a_receive_that_is_cancelled_again_and_again_loses_nothing() -> None:
    @endpoint
    async def handler(ws: Connection[Order, Receipt]) -> None:
        while True:
            with anyio.move_on_after(1):
                order = await ws.receive_model()
                await ws.send_model(Receipt(id=order.id))

    async with connect(handler) as ws:
        for id_ in range(5):
            await advance_clock(id_ + 0.5)
            await ws.send_model(Order(id=id_))
            await ws.expect(Receipt, id=id_)


async def test_13_a_client_that_vanishes_from_a_handler_of_many_tasks_is_one_line_of_the_log() -> None:
    @endpoint
    async def handler(ws: Connection[Order, Receipt]) -> None:
        async def work(order: Order) -> None:
            await anyio.sleep(order.id)
            await ws.send_model(Receipt(id=order.id))

        async with anyio.create_task_group() as tasks:
            async for order in ws:
                tasks.start_soon(work, order)

    with logged() as log:
        async with connect(handler) as ws:
            for id_ in range(1, 100):
                await ws.send_model(Order(id=id_))
            await advance_clock(10)
            await ws.expect(Receipt, id=1)
            ws.lose()
            await advance_clock(100)
    assert [level for level, _ in log.ours] == ["DEBUG"]
    assert log.servers == []


# --- handshake ---


@pytest.mark.parametrize("server", [ServerBehaviour(), ServerBehaviour(no_denial_extension=True)])
async def test_14_a_denial_is_an_http_status_and_never_a_close_code(server: ServerBehaviour) -> None:
    denied = await connect(App(), "/nowhere", server=server).expect_denied()
    assert denied.status == (403 if server.no_denial_extension else 404)


async def test_18_who_is_denied_was_never_among_those_who_hear() -> None:
    heard_by: list[int] = []
    room: Group[Receipt] = Group()

    @endpoint
    async def handler(handshake: Handshake[Order, Receipt]) -> Outcome:
        if handshake.bearer_token != SECRET_TOKEN:
            return await handshake.deny(401, headers=BASIC)
        ws = await handshake.accept()
        async with room.joined(ws):
            async for order in ws:
                heard_by.append(await room.send(Receipt(id=order.id)))
        return await ws.close()

    async with connect(handler, subprotocols=["bearer", SECRET_TOKEN]) as ws:
        denied = await connect(handler, subprotocols=["bearer", "guess"]).expect_denied(401)
        assert denied.headers["www-authenticate"] == "Basic"
        await ws.send_model(Order(id=1))
        await ws.expect(Receipt, id=1)
    assert heard_by == [1]


PAGES: Final[Mapping[str, tuple[str, dict[str, str], Policy, bool]]] = {
    "no browser": ("ws://chat.example/", {}, Policy(), True),
    "a page of its own": ("ws://chat.example/", {"Origin": "https://chat.example"}, Policy(), True),
    "a page of another host": ("ws://chat.example/", {"Origin": "https://evil.example"}, Policy(), False),
    "a page of another port": ("ws://chat.example:81/", {"Origin": "http://chat.example:82"}, Policy(), False),
    "a page of a subdomain": ("ws://chat.example/", {"Origin": "https://evil.chat.example"}, Policy(), False),
    "a page without an origin": ("ws://chat.example/", {"Origin": "null"}, Policy(), False),
    "a page that is named": (
        "ws://chat.example/",
        {"Origin": "https://app.example"},
        Policy(origins=["https://app.example"]),
        True,
    ),
    "any page": ("ws://chat.example/", {"Origin": "https://evil.example"}, Policy(origins="*"), True),
    "a name that was rebound": (
        "ws://127.0.0.1:8000/",
        {"Host": "evil.example:8000", "Origin": "http://evil.example:8000"},
        Policy(),
        False,
    ),
    "localhost": (
        "ws://127.0.0.1:8000/",
        {"Host": "localhost:8000", "Origin": "http://localhost:8000"},
        Policy(),
        True,
    ),
    "a host that is not named": ("ws://evil.example/", {}, Policy(hosts=["chat.example"]), False),
}


@pytest.mark.parametrize("page", PAGES)
async def test_19_a_page_of_another_site_is_kept_out(page: str) -> None:
    url, headers, policy, is_let_in = PAGES[page]
    connecting = connect(taking(policy=policy), url, headers=headers)
    if not is_let_in:
        await connecting.expect_denied(403)
        return
    async with connecting as ws:
        await ws.expect_nothing()


@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        (["bearer", SECRET_TOKEN, "orders.v1.json"], "orders.v1.json"),
        (["orders.v1.json", "bearer", SECRET_TOKEN], "orders.v1.json"),
        (["bearer", SECRET_TOKEN], "bearer"),
        ([], None),
    ],
)
async def test_20_a_token_among_the_subprotocols_is_never_echoed(offered: list[str], selected: str | None) -> None:
    with logged() as log:
        async with connect(taking(), subprotocols=offered) as ws:
            assert ws.subprotocol == selected
            assert SECRET_TOKEN not in str(ws.response_headers.raw)
    assert SECRET_TOKEN not in str(log.ours)


# --- what goes out ---


@pytest.mark.parametrize("mode", ["text", "binary", "msgpack", "cbor"])
async def test_21_a_number_that_json_cannot_say_is_refused_and_the_connection_goes_on(mode: str) -> None:
    async def handler(ws: Connection[Order, Any]) -> None:
        for value in (math.nan, -math.inf, {"price": math.inf}):
            with pytest.raises(UnsendableMessage, match="finite"):
                await ws.send_json(value)
        await ws.send_json({"price": 1.5})

    async with connect(endpoint(handler, Contract("prices", Connection[Order, Any], modes=[mode]))) as ws:
        assert await ws.receive_json() == {"price": 1.5}
        await ws.expect_close()


SLOW: Final[Mapping[Overflow, list[int]]] = {
    "close": [],
    "drop_oldest": [1, 5, 6],
    "drop_newest": [1, 2, 3],
    "conflate": [1, 6, 5],
    "block": [1, 2, 3, 4, 5, 6],
}
"""Of six messages, what a member hears that reads only after them, where two may wait: the first is on its way."""


def parity(receipt: Receipt) -> int:
    return receipt.id % 2


@pytest.mark.parametrize("on_overflow", SLOW)
async def test_22_a_member_that_does_not_read_costs_what_the_group_says_and_delays_nobody(
    on_overflow: Overflow,
) -> None:
    key = parity if on_overflow == "conflate" else None
    group: Group[Receipt] = Group(max_pending=2, on_overflow=on_overflow, key=key)

    @endpoint
    async def handler(ws: Connection[Order, Receipt]) -> None:
        async with group.joined(ws):
            async for _ in ws:
                pass

    async def say(ids: Iterable[int]) -> None:
        for id_ in ids:
            await group.send(Receipt(id=id_))
            await settle()

    async with connect(handler) as slow, connect(handler) as quick:
        slow.stop_reading()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(say, range(1, 7))
            for id_ in range(1, 5 if on_overflow == "block" else 7):
                await quick.expect(Receipt, id=id_)
            await settle()
            slow.read_again()
        for id_ in SLOW[on_overflow]:
            await slow.expect(Receipt, id=id_)
        if on_overflow == "close":
            await slow.expect_close(1008, "reads too slowly")
        else:
            await slow.expect_nothing()


async def test_23_who_is_lost_during_a_broadcast_keeps_it_from_nobody() -> None:
    group: Group[Receipt] = Group()

    @endpoint
    async def handler(ws: Connection[Order, Receipt]) -> None:
        async with group.joined(ws):
            async for _ in ws:
                pass

    async with connect(handler) as one, connect(handler) as other, connect(handler) as last:
        other.lose(at_message=2)
        for id_ in (1, 2, 3):
            await group.send(Receipt(id=id_))
            for each in (one, last):
                await each.expect(Receipt, id=id_)
        await other.expect_close(1006)
        assert len(group) == 2


# --- tests ---


async def returns(ws: Connection[Order, Receipt]) -> None:
    pass


async def test_24_a_receive_after_the_handler_has_returned_says_how_it_ended() -> None:
    with pytest.raises(ExpectationFailed, match="found the peer closed the connection: 1000"):
        async with connect(endpoint(returns)) as ws:
            await ws.expect(Receipt)


async def test_24_a_handler_that_never_accepts_is_told_in_time() -> None:
    @endpoint
    async def handler(handshake: Handshake[Order, Receipt]) -> Any:
        await anyio.sleep_forever()

    with pytest.raises(WaitTimeout, match=r"the application to accept or deny within 0\.05 s"):
        await connect(handler, timeout=0.05).expect_denied()
