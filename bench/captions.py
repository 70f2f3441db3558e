"""python -m bench captions [--json FILE] [--count 5000]

Measures how fast a folder's captions are opened, filtered, edited and saved through the desk, as the page does it.
Pictures are small (64 pixels); captions have about 110 characters and 11 tags. *Cold* is the first opening in a
program, *warm* a later one. The megabytes are what the process grows by, without the tokenizer.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

from .table import show

LIMITS = {
    "open_cold": 5.0,
    "open_warm": 1.0,
    "filter_tags": 0.2,
    "filter_regex": 0.2,
    "preview_regex": 1.0,
    "edit_regex": 1.0,
    "save_all": 3.0,  # on a disk that writes 5,000 texts in DISK seconds; more on a slower one
    "megabytes": 300.0,
}
"""The project's limits for 5,000 pictures, in seconds and megabytes."""
DISK = 1.5
"""Seconds in which the disk that these limits assume writes 5,000 texts with fsync."""


def late(figures: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Return the figures above their limit, each with its limit. Saving's limit grows with the time the disk takes."""
    slower = max(1.0, figures["disk"] / DISK)
    limits = {name: limit * (slower if name == "save_all" else 1) for name, limit in LIMITS.items()}
    return {name: (figures[name], limit) for name, limit in limits.items() if figures[name] > limit}


def make_pictures(folder: Path, count: int) -> None:
    """Write ``count`` pictures with captions; every fourth caption has Windows line ends."""
    folder.mkdir(parents=True)
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(buffer, "PNG")
    words = ("outdoors", "smile", "long hair", "blue sky", "hat", "looking at viewer", "tree", "water", "night", "solo")
    for number in range(count):
        (folder / f"{number:05}.png").write_bytes(buffer.getvalue() + number.to_bytes(4, "big"))
        some = [words[(number * k) % len(words)] for k in range(1, 9)]
        text = f"sks dog, {', '.join(some)}, number_{number % 300}, series {number // 100}" + (
            "\r\n" if number % 4 == 0 else "\n"
        )
        (folder / f"{number:05}.txt").write_bytes(text.encode())


def measure(count: int, work: Path) -> dict[str, float]:
    """Return the seconds of each operation by name, and ``megabytes``."""
    from sdft_ext.desk.caption_duplicates import DuplicateSearches
    from sdft_ext.desk.caption_statistics import CaptionStatistics
    from sdft_ext.desk.captions import CaptionSets, Selection
    from sdft_ext.desk.folders import Folders
    from sdft_ext.desk.scans import Scans
    from sdft_ext.desk.thumbnails import Thumbnails

    root = work / "pictures"
    make_pictures(root, count)
    folders = Folders(work / "folders.json", lambda: [root], lambda: True)
    duplicates = DuplicateSearches(Scans(), lambda recipe: work / "looks")
    sets = CaptionSets(folders, Thumbnails(folders.may_show), duplicates, lambda: None)
    statistics = CaptionStatistics(sets, lambda: None)
    figures: dict[str, float] = {}
    before = _megabytes()

    def timed(name: str, what: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = what()
        figures[name] = time.perf_counter() - started
        return result

    timed("open_cold", lambda: sets.open(str(root), 0))
    opened = timed("open_warm", lambda: sets.open(str(root), 0))
    which = (str(root), opened["opened"])
    everything = Selection(*which)
    timed("state", lambda: sets.state(*which, opened["revision"]))
    tree = {"all": [{"tag": "hat"}, {"any": [{"tag": "tree"}, {"tag": "water"}]}, {"not": {"tag": "night"}}]}
    timed("filter_tags", lambda: sets.filter(Selection(*which, filter=tree)))
    timed("filter_regex", lambda: sets.filter(Selection(*which, filter={"regex": r"number_1\d\b.*series"})))
    edit_spec = {"do": "regex", "find": r"number_(\d+)", "with": r"no \1"}
    seen = timed("preview_regex", lambda: sets.preview(everything, edit_spec, 20))
    assert seen["count"] == count
    timed("edit_regex", lambda: sets.edit(everything, edit_spec, preview=seen["preview"]))
    saved = timed("save_all", lambda: sets.save(everything, None))
    assert saved["saved"] == count and not saved["failed"]
    timed("disk", lambda: _write_bare(work / "disk", count))
    timed("undo", lambda: sets.step(*which, True, None))
    timed("redo", lambda: sets.step(*which, False, None))
    timed("tags", lambda: statistics.tags(everything, "sks", 500, "count"))
    figures["megabytes"] = _megabytes() - before
    timed("tokenizer", lambda: statistics.tokens(*which, None, "a"))
    timed("counts", lambda: statistics.counts(everything))
    long_captions = {"tokens": {"least": 30, "most": None}}
    timed("filter_tokens", lambda: sets.filter(Selection(*which, filter=long_captions)))
    return figures


def _write_bare(folder: Path, count: int) -> None:
    """Write ``count`` short texts, each synced to the disk before it gets its name."""
    folder.mkdir()
    for number in range(count):
        temporary = folder / "new"
        with open(temporary, "wb") as file:
            file.write(b"sks dog, outdoors\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / f"{number:05}.txt")


def _megabytes() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench captions", description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="number of pictures")
    parser.add_argument("--json", help="write the figures here")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as work:
        figures = measure(options.count, Path(work))
    rows = [
        (name, f"{value:.3f}" if name != "megabytes" else f"{value:.0f}", LIMITS.get(name, ""))
        for name, value in figures.items()
    ]
    show((f"{options.count:,} pictures", "seconds", "at most"), rows, figures, options.json)
    return 0
