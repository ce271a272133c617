"""Fixtures for tests in which the peer acts step by step, while the application runs."""

from typing import Any

import pytest

from tests.support import Peer


@pytest.fixture
def peer() -> Any:
    """Return a client whose events arrive when the test sends them."""
    peer = Peer()
    yield peer
    peer.close()


second_peer = peer  # for tests of two connections


@pytest.fixture
def fast_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check connections for the departure of their peer every 5 ms, so that no test waits for 300 ms and more."""
    monkeypatch.setattr("typedws._connection.read_ahead._PERIOD", 0.005)
