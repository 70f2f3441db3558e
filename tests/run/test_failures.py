"""Runs that can't succeed end with a message that says what to change, and their saves stay."""

from __future__ import annotations

import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from sdft_ext.dataset.folder import DatasetError
from sdft_ext.errors import ModelError
from sdft_ext.out_of_memory import on_cpu, out_of_memory
from sdft_ext.recipe import Recipe, RecipeError
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import RunResult, resume, train
from tests.analysis.images import fill, save
from tests.run import killed, tiny
from tests.run.full_memories import ON_CPU, ON_GPU
from tests.run.step_hooks import Between

unix = pytest.mark.skipif(os.name == "nt", reason="no limits on a file's size there")


def report_of(run: Path) -> dict[str, Any]:
    """The report for programs; that for people must be there too."""
    assert (run / "report.md").stat().st_size
    data: dict[str, Any] = json.loads((run / "report.json").read_text(encoding="utf-8"))
    return data


def failed(result: RunResult, *words: str) -> None:
    """Check that result, report and status have one message, with these words, and that every listed save is whole."""
    report = report_of(result.folder)
    status = json.loads((result.folder / "status.json").read_text(encoding="utf-8"))
    assert result.outcome == report["outcome"] == status["state"] == "failed"
    assert result.message == report["message"] == status["message"]
    assert all(word in result.message for word in words), result.message
    assert report["saves"] == [str(path) for path in result.saves]
    for path in result.saves:
        assert all(tensor.isfinite().all() for tensor in load_file(path).values())
    assert not list(result.folder.rglob(".*.tmp*")), "nothing half written"


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_far_too_high_a_learning_rate(precision: str, data: Path, tmp_path: Path) -> None:
    settings = ["train.learning_rate=1", "train.schedule=constant", "train.clip_norm=0", "method.lora.alpha=200"]
    recipe = tiny.recipe(data, tmp_path, *settings, "train.length=80", "save.every=1", f"train.precision={precision}")
    result = train(recipe, quiet=True)
    failed(result, "learning rate")
    assert report_of(result.folder)["verdict"] in ("diverged", "failed")


def test_a_learning_rate_of_zero_is_refused_or_seen(data: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="learning_rate is 0"):
        train(tiny.recipe(data, tmp_path, "train.learning_rate=0"), quiet=True)
    recipe = tiny.recipe(data, tmp_path, "train.schedule=steps", "train.schedule_steps=0")
    result = train(recipe, quiet=True)
    assert result.outcome == "finished" and report_of(result.folder)["verdict"] == "not learning"


def limited(recipe: Path, folder: Path, size: int) -> None:
    """Train where no file may be longer than ``size`` bytes."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    train(recipe_file.read(recipe), folder=folder, quiet=True)


@unix
@pytest.mark.parametrize("full", ["state", "save"])
def test_a_full_disk(full: str, data: Path, tmp_path: Path) -> None:
    """The state is the longest file, a save comes next; a resumed run ends as if there had always been room."""
    recipe, run = tiny.recipe(data, tmp_path, "method.lora.rank=8"), tmp_path / "run"
    whole = train(recipe, folder=tmp_path / "whole", quiet=True)
    length = whole.saves[-1].stat().st_size
    recipe_file.write(tmp_path / "recipe.yaml", recipe)
    process = killed.start(
        tmp_path / "recipe.yaml", run, length + 2000 if full == "state" else length // 2, target=limited
    )
    process.join()
    assert process.exitcode == 0
    report = report_of(run)
    assert report["outcome"] == "failed" and len(report["saves"]) == (1 if full == "state" else 0)
    assert report["message"].startswith("can't write") and "File too large; free space" in report["message"]
    assert not list(run.rglob(".*.tmp*"))
    assert resume(run, quiet=True).outcome == "finished"
    assert tiny.fingerprint(run, run)["tensors"] == tiny.fingerprint(whole.folder, whole.folder)["tensors"]
    assert report_of(run)["outcome"] == "finished"


def full_from_step_2(recipe: Path, folder: Path) -> None:
    """Train until nothing at all can be written any more."""
    import resource

    def do(done: int) -> None:
        if done == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    settings = recipe_file.read(recipe)
    result = train(settings, folder=folder, host=Between(settings, folder, do), quiet=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    (folder / "message").write_text(f"{result.outcome}: {result.message}")


@unix
def test_a_disk_too_full_for_a_report(data: Path, tmp_path: Path) -> None:
    recipe, run = tiny.recipe(data, tmp_path, "watch.tensorboard=true"), tmp_path / "run"
    whole = train(recipe, folder=tmp_path / "whole", quiet=True)
    recipe_file.write(tmp_path / "recipe.yaml", recipe)
    process = killed.start(tmp_path / "recipe.yaml", run, target=full_from_step_2)
    process.join()
    message = (run / "message").read_text()
    assert message.startswith("failed: ") and "File too large" in message and "saves are intact" in message
    assert resume(run, quiet=True).outcome == "finished"
    assert tiny.losses(run) == tiny.losses(whole.folder)
    assert tiny.fingerprint(run, run)["tensors"] == tiny.fingerprint(whole.folder, whole.folder)["tensors"]


@pytest.mark.parametrize("blocked", ["saves", "state"])
def test_a_folder_that_a_file_blocks_during_the_run(blocked: str, data: Path, tmp_path: Path) -> None:
    recipe, run = tiny.recipe(data, tmp_path, "save.every=1"), tmp_path / "run"

    def do(done: int) -> None:
        if done == 2 and not (tmp_path / "aside").exists():
            (run / blocked).rename(tmp_path / "aside")
            (run / blocked).write_text("in the way")

    result = train(recipe, folder=run, host=Between(recipe, run, do), quiet=True)
    assert result.outcome == "failed" and blocked in result.message
    (run / blocked).unlink()
    (tmp_path / "aside").rename(run / blocked)
    assert resume(run, quiet=True).outcome == "finished"
    assert len(tiny.steps(run)) == 4


def test_an_output_folder_that_is_a_file(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        train(tiny.recipe(data, tmp_path / "file"), quiet=True)


def test_one_bad_picture_is_skipped_and_named(data: Path, tmp_path: Path) -> None:
    fill(tmp_path / "pictures", 4)
    good = (tmp_path / "pictures" / "001.png").read_bytes()
    (tmp_path / "pictures" / "cut.png").write_bytes(good[: len(good) // 2])
    (tmp_path / "pictures" / "empty.png").write_bytes(b"")
    recipe = tiny.recipe(data, tmp_path, f"dataset.concepts.0.instance={tmp_path / 'pictures'}")
    result = train(recipe, quiet=True)
    assert result.outcome == "finished"
    problems = report_of(result.folder)["dataset"]["problems"]
    assert {Path(problem["file"]).name: problem["skipped"] for problem in problems} == {
        "cut.png": True,
        "empty.png": True,
    }
    page = (result.folder / "report.md").read_text(encoding="utf-8")
    assert "cut.png" in page and "empty.png" in page


def test_no_file_outside_the_dataset_is_in_the_metadata(data: Path, tmp_path: Path) -> None:
    """A dataset of a stranger's holds a caption that is a link to a private file."""
    (tmp_path / "private.txt").write_text("SECRETKEY, other line")
    (picture, *_) = fill(tmp_path / "pictures", 2)
    picture.with_suffix(".txt").symlink_to(tmp_path / "private.txt")
    settings = [f"dataset.concepts.0.instance={tmp_path / 'pictures'}", "train.length=1", "save.every=0"]
    result = train(tiny.recipe(data, tmp_path, *settings), quiet=True)
    page = (result.folder / "report.md").read_text(encoding="utf-8").replace(str(tmp_path), "")
    assert b"SECRETKEY" not in result.saves[-1].read_bytes() or "link" in page


def test_a_picture_that_is_deleted_during_the_run(data: Path, tmp_path: Path) -> None:
    """It is needed again where crops are random: the run ends with a sentence, and goes on when it is back."""
    pictures, run = tmp_path / "pictures", tmp_path / "run"
    fill(pictures, 3, 80, 64)
    concept = [f"dataset.concepts.0.instance={pictures}", "dataset.concepts.0.regularization="]
    recipe = tiny.recipe(data, tmp_path, *concept, "dataset.crop=random", "dataset.cache=none")

    def do(done: int) -> None:
        if done == 2 and pictures.exists():
            pictures.rename(tmp_path / "aside")

    failed(train(recipe, folder=run, host=Between(recipe, run, do), quiet=True), ".png", "saves are intact")
    (tmp_path / "aside").rename(pictures)
    assert resume(run, quiet=True).outcome == "finished" and len(tiny.steps(run)) == 4


def test_values_that_the_file_can_not_hold(data: Path, tmp_path: Path) -> None:
    """A rate that makes weights too large for half precision: found when they are saved."""
    settings = ["save.precision=fp16", "train.weight_decay=0", "train.schedule=steps", "save.every=1"]
    rates = ["train.optimizer=prodigy", "train.schedule_steps=1e-3:2, 1e4", "train.learning_rate=1"]
    result = train(tiny.recipe(data, tmp_path, *settings, *rates, "train.optimizer_options={d0: '1e4'}"), quiet=True)
    failed(result, "learning rate")


@pytest.mark.parametrize("error", [*ON_GPU, *ON_CPU])
def test_a_memory_is_full(error: Exception, data: Path, tmp_path: Path) -> None:
    recipe, run = tiny.recipe(data, tmp_path), tmp_path / "run"

    def do(done: int) -> None:
        if done == 3:
            raise error

    result = train(recipe, folder=run, host=Between(recipe, run, do), quiet=True)
    failed(result, "memory is full", "train.batch_size")
    assert len(result.saves) == 1
    whose, other = ("computer", "GPU") if error in ON_CPU else ("GPU", "computer")
    assert f"The {whose}'s memory is full" in result.message and other not in result.message


def test_a_memory_that_is_really_full_is_recognized() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert out_of_memory(caught.value) and on_cpu(caught.value)
    for other in (RuntimeError("wrong shape"), KeyError("memory"), OSError(12, "Cannot allocate memory")):
        assert not on_cpu(other)


def test_other_pictures_than_the_run_began_with(data: Path, tmp_path: Path) -> None:
    fill(tmp_path / "pictures", 3)
    recipe = tiny.recipe(data, tmp_path, f"dataset.concepts.0.instance={tmp_path / 'pictures'}")
    run = train(recipe, quiet=True).folder
    save(tmp_path / "pictures" / "new.png")
    with pytest.raises(DatasetError, match="restore them"):
        resume(run, quiet=True)


def test_a_recipe_changed_since(data: Path, tmp_path: Path) -> None:
    run = train(tiny.recipe(data, tmp_path), quiet=True).folder
    for change, said in (("train.optimizer=lion", "optimizer"), ("method.lora.rank=3", "another run")):
        recipe_file.write(run / "recipe.yaml", tiny.recipe(data, tmp_path, change))
        with pytest.raises(ValueError, match=said):
            resume(run, quiet=True)


def test_a_rank_larger_than_the_layers_is_noted(data: Path, tmp_path: Path) -> None:
    result = train(tiny.recipe(data, tmp_path, "method.lora.rank=1024", "train.length=1"), quiet=True)
    assert result.outcome == "finished"
    assert "rank asked for is more than" in (result.folder / "report.md").read_text(encoding="utf-8")


def test_a_batch_larger_than_the_bucket(data: Path, tmp_path: Path) -> None:
    result = train(tiny.recipe(data, tmp_path, "train.batch_size=32", "train.length=2"), quiet=True)
    assert result.outcome == "finished" and report_of(result.folder)["dataset"]["steps_per_epoch"] == 1
    assert all(math.isfinite(line["loss"]) for line in tiny.losses(result.folder))


@pytest.mark.parametrize(
    ("content", "said"), [(None, "gone"), (b"", "empty"), (b"PK\x03\x04" + bytes(99), "zip"), (b"\xff" * 99, "header")]
)
def test_no_base_model(content: bytes | None, said: str, data: Path, tmp_path: Path) -> None:
    """The error comes before any training, and names the file."""
    path = tmp_path / "gone.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((ModelError, OSError), match=r"gone\.safetensors"):
        train(tiny.recipe(data, tmp_path, f"model.base={path}"), folder=tmp_path / "run", quiet=True)
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "failed"


def test_what_a_failed_start_leaves_is_used_again(data: Path, tmp_path: Path) -> None:
    """A misspelt path costs a run folder's name only until the next try."""
    recipe: Recipe = tiny.recipe(data, tmp_path, "model.base=/none such")
    with pytest.raises((ModelError, OSError)):
        train(recipe, quiet=True)
    recipe = tiny.recipe(data, tmp_path)
    assert train(recipe, quiet=True).outcome == "finished"
