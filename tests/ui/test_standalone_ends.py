"""The standalone server ends as the command line does: the run that trains is stopped, and can be resumed."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from sdft_ext.run_folder import state
from tests.run import tiny

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent in another way there")


def asked(address: str, path: str, **more: Any) -> Any:
    with urllib.request.urlopen(urllib.request.Request(f"{address}sdft/v1/{path}", **more), timeout=60) as answer:
        return json.load(answer)


@pytest.mark.parametrize("names", ["SIGTERM SIGTERM", "SIGHUP SIGTERM"])
def test_a_server_that_is_ended_saves_its_run_whatever_more_is_sent(names: str, data: Path, tmp_path: Path) -> None:
    """A session that is ended sends a second signal while the run is still saving."""
    runs, base = tmp_path / "runs", str(data / "base.safetensors")
    recipe = dataclasses.asdict(tiny.recipe(data, runs, "train.length=100000", "save.every=0"))
    command = [sys.executable, "-m", "sdft_ext.ui.standalone", "--no-browser", "--base", base, "--runs", str(runs)]

    def default() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=default) as process:
        try:
            assert process.stdout is not None
            (address,) = re.findall(r"http://\S+", process.stdout.readline())
            headers = {"X-SDFT-Token": asked(address, "session")["token"], "Content-Type": "application/json"}
            asked(address, "runs", data=json.dumps({"recipe": recipe}).encode(), headers=headers)
            deadline = time.monotonic() + 120
            while len(tiny.steps(runs / "tiny")) < 2:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            first, more = (getattr(signal, name) for name in names.split())
            process.send_signal(first)
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
                process.send_signal(more)
            assert process.returncode == 0
        finally:
            process.kill()
    run = runs / "tiny"
    assert json.loads((run / "status.json").read_text())["state"] == "stopped"
    assert state.step_of(state.states(run / "state")[-1]) == tiny.steps(run)[-1]


@pytest.mark.parametrize("names", ["SIGTERM", "SIGHUP SIGTERM", "SIGINT"])
def test_the_launcher_passes_signals_on_and_waits(names: str, tmp_path: Path) -> None:
    """``standalone.py`` trains in another process, which saves; a terminal sends Ctrl-C to that one, too."""
    (tmp_path / "saving.py").write_text(
        "import signal, sys, time\n"
        "def save(number, _):\n"
        "    time.sleep(0.5); print('saved', flush=True); sys.exit(7)\n"
        "for number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, save)\n"
        "signal.signal(signal.SIGHUP, lambda *_: None)\n"
        "print('ready', flush=True); time.sleep(60)\n"
    )
    code = f"import sys, standalone; standalone.PYTHON = {sys.executable!r}; sys.exit(standalone.run('saving'))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for name in names.split():
            if name == "SIGINT":
                os.killpg(process.pid, signal.SIGINT)
            else:
                process.send_signal(getattr(signal, name))
        assert process.stdout.read() == "saved\n" and process.wait(60) == 7
