"""Signals stop a run as Ctrl-C does: it saves, and can be resumed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sdft_ext.cli.main import INTERRUPTED, OK, main
from sdft_ext.cli.signals import stopped_by_signals
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run_folder import state
from tests.run import killed, tiny

if os.name != "nt":
    import fcntl
    import pty
    import termios

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent in another way there")


def trained(recipe: Path, number: int, ignored: bool = False) -> None:
    """Train on the command line, in a process that a signal would end, or that ignores it."""
    default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    signal.signal(number, signal.SIG_IGN if ignored else default)
    sys.exit(main(["train", str(recipe), "--quiet"]))


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_is_a_stop(name: str, data: Path, tmp_path: Path) -> None:
    run, number = tmp_path / "tiny", getattr(signal, name)
    recipe_file.write(tmp_path / "recipe.yaml", tiny.recipe(data, tmp_path, "train.length=400", "save.every=0"))
    process = killed.start(tmp_path / "recipe.yaml", number, target=trained)
    deadline = time.monotonic() + 120
    while len(tiny.steps(run)) < 2:
        if not process.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the run hasn't come to its second step")
        time.sleep(0.01)
    os.kill(process.pid, number)
    process.join(60)
    process.kill()
    last = state.states(run / "state")[-1:]
    assert process.exitcode == INTERRUPTED
    assert json.loads((run / "status.json").read_text())["state"] == "stopped"
    assert [int(path.name.removeprefix("step-")) for path in last] == [tiny.steps(run)[-1]]


@contextlib.contextmanager
def on_a_terminal(recipe: Path, run: Path, hangup: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Train in a terminal that is closed after two steps. ``hangup``: how the program finds SIGHUP set at its start."""
    master, terminal = pty.openpty()
    command = [sys.executable, "-m", "sdft_ext", "train", str(recipe)]

    def own() -> None:
        signal.signal(signal.SIGHUP, hangup)
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, preexec_fn=own, **streams) as process:  # type: ignore[call-overload]
        os.close(terminal)
        deadline = time.monotonic() + 120
        while len(tiny.steps(run)) < 2:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the run hasn't come to its second step")
            os.set_blocking(master, False)
            with contextlib.suppress(BlockingIOError):
                os.read(master, 65536)
            time.sleep(0.01)
        os.close(master)
        yield process


def test_a_closed_terminal_is_a_stop(data: Path, tmp_path: Path) -> None:
    """A real one: what the program prints afterwards has nowhere to go."""
    run = tmp_path / "tiny"
    recipe_file.write(tmp_path / "recipe.yaml", tiny.recipe(data, tmp_path, "train.length=400", "save.every=0"))
    with on_a_terminal(tmp_path / "recipe.yaml", run, signal.SIG_DFL) as process:
        assert process.wait(60) == INTERRUPTED
    last = state.states(run / "state")[-1]
    assert int(last.name.removeprefix("step-")) == tiny.steps(run)[-1]


def test_a_run_that_outlives_its_terminal_ends_as_it_trains(data: Path, tmp_path: Path) -> None:
    """The signal is ignored, or goes to others (``disown``): there is nothing to print to, and that is no failure."""
    recipe_file.write(tmp_path / "recipe.yaml", tiny.recipe(data, tmp_path, "train.length=30", "save.every=0"))
    with on_a_terminal(tmp_path / "recipe.yaml", tmp_path / "tiny", signal.SIG_IGN) as process:
        assert process.wait(120) == OK
    assert json.loads((tmp_path / "tiny" / "status.json").read_text())["state"] == "finished"


def signals(*names: str, repeated: float = 0.0) -> bool:
    """Send this process signals while it may be stopped by them; return whether a stop was asked for."""
    with stopped_by_signals("Saving and stopping …", repeated) as control:
        for name in names:
            signal.raise_signal(getattr(signal, name))
        return control.stopping


@pytest.mark.parametrize("names", ["SIGHUP SIGTERM", "SIGTERM SIGHUP", "SIGHUP SIGHUP", "SIGHUP SIGINT SIGHUP"])
def test_a_closed_terminal_and_one_more_signal_are_a_stop(names: str) -> None:
    """A session that is ended sends both, and Python takes the smaller number first."""
    default = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert signals(*names.split())
        with pytest.raises(KeyboardInterrupt):
            signals(*names.split(), "SIGTERM", "SIGTERM")
    finally:
        signal.signal(signal.SIGHUP, default)


def test_a_signal_while_a_line_is_written_is_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that takes no output is written to when the signal comes: printing is then refused."""

    class Writing(io.StringIO):
        def write(self, text: str) -> int:
            raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    monkeypatch.setattr(sys, "stderr", Writing())
    assert signals("SIGTERM") and signals("SIGINT")


def test_nohup_lets_a_run_go_on(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "tiny"
    recipe_file.write(tmp_path / "recipe.yaml", tiny.recipe(data, tmp_path, "train.length=30", "save.every=0"))
    process = killed.start(tmp_path / "recipe.yaml", signal.SIGHUP, True, target=trained)
    while process.is_alive():
        if (run / "log.jsonl").exists():
            os.kill(process.pid, signal.SIGHUP)
        time.sleep(0.05)
    assert process.exitcode == OK and len(tiny.steps(run)) >= 1
