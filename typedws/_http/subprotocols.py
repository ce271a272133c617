"""Subprotocol negotiation: reading an offer and the token in it, and choosing a subprotocol and its mode. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from typedws.exceptions import UnknownSubprotocol

__all__ = ["BEARER", "Offer", "choose_subprotocol", "read_offer"]

M = TypeVar("M")

BEARER: Final = "bearer"
"""The name that marks the next one as a token. Browsers cannot send headers, so web pages offer this pair instead."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A client's offer: subprotocol names in its order of preference, and apart from them a token and its marker."""

    names: tuple[str, ...]
    marker: str | None = None
    token: str | None = None


def read_offer(subprotocols: Sequence[str]) -> Offer:
    """Return the offer with its first pair of marker and token taken out of the names."""
    # Not the last name: a marker without a token behind it is an ordinary name.
    for index, name in enumerate(subprotocols[:-1]):
        if name.lower() == BEARER:
            rest = (*subprotocols[:index], *subprotocols[index + 2 :])
            return Offer(rest, name, subprotocols[index + 1])
    return Offer(tuple(subprotocols))


def choose_subprotocol(subprotocols: Sequence[str], modes: Mapping[str, M]) -> tuple[str | None, M | None]:
    """Return the first offered subprotocol that selects a mode, and the mode; else a token's marker, and ``None``.

    :raises UnknownSubprotocol: if all offered subprotocols are unknown
    """
    if not subprotocols:
        return None, None
    offer = read_offer(subprotocols)
    for name in offer.names:
        if name in modes:
            return name, modes[name]
    if offer.names:
        raise UnknownSubprotocol(modes)
    return offer.marker, None
