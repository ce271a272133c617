"""Patterns (ECMA-262) of the texts that pydantic reads and writes for values that JSON has no type for."""

from collections.abc import Mapping
from typing import Final

__all__ = ["BASE64", "DATE_TIME", "DURATION", "HEX", "NAMES", "TIME", "uuid_of_version"]

# Years start at 1: Python has no year 0. Days of a month are not checked: 2024-02-31 matches.
_DATE: Final = "(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
_OFFSET: Final = "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"

DATE_TIME: Final = f"^{_DATE}T{_CLOCK}{_OFFSET}?$"
"""Unlike RFC 3339's ``date-time``, the offset is optional."""
TIME: Final = f"^{_CLOCK}{_OFFSET}?$"
"""Unlike RFC 3339's ``full-time``, the offset is optional."""
DURATION: Final = (
    "^[+-]?P(?=[0-9T])(?:[0-9]{1,7}Y)?(?:[0-9]{1,7}M)?(?:[0-9]{1,7}W)?(?:[0-9]{1,7}D)?"
    r"(?:T(?=[0-9])(?:[0-9]{1,7}H)?(?:[0-9]{1,7}M)?(?:[0-9]{1,7}(?:\.[0-9]{1,6})?S)?)?$"
)
"""Unlike RFC 3339's ``duration``, it may have a sign, fractions of a second, and weeks next to days."""

_64: Final = "[A-Za-z0-9_-]"
# The last character before the padding carries unused bits. They must be zero (RFC 4648 section 3.5), which leaves
# these characters.
BASE64: Final = f"^(?:{_64}{{4}})*(?:{_64}[AQgw]==|{_64}{{2}}[AEIMQUYcgkosw048]=)?$"
"""RFC 4648 section 5, with padding, as pydantic writes it."""
HEX: Final = "^(?:[0-9a-fA-F]{2})*$"

NAMES: Final[Mapping[str, str]] = {
    "boolean": "^(?:true|false)$",
    "integer": "^-?[0-9]+$",
    "number": r"^-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$",
}
"""The patterns of a mapping's keys, which are text in JSON, by the JSON type of the same value outside a key."""


def uuid_of_version(version: str) -> str:
    """Return the pattern of the UUIDs of one version (RFC 9562 section 4.2)."""
    return f"^[0-9a-fA-F]{{8}}-[0-9a-fA-F]{{4}}-{version}[0-9a-fA-F]{{3}}-[89abAB][0-9a-fA-F]{{3}}-[0-9a-fA-F]{{12}}$"
