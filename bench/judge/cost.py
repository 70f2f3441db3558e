"""python -m bench judge --cost: what judging a picture takes, against drawing it, at Stable Diffusion 1.5's size.

The weights are random: only the sizes count. Seconds are those of the processor, with one thread. A picture of
``STEPS`` sampler steps is computed from two drawings with fewer steps. Memory is the most that torch's allocator has
in use beside the model, as in ``bench.peaks``.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from sdft_ext.judge.features import see
from sdft_ext.model.base import Model
from sdft_ext.model.load import load
from sdft_ext.model.sample import SamplerSettings, sample
from sdft_ext.recipe import WatchRecipe

from ..peaks import MB, random_model
from ..table import show

SIDES = (256, 512)
AT_ONCE = 2
FEW, MORE = 1, 2
STEPS = WatchRecipe().sampler_steps
HEADER = ["side", "at once", "s a picture", "s judged", "share", "MB drawing", "MB judging"]


def cost(json_file: Path | None, sides: tuple[int, ...] = SIDES) -> None:
    """Measure, and print a row for each side in pixels."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        model = load(random_model(Path(name) / "sd15.safetensors"))
        rows = [row_of(model, side) for side in sides]
    show(HEADER, [[_text(value) for value in row.values()] for row in rows], {"cost": rows}, json_file)


def row_of(model: Model, side: int) -> dict[str, float]:
    """Measure for ``AT_ONCE`` pictures of ``side`` × ``side``."""
    count = AT_ONCE
    pictures = [Image.effect_noise((side, side), 64).convert("RGB") for _ in range(count)]

    def draw(steps: int) -> Callable[[], object]:
        settings = SamplerSettings(steps=steps, width=side, height=side)
        return lambda: sample(model, ["a sks cat"] * count, list(range(count)), settings)

    few, more, judged = (measured(work) for work in (draw(FEW), draw(MORE), lambda: see(model, pictures)))
    drawn = few[0] + (more[0] - few[0]) / (MORE - FEW) * (STEPS - FEW)
    return {
        "side": side,
        "at_once": count,
        "drawing": drawn / count,
        "judging": judged[0] / count,
        "share": judged[0] / drawn,
        "drawing_mb": more[1],
        "judging_mb": judged[1],
    }


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Return the processor's seconds of some work, and the most megabytes that it allocates."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profiler:
        began = time.process_time()
        work()
        seconds = time.process_time() - began
    results: Any = profiler.profiler
    events = [one for one in results.kineto_results.events() if one.name() == "[memory]"]
    now = most = 0
    for _, change in sorted((event.start_ns(), event.nbytes()) for event in events):
        now += change
        most = max(most, now)
    return seconds, most / MB


def _text(value: float) -> str:
    return f"{value:.2f}" if value < 100 and value != int(value) else f"{value:,.0f}"
