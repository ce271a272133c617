"""What happens to numbered messages: how many are lost, doubled, reordered, or received without having been sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

__all__ = ["Tally"]


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of messages. Tallies can be added."""

    sent: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    unexpected: int = 0

    @classmethod
    def of(cls, sent: Sequence[object], received: Sequence[object]) -> Self:
        """Compare the sent messages, each of them sent once, with the received ones."""
        positions = {message: position for position, message in enumerate(sent)}
        known = [positions[message] for message in received if message in positions]
        return cls(
            sent=len(sent),
            lost=len(positions) - len(set(known)),
            doubled=len(known) - len(set(known)),
            reordered=sum(later < earlier for earlier, later in pairwise(known)),
            unexpected=len(received) - len(known),
        )

    def __add__(self, other: Self) -> "Tally":
        return Tally(
            self.sent + other.sent,
            self.lost + other.lost,
            self.doubled + other.doubled,
            self.reordered + other.reordered,
            self.unexpected + other.unexpected,
        )
