"""Every kind of message, sent and echoed in every mode, by endpoints whose contract offers all modes."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal, cast
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from tests.conformance.messages import (
    EVERYTHING,
    Bird,
    Blob,
    Box,
    Camel,
    Chat,
    Checked,
    Everything,
    Join,
    Line,
    Names,
    Outline,
    Picture,
    Pixel,
    Profile,
    Say,
    Tree,
)
from tests.conformance.messages import Point as Spot
from tests.e2e.echoes import (
    BYTES,
    FORMATS,
    OF_MODELS,
    POINT,
    TEXTS,
    VALUES,
    Message,
    Point,
    Socket,
    Track,
    iterate_bytes,
    iterate_text,
    receive_bytes,
    receive_text,
    without_defaults,
)
from tests.e2e.serving import Handler
from typedws import Connection, Contract, Endpoint, WebSocketDisconnect, endpoint
from typedws.testing import TestConnecting, TestConnection, connect

pytestmark = pytest.mark.anyio

MODES: Final = tuple(FORMATS)
echo_contract: Final = Contract("echo", Connection[Message, Message], modes=MODES)


def subprotocols_for(mode: str) -> list[str]:
    """Return the subprotocols that a client offers to select a mode."""
    return [f"echo.v1.{'json' if mode == 'text' else mode}"]


def echo_endpoint(echo: Handler[None]) -> Endpoint[Message, Message, object]:
    """Return an endpoint for an echo handler; it returns when the client leaves."""

    async def handler(ws: Connection[Message, Message]) -> None:
        with suppress(WebSocketDisconnect):
            await echo(cast(Socket, ws))

    return endpoint(handler, echo_contract)


# --- models and plain values ---

EchoConnection = TestConnection[Message, Message]


async def send_frame(ws: TestConnection[Any, Any], frame: str | bytes) -> None:
    await (ws.send_text(frame) if isinstance(frame, str) else ws.send_bytes(frame))


async def exchange_models(ws: EchoConnection, mode: str, value: dict[str, Any]) -> None:
    message: Point | Track = TypeAdapter[Any](Message).validate_python(value)
    await ws.send_model(message)
    assert await ws.receive_model() == message


async def exchange_expected(ws: EchoConnection, mode: str, value: dict[str, Any]) -> None:
    message: Point | Track = TypeAdapter[Any](Message).validate_python(value)
    await ws.send_model(message)
    await ws.expect(type(message), **dict(message))


async def exchange_json(ws: EchoConnection, mode: str, value: dict[str, Any]) -> None:
    await ws.send_json(value)
    assert without_defaults(await ws.receive_json()) == value


async def exchange_frames(ws: EchoConnection, mode: str, value: dict[str, Any]) -> None:
    encode, decode = FORMATS[mode]
    await send_frame(ws, encode(value))
    frame = await (ws.receive_text() if mode == "text" else ws.receive_bytes())
    assert without_defaults(decode(frame)) == value


SMALL_VALUES: Final = [value for name, value in VALUES.items() if name != "a mebibyte"]
EXCHANGES: Final[Mapping[str, Callable[[EchoConnection, str, dict[str, Any]], Awaitable[None]]]] = {
    "models": exchange_models,
    "expected models": exchange_expected,
    "plain values": exchange_json,
    "frames of other libraries": exchange_frames,
}


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("echo", OF_MODELS.values(), ids=lambda echo: echo.__name__)
async def test_every_value_comes_back_in_the_mode_that_the_client_chose(
    echo: Handler[None], mode: str, exchange: str
) -> None:
    async with connect(echo_endpoint(echo), subprotocols=subprotocols_for(mode)) as ws:
        for value in SMALL_VALUES:
            await EXCHANGES[exchange](ws, mode, value)


@pytest.mark.parametrize("mode", MODES)
async def test_a_mebibyte_comes_back(mode: str) -> None:
    async with connect(echo_endpoint(OF_MODELS["iterate"]), subprotocols=subprotocols_for(mode)) as ws:
        for exchange in EXCHANGES.values():
            await exchange(ws, mode, VALUES["a mebibyte"])


@pytest.mark.parametrize("default", MODES)
async def test_each_message_can_have_its_own_mode(default: str) -> None:
    @endpoint(contract=echo_contract)
    async def handler(ws: Connection[Message, Message]) -> None:
        for mode in MODES:
            await ws.send_model(await ws.receive_model(Point, mode=mode), mode=mode)
            await ws.send_json(await ws.receive_json(mode), mode=mode)

    async with connect(handler, subprotocols=subprotocols_for(default)) as ws:
        for mode in MODES:
            point = Point.model_validate(POINT)
            await ws.send_model(point, mode)
            assert await ws.receive_model(mode=mode) == point
            await ws.send_json({"plain": [1, None, "x"]}, mode)
            assert await ws.receive_json(mode) == {"plain": [1, None, "x"]}
        await ws.expect_close()


async def test_a_client_that_offers_no_subprotocol_uses_the_first_mode() -> None:
    async with connect(echo_endpoint(OF_MODELS["iterate"])) as ws:
        assert ws.subprotocol is None
        await exchange_frames(ws, MODES[0], POINT)


# --- every type that a contract can name ---

KINDS: Final[Mapping[str, tuple[Any, list[Any]]]] = {
    "text": (str, ["", "naïve 東京 🦊"]),
    "an integer": (int, [0, -1, 2**53, 2**63 - 1]),
    "a float": (float, [0.5, -1e300, 5e-324]),
    "a boolean": (bool, [True, False]),
    "a literal": (Literal["up", "down"], ["up", "down"]),
    "a time": (datetime, [datetime(2026, 2, 28, 12, 30, tzinfo=UTC)]),
    "a duration": (timedelta, [timedelta(days=1, seconds=2)]),
    "a UUID": (UUID, [UUID(int=5)]),
    "a list": (list[Spot], [[], [Spot(x=1), Spot(x=2, y=3)]]),
    "a tuple": (tuple[int, str], [(1, "one")]),
    "a set": (set[int], [set[int](), {1, 2}]),
    "a mapping": (dict[str, Spot], [{}, {"a": Spot(x=1)}]),
    "a model": (Line, [Line(start=Spot(x=1)), Line(start=Spot(x=1), end=Spot(x=2))]),
    "a model of everything": (Everything, [Everything(**EVERYTHING)]),
    "a model with aliases": (Bird, [Bird(birdName="crow")]),
    "a model with an alias generator": (Camel, [Camel(hump_count=1)]),
    "a generic model": (Box[list[int]], [Box[list[int]](content=[1, 2])]),
    "a recursive model": (Tree, [Tree(name="a", branches=[Tree(name="b")])]),
    "a root model": (Names, [Names(["ann", "bob"])]),
    "a model of bytes": (Blob, [Blob(data=bytes(range(256)))]),
    "a dataclass": (Picture, [Picture(), Picture(pixels=[Pixel(x=1)], centre=Spot(x=2))]),
    "a dataclass of pydantic": (Checked, [Checked(when=date(2026, 2, 28))]),
    "a typed dictionary": (Profile, [{"name": "ann"}, {"name": "ann", "age": 7}]),
    "a typed dictionary of models": (Outline, [{"corners": [Spot(x=1)]}]),
    "a union": (Chat, [Join(room="lobby"), Say(text="hi")]),
}


def connect_to_echo_of(form: Any, mode: str) -> TestConnecting[Any, Any]:
    contract = Contract("echo", Connection[form, form], modes=MODES)

    async def handler(ws: Any) -> None:
        async for message in ws:
            await ws.send_model(message)

    return connect(endpoint(handler, contract), subprotocols=subprotocols_for(mode))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("form", "messages"), KINDS.values(), ids=KINDS)
async def test_every_kind_of_message_comes_back_unchanged(form: Any, messages: list[Any], mode: str) -> None:
    async with connect_to_echo_of(form, mode) as ws:
        for message in messages:
            await ws.send_model(message)
            received = await ws.receive_model()
            assert (type(received), received) == (type(message), message)


@pytest.mark.parametrize(("form", "messages"), KINDS.values(), ids=KINDS)
async def test_every_kind_of_message_can_be_expected(form: Any, messages: list[Any]) -> None:
    async with connect_to_echo_of(form, "text") as ws:
        for message in messages:
            await ws.send_model(message)
            assert await ws.expect(form) == message


# --- text and bytes ---


@pytest.mark.parametrize(
    ("echo", "messages"),
    [(iterate_text, TEXTS), (receive_text, TEXTS), (iterate_bytes, BYTES), (receive_bytes, BYTES)],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("mode", MODES)
async def test_text_and_bytes_come_back_unchanged_in_every_mode(
    echo: Handler[None], messages: list[str | bytes], mode: str
) -> None:
    async with connect(echo_endpoint(echo), subprotocols=subprotocols_for(mode)) as ws:
        for message in messages:
            await send_frame(ws, message)
            received = await (ws.receive_text() if isinstance(message, str) else ws.receive_bytes())
            assert received == message


# --- order ---


async def test_messages_arrive_in_the_order_of_the_sends() -> None:
    @endpoint
    async def handler(ws: Connection[int, int]) -> None:
        for number in range(200):
            await (ws.send_model(number) if number % 2 else ws.send_text(str(number)))

    async with connect(handler) as ws:
        assert [number async for number in ws] == list(range(200))


async def test_messages_sent_before_the_client_left_are_all_received() -> None:
    received: list[int] = []

    @endpoint
    async def handler(ws: Connection[int, int]) -> None:
        async for number in ws:
            received.append(number)

    async with connect(handler) as ws:
        for number in range(100):
            await ws.send_model(number)
    assert received == list(range(100))
