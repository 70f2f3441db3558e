"""python -m bench dataset [--json FILE] [--counts 100 1000 10000] [--copies | --text [--folder FOLDER]] [--seed N]

``--copies``: how many altered copies the dataset report finds, and what it takes for a copy but isn't
(``bench/copies``); a few minutes. ``--text``: in how many pictures it finds text of each kind, and where it sees text
that isn't there (``bench/text``). Otherwise, how fast a folder is scanned, planned and cached: pictures are drawn into
a temporary folder (JPEG and PNG, 150–300 pixels a side, EXIF turns, captions); the VAE is an 8 × 8 mean, so that what
is timed is this project's own work: opening, resizing, hashing, writing. ``first batch`` is the time from the start of
scanning to the first batch's list.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.plan import Plan
from sdft_ext.recipe import Concept, DatasetRecipe, TrainRecipe

from .table import show

COUNTS = (100, 1000, 10000)
BATCH = 4
HEADER = ("pictures", "scan s", "plan s", "first batch s", "cache 1st /s", "cache again /s", "batch ms")


def make_pictures(folder: Path, count: int) -> None:
    """Write ``count`` pictures with captions, every second one a JPEG that its EXIF rotates; ten drawings in turn."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8))
    drawings = [noise.resize((150 + 15 * n, 300 - 13 * n), Image.Resampling.BICUBIC) for n in range(10)]
    turned = Image.Exif()
    turned[0x0112] = 6
    files: dict[tuple[int, str], bytes] = {}
    for number in range(count):
        ending = "jpg" if number % 2 else "png"
        path = folder / f"{number:05}.{ending}"
        key = (number % 10, ending)
        if key not in files:
            drawings[number % 10].save(path, **({"exif": turned} if ending == "jpg" else {}))
            files[key] = path.read_bytes()
        path.write_bytes(files[key] + number.to_bytes(4, "big"))  # trailing bytes make each file's content unique
        path.with_suffix(".txt").write_text(f"a drawing, number {number % 100}, in many colours")


def measure(count: int, work: Path) -> dict[str, Any]:
    """Measure seconds and rates at ``count`` pictures."""
    import torch

    from sdft_ext.dataset.batches import Batches
    from sdft_ext.dataset.cache import Latents

    def mean_of_cells(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cells = torch.nn.functional.avg_pool2d(pixels, 8)
        mean = torch.cat([cells, cells[:, :1]], dim=1)
        return mean, torch.full_like(mean, 0.1)

    make_pictures(work / "pictures", count)
    recipe = DatasetRecipe(
        concepts=[Concept(instance=str(work / "pictures"))], resolution=64, bucket_step=16, bucket_min=32, cache="disk"
    )
    train = TrainRecipe(batch_size=BATCH)
    started = time.perf_counter()
    scanned = scan(recipe)
    scan_seconds = time.perf_counter() - started
    plan = Plan(scanned, recipe, train)
    plan_seconds = time.perf_counter() - started - scan_seconds
    plan.samples(0)
    first_batch = time.perf_counter() - started
    cache_seconds = []
    for _ in range(2):
        started = time.perf_counter()
        latents = Latents(recipe, mean_of_cells, "mean of 8 × 8", work / "cache")
        latents.prepare(scanned)
        cache_seconds.append(time.perf_counter() - started)
    batches = Batches(plan, latents)
    started = time.perf_counter()
    steps = min(plan.steps_per_epoch, 500)
    for step in range(steps):
        batches.at(step)
    return {
        "pictures": count,
        "buckets": len(plan.queues),
        "scan_seconds": scan_seconds,
        "plan_seconds": plan_seconds,
        "first_batch_seconds": first_batch,
        "cache_pictures_per_second": count / cache_seconds[0],
        "cached_pictures_per_second": count / cache_seconds[1],
        "batch_milliseconds": 1000 * (time.perf_counter() - started) / steps,
    }


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench dataset", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the figures here too")
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS), help="numbers of pictures")
    parser.add_argument("--copies", action="store_true", help="count the altered copies that are found instead")
    parser.add_argument("--pictures", type=int, default=20, help="photographs, and drawings, for --copies")
    parser.add_argument("--seed", type=int, default=0, help="for drawings, bursts and lettering")
    parser.add_argument("--text", action="store_true", help="count the pictures in which text is found instead")
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="more photographs for --text")
    options = parser.parse_args(argv)
    if options.copies:
        from . import copies

        copies.show_figures(copies.measure(options.pictures, seed=options.seed), options.json)
        return 0
    if options.text:
        from . import text

        text.show_figures(text.measure(options.folder, options.seed), options.json)
        return 0
    figures = []
    for count in options.counts:
        with tempfile.TemporaryDirectory() as work:
            figures.append(measure(count, Path(work)))
    rows = [
        (
            f"{f['pictures']:,}",
            f"{f['scan_seconds']:.2f}",
            f"{f['plan_seconds']:.3f}",
            f"{f['first_batch_seconds']:.2f}",
            f"{f['cache_pictures_per_second']:,.0f}",
            f"{f['cached_pictures_per_second']:,.0f}",
            f"{f['batch_milliseconds']:.2f}",
        )
        for f in figures
    ]
    show(HEADER, rows, figures, options.json)
    return 0
