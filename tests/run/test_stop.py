"""Stop frees the device: what is being drawn ends at once, and the grid of saves waits until somebody asks for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdft_ext.control import Interrupted, RunControl
from sdft_ext.model import sample
from sdft_ext.recipe import Recipe
from sdft_ext.run import RunResult, draw_grid, resume, train
from sdft_ext.run.grid import GRID
from sdft_ext.run_folder.facts import read_facts
from sdft_ext.run_folder.log import read as read_log
from tests.run import tiny

STEPS = 20
PICTURES = ('watch.concept_prompts=["a sks cat", "a cat"]', "watch.every=2", f"watch.sampler_steps={STEPS}")


class Sampler:
    """Counts the sampler's steps, and calls ``do(steps so far)`` before each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps, self.do = 0, lambda _: None
        real = sample.predict

        def predict(*args: Any, **more: Any) -> Any:
            self.steps += 1
            self.do(self.steps)
            return real(*args, **more)

        self.do: Callable[[int], object]
        monkeypatch.setattr(sample, "predict", predict)


@pytest.fixture
def sampler(monkeypatch: pytest.MonkeyPatch) -> Sampler:
    return Sampler(monkeypatch)


def status(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "status.json").read_text(encoding="utf-8")))


def stopped_at(sampler: Sampler, recipe: Recipe, folder: Path, step: int) -> RunResult:
    """Train, with a stop before this step of the sampler."""
    control = RunControl()
    sampler.steps, sampler.do = 0, lambda number: control.stop() if number == step else None
    result = train(recipe, folder=folder, control=control, quiet=True)
    sampler.do = lambda _: None
    return result


@pytest.mark.parametrize("step", [1, STEPS // 2, STEPS, STEPS + 5])
def test_stop_ends_control_pictures_at_once_and_the_resumed_run_draws_them(
    step: int, data: Path, tmp_path: Path, sampler: Sampler
) -> None:
    recipe = tiny.recipe(data, tmp_path, *PICTURES)
    whole = train(recipe, folder=tmp_path / "a" / "run", quiet=True).folder
    result = stopped_at(sampler, recipe, tmp_path / "b" / "run", step)
    assert result.outcome == "stopped" and sampler.steps == step, "not a step more is drawn"
    assert "readback_max_diff" in read_facts(result.folder), "the last save is proven"
    assert not (result.folder / "controls" / "grid.png").exists()
    assert status(result.folder)["state"] == "stopped"
    assert resume(result.folder, quiet=True).outcome == "finished"
    # Steps whose pictures were drawn later are the only difference; the save of the stop is there, too.
    pictures = [tiny.fingerprint(folder, folder.parent)["pictures"] for folder in (whole, result.folder)]
    assert pictures[0] == pictures[1]
    assert tiny.losses(result.folder) == tiny.losses(whole)
    assert (whole / "controls" / "grid.png").exists() and (result.folder / "controls" / "grid.png").exists()


def test_stop_ends_validation(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tiny.recipe(data, tmp_path, "watch.validation_every=1", "watch.validation_share=0.3", "watch.every=1000")
    control, seen = RunControl(), list[int]()
    from sdft_ext.train.loop import Loop

    real = Loop.evaluate

    def evaluate(self: Loop, *batch: Any) -> Any:
        seen.append(1)
        control.stop()
        return real(self, *batch)

    monkeypatch.setattr(Loop, "evaluate", evaluate)
    assert train(recipe, folder=tmp_path / "run", control=control, quiet=True).outcome == "stopped"
    assert len(seen) == 1
    assert not [line for line in read_log(tmp_path / "run") if "validation/held_out" in line]


def test_a_finished_run_may_skip_its_grid(data: Path, tmp_path: Path, sampler: Sampler) -> None:
    recipe = tiny.recipe(data, tmp_path, *PICTURES)
    seen = dict[int, str]()
    control = RunControl()
    folder = tmp_path / "run"

    def look(number: int) -> None:
        seen[number] = status(folder)["message"]
        if number == 3 * STEPS + STEPS + 5:  # in the grid's second column
            control.stop()

    sampler.do = look
    assert train(recipe, folder=folder, control=control, quiet=True).outcome == "finished"
    assert sampler.steps == 3 * STEPS + STEPS + 5 and not (folder / "controls" / "grid.png").exists()
    assert "The grid of saves is being drawn. Grid: base model (2 of 2 pictures)." in seen.values()
    assert "Training is done. The last save is being verified." in seen.values()
    assert "grid" not in " ".join(read_facts(folder).get("notes", [])), "nothing went wrong"


@pytest.mark.parametrize("method", ["lora", "textual_inversion", "full"])
def test_the_grid_is_drawn_later_as_it_would_have_been(
    method: str, data: Path, tmp_path: Path, sampler: Sampler
) -> None:
    recipe = tiny.recipe(data, tmp_path, *PICTURES, f"method.name={method}", "train.learning_rate=1e-3")
    whole = train(recipe, folder=tmp_path / "a" / "run", quiet=True).folder
    wanted = (whole / "controls" / "grid.png").read_bytes()
    (whole / "controls" / "grid.png").unlink()
    before = status(whole)
    assert draw_grid(whole, quiet=True) == whole / "controls" / "grid.png"
    assert (whole / "controls" / "grid.png").read_bytes() == wanted
    after = status(whole)
    assert [after[name] for name in ("state", "step", "total", "message")] == [
        before[name] for name in ("state", "step", "total", "message")
    ]
    assert not GRID.requested(whole) and "(controls/grid.png)" in (whole / "report.md").read_text(encoding="utf-8")


def test_drawing_the_grid_can_be_stopped_and_leaves_the_status(data: Path, tmp_path: Path, sampler: Sampler) -> None:
    folder = stopped_at(sampler, tiny.recipe(data, tmp_path, *PICTURES), tmp_path / "run", STEPS + 3).folder
    before, control = status(folder), RunControl()
    sampler.steps, sampler.do = 0, lambda number: control.stop() if number == 5 else None
    assert draw_grid(folder, control=control, quiet=True) is None and sampler.steps == 5
    assert status(folder)["message"] == before["message"] and status(folder)["state"] == "stopped"
    assert not (folder / "controls" / "grid.png").exists()
    for save in (folder / "saves").glob("*.safetensors"):
        save.write_bytes(b"damaged")
    sampler.do = lambda _: None
    assert draw_grid(folder, quiet=True) is None
    assert status(folder)["state"] == "stopped" and "There is no grid. " in status(folder)["message"]


def test_a_check_raises_once_the_run_should_end() -> None:
    control = RunControl()
    control.check()
    control.stop()
    with pytest.raises(Interrupted):
        control.check()
