"""The dataset bench runs and writes its figures."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from bench.dataset import main, make_pictures
from bench.table import table
from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.plan import Plan
from sdft_ext.recipe import Concept, DatasetRecipe, TrainRecipe


def test_bench_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--counts", "12", "--json", str(tmp_path / "figures.json")]) == 0
    (figures,) = json.loads((tmp_path / "figures.json").read_text())
    assert figures["pictures"] == 12 and figures["first_batch_seconds"] > 0
    assert figures["cached_pictures_per_second"] > figures["cache_pictures_per_second"]
    assert "pictures" in capsys.readouterr().out


@pytest.mark.timed
def test_ten_thousand_pictures_to_the_first_batch_in_less_than_ten_seconds(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 10_000)
    recipe = DatasetRecipe(concepts=[Concept(instance=str(tmp_path / "pictures"))])
    started = time.perf_counter()
    plan = Plan(scan(recipe), recipe, TrainRecipe(batch_size=4))
    assert len(plan.samples(0)) == 4 and len(plan.scan.pictures) == 10_000
    assert time.perf_counter() - started < 10


def test_table() -> None:
    assert table(("name", "n"), [("a", 1), ("longer", 20)]).splitlines() == [
        "name     n",
        "------  --",
        "a        1",
        "longer  20",
    ]
