"""A tally counts every kind of loss."""

from tests.e2e.tallies import Tally


def test_lost_doubled_reordered_and_unexpected_messages_are_counted() -> None:
    assert Tally.of("abcdef", "abcdef") == Tally(sent=6)
    assert Tally.of("abcdef", "acbddxf") == Tally(sent=6, lost=1, doubled=1, reordered=1, unexpected=1)
    assert Tally(1, 2, 3, 4, 5) + Tally(5, 4, 3, 2, 1) == Tally(6, 6, 6, 6, 6)
