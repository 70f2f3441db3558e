"""Background work: its outcome, its end, its sentences; and that the desk has one class of it."""

from __future__ import annotations

import ast
import json
import threading
from pathlib import Path

import pytest

from sdft_ext.desk import DeskError
from sdft_ext.desk.background import Job

DESK = Path(__file__).resolve().parents[2] / "sdft_ext" / "desk"


def starts_a_thread(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    return (function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")) == "Thread"


def test_only_the_background_job_and_the_run_queue_start_threads() -> None:
    found = {
        path.name for path in DESK.glob("*.py") if any(map(starts_a_thread, ast.walk(ast.parse(path.read_text()))))
    }
    assert found == {"background.py", "run_queue.py"}


def test_a_job_reports_progress_and_outcome() -> None:
    job, half, go = Job("working"), threading.Event(), threading.Event()

    def work() -> str:
        job.progress(1, 2)
        half.set()
        assert go.wait(30)
        job.progress(2, 2)
        return "Two parts."

    job.start("test", work)
    assert half.wait(30)
    assert job.snapshot() == ("working", 1, 2, "") and not job.over and job.seconds_left > 0
    go.set()
    job.join(30)
    assert job.snapshot() == ("finished", 2, 2, "Two parts.") and job.over and job.seconds_left == 0


def test_a_job_ends_early_where_it_looks() -> None:
    job, half, go = Job("working", cancelled="stopped"), threading.Event(), threading.Event()

    def work() -> None:
        half.set()
        assert go.wait(30)
        job.progress(1, 2)
        raise AssertionError("it went on")

    job.start("test", work)
    assert half.wait(30)
    job.cancel()
    assert job.cancelling and not job.over
    go.set()
    job.join(30)
    assert job.snapshot() == ("stopped", 1, 2, "")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DeskError("This folder is gone."), "This folder is gone."),
        (OSError("disk full"), "disk full"),
        (MemoryError(), "Too much at once."),
        (RuntimeError("could not create a primitive"), "The computer's memory is full: close other programs"),
        (RuntimeError("CUDA error: out of memory"), "The GPU's memory is full: close other programs that use the GPU"),
        (ImportError("no module", name="diffusers"), "A package is missing (diffusers)"),
        (KeyError("key"), "Unexpected KeyError: 'key'"),
    ],
)
def test_a_failure_is_a_sentence(error: Exception, message: str, caplog: pytest.LogCaptureFixture) -> None:
    job = Job("working", out_of_memory="Too much at once.")

    def work() -> None:
        raise error

    job.start("test", work)
    job.join(30)
    assert job.state == "failed" and job.message.startswith(message)
    fault = isinstance(error, KeyError)
    assert any(record.exc_info and record.exc_info[1] is error for record in caplog.records) or not fault


def test_an_outcome_is_seen_once_it_is_written(tmp_path: Path) -> None:
    """A snapshot during ``on_end`` waits for it, and then agrees with what it wrote."""
    file, writing, go = tmp_path / "job.json", threading.Event(), threading.Event()

    def write() -> None:
        writing.set()
        assert go.wait(30)
        file.write_text(json.dumps([job.state, job.message]))

    job = Job("working", on_end=write)
    job.start("test", lambda: "Done.")
    assert writing.wait(30)
    seen: list[bool] = []
    asking = threading.Thread(target=lambda: seen.append(job.over and file.is_file()))
    asking.start()
    asking.join(0.2)
    assert asking.is_alive() and not seen
    go.set()
    asking.join(30)
    assert seen == [True] and json.loads(file.read_text()) == ["finished", "Done."]
