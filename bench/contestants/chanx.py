"""chanx, of fast-channels: a consumer with one handler for each member of the union.

It requires a shape of messages: the tag is an ``action``, everything else is a ``payload``. It handles each received
message in a task of its own, and yields to the event loop after each message that it sends: both are its defaults.
"""

import logging
import sys
from typing import Any, ClassVar, Literal, cast
from uuid import UUID

import structlog
from chanx.core.decorators import channel, ws_handler
from chanx.fast_channels.websocket import AsyncJsonWebsocketConsumer
from chanx.messages.base import BaseMessage
from pydantic import BaseModel

from bench.contestants import Application, Contestant, Task
from bench.messages import MODELS, Customer, Item

# By default structlog writes to the standard output, which carries the results of a benchmark.
structlog.configure(
    wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    logger_factory=structlog.PrintLoggerFactory(sys.stderr),
)


class SayPayload(BaseModel):
    room: str
    text: str
    n: int


class SayMessage(BaseMessage):
    action: Literal["say"] = "say"
    payload: SayPayload


class LeavePayload(BaseModel):
    room: str


class LeaveMessage(BaseMessage):
    action: Literal["leave"] = "leave"
    payload: LeavePayload


class OrderPayload(BaseModel):
    customer: Customer
    voucher: str | None
    items: list[Item]


class OrderMessage(BaseMessage):
    action: Literal["order"] = "order"
    payload: OrderPayload


class CancelPayload(BaseModel):
    customer: UUID


class CancelMessage(BaseMessage):
    action: Literal["cancel"] = "cancel"
    payload: CancelPayload


def wrap(content: Any) -> Any:
    return {"action": content["type"], "payload": {key: value for key, value in content.items() if key != "type"}}


@channel(name="echo")
class EchoConsumer(AsyncJsonWebsocketConsumer):
    @ws_handler(output_type=SayMessage)
    async def handle_say(self, message: SayMessage) -> SayMessage:
        return message

    @ws_handler(output_type=LeaveMessage)
    async def handle_leave(self, message: LeaveMessage) -> LeaveMessage:
        return message


@channel(name="big_echo")
class BigEchoConsumer(AsyncJsonWebsocketConsumer):
    @ws_handler(output_type=OrderMessage)
    async def handle_order(self, message: OrderMessage) -> OrderMessage:
        return message

    @ws_handler(output_type=CancelMessage)
    async def handle_cancel(self, message: CancelMessage) -> CancelMessage:
        return message


class Counting(AsyncJsonWebsocketConsumer):
    """The base of consumers that receive."""

    count = 1
    received = 0

    async def count_message(self, message: BaseMessage) -> None:
        self.received += 1
        if self.received % self.count == 0:
            await self.send_message(message)


@channel(name="receive")
class ReceiveConsumer(Counting):
    @ws_handler(output_type=SayMessage)
    async def handle_say(self, message: SayMessage) -> None:
        await self.count_message(message)

    @ws_handler(output_type=LeaveMessage)
    async def handle_leave(self, message: LeaveMessage) -> None:
        await self.count_message(message)


@channel(name="big_receive")
class BigReceiveConsumer(Counting):
    @ws_handler(output_type=OrderMessage)
    async def handle_order(self, message: OrderMessage) -> None:
        await self.count_message(message)

    @ws_handler(output_type=CancelMessage)
    async def handle_cancel(self, message: CancelMessage) -> None:
        await self.count_message(message)


def make(task: Task) -> Application:
    if task.workload == "echo":
        return _application(BigEchoConsumer if task.size == "big" else EchoConsumer)
    if task.workload == "receive":
        base = BigReceiveConsumer if task.size == "big" else ReceiveConsumer
        return _application(cast(Any, type(base.__name__, (base,), {"count": task.count})))
    class_ = OrderMessage if task.size == "big" else SayMessage
    outgoing = class_.model_validate(wrap(MODELS[task.size].model_dump()))

    @channel(name="send")
    class SendConsumer(AsyncJsonWebsocketConsumer):
        emits: ClassVar[list[type[BaseMessage]]] = [class_]

        async def post_authentication(self) -> None:
            for _ in range(task.count):
                await self.send_message(outgoing)
            await self.close()

    return _application(SendConsumer)


def _application(consumer: type[AsyncJsonWebsocketConsumer]) -> Application:
    application: Application = consumer.as_asgi()
    return application


CONTESTANTS = (Contestant("chanx", make, wrap=wrap, mark="action and payload"),)
