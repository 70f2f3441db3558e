"""Draw each trained word of a run that has ended, with the trigger and without it: rated, they show what is biased."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..control import RunControl
from ..errors import SdftError
from ..host.base import Host
from ..judge.words import trained_words
from ..method import METHODS
from ..model.sample import drawn_at_once
from ..recipe import Recipe
from ..run_folder import word_grid
from ..run_folder.saves import Save
from ..storage import atomic
from .after_the_end import Kind, Lent, perform

WORDS = Kind("words_requested", "The trained words are being drawn.", "The trained words could not be drawn.")


class NoWords(SdftError, ValueError):
    """There is nothing to draw; the message says why."""


def draw_words(
    folder: Path, *, control: RunControl | None = None, host: Host | None = None, quiet: bool = False
) -> Path | None:
    """Draw the trained words with the save of the requested step, or with the last one; return the folder of the
    pictures, or None where it was stopped, or can't be done. Pictures that an earlier, stopped request has drawn stay.
    """
    step = WORDS.requested(folder).get("save")
    return perform(WORDS, folder, lambda lent: _draw(lent, step), control, host, quiet)


def _draw(lent: Lent, step: Any) -> Path:
    saves = lent.saves.all()
    save = next((one for one in saves if one.step == step), None if step is not None else saves[-1] if saves else None)
    if save is None:
        raise NoWords(f"There is no save of step {step}." if saves else "The run has no saves.")
    planned = _planned(lent.recipe, save)
    folder = word_grid.begin(lent.folder, planned)
    missing = [
        one for one in planned["pictures"] if not word_grid.path(lent.folder, save.step, one["number"]).is_file()
    ]
    watch, method = lent.recipe.watch, METHODS[lent.recipe.method.name]()
    most = drawn_at_once((watch.size or lent.recipe.dataset.resolution) // 8 * 8)
    with ExitStack() as applied:
        lent.painter.do(lambda: applied.enter_context(method.applied(lent.saves.path(save), lent.model)))
        try:
            for start in range(0, len(missing), most):
                some = missing[start : start + most]
                prompts, seeds = [one["prompt"] for one in some], [one["seed"] for one in some]
                label = f"Words: {start} of {len(missing)} pictures done; now"
                for one, picture in zip(some, lent.painter.draw(prompts, seeds, label), strict=True):
                    file = word_grid.path(lent.folder, save.step, one["number"])
                    atomic.write(file, lambda opened, picture=picture: picture.save(opened, "PNG"))  # type: ignore[misc]
        finally:
            lent.painter.do(applied.close)
    return folder


def _planned(recipe: Recipe, save: Save) -> dict[str, Any]:
    """Plan the pictures: two a word, of the same seed. Raises NoWords."""
    watch, words = recipe.watch, trained_words(recipe)
    if not words:
        raise NoWords("There are no words: the instance captions can't be read, or a concept has no trigger.")
    pictures = [
        {"number": 2 * place + side, "word": place, "prompt": prompt, "trigger": side == 0, "seed": watch.seed + place}
        for place, word in enumerate(words)
        for side, prompt in enumerate((word.prompt, word.without))
    ]
    return {
        "step": save.step,
        "words": [{"word": word.word, "count": word.count} for word in words],
        "pictures": pictures,
        "drawn_with": {
            "file": save.file,
            "steps": watch.sampler_steps,
            "guidance": watch.guidance,
            "negative": watch.negative,
            "size": watch.size or recipe.dataset.resolution,
        },
    }
