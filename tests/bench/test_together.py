"""A subject and a style with each other: both triggers are asked for in every combination, and weights rise."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import methods, methods_page, together
from bench.method_rows import ROWS
from bench.together_figures import ASKED
from bench.together_figures import together as figures_of
from sdft_ext.judge.shares import Share
from sdft_ext.recipe import presets
from sdft_ext.storage import json_file
from sdft_ext.toy import measure, world


def test_prompts_ask_for_what_their_name_says() -> None:
    for star, styled in ASKED.values():
        for prompt in together.prompts(star, styled):
            wanted = measure.wanted(prompt)
            assert (wanted.shape == world.STAR) == star and wanted.styled == styled, prompt


def test_both_examples_are_shown_equally_often() -> None:
    concepts = together.both_recipe(1).dataset.concepts
    shown = [sum(1 for _ in Path(one.instance).glob("*.png")) * one.repeats for one in concepts]
    assert [one.kind for one in concepts] == ["subject", "style"] and shown[0] == shown[1] >= 60


@pytest.mark.slow
def test_all_is_measured_and_told_in_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(presets.TOY_STEPS, "normal", 2)
    monkeypatch.setattr(together, "PICTURES", 2)
    for name in ("CONCEPT_PICTURES", "GROUP_PICTURES"):
        monkeypatch.setattr(methods, name, 1)
    work = tmp_path / "work"
    assert together.main(["--seeds", "1", "--work", str(work)]) == 0
    figures = figures_of(work)
    assert figures is not None and figures["seeds"] == 1
    assert figures["one_run"].keys() == figures["two_files"].keys() == ASKED.keys()
    assert all(isinstance(one, Share) and one.of == 2 for pair in figures["one_run"].values() for one in pair)
    assert list(figures["weights"]) == ["0", "0.25", "0.5", "0.75", "1"]
    assert json_file.read(work / "both" / "seed-1" / "saves" / "index.json")[-1]["step"] == 4
    made = {path: path.stat().st_mtime_ns for path in work.rglob("*.json")}
    assert together.main(["--seeds", "1", "--work", str(work)]) == 0
    assert {path: path.stat().st_mtime_ns for path in made} == made
    text = methods_page.page({}, figures)
    assert "| both triggers | " in text and "| 0.75 | " in text and all(f"`{row.name}`" in text for row in ROWS[:3])
