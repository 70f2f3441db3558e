"""A run that was killed or stopped, and resumed, ends bit-equal to one that never was."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sdft_ext.control import RunControl
from sdft_ext.recipe import Recipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import RunResult, resume, train
from sdft_ext.run_folder import state
from sdft_ext.run_folder.log import read as read_log
from tests.run import killed, tiny
from tests.run.killed import ends_alike
from tests.run.step_hooks import Between

EVERYTHING = (
    "train.length=8",
    "train.accumulation=2",
    "train.ema=0.9",
    "train.clip_norm=0.01",
    "train.warmup=2",
    "train.text_encoder_stop=0.6",
    "train.noise_offset=0.05",
    "train.multires_iterations=2",
    "dataset.shuffle_tags=true",
    "dataset.tag_dropout=0.2",
    "dataset.wildcards=true",
    "dataset.suffix=, {at night|at noon}",
    "dataset.caption_dropout=0.1",
    "dataset.flip=0.5",
    "dataset.crop=random",
    "dataset.latents=random",
    "method.lora.dropout=0.1",
    "save.every=3",
    "save.state_every=2",
    "save.keep_last=2",
    'watch.concept_prompts=["a sks cat"]',
    "watch.validation_every=4",
    "watch.validation_share=0.2",
)
"""Whatever keeps something between steps, or is left to chance."""
OPTIMIZERS = {
    "adamw": 1e-2,
    "lion": 1e-3,
    "prodigy": 1.0,
    "dadaptadam": 1.0,
    "adafactor": 1e-2,
    "came": 1e-3,
    "adamw_schedule_free": 1e-2,
}
unix = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL and a fork server")


class Whole:
    """An uninterrupted run with everything switched on, and the recipe's file."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.recipe = folder / "recipe.yaml"
        recipe_file.write(self.recipe, tiny.recipe(data, folder, *EVERYTHING))
        self.folder, touches_file = folder / "whole", folder / "touches"
        began = time.monotonic()
        if os.name == "nt":
            train(recipe_file.read(self.recipe), folder=self.folder, quiet=True)
        else:
            process = killed.start(self.recipe, self.folder, 0, touches_file)
            process.join()
            self.touches = int(touches_file.read_text())
        self.seconds = time.monotonic() - began
        assert (self.folder / "report.json").exists()


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return Whole(data, tmp_path_factory.mktemp("whole"))


def killed_at(whole: Whole, run: Path, moment: int | str) -> bool:
    """Train or go on, and be killed; False where the run came to its end before."""
    process = killed.start(whole.recipe, run, moment, run.with_name("touches"))
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return bool(process.exitcode)


@unix
@pytest.mark.parametrize("seed", range(5))
def test_killed_at_random_touches_of_files(seed: int, whole: Whole, tmp_path: Path) -> None:
    """Killed once in a fifth of the run of its own, then in the resumed one, then resumed to the end."""
    draws, run = np.random.default_rng(seed), tmp_path / "run"
    fifth = whole.touches // 5
    assert killed_at(whole, run, int(draws.integers(seed * fifth, (seed + 1) * fifth)) + 1)
    killed_at(whole, run, int(draws.integers(30, whole.touches)))
    assert resume(run, quiet=True).outcome == "finished"
    ends_alike(run, whole.folder)


@unix
@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [
        ".step-000004.tmp/state.json",
        ".tiny-000003-",
        "saves/tiny-000003.safetensors",
        "state/step-000004",
        "saves/.index-",
        "controls/.index-",
        ".facts-",
        "tiny.safetensors",
        "grid",
        ".report-",
    ],
)
def test_killed_while_a_file_is_written_or_deleted(moment: str, whole: Whole, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert killed_at(whole, run, moment)
    assert resume(run, quiet=True).outcome == "finished"
    ends_alike(run, whole.folder)


@unix
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_killed_at_random_times(seed: int, whole: Whole, tmp_path: Path) -> None:
    draws, run = np.random.default_rng(100 + seed), tmp_path / "run"
    for _ in range(3):
        process = killed.start(whole.recipe, run, 0, tmp_path / "touches")
        while not (run / "recipe.yaml").exists():
            time.sleep(0.01)
        process.join(float(draws.uniform(0, whole.seconds)))
        process.kill()
        process.join()
    assert resume(run, quiet=True).outcome == "finished"
    ends_alike(run, whole.folder)


def test_resuming_a_finished_run_changes_nothing(whole: Whole, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole.folder, run)
    for _ in range(2):
        assert resume(run, quiet=True).outcome == "finished"
        ends_alike(run, whole.folder)


@pytest.mark.parametrize("how", ["cut", "zeros", "missing"])
def test_a_damaged_newest_state_is_passed_over(how: str, whole: Whole, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole.folder, run)
    newest = state.states(run / "state")[-1] / state.TENSORS
    size = newest.stat().st_size
    if how == "cut":
        os.truncate(newest, size // 2)
    elif how == "zeros":
        with open(newest, "r+b") as file:
            file.seek(size - 1000)
            file.write(bytes(1000))
    else:
        newest.unlink()
    assert resume(run, quiet=True).outcome == "finished"
    ends_alike(run, whole.folder)


def controlled(recipe: Recipe, folder: Path, do: Callable[[RunControl, int], object]) -> RunResult:
    """Train or go on while ``do(control, finished steps)`` is called before each step."""
    control = RunControl()
    host = Between(recipe, folder, lambda done: do(control, done))
    if (folder / "recipe.yaml").exists():
        return resume(folder, control=control, host=host, quiet=True)
    return train(recipe, folder=folder, control=control, host=host, quiet=True)


@pytest.mark.parametrize(
    ("optimizer", "precision"), [*((name, "fp32") for name in OPTIMIZERS), ("adamw", "bf16"), ("adamw", "fp16")]
)
def test_stopped_twice(optimizer: str, precision: str, data: Path, tmp_path: Path) -> None:
    settings = ["train.length=5", "save.every=0", "method.lora.dropout=0.1", f"train.precision={precision}"]
    settings += [f"train.optimizer={optimizer}", f"train.learning_rate={OPTIMIZERS[optimizer]}"]
    recipe = tiny.recipe(data, tmp_path, *settings)
    whole = train(recipe, folder=tmp_path / "whole", quiet=True).folder
    for stop_at, outcome in ((2, "stopped"), (3, "stopped"), (9, "finished")):
        stopped = controlled(
            recipe, tmp_path / "run", lambda control, done, at=stop_at: control.stop() if done >= at else None
        )
        assert stopped.outcome == outcome, stopped.message
    assert tiny.losses(stopped.folder) == tiny.losses(whole)
    assert tiny.last_state(stopped.folder) == tiny.last_state(whole)
    last = [tiny.tensors(folder / "saves" / "tiny.safetensors") for folder in (stopped.folder, whole)]
    assert last[0] == last[1]


def test_stop_saves_the_current_step(data: Path, tmp_path: Path) -> None:
    recipe = tiny.recipe(data, tmp_path, "train.length=6", "save.every=0")
    result = controlled(recipe, tmp_path / "run", lambda control, done: control.stop() if done == 3 else None)
    assert result.outcome == "stopped" and "step 3 of 6" in result.message and "resume" in result.message
    assert [path.name for path in result.saves] == ["tiny-000003.safetensors"]
    assert state.states(result.folder / "state")[-1].name == "step-000003"


def test_save_and_sample_when_asked(data: Path, tmp_path: Path) -> None:
    settings = ['watch.concept_prompts=["a sks cat"]', "save.every=0", "watch.every=100"]
    recipe = tiny.recipe(data, tmp_path, *settings)

    asked = set[int]()

    def ask(control: RunControl, done: int) -> None:
        if done in asked:
            return
        asked.add(done)
        if done == 1:  # while the pictures of step 0 are drawn, after the first step
            control.save_now()
        if done == 2:
            control.sample_now()

    run = controlled(recipe, tmp_path / "run", ask).folder
    events = [(line["step"], line["event"]) for line in read_log(run) if "event" in line]
    assert events == [(0, "controls"), (1, "save"), (3, "controls"), (4, "save"), (4, "controls")]
    plain = train(recipe, folder=tmp_path / "plain", quiet=True).folder
    assert tiny.losses(run) == tiny.losses(plain), "asking changes nothing in the training"
    saves = [tiny.tensors(folder / "saves" / "tiny.safetensors") for folder in (run, plain)]
    assert saves[0] == saves[1]


def test_a_pause_stops_the_run_and_returns_the_model(data: Path, tmp_path: Path) -> None:
    recipe, run, control = tiny.recipe(data, tmp_path, "save.every=0"), tmp_path / "run", RunControl()
    host = Between(recipe, run, lambda done: control.pause() if done == 1 else None)
    results: list[RunResult] = []
    thread = threading.Thread(
        target=lambda: results.append(train(recipe, folder=run, control=control, host=host, quiet=True))
    )
    thread.start()
    until(lambda: status(run) == "paused")
    steps = len(tiny.steps(run))
    time.sleep(0.3)
    assert len(tiny.steps(run)) == steps == 2 and thread.is_alive()
    host.do = lambda done: None
    control.resume()
    thread.join(30)
    assert results[0].outcome == "finished" and len(tiny.steps(run)) == 4 and status(run) == "finished"


def test_a_paused_run_can_be_stopped(data: Path, tmp_path: Path) -> None:
    recipe, run, control = tiny.recipe(data, tmp_path, "save.every=0"), tmp_path / "run", RunControl()
    control.pause()
    results: list[RunResult] = []
    thread = threading.Thread(target=lambda: results.append(train(recipe, folder=run, control=control, quiet=True)))
    thread.start()
    until(lambda: status(run) == "paused")
    control.stop()
    thread.join(30)
    assert results[0].outcome == "stopped"
    assert resume(run, quiet=True).outcome == "finished" and len(tiny.steps(run)) == 4


def test_stopped_while_it_prepares(data: Path, tmp_path: Path) -> None:
    """Encoding many pictures takes minutes: a stop needn't wait for its end, and the resumed run begins."""
    recipe, run, control = tiny.recipe(data, tmp_path, "save.every=0"), tmp_path / "run", RunControl()
    control.stop()
    stopped = train(recipe, folder=run, control=control, quiet=True)
    assert stopped.outcome == "stopped" and status(run) == "stopped" and not stopped.saves
    assert tiny.losses(run) == []
    assert resume(run, quiet=True).outcome == "finished" and len(tiny.steps(run)) == 4


def test_a_paused_run_saves_and_tries_on_request(data: Path, tmp_path: Path) -> None:
    recipe, run, control = tiny.recipe(data, tmp_path, "save.every=0"), tmp_path / "run", RunControl()
    host = Between(recipe, run, lambda done: control.pause() if done == 1 else None)
    results: list[RunResult] = []
    thread = threading.Thread(
        target=lambda: results.append(train(recipe, folder=run, control=control, host=host, quiet=True))
    )
    thread.start()
    until(lambda: status(run) == "paused")
    control.save_now()
    until(lambda: (run / "saves" / "tiny-000002.safetensors").exists())
    control.try_now()
    until(lambda: (run / "saves" / "tiny-try-000002.safetensors").exists())
    saves = [run / "saves" / f"tiny{name}-000002.safetensors" for name in ("", "-try")]
    assert tiny.tensors(saves[0]) == tiny.tensors(saves[1])
    host.do = lambda done: None
    control.resume()
    thread.join(30)
    assert results[0].outcome == "finished" and not saves[1].exists()
    assert [path.name for path in results[0].saves] == ["tiny-000002.safetensors", "tiny.safetensors"]


def status(run: Path) -> str:
    path = run / "status.json"
    return str(json.loads(path.read_text())["state"]) if path.exists() else ""


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
