"""Subprotocol negotiation: reading an offer and the token in it, and choosing a subprotocol and its mode. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from typedws.exceptions import UnknownSubprotocol

__all__ = ["BEARER", "Choice", "Offer", "choose", "read_offer"]

M = TypeVar("M")

BEARER: Final = "bearer"
"""The name that marks the next one as a token. Browsers cannot send headers, so web pages offer this pair instead."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A client's offer: subprotocol names in its order of preference, and apart from them a token and its marker."""

    names: tuple[str, ...]
    marker: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Choice(Generic[M]):
    """The answer to an offer: a subprotocol, if any, and the mode that it selects, if any."""

    subprotocol: str | None
    mode: M | None


def read_offer(subprotocols: Sequence[str]) -> Offer:
    """Return the offer with its first pair of marker and token taken out of the names."""
    # Not the last name: a marker without a token behind it is an ordinary name.
    for index, name in enumerate(subprotocols[:-1]):
        if name.lower() == BEARER:
            rest = (*subprotocols[:index], *subprotocols[index + 2 :])
            return Offer(rest, name, subprotocols[index + 1])
    return Offer(tuple(subprotocols))


def choose(subprotocols: Sequence[str], modes: Mapping[str, M]) -> Choice[M]:
    """Return the first offered subprotocol that selects a mode, or a token's marker if nothing else is offered.

    :raises UnknownSubprotocol: if all offered subprotocols are unknown
    """
    if not subprotocols:
        return _NO_OFFER
    offer = read_offer(subprotocols)
    for name in offer.names:
        if name in modes:
            return Choice(name, modes[name])
    if offer.names:
        raise UnknownSubprotocol(modes)
    return Choice(offer.marker, None)


_NO_OFFER: Final[Choice[Any]] = Choice(None, None)
