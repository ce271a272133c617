"""Names that stay apart: a lone name stays short, a shared one gets longer. What is named is not known here."""

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

__all__ = ["legal", "told_apart"]

K = TypeVar("K", bound=Hashable)


def told_apart(candidates: Mapping[K, Sequence[str]]) -> dict[K, str]:
    """Give each key the first of its names, from short to long, that it shares with no other; else its last.

    The order of the keys does not count: of those that share a name, all take their next.
    """
    place = dict.fromkeys(candidates, 0)
    while True:
        names = {key: candidates[key][at] for key, at in place.items()}
        times = Counter(map(str.casefold, names.values()))  # which files may be called by, anywhere
        sharing = [
            key for key, at in place.items() if times[names[key].casefold()] > 1 and at + 1 < len(candidates[key])
        ]
        if not sharing:
            return names
        for key in sharing:
            place[key] += 1


def legal(name: str) -> str:
    """Make a name that may be a key of AsyncAPI's, and of a file."""
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)
