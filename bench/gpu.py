"""python -m bench gpu [--family sd1 sdxl] [--write] [--json FILE]: GPU memory of runs, and seconds of their steps.

A checkpoint of a published family's size, with random weights, is loaded in half precision, as a WebUI has it on a GPU.
Each case is a whole run of a few steps with the method's preset. Estimate: the forecast, counted on a CPU. Tried: the
trial step before the first one (``sdft_ext.run.trial_step``). Measured: the most that torch allocated in the steps
that followed. ``--write`` writes the table into docs/memory.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sdft_ext.control import RunControl
from sdft_ext.formats import reference_families
from sdft_ext.host.base import Described, Files
from sdft_ext.host.standalone import Shelf, StandaloneHost
from sdft_ext.memory.forecast import forecast
from sdft_ext.recipe import Recipe, presets
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import run
from sdft_ext.run.ending import Ended
from sdft_ext.run.setup import Session
from sdft_ext.run_folder.facts import read_facts
from sdft_ext.train.loop import StepResult

from . import merge
from .peaks import DOCS, EXAMPLE, MB, Case, put
from .table import show

SIDES = {"sd1": 512, "sdxl": 1024}
STEPS = 5
BF16 = ("method.full.weights=bf16", "train.precision=bf16", "train.checkpointing=true")
OTHERS = tuple(
    (f"method.name={name}",) for name in ("dora", "loha", "lokr", "pivotal", "textual_inversion", "hypernetwork")
)
FULL = ("method.name=full", *BF16, "train.optimizer=adafactor")
SETTINGS: dict[str, tuple[tuple[str, ...], ...]] = {
    "sd1": (
        ("method.name=lora",),
        ("method.name=lora", "train.precision=bf16"),
        ("method.name=lora", "train.batch_size=8", "train.checkpointing=true"),
        ("method.name=lora", "dataset.resolution=768"),
        ("method.name=lora", "train.class_preservation=1", "train.blank_preservation=1"),
        *OTHERS,
        ("method.name=dreambooth",),
        FULL,
    ),
    "sdxl": (
        ("method.name=lora",),
        ("method.name=lora", "train.checkpointing=false"),
        ("method.name=lora", "train.checkpointing=false", "train.precision=bf16"),
        ("method.name=lora", "train.batch_size=4", "train.accumulation=1"),
        *OTHERS,
        FULL,
    ),
}
HEADER = (
    "| run | seconds a step | estimate MB | tried MB | measured MB | tried is off | estimate is off |\n"
    "|---|---:|---:|---:|---:|---:|---:|"
)


@dataclass(frozen=True)
class Row:
    """Megabytes on top of the loaded model's, and the median of the steps' seconds."""

    case: Case
    seconds: float
    estimate: float
    tried: float
    measured: float


def base(folder: Path, family: str) -> Path:
    """Write a checkpoint of the family's size in half precision."""
    path = folder / f"{family}.safetensors"
    merge.checkpoint(path, merge.layout(reference_families.family(family)))
    return path


def shelf(path: Path) -> Shelf:
    """Load the model onto the GPU in half precision."""
    made = Shelf("cuda")
    model = made.take(Files(str(path), ""))
    for module in model.modules:
        module.half()
    model.refresh()
    return made


def recipe(path: Path, family: str, *settings: str) -> Recipe:
    """Make a recipe of a few steps on the example's pictures, with the page's preset for this method on a GPU, no
    control pictures and one save.
    """
    method = next((setting.partition("=")[2] for setting in settings if setting.startswith("method.name=")), "lora")
    begun = presets.start(method, "subject", family, SIDES[family], "fp16")
    preset = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in begun.items()]
    own = (
        f"model.base={path}",
        f"dataset.concepts.0.instance={EXAMPLE}/instance",
        "dataset.concepts.0.trigger=sks",
        "dataset.concepts.0.class_word=shape",
        f"train.length={STEPS}",
        "save.every=0",
        "watch.tensorboard=false",
    )
    made = recipe_file.override(Recipe(), [*preset, *own, *settings])
    side = made.dataset.resolution
    made.dataset.bucket_min = made.dataset.bucket_max = side
    return made


class Watched(run.Run):
    """A run that measures how much memory its steps take, in bytes, and how many seconds."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.before, self.most, self.seconds = 0, 0, list[float]()

    def train_steps(self, session: Session, done: int) -> Ended:
        torch.cuda.synchronize()
        self.before = torch.cuda.memory_allocated()
        return super().train_steps(session, done)

    def step(self, session: Session, done: int) -> StepResult | None:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        result = super().step(session, done)
        torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - began)
        self.most = max(self.most, torch.cuda.max_memory_allocated())
        return result


def measure(case: Case, path: Path, on: Shelf, folder: Path) -> Row:
    """Train a case. Raises RuntimeError where it fails."""
    made = recipe(path, case.family, *case.settings)
    made.save.output = str(folder)
    folder.mkdir(parents=True)
    recipe_file.write(folder / "recipe.yaml", made)
    host = StandaloneHost(made.model, shelf=on)
    forecasted = forecast(made, Described(path.stem, str(path), case.family, "cuda", True), host.memory())
    going = Watched(folder, made, RunControl(), host, True)
    result = going.go()
    if result.outcome != "finished":
        raise RuntimeError(f"{case.name}: {result.message}")
    tried, taken = read_facts(folder)["memory"]["needed_mb"], (going.most - going.before) / MB
    return Row(case, statistics.median(going.seconds[1:]), forecasted["needed_mb"], tried, taken)


def line(row: Row) -> str:
    off = [f"{one / row.measured - 1:+.1%}" for one in (row.tried, row.estimate)]
    sizes = [f"{one:,.0f}" for one in (row.estimate, row.tried, row.measured)]
    return f"| {' | '.join([row.case.name, f'{row.seconds:.2f}', *sizes, *off])} |"


def main(argv: Sequence[str]) -> int:
    """Measure every case; return 1 where a trial step is more than 10 % off or a run failed."""
    parser = argparse.ArgumentParser(prog="python -m bench gpu", description=__doc__)
    parser.add_argument("--family", nargs="*", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--write", action="store_true", help="write the table into docs/memory.md")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(argv)
    if not torch.cuda.is_available():
        print("This benchmark needs a GPU that torch can use.", file=sys.stderr)
        return 2
    rows: list[Row] = []
    failed = False
    for family in options.family:
        with tempfile.TemporaryDirectory() as name:
            path = base(Path(name), family)
            on = shelf(path)
            for number, settings in enumerate(SETTINGS[family]):
                try:
                    rows.append(measure(Case(family, settings), path, on, Path(name) / str(number)))
                    print(line(rows[-1]), flush=True)
                except (RuntimeError, ValueError) as trouble:
                    failed = True
                    print(f"{Case(family, settings).name}: {trouble}", file=sys.stderr, flush=True)
            del on
            torch.cuda.empty_cache()
        if options.write:
            put(f"gpu {family}", [HEADER, *(line(row) for row in rows if row.case.family == family)], DOCS)
    cells = [
        [r.case.family, r.case.name, f"{r.seconds:.3f}", *(f"{x:.0f}" for x in (r.estimate, r.tried, r.measured))]
        for r in rows
    ]
    figures = {"gpu": [{**asdict(row), "device": torch.cuda.get_device_name()} for row in rows]}
    show(["family", "run", "seconds", "estimate MB", "tried MB", "measured MB"], cells, figures, options.json)
    return int(failed or any(abs(row.tried / row.measured - 1) > 0.1 for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
