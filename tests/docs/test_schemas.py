"""The files in ``schemas/`` say what the code says."""

from schemas.__main__ import stale


def test_the_schemas_are_those_of_the_code() -> None:
    assert stale() == [], "run make schemas"
