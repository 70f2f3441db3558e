"""Signals stop a run as Ctrl-C does: it saves, and can be resumed."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from sdft_ext.cli.main import INTERRUPTED, main
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run_folder import state
from tests.run import killed, tiny

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent in another way there")


def trained(recipe: Path, number: int) -> None:
    """Train on the command line, in a process that a signal would end."""
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    sys.exit(main(["train", str(recipe), "--quiet"]))


@pytest.mark.parametrize(
    "name",
    [
        "SIGINT",
        "SIGTERM",
        pytest.param(
            "SIGHUP",
            marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason="a closed terminal kills the run"),
        ),
    ],
)
def test_a_signal_is_a_stop(name: str, data: Path, tmp_path: Path) -> None:
    run, number = tmp_path / "tiny", getattr(signal, name)
    recipe_file.write(tmp_path / "recipe.yaml", tiny.recipe(data, tmp_path, "train.length=400", "save.every=0"))
    process = killed.start(tmp_path / "recipe.yaml", number, target=trained)
    deadline = time.monotonic() + 120
    while not (run / "log.jsonl").exists() or len(tiny.losses(run)) < 2:
        if not process.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the run hasn't come to its second step")
        time.sleep(0.01)
    os.kill(process.pid, number)
    process.join(60)
    process.kill()
    last = state.states(run / "state")[-1:]
    assert process.exitcode == INTERRUPTED
    assert json.loads((run / "status.json").read_text())["state"] == "stopped"
    assert [int(path.name.removeprefix("step-")) for path in last] == [tiny.losses(run)[-1]["step"]]
