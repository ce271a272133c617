"""`reconnecting`: which connections the loop gets, when, and what is told of it; the network is scripted."""

import pytest

pytestmark = pytest.mark.anyio
