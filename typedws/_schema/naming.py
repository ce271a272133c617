"""Unique names: a name stays short, and gets longer only if it is shared. Knows nothing of the things it names."""

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

__all__ = ["distinct_names", "legal"]

K = TypeVar("K", bound=Hashable)


def distinct_names(candidates: Mapping[K, Sequence[str]]) -> dict[K, str]:
    """Return for each key the first of its names that no other key has, else its last name.

    The order of the keys does not matter: when several keys share a name, all of them move on to their next name.

    :param candidates: the names of each key, from short to long
    """
    place = dict.fromkeys(candidates, 0)
    while True:
        names = {key: candidates[key][at] for key, at in place.items()}
        # Names become names of files, which some file systems compare without regard to case.
        times = Counter(map(str.casefold, names.values()))
        sharing = [
            key for key, at in place.items() if times[names[key].casefold()] > 1 and at + 1 < len(candidates[key])
        ]
        if not sharing:
            return names
        for key in sharing:
            place[key] += 1


def legal(name: str) -> str:
    """Return a name with ``_`` for every character that an AsyncAPI key or a file name may not have."""
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)
