"""The queue: one run at a time, in an order that can be changed, and nothing lost by a failure or a restart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sdft_ext import run as story
from sdft_ext.control import RunControl
from sdft_ext.desk import Desk, DeskError, NotFound, NotNow
from sdft_ext.desk.run_queue import RunQueue
from sdft_ext.recipe import RecipeError
from tests.desk import setting
from tests.desk.setting import state, until, values

LONG = ("train.length=100000", "save.every=0")


def test_a_run_trains_to_its_end_in_the_desks_thread(desk: Desk, data: Path):
    run = desk.runs.start(values(data))
    assert desk.queue.wait(60)
    assert state(desk, run) == "finished"
    assert [save["step"] for save in desk.library.saves(run)] == [2, 4]
    assert desk.library.saves(run)[-1]["last"] and not desk.library.saves(run)[0]["last"]
    assert (desk.folder / run / "report.md").is_file()


def test_a_run_of_the_desk_is_the_run_of_the_command_line(desk: Desk, data: Path, tmp_path: Path):
    run = desk.runs.start(values(data))
    story.train(setting.tiny.recipe(data, tmp_path / "other"), quiet=True)
    assert desk.queue.wait(60)
    mine, other = (folder / "saves" / "tiny.safetensors" for folder in (desk.folder / run, tmp_path / "other" / "tiny"))
    assert setting.tiny.tensors(mine) == setting.tiny.tensors(other)


def test_runs_wait_for_their_turn_and_can_be_reordered(desk: Desk, data: Path):
    first = desk.runs.start(values(data, *LONG))
    until(lambda: state(desk, first) == "training")
    second, third = (desk.runs.start(values(data, f"save.name={name}")) for name in ("second", "third"))
    assert desk.queued()["queue"] == [second, third] and desk.queued()["current"] == first
    assert state(desk, second) == "waiting"
    desk.queue.order([third, second])
    assert desk.queued()["queue"] == [third, second]
    with pytest.raises(NotNow, match="changed meanwhile"):
        desk.queue.order([third])
    desk.runs.stop(first)
    assert desk.queue.wait(60)
    ended = {run: (desk.folder / run / "status.json").stat().st_mtime_ns for run in (second, third)}
    assert ended[third] < ended[second]
    assert [state(desk, run) for run in (first, second, third)] == ["stopped", "finished", "finished"]


def test_a_run_is_resumed_with_texts_as_the_page_sends_them(desk: Desk, data: Path):
    run = desk.runs.start(values(data))
    assert desk.queue.wait(60)
    (desk.folder / run / "status.json").write_text('{"state": "stopped"}')
    settings = {"watch.concept_prompts": ["a 😀 cat"], "watch.negative": "[blurry", "train.schedule": "constant"}
    desk.runs.resume(run, {**settings, "train.length": 5})
    assert desk.queue.wait(60) and state(desk, run) == "finished"
    recipe = desk.library.recipe(run)
    assert [recipe.watch.concept_prompts, recipe.watch.negative, recipe.train.schedule] == list(settings.values())
    assert "watch.concept_prompts is “a 😀 cat” instead of" in (desk.folder / run / "log.jsonl").read_text("utf-8")


def test_a_text_that_no_file_can_hold_starts_no_run(desk: Desk, data: Path):
    recipe = values(data)
    recipe["watch"]["concept_prompts"] = ["half \ud83d a pair"]
    with pytest.raises(RecipeError, match=r"watch\.concept_prompts .* half a pair of surrogates"):
        desk.runs.start(recipe)
    assert desk.library.ids() == [] and desk.queued()["current"] is None


def test_pause_holds_a_run_and_resume_lets_it_go_on(desk: Desk, data: Path):
    run = desk.runs.start(values(data, *LONG))
    until(lambda: state(desk, run) == "training")
    desk.runs.control(run).pause()
    until(lambda: state(desk, run) == "paused")
    step = desk.library.status(run)["step"]
    desk.runs.resume(run)
    until(lambda: desk.library.status(run)["step"] > step)


def test_save_and_try_now_write_files_while_the_run_continues(desk: Desk, data: Path):
    run = desk.runs.start(values(data, *LONG))
    until(lambda: state(desk, run) == "training")
    desk.runs.control(run).save_now()
    until(lambda: desk.library.saves(run))
    name = desk.runs.try_now(run)
    assert (desk.folder / run / "saves" / f"{name}.safetensors").is_file()
    assert desk.queue.current == run
    assert name not in [save["name"] for save in desk.library.saves(run)]


def test_a_stopped_run_continues_when_it_is_resumed(desk: Desk, data: Path):
    run = desk.runs.start(values(data, "train.length=40"))
    until(lambda: state(desk, run) == "training")
    desk.runs.stop(run)
    until(lambda: state(desk, run) == "stopped")
    desk.runs.resume(run)
    until(lambda: state(desk, run) == "finished")
    assert desk.library.status(run)["step"] == 40
    with pytest.raises(NotNow, match="finished"):
        desk.runs.resume(run)


def test_a_waiting_run_that_is_stopped_leaves_the_queue(desk: Desk, data: Path):
    first = desk.runs.start(values(data, *LONG))
    second = desk.runs.start(values(data))
    desk.runs.stop(second)
    assert desk.queued()["queue"] == [] and state(desk, second) == "stopped"
    with pytest.raises(NotNow, match="isn't training"):
        desk.runs.control(second)
    assert desk.queue.current == first


def test_a_failure_ends_its_run_with_a_sentence_and_the_next_one_trains(desk: Desk, data: Path):
    broken = desk.runs.start(values(data, "method.lora.block_ranks.nowhere=4"))
    good = desk.runs.start(values(data))
    assert desk.queue.wait(60)
    assert state(desk, broken) == "failed"
    assert "nowhere" in desk.library.status(broken)["message"]
    assert not (desk.folder / broken / "traceback.txt").exists(), "the user's mistake is no fault of the program"
    assert state(desk, good) == "finished"


def test_a_bug_is_logged_with_its_traceback_and_the_thread_continues(tmp_path: Path):
    done = []

    def train(folder: Path, control: RunControl) -> None:
        if folder.name == "first":
            raise ZeroDivisionError("of all things")
        done.append(folder.name)

    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    queue = RunQueue(tmp_path, tmp_path / "queue.json", train)
    queue.add("first")
    queue.add("second")
    assert queue.wait(30) and done == ["second"]
    status = json.loads((tmp_path / "first" / "status.json").read_text())
    assert status["state"] == "failed" and "ZeroDivisionError: of all things" in status["message"]
    assert "in train" in (tmp_path / "first" / "traceback.txt").read_text()
    queue.close()


def test_after_a_restart_the_queue_waits_and_the_interrupted_run_says_so(data: Path, tmp_path: Path):
    before = setting.desk(data, tmp_path / "runs")
    going = before.runs.start(values(data, *LONG))
    until(lambda: state(before, going) == "training")
    waiting = before.runs.start(values(data, "save.name=second"))
    queue = json.loads(before.queue.file.read_text())
    assert queue["current"] == going and queue["waiting"] == [waiting]
    left = before.queue.file.read_text(), (before.folder / going / "status.json").read_text()
    before.close()
    # What a program that was killed leaves behind.
    before.queue.file.write_text(left[0])
    (before.folder / going / "status.json").write_text(left[1])

    after = setting.desk(data, tmp_path / "runs")
    assert state(after, going) == "stopped" and "Interrupted" in after.library.status(going)["message"]
    assert after.queued()["queue"] == [waiting] and after.queued()["held"] and after.queue.current is None
    assert state(after, waiting) == "waiting"
    after.runs.resume(waiting)
    assert after.queue.wait(60)
    assert state(after, waiting) == "finished" and not after.queued()["held"]
    after.close()


def test_closing_stops_with_a_save_and_keeps_what_waits(data: Path, tmp_path: Path):
    desk = setting.desk(data, tmp_path / "runs")
    going = desk.runs.start(values(data, *LONG))
    until(lambda: state(desk, going) == "training")
    waiting = desk.runs.start(values(data, "save.name=second"))
    desk.close()
    assert state(desk, going) == "stopped" and desk.library.saves(going)
    assert setting.desk(data, tmp_path / "runs").queued()["queue"] == [waiting]


def test_names_of_the_desks_own_folders_stay_free(desk: Desk, data: Path):
    assert desk.runs.start(values(data, "save.name=trash")) == "trash-2"
    assert desk.runs.start(values(data, "save.name=cache")) == "cache-2"
    assert desk.runs.start(values(data, "save.name=cache")) == "cache-3"


@pytest.mark.parametrize("run", ["", ".", "..", "../runs", "a/b", "a\\b", ".desk", "trash", "\0", "nothing"])
def test_only_the_name_of_a_run_names_a_run(desk: Desk, run: str):
    with pytest.raises(NotFound):
        desk.library.path(run)


def test_a_linked_folder_is_not_a_run(desk: Desk, data: Path, tmp_path: Path):
    desk.runs.start(values(data))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "recipe.yaml").write_text("version: 1\n")
    (desk.folder / "link").symlink_to(outside)
    assert "link" not in desk.library.ids()
    with pytest.raises(NotFound):
        desk.library.path("link")


def test_a_recipe_that_cannot_train_is_refused_before_it_is_queued(desk: Desk, data: Path):
    with pytest.raises(DeskError, match="does not exist"):
        desk.runs.start(values(data, f"dataset.concepts.0.instance={data / 'nowhere'}"))
    assert desk.queued()["runs"] == [] and not any(desk.folder.glob("tiny*"))


def test_stopping_lets_the_next_run_begin_and_the_grid_is_drawn_on_demand(desk: Desk, data: Path):
    prompts = ('watch.concept_prompts=["a sks cat"]', "watch.every=1000", "watch.size=64")
    first = desk.runs.start(values(data, *LONG, *prompts))
    second = desk.runs.start(values(data, *prompts, "save.name=second"))
    until(lambda: desk.library.status(first)["step"] > 2)
    with pytest.raises(NotNow, match="training or waiting"):
        desk.runs.draw_grid(first)
    desk.runs.stop(first)
    assert desk.queue.wait(60)
    assert (state(desk, first), state(desk, second)) == ("stopped", "finished")
    stopped = desk.library.status(first)
    assert not desk.library.detail(first)["grid"] and desk.library.detail(second)["grid"]
    desk.runs.draw_grid(first)
    assert desk.queue.wait(60)
    assert desk.library.detail(first)["grid"] and desk.library.status(first) == stopped
    assert len(desk.library.saves(first)) == 1, "no step was taken"


def test_a_grid_that_waits_can_be_taken_back(desk: Desk, data: Path):
    ended = desk.runs.start(values(data, 'watch.concept_prompts=["a sks cat"]', "watch.every=1000"))
    assert desk.queue.wait(60)
    (desk.folder / ended / "controls" / "grid.png").unlink()
    finished = desk.library.status(ended)
    training = desk.runs.start(values(data, *LONG, "save.name=long"))
    until(lambda: state(desk, training) == "training")
    desk.runs.draw_grid(ended)
    assert state(desk, ended) == "waiting" and desk.queue.waiting == [ended]
    desk.runs.stop(ended)
    assert desk.library.status(ended) == finished and desk.queue.waiting == []
    desk.runs.stop(training)
    assert desk.queue.wait(60) and not desk.library.detail(ended)["grid"]


def test_a_run_without_prompts_has_no_grid_to_draw(desk: Desk, data: Path):
    run = desk.runs.start(values(data))
    assert desk.queue.wait(60)
    with pytest.raises(NotNow, match="no prompts"):
        desk.runs.draw_grid(run)
