"""What all kinds share: a time limit that also ends what waits forever, and imports that don't count for one kind."""

from __future__ import annotations

import importlib

import pytest

HEAVY = ("picklescan.scanner", "diffusers", "transformers", "peft", "scipy.fft", "sdft_ext.tools.merge", "sdft_ext.run")
SECONDS = 120
"""Of one test, by the clock, on a busy computer."""


@pytest.fixture(autouse=True, scope="session")
def imports() -> None:
    """Import the heavy packages once."""
    for name in HEAVY:
        importlib.import_module(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/kinds/" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(SECONDS))
