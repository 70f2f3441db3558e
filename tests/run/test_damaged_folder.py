"""A run's folder that was damaged, and surroundings that changed meanwhile: said in a sentence, nothing lost, nothing
silently wrong.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sdft_ext.cli.main import OK, main
from sdft_ext.control import RunControl
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import resume, train
from sdft_ext.run.changed_settings import change_stopped
from sdft_ext.run.loan import stems
from sdft_ext.run_folder import state
from sdft_ext.run_folder.lock import RunLocked, run_lock
from sdft_ext.run_folder.repair import repair
from sdft_ext.run_folder.saves import INDEX, read_index
from tests.analysis.images import fill, image, save
from tests.run import killed, tiny
from tests.run.step_hooks import Between

SETTINGS = ["train.length=5", "save.state_every=1", "watch.every=9", 'watch.concept_prompts=["a sks cat"]']
CHANGED = (
    "changed",
    "replaced",
    "another picture",
    "other picture",
    "another model",
    "other model",
    "not the model",
    "other weights",
)
"""Each of these reports that something has changed."""


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happened to."""
    return train(tiny.recipe(data, tmp_path_factory.mktemp("whole"), *SETTINGS), quiet=True).folder


@pytest.fixture(scope="module")
def three_steps(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, stopped after three of its five steps."""
    folder, control = tmp_path_factory.mktemp("stopped") / "run", RunControl()
    recipe = tiny.recipe(data, folder.parent, *SETTINGS)
    host = Between(recipe, folder, lambda done: control.stop() if done == 3 else None)
    result = train(recipe, folder=folder, control=control, host=host, quiet=True)
    assert [path.name for path in state.states(result.folder / "state")] == ["step-000002", "step-000003"]
    return folder


@pytest.fixture
def stopped(three_steps: Path, tmp_path: Path) -> Path:
    """A copy of that run."""
    return Path(shutil.copytree(three_steps, tmp_path / "run"))


def resumed(run: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Resume on the command line; return the exit code, and all that it prints and writes for people."""
    code = main(["resume", str(run), "--quiet"])
    captured = capsys.readouterr()
    report = run / "report.md"
    said = captured.out + captured.err + (report.read_text(encoding="utf-8") if report.exists() else "")
    return code, said.replace(str(run.parent), "")


def ends_alike(run: Path, whole: Path) -> bool:
    """The last save and the losses are equal. (Only the stopped run has a save where it stood.)"""

    def left(folder: Path) -> tuple[bytes, list[dict[str, Any]]]:
        return tiny.saved(folder)["tiny.safetensors"], [line for line in tiny.losses(folder) if "loss" in line]

    return left(run) == left(whole)


# -- states
# -------------------------------------------------------------------------------------------------------------


def test_states_that_are_all_damaged_are_named(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in state.states(stopped / "state"):
        (path / state.TENSORS).write_bytes(b"x")
    code, said = resumed(stopped, capsys)
    log = (stopped / "log.jsonl").read_text(encoding="utf-8")
    assert code != OK or "damaged" in said + log


def test_a_state_that_cannot_be_read_for_now_costs_nothing(
    stopped: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network folder that is away, or too many open files: the state is whole, and can be read later."""

    def unreadable(path: Path) -> int:
        raise OSError(5, "Input/output error", str(path))

    log = (stopped / "log.jsonl").read_text(encoding="utf-8")
    monkeypatch.setattr(state, "_file_sum", unreadable)
    resumed(stopped, capsys)
    assert (stopped / "log.jsonl").read_text(encoding="utf-8").startswith(log)


# -- other files
# --------------------------------------------------------------------------------------------------------


def cut_off(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8")[:19], encoding="utf-8")


@pytest.mark.parametrize("name", ["facts.json", "status.json", "saves/index.json", "controls/index.json"])
def test_a_truncated_file_is_named_or_written_again(
    name: str, stopped: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut_off(stopped / name)
    code, said = resumed(stopped, capsys)
    assert "sdft: unexpected" not in said
    assert ends_alike(stopped, whole) if code == OK else name in said


@pytest.mark.parametrize("name", ["saves/index.json", "controls/index.json"])
def test_a_truncated_index_is_rebuilt(
    name: str, stopped: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It only lists the files next to it: a run can be resumed without it."""
    cut_off(stopped / name)
    assert resumed(stopped, capsys)[0] == OK and ends_alike(stopped, whole)


@pytest.mark.parametrize("name", ["facts.json", "dataset.json", "saves/index.json", "controls/index.json"])
@pytest.mark.parametrize("content", [None, b"", b"\0" * 60, b"[]x"], ids=["missing", "empty", "zeros", "garbage"])
def test_a_file_that_is_missing_or_empty_is_named_and_rebuilt(
    name: str, content: bytes | None, stopped: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (stopped / name).unlink()
    if content is not None:
        (stopped / name).write_bytes(content)
    code, said = resumed(stopped, capsys)
    state = "missing" if content is None else "damaged"
    assert code == OK and ends_alike(stopped, whole) and f"{name} was {state}" in said
    assert [save.step for save in read_index(stopped)] == [2, 3, 4, 5]


def test_settings_that_are_changed_before_a_resume_lose_no_damaged_file(
    stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page changes them when it queues the run; what was damaged is said when the run goes on."""
    cut_off(stopped / "facts.json")
    cut = (stopped / "facts.json").read_bytes()
    change_stopped(stopped, ["train.learning_rate=0.001"])
    assert (stopped / "facts.json.damaged").read_bytes() == cut
    code, said = resumed(stopped, capsys)
    assert code == OK and "facts.json was damaged and is now facts.json.damaged" in said
    assert "0.001 instead of 0.01" in said


def test_settings_of_a_run_that_is_being_trained_are_not_changed(stopped: Path) -> None:
    before = (stopped / "recipe.yaml").read_bytes()
    with run_lock(stopped), pytest.raises(RunLocked, match="is being trained by another program"):
        change_stopped(stopped, ["train.learning_rate=0.001"])
    assert (stopped / "recipe.yaml").read_bytes() == before and not (stopped / "recipe-first.yaml").exists()


def test_the_list_of_saves_is_rebuilt_as_it_was(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    before = read_index(run)
    assert repair(run) == [] and before
    for damage in ("", "[{}]", '{"file": 1}'):
        (run / INDEX).write_text(damage)
        (said,) = repair(run)
        assert "saves/index.json was damaged" in said and read_index(run) == before
    asides = sorted(path.name for path in (run / "saves").glob("*.damaged*"))
    assert asides == ["index.json.damaged", "index.json.damaged-2", "index.json.damaged-3"]


def test_damaged_facts_of_one_run_hinder_no_other(data: Path, whole: Path, tmp_path: Path) -> None:
    """A host's folder is shared: the names of all runs' saves count."""
    Path(shutil.copytree(whole, tmp_path / "old"))
    cut_off(tmp_path / "old" / "facts.json")
    assert stems(tmp_path) == []


def test_a_recipe_that_is_damaged_is_named(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = stopped / "recipe.yaml"
    path.write_text(path.read_text(encoding="utf-8")[:200] + "\n\t: [}", encoding="utf-8")
    code, said = resumed(stopped, capsys)
    assert code != OK and "recipe.yaml" in said and "sdft: unexpected" not in said


def test_facts_of_another_kind_are_computed_again(
    stopped: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (stopped / "facts.json").write_text("[]")
    assert resumed(stopped, capsys)[0] == OK and ends_alike(stopped, whole)


def test_garbage_in_the_log_is_passed_over(stopped: Path, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open(stopped / "log.jsonl", "ab") as log:
        log.write(b'\xff\xfe\0garbage\n{"step": 1e400}\n{"step": true}\n')
    assert resumed(stopped, capsys)[0] == OK and ends_alike(stopped, whole)


def test_a_run_that_another_program_trains_is_left_alone(
    stopped: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (stopped / "status.json").read_bytes()
    with run_lock(stopped):
        result = resume(stopped, quiet=True)
        assert (result.outcome, "is being trained by another program" in result.message) == ("failed", True)
        code, said = resumed(stopped, capsys)
        assert code != OK and said.count("is being trained by another program") == 1 and "Traceback" not in said
    assert (stopped / "status.json").read_bytes() == before
    assert resumed(stopped, capsys)[0] == OK and ends_alike(stopped, whole)


def test_files_with_future_times_do_no_harm(stopped: Path, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A clock that was set back."""
    future = time.time() + 10 * 86400
    for path in stopped.rglob("*"):
        os.utime(path, (future, future))
    status = json.loads((stopped / "status.json").read_text())
    (stopped / "status.json").write_text(json.dumps({**status, "time": future}))
    assert resumed(stopped, capsys)[0] == OK and ends_alike(stopped, whole)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_only_be_read_is_named_and_costs_nothing(
    stopped: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped.chmod(0o500)
    code, said = resumed(stopped, capsys)
    assert code != OK and "can't write" in said and "sdft: unexpected" not in said
    stopped.chmod(0o700)
    assert resumed(stopped, capsys)[0] == OK and ends_alike(stopped, whole)


# -- surroundings
# -------------------------------------------------------------------------------------------------------


def second(run: Path) -> None:
    """Another program that resumes the run."""
    sys.exit(main(["resume", str(run), "--quiet"]))


@pytest.mark.skipif(os.name == "nt", reason="needs a fork server")
def test_a_run_that_is_being_trained_cannot_be_resumed(stopped: Path, whole: Path) -> None:
    codes: list[int | None] = []

    def another(done: int) -> None:
        if done == 4 and not codes:
            process = killed.start(stopped, target=second)
            process.join(60)
            process.kill()
            codes.append(process.exitcode)

    recipe = recipe_file.read(stopped / "recipe.yaml")
    result = resume(stopped, host=Between(recipe, stopped, another), quiet=True)
    assert len(codes) == 1 and codes[0] != OK
    assert result.outcome == "finished" and ends_alike(stopped, whole)


def test_a_picture_that_was_replaced_since_is_mentioned(data: Path, tmp_path: Path) -> None:
    """By another one of its size, where pictures are opened again at each step."""
    concept = [f"dataset.concepts.0.instance={tmp_path / 'pictures'}", "dataset.concepts.0.regularization="]
    recipe = tiny.recipe(data, tmp_path, *concept, "dataset.cache=none")
    fill(tmp_path / "pictures", 3)
    undisturbed = train(recipe, folder=tmp_path / "undisturbed", quiet=True).folder

    def replaced(done: int) -> None:
        if done == 2:
            for path in (tmp_path / "pictures").iterdir():
                save(path, image(seed=999))

    result = train(recipe, folder=tmp_path / "run", host=Between(recipe, tmp_path / "run", replaced), quiet=True)
    said = result.message + (result.folder / "report.md").read_text(encoding="utf-8").replace(str(tmp_path), "")
    assert result.outcome == "failed" and ".png was replaced while the run trains: put" in said
    for number, path in enumerate(sorted((tmp_path / "pictures").glob("*.png"))):
        save(path, image(seed=number))
    result = resume(result.folder, quiet=True)
    assert result.outcome == "finished" and tiny.saved(result.folder) == tiny.saved(undisturbed)


def test_a_picture_with_only_a_new_time_changes_nothing(data: Path, tmp_path: Path) -> None:
    concept = [f"dataset.concepts.0.instance={tmp_path / 'pictures'}", "dataset.concepts.0.regularization="]
    recipe = tiny.recipe(data, tmp_path, *concept, "dataset.cache=none")
    pictures = fill(tmp_path / "pictures", 3)
    host = Between(recipe, tmp_path / "run", lambda done: [path.touch() for path in pictures])
    assert train(recipe, folder=tmp_path / "run", host=host, quiet=True).outcome == "finished"


def test_another_base_model_under_the_same_name_is_mentioned(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, run, control = tiny.checkpoint(tmp_path / "base.safetensors"), tmp_path / "run", RunControl()
    recipe = tiny.recipe(data, tmp_path, f"model.base={base}", "save.state_every=1")
    host = Between(recipe, run, lambda done: control.stop() if done == 2 else None)
    train(recipe, folder=run, control=control, host=host, quiet=True)
    tiny.checkpoint(base, seed=5)
    code, said = resumed(run, capsys)
    assert code != OK or any(word in said for word in CHANGED)
