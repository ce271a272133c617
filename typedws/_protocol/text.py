"""Text as frames carry it: it must be encodable as UTF-8. Nothing is encoded here."""

from typing import Final

from typedws.exceptions import UnsendableMessage

__all__ = ["ENCODABLE_TEXT", "check_text", "surrogate_in"]

ENCODABLE_TEXT: Final = "text that UTF-8 can encode"
"""What is expected where a lone surrogate is found."""


def check_text(text: str) -> None:
    """Refuse text that UTF-8 cannot encode, and so no frame can carry.

    :raises UnsendableMessage: naming where the lone surrogate is
    """
    if (index := surrogate_in(text)) is not None:
        raise UnsendableMessage(ENCODABLE_TEXT, f"a lone surrogate at index {index}")


def surrogate_in(text: str) -> int | None:
    """Return the index of the first lone surrogate, or ``None``."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return error.start
    return None
