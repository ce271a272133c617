"""Checking that a frame can carry a text, which must be encodable as UTF-8. No I/O."""

from typing import Final

from typedws.exceptions import UnsendableMessage

__all__ = ["ENCODABLE_TEXT", "check_text", "surrogate_in"]

ENCODABLE_TEXT: Final = "text that UTF-8 can encode"
"""What an error says was expected instead of a lone surrogate."""


def check_text(text: str) -> None:
    """Raise if UTF-8 cannot encode a text, so that no frame can carry it.

    :raises UnsendableMessage: with the index of the lone surrogate
    """
    if (index := surrogate_in(text)) is not None:
        raise UnsendableMessage(ENCODABLE_TEXT, f"a lone surrogate at index {index}")


def surrogate_in(text: str) -> int | None:
    """Return the index of the first lone surrogate, or ``None``."""
    # Python stores whether a text is ASCII, so ASCII text needs no search. Only lone surrogates fail to encode.
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return error.start
    return None
