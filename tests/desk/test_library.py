"""Runs on disk: read as they are, quickly, and never lost."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from PIL import Image

from sdft_ext.desk.differences import differences
from sdft_ext.desk.errors import NotNow
from sdft_ext.desk.library import Library
from sdft_ext.desk.logs import MOST_LINES, Logs
from sdft_ext.desk.run_queue import RunQueue
from sdft_ext.recipe import Concept, Recipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import train
from sdft_ext.run_folder.lock import process_lives, run_lock
from sdft_ext.storage import json_file
from tests.run import tiny
from tests.run.step_hooks import Between

from .setting import desk


def run(folder: Path, name: str, *settings: str, **status: object) -> Path:
    """A run's folder as a run leaves it, with a status."""
    path = folder / name
    recipe_file.write(path / "recipe.yaml", recipe_file.override(Recipe(), [f"save.name={name}", *settings]))
    (path / "status.json").write_text(json.dumps({"state": "finished", "step": 5, "total": 5, "time": 0, **status}))
    return path


@pytest.mark.timed
def test_hundreds_of_runs_are_listed_at_once_newest_first(tmp_path: Path):
    for number in range(300):
        path = run(tmp_path, f"run {number:03}")
        os.utime(path / "recipe.yaml", (1000 + number, 1000 + number))
    library = Library(tmp_path)
    assert [entry["id"] for entry in library.runs()][:2] == ["run 299", "run 298"]
    began = time.monotonic()
    assert len(library.runs()) == 300
    assert time.monotonic() - began < 0.5
    (tmp_path / "run 007" / "status.json").write_text(json.dumps({"state": "failed", "message": "broken"}))
    assert next(e for e in library.runs() if e["id"] == "run 007")["message"] == "broken"


def test_a_state_to_try_is_called_as_its_method_is_called(tmp_path: Path, data: Path):
    methods = ("lora", "pivotal", "hypernetwork", "textual_inversion", "dreambooth", "full")
    for method in methods:
        run(tmp_path, method, f"method.name={method}", "dataset.concepts.0.trigger=sks")
    own = desk(data, tmp_path)
    assert own.runs.prompt_calls("lora", "mine-try-000010") == {
        "call": "<lora:mine-try-000010:1>",
        "word": "",
        "further": [],
    }
    assert own.runs.prompt_calls("pivotal", "mine")["call"] == "<lora:mine:1>"
    assert own.runs.prompt_calls("hypernetwork", "mine") == {"call": "<hypernet:mine:1>", "word": "", "further": []}
    assert own.runs.prompt_calls("textual_inversion", "mine") == {"call": "mine", "word": "sks", "further": []}
    run(tmp_path, "two", "method.name=textual_inversion", "method.embedding.words={one: cat, two: dog}")
    further = [{"call": "mine-two", "word": "two"}]
    assert own.runs.prompt_calls("two", "mine") == {"call": "mine", "word": "one", "further": further}
    for method in ("dreambooth", "full"):
        with pytest.raises(NotNow, match="whole model, which a prompt can't call"):
            own.runs.try_now(method)


def test_a_run_that_no_program_holds_was_interrupted(tmp_path: Path, data: Path):
    """Whatever time its status has: a step may take long, and clocks are set."""
    for name in ("training", "drawing", "paused", "waiting"):
        run(tmp_path, name, state=name, time=time.time())
        library = Library(tmp_path)
        assert library.status(name)["state"] == "stopped" and "Interrupted" in library.status(name)["message"]
        assert Library(tmp_path, own=lambda name: True).status(name)["state"] == name
    run(tmp_path, "elsewhere", state="drawing", time=time.time() - 1000)
    with run_lock(tmp_path / "elsewhere"):
        assert library.status("elsewhere")["state"] == "drawing", "a command line may be training it"
        for refused in (desk(data, tmp_path).runs.resume, desk(data, tmp_path).queue.add):
            with pytest.raises(NotNow, match="by another program"):
                refused("elsewhere")
    assert library.status("elsewhere")["state"] == "stopped"


def test_a_run_that_waits_in_another_program_waits(tmp_path: Path):
    """Its queue's file names a process that lives; one with the same number that began later is another."""
    run(tmp_path, "waits", state="waiting")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        begun = psutil.Process(other.pid).create_time()
        queue = {"waiting": ["waits"], "pid": other.pid, "pid_started": begun, "computer": platform.node()}
        for changed, state in (({}, "waiting"), ({"pid_started": begun - 60}, "stopped"), ({"waiting": []}, "stopped")):
            json_file.write(tmp_path / ".desk" / "queue.json", {**queue, **changed})
            assert Library(tmp_path).status("waits")["state"] == state
        json_file.write(tmp_path / ".desk" / "queue.json", queue)
        other.communicate()
    assert Library(tmp_path).status("waits")["state"] == "stopped"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a process's start is a time")
def test_a_program_lives_whatever_the_clock_is_set_to(tmp_path: Path):
    """When a process started, in seconds since 1970, changes with the clock."""
    say = (
        "import json; from sdft_ext.run_folder.lock import this_process; print(json.dumps(this_process()), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", f"{say}; input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        process = json.loads(other.stdout.readline())
        boot, ticks = process["pid_since"].split()
        for changed, lives in (
            ({}, True),
            ({"pid_started": process["pid_started"] - 3600}, True),
            ({"pid_since": f"{boot} {int(ticks) - 1}"}, False),
            ({"pid_since": f"another-boot {ticks}"}, False),
            ({"computer": "another"}, False),
        ):
            assert process_lives({**process, **changed}) is lives, changed
        other.communicate("\n")
    assert not process_lives(process)


def test_a_run_that_another_program_has_resumed_keeps_its_status_when_a_page_is_restarted(tmp_path: Path):
    run(tmp_path, "taken", state="training", step=7)
    queue = tmp_path / ".desk" / "queue.json"
    json_file.write(queue, {"waiting": [], "current": "taken"})
    status = (tmp_path / "taken" / "status.json").read_bytes()
    with run_lock(tmp_path / "taken"):
        RunQueue(tmp_path, queue, lambda folder, control: None).close()
        assert (tmp_path / "taken" / "status.json").read_bytes() == status
    RunQueue(tmp_path, queue, lambda folder, control: None).close()
    assert json.loads((tmp_path / "taken" / "status.json").read_text())["state"] == "stopped"


def test_a_run_that_was_killed_before_the_clock_was_set_back_is_no_longer_training(tmp_path: Path):
    run(tmp_path, "killed", state="training", time=time.time() + 10 * 86400)
    assert Library(tmp_path).status("killed")["state"] == "stopped"


def test_a_run_in_the_midst_of_a_long_step_is_not_interrupted(tmp_path: Path, data: Path):
    """Another program could resume it then, a second time."""
    states: list[str] = []

    def look(done: int) -> None:
        if done == 2 and not states:
            status = json.loads((tmp_path / "run" / "status.json").read_text())
            (tmp_path / "run" / "status.json").write_text(json.dumps({**status, "time": status["time"] - 130}))
            states.append(Library(tmp_path).status("run")["state"])

    recipe = tiny.recipe(data, tmp_path)
    train(recipe, folder=tmp_path / "run", host=Between(recipe, tmp_path / "run", look), quiet=True)
    assert states == ["training"]


@pytest.mark.timed
def test_a_long_log_is_read_once(tmp_path: Path):
    count = 100_000
    with open(tmp_path / "log.jsonl", "w") as file:
        for step in range(count):
            file.write(
                json.dumps({"step": step, "loss": 0.123456, "smoothed": 0.1, "lr/unet": 1e-4, "time": 1.5e9}) + "\n"
            )
    logs = Logs()
    read = logs.since(tmp_path, 0)
    assert len(read.texts) == MOST_LINES and read.more and read.next == MOST_LINES
    while read.more:
        read = logs.since(tmp_path, read.next)
    assert read.next == count and json.loads(read.texts[-1])["step"] == count - 1
    began = time.monotonic()
    for step in range(count, count + 50):
        with open(tmp_path / "log.jsonl", "a") as file:
            file.write(json.dumps({"step": step, "event": "save"}) + "\n")
        read = logs.since(tmp_path, read.next)
        assert [json.loads(text)["step"] for text in read.texts] == [step]
    assert time.monotonic() - began < 0.5
    assert [event["step"] for event in logs.events(tmp_path)] == list(range(count, count + 50))
    assert [line["step"] for line in logs.last(tmp_path, 3)] == [count + 47, count + 48, count + 49]


def test_half_a_line_waits_for_its_other_half(tmp_path: Path):
    log, logs = tmp_path / "log.jsonl", Logs()
    assert logs.since(tmp_path, 0).texts == []
    log.write_bytes(b'{"step": 1}\n{"step": 2, "text": "\xc3')
    read = logs.since(tmp_path, 0)
    assert read.texts == [b'{"step": 1}'] and read.next == 1
    with open(log, "ab") as file:
        file.write(b'\xa9"}\n')
    assert json.loads(logs.since(tmp_path, 1).texts[0]) == {"step": 2, "text": "é"}


def test_a_replaced_log_is_recognized(tmp_path: Path):
    log, logs = tmp_path / "log.jsonl", Logs()
    log.write_text('{"step": 1}\n{"step": 2}\n')
    first = logs.since(tmp_path, 0)
    (tmp_path / "new").write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n')
    os.replace(tmp_path / "new", log)
    assert logs.since(tmp_path, 2).version != first.version
    log.write_text('{"step": 1}\n')
    assert logs.since(tmp_path, 0).texts == [b'{"step": 1}']


def test_saves_in_the_hosts_folder_go_to_the_trash_only_when_asked(tmp_path: Path):
    models = tmp_path / "models"
    models.mkdir()
    library = Library(tmp_path / "runs")
    for name in ("keep", "take"):
        path = run(tmp_path / "runs", name)
        save = models / f"{name}.safetensors"
        save.write_bytes(b"weights")
        Image.new("RGB", (8, 8)).save(models / f"{name}.preview.png")
        (path / "saves").mkdir()
        entries = [{"file": str(save), "step": 5, "epoch": 1, "loss": 0.1}, {"file": "/etc/hostname", "step": 6}]
        (path / "saves" / "index.json").write_text(json.dumps(entries))
        assert [entry["name"] for entry in library.saves(name)] == [name]
    library.trash("keep", saves=False)
    library.trash("take", saves=True)
    assert sorted(path.name for path in models.iterdir()) == ["keep.preview.png", "keep.safetensors"]
    assert (tmp_path / "runs" / "trash" / "take" / "saves" / "take.safetensors").read_bytes() == b"weights"
    assert Path("/etc/hostname").exists() and library.runs() == []


def test_recipes_with_more_concepts_are_compared():
    one, other = Recipe(), Recipe()
    other.dataset.concepts.append(Concept(name="second"))
    other.train.length = 7
    found = {entry["path"]: (entry["a"], entry["b"]) for entry in differences(one, other)}
    assert found["train.length"] == (1000, 7)
    assert found["dataset.concepts.1.name"] == (None, "second")
    assert found.keys() <= {"train.length"} | {path for path in found if path.startswith("dataset.concepts.1.")}
