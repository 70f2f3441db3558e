"""A user's folder as version 0.1.0 left it, and a desk and a page that open it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from sdft_ext.desk import Desk
from tests.api.conftest import our_page
from tests.compatibility.earlier import unpack
from tests.desk import setting


@pytest.fixture
def home(data: Path, tmp_path: Path) -> Path:
    """``runs``, ``pictures``, ``models``, ``recipes`` and ``base.safetensors``."""
    return unpack(data, tmp_path / "home")


@pytest.fixture
def desk(home: Path) -> Iterator[Desk]:
    opened = setting.desk(home, home / "runs")
    yield opened
    opened.close()


@pytest.fixture
def client(desk: Desk) -> TestClient:
    return our_page(desk)
