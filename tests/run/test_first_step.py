"""The first step comes at once; what belongs before it is drawn after it, with the weights of before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from sdft_ext.control import RunControl
from sdft_ext.host.base import HostChanged
from sdft_ext.host.standalone import StandaloneHost
from sdft_ext.recipe import Recipe
from sdft_ext.run import resume, train
from sdft_ext.run_folder.log import read as read_log
from sdft_ext.train import weights
from tests.run import tiny

PICTURES = ['watch.concept_prompts=["a sks cat"]', "watch.every=100", "watch.validation_every=1"]
PICTURES += ["watch.validation_share=0.3", "train.warmup=0"]


def first(run: Path) -> Image.Image:
    return Image.open(run / "controls" / "concept" / "00" / "step-000000.png").convert("RGB")


def recipe(data: Path, output: Path, *settings: str) -> Recipe:
    return tiny.recipe(data, output, *PICTURES, *settings)


def same(a: Image.Image, b: Image.Image) -> bool:
    return ImageChops.difference(a, b).getbbox() is None


@pytest.mark.parametrize("ema", ["0", "0.9"])
def test_a_step_comes_before_the_first_pictures_and_changes_nothing_in_them(
    ema: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recipe(data, tmp_path, f"train.ema={ema}", "train.learning_rate=1")
    after = train(made, folder=tmp_path / "after", quiet=True).folder
    monkeypatch.setattr(weights, "MOST", 0)  # as for weights too large to keep: drawn before
    before = train(made, folder=tmp_path / "before", quiet=True).folder
    assert same(first(after), first(before))
    last = Image.open(after / "controls" / "concept" / "00" / "step-000004.png").convert("RGB")
    assert not same(first(after), last)
    assert sorted(tiny.losses(after), key=str) == sorted(tiny.losses(before), key=str)
    saves = [tiny.tensors(run / "saves" / "tiny.safetensors") for run in (after, before)]
    assert saves[0] == saves[1]
    order = [[(line["step"], line.get("event")) for line in read_log(run)] for run in (after, before)]
    assert order[0][:2] == [(1, None), (0, "controls")] and order[1][0] == (0, "controls")


class Leaving(StandaloneHost):
    """Its owner loads another model after the first step and, in the run's wait for it, presses Stop."""

    def __init__(self, recipe: Recipe, folder: Path, control: RunControl) -> None:
        super().__init__(recipe.model)
        self.folder, self.control = folder, control

    @contextmanager
    def turn(self) -> Iterator[None]:
        if any(line["step"] == 1 for line in read_log(self.folder)):
            self.control.stop()
            raise HostChanged("another.safetensors is loaded.")
        with super().turn():
            yield


def test_first_pictures_that_could_not_be_drawn_are_drawn_after_a_resume(data: Path, tmp_path: Path) -> None:
    made, control = recipe(data, tmp_path, "train.learning_rate=1"), RunControl()
    whole = train(made, folder=tmp_path / "whole", quiet=True).folder
    run = tmp_path / "run"
    result = train(made, folder=run, control=control, host=Leaving(made, run, control), quiet=True)
    assert result.outcome == "stopped" and "step 1 of 4" in result.message
    assert not (run / "controls").exists()
    assert resume(run, quiet=True).outcome == "finished"
    assert same(first(run), first(whole))
    assert sorted(tiny.losses(run), key=str) == sorted(tiny.losses(whole), key=str)
    saves = [tiny.tensors(folder / "saves" / "tiny.safetensors") for folder in (run, whole)]
    assert saves[0] == saves[1]
