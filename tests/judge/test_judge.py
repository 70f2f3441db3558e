"""The judge's numbers: true on pictures whose content is known, and without any effect on the training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sdft_ext.control import RunControl
from sdft_ext.judge import judge as judge_module
from sdft_ext.judge import probe, records
from sdft_ext.judge.compared import Compared
from sdft_ext.judge.features import features, see
from sdft_ext.judge.judge import Judge
from sdft_ext.judge.numbers import Numbers, numbers
from sdft_ext.judge.shares import Share
from sdft_ext.model.base import Model
from sdft_ext.model.load import load
from sdft_ext.model.sample import sample
from sdft_ext.recipe import Concept
from sdft_ext.run import resume, train
from sdft_ext.run_folder import log, verdict
from sdft_ext.storage import json_file
from sdft_ext.toy import demo, drawing, install, world
from sdft_ext.watch.controls import Controls
from tests.run import tiny
from tests.run.step_hooks import Between

PROMPTS = ('watch.concept_prompts=["a sks cat"]', 'watch.bleeding_prompts=["a cat"]', "watch.size=64")
SUBJECT = demo.EXAMPLES / "subject"


def opened(folder: Path, first: int = 0, step: int = 1, count: int | None = None) -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in sorted(folder.glob("*.png"))[first::step][:count]]


def rendered(shape: str | None, count: int) -> list[Image.Image]:
    draws = np.random.default_rng(3)
    radii = (16.5, 20.5)
    return [Image.fromarray(drawing.draw(world.sample_scene(draws, shape, radii=radii))) for _ in range(count)]


@pytest.fixture(scope="module")
def toy_probe() -> tuple[probe.Probe, object]:
    """Trained as in a run: the example subject against first control pictures and some regularization pictures."""
    model = load(str(install.CHECKPOINT))
    prompts = [*demo.concept_captions(8), *demo.bleeding_captions(8)["class word"]]
    first = sample(model, prompts, list(range(16)), demo.SAMPLER)
    negatives = features(model, [*first, *opened(SUBJECT / "regularization", 0, 4, 60)])
    return probe.train(features(model, opened(SUBJECT / "instance")), negatives), model


def test_fresh_pictures_of_the_concept_are_seen_and_no_others(toy_probe) -> None:
    found, model = toy_probe
    shown = {
        "stars": found.shown(features(model, rendered(world.STAR, 60))),
        "the base's own": found.shown(features(model, opened(SUBJECT / "regularization", 1, 4, 60))),
        "known shapes": found.shown(features(model, rendered(None, 40))),
        **{shape: found.shown(features(model, rendered(shape, 40))) for shape in ("heart", "arrow", "zigzag")},
    }
    shares = {name: float(hits.mean()) for name, hits in shown.items()}
    assert shares.pop("stars") >= 0.9, shares
    assert shares["the base's own"] <= 0.05
    assert max(shares.values()) <= 0.1, shares


def test_left_out_pictures_score_as_the_scale_says(toy_probe) -> None:
    found, _ = toy_probe
    assert found.own.mean() == pytest.approx(1, abs=1e-4) and found.others.mean() == pytest.approx(0, abs=1e-4)


def test_leaving_out_is_what_training_without_it_gives() -> None:
    draws = np.random.default_rng(0)
    own, others = draws.normal(1, 1, (6, 40)).astype(np.float32), draws.normal(0, 1, (9, 40)).astype(np.float32)
    whole, without = probe.train(own, others), probe.train(own[1:], others)
    unscaled = (whole.own[0], without.scores(own[:1])[0])
    assert abs(unscaled[0] - unscaled[1]) < 0.35  # the scale and the standardization are those of the others, too
    with pytest.raises(ValueError, match="two pictures"):
        probe.train(own[:1], others)


def test_pictures_of_other_sizes_are_described_alike(toy_probe) -> None:
    found, model = toy_probe
    star = rendered(world.STAR, 1)[0]
    large = Image.new("RGB", (128, 64), star.getpixel((0, 0)))
    large.paste(star, (32, 0))
    assert features(model, [large]).shape == features(model, [star]).shape


def test_numbers_are_by_concept_and_prompt() -> None:
    concepts = [Concept(name="dog", trigger="sks"), Concept(name="cat", trigger="zwx")]
    entries = [("concept", 0, "a sks"), ("concept", 1, "a zwx"), ("bleeding", 0, ""), ("concept", 2, "a sks")]

    scores = [np.array(some, dtype=np.float32) for some in ((1, 0.8, 0, 0.2), (0, 1, 0.9, 0))]
    found = numbers(50, concepts, scores, entries)
    assert found is not None
    assert found.learned == {"dog": Share(1, 2), "cat": Share(1, 1)}
    assert found.bleeding == {"dog": Share(1, 2), "cat": Share(1, 3)}
    assert found.plain()["learned"] == [1, 2] and found.plain()["bleeding"] == [1, 2]
    assert found.plain()["learned_interval"] == pytest.approx([0.0945, 0.9055], abs=1e-3)
    assert numbers(50, concepts, [None, None], entries) is None


@pytest.mark.parametrize("method", ["lora", "full", "textual_inversion", "hypernetwork", "pivotal"])
def test_judging_changes_nothing_and_sees_as_the_base_does(method: str, data: Path, tmp_path: Path) -> None:
    settings = (f"method.name={method}", "train.length=2", "save.every=1", "dataset.template=[name] cat", *PROMPTS)
    runs = {}
    for judged in ("false", "true"):
        recipe = tiny.recipe(data, tmp_path, *settings, f"watch.judge={judged}", "watch.pictures=2")
        result = train(recipe, folder=tmp_path / judged, quiet=True)
        assert result.outcome == "finished", result.message
        runs[judged] = (
            [line for line in tiny.losses(tmp_path / judged) if "loss" in line],
            tiny.saved(tmp_path / judged),
        )
    assert runs["true"] == runs["false"]
    report = (tmp_path / "true" / "report.md").read_text(encoding="utf-8")
    assert "| learned | bleeding | copied |" in report and report.count(" of 2 (") == 3 * 2
    told = [line for line in log.read(tmp_path / "true") if line.get("event") == "verdict"]
    assert [line["step"] for line in told] == [1, 2] and told[-1]["save"] in (1, 2)
    assert told[-1]["text"].split(".")[0] in report, "the report says what the run came to"
    assert "| learned |" not in (tmp_path / "false" / "report.md").read_text(encoding="utf-8")
    lines = [line for line in log.read(tmp_path / "true") if "judge/learned" in line]
    assert [line["step"] for line in lines] == [0, 1, 2]
    assert all(0 <= line["judge/learned"] <= 1 and 0 <= line["judge/bleeding"] <= 1 for line in lines)
    # What is seen at the end is what the base alone sees in the same pictures.
    model = load(recipe.model.base)
    drawn = json_file.read(tmp_path / "true" / "controls" / "index.json")["prompts"]
    paths = [tmp_path / "true/controls" / one["set"] / f"{one['number']:02}" / "step-000002.png" for one in drawn]
    rows = records.read(tmp_path / "true" / "judge", "step-000002")
    assert rows is not None
    alone = features(model, [Image.open(path).convert("RGB") for path in paths])
    assert np.abs(rows["rows"] - alone).max() <= 2e-3 * max(1, float(np.abs(alone).max()))


@pytest.mark.parametrize("missing", ["regularization", "trigger", "prompts"])
def test_without_regularization_a_run_is_judged_and_without_a_trigger_or_prompts_it_is_not(
    missing: str, data: Path, tmp_path: Path
) -> None:
    changes = {
        "regularization": ("dataset.concepts.0.regularization=",),
        "trigger": ("dataset.concepts.0.trigger=", "dataset.concepts.0.class_word=cat"),
        "prompts": ("watch.bleeding_prompts=[]",),
    }
    settings = ("train.length=1", "save.every=0", "watch.judge=true", "watch.pictures=1", *PROMPTS, *changes[missing])
    result = train(tiny.recipe(data, tmp_path, *settings), folder=tmp_path / "run", quiet=True)
    assert result.outcome == "finished", result.message
    judged = [line for line in log.read(tmp_path / "run") if line.get("event") == "judged"]
    assert len(judged) == (2 if missing == "regularization" else 0)


def test_a_resumed_run_is_judged_as_one_that_was_never_stopped(data: Path, tmp_path: Path) -> None:
    often = ("train.length=4", "save.every=2", "save.state_every=2", "watch.judge=true", "watch.pictures=2")
    recipe = tiny.recipe(data, tmp_path, *often, *PROMPTS)
    assert train(recipe, folder=tmp_path / "whole", quiet=True).outcome == "finished"
    control, folder = RunControl(), tmp_path / "stopped"
    host = Between(recipe, folder, lambda done: control.stop() if done == 2 else None)
    assert train(recipe, folder=folder, control=control, host=host, quiet=True).outcome == "stopped"
    assert resume(folder, quiet=True).outcome == "finished"

    def judged(run: Path) -> list[tuple[int, float, float]]:
        lines = [line for line in log.read(run) if "judge/learned" in line]
        return [(line["step"], line["judge/learned"], line["judge/bleeding"]) for line in lines]

    assert judged(folder) == judged(tmp_path / "whole") and len(judged(folder)) == 3


def test_the_nearest_instance_picture_is_named_and_a_copy_found(data: Path, tmp_path: Path) -> None:
    settings = ("train.length=1", "save.every=0", "watch.judge=true", "watch.pictures=2", *PROMPTS)
    recipe = tiny.recipe(data, tmp_path, *settings)
    assert train(recipe, folder=tmp_path / "run", quiet=True).outcome == "finished"
    judge = Judge(tmp_path / "run", recipe, Controls(tmp_path / "run", recipe.watch))
    before = judge.numbers(1)
    assert before is not None
    near = judge.nearest(before)
    assert [(name, number) for name, number, _, _ in near] == [("concept", 0), ("concept", 1)]
    instance = records.read_pictures(judge.folder)
    assert instance == sorted(path for path in (data / "instance").glob("*.png") if "-mask" not in path.stem)
    assert {path for _, _, path, _ in near} <= set(instance)
    dataset, now = records.read(judge.folder, "dataset"), records.read(judge.folder, "step-000001")
    assert dataset is not None and now is not None
    row = [entry[:2] for entry in judge.controls.entries].index(("concept", 1))
    now["places"][row] = dataset["concept-0-places"][2]  # the second picture repeats the third instance picture
    records.write(judge.folder, "step-000001", **now)
    after = judge.numbers(1)
    assert after is not None
    _, _, path, found = judge.nearest(after)[1]
    assert path == instance[2] and found.copy and found.distance < 0.01
    (judge.folder / "pictures.json").unlink()
    assert judge.nearest(after) == [], "a run of an older version"


def test_damaged_records_are_missing_ones(tmp_path: Path) -> None:
    records.write(tmp_path, "one", rows=np.ones((2, 3), dtype=np.float32))
    assert records.read(tmp_path, "one")["rows"].tolist() == [[1, 1, 1], [1, 1, 1]]  # type: ignore[index]
    for damage in (b"", b"PK\x03\x04 not a zip", (tmp_path / "one.npz").read_bytes()[:-40]):
        (tmp_path / "bad.npz").write_bytes(damage)
        assert records.read(tmp_path, "bad") is None
    assert records.read(tmp_path, "nowhere") is None


@pytest.mark.parametrize("best", [True, False])
def test_the_best_save_stays_where_older_ones_are_deleted(
    best: bool, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Numbers, "worth", property(lambda self: -abs(self.step - 2)))
    more = ("train.length=5", "save.every=1", "save.keep_last=1", f"save.keep_best={best}".lower(), "watch.judge=true")
    result = train(
        tiny.recipe(data, tmp_path, *more, "watch.pictures=1", *PROMPTS), folder=tmp_path / "run", quiet=True
    )
    assert result.outcome == "finished", result.message
    left = [save["step"] for save in json_file.read(tmp_path / "run" / "saves" / "index.json")]
    assert left == ([2, 5] if best else [5])
    assert len(list((tmp_path / "run" / "saves").glob("*.safetensors"))) == len(left)
    assert verdict.recommended(tmp_path / "run") == (2 if best else 5)


def test_a_run_that_continues_from_a_save_is_not_judged(data: Path, tmp_path: Path) -> None:
    """Its pictures of step 0 show the concept: they can't stand for what the base model draws."""
    recipe = tiny.recipe(data, tmp_path, *PROMPTS)
    assert Judge(tmp_path, recipe, Controls(tmp_path, recipe.watch)).possible
    recipe = tiny.recipe(data, tmp_path, "method.lora.continue_from=before.safetensors", *PROMPTS)
    assert not Judge(tmp_path, recipe, Controls(tmp_path, recipe.watch)).possible


def test_a_control_picture_that_is_missing_does_not_end_the_run(data: Path, tmp_path: Path, monkeypatch) -> None:
    look = Judge.look

    def without(self: Judge, step: int, *more: Any) -> Any:
        if step == 1:
            self.controls.path("concept", 0, 1).unlink()
        return look(self, step, *more)

    monkeypatch.setattr(Judge, "look", without)
    settings = ("train.length=2", "save.every=1", "watch.judge=true", "watch.pictures=1", *PROMPTS)
    result = train(tiny.recipe(data, tmp_path, *settings), folder=tmp_path / "run", quiet=True)
    assert result.outcome == "finished", result.message
    lines = log.read(tmp_path / "run")
    assert [line["step"] for line in lines if line.get("event") == "judged"] == [0, 2]
    assert any("step 1 are not judged" in line.get("text", "") for line in lines if line.get("event") == "warning")


def test_a_style_whose_details_an_older_version_left_out_is_judged_as_a_whole(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ("train.length=3", "save.every=1", "save.state_every=1", "watch.judge=true", "watch.pictures=2", *PROMPTS)
    recipe = tiny.recipe(data, tmp_path, "dataset.concepts.0.kind=style", *more)
    control, folder = RunControl(), tmp_path / "run"
    host = Between(recipe, folder, lambda done: control.stop() if done == 2 else None)

    def older(path: Path, name: str, **rows: np.ndarray) -> None:
        write(path, name, **{key: some for key, some in rows.items() if not key.endswith("details")})

    write, judge = records.write, Judge(folder, recipe, Controls(folder, recipe.watch))
    with monkeypatch.context() as before:
        before.setattr(records, "write", older)
        assert train(recipe, folder=folder, control=control, host=host, quiet=True).outcome == "stopped"
    assert judge.all_numbers() == []
    assert resume(folder, quiet=True).outcome == "finished"
    assert [one.step for one in judge.all_numbers()] == [0, 1, 2, 3]


def test_a_style_is_told_by_its_details_and_a_subject_without() -> None:
    draws = np.random.default_rng(0)
    rows, details = (draws.normal(size=(8, count)).astype(np.float32) for count in (2, 40))
    details[:4] += 4  # what tells the style is in the details alone
    dataset = {"concept-0": rows[:4], "concept-0-details": details[:4], "regularization": rows[:0]}
    first = {"rows": rows[4:], "details": details[4:]}
    now = {"rows": rows[4:], "details": details[:4]}
    entries = [("concept", number, "a sks cat") for number in range(4)]

    def learned(kind: str, seen: dict[str, np.ndarray]) -> Share | None:
        concept = Concept(kind=kind, trigger="sks")  # type: ignore[arg-type]
        found = Compared([concept], entries, dataset, first).numbers(1, seen, [])
        return None if found is None else found.least_learned

    assert learned("style", now) == Share(4, 4)
    assert learned("style", {"rows": rows[4:]}) is None
    assert learned("subject", now) == learned("subject", {"rows": rows[4:]}) == Share(0, 4)


@pytest.mark.parametrize("room", [3, 1, 0])
def test_pictures_are_judged_fewer_at_once_where_memory_is_short(
    room: int, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``room``: how many pictures fit at once. Where not even one does, the run goes on without the numbers."""
    settings = ("train.length=1", "watch.judge=true", "watch.pictures=2", *PROMPTS)
    whole = train(tiny.recipe(data, tmp_path, *settings), folder=tmp_path / "whole", quiet=True)

    def short(model: Model, pictures: Sequence[Image.Image], *more: Any) -> Any:
        if len(pictures) > room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return see(model, pictures, *more)

    monkeypatch.setattr(judge_module, "see", short)
    result = train(tiny.recipe(data, tmp_path, *settings), folder=tmp_path / "run", quiet=True)
    assert (result.outcome, whole.outcome) == ("finished", "finished")
    lines = log.read(tmp_path / "run")
    warned = [line["text"] for line in lines if line.get("event") == "warning"]
    assert [line["step"] for line in lines if line.get("event") == "judged"] == ([0, 1] if room else [])
    assert bool(room) != any("step 1 are not judged" in text for text in warned)
    if room:
        one, other = (records.read(tmp_path / name / "judge", "step-000001") for name in ("run", "whole"))
        assert one is not None and other is not None
        np.testing.assert_allclose(one["rows"], other["rows"], rtol=2e-3, atol=1e-4)
