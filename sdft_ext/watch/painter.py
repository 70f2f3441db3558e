"""Draws pictures with a model in training, a few at a time, in a turn with the model for each few."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import SdftError
from ..formats.metadata import save_preview
from ..method.base import Method
from ..model.base import Model
from ..model.sample import SamplerSettings, drawn_at_once, sample
from ..out_of_memory import out_of_memory, picture_does_not_fit
from ..recipe import Recipe
from ..run_folder.saves import Save, Saves
from ..storage import atomic
from .controls import Controls, grid

GRID_SAVES = 5
"""Most saves in the grid: scheduled ones, evenly spread, the last among them; others where there is room."""


class DrawingError(SdftError, ValueError):
    """Pictures can't be drawn; the message says what to change."""


class Painter:
    """``do`` does work in a turn with the model; ``progress`` is called with (what, done, total). What ``check`` raises
    ends the drawing.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: Model,
        do: Callable[[Callable[[], Any]], Any],
        progress: Callable[[str, int, int], None],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.recipe, self.model, self.do, self.progress, self.check = recipe, model, do, progress, check

    def draw(self, prompts: Sequence[str], seeds: Sequence[int], label: str) -> list[Image.Image]:
        """Draw pictures with the model as it is, with the recipe's sampler settings; fewer at once where memory is
        short.

        Raises DrawingError where not even one picture fits.
        """
        watch = self.recipe.watch
        side = (watch.size or self.recipe.dataset.resolution) // 8 * 8
        settings = SamplerSettings(
            watch.negative, watch.sampler_steps, watch.guidance, side, side, self.recipe.model.clip_skip
        )

        def some(numbers: range) -> list[Image.Image]:
            return sample(
                self.model,
                [prompts[i] for i in numbers],
                [seeds[i] for i in numbers],
                settings,
                check=self.check,
            )

        pictures: list[Image.Image] = []
        most = drawn_at_once(side)
        while len(pictures) < len(prompts):
            numbers = range(len(pictures), min(len(pictures) + most, len(prompts)))
            try:
                pictures += self.do(lambda numbers=numbers: some(numbers))  # type: ignore[misc]
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if len(numbers) == 1:
                    raise DrawingError(picture_does_not_fit(side, error)) from error
                most = len(numbers) // 2
                continue
            self.progress(label, len(pictures), len(prompts))
        return pictures

    def draw_grid(self, saves: Saves, controls: Controls, method: Method, path: Path) -> None:
        """Draw saves × control prompts as one picture, the base model first; the last save gets its preview picture.

        A save is read in one turn, and drawn in others. Raises DrawingError.
        """
        listed = saves.all()
        prompts, seeds = controls.prompts[: controls.different], controls.seeds[: controls.different]
        if not listed or not prompts:
            return

        def with_save(save: Save) -> list[Image.Image]:
            with ExitStack() as applied:  # whatever happens, the save is removed from the model
                self.do(lambda: applied.enter_context(method.applied(saves.path(save), self.model)))
                try:
                    return self.draw(prompts, seeds, f"Grid: step {save.step}")
                finally:
                    self.do(applied.close)

        columns = [("base", self.draw(prompts, seeds, "Grid: base model"))]
        for save in grid_saves(listed):
            columns.append((f"step {save.step}", with_save(save)))
        sheet = grid(columns, prompts)
        atomic.write(path, lambda file: sheet.save(file, "PNG"))
        if self.recipe.watch.concept_prompts:
            save_preview(saves.path(listed[-1]), columns[-1][1][0])


def grid_saves(saves: Sequence[Save], most: int = GRID_SAVES) -> list[Save]:
    """Choose the saves for the grid, oldest first: one that was written on request takes no scheduled one's place."""
    scheduled = [save for save in saves if save.scheduled or save is saves[-1]]
    others = [save for save in saves if save not in scheduled]
    if len(scheduled) > most:
        scheduled = [scheduled[round(i * (len(scheduled) - 1) / max(most - 1, 1))] for i in range(most)]
    room = most - len(scheduled)
    chosen = [*scheduled, *(others[-room:] if room else [])]
    return [save for save in saves if save in chosen]
