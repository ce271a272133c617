"""Delivery: the tasks that write what outboxes hold, one member after the other for as long as no send waits.

Where a send waits, for a peer that does not read or a server that always does, the task stays with that member, and
other tasks go on with the rest, twice as many each time. A group at rest has no task at all, and one whose servers take
everything at once needs one for a message, not one for a member.
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

_AT_A_TIME: Final = 256
"""How many members hear a message before other tasks have their turn."""


class Delivery:
    """One way through outboxes that were at rest; each of them is one task's at a time."""

    __slots__ = ("_coming", "_rest")

    def __init__(self, outboxes: Iterable[Outbox]) -> None:
        self._rest = iter(outboxes)
        self._coming = 0
        """How many tasks have not begun yet."""

    @property
    def remaining(self) -> int:
        """How many outboxes no task has come to yet."""
        return length_hint(self._rest)

    def spread(self, tasks: int) -> None:
        """Let so many more tasks write, if there is something left for them."""
        for _ in range(min(tasks, self.remaining - self._coming)):
            self._coming += 1
            spawn(self._write, tasks)

    async def _write(self, others: int) -> None:
        self._coming -= 1
        if others > 1:
            self.spread(others)
        for outbox in self._rest:
            stopped = await self._write_from(outbox)
            if stopped is not None:
                await _end(stopped)
            elif self.remaining:
                await anyio.lowlevel.checkpoint()

    async def _write_from(self, outbox: Outbox) -> Outbox | None:
        """Write to this member, and to one after the other; give the first that can or shall hear no more."""
        try:
            with interruptible() as interruption:
                for outbox in chain((outbox,), islice(self._rest, _AT_A_TIME - 1)):  # noqa: B020 - it goes on
                    event = outbox.next
                    if event is None:  # it has left
                        continue
                    outbox.writing = interruption
                    while event is not None:
                        await outbox.session.send_message(event)
                        outbox.sent += 1
                        outbox.next = event = None if outbox.is_idle else outbox.following()
                    if outbox.is_cancelled:
                        break
                    outbox.writing = None
                    if not outbox.is_idle:
                        outbox.release()
                else:
                    return None
        except WebSocketDisconnect:
            pass  # whoever receives will be told, after what the peer said before
        except Exception as error:  # noqa: BLE001 - it is raised where the block ends
            outbox.end_block(error)
        except BaseException:  # the event loop ends
            outbox.end()
            outbox.release()
            raise
        return outbox


async def _end(outbox: Outbox) -> None:
    """Let a member be one no more; close its connection where it reads too slowly."""
    outbox.end()
    session = outbox.session
    try:
        if outbox.must_close and session.end is None:
            # The block first: it may be what blocks a close. What it does to the connection then comes after this one.
            outbox.end_block(None)
            end = await session.close(CloseCode.POLICY_VIOLATION, _REASON)
            outbox.closed()
            outbox.end_block(WebSocketDisconnect(end.code, end.reason, end.closed_by))
    finally:
        outbox.release()
