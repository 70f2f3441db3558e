"""python -m bench faults [--json FILE] [--only METHOD …] [--moments 20] [--errors 20] [--seed 0]
python -m bench faults --every [--json FILE] [--only STORY …]

Runs of every method are killed (SIGKILL) at moments spread over all that they do with files, some twice, and resumed:
each must end with the saves, losses, states and control pictures of a run that was never killed, to the bit. Then the
disk fails (no space, input/output error) at further moments: the run must end with a sentence, and resume to the same
end. The runs are the tests' tiny ones, so that hundreds of them take minutes; tests/run/test_faults.py is a sample.

With --every, what users do (training, captions, tools, datasets, the queue, uploads …) is done in this process, and
the disk fails at the n-th call that changes a file, for every n: once; from then on; and once where files are read,
too. What was acknowledged before must still be there, each file whole, the error a sentence, and the same done once
more must end as if nothing had happened. tests/storage/test_every_fault.py is a sample.
"""

from __future__ import annotations

import argparse
import errno
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sdft_ext.recipe import METHOD_INFO
from sdft_ext.recipe import file as recipe_file
from tests.run import killed, tiny
from tests.storage import fault_pages, fault_stories
from tests.storage.every_fault import Story, Tried

from .table import show

SETTINGS = (
    "train.length=6",
    "save.every=2",
    "save.every_unit=steps",
    "save.state_every=1",
    "save.keep_last=2",
    'watch.concept_prompts=["a sks cat"]',
    "dataset.concepts.0.trigger=sks",
)
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
SECONDS = 300
"""In which a tiny run must have ended: one that hangs is a fault, too."""


class Faults:
    """Runs of one method, each hit once or twice; ``found`` counts what became of them."""

    def __init__(self, method: str, data: Path, work: Path, seed: int) -> None:
        self.work, self.rng = work, random.Random(f"{method} {seed}")
        own = ["method.embedding.words={sks: cat}"] if METHOD_INFO[method].trains_words else []
        self.recipe, self.whole = work / "recipe.yaml", work / "whole"
        recipe_file.write(self.recipe, tiny.recipe(data, work, f"method.name={method}", *SETTINGS, *own))
        assert self.go(self.whole, 0) == 0, f"{method}: the undisturbed run failed"
        self.touches = int((work / "touches").read_text())
        self.found: Counter[str] = Counter()

    def go(self, run: Path, moment: int, error: int = 0) -> int:
        """Train, or go on, in another process; return its exit code."""
        process = killed.start(self.recipe, run, moment, self.work / "touches", error)
        process.join(SECONDS)
        if process.is_alive():
            process.kill()
            raise AssertionError(f"the run hangs after a fault at touch {moment}")
        return int(process.exitcode)

    def hit(self, number: int, count: int, error: int = 0) -> None:
        """Hit a run at moment ``number`` of ``count`` evenly spread ones; every third is hit again as it resumes."""
        run = self.work / "run"
        shutil.rmtree(run, ignore_errors=True)
        first = 1 + (number * self.touches + self.rng.randrange(self.touches)) // count
        for moment in [first] + ([self.rng.randrange(1, self.touches)] if number % 3 == 2 else []):
            code = self.go(run, moment, error)
            assert error or code in (0, -signal.SIGKILL), f"exit code {code} at touch {moment}"
            self.found["hit"] += code != 0 or bool(error)
        assert self.go(run, 0) == 0, f"the run could not be resumed after a fault at touch {first}"
        killed.ends_alike(run, self.whole)
        self.found["ends alike"] += 1


def measure(method: str, kills: int, errors: int, seed: int = 0) -> dict[str, Any]:
    """Hit runs of a method; return how often, and how many ended as an undisturbed one. Raises AssertionError."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        tiny.checkpoint(work / "base.safetensors")
        tiny.pictures(work)
        faults = Faults(method, work, work, seed)
        for number in range(kills):
            faults.hit(number, kills)
        for number in range(errors):
            faults.hit(number, errors, ERRORS[number % len(ERRORS)])
        return {
            "method": method,
            "touches": faults.touches,
            "runs": kills + errors,
            "ends_alike": faults.found["ends alike"],
            "seconds": round(time.monotonic() - began, 1),
        }


def measure_every(story: Story, work: Path) -> dict[str, Any]:
    """Fail every call of a story in every way; return how many there were. Raises AssertionError."""
    began = time.monotonic()
    tried = Tried(story, work)
    tried.every()
    return {
        "story": story.name,
        "calls": tried.hits,
        "without_an_error": tried.swallowed,
        "storage": sorted(tried.through),
        "seconds": round(time.monotonic() - began, 1),
    }


def _every(only: list[str] | None, json: str | None) -> int:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        found = [*fault_stories.stories(data), *fault_pages.stories(data)]
        chosen = [story for story in found if only is None or story.name in only]
        figures = [measure_every(story, Path(folder) / story.name) for story in chosen]
    rows = [(f["story"], f["calls"], f["without_an_error"], f["seconds"]) for f in figures]
    show(("story", "calls that failed", "of them without an error", "seconds"), rows, figures, json)
    return 0


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench faults", description=__doc__)
    parser.add_argument("--only", nargs="+", help="methods, or with --every stories (default: all)")
    parser.add_argument("--every", action="store_true", help="fail every call of what users do, in this process")
    parser.add_argument("--moments", type=int, default=20, help="kills of each method's run")
    parser.add_argument("--errors", type=int, default=20, help="failures of the disk in each method's run")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--json", help="write the figures there")
    options = parser.parse_args(argv)
    if options.every:
        return _every(options.only, options.json)
    methods = options.only or tuple(METHOD_INFO)
    figures = [measure(method, options.moments, options.errors, options.seed) for method in methods]
    rows = [(f["method"], f["touches"], f["runs"], f["ends_alike"], f["seconds"]) for f in figures]
    show(("method", "touches of files", "runs hit", "ended alike", "seconds"), rows, figures, options.json)
    return 0
