"""Measure: more control pictures of a run that has ended, and numbers and a verdict by all of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from sdft_ext.control import RunControl
from sdft_ext.judge.judge import Judge
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import draw_more, train
from sdft_ext.run.more_pictures import MORE, PLAN, why_not
from sdft_ext.run_folder import log, verdict
from sdft_ext.run_folder.saves import existing
from sdft_ext.storage import json_file
from sdft_ext.watch.controls import Controls
from sdft_ext.watch.painter import Painter
from tests.run import tiny

PROMPTS = (
    'watch.concept_prompts=["a sks cat", "a red sks cat", "sks cat"]',
    'watch.bleeding_prompts=["a cat", ""]',
)
JUDGED = ("train.length=4", "save.every=2", "watch.judge=true", "watch.pictures=3", *PROMPTS)


def trained(data: Path, tmp_path: Path, *settings: str) -> Path:
    result = train(tiny.recipe(data, tmp_path, *JUDGED, *settings), folder=tmp_path / "run", quiet=True)
    assert result.outcome == "finished", result.message
    return result.folder


def measure(folder: Path, pictures: int, control: RunControl | None = None) -> Path | None:
    MORE.request(folder, pictures=pictures)
    return draw_more(folder, control=control, quiet=True)


def pictures(folder: Path) -> dict[str, bytes]:
    found = (folder / "controls").glob("*/*/step-*.png")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def rest(folder: Path) -> dict[str, bytes]:
    """Everything by which a run's numbers are known."""
    names = ("recipe.yaml", "controls/index.json", "log.jsonl", "report.md", *(f"judge/{one}" for one in SEEN))
    return {name: (folder / name).read_bytes() for name in names}


SEEN = ("verdict.json", "step-000000.npz", "step-000002.npz", "step-000004.npz", "dataset.npz")


def numbers(folder: Path) -> list[dict[str, Any]]:
    recipe = recipe_file.read(folder / "recipe.yaml")
    return [
        {"step": one.step, **one.plain()} for one in Judge(folder, recipe, Controls(folder, recipe.watch)).all_numbers()
    ]


def counts(folder: Path) -> list[tuple[int, int]]:
    return [(one["learned"][1], one["bleeding"][1]) for one in numbers(folder)]


def seeds(folder: Path) -> dict[tuple[str, int, str], int]:
    index = json_file.read(folder / "controls" / "index.json")
    return {(one["set"], one["number"], one["prompt"]): one["seed"] for one in index["prompts"]}


def test_more_pictures_change_the_counts_and_the_first_ones_stay(data: Path, tmp_path: Path) -> None:
    folder = trained(data, tmp_path)
    before, first, status = pictures(folder), seeds(folder), json_file.read(folder / "status.json")
    assert counts(folder) == [(3, 4)] * 3
    assert measure(folder, 8) == folder / "controls", json_file.read(folder / "status.json")
    assert counts(folder) == [(9, 8)] * 3
    after, now = pictures(folder), seeds(folder)
    assert {name: after[name] for name in before} == before and len(after) == 3 * 17
    assert {place: now[place] for place in first} == first
    assert len(set(now.values())) == len(now) == 17, "no seed is used twice"
    assert json_file.read(folder / "controls" / "index.json")["steps"] == [0, 2, 4]
    assert not any("steps" in one for one in json_file.read(folder / "controls" / "index.json")["prompts"])
    assert recipe_file.read(folder / "recipe.yaml").watch.pictures == 8
    judged = [line for line in log.read(folder) if line.get("event") == "judged"]
    assert [(line["step"], line["learned"][1]) for line in judged] == [(0, 3), (2, 3), (4, 3), (0, 9), (2, 9), (4, 9)]
    assert verdict.read(folder)["judged"]["learned"][1] == 9
    assert json_file.read(folder / "status.json")["state"] == status["state"] == "finished"
    assert not (folder / "controls" / PLAN).exists() and not MORE.requested(folder)
    assert measure(folder, 12) is not None and counts(folder) == [(12, 12)] * 3


def test_each_save_and_the_base_model_draw_their_own_pictures(data: Path, tmp_path: Path) -> None:
    """With the same prompt and seed as a picture of the run, a save draws that picture again."""
    folder = trained(data, tmp_path, "method.name=full")
    lost = [folder / "controls" / "concept" / "01" / f"step-{step:06d}.png" for step in (0, 2, 4)]
    assert measure(folder, 8) is not None
    new = [folder / "controls" / "concept" / "05" / path.name for path in lost]
    assert len({path.read_bytes() for path in new}) == 3


def test_a_stopped_request_changes_nothing_and_ends_as_one_in_one_go(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained(data, tmp_path)
    shutil.copytree(folder, tmp_path / "once")
    unchanged, first, control, draw = rest(folder), pictures(folder), RunControl(), Painter.draw

    def stopping(self: Painter, *arguments: Any) -> Any:
        if len(pictures(folder)) > len(first):
            control.stop()
        return draw(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Painter, "draw", stopping)
        assert measure(folder, 8, control) is None
    half = pictures(folder)
    assert len(first) < len(half) < 3 * 17 and rest(folder) == unchanged and not MORE.requested(folder)
    drawn = {name: (folder / name).stat().st_mtime_ns for name in half}
    assert measure(folder, 8) is not None
    assert {name: (folder / name).stat().st_mtime_ns for name in half} == drawn, "nothing is drawn twice"
    assert measure(tmp_path / "once", 8) is not None
    assert pictures(folder) == pictures(tmp_path / "once") and numbers(folder) == numbers(tmp_path / "once")
    assert seeds(folder) == seeds(tmp_path / "once")
    assert verdict.read(folder) == verdict.read(tmp_path / "once")


def test_pictures_of_another_request_are_drawn_anew(data: Path, tmp_path: Path) -> None:
    """Of sets with different numbers of prompts, a larger request may give the same picture another seed."""
    folder = trained(data, tmp_path)
    stale = folder / "controls" / "concept" / "05" / "step-000002.png"
    stale.parent.mkdir()
    stale.write_bytes(b"of another request")
    assert measure(folder, 6) is not None
    assert stale.read_bytes().startswith(b"\x89PNG")


def test_pictures_of_deleted_saves_stay_and_are_not_counted(data: Path, tmp_path: Path) -> None:
    folder = trained(data, tmp_path)
    before, [first, last] = pictures(folder), existing(folder)
    (folder / "saves" / first.file).unlink()
    assert measure(folder, 8) is not None
    assert before.items() <= pictures(folder).items()
    assert [one["step"] for one in numbers(folder)] == [0, 4] and counts(folder) == [(9, 8)] * 2
    index = json_file.read(folder / "controls" / "index.json")
    assert index["steps"] == [0, 2, 4]
    for one in index["prompts"]:
        for step in one.get("steps", index["steps"]):
            assert (
                Controls(folder, recipe_file.read(folder / "recipe.yaml").watch)
                .path(one["set"], one["number"], step)
                .is_file()
            )
    assert sum(one.get("steps") == [0, 4] for one in index["prompts"]) == 17 - 7
    (folder / "saves" / last.file).rename(tmp_path / "aside")
    assert "No save" in why_not(folder, recipe_file.read(folder / "recipe.yaml"), 20)
    for one in json_file.read(folder / "report.json")["controls"]:
        assert (folder / one["first"]).is_file() and (folder / one["last"]).is_file()


@pytest.mark.parametrize(
    ("settings", "wanted", "why"),
    [
        ((), 3, "3 with the trigger and 4 without it already"),
        ((), 2, "choose a larger number"),
        (("watch.concept_prompts=[]", "watch.bleeding_prompts=[]"), 8, "no control pictures"),
        (("watch.bleeding_prompts=[]",), 8, "prompts of both sets"),
        (("watch.judge=false",), 8, "Judging was off"),
        (("dataset.concepts.0.trigger=",), 8, "no trigger"),
        (("method.name=textual_inversion",), 8, "trains words"),
    ],
)
def test_why_a_run_cannot_be_measured(
    settings: tuple[str, ...], wanted: int, why: str, data: Path, tmp_path: Path
) -> None:
    folder = trained(data, tmp_path, *settings)
    assert why in why_not(folder, recipe_file.read(folder / "recipe.yaml"), wanted)
    before = pictures(folder)
    assert measure(folder, wanted) is None and pictures(folder) == before
    assert why in json_file.read(folder / "status.json")["message"]


def test_a_run_without_saves_or_first_pictures_cannot_be_measured(data: Path, tmp_path: Path) -> None:
    folder = trained(data, tmp_path)
    recipe = recipe_file.read(folder / "recipe.yaml")
    (folder / "judge" / "dataset.npz").rename(tmp_path / "aside")
    assert "are missing" in why_not(folder, recipe, 8)
    (tmp_path / "aside").rename(folder / "judge" / "dataset.npz")
    for save in existing(folder):
        (folder / "saves" / save.file).unlink()
    assert "No save" in why_not(folder, recipe, 8)
