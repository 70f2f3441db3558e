"""python -m bench start [--json FILE]: seconds from process start to the first optimizer step, on the toy model."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sdft_ext.run_folder import log

from .table import show

ROOT = Path(__file__).resolve().parent.parent


def first_step_seconds(folder: Path, number: int) -> float:
    """Run ``python -m sdft_ext train`` for one step; return the seconds until the log says that it was finished."""
    started = time.time()
    command = [
        *(sys.executable, "-m", "sdft_ext", "train", str(ROOT / "assets/example/subject.yaml")),
        *("train.length=1", "train.length_unit=steps", f"save.output={folder}", f"save.name=start-{number}"),
        *("watch.concept_prompts=[]", "watch.bleeding_prompts=[]"),
        *("watch.propose_prompts=false", "watch.tensorboard=false"),
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    for entry in log.read(folder / f"start-{number}"):
        if entry["step"] == 1 and "loss" in entry:
            return float(entry["time"]) - started
    raise RuntimeError("the run logged no first step")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench start", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        seconds = [first_step_seconds(Path(folder), number) for number in range(options.repeats)]
    figures = {"seconds": round(statistics.median(seconds), 2), "all": [round(value, 2) for value in seconds]}
    header = ["runs", "median seconds", "fastest", "slowest"]
    row = [len(seconds), figures["seconds"], round(min(seconds), 2), round(max(seconds), 2)]
    show(header, [row], {"start": figures}, options.json)
    return 0
