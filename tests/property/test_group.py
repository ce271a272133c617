"""Whichever members join, leave, stall or fail: each receives its messages in order, and missed ones are counted.

A plan is a list of steps against one group, each with a number that selects a member or a repetition. The model is a
list for each member: the messages that were sent to the group while it was a member.
"""

from contextlib import suppress
from typing import Any, get_args

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.support import CONNECT, AnyWebSocket, Event, scope
from typedws._groups.group import Group, Member
from typedws._groups.outbox import Overflow
from typedws.exceptions import WebSocketDisconnect
from typedws.websockets import WebSocket

pytestmark = pytest.mark.anyio

thorough = settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

KEYS = 3
STEPS = (
    "join send send send send_to send_all_but stall stall stall_all resume leave fall fail cancel settle turn".split()
)


class Failure(Exception):
    pass


class Client:
    """One connection, its handler, and its model: the messages sent to the group while it was a member."""

    def __init__(self, *, pauses: bool) -> None:
        self.sent: list[int] = []
        self.received: list[int] = []
        self.member: Member | None = None
        self.may_miss_messages = False
        """Whether it may have lost messages for another reason than the policy: it failed, or its handler did."""
        self._pauses = pauses
        self._may_read = anyio.Event()
        self._may_read.set()
        self._is_lost = False
        self._leaves = anyio.Event()

    def stall(self) -> None:
        if self._may_read.is_set():
            self._may_read = anyio.Event()

    def resume(self) -> None:
        self._may_read.set()

    def fail(self) -> None:
        self.may_miss_messages = self._is_lost = True
        self.resume()

    def fall(self) -> None:
        self.may_miss_messages = True
        self._leaves.set()

    def leave(self) -> None:
        self.resume()  # Otherwise leaving would take five seconds.
        self._leaves.set()

    async def receive(self) -> Event:
        return CONNECT

    async def send(self, message: Event) -> None:
        if message["type"] != "websocket.send":
            return
        if self._pauses:
            await anyio.lowlevel.checkpoint()
        while not self._may_read.is_set():
            await self._may_read.wait()
        if self._is_lost:
            raise OSError
        self.received.append(int(message["text"]))

    async def attend(self, group: Group[int], ws: AnyWebSocket) -> None:
        with suppress(Failure, WebSocketDisconnect):
            async with group.joined(ws) as self.member:
                await self._leaves.wait()
                if self.may_miss_messages:
                    raise Failure


class Run:
    """A group, all connections that have been in it, and the running sends."""

    def __init__(self, policy: Overflow, max_pending: int) -> None:
        self.policy = policy
        self.group: Group[int] = Group(
            max_pending=max_pending, on_overflow=policy, key=key_of if policy == "conflate" else None
        )
        self.clients: dict[AnyWebSocket, Client] = {}
        self.sent = 0
        self.cancels: list[anyio.CancelScope] = []
        self.is_any_cancelled = False
        self.senders = 0

    async def step(self, tasks: Any, name: str, number: int) -> None:
        sockets = [*self.clients]
        ws = sockets[number % len(sockets)] if sockets else None
        if name in ("settle", "turn"):
            for _ in range(10 if name == "settle" else 1):
                await anyio.lowlevel.checkpoint()
        elif name == "join":
            await self.join(tasks, pauses=bool(number % 2))
        elif name == "cancel":
            self.is_any_cancelled = True
            for cancel in self.cancels:
                cancel.cancel()
        elif name == "send":
            for _ in range(number + 1):
                await tasks.start(self.send, {})
        elif name == "stall_all":
            for client in self.clients.values():
                client.stall()
        elif ws is not None and name == "send_to":
            await tasks.start(self.send, {"to": [ws]})
        elif ws is not None and name == "send_all_but":
            await tasks.start(self.send, {"exclude": ws})
        elif ws is not None:
            getattr(self.clients[ws], name)()

    async def join(self, tasks: Any, *, pauses: bool) -> None:
        client = Client(pauses=pauses)
        ws = WebSocket[Any, int](scope(), client.receive, client.send)
        await ws.accept()
        self.clients[ws] = client
        tasks.start_soon(client.attend, self.group, ws)

    async def send(self, recipients: dict[str, Any], *, task_status: anyio.abc.TaskStatus[None]) -> None:
        number = self.sent
        self.sent += 1
        expected = [ws for ws in self.group if ws in recipients.get("to", [ws]) and ws is not recipients.get("exclude")]
        for ws in expected:
            self.clients[ws].sent.append(number)  # type: ignore[index] # all are of this test
        self.cancels.append(anyio.CancelScope())
        task_status.started()
        self.senders += 1
        with self.cancels[-1]:
            assert await self.group.send(number, **recipients) <= len(expected)
        self.senders -= 1

    def check(self, client: Client) -> None:
        """Assert what the policy promises for a member that has left."""
        member, sent, received = client.member, client.sent, client.received
        assert member is not None
        assert member.pending == 0
        assert member.sent == len(received)
        assert member.sent + member.dropped <= len(sent)
        # A sender that is cancelled while it waits for room withdraws its message.
        is_withdrawn = self.policy == "block" and self.is_any_cancelled
        if not is_withdrawn:
            assert member.sent + member.dropped == len(sent), "all are counted"
        if self.policy == "conflate":
            for key in range(KEYS):
                of_key = [number for number in sent if key_of(number) == key]
                assert is_in_order([number for number in received if key_of(number) == key], of_key)
        else:
            assert is_in_order(received, sent)
        if self.policy in ("close", "block") and not is_withdrawn:
            assert received == sent[: len(received)], "there is no gap"
        if self.policy == "drop_oldest" and not client.may_miss_messages:
            assert received[-1:] == sent[-1:], "the last one is never dropped"

    def check_all(self) -> None:
        for client in self.clients.values():
            if client.member is not None:
                self.check(client)
        counted = self.group.statistics
        members = [client.member for client in self.clients.values() if client.member is not None]
        assert (counted.members, counted.pending, len(self.group)) == (0, 0, 0)
        assert counted.sent == sum(member.sent for member in members)
        assert counted.dropped == sum(member.dropped for member in members)
        event(f"{self.policy}: {'some' if counted.dropped else 'none'} dropped, {bool(counted.closed)} closed")


def key_of(number: int) -> int:
    return number % KEYS


def is_in_order(received: list[int], sent: list[int]) -> bool:
    """Whether all received messages were sent, in this order."""
    rest = iter(sent)
    return all(number in rest for number in received)


@given(
    st.sampled_from(get_args(Overflow)),
    st.integers(1, 3),
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 5)), min_size=5, max_size=60),
)
@thorough
async def test_each_member_receives_its_messages_in_order_and_missed_ones_are_counted(
    policy: Overflow, max_pending: int, steps: list[tuple[str, int]]
) -> None:
    run = Run(policy, max_pending)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for name, number in [("join", 0), ("join", 1), ("settle", 0), *steps]:
                await run.step(tasks, name, number)
            for client in run.clients.values():
                client.resume()
            while run.senders:  # Those that wait for room get it now.
                await anyio.lowlevel.checkpoint()
            for client in run.clients.values():
                client.leave()
    run.check_all()
