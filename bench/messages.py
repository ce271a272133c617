"""The messages that the benchmarks exchange, and their frames. Nothing is sent here.

The small message is the 57-byte `bench.floor.Say`, a member of a tagged union of two. The big one is an `Order` of 60
items, about 7 KB of JSON, a member of another such union. Both exist as pydantic models and, for msgspec, as structs.
An ``invalid`` message has one wrong value, which in the big message is deeply nested.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypeAlias
from uuid import UUID, uuid5

import msgspec
import orjson
import ormsgpack
from pydantic import BaseModel, Field, TypeAdapter
from pydantic_core import to_jsonable_python

from bench.contestants import Mode, Size
from bench.floor import ADAPTER, FRAME, Message, Say

Frame: TypeAlias = str | bytes


class Customer(BaseModel):
    id: UUID
    name: str
    address: list[str]


class Item(BaseModel):
    id: UUID
    at: datetime
    price: float
    tags: list[str]
    parts: list[int]


class Order(BaseModel):
    type: Literal["order"] = "order"
    customer: Customer
    voucher: str | None
    items: list[Item]


class Cancel(BaseModel):
    type: Literal["cancel"] = "cancel"
    customer: UUID


OrderMessage = Annotated[Order | Cancel, Field(discriminator="type")]
ORDER_ADAPTER: TypeAdapter[Order | Cancel] = TypeAdapter(OrderMessage)


class SayStruct(msgspec.Struct, tag_field="type", tag="say"):
    room: str
    text: str
    n: int


class LeaveStruct(msgspec.Struct, tag_field="type", tag="leave"):
    room: str


class CustomerStruct(msgspec.Struct):
    id: UUID
    name: str
    address: list[str]


class ItemStruct(msgspec.Struct):
    id: UUID
    at: datetime
    price: float
    tags: list[str]
    parts: list[int]


class OrderStruct(msgspec.Struct, tag_field="type", tag="order"):
    customer: CustomerStruct
    voucher: str | None
    items: list[ItemStruct]


class CancelStruct(msgspec.Struct, tag_field="type", tag="cancel"):
    customer: UUID


FORMS: Final[Mapping[Size, Any]] = {"small": Message, "big": OrderMessage}
CLASSES: Final[Mapping[Size, type[BaseModel]]] = {"small": Say, "big": Order}
ADAPTERS: Final[Mapping[Size, TypeAdapter[Any]]] = {"small": ADAPTER, "big": ORDER_ADAPTER}
STRUCTS: Final[Mapping[Size, Any]] = {"small": SayStruct | LeaveStruct, "big": OrderStruct | CancelStruct}

_SPACE: Final = UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")
_NOON: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)


def _item(number: int) -> Item:
    return Item(
        id=uuid5(_SPACE, str(number)),
        at=_NOON + timedelta(minutes=number),
        price=9.99 + number / 8,
        tags=["new"],
        parts=[number, 7],
    )


MODELS: Final[Mapping[Size, BaseModel]] = {
    "small": Say.model_validate_json(FRAME),
    "big": Order(
        customer=Customer(id=uuid5(_SPACE, "customer"), name="Zoë Ibáñez", address=["7 North Quay", "Inverness"]),
        voucher=None,
        items=[_item(number) for number in range(60)],
    ),
}
"""The messages that are sent."""


def plain(size: Size) -> Any:
    """Return the content of a message as JSON values."""
    return MODELS[size].model_dump(mode="json")


def invalid(size: Size) -> Any:
    """Return the content of a message with one value of a wrong type."""
    content = deepcopy(plain(size))
    if size == "small":
        content["n"] = "five"
    else:
        content["items"][-1]["parts"][0] = "seven"
    return content


PACKERS: Final[Mapping[Mode, Callable[[Any], Frame]]] = {
    "text": lambda content: orjson.dumps(content).decode(),
    "binary": orjson.dumps,
    "msgpack": ormsgpack.packb,
}


def content_of(frame: Frame, mode: Mode) -> Any:
    """Parse a frame into JSON values. MessagePack's own timestamps, which not every library uses, become text too."""
    if mode == "msgpack":
        assert isinstance(frame, bytes)
        return to_jsonable_python(msgspec.msgpack.decode(frame))
    return orjson.loads(frame)
