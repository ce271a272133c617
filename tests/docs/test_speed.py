"""The speed tables in the README are drawn from the measurements in `bench/results`."""

from pathlib import Path

import pytest

from bench.quoted import tables

README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.partition(" |")[0].strip("| "))
def test_every_table_is_drawn_from_the_results(table: str) -> None:
    assert table in README, "python -m bench.quoted draws it"
