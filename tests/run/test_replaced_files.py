"""A run goes on with the files that it began with, or says which of them is another one: by content, not by date."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sdft_ext.control import RunControl
from sdft_ext.errors import ModelError
from sdft_ext.run import RunResult, resume, train
from sdft_ext.run_folder.facts import read_facts
from sdft_ext.run_folder.log import read as read_log
from tests.analysis.images import image, save
from tests.run import tiny
from tests.run.step_hooks import Between


def stopped(data: Path, tmp_path: Path, *settings: str, meanwhile: Callable[[], object] = lambda: None) -> RunResult:
    """A run that is stopped after two steps, of ``base.safetensors`` and ``pictures/``. ``meanwhile`` follows
    step 1.
    """
    base, control = tmp_path / "base.safetensors", RunControl()
    tiny.checkpoint(base)
    for number in range(3):
        save(tmp_path / "pictures" / f"{number}.bmp", image(64, 64, number))
    concept = [f"dataset.concepts.0.instance={tmp_path / 'pictures'}", "dataset.concepts.0.regularization="]
    recipe = tiny.recipe(data, tmp_path, f"model.base={base}", *concept, "save.every=0", *settings)

    def between(done: int) -> None:
        if done == 1:
            meanwhile()
        if done == 2:
            control.stop()

    result = train(
        recipe, folder=tmp_path / "run", control=control, host=Between(recipe, tmp_path / "run", between), quiet=True
    )
    assert result.outcome == "stopped"
    return result


def alike(path: Path, write: Callable[[Path], object], in_place: bool) -> None:
    """Replace a file by another one of its size and date."""
    before = path.stat()
    write(path.with_name(f"new-{path.name}"))
    if in_place:
        path.write_bytes(path.with_name(f"new-{path.name}").read_bytes())
        path.with_name(f"new-{path.name}").unlink()
    else:
        path.with_name(f"new-{path.name}").replace(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize("in_place", [True, False])
def test_another_base_model_of_the_same_size_and_date_is_refused(data: Path, tmp_path: Path, in_place: bool) -> None:
    """In one process: the page's hashes the file while the run trains, and keeps that."""
    run = stopped(data, tmp_path).folder
    alike(tmp_path / "base.safetensors", lambda path: tiny.checkpoint(path, seed=5), in_place)
    with pytest.raises(ModelError, match="has changed since this run began: the base model in it is another one"):
        resume(run, quiet=True)
    tiny.checkpoint(tmp_path / "base.safetensors")
    assert resume(run, quiet=True).outcome == "finished"


def test_another_configuration_of_the_base_model_is_refused(data: Path, tmp_path: Path) -> None:
    """It says what the weights predict, which the tensors don't."""
    run, config = stopped(data, tmp_path).folder, tmp_path / "base.yaml"
    config.write_text("model: {params: {parameterization: v}}\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"The configuration of .*base\.safetensors has changed since this run began"):
        resume(run, quiet=True)
    config.unlink()
    assert resume(run, quiet=True).outcome == "finished"


def test_a_base_model_that_is_replaced_while_the_run_trains_is_said_and_refused(data: Path, tmp_path: Path) -> None:
    """Before the first state its weights aren't hashed yet: the hash would be the new file's."""
    base, first = tmp_path / "base.safetensors", tmp_path / "first.safetensors"

    def swap() -> None:
        base.replace(first)
        tiny.checkpoint(base, seed=5)

    run = stopped(data, tmp_path, "save.state_every=0", meanwhile=swap).folder
    assert any("was replaced after it was loaded" in str(line.get("text")) for line in read_log(run))
    with pytest.raises(ModelError, match="was replaced while this run trained, and isn't the base model"):
        resume(run, quiet=True)
    first.replace(base)
    assert resume(run, quiet=True).outcome == "finished"


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_a_picture_that_was_replaced_by_one_of_its_size_and_date_is_refused(
    data: Path, tmp_path: Path, cache: str
) -> None:
    run = stopped(data, tmp_path, f"dataset.cache={cache}").folder
    alike(tmp_path / "pictures" / "1.bmp", lambda path: save(path, image(64, 64, 99)), in_place=True)
    with pytest.raises(ValueError, match="not the ones that the run began with"):
        resume(run, quiet=True)
    save(tmp_path / "pictures" / "1.bmp", image(64, 64, 1))
    assert resume(run, quiet=True).outcome == "finished"


def test_a_run_that_kept_no_hash_of_its_pictures_goes_on(data: Path, tmp_path: Path) -> None:
    """Version 0.1.0 kept only that of their sizes and captions."""
    run = stopped(data, tmp_path).folder
    path = run / "dataset.json"
    text = path.read_text(encoding="utf-8")
    whole = text[text.index('"fingerprint": "') + 16 :].partition('"')[0]
    path.write_text(text.replace(whole, whole.partition("-")[0]), encoding="utf-8")
    assert "-" in whole and resume(run, quiet=True).outcome == "finished"
    assert whole in path.read_text(encoding="utf-8") and read_facts(run)["outcome"] == "finished"
