"""Write into docs/servers.md how servers differ, from the rows of the tests.

``python -m tests.e2e.differences``
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from tests.e2e.behaviours import BEHAVIOURS, HYPERCORN, UVICORN, Row
from tests.e2e.servers import SERVERS, ServerName
from tests.e2e.stopping import STOPS

__all__ = ["PAGE", "page_with_tables"]

PAGE: Final = Path(__file__).parents[2] / "docs" / "servers.md"
BEGIN: Final = "<!-- differences: python -m tests.e2e.differences -->\n"
END: Final = "<!-- end of differences -->\n"
MANY: Final = 3


class Difference(NamedTuple):
    """A fact that is not the same on all servers."""

    fact: str
    exceptions: str
    """What is seen on the servers that differ, and which these are."""
    case: str
    """The name of the row."""
    seen: str
    """What is seen on the other servers."""


def differences(rows: Mapping[str, Row]) -> Iterable[Difference]:
    """Yield each fact that is not the same on all servers."""
    for case, row in rows.items():
        for fact, seen in row.sees.items():
            others: dict[str, list[ServerName]] = {}
            for name in SERVERS:
                if (other := row.expected(name)[fact]) != seen:
                    others.setdefault(other, []).append(name)
            if others:
                exceptions = "; ".join(f"{named(names)}: `{other}`" for other, names in others.items())
                yield Difference(fact, exceptions, case, seen)


def named(names: list[ServerName]) -> str:
    """Return the names of servers, with all servers of one make under its name."""
    text = ", ".join(names)
    for make, of_make in (("uvicorn", UVICORN), ("hypercorn", HYPERCORN)):
        text = text.replace(", ".join(of_make), make)
    return text


def table(rows: Mapping[str, Row]) -> str:
    """Draw a table. Facts that differ in the same way share a row."""
    sorted_differences = sorted(differences(rows), key=lambda each: (each.fact, each.exceptions))
    drawn: list[tuple[int, str]] = []
    order = list(rows)
    for (fact, exceptions), group in groupby(sorted_differences, key=lambda each: (each.fact, each.exceptions)):
        alike = list(group)
        seen = list(dict.fromkeys(each.seen for each in alike))
        first = order.index(alike[0].case)
        cases = ", ".join(sorted({each.case for each in alike}, key=order.index))
        usual = ", ".join(f"`{each}`" for each in seen) if len(seen) <= MANY else "as sent"
        cells = (each.replace("|", r"\|") for each in (cases, fact, usual, exceptions))
        drawn.append((first, f"| {' | '.join(cells)} |"))
    lines = [line for _, line in sorted(drawn)]
    head = ["| case | observation | usually | except |", "|---|---|---|---|"]
    same = [case for case in rows if not any(each.case == case for each in sorted_differences)]
    footer = [f"\nThe same everywhere: {', '.join(same)}."] if same else []
    return "\n".join([*(head if lines else []), *lines, *footer]) + "\n"


def tables() -> str:
    """Draw all tables, one for each group."""
    groups: dict[str, dict[str, Row]] = {}
    for name, behaviour in BEHAVIOURS.items():
        groups.setdefault(behaviour.group, {})[name] = behaviour
    groups["servers that stop"] = dict(STOPS)
    return "\n".join(f"### {group.capitalize()}\n\n{table(rows)}" for group, rows in groups.items())


def page_with_tables() -> str:
    """Return the page with current tables."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{tables()}\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(page_with_tables())
