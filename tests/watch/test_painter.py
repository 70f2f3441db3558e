"""Pictures are drawn in turns: whoever waits for the model gets it between them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sdft_ext.method import METHODS
from sdft_ext.model.load import load
from sdft_ext.model.share import replace_parameters
from sdft_ext.run import train
from sdft_ext.run_folder.saves import Save, Saves
from sdft_ext.watch import painter as painter_room
from sdft_ext.watch.controls import Controls
from sdft_ext.watch.painter import DrawingError, Painter, grid_saves
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
            replace_parameters(self.model, load(self.model.path))

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


@pytest.mark.parametrize("fits", [2, 1, 0])
def test_a_memory_that_is_too_small_for_several_pictures_draws_fewer_at_once(
    fits: int, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny.recipe(data, tmp_path, "watch.size=64", "watch.sampler_steps=1")
    real, counts, drawn = painter_room.sample, list[int](), list[int]()

    def sample(model: Any, prompts: Any, *arguments: Any, **options: Any) -> Any:
        counts.append(len(prompts))
        if len(prompts) > fits:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return real(model, prompts, *arguments, **options)

    model = load(made.model.base)
    painter = Painter(made, model, lambda work: work(), lambda what, done, total: drawn.append(done))
    prompts, seeds = ["a cat", "a dog", "a bird", "a fish", "a cow"], [1, 2, 3, 4, 5]
    wanted = [painter.draw([prompt], [seed], "")[0].tobytes() for prompt, seed in zip(prompts, seeds, strict=True)]
    drawn.clear()
    monkeypatch.setattr(painter_room, "sample", sample)
    if not fits:
        with pytest.raises(DrawingError, match=r"64×64.*Lower watch\.size"):
            painter.draw(prompts, seeds, "")
        return
    pictures = painter.draw(prompts, seeds, "")
    assert len(pictures) == 5 and counts == {2: [5, 2, 2, 1], 1: [5, 2, 1, 1, 1, 1, 1]}[fits] and drawn[-1] == 5
    # In the order of the prompts. Who is drawn with whom may change a last bit.
    for one, other in zip(pictures, wanted, strict=True):
        assert max(abs(a - b) for a, b in zip(one.tobytes(), other, strict=True)) <= 2


@pytest.mark.parametrize(
    ("requested", "wanted"),
    [
        ([], [10, 30, 50, 70, 90]),
        ([35, 44, 46], [10, 30, 50, 70, 90]),
        ([95], [10, 30, 50, 80, 95]),  # a stopped run's last save is what it has learned
    ],
)
def test_a_save_on_request_takes_no_scheduled_columns_place(requested: list[int], wanted: list[int]) -> None:
    saves = [Save("", step, 1, None) for step in range(10, 100, 10)]
    saves += [Save("", step, 1, None, scheduled=False) for step in requested]
    assert [save.step for save in grid_saves(sorted(saves, key=lambda save: save.step))] == wanted


def test_saves_on_request_are_in_the_grid_where_there_is_room() -> None:
    saves = [Save("", step, 1, None, scheduled=step % 10 == 0) for step in (10, 13, 17, 20, 24, 28, 30)]
    assert [save.step for save in grid_saves(saves)] == [10, 20, 24, 28, 30]
