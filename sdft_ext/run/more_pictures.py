"""Draw more control pictures of a run that has ended, and judge its saves by all of them: *Measure*.

Until all are drawn and described, nothing changes but new files in ``controls/``: a stopped request goes on with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..control import RunControl
from ..errors import SdftError
from ..host.base import Host
from ..judge import records
from ..judge.judge import Judge
from ..judge.prompts import why_not_judged
from ..method import METHODS
from ..model.sample import drawn_at_once
from ..recipe import WORDS, Recipe
from ..recipe import file as recipe_file
from ..run_folder.log import Log
from ..run_folder.saves import Save, existing
from ..storage import atomic, json_file
from ..storage.stamp import stamp
from ..watch.controls import SETS, Controls
from ..watch.report import report
from .after_the_end import Kind, Lent, perform
from .judging import write_verdict

MORE = Kind(
    "measure_requested", "More control pictures are being drawn.", "The run could not be measured with more pictures."
)
PLAN = "measuring.json"
"""In ``controls/``: what pictures that no list has yet are drawn with."""


class NotMeasured(SdftError, ValueError):
    """A run can't be measured with more control pictures; the message says why."""


def draw_more(
    folder: Path, *, control: RunControl | None = None, host: Host | None = None, quiet: bool = False
) -> Path | None:
    """Draw and judge as many control pictures of each set as were requested; return their folder, or None where it was
    stopped, or can't be done.
    """
    pictures = MORE.requested(folder).get("pictures")
    return perform(MORE, folder, lambda lent: _measure(lent, pictures), control, host, quiet)


def why_not(folder: Path, recipe: Recipe, pictures: int) -> str:
    """Say why a run that has ended can't be measured with so many control pictures of each set; empty where it can."""
    controls = Controls(folder, recipe.watch)
    numbers = [sum(name == one for one, _, _ in controls.entries) for name in SETS]
    if not controls.entries or not controls.steps():
        return "It has no control pictures."
    if why := why_not_judged(recipe):
        return why
    if recipe.method.name in WORDS:
        return "It trains words, and its first control pictures were drawn with words that no save has."
    if not all(numbers):
        return "It needs prompts of both sets: with the trigger, and without it."
    if len(_larger(folder, recipe, pictures).entries) <= len(controls.entries):
        return f"It has {numbers[0]} with the trigger and {numbers[1]} without it already: choose a larger number."
    if 0 not in controls.steps() or any(
        records.read(folder / "judge", name) is None for name in ("dataset", "step-000000")
    ):
        return "The control pictures of step 0, or what the judge compares with, are missing."
    if not _measured_saves(controls, existing(folder)):
        return "No save that still exists has control pictures."
    return ""


def _larger(folder: Path, recipe: Recipe, pictures: int) -> Controls:
    """List more control pictures of a run; those that it has keep their seeds."""
    now = Controls(folder, recipe.watch)
    known = dict(zip(now.entries, now.seeds, strict=True))
    return Controls(folder, replace(recipe.watch, pictures=pictures), known)


def _measured_saves(controls: Controls, saves: Sequence[Save]) -> list[Save]:
    """List the saves whose control pictures are all there, by the list of today."""
    steps = set(controls.steps())
    return [save for save in saves if save.step in steps and not controls.missing(save.step)]


def _measure(lent: Lent, pictures: Any) -> Path:
    if not isinstance(pictures, int):
        raise NotMeasured("How many pictures to draw isn't known: ask for them again.")
    reason = why_not(lent.folder, lent.recipe, pictures)
    if reason:
        raise NotMeasured(reason)
    now, larger = Controls(lent.folder, lent.recipe.watch), _larger(lent.folder, lent.recipe, pictures)
    saves = _measured_saves(now, lent.saves.all())
    _begin(lent, now, larger, saves)
    _draw(lent, larger, None)
    for save in saves:
        _draw(lent, larger, save)
    recipe = replace(lent.recipe, watch=replace(lent.recipe.watch, pictures=pictures))
    _judge(lent, recipe, larger, [0, *(save.step for save in saves)])
    report(lent.folder)
    return larger.folder


def _begin(lent: Lent, now: Controls, larger: Controls, saves: Sequence[Save]) -> None:
    """Note what the pictures are drawn with. In new places, what an earlier request drew otherwise is deleted."""
    watch = asdict(replace(lent.recipe.watch, pictures=0))
    plan = {
        "watch": watch,
        "prompts": [[*entry, seed] for entry, seed in zip(larger.entries, larger.seeds, strict=True)],
        "saves": {str(save.step): list(stamp(lent.saves.path(save))[:2]) for save in saves},
    }
    path = larger.folder / PLAN
    if json_file.read_or(path, {}) == plan:
        return
    listed, wanted = ({one.path(name, number, 0).parent for name, number, _ in one.entries} for one in (now, larger))
    for place in wanted - listed:
        for file in place.glob("step-*.png"):
            file.unlink()
    json_file.write(path, plan)


def _draw(lent: Lent, controls: Controls, save: Save | None) -> None:
    """Draw the missing control pictures of a save; None: of the base model."""
    step = 0 if save is None else save.step
    missing = controls.missing(step)
    if not missing:
        return
    watch, method = lent.recipe.watch, METHODS[lent.recipe.method.name]()
    most = drawn_at_once((watch.size or lent.recipe.dataset.resolution) // 8 * 8)
    what = "base model" if save is None else f"step {step}"
    with ExitStack() as applied:
        if save is not None:
            path = lent.saves.path(save)
            lent.painter.do(lambda: applied.enter_context(method.applied(path, lent.model)))
        try:
            for start in range(0, len(missing), most):
                some = missing[start : start + most]
                label = f"{what[0].upper()}{what[1:]}: {start} of {len(missing)} pictures done; now"
                prompts, seeds = [controls.prompts[one] for one in some], [controls.seeds[one] for one in some]
                for place, picture in zip(some, lent.painter.draw(prompts, seeds, label), strict=True):
                    name, number, _ = controls.entries[place]
                    file = controls.path(name, number, step)
                    atomic.write(file, lambda opened, picture=picture: picture.save(opened, "PNG"))  # type: ignore[misc]
        finally:
            lent.painter.do(applied.close)


def _judge(lent: Lent, recipe: Recipe, controls: Controls, steps: Sequence[int]) -> None:
    """Describe the pictures of these steps with the base model; then list them, and write the verdict."""
    judge = Judge(lent.folder, recipe, controls)

    def as_base(work: Any) -> Any:
        lent.painter.check()
        return lent.painter.do(work)

    seen = {}
    for number, step in enumerate(steps):
        lent.painter.progress("Judging", number * len(controls.entries), len(steps) * len(controls.entries))
        seen[step] = judge.see(step, lent.model, as_base)
    for step, found in seen.items():
        judge.keep(step, found)
    controls.record(steps)
    recipe_file.write(lent.folder / "recipe.yaml", recipe)
    (controls.folder / PLAN).unlink(missing_ok=True)
    log = Log(lent.folder, recipe.watch)
    try:
        for step in steps:
            numbers = judge.numbers(step)
            if numbers is not None:
                log.event(step, "judged", **numbers.plain())
        write_verdict(lent.folder, judge, steps[-1], log)
    finally:
        log.close()
