"""python -m bench memory --check: compare the forecast with the measured peak of runs, and write docs/memory.md.

The peak is the most that torch's allocator has in use, from loading the model to the read-back of the last save: a
complete run (the real loop, control pictures, save, state, grid) is recorded by torch's profiler, which sees every
block that is allocated and freed, also inside a kernel. The process's resident memory wouldn't measure the recipe: it
includes Python and its packages, mapped files, and what the C library keeps for later.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from sdft_ext.control import RunControl
from sdft_ext.formats import reference_families, single_file_layout
from sdft_ext.host.base import Described
from sdft_ext.host.standalone import StandaloneHost
from sdft_ext.memory.forecast import highest, place_of
from sdft_ext.memory.phases import phases
from sdft_ext.model.base import Model
from sdft_ext.model.borrow import skeletons
from sdft_ext.model.copies import parameters
from sdft_ext.recipe import Recipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import run
from sdft_ext.storage import json_file

ROOT = Path(__file__).resolve().parent.parent
TOY, EXAMPLE = ROOT / "assets" / "toy" / "toy.safetensors", ROOT / "assets" / "example" / "subject"
PICTURES = 12
"""In the example's folder."""
DOCS = ROOT / "docs" / "memory.md"
HEADER = (
    "| run | highest at | forecast MB | measured MB | off | steps: forecast MB | measured MB | off |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|"
)
DRAWN = "watch.concept_prompts=[a sks on a white background]"
BF16 = ("method.full.weights=bf16", "train.precision=bf16")
SETTINGS: dict[str, tuple[tuple[str, ...], ...]] = {
    "toy": (
        ("method.name=lora", "train.batch_size=4"),
        ("method.name=lora", "train.batch_size=8", "method.lora.rank=64", "method.text_encoder=false"),
        ("method.name=lora", "method.lora.layers=attention", "dataset.resolution=128", "train.batch_size=2"),
        ("method.name=lora", "train.checkpointing=true", "train.precision=bf16", "train.batch_size=16"),
        ("method.name=lora", "train.ema=0.99", "train.optimizer=prodigy", "train.batch_size=6"),
        ("method.name=lora", "train.class_preservation=1", "train.blank_preservation=1", "train.batch_size=4"),
        ("method.name=lora", "train.accumulation=2", "method.lora.rank=32", "train.batch_size=4"),
        ("method.name=lora", "method.unet=false", "train.batch_size=8"),
        ("method.name=dora", "train.batch_size=4"),
        ("method.name=loha", "train.batch_size=4", "train.precision=bf16"),
        ("method.name=lokr", "train.batch_size=8", "train.optimizer=lion"),
        ("method.name=dreambooth", "train.batch_size=4"),
        ("method.name=dreambooth", "train.class_preservation=1", "train.batch_size=8"),
        ("method.name=full", "train.ema=0.99", "train.checkpointing=true", "train.batch_size=8"),
        ("method.name=full", *BF16, "train.optimizer=lion", "train.batch_size=8"),
        ("method.name=full", "method.text_encoder=false", "train.optimizer=adafactor", "method.full.save_as=lora"),
        ("method.name=textual_inversion", "train.batch_size=8"),
        ("method.name=pivotal", "train.batch_size=8", "train.checkpointing=true"),
        ("method.name=hypernetwork", "train.batch_size=8"),
        ("method.name=hypernetwork", "method.hypernetwork.layer_structure=1, 2, 2, 1", "train.batch_size=8"),
    ),
    "sd1": (
        ("method.name=dora",),
        ("method.name=hypernetwork", "train.batch_size=2"),
        ("method.name=lora", "train.batch_size=2", DRAWN),
        ("method.name=full", "method.full.frozen=[down_blocks, resnets]", "method.text_encoder=false"),
        ("method.name=lora", "train.precision=bf16", "train.optimizer=prodigy"),
        ("method.name=lokr", "train.optimizer=lion"),
        ("method.name=dreambooth", *BF16, "method.full.frozen=[resnets]", "train.optimizer=lion"),
        ("method.name=textual_inversion", "dataset.resolution=320"),
    ),
}
MB = 2**20
MARK = "run."
"""What the names of a run's phases begin with in a profile."""


def peaks(recipe_path: Path, folder: Path) -> dict[str, float]:
    """Return the peak megabytes of each phase that the run marks for a profiler, and of the whole run (``peak``).

    Raises RuntimeError where the run fails.
    """
    recipe = recipe_file.read(recipe_path)
    folder.mkdir(parents=True)
    recipe_file.write(folder / "recipe.yaml", recipe)
    one = run.Run(folder, recipe, RunControl(), StandaloneHost(recipe.model, "cpu"), True)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = one.go()
    if result.outcome != "finished":
        raise RuntimeError(result.message)
    found: dict[str, float] = {"peak": 0.0}
    results: Any = profiler.profiler
    now = 0
    phases, changes = [], []
    for event in results.kineto_results.events():
        if event.name() == "[memory]":
            changes.append((event.start_ns(), event.nbytes()))
        elif event.name().startswith(MARK):
            phases.append((event.name().removeprefix(MARK), event.start_ns(), event.start_ns() + event.duration_ns()))
    for moment, change in sorted(changes):
        now += change
        phase = next((name for name, began, ended in phases if began <= moment <= ended), "before")
        for name in ("peak", phase):
            found[name] = max(found.get(name, 0.0), now / MB)
    return {name: round(value, 2) for name, value in found.items()}


def in_own_process(recipe_path: Path, folder: Path) -> dict[str, float]:
    """Return ``peaks`` of a run in a new process. Raises RuntimeError where it fails."""
    command = [sys.executable, "-m", "bench.peaks", str(recipe_path), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise RuntimeError(f"{recipe_path} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json_file.parse(done.stdout.splitlines()[-1])
    return found


@dataclass(frozen=True)
class Case:
    family: str
    settings: tuple[str, ...]

    @property
    def name(self) -> str:
        settings = ", ".join(setting.split(".", 1)[1] for setting in self.settings)
        return settings.replace("name=", "").replace(DRAWN.split(".", 1)[1], "control pictures drawn")

    def recipe(self, base: Path) -> Recipe:
        side = 64 if self.family == "toy" else 256
        return recipe_file.override(
            Recipe(),
            [
                f"model.base={base}",
                f"dataset.resolution={side}",
                f"dataset.bucket_min={side}",
                f"dataset.concepts.0.instance={EXAMPLE}/instance",
                "dataset.concepts.0.trigger=sks",
                "dataset.concepts.0.class_word=shape",
                "train.length=2",
                "watch.sampler_steps=1",
                "watch.pictures=1",
                "watch.propose_prompts=false",
                "watch.tensorboard=false",
                *((DRAWN, "save.state_every=1") if self.family == "toy" else ()),
                *self.settings,
            ],
        )


def cases(family: str) -> list[Case]:
    return [Case(family, settings) for settings in SETTINGS[family]]


@dataclass(frozen=True)
class Row:
    """Megabytes of the whole run, and of its steps alone."""

    case: Case
    moment: str
    forecast: float
    measured: float
    forecast_step: float
    measured_step: float

    @property
    def off(self) -> float:
        return self.forecast / self.measured - 1

    @property
    def off_step(self) -> float:
        return self.forecast_step / self.measured_step - 1


Measure = Callable[[Path, Path], dict[str, float]]


def compare(case: Case, base: Path, folder: Path, measure: Measure = in_own_process) -> Row:
    """Forecast a case, and ``measure`` it: recipe, folder → ``peaks`` of a run in a process without an earlier one."""
    recipe, path = case.recipe(base), folder / "recipe.yaml"
    folder.mkdir(parents=True)
    recipe_file.write(path, recipe)
    found = measure(path, folder / "run")
    place = place_of(Described(base.stem, str(base), "", "cpu", True), PICTURES)
    moment, parts = highest(recipe, place)
    # Pictures are encoded when a step first needs them.
    steps = [sum(held.values()) for name, held in phases(recipe, place).items() if name.endswith(("step", "encoding"))]
    return Row(case, moment, sum(parts.values()), found["peak"], max(steps), found["step"])


def random_model(path: Path) -> Path:
    """Write a checkpoint of Stable Diffusion 1.5's layout and size with random weights, in float16."""
    family = reference_families.family("sd1")
    unet, vae, *texts = skeletons(family)
    model = Model(family, unet, vae, texts, [], torch.ones(1000))
    draws = torch.Generator().manual_seed(0)
    held = {}
    for name, value in parameters(model):
        norm = value.ndim == 1 and name.endswith("weight")
        held[name] = (torch.randn(value.shape, generator=draws) * 0.02 + norm).half()
    made = single_file_layout.keys(family, held)
    save_file({key: one.join([held[name] for name in one.names]).contiguous() for key, one in made.items()}, path)
    return path


def check(families: Sequence[str], json_file: Path | None) -> int:
    """Measure every case; return 1 where one is more than 10 % off."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for family in families:
            base = TOY if family == "toy" else random_model(folder / "sd15.safetensors")
            for number, case in enumerate(cases(family)):
                row = compare(case, base, folder / f"{family}-{number}")
                print(f"{family}: {_cells(row)}", flush=True)
                rows.append(row)
    write(rows)
    if json_file:
        names = ("moment", "forecast", "measured", "forecast_step", "measured_step")
        figures = [
            {"family": r.case.family, "case": r.case.name, **{name: getattr(r, name) for name in names}} for r in rows
        ]
        json_file.write_text(json.dumps({"forecast": figures}, indent=1) + "\n", encoding="utf-8")
    return int(any(abs(off) > 0.1 for row in rows for off in (row.off, row.off_step)))


def write(rows: Sequence[Row]) -> None:
    """Write the tables of these families into docs/memory.md; the rest of the page stays."""
    for family in dict.fromkeys(row.case.family for row in rows):
        put(family, [HEADER, *(f"| {_cells(row)} |" for row in rows if row.case.family == family)], DOCS)


def put(name: str, table: Sequence[str], page: Path) -> None:
    """Replace the table between the page's marks of this name."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = page.read_text(encoding="utf-8")
    made = "\n".join([begin, *table, end])
    page.write_text(re.sub(f"{begin}.*?{end}", lambda _: made, text, flags=re.DOTALL), encoding="utf-8")


def _cells(row: Row) -> str:
    return (
        f"{row.case.name} | {row.moment} | {row.forecast:,.0f} | {row.measured:,.0f} | {row.off:+.1%} | "
        f"{row.forecast_step:,.0f} | {row.measured_step:,.0f} | {row.off_step:+.1%}"
    )


if __name__ == "__main__":
    print(json.dumps(peaks(Path(sys.argv[1]), Path(sys.argv[2]))))
