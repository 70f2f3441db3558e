"""A sample of the bench of altered copies: hard kinds are found, and other poses of one subject aren't copies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import copies
from bench.copies import ALTERATIONS, QUARTER

HARD = (
    "mirrored, cropped, JPEG",
    "padded",
    "grey",
    "rotated 2°",
    "logo added",
    "darkened × 0.7",
    "rotated 90°",
    QUARTER,
)


def test_altered_copies_of_the_hard_kinds_are_found(tmp_path: Path) -> None:
    taken = copies.photographs(tmp_path / "photographs")
    some = [taken[number] for number in (0, 4, 6, 18)]  # an astronaut, a cat, a cup, a temple
    drawn = copies.drawings(3)
    found = copies.find_copies([*some, *drawn], HARD, tmp_path / "work")
    assert [row["kind"] for row in found] == list(HARD) and len(ALTERATIONS) == 17
    missed = {row["kind"]: row["copies"] - row["found"] for row in found if row["found"] < row["copies"]}
    assert sum(missed.values()) <= 2 and set(missed.values()) <= {1}, missed
    assert all(row["false"] == 0 for row in found)


def test_one_subject_in_other_poses_is_no_copy(tmp_path: Path) -> None:
    taken = copies.photographs(tmp_path / "photographs")
    found = copies.false_finds(copies.bursts([taken[4], taken[18]], poses=6), tmp_path / "work")
    assert found["pictures"] == 10 * 6 and found["false"] <= 1, found


def test_the_figures_are_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"kind": "mirrored", "copies": 20, "found": 19, "false": 0}
    figures = {"photographs": [row], "drawings": [row], "bursts": {"pictures": 552, "false": 1, "bursts": ["toy ring"]}}
    copies.show_figures(figures, str(tmp_path / "figures.json"))
    printed = capsys.readouterr().out
    assert "19 of 20" in printed and "1 of 552 pictures taken for copies: toy ring" in printed
    assert json.loads((tmp_path / "figures.json").read_text()) == figures
