"""Judges a run by its control pictures: which of them show the concept, with the trigger and without it.

The base model itself describes the pictures (``features``), and a probe tells the instance pictures from what the base
draws for the same prompts (``probe``). So nothing is downloaded, and nothing that the run taught judges itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..dataset.captions import caption, line
from ..dataset.folder import Picture, Scan
from ..dataset.pictures import PictureError, open_picture
from ..model.base import Model
from ..model.sample import drawn_at_once
from ..out_of_memory import out_of_memory
from ..recipe import Recipe
from ..watch.controls import Controls
from . import records
from .compared import Compared
from .features import STEP, Rows, Seen, see
from .loss_rules import NO_LOSSES, StableLosses
from .nearness import Nearest, nearest
from .numbers import Numbers
from .prompts import calls, spread, why_not_judged
from .verdict import Verdict, verdict

INSTANCES, REGULARIZATION = 64, 64
"""Most instance pictures of a concept, and most regularization pictures, that the judge compares with."""
Do = Callable[[Callable[[], Seen]], Seen]
"""Does work in a turn in which the model is the base: nothing that is trained takes part."""


class Judge:
    """Judges the control pictures of a run; what it has seen of them is kept in ``judge/`` in the run's folder."""

    def __init__(self, folder: Path, recipe: Recipe, controls: Controls) -> None:
        self.folder, self.recipe, self.controls = folder / "judge", recipe, controls
        self.concepts = [concept for concept in recipe.dataset.concepts if concept.trigger]
        self.measure: Callable[[str], AbstractContextManager[None]] = lambda kind: nullcontext()
        """Measures how long it takes to describe control pictures ("judging"), and the dataset once ("dataset")."""

    @property
    def possible(self) -> bool:
        """Whether the run can be judged: there are pictures of both sets, every concept has a trigger, and the run
        began with the base model.
        """
        sets = {name for name, _, _ in self.controls.entries}
        judged = replace(self.recipe, watch=replace(self.recipe.watch, judge=True))
        return not why_not_judged(judged) and sets == {"concept", "bleeding"}

    def look(self, step: int, model: Model, scan: Scan, do: Do) -> Numbers | None:
        """Describe the control pictures of a step, at the first time the dataset's too; return the step's numbers.

        None where there is nothing to compare with: pictures of step 0, before the run has taught anything, are needed,
        and at least two instance pictures of each concept.
        """
        if not self.possible:
            return None
        with self.measure("judging"):
            self._see(step, model, do)
        dataset = records.read(self.folder, "dataset")
        if step == 0 or dataset is None or "regularization-details" not in dataset:
            with self.measure("dataset"):
                self._see_dataset(model, scan, do)
        self._see_older(model, do)
        return self.numbers(step)

    def see(self, step: int, model: Model, do: Do) -> Seen:
        """Describe the control pictures of a step, and keep nothing. Raises OSError where one can't be read."""
        paths = [self.controls.path(name, number, step) for name, number, _ in self.controls.entries]
        return _seen([_drawn(path) for path in paths], model, do)

    def keep(self, step: int, seen: Seen) -> None:
        """Keep what was seen in the control pictures of a step. Raises OSError where it can't be written."""
        records.write(self.folder, f"step-{step:06d}", **seen._asdict())

    def _see(self, step: int, model: Model, do: Do) -> None:
        """Describe the control pictures of a step."""
        self.keep(step, self.see(step, model, do))

    def _see_older(self, model: Model, do: Do) -> None:
        """Describe anew the control pictures whose details an older version left out, where they still exist: a run
        that it began goes on to be judged as a whole.
        """
        for step in self.steps():
            found = records.read(self.folder, f"step-{step:06d}")
            paths = [self.controls.path(name, number, step) for name, number, _ in self.controls.entries]
            if found is not None and "details" not in found and all(path.exists() for path in paths):
                self._see(step, model, do)

    def verdict(self, saved: Sequence[int], losses: StableLosses = NO_LOSSES) -> Verdict | None:
        """Choose the best of the saves of these steps; None where nothing is known of any."""
        return verdict(self.all_numbers(), saved, losses)

    def numbers(self, step: int) -> Numbers | None:
        """Compute a step's numbers from what was seen; None where something of it is missing."""
        return next(iter(self._numbers([step])), None)

    def all_numbers(self) -> list[Numbers]:
        """Compute the numbers of every step whose control pictures were described, in order."""
        return self._numbers(self.steps())

    def _numbers(self, steps: Sequence[int]) -> list[Numbers]:
        """Compute the numbers of these steps, without those of which something is missing."""
        dataset, first = records.read(self.folder, "dataset"), records.read(self.folder, "step-000000")
        entries = self.controls.entries
        if not self.possible or dataset is None or first is None or len(first["rows"]) != len(entries):
            return []
        captions = records.read_captions(self.folder)
        compared, places = Compared(self.concepts, entries, dataset, first, captions), self._places(dataset)
        found = []
        for step in steps:
            now = records.read(self.folder, f"step-{step:06d}")
            if now is not None and len(now["rows"]) == len(entries):
                known = compared.called and len(places) and "places" in now
                near = nearest(now["places"][compared.called], places) if known else []
                found.append(compared.numbers(step, now, near))
        return [one for one in found if one is not None]

    def nearest(self, found: Numbers) -> list[tuple[str, int, Path, Nearest]]:
        """List the control pictures of a step whose prompts call a concept, by (set, number), each with the nearest
        instance picture and how near it is; empty where that isn't known.
        """
        pictures = records.read_pictures(self.folder)
        called = [entry for entry in self.controls.entries if any(calls(entry[2], one) for one in self.concepts)]
        if len(called) != len(found.nearest) or any(one.picture >= len(pictures) for one in found.nearest):
            return []
        pairs = zip(called, found.nearest, strict=True)
        return [(name, number, pictures[near.picture], near) for (name, number, _), near in pairs]

    def _places(self, dataset: Mapping[str, Rows]) -> Rows:
        """Return the coarse grids of all concepts' instance pictures; none for runs of older versions."""
        places = [dataset.get(f"concept-{number}-places") for number in range(len(self.concepts))]
        known = [one for one in places if one is not None and len(one)]
        return np.concatenate(known) if known else np.zeros((0, 0), dtype=np.float32)

    def steps(self) -> list[int]:
        """List the steps whose control pictures were described, in order."""
        return sorted(int(path.stem.removeprefix("step-")) for path in self.folder.glob("step-*.npz"))

    def _see_dataset(self, model: Model, scan: Scan, do: Do) -> None:
        """Describe instance pictures of each concept, and regularization pictures, in the control pictures' size; keep
        the instance pictures' places, too.
        """
        watch = self.recipe.watch
        side = watch.size or self.recipe.dataset.resolution

        def of(pictures: Sequence[Picture], most: int) -> tuple[list[Path], Seen]:
            chosen = spread(pictures, most)
            opened = [(one.path, _opened(one, side, self.recipe.dataset.background)) for one in chosen]
            known = [(path, image) for path, image in opened if image is not None]
            return [path for path, _ in known], _seen([image for _, image in known], model, do)

        rows: dict[str, Rows] = {}
        instance: list[Path] = []
        for number in range(len(self.recipe.dataset.concepts)):
            own = [one for one in scan.pictures if one.concept == number and not one.regularization]
            paths, seen = of(own, INSTANCES)
            instance += paths
            rows |= named(f"concept-{number}", seen) | {f"concept-{number}-places": seen.places}
        rows |= named("regularization", of([one for one in scan.pictures if one.regularization], REGULARIZATION)[1])
        asked = {prompt for _, _, prompt in self.controls.entries}
        texts = {text for number in range(len(self.concepts)) for text in self._captions(scan, number)}
        records.write_pictures(self.folder, instance, sorted(asked & texts))
        records.write(self.folder, "dataset", **rows)

    def _captions(self, scan: Scan, number: int) -> Iterator[str]:
        """Give every caption of a concept's instance pictures, as it is trained on."""
        dataset = self.recipe.dataset
        for one in scan.pictures:
            if one.concept == number and not one.regularization:
                text = line(one.caption, one.lines, None)
                yield caption(dataset.concepts[number], text, False, dataset, None)


def _seen(pictures: Sequence[Image.Image], model: Model, do: Do) -> Seen:
    """Describe pictures a few at a time, in a turn with the model for each few; fewer at once where memory is short."""
    if not pictures:
        return Seen(*(np.zeros((0, 0), dtype=np.float32) for _ in range(3)))
    most, left, seen = drawn_at_once(max(pictures[0].size)), list(pictures), []
    while left:
        part = left[:most]
        try:
            seen.append(do(lambda part=part: see(model, part)))  # type: ignore[misc]
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or len(part) == 1:
                raise
            most = len(part) // 2
            continue
        left = left[len(part) :]
    return Seen(*(np.concatenate(some) for some in zip(*seen, strict=True)))


def named(name: str, seen: Seen) -> dict[str, Rows]:
    """Name what the model sees in some of the dataset's pictures, as ``Compared`` takes it."""
    return {name: seen.rows, f"{name}-details": seen.details}


def _drawn(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB")


def _opened(picture: Picture, side: int, background: str) -> Image.Image | None:
    """Open a picture of the dataset in as many pixels as ``side`` × ``side``; None where it can't be read any more."""
    try:
        image, _ = open_picture(picture.path, background)
    except (PictureError, OSError):
        return None
    scale = side / (picture.width * picture.height) ** 0.5
    width, height = (max(round(length * scale / STEP), 1) * STEP for length in (picture.width, picture.height))
    found: Image.Image = image.resize((width, height), Image.Resampling.LANCZOS)
    return found
