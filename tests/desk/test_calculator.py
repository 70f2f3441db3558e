"""The calculator's answer matches what the run then does."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from sdft_ext.captions.rare_words import CANDIDATES, suggest
from sdft_ext.control import RunControl
from sdft_ext.dataset.links import within
from sdft_ext.dataset.listing import Listing
from sdft_ext.desk import Desk, DeskError
from sdft_ext.desk.calculator import save_steps
from sdft_ext.desk.folders import walk
from sdft_ext.model.borrow import tokenizer
from sdft_ext.recipe import METHOD_INFO, Recipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import previews, resume, train
from sdft_ext.run.pace import Pace
from sdft_ext.run.schedule import Schedule
from sdft_ext.run_folder.facts import read_facts
from sdft_ext.run_folder.log import read as read_log
from tests.analysis.images import image, save
from tests.desk.setting import values
from tests.run import tiny
from tests.run.step_hooks import Between


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("train.length=3", "train.length_unit=epochs", "save.every=1", "save.every_unit=epochs"),
        ("train.length=11", "train.length_unit=pictures", "train.accumulation=2", "save.every=1"),
        ("dataset.concepts.0.repeats=3", "dataset.concepts.0.regularization=", "save.every=3"),
        ("watch.validation_share=0.4", "watch.validation_every=2"),
        ("train.schedule=steps", "train.schedule_steps=1e-3:2, 1e-4:3"),
    ],
)
def test_steps_and_saves_are_those_of_the_run(desk: Desk, data: Path, settings: tuple[str, ...]):
    answer = desk.recipes.calculate(values(data, *settings))
    assert answer["problems"] == []
    run = desk.runs.start(values(data, *settings))
    assert desk.queue.wait(60) and desk.library.status(run)["state"] == "finished"
    facts = json.loads((desk.folder / run / "dataset.json").read_text())
    assert desk.library.status(run)["total"] == answer["steps"]
    assert facts["steps_per_epoch"] == answer["steps_per_epoch"]
    assert [save["step"] for save in desk.library.saves(run)] == answer["saves"]
    assert answer["saves_count"] == len(answer["saves"])
    pictures = sum(concept["instance_pictures"] for concept in facts["concepts"])
    assert (answer["pictures"], answer["showings"]) == (pictures, facts["showings_per_epoch"])


@pytest.mark.parametrize("every", [0, 1, 3, 7, 1000])
@pytest.mark.parametrize("unit", ["steps", "epochs"])
@pytest.mark.parametrize("first", [1, 2, 5])
@pytest.mark.parametrize("steps", [1, 10, 21])
def test_saves_are_counted_without_walking_the_steps(every: int, unit: str, first: int, steps: int):
    recipe = recipe_file.override(
        Recipe(), [f"save.every={every}", f"save.every_unit={unit}", f"save.first_epoch={first}"]
    )
    for steps_per_epoch in (1, 3, 4):
        events = Schedule(recipe, steps_per_epoch, steps)
        expected = [step for step in range(1, steps + 1) if events.save(step)]
        assert save_steps(recipe, steps_per_epoch, steps) == (expected, len(expected))


@pytest.mark.timed
def test_a_run_of_millions_of_steps_is_calculated_at_once(desk: Desk, data: Path):
    desk.recipes.calculate(values(data))
    began = time.monotonic()
    answer = desk.recipes.calculate(values(data, "train.length=9000000", "save.every=2"))
    assert time.monotonic() - began < 0.5
    assert answer["saves_count"] == 4_500_000 and len(answer["saves"]) < 3000 and answer["saves"][-1] == 9_000_000


def test_a_batch_size_that_does_not_divide_the_dataset_is_mentioned(desk: Desk, data: Path):
    plain = ("dataset.concepts.0.regularization=", "dataset.buckets=false")
    assert not _division(desk.recipes.calculate(values(data, *plain, "train.batch_size=3")))
    (sentence,) = _division(desk.recipes.calculate(values(data, *plain, "train.batch_size=2", "train.accumulation=2")))
    assert "6 pictures" in sentence and "2 × accumulation 2 = 4" in sentence
    assert "the 2 left over" in sentence and "With 3, none" in sentence


@pytest.fixture
def bare(data: Path, tmp_path: Path) -> tuple[str, ...]:
    """Settings with six pictures without captions, trigger, and class word."""
    folder = tmp_path / "bare"
    for number in range(6):
        save(folder / f"IMG_{number}.png", image(64, 64, seed=number))
    first = "dataset.concepts.0."
    return (f"{first}instance={folder}", f"{first}regularization=", f"{first}trigger=", f"{first}class_word=")


def test_a_run_that_no_word_could_call_up_does_not_start(desk: Desk, data: Path, bare: tuple[str, ...]):
    (problem,) = desk.recipes.calculate(values(data, *bare))["problems"]
    assert problem.startswith("dataset.concepts.0.trigger: No picture has a caption")
    with pytest.raises(DeskError, match="neither a trigger nor a class word"):
        desk.runs.start(values(data, *bare))
    for settings in (("dataset.concepts.0.trigger=sks",), ("dataset.suffix=a cat",)):
        assert desk.recipes.calculate(values(data, *bare, *settings))["problems"] == [], settings


@pytest.mark.parametrize(
    ("method", "starts"), [("lora", False), ("dreambooth", False), ("hypernetwork", True), ("full", True)]
)
def test_a_method_without_words_is_only_warned(
    desk: Desk, data: Path, bare: tuple[str, ...], method: str, starts: bool
):
    found = desk.recipes.calculate(values(data, *bare, f"method.name={method}"))
    assert (found["problems"] == []) == starts
    warned = [sentence for sentence in found["warnings"] if "No picture has a caption" in sentence]
    assert bool(warned) == starts


def test_a_trigger_is_suggested_that_is_one_rare_token_and_in_no_caption(desk: Desk, data: Path, bare: tuple[str, ...]):
    first, vocabulary = "dataset.concepts.0.trigger", tokenizer().get_vocab()
    word = desk.recipes.calculate(values(data, *bare))["suggested_triggers"][first]
    assert vocabulary[f"{word}</w>"] >= 40_000
    folder = Path(bare[0].partition("=")[2])
    (folder / "IMG_0.txt").write_text(f"a cat,{word.upper()}, on grass")
    other = desk.recipes.calculate(values(data, *bare))["suggested_triggers"][first]
    assert other != word and vocabulary[f"{other}</w>"] >= 40_000
    assert desk.recipes.calculate(values(data, *bare, f"{first}=mine"))["suggested_triggers"] == {}
    second = f"dataset.concepts.1.instance={folder}"
    assert len(set(desk.recipes.calculate(values(data, *bare, second))["suggested_triggers"].values())) == 2


@pytest.mark.parametrize("word", CANDIDATES)
def test_every_candidate_is_one_rare_token(word: str):
    assert suggest(len(CANDIDATES), []) == list(CANDIDATES)
    assert len(tokenizer()(word, add_special_tokens=False).input_ids) == 1


def _division(figures: dict) -> list[str]:
    return [sentence for sentence in figures["warnings"] if "not a multiple" in sentence]


def test_warnings_come_from_the_recipe_and_from_the_pictures(desk: Desk, data: Path, tmp_path: Path):
    folder = tmp_path / "pictures"
    for number in range(3):
        save(folder / f"{number}.png", image(64, 64, seed=number))
    (folder / "broken.png").write_bytes(b"no picture")
    answer = desk.recipes.calculate(
        values(data, f"dataset.concepts.0.instance={folder}", "train.optimizer=prodigy", "train.learning_rate=1e-4")
    )
    assert answer["problems"] == []
    for part in ("1 is usual", "broken.png", "5–20"):
        assert any(part in sentence for sentence in answer["warnings"]), (part, answer["warnings"])


def test_all_that_keeps_a_recipe_from_starting_is_listed_at_once(desk: Desk, data: Path):
    recipe = values(data)
    recipe["train"] |= {"length": 0, "batch_size": -1}
    recipe["method"]["lora"]["continue_from"] = str(data / "nothing.safetensors")
    answer = desk.recipes.calculate(recipe)["problems"]
    for setting in ("train.length", "train.batch_size", "method.lora.continue_from"):
        assert any(sentence.startswith(setting) for sentence in answer), answer


def test_what_is_wrong_with_a_folder_names_its_setting(desk: Desk, data: Path, tmp_path: Path):
    for settings, path in (
        (("dataset.concepts.0.instance=",), "dataset.concepts.0.instance: "),
        ((f"dataset.concepts.0.instance={tmp_path}",), "dataset.concepts.0.instance: "),
        ((f"dataset.concepts.0.regularization={tmp_path}",), "dataset.concepts.0.regularization: "),
        ((f"dataset.concepts.0.regularization={tmp_path / 'none'}",), "dataset.concepts.0.regularization: "),
    ):
        (sentence,) = desk.recipes.calculate(values(data, *settings))["problems"]
        assert sentence.startswith(path), sentence


@pytest.mark.timed
def test_pictures_are_read_again_only_when_they_change(desk: Desk, data: Path, tmp_path: Path):
    folder = tmp_path / "pictures"
    for number in range(400):
        save(folder / f"{number}.png", image(64, 64, seed=number % 7))
    recipe = values(data, f"dataset.concepts.0.instance={folder}", "dataset.concepts.0.regularization=")
    assert desk.recipes.calculate(recipe)["pictures"] == 400
    began = time.monotonic()
    recipe["train"]["length"] = 17
    recipe["dataset"]["concepts"][0]["repeats"] = 2
    answer = desk.recipes.calculate(recipe)
    assert time.monotonic() - began < 0.4
    assert (answer["steps"], answer["showings"]) == (17, 800)
    save(folder / "more.png", image(64, 64))
    assert desk.recipes.calculate(recipe)["pictures"] == 401
    (folder / "more.txt").write_text("a caption")
    assert any("trigger" in sentence.lower() for sentence in desk.recipes.calculate(recipe)["warnings"])


def test_a_folder_of_far_too_many_files_is_refused_soon(tmp_path: Path):
    for number in range(60):
        (tmp_path / f"{number}.png").write_bytes(b"")
    assert len(walk(tmp_path, within([tmp_path]), most=60)) == 60
    with pytest.raises(DeskError, match="choose the folder of the pictures themselves"):
        walk(tmp_path, within([tmp_path]), most=59)


def test_time_comes_from_runs_that_were_measured(desk: Desk, data: Path):
    assert desk.recipes.calculate(values(data))["seconds"] is None
    run = desk.runs.start(values(data, "train.length=20", "save.every=0"))
    assert desk.queue.wait(60)
    answer = desk.recipes.calculate(values(data, "train.length=200"))
    assert run in answer["measured"]
    rates = sorted(line["pictures_per_second"] for line in read_log(desk.folder / run) if "loss" in line)
    assert 400 / rates[-1] <= answer["seconds"] <= 400 / rates[0]
    assert desk.recipes.calculate(values(data, "train.batch_size=1"))["seconds"] is None, (
        "another size is another speed"
    )


PREVIEWED = (
    *("watch.judge=true", "watch.propose_prompts=true", "watch.pictures=4", "watch.sampler_steps=2", "watch.size=64"),
    *("save.every=4", "save.every_unit=times"),
)


def test_time_counts_the_control_pictures_of_runs_that_drew_some(desk: Desk, data: Path):
    prompts = ("watch.concept_prompts=[a sks cat, a sks cat in a park]", "watch.bleeding_prompts=[a cat, a park]")
    run = desk.runs.start(values(data, "train.length=8", *PREVIEWED, *prompts))
    assert desk.queue.wait(120) and desk.library.status(run)["state"] == "finished"
    found = json.loads((desk.folder / run / "facts.json").read_text())["previews"]
    assert (found["pictures"], found["passes"], found["side"]) == (8, 4, 64)
    drawing, judging, dataset = (found[kind] for kind in ("controls", "judging", "dataset"))
    assert drawing > 0 and judging > 0 and dataset > 0

    def of_previews(*changes: str) -> float:
        answer = desk.recipes.calculate(values(data, "train.length=80", *PREVIEWED, *prompts, *changes))
        assert answer["seconds"] > answer["preview_seconds"] > 0 and run in answer["measured"]
        return float(answer["preview_seconds"])

    grid = 5 * drawing / 2  # of the base and four saves, each prompt once
    assert of_previews() == pytest.approx(5 * (drawing + judging) + dataset + grid, abs=0.1)
    longer = 20 * (5 * drawing + grid) + 5 * judging + dataset
    assert of_previews("watch.sampler_steps=40") == pytest.approx(longer, abs=0.1)
    assert of_previews("watch.judge=false") == pytest.approx(5 * drawing + grid, abs=0.1)
    assert of_previews("watch.every=20") == of_previews() and of_previews("watch.every=1") > 10 * drawing
    assert of_previews("watch.pictures=8") == pytest.approx(10 * (drawing + judging) + dataset + grid, abs=0.1)
    without = desk.recipes.calculate(values(data, "train.length=80", *PREVIEWED, *prompts, "watch.size=128"))
    assert without["preview_seconds"] is None and "without control pictures" in without["measured"]


def test_a_run_of_the_desk_takes_the_prompts_that_were_proposed(desk: Desk, data: Path):
    settings = (*PREVIEWED, "watch.pictures=8", "train.length=2")
    proposed = desk.recipes.calculate(values(data, *settings))["proposed_prompts"]
    assert [len(proposed[path]) for path in ("watch.concept_prompts", "watch.bleeding_prompts")] == [4, 4]
    run = desk.runs.start(values(data, *settings))
    assert desk.queue.wait(120)
    watch = desk.library.recipe(run).watch
    assert proposed == {
        "watch.concept_prompts": watch.concept_prompts,
        "watch.bleeding_prompts": watch.bleeding_prompts,
    }
    assert len(list((desk.folder / run / "controls" / "concept").glob("*/step-000002.png"))) == 8
    assert desk.recipes.calculate(values(data, "watch.propose_prompts=false"))["proposed_prompts"] == {}


@pytest.mark.parametrize("pictures", [1, 9])
def test_the_forecast_counts_the_pictures_that_a_run_draws(pictures: int, desk: Desk, data: Path):
    settings = (*PREVIEWED, f"watch.pictures={pictures}", "train.length=2", "save.every=0")
    run = desk.runs.start(values(data, *settings))
    assert desk.queue.wait(120)
    each = json.loads((desk.folder / run / "facts.json").read_text())["previews"]
    assert len(list((desk.folder / run / "controls").glob("*/*/step-000002.png"))) == each["pictures"]
    different = len(list((desk.folder / run / "controls").glob("*/*")))
    expected = 2 * (each["controls"] + each["judging"]) + each["dataset"]
    expected += 2 * each["controls"] * 8 / different  # the grid: four prompts of each set, of the base and one save
    forecast = desk.recipes.calculate(values(data, *settings))["preview_seconds"]
    assert forecast == pytest.approx(expected, abs=0.11)


def test_runs_without_control_pictures_have_no_forecast_of_them_and_hide_none(desk: Desk, data: Path):
    none = ("train.length=2", "watch.propose_prompts=false")
    for settings in (("train.length=2",), none):
        run = desk.runs.start(values(data, *PREVIEWED, *settings))
        assert desk.queue.wait(120)
    assert "previews" not in json.loads((desk.folder / run / "facts.json").read_text())
    assert desk.recipes.calculate(values(data, *PREVIEWED, "train.length=80"))["preview_seconds"] > 0
    assert desk.recipes.calculate(values(data, *PREVIEWED, *none))["preview_seconds"] is None
    judged = desk.recipes.calculate(values(data, *PREVIEWED, "train.length=80"))["preview_seconds"]
    without = desk.recipes.calculate(values(data, *PREVIEWED, "train.length=80", "watch.judge=false"))
    assert without["preview_seconds"] < judged


def test_captions_come_from_the_scan_that_is_kept(desk: Desk, data: Path, monkeypatch: pytest.MonkeyPatch):
    """The page asks at every change: with 10,000 pictures, listing the folders again takes seconds."""
    proposed = desk.recipes.calculate(values(data, *PREVIEWED))["proposed_prompts"]
    monkeypatch.setattr(Listing, "__init__", lambda *_: pytest.fail("a folder is listed"))
    assert proposed and desk.recipes.calculate(values(data, *PREVIEWED))["proposed_prompts"] == proposed


def test_what_previews_took_outlives_a_resume_and_a_full_disk_ends_no_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recipe = tiny.recipe(data, tmp_path, *PREVIEWED, "train.length=4", "save.every=2", "save.every_unit=steps")
    run, control = tmp_path / "run", RunControl()
    host = Between(recipe, run, lambda done: control.stop() if done == 2 else None)
    train(recipe, folder=run, control=control, host=host, quiet=True)
    before = read_facts(run)["previews"]
    result = resume(run, quiet=True)
    assert result.outcome == "finished", result.message
    assert read_facts(run)["previews"].keys() == before.keys() and before["dataset"] > 0
    assert read_facts(run)["previews"]["dataset"] == before["dataset"]

    def full(folder: Path, **facts: Any) -> None:
        if "previews" in facts:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(previews, "add_facts", full)
    assert train(recipe, folder=tmp_path / "full", quiet=True).outcome == "finished"


def test_a_run_expects_of_its_control_pictures_what_the_forecast_says(desk: Desk, data: Path):
    for length in (2, 3):
        run = desk.runs.start(values(data, f"train.length={length}", *PREVIEWED))
        assert desk.queue.wait(120)
    pace = Pace.of(desk.folder / run)
    assert pace.seconds_of("controls") > 0 and pace.seconds_of("judging") > 0


def test_the_calculator_carries_the_forecast(desk: Desk, data: Path):
    memory = desk.recipes.calculate(values(data))["memory"]
    assert memory["fits"] is True and memory["needed_mb"] == pytest.approx(sum(memory["parts"].values()), abs=1)


def test_every_method_is_checked_against_the_free_memory(desk: Desk, data: Path):
    answer = desk.recipes.calculate(values(data))
    assert set(answer["methods"]) == set(METHOD_INFO)
    chosen = answer["methods"]["lora"]
    assert (chosen["needed_mb"], chosen["fits"]) == (answer["memory"]["needed_mb"], answer["memory"]["fits"])
    needed = {name: found["needed_mb"] for name, found in answer["methods"].items()}
    assert needed["full"] > needed["lora"] > 0
    other = desk.recipes.calculate(values(data, "method.name=full"))
    assert other["methods"]["full"]["needed_mb"] == other["memory"]["needed_mb"]
    nothing = desk.recipes.calculate(values(data, "dataset.concepts.0.instance=", "dataset.concepts.0.regularization="))
    assert nothing["problems"] and set(nothing["methods"]) == set(METHOD_INFO), "before any picture is chosen"
    wrong = values(data)
    wrong["train"]["batch_size"] = 0
    assert desk.recipes.calculate(wrong)["methods"] == {}
