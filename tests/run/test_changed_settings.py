"""A run is resumed with other settings that its state doesn't depend on; its log and its saves name them."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from sdft_ext.cli.main import OK, USAGE, main
from sdft_ext.control import RunControl
from sdft_ext.recipe import Recipe, RecipeError
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import resume, train
from sdft_ext.run.changed_settings import ASIDE, announce, as_texts, change, recorded
from sdft_ext.run.ending import outcome_of
from sdft_ext.run_folder import state
from sdft_ext.run_folder.facts import add_facts, read_facts
from sdft_ext.storage import json_file
from sdft_ext.train.loop import NotFinite
from tests.run import tiny
from tests.run.step_hooks import Between
from tests.storage.failing_disk import FailingDisk

RATE = 1e-2


@pytest.fixture
def stopped(data: Path, tmp_path: Path) -> Path:
    """A run that was stopped after two of its four steps."""
    control, folder = RunControl(), tmp_path / "run"
    recipe = tiny.recipe(data, tmp_path, "train.length=4", "train.schedule=constant", f"train.learning_rate={RATE}")
    host = Between(recipe, folder, lambda done: control.stop() if done == 2 else None)
    assert train(recipe, folder=folder, control=control, host=host, quiet=True).outcome == "stopped"
    return folder


def rates(run: Path) -> list[float]:
    return [line["lr/unet"] for line in tiny.losses(run) if "loss" in line]


def metadata(path: Path) -> dict[str, str]:
    with safe_open(str(path), "pt") as file:
        return dict(file.metadata())


def test_a_lower_rate_is_trained_with_and_logged(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", str(stopped), "--quiet", "train.learning_rate=1e-3", "save.every=1"]) == OK
    assert rates(stopped) == pytest.approx([RATE, RATE, 1e-3, 1e-3])
    log = (stopped / "log.jsonl").read_text(encoding="utf-8")
    assert "From step 3 on, train.learning_rate is 0.001 instead of 0.01." in log
    assert "is 0.001 instead of 0.01" in (stopped / "report.md").read_text(encoding="utf-8")
    changes = json.loads(metadata(next(iter((stopped / "saves").glob("tiny.safetensors"))))["sdft_changed_settings"])
    assert {"step": 2, "setting": "train.learning_rate", "before": RATE, "after": 1e-3} in changes
    assert recipe_file.read(stopped / "recipe-first.yaml").train.learning_rate == RATE
    assert recipe_file.read(stopped / "recipe.yaml").train.learning_rate == 1e-3


def test_a_longer_run_continues(stopped: Path) -> None:
    assert resume(stopped, settings=["train.length=6"], quiet=True).outcome == "finished"
    assert len(rates(stopped)) == 6


def test_the_same_value_is_not_a_change(stopped: Path) -> None:
    before = (stopped / "recipe.yaml").read_bytes()
    resume(stopped, settings=[f"train.learning_rate={RATE}"], quiet=True)
    assert (stopped / "recipe.yaml").read_bytes() == before and not (stopped / "recipe-first.yaml").exists()


@pytest.mark.parametrize(
    "setting", ["train.batch_size=1", "method.lora.rank=3", "train.seed=9", "dataset.resolution=32", "model.base=x"]
)
def test_what_the_state_depends_on_is_refused(setting: str, stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (stopped / "recipe.yaml").read_bytes()
    assert main(["resume", str(stopped), "--quiet", setting, "train.learning_rate=1e-3"]) == USAGE
    said = capsys.readouterr().err
    assert setting.partition("=")[0] in said and "new run" in said
    assert (stopped / "recipe.yaml").read_bytes() == before
    with pytest.raises(RecipeError):
        resume(stopped, settings=["train.learning_rate=-1"], quiet=True)


@pytest.mark.parametrize(
    "settings",
    [
        ["train.length=2"],
        ["train.length=1", "train.length_unit=epochs"],
        ["train.length=4", "train.length_unit=pictures"],
    ],
)
def test_a_length_that_the_run_has_passed_is_refused(settings: list[str], stopped: Path) -> None:
    path = stopped / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "steps_per_epoch": 2}))
    before = (stopped / "recipe.yaml").read_bytes()
    with pytest.raises(RecipeError, match="has trained 2 steps already"):
        resume(stopped, settings=settings, quiet=True)
    assert (stopped / "recipe.yaml").read_bytes() == before


def test_a_rate_that_the_schedule_does_not_use_is_refused(stopped: Path) -> None:
    change(stopped, ["train.schedule=steps", "train.schedule_steps=1e-3"])
    with pytest.raises(RecipeError, match=r"change train\.schedule_steps"):
        change(stopped, ["train.learning_rate=1e-4"])
    change(stopped, ["train.schedule_steps=1e-4"])
    assert resume(stopped, quiet=True).outcome == "finished"
    assert rates(stopped) == pytest.approx([RATE, RATE, 1e-4, 1e-4])


@pytest.mark.parametrize(("schedule", "setting"), [("constant", "train.learning_rate"), ("steps", "schedule_steps")])
def test_after_a_nan_the_message_names_the_rate_in_use(schedule: str, setting: str, stopped: Path) -> None:
    recipe = recipe_file.override(Recipe(), [f"train.schedule={schedule}", "train.schedule_steps=1e-3"])
    ended = outcome_of(NotFinite("The loss became NaN."), stopped, recipe, True)
    assert ended is not None and ended[0] == "failed" and setting in ended[1]


@pytest.mark.parametrize("every", [0, 1])
def test_after_a_nan_the_message_says_what_to_do(every: int, data: Path, tmp_path: Path) -> None:
    """And that is possible: the run goes on from before it, with a lower rate."""
    rate = "train.learning_rate=1e-2"
    recipe = tiny.recipe(data, tmp_path, rate, "train.length=4", "save.every=0", f"save.state_every={every}")
    folder = tmp_path / "run"

    def broken(done: int) -> None:
        if done == 2 and not spoiled:
            spoiled.append(done)
            host.spoil()

    spoiled: list[int] = []
    host = Spoiled(recipe, folder, broken)
    result = train(recipe, folder=folder, host=host, quiet=True)
    assert result.outcome == "failed" and "nan" in result.message.lower()
    if not every:
        assert "No state was written" in result.message and not state.states(folder / "state")
        return
    assert "lower train.learning_rate" in result.message and "step 2" in result.message
    again = resume(folder, settings=["train.learning_rate=1e-3"], quiet=True)
    assert again.outcome == "finished" and len(rates(folder)) == 4


class Spoiled(Between):
    """A host whose model returns NaN once it is set to."""

    def spoil(self) -> None:
        assert self.shelf.model is not None
        parameter = next(self.shelf.model.unet.parameters())
        with torch.no_grad():
            parameter.fill_(float("nan"))


def test_the_reports_word_after_a_nan_is_diverged_until_the_run_goes_on(data: Path, tmp_path: Path) -> None:
    recipe, folder = tiny.recipe(data, tmp_path, "train.length=4", "save.state_every=1"), tmp_path / "run"
    spoiled: list[int] = []

    def broken(done: int) -> None:
        if done == 2 and not spoiled:
            spoiled.append(done)
            host.spoil()

    host = Spoiled(recipe, folder, broken)
    assert train(recipe, folder=folder, host=host, quiet=True).outcome == "failed"
    assert json_file.read(folder / "report.json")["verdict"] == "diverged"
    assert resume(folder, quiet=True).outcome == "finished"
    assert json_file.read(folder / "report.json")["verdict"] == "fine"


PROMPTS = ('watch.concept_prompts=["a sks cat"]', 'watch.bleeding_prompts=["a cat"]', "watch.pictures=1")


@pytest.fixture
def watched(data: Path, tmp_path: Path) -> Path:
    """A run with control pictures that was stopped after two of its four steps."""
    control, folder = RunControl(), tmp_path / "run"
    recipe = tiny.recipe(data, tmp_path, *PROMPTS, "train.length=4", "watch.every=1")
    host = Between(recipe, folder, lambda done: control.stop() if done == 2 else None)
    assert train(recipe, folder=folder, control=control, host=host, quiet=True).outcome == "stopped"
    return folder


def drawn(folder: Path) -> dict[Path, bytes]:
    """Return the control pictures in a folder, by their paths in it."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("step-*.png")}


def index(folder: Path) -> tuple[list[int], list[str]]:
    """Return the steps of control pictures, and their prompts."""
    found = json_file.read(folder / "controls" / "index.json")
    return found["steps"], [entry["prompt"] for entry in found["prompts"]]


def test_other_control_prompts_begin_anew_with_the_base_model_and_the_old_pictures_stay(
    watched: Path, data: Path, tmp_path: Path
) -> None:
    old = drawn(watched / "controls")
    resume(watched, settings=['watch.concept_prompts=["a sks dog", "sks"]', "watch.seed=5"], quiet=True)
    assert index(watched) == ([0, 2, 3, 4], ["a sks dog", "sks", "a cat"])
    aside = watched / "controls-until-000002"
    assert drawn(aside) == old and len(old) == 4
    assert (watched / "controls" / "grid.png").is_file()
    text = "watch.concept_prompts is “a sks dog”, “sks” instead of “a sks cat”."
    assert f"From step 3 on, {text}" in (watched / "log.jsonl").read_text(encoding="utf-8")

    # They are those of a run that has had these prompts from the beginning.
    settings = ('watch.concept_prompts=["a sks dog", "sks"]', PROMPTS[1], PROMPTS[2], "watch.seed=5", "watch.every=1")
    whole = tmp_path / "whole"
    train(tiny.recipe(data, tmp_path, *settings, "train.length=4"), folder=whole, quiet=True)
    for step in (0, 2, 3, 4):
        for name, number in (("concept", 0), ("concept", 1), ("bleeding", 0)):
            path = Path("controls", name, f"{number:02d}", f"step-{step:06d}.png")
            assert (watched / path).read_bytes() == (whole / path).read_bytes(), path
    judged = [{line["step"] for line in tiny.losses(run) if line.get("event") == "judged"} for run in (watched, whole)]
    assert judged[0] == judged[1] - {1}


def test_a_run_that_began_with_another_file_has_no_pictures_of_step_0_for_new_prompts(
    watched: Path, data: Path, tmp_path: Path
) -> None:
    first = next((watched / "saves").glob("*.safetensors"))
    control, folder = RunControl(), tmp_path / "continued"
    recipe = tiny.recipe(data, tmp_path, *PROMPTS, "train.length=4", f"method.lora.continue_from={first}")
    host = Between(recipe, folder, lambda done: control.stop() if done == 2 else None)
    assert train(recipe, folder=folder, control=control, host=host, quiet=True).outcome == "stopped"
    resume(folder, settings=['watch.bleeding_prompts=["a dog"]'], quiet=True)
    assert index(folder)[0] == [2, 4]


NEWS = {
    "train.learning_rate": 0.5,
    "watch.concept_prompts": ["a 😀 cat", "line\u2028break\x7f"],
    "watch.negative": "[a",
}


@pytest.fixture
def unchanged(tmp_path: Path) -> Path:
    """A run's folder as two steps have left it, without weights."""
    folder = tmp_path / "unchanged"
    (folder / "state" / "step-000002").mkdir(parents=True)
    recipe_file.write(folder / "recipe.yaml", tiny.recipe(tmp_path, tmp_path, *PROMPTS))
    add_facts(folder, stem="tiny")
    for name in ("controls", "judge"):
        (folder / name).mkdir()
        (folder / name / "index.json").write_text("{}")
    return folder


def folders(run: Path) -> set[str]:
    return {path.name for path in run.iterdir() if path.is_dir()}


def test_texts_reach_the_recipe_as_the_page_sends_them(unchanged: Path) -> None:
    settings = {**NEWS, "train.schedule": "linear", "save.private": True, "train.length": 9}
    change(unchanged, as_texts(settings))
    recipe = recipe_file.read(unchanged / "recipe.yaml")
    for path, value in settings.items():
        section, name = path.split(".")
        assert getattr(getattr(recipe, section), name) == value
    assert {one["setting"]: one["after"] for one in recorded(unchanged)} == settings


@pytest.mark.parametrize("text", ["half \ud83d a pair", "\udce4"])
def test_half_a_pair_of_surrogates_is_refused_and_nothing_is_changed(text: str, unchanged: Path) -> None:
    before = {path: path.read_bytes() for path in unchanged.rglob("*") if path.is_file()}
    for settings in ({"watch.concept_prompts": [text]}, {"watch.negative": text}):
        with pytest.raises(RecipeError, match="half a pair of surrogates"):
            change(unchanged, as_texts({"train.learning_rate": 0.5, **settings}))
    assert {path: path.read_bytes() for path in unchanged.rglob("*") if path.is_file()} == before


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="follows open files by their handles")
@pytest.mark.parametrize("lasting", [False, True])
def test_whichever_write_fails_the_next_resume_drops_the_change_or_completes_it(
    lasting: bool, unchanged: Path, tmp_path: Path
) -> None:
    old = (unchanged / "recipe.yaml").read_bytes()
    outcomes = set()
    for moment in itertools.count(1):
        run = Path(shutil.copytree(unchanged, tmp_path / str(moment)))
        failed = False
        with FailingDisk(run, moment, errno.ENOSPC, lasting=lasting) as disk:
            try:
                change(run, as_texts(NEWS))
            except OSError:
                failed = True
        if not disk.hit:
            break
        again = Path(shutil.copytree(run, tmp_path / f"{moment}-again"))
        change(run, [])  # as each resume begins
        told = announce(run, 2)
        if (run / "recipe.yaml").read_bytes() == old:
            outcomes.add("dropped")
            assert failed and told == [] == recorded(run), disk.hit
            assert folders(run) == {"state", "controls", "judge"}, disk.hit
        else:
            outcomes.add("completed")
            assert [one["setting"] for one in recorded(run)] == list(NEWS) and len(told) == len(NEWS), disk.hit
            assert folders(run) == {"state", "controls-until-000002", "judge-until-000002"}, disk.hit
        assert not read_facts(run).get(ASIDE)
        change(again, as_texts(NEWS))  # or as the page sends it once more
        assert {one["setting"]: one["after"] for one in recorded(again)} == NEWS, disk.hit
        assert folders(again) == {"state", "controls-until-000002", "judge-until-000002"}, disk.hit
    assert outcomes == {"dropped", "completed"}


def test_only_the_change_that_was_interrupted_is_dropped(unchanged: Path) -> None:
    change(unchanged, ["train.learning_rate=0.5"])
    announce(unchanged, 2)
    change(unchanged, ["train.learning_rate=0.25", "watch.seed=3"])
    kept = (unchanged / "recipe.yaml").read_bytes()
    change(unchanged, ["train.learning_rate=0.125"])
    (unchanged / "recipe.yaml").write_bytes(kept)  # as a kill before it was written leaves it
    change(unchanged, [])
    assert [(one["after"], one.get("step")) for one in recorded(unchanged)] == [(0.5, 2), (0.25, None), (3, None)]
