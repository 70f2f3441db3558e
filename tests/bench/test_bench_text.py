"""The bench of text counts what is found, what isn't there, and findings; it prints and writes its figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench import copies, text


def test_kinds_and_false_finds_are_counted(tmp_path: Path) -> None:
    drawn = [copies.scene(np.random.default_rng(seed)) for seed in range(2)]
    rows = text.find_kinds(drawn, 2, seed=0)
    assert [row["kind"] for row in rows] == list(text.KINDS) and {row["pictures"] for row in rows} == {4}
    assert sum(row["found"] for row in rows) >= 14, rows
    assert text.false_finds(drawn) == {"pictures": 2, "false": 0}
    rng = np.random.default_rng(0)
    lettered = [text.KINDS["sentence burned in"](copies.scene(np.random.default_rng(seed)), rng) for seed in range(6)]
    plain = [copies.scene(np.random.default_rng(seed)) for seed in range(20, 26)]
    found = text.false_findings([("lettered", lettered), ("plain", plain)], tmp_path)
    assert found == {"sets": 2, "false": 1, "names": ["lettered"]}


def test_the_figures_are_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = [{"kind": "watermark", "pictures": 20, "found": 19}]
    figures = {
        "photographs": row,
        "drawings": row,
        "false": {"drawings": {"pictures": 200, "false": 2}},
        "findings": {"sets": 44, "false": 1, "names": ["toy ring"]},
        "own": {"pictures": 5, "false": 1, "kinds": [{"kind": "watermark", "pictures": 5, "found": 4}]},
    }
    text.show_figures(figures, str(tmp_path / "figures.json"))
    printed = capsys.readouterr().out
    assert "19 of 20" in printed and "4 of 5" in printed and "2 of 200" in printed and "1 of 44" in printed
    assert "toy ring" in printed and json.loads((tmp_path / "figures.json").read_text()) == figures
