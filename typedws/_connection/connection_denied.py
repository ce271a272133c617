"""`ConnectionDenied`: what a client gets instead of a connection. Nothing is connected here."""

from http import HTTPStatus
from typing import Final

from pydantic import ValidationError

from typedws._contract.problem_documents import ProblemDocument
from typedws._http.headers import Headers
from typedws.exceptions import ConnectionFailed

__all__ = ["ConnectionDenied"]


_MOST_SHOWN: Final = 300


class ConnectionDenied(ConnectionFailed):
    """The server denied the opening handshake with an HTTP response: its ``status``, ``headers`` and ``body``."""

    def __init__(self, status: int, headers: Headers | None = None, body: bytes = b"") -> None:
        self.status: int = status
        self.headers: Headers = headers or Headers()
        self.body: bytes = body
        super().__init__(status, self.headers, body)

    @property
    def problem(self) -> ProblemDocument | None:
        """The problem document that is the body (RFC 9457); ``None`` where it is none."""
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/problem+json":
            return None
        try:
            return ProblemDocument.model_validate_json(self.body)
        except ValidationError:
            return None

    def __str__(self) -> str:
        told = f"expected an accepted connection, found it denied with {self.status}"
        if self.status in HTTPStatus.__members__.values():
            told += f" ({HTTPStatus(self.status).phrase})"
        problem = self.problem
        return told if problem is None or problem.detail is None else f"{told}: {_shown(problem.detail)}"


def _shown(detail: str) -> str:
    """Give the beginning of what a server wrote, with nothing in it that moves a cursor."""
    return "".join(each if each.isprintable() else " " for each in detail[:_MOST_SHOWN])
