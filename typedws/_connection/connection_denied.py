"""`ConnectionDenied`: the exception for a handshake that the server denied. No connection is made here."""

from http import HTTPStatus
from typing import Final

from pydantic import ValidationError

from typedws._contract.problem_documents import ProblemDocument
from typedws._http.headers import Headers
from typedws.exceptions import ConnectionFailed

__all__ = ["ConnectionDenied"]


_MAX_SHOWN: Final = 300


class ConnectionDenied(ConnectionFailed):
    """The server denied the opening handshake with an HTTP response: see ``status``, ``headers`` and ``body``."""

    def __init__(self, status: int, headers: Headers | None = None, body: bytes = b"") -> None:
        self.status: int = status
        self.headers: Headers = headers or Headers()
        self.body: bytes = body
        super().__init__(status, self.headers, body)

    @property
    def problem(self) -> ProblemDocument | None:
        """The problem document in the body (RFC 9457), or ``None`` if the body is something else."""
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/problem+json":
            return None
        try:
            return ProblemDocument.model_validate_json(self.body)
        except ValidationError:
            return None

    def __str__(self) -> str:
        sentence = f"the server denied the handshake with {self.status}"
        if self.status in HTTPStatus.__members__.values():
            sentence += f" ({HTTPStatus(self.status).phrase})"
        problem = self.problem
        return sentence if problem is None or problem.detail is None else f"{sentence}: {_shown(problem.detail)}"


def _shown(detail: str) -> str:
    """Return the beginning of a text from the server, without control characters: it may be printed to a terminal."""
    return "".join(character if character.isprintable() else " " for character in detail[:_MAX_SHOWN])
