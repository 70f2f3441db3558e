"""Control pictures: two sets, the same prompts and seeds all through a run.

The *concept* set has the trigger: it should approach the concept. The *bleeding* set has not: it must stay as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from ..formats import atomic
from ..recipe import WatchRecipe
from .lettering import fitting, write

Draw = Callable[[Sequence[str], Sequence[int]], "list[Image.Image]"]
"""(prompts, seeds) → one picture each."""
SETS = ("concept", "bleeding")


class Controls:
    """The control pictures of a run, in ``controls/SET/PROMPT/step-000000.png``."""

    def __init__(self, folder: Path, recipe: WatchRecipe) -> None:
        self.folder = folder / "controls"
        prompts = {"concept": recipe.concept_prompts, "bleeding": recipe.bleeding_prompts}
        self.entries = [(name, i, prompt) for name in SETS for i, prompt in enumerate(prompts[name])]
        self.seeds = [recipe.seed + number for number in range(len(self.entries))]

    @property
    def prompts(self) -> list[str]:
        return [prompt for _, _, prompt in self.entries]

    def draw(self, step: int, draw: Draw) -> list[Path]:
        """Draw all prompts as the model is after ``step`` steps; a resumed run draws a step's pictures over."""
        if not self.entries:
            return []
        paths = [self.path(name, number, step) for name, number, _ in self.entries]
        for path, picture in zip(paths, draw(self.prompts, self.seeds), strict=True):
            atomic.write(path, lambda file, picture=picture: picture.save(file, "PNG"))  # type: ignore[misc]
        steps = sorted({*self.steps(), step})
        entries = [
            {"set": n, "number": i, "prompt": p, "seed": s}
            for (n, i, p), s in zip(self.entries, self.seeds, strict=True)
        ]
        atomic.as_json(self.folder / "index.json", {"steps": steps, "prompts": entries})
        return paths

    def steps(self) -> list[int]:
        """The steps that have pictures."""
        index = self.folder / "index.json"
        return list(json.loads(index.read_text(encoding="utf-8"))["steps"]) if index.exists() else []

    def path(self, name: str, number: int, step: int) -> Path:
        return self.folder / name / f"{number:02d}" / f"step-{step:06d}.png"


def grid(columns: Sequence[tuple[str, Sequence[Image.Image]]], prompts: Sequence[str]) -> Image.Image:
    """Saves × prompts as one picture: a column for each (label, pictures), a row for each prompt, its text above it.

    Small pictures are enlarged by a whole number and large ones reduced, and the letters grow with the sheet's width, so
    that it can be looked at on a phone.
    """
    width, height = _cell(*columns[0][1][0].size)
    gap = 10
    across = gap + len(columns) * (width + gap)
    letters = max(14, across // 44)
    line = letters * 7 // 5
    row = line + height + 2 * gap
    sheet = Image.new("RGB", (across, gap + line + len(prompts) * row), "#ededed")
    for x, (label, pictures) in enumerate(columns):
        left = gap + x * (width + gap)
        write(sheet, (left, gap), fitting(label, letters, width), letters, "#111111")
        for y, picture in enumerate(pictures):
            enlarged = picture.size[0] <= width
            how = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
            sheet.paste(picture.convert("RGB").resize((width, height), how), (left, gap + 2 * line + y * row))
    for y, prompt in enumerate(prompts):
        text = fitting(prompt or "(empty prompt)", letters, across - 2 * gap)
        write(sheet, (gap, gap + line + y * row), text, letters, "#444444")
    return sheet


def _cell(width: int, height: int) -> tuple[int, int]:
    """The size at which a picture is shown: at most 256 pixels, small ones enlarged up to 192 by a whole number."""
    side = max(width, height)
    scale = max(1, 192 // side) if side <= 256 else 256 / side
    return max(1, round(width * scale)), max(1, round(height * scale))
