"""Delivery: the tasks that write the messages of outboxes to the members of a group.

One task writes to one member after the other for as long as no send waits. If a send waits, because the peer does not
read or because the server's ``send`` always waits, the task stays with that member, and other tasks continue with the
rest, twice as many in each turn of the event loop. An idle group has no task at all. A message to members whose servers
take everything at once needs one task, and not one for each member.
"""

from collections.abc import Iterable
from itertools import chain, islice
from operator import length_hint
from typing import Final

import anyio
import anyio.lowlevel

from typedws._groups.outbox import Outbox
from typedws._runtime.event_loop import interruptible, spawn
from typedws.close_codes import CloseCode
from typedws.exceptions import WebSocketDisconnect

__all__ = ["Delivery"]

_REASON: Final = "reads too slowly"

_MEMBERS_PER_TURN: Final = 256
"""The number of members that one task writes to before it yields to other tasks."""


class Delivery:
    """One pass over outboxes that were idle, shared by several tasks.

    The tasks draw from one iterator, so that no two of them ever write to the same member.
    """

    __slots__ = ("_outboxes", "_starting")

    def __init__(self, outboxes: Iterable[Outbox]) -> None:
        self._outboxes = iter(outboxes)
        self._starting = 0
        """The number of tasks that were started but have not run yet."""

    @property
    def remaining(self) -> int:
        """The number of outboxes that no task has taken yet."""
        # Exact, as it is asked of a list's iterator.
        return length_hint(self._outboxes)

    def start_tasks(self, count: int) -> None:
        """Start up to ``count`` more tasks, but not more than outboxes are left for them."""
        for _ in range(min(count, self.remaining - self._starting)):
            self._starting += 1
            spawn(self._write, count)

    async def _write(self, more: int) -> None:
        self._starting -= 1
        # The first task of a delivery starts no others, as it may suffice. If outboxes are left, it is stuck in a send:
        # then each new task starts two more. So with servers whose send always waits, the number of turns of the event
        # loop grows with the logarithm of the number of members.
        if more > 1:
            self.start_tasks(more)
        # This loop draws from the iterator that _write_from() advances too: it gets the outbox after those written.
        for outbox in self._outboxes:
            ended = await self._write_from(outbox)
            if ended is not None:
                await _end_membership(ended)
            elif self.remaining:
                # No send has waited: without this, a large group would block the event loop.
                await anyio.lowlevel.checkpoint()

    async def _write_from(self, outbox: Outbox) -> Outbox | None:
        """Write to members in turn, beginning with this one. Return the first that failed or must be removed."""
        try:
            # One interruption for up to 256 members, as one for each would cost time. They can share it because the
            # first cancellation ends the block. After an exception `outbox` is the member that failed.
            with interruptible() as interruption:
                for outbox in chain((outbox,), islice(self._outboxes, _MEMBERS_PER_TURN - 1)):  # noqa: B020
                    event = outbox.next
                    if event is None:  # The member has left since the call of send().
                        continue
                    outbox.writing = interruption
                    while event is not None:
                        await outbox.session.send_message(event)
                        outbox.sent += 1
                        outbox.next = event = None if outbox.is_idle else outbox.next_after_sent()
                    # The send completed although it was cancelled. The member has to be ended all the same, or its
                    # connection would never be closed for being slow.
                    if outbox.is_cancelled:
                        break
                    outbox.writing = None
                    if not outbox.is_idle:
                        outbox.release()
                else:
                    return None
        except WebSocketDisconnect:
            pass  # The handler's own receive() raises this, after the messages that are still queued.
        except Exception as error:  # noqa: BLE001 - raised at the end of the member's block
            outbox.end_block(error)
        except BaseException:
            # The event loop ends. The member's block waits, shielded, until this task stops writing: without the
            # release it would wait for ever.
            outbox.end()
            outbox.release()
            raise
        return outbox


async def _end_membership(outbox: Outbox) -> None:
    """Remove a member, and close its connection if it reads too slowly."""
    outbox.end()
    session = outbox.session
    try:
        if outbox.must_close and session.end is None:
            # Cancel the block first: the handler may be stuck in its own send, and the close would wait behind it.
            # The block sees its cancellation only once this task waits, so a close() in its `finally` comes after ours.
            outbox.end_block(None)
            end = await session.close(CloseCode.POLICY_VIOLATION, _REASON)
            outbox.count_closed()
            outbox.end_block(WebSocketDisconnect(end.code, end.reason, end.closed_by))
    finally:
        # Only now, as the block must not end before the connection is closed. And always: if the event loop ends during
        # the close, the block would wait for ever.
        outbox.release()
