"""What becomes of numbered messages: how many are lost, doubled, reordered, or come without having been sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

__all__ = ["Tally"]


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of messages, which add up."""

    sent: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    unasked: int = 0

    @classmethod
    def of(cls, sent: Sequence[object], heard: Sequence[object]) -> Self:
        """Compare what was sent, each message once, with what was heard of it."""
        places = {message: place for place, message in enumerate(sent)}
        known = [places[message] for message in heard if message in places]
        return cls(
            sent=len(sent),
            lost=len(places) - len(set(known)),
            doubled=len(known) - len(set(known)),
            reordered=sum(later < earlier for earlier, later in pairwise(known)),
            unasked=len(heard) - len(known),
        )

    def __add__(self, other: Self) -> "Tally":
        return Tally(
            self.sent + other.sent,
            self.lost + other.lost,
            self.doubled + other.doubled,
            self.reordered + other.reordered,
            self.unasked + other.unasked,
        )
