"""Pictures are drawn in turns: whoever waits for the model gets it between them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sdft_ext.method import METHODS
from sdft_ext.model.load import load
from sdft_ext.model.share import hang
from sdft_ext.run import train
from sdft_ext.train.saves import Saves
from sdft_ext.watch.controls import Controls
from sdft_ext.watch.painter import Painter
from tests.run import tiny


class Turns:
    """Turns with a model; after each, its host has other parameters for the same weights, as after a reload."""

    def __init__(self, model: Any) -> None:
        self.model, self.inside, self.count, self.drawn = model, False, 0, list[str]()

    def do(self, work: Callable[[], Any]) -> Any:
        assert not self.inside, "a turn inside a turn is one long turn"
        self.inside, self.count = True, self.count + 1
        try:
            return work()
        finally:
            self.inside = False
            hang(self.model, load(self.model.path))

    def progress(self, what: str, done: int, total: int) -> None:
        assert not self.inside
        self.drawn.append(what)


@pytest.mark.parametrize("name", ["full", "lora", "textual_inversion", "hypernetwork"])
def test_a_grid_gives_the_model_back_between_its_pictures(name: str, data: Path, tmp_path: Path) -> None:
    words = ("dataset.template=[name]", "watch.concept_prompts=[a sks cat]", "watch.every=0", "watch.size=64")
    made = tiny.recipe(data, tmp_path, f"method.name={name}", "train.length=2", "save.every=1", *words)
    run = train(made, folder=tmp_path / "run", quiet=True)
    assert run.outcome == "finished" and len(run.saves) == 2, run.message
    wanted = (run.folder / "controls" / "grid.png").read_bytes()
    model = load(made.model.base)
    before = {n: p.detach().clone() for part in model.modules for n, p in part.named_parameters()}
    turns, method = Turns(model), METHODS[name]()
    painter = Painter(made, model, turns.do, turns.progress)
    painter.draw_grid(Saves(run.folder, "tiny", 0), Controls(run.folder, made.watch), method, tmp_path / "grid.png")
    assert turns.drawn == ["Grid: base model", "Grid: step 1", "Grid: step 2"] and turns.count >= 7
    assert (tmp_path / "grid.png").read_bytes() == wanted
    after = {n: p for part in model.modules for n, p in part.named_parameters()}
    assert before.keys() == after.keys() and all(torch.equal(after[n], before[n]) for n in before)
