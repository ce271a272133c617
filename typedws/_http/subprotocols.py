"""Which subprotocol answers an offer, and which mode it stands for; a token in the offer is taken out first. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from typedws.exceptions import UnknownSubprotocol

__all__ = ["BEARER", "Choice", "Offer", "choose", "read_offer"]

M = TypeVar("M")

BEARER: Final = "bearer"
"""The name that marks the next one as a token: browsers can send no header, so that people send this pair."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a client offers: names of subprotocols in its order of preference, and apart from them a token."""

    names: tuple[str, ...]
    marker: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Choice(Generic[M]):
    """What answers an offer: a subprotocol, if any, and the mode that it stands for, if it stands for one."""

    subprotocol: str | None
    mode: M | None


def read_offer(subprotocols: Sequence[str]) -> Offer:
    """Take the pair of marker and token out of an offer; the first pair counts."""
    for place, name in enumerate(subprotocols[:-1]):
        if name.lower() == BEARER:
            rest = (*subprotocols[:place], *subprotocols[place + 2 :])
            return Offer(rest, name, subprotocols[place + 1])
    return Offer(tuple(subprotocols))


def choose(subprotocols: Sequence[str], modes: Mapping[str, M]) -> Choice[M]:
    """Choose the first offered subprotocol that stands for a mode; the marker of a token where nothing else is offered.

    :raises UnknownSubprotocol: for an offer of only unknown ones
    """
    if not subprotocols:
        return _NONE
    offer = read_offer(subprotocols)
    for name in offer.names:
        if name in modes:
            return Choice(name, modes[name])
    if offer.names:
        raise UnknownSubprotocol(modes)
    return Choice(offer.marker, None)


_NONE: Final[Choice[Any]] = Choice(None, None)
