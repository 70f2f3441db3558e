"""Control pictures: two sets, with the same prompts and seeds throughout a run.

The *concept* set has the trigger: it should approach the concept. The *bleeding* set has not: it should stay as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image

from ..recipe import WatchRecipe
from ..storage import atomic, json_file
from .lettering import width, wrapped, write

Place = tuple[str, int, str]
"""(set, number in it, prompt) of a control picture."""
Draw = Callable[[Sequence[str], Sequence[int]], "list[Image.Image]"]
"""(prompts, seeds) → one picture each."""
SETS = ("concept", "bleeding")
LABEL_LINES, PROMPT_LINES = 4, 6
"""Most lines of a label, and of a prompt, in a grid."""


class Controls:
    """The control pictures of a run, in ``controls/SET/NUMBER/step-000000.png``.

    ``known``: seeds that pictures were drawn with; by default those that the run's folder records.
    """

    def __init__(self, folder: Path, recipe: WatchRecipe, known: Mapping[Place, int] | None = None) -> None:
        self.folder = folder / "controls"
        sets = {"concept": recipe.concept_prompts, "bleeding": recipe.bleeding_prompts}
        turns = {name: -(-recipe.pictures // len(prompts)) for name, prompts in sets.items() if prompts}
        self.entries = [
            (name, turn * len(sets[name]) + i, prompt)
            for turn in range(max(turns.values(), default=0))
            for name in SETS
            if turn < turns.get(name, 0)
            for i, prompt in enumerate(sets[name])
        ]
        """(set, number in it, prompt): each prompt once, then each once more with another seed, and so on."""
        known = self._recorded() if known is None else known
        used = {known[entry] for entry in self.entries if entry in known}
        fresh = (seed for seed in count(recipe.seed) if seed not in used)
        self.seeds = [known[entry] if entry in known else next(fresh) for entry in self.entries]
        self.different = sum(map(len, sets.values()))
        """How many of the entries have a prompt that none before them has in its set."""

    @property
    def prompts(self) -> list[str]:
        """The prompt of each entry."""
        return [prompt for _, _, prompt in self.entries]

    def draw(self, step: int, draw: Draw) -> list[Path]:
        """Draw all prompts with the model as it is after ``step`` steps, over those of an earlier draw; returns their
        files.
        """
        if not self.entries:
            return []
        paths = [self.path(name, number, step) for name, number, _ in self.entries]
        for path, picture in zip(paths, draw(self.prompts, self.seeds), strict=True):
            atomic.write(path, lambda file, picture=picture: picture.save(file, "PNG"))  # type: ignore[misc]
        self.record([step])
        return paths

    def record(self, steps: Sequence[int]) -> None:
        """List all prompts as drawn at these steps, too. A prompt that some listed steps lack names those it has."""
        before = self.steps()
        listed = {(one["set"], one["number"]): one.get("steps", before) for one in self._prompts()}
        every = sorted({*before, *steps})
        entries: list[dict[str, Any]] = []
        for (name, number, prompt), seed in zip(self.entries, self.seeds, strict=True):
            drawn = sorted({*listed.get((name, number), [] if listed else before), *steps})
            some = {} if drawn == every else {"steps": drawn}
            entries.append({"set": name, "number": number, "prompt": prompt, "seed": seed, **some})
        json_file.write(self.folder / "index.json", {"steps": every, "prompts": entries})

    def missing(self, step: int) -> list[int]:
        """List which entries have no file at a step, by their places."""
        return [place for place, (n, i, _) in enumerate(self.entries) if not self.path(n, i, step).is_file()]

    def _recorded(self) -> dict[Place, int]:
        return {(one["set"], one["number"], str(one.get("prompt"))): one["seed"] for one in self._prompts()}

    def _prompts(self) -> list[dict[str, Any]]:
        """List what is recorded of each prompt, without what is damaged."""
        found = json_file.read_or(self.folder / "index.json", {}).get("prompts")
        kinds = {"set": str, "number": int, "seed": int}
        return [
            one
            for one in (found if isinstance(found, list) else [])
            if isinstance(one, dict) and all(isinstance(one.get(name), kind) for name, kind in kinds.items())
        ]

    def steps(self) -> list[int]:
        """List the steps that have pictures."""
        return list(json_file.read_or(self.folder / "index.json", {}).get("steps", []))

    def path(self, name: str, number: int, step: int) -> Path:
        """Give the file of picture ``number`` (0-based) of a set, at a step."""
        return self.folder / name / f"{number:02d}" / f"step-{step:06d}.png"


def grid(columns: Sequence[tuple[str, Sequence[Image.Image]]], prompts: Sequence[str]) -> Image.Image:
    """Draw saves × prompts as one picture: a column for each (label, pictures), a row for each prompt with its text
    above.

    Small pictures are enlarged by a whole number and large ones reduced, and letters grow with the sheet's width, so
    that it can be read on a phone. Text that is wider than its column takes several lines.
    """
    size, gap = _cell(*columns[0][1][0].size), 10
    across = gap + len(columns) * (size[0] + gap)
    letters = max(14, across // 44)
    small = _letters([label for label, _ in columns], letters, size[0])
    labels = [wrapped(label, small, size[0], LABEL_LINES) for label, _ in columns]
    texts = [wrapped(prompt or "(empty prompt)", letters, across - 2 * gap, PROMPT_LINES) for prompt in prompts]
    below = [gap + max(map(len, labels)) * _line(small)]
    for lines in texts:
        below.append(below[-1] + len(lines) * _line(letters) + size[1] + 2 * gap)
    sheet = Image.new("RGB", (across, below[-1]), "#ededed")
    for x, (_, pictures) in enumerate(columns):
        left = gap + x * (size[0] + gap)
        _write(sheet, (left, gap), labels[x], small, "#111111")
        for picture, lines, top in zip(pictures, texts, below, strict=False):
            how = Image.Resampling.NEAREST if picture.size[0] <= size[0] else Image.Resampling.LANCZOS
            sheet.paste(picture.convert("RGB").resize(size, how), (left, top + len(lines) * _line(letters)))
    for lines, top in zip(texts, below, strict=False):
        _write(sheet, (gap, top), lines, letters, "#444444")
    return sheet


def _line(letters: int) -> int:
    return letters * 7 // 5


def _write(sheet: Image.Image, place: tuple[int, int], lines: Sequence[str], letters: int, colour: str) -> None:
    for number, line in enumerate(lines):
        write(sheet, (place[0], place[1] + number * _line(letters)), line, letters, colour)


def _letters(labels: Sequence[str], letters: int, room: int) -> int:
    """Choose the letter height at which each part of the labels fits: at most ``letters``, at least half of that, or
    14.
    """
    widest = max((width(part, letters) for label in labels for part in re.split(r"(?<=[-_])|\s+", label)), default=0)
    return max(min(letters, int(letters * room / widest)) if widest else letters, letters // 2, 14)


def _cell(width: int, height: int) -> tuple[int, int]:
    """Choose the size at which a picture is shown: at most 256 pixels, small ones enlarged up to 192 by a whole
    number.
    """
    side = max(width, height)
    scale = max(1, 192 // side) if side <= 256 else 256 / side
    return max(1, round(width * scale)), max(1, round(height * scale))
