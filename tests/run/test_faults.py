"""A sample of ``python -m bench faults``: kills and failing disks at moments spread over a run."""

from __future__ import annotations

import os

import pytest

from bench.faults import measure

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL and a fork server")


@pytest.mark.slow
@pytest.mark.parametrize(("method", "seed"), [("lora", 1), ("textual_inversion", 2), ("full", 3)])
def test_runs_end_alike_whatever_hits_them(method: str, seed: int) -> None:
    found = measure(method, kills=3, errors=3, seed=seed)
    assert found["ends_alike"] == found["runs"] == 6 and found["touches"] > 100
