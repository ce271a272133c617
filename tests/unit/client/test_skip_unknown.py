"""`SkipUnknownConnection`: a client older than its server skips messages of unknown types, and no others."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Discriminator, Field, Tag

from tests.support import binary, disconnect, scope, text, wire
from typedws import Connection, Contract, InvalidMessage, WebSocketDisconnect
from typedws._http.headers import Headers
from typedws.client import Accepted
from typedws.client.skip_unknown import SkipUnknownConnection

pytestmark = pytest.mark.anyio


class Joined(BaseModel):
    type: Literal["joined"] = "joined"
    room: str


class Said(BaseModel):
    type: Literal["said"] = "said"
    text: str
    part: Annotated["Joined | Left", Field(discriminator="type")] | None = None


class Left(BaseModel):
    type: Literal["left"] = "left"
    kind: Literal["kick", "quit"] = "quit"
    version: Literal[1] = Field(default=1, alias="v")


def tag_of(value: Any) -> str:
    return str(value["type"])


Union = Annotated[Joined | Said, Field(discriminator="type")]
Called = Annotated[Annotated[Joined, Tag("joined")] | Annotated[Said, Tag("said")], Discriminator(tag_of)]

JOINED = '{"type":"joined","room":"lobby"}'
TYPING = '{"type":"typing"}'


def client(form: Any, *events: Any) -> SkipUnknownConnection[Any, Any]:
    receive, send, _ = wire(*events, disconnect())
    contract: Contract[Any, Any, Any] = Contract("chat", Connection[Any, form])
    return SkipUnknownConnection(scope(), receive, send, Accepted(None, Headers()), contract)


def by_calls(ws: SkipUnknownConnection[Any, Any]) -> AsyncIterator[Any]:
    async def calls() -> AsyncIterator[Any]:
        while True:
            try:
                yield await ws.receive_model()
            except WebSocketDisconnect:
                return

    return calls()


Reader = Callable[[SkipUnknownConnection[Any, Any]], AsyncIterator[Any]]
READERS: dict[str, Reader] = {
    "async for": aiter,
    "iter_models": SkipUnknownConnection.iter_models,
    "receive_model": by_calls,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("form", [Union, Called, Joined])
async def test_a_message_of_an_unknown_type_is_skipped(form: Any, reader: str) -> None:
    ws = client(form, text(TYPING), text(JOINED), text(TYPING), text(TYPING), text(JOINED), text(TYPING))
    assert [message async for message in READERS[reader](ws)] == [Joined(room="lobby")] * 2


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (Union, "{bad"),
        (Union, "[]"),
        (Union, "{}"),
        (Union, '{"type":"joined"}'),
        (Union, '{"type":"said","text":"a","part":{"type":"new"}}'),
        (Joined, "{}"),
        (Left, '{"type":"left","kind":"new"}'),
        (str, "7"),
        (list[Union], '[{"type":"typing"}]'),
    ],
)
@pytest.mark.parametrize("reader", READERS)
async def test_any_other_invalid_message_is_an_error(form: Any, message: str, reader: str) -> None:
    ws = client(form, text(message))
    with pytest.raises(InvalidMessage):
        await anext(READERS[reader](ws))


async def test_a_frame_of_the_wrong_kind_is_an_error() -> None:
    ws = client(Union, binary(TYPING.encode()))
    with pytest.raises(InvalidMessage):
        await ws.receive_model()


@pytest.mark.parametrize("message", ['{"type":"new"}', '{"v":2}', '{"type":"new","v":2,"kind":"other"}'])
async def test_with_one_declared_type_another_value_of_a_constant_field_is_unknown(message: str) -> None:
    ws = client(Left, text(message), text('{"kind":"kick"}'))
    assert await ws.receive_model() == Left(kind="kick")


async def test_a_narrower_type_can_be_received_among_the_known_ones() -> None:
    ws = client(Union, text(TYPING), text(JOINED), text(TYPING), text('{"type":"said","text":"a"}'))
    assert await ws.receive_model(Joined) == Joined(room="lobby")
    with pytest.raises(InvalidMessage):
        await ws.receive_model(Joined)  # Its type is known, but not the one asked for.


async def test_without_a_contract_nothing_is_unknown() -> None:
    receive, send, _ = wire(text(TYPING))
    ws = SkipUnknownConnection[Any, Any](scope(), receive, send, Accepted(None, Headers()), None)
    with pytest.raises(InvalidMessage):
        await ws.receive_model(Union)
