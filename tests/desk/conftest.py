"""The data of tiny runs, made once, and a desk for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sdft_ext.desk import Desk
from tests.desk import setting


@pytest.fixture
def desk(data: Path, tmp_path: Path) -> Iterator[Desk]:
    made = setting.desk(data, tmp_path / "runs")
    yield made
    made.close()
