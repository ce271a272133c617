"""Known pitfalls of WebSockets in Python, and how typedws handles them, as a client sees it in process.

The pitfalls have the numbers under which they were collected. The others are in `test_endings` (1, 2, 5, 10) or concern
servers and brokers (25, 26).
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

from tests.e2e.test_endings import BASIC, RETURNED, Bare, Close, Denial, Row, failure, logged
from tests.unit.testing.rows import assert_ends_as_expected
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


async def send_receipts(ws: Connection[Order, Answer]) -> None:
    async for order in ws:
        await ws.send_model(Receipt(id=order.id))


def order_endpoint(mode: str = "text", policy: Policy | None = None) -> Endpoint[Order, Answer, object]:
    """Return an endpoint with a single mode."""
    return endpoint(send_receipts, Contract("orders", Connection[Order, Answer], modes=[mode]), policy=policy)


def classic_endpoint(handler: Callable[[AnySocket], Awaitable[None]]) -> AnyEndpoint:
    """Return an endpoint for a handler of the classic API, which accepts, receives, sends and closes itself."""
    return WebSocketRoute("/", handler).endpoint


# --- client messages ---

FRAMES: Final[Mapping[str, tuple[str, str | bytes, int, str]]] = {
    "3: binary in text mode": ("text", b'{"type":"order","id":1}', 1003, "wrong_frame"),
    "4: text in binary mode": ("binary", '{"type":"order","id":1}', 1003, "wrong_frame"),
    "4: invalid UTF-8": ("binary", b'{"type":"order","id":"\xff"}', 1007, "malformed"),
    "1: malformed JSON in binary": ("binary", b"{bad", 1007, "malformed"),
    "2: 100,000 brackets in binary": ("binary", b"[" * 100_000, 1007, "malformed"),
    "1: malformed MessagePack": ("msgpack", b"\xc1", 1007, "malformed"),
    "2: 100,000 arrays in MessagePack": ("msgpack", b"\x91" * 100_000, 1007, "malformed"),
    "4: text in MessagePack mode": ("msgpack", '{"type":"order","id":1}', 1003, "wrong_frame"),
    "5: an invalid order in MessagePack": ("msgpack", ormsgpack.packb({"type": "order", "id": "one"}), 1007, "invalid"),
    "1: malformed CBOR": ("cbor", b"\xff", 1007, "malformed"),
    "2: 100,000 arrays in CBOR": ("cbor", b"\x81" * 100_000, 1007, "malformed"),
    "1: an empty message": ("text", "", 1007, "malformed"),
    "1: an empty message in binary": ("cbor", b"", 1007, "malformed"),
    "21: NaN": ("text", '{"type":"order","id":NaN}', 1007, "malformed"),
}


async def send_frame(ws: TestConnection[Any, Any], frame: str | bytes) -> None:
    await (ws.send_text(frame) if isinstance(frame, str) else ws.send_bytes(frame))


@pytest.mark.parametrize("case", FRAMES)
async def test_an_unreadable_message_closes_with_the_code_for_its_problem(case: str) -> None:
    mode, frame, code, _ = FRAMES[case]
    async with connect(order_endpoint(mode)) as ws:
        await send_frame(ws, frame)
        assert (await ws.expect_close(code)).reason.startswith("expected Order")


@pytest.mark.parametrize("case", FRAMES)
async def test_an_unreadable_message_can_get_an_error_reply_without_a_close(case: str) -> None:
    mode, frame, _, problem = FRAMES[case]
    async with connect(order_endpoint(mode, Policy(on_invalid="reply"))) as ws:
        for id_ in (1, 2):
            await send_frame(ws, frame)
            await ws.expect(ErrorReply, problem=problem)
            await ws.send_model(Order(id=id_))
            await ws.expect(Receipt, id=id_)


@pytest.mark.parametrize("both", [False, True])
async def test_3_a_server_that_sets_both_data_keys_makes_no_difference(*, both: bool) -> None:
    async with connect(order_endpoint(), server=ServerBehaviour(both_data_keys=both)) as ws:
        await ws.send_model(Order(id=1))
        await ws.expect(Receipt, id=1)
        await ws.send_bytes(b"1")
        await ws.expect_close(1003)


async def test_4_the_server_closes_on_invalid_utf_8_and_the_handler_ends_with_a_disconnect() -> None:
    async with connect(order_endpoint()) as ws:
        await ws.send_malformed("invalid_utf8")
        await ws.expect_close(1007)


JSON_METHODS: Final[Mapping[str, Callable[[Connection[Any, Any]], Awaitable[object]]]] = {
    "receive_json": lambda ws: ws.receive_json(),
    "iter_json": lambda ws: anext(ws.iter_json()),
}


@pytest.mark.parametrize("method", JSON_METHODS)
async def test_1_malformed_json_closes_without_a_model_too(method: str) -> None:
    async def handler(ws: Connection[Any, Any]) -> None:
        await JSON_METHODS[method](ws)

    async with connect(endpoint(handler)) as ws:
        await ws.send_text("{bad")
        await ws.expect_close(1007)


# --- errors and ends ---


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


def sending(value: object) -> AnyEndpoint:
    async def handler(ws: Connection[Order, Any]) -> None:
        await ws.send_json(value)

    return endpoint(handler)


CLOSED_BY_HANDLER: Final = (("DEBUG", "ended with 4001: the handler returned"),)
EDGES: Final[Mapping[str, Row]] = {
    "6: it sends after its own close": Row(
        end=lambda: endpoint(sends_after_its_close), sees=Close(4001, "bye"), logs=CLOSED_BY_HANDLER
    ),
    "7: it receives after its own close": Row(
        end=lambda: endpoint(receives_after_its_close), sees=Close(4001, "bye"), logs=CLOSED_BY_HANDLER
    ),
    "8: it fails and closes in finally": Row(
        end=lambda: endpoint(fails_and_closes),
        sees=Close(4001, "bye"),
        logs=failure("ended with 4001", "LookupError"),
        tracebacks=("LookupError",),
    ),
    "14: it closes before the accept": Row(
        end=lambda: classic_endpoint(closes_before_the_accept),
        sees=Bare(403, b""),
        logs=(("DEBUG", "ended with 1006: the handler returned"),),
    ),
    "15: it denies after the accept": Row(
        end=lambda: classic_endpoint(denies_after_the_accept),
        sees=Close(1011),
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
            sees=Close(1011),
            logs=failure("closed with 1011", "InvalidClose"),
            tracebacks=("InvalidClose",),
        )
        for code in (1005, 1006, 1015, 999, 5000)
    },
    "17: it closes with a reason that is too long for a frame": Row(
        end=partial(closing_with, 1000, "é" * 62),
        sees=Close(1011),
        logs=failure("closed with 1011", "InvalidClose"),
        tracebacks=("InvalidClose",),
    ),
    "20: a token comes with unsupported subprotocols": Row(
        end=order_endpoint,
        options={"subprotocols": ["bearer", SECRET_TOKEN, "orders.v2.json"]},
        sees=Denial(400, "the client offers subprotocols, but not orders.v1.json"),
        logs=(("INFO", "denied with 400: the client offers subprotocols, but not orders.v1.json"),),
    ),
    **{
        f"21: it sends {number}": Row(
            end=partial(sending, {"price": number}),
            sees=Close(1011),
            logs=failure("closed with 1011", "UnsendableMessage"),
            tracebacks=("UnsendableMessage",),
        )
        for number in (math.nan, math.inf)
    },
    "21: it sends a time": Row(
        end=partial(sending, {"at": datetime(2026, 1, 2, tzinfo=UTC)}),
        sees=Close(1000, received=('{"at":"2026-01-02T00:00:00Z"}',)),
        logs=(RETURNED,),
    ),
}


@pytest.mark.parametrize("case", EDGES)
async def test_each_edge_ends_and_is_logged_as_expected(case: str) -> None:
    await assert_ends_as_expected(EDGES[case])


# --- lifecycle ---


async def lose(ws: TestConnection[Any, Any]) -> None:
    ws.lose()


DEPARTURES: Final[Mapping[str, Callable[[TestConnection[Any, Any]], Awaitable[object]]]] = {
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


@pytest.mark.parametrize("departure", DEPARTURES)
@pytest.mark.parametrize("handler", [closes_in_finally, closes_after_a_send])
async def test_8_a_close_in_finally_after_the_client_has_left_raises_nothing(handler: Any, departure: str) -> None:
    with logged() as log:
        async with connect(endpoint(handler)) as ws:
            await DEPARTURES[departure](ws)
    assert [line for line in log.ours if line[0] != "DEBUG"] == []


async def sends_every_second(ws: Connection[Never, Receipt]) -> None:
    while True:
        await anyio.sleep(1)
        await ws.send_model(Receipt(id=1))


async def sends_and_watches_for_the_disconnect(ws: Connection[Order, Receipt]) -> None:
    async with ws.cancelled_on_disconnect():
        await sends_every_second(cast(Connection[Never, Receipt], ws))


async def waits_for_ever(ws: Connection[Never, Receipt]) -> None:
    await anyio.sleep_forever()


@pytest.mark.parametrize("departure", DEPARTURES)
@pytest.mark.parametrize("drops", [False, True])
@pytest.mark.parametrize("handler", [sends_every_second, sends_and_watches_for_the_disconnect, waits_for_ever])
async def test_9_a_handler_that_only_sends_ends_as_soon_as_its_client_leaves(
    handler: Any, drops: bool, departure: str
) -> None:
    server = ServerBehaviour(drops_sends_silently=drops)
    with logged() as log:
        async with connect(endpoint(handler), server=server) as ws:
            await advance_clock(1.5)
            await DEPARTURES[departure](ws)
            await settle()
            ends = list(log.ours)
    assert [level for level, _ in ends] == ["DEBUG"]


async def test_11_the_error_for_a_lost_connection_is_a_sentence() -> None:
    async with connect(order_endpoint()) as ws:
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


async def test_13_a_client_lost_by_a_handler_with_many_tasks_is_one_line_in_the_log() -> None:
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


async def test_18_a_denied_client_is_never_a_member_of_the_group() -> None:
    member_counts: list[int] = []
    room: Group[Receipt] = Group()

    @endpoint
    async def handler(handshake: Handshake[Order, Receipt]) -> Outcome:
        if handshake.bearer_token != SECRET_TOKEN:
            return await handshake.deny(401, headers=BASIC)
        ws = await handshake.accept()
        async with room.joined(ws):
            async for order in ws:
                member_counts.append(await room.send(Receipt(id=order.id)))
        return await ws.close()

    async with connect(handler, subprotocols=["bearer", SECRET_TOKEN]) as ws:
        denied = await connect(handler, subprotocols=["bearer", "guess"]).expect_denied(401)
        assert denied.headers["www-authenticate"] == "Basic"
        await ws.send_model(Order(id=1))
        await ws.expect(Receipt, id=1)
    assert member_counts == [1]


PAGES: Final[Mapping[str, tuple[str, dict[str, str], Policy, bool]]] = {
    "not a browser": ("ws://chat.example/", {}, Policy(), True),
    "a page of the same site": ("ws://chat.example/", {"Origin": "https://chat.example"}, Policy(), True),
    "a page of another host": ("ws://chat.example/", {"Origin": "https://evil.example"}, Policy(), False),
    "a page of another port": ("ws://chat.example:81/", {"Origin": "http://chat.example:82"}, Policy(), False),
    "a page of a subdomain": ("ws://chat.example/", {"Origin": "https://evil.chat.example"}, Policy(), False),
    "a page without an origin": ("ws://chat.example/", {"Origin": "null"}, Policy(), False),
    "a page of an allowed origin": (
        "ws://chat.example/",
        {"Origin": "https://app.example"},
        Policy(origins=["https://app.example"]),
        True,
    ),
    "any page": ("ws://chat.example/", {"Origin": "https://evil.example"}, Policy(origins="*"), True),
    "a rebound host name": (
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
    "a host that is not allowed": ("ws://evil.example/", {}, Policy(hosts=["chat.example"]), False),
}


@pytest.mark.parametrize("page", PAGES)
async def test_19_a_page_of_another_site_is_denied(page: str) -> None:
    url, headers, policy, is_accepted = PAGES[page]
    connecting = connect(order_endpoint(policy=policy), url, headers=headers)
    if not is_accepted:
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
        async with connect(order_endpoint(), subprotocols=offered) as ws:
            assert ws.subprotocol == selected
            assert SECRET_TOKEN not in str(ws.response_headers.raw)
    assert SECRET_TOKEN not in str(log.ours)


# --- server messages ---


@pytest.mark.parametrize("mode", ["text", "binary", "msgpack", "cbor"])
async def test_21_a_number_that_json_does_not_have_is_refused_and_the_connection_stays_open(mode: str) -> None:
    async def handler(ws: Connection[Order, Any]) -> None:
        for value in (math.nan, -math.inf, {"price": math.inf}):
            with pytest.raises(UnsendableMessage, match="finite"):
                await ws.send_json(value)
        await ws.send_json({"price": 1.5})

    async with connect(endpoint(handler, Contract("prices", Connection[Order, Any], modes=[mode]))) as ws:
        assert await ws.receive_json() == {"price": 1.5}
        await ws.expect_close()


RECEIVED_BY_SLOW_MEMBER: Final[Mapping[Overflow, list[int]]] = {
    "close": [],
    "drop_oldest": [1, 5, 6],
    "drop_newest": [1, 2, 3],
    "conflate": [1, 6, 5],
    "block": [1, 2, 3, 4, 5, 6],
}
"""The messages of six that a member receives if it reads only after them: one is being sent, two may be pending."""


def parity(receipt: Receipt) -> int:
    return receipt.id % 2


@pytest.mark.parametrize("on_overflow", RECEIVED_BY_SLOW_MEMBER)
async def test_22_a_member_that_does_not_read_gets_the_overflow_policy_and_delays_no_other(
    on_overflow: Overflow,
) -> None:
    key = parity if on_overflow == "conflate" else None
    group: Group[Receipt] = Group(max_pending=2, on_overflow=on_overflow, key=key)

    @endpoint
    async def handler(ws: Connection[Order, Receipt]) -> None:
        async with group.joined(ws):
            async for _ in ws:
                pass

    async def send_receipts_to_group(ids: Iterable[int]) -> None:
        for id_ in ids:
            await group.send(Receipt(id=id_))
            await settle()

    async with connect(handler) as slow, connect(handler) as fast:
        slow.stop_reading()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send_receipts_to_group, range(1, 7))
            for id_ in range(1, 5 if on_overflow == "block" else 7):
                await fast.expect(Receipt, id=id_)
            await settle()
            slow.read_again()
        for id_ in RECEIVED_BY_SLOW_MEMBER[on_overflow]:
            await slow.expect(Receipt, id=id_)
        if on_overflow == "close":
            await slow.expect_close(1008, "reads too slowly")
        else:
            await slow.expect_nothing()


async def test_23_a_member_lost_during_a_broadcast_does_not_stop_it_for_the_others() -> None:
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


async def test_24_a_receive_after_the_handler_returned_shows_how_the_connection_ended() -> None:
    with pytest.raises(ExpectationFailed, match="found the peer closed the connection: 1000"):
        async with connect(endpoint(returns)) as ws:
            await ws.expect(Receipt)


async def test_24_a_handler_that_never_accepts_raises_wait_timeout() -> None:
    @endpoint
    async def handler(handshake: Handshake[Order, Receipt]) -> Any:
        await anyio.sleep_forever()

    with pytest.raises(WaitTimeout, match=r"the application to accept or deny within 0\.05 s"):
        await connect(handler, timeout=0.05).expect_denied()
