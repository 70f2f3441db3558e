"""Settings that may be changed when a run is resumed: those that its state doesn't depend on.

A run whose loss became NaN goes on with a lower learning rate, a finished recipe gets more saves or control pictures.
What the state was made with (dataset, method, optimizer, batch size, seed) stays: another one would be another run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..recipe import Recipe, RecipeError
from ..recipe import file as recipe_file
from ..recipe.rules import check_texts, fields
from ..run_folder import dataset
from ..run_folder.facts import add_facts, read_facts
from ..run_folder.lock import run_lock
from ..run_folder.repair import keep_notes, repair
from ..storage.free_name import free_name

DRAWN = (
    "watch.concept_prompts",
    "watch.bleeding_prompts",
    "watch.pictures",
    "watch.seed",
    "watch.sampler_steps",
    "watch.guidance",
    "watch.negative",
    "watch.size",
)
"""Settings that control pictures are drawn with. Pictures that were drawn with others can't be compared."""
CHANGEABLE = (
    "train.learning_rate",
    "train.text_encoder_learning_rate",
    "method.embedding.learning_rate",
    "train.schedule",
    "train.schedule_steps",
    "train.warmup",
    "train.cycles",
    "train.power",
    "train.clip_norm",
    "train.length",
    "train.length_unit",
    "train.precision",
    "save.every",
    "save.every_unit",
    "save.first_epoch",
    "save.keep_last",
    "save.keep_best",
    "save.precision",
    "save.state_every",
    "save.state_share",
    "save.private",
    "watch.every",
    "watch.stop_early",
    *DRAWN,
    "watch.log_every",
    "watch.tensorboard",
)
FACT = "changed_settings"
ASIDE = "controls_to_set_aside"
"""The fact that the control pictures must still be set aside: a change of their settings was interrupted."""
FIRST = "recipe-first.yaml"
"""The recipe that a run began with, kept beside the one that it goes on with."""


def as_texts(settings: Mapping[str, Any]) -> list[str]:
    """Write settings by path, with values as JSON has them, as the texts that ``change`` reads."""
    return [
        f"{path}={value if isinstance(value, str) else recipe_file.quoted(value)}" for path, value in settings.items()
    ]


def change(folder: Path, settings: Sequence[str]) -> None:
    """Change settings (``section.key=value``) of the run in ``folder``, which goes on with them when it is resumed. An
    earlier change that was interrupted is completed first, or dropped where the recipe doesn't have it yet.

    The recipe of the beginning is kept as ``recipe-first.yaml``. Raises RecipeError, with nothing changed, where a
    setting can't be read, or the run's state depends on it; OSError where a file can't be written: the change is then
    either dropped or completed when the run is resumed.
    """
    _settle(folder)
    if not settings:
        return
    path = folder / "recipe.yaml"
    before = recipe_file.read(path)
    after = recipe_file.override(before, settings)
    recipe_file.validate(after)
    check_texts(after)
    old = {field.path: field.value for field in fields(before)}
    new = {field.path: field.value for field in fields(after)}
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    for name in changed:
        if name not in CHANGEABLE:
            raise RecipeError(
                f"{name} can't be changed when a run is resumed: its state was made with the present value. Start a "
                f"new run instead. What can be changed: {', '.join(CHANGEABLE)}."
            )
    _check_effect(folder, after, changed)
    if changed:
        if not (folder / FIRST).exists():
            recipe_file.write(folder / FIRST, before)
        news = [{"setting": name, "before": old[name], "after": new[name]} for name in changed]
        aside = bool(set(changed) & set(DRAWN))
        # The recipe decides whether the change counts; what has to be done for it is noted before.
        add_facts(folder, **{FACT: [*recorded(folder), *news], ASIDE: aside})
        recipe_file.write(path, after)
        _settle(folder)


def _settle(folder: Path) -> None:
    """Bring a run's folder in line with its recipe after a change, also one that was interrupted: forget changes that
    the recipe doesn't have, and set aside control pictures that were drawn with other settings.

    Raises RecipeError where the recipe can't be read, OSError where a file can't be read or written.
    """
    facts = read_facts(folder)
    found = list(facts.get(FACT, []))
    if all("step" in one for one in found) and not facts.get(ASIDE):
        return
    present = {field.path: field.value for field in fields(recipe_file.read(folder / "recipe.yaml"))}
    kept: list[dict[str, Any]] = []
    for one in reversed(found):
        if "step" in one or present.get(one["setting"]) == one["after"]:
            kept.insert(0, one)
            present[one["setting"]] = one["before"]
    if facts.get(ASIDE) and any(one["setting"] in DRAWN for one in kept if "step" not in one):
        _set_controls_aside(folder)
    if facts.get(ASIDE) or kept != found:
        add_facts(folder, **{FACT: kept, ASIDE: False})


def change_stopped(folder: Path, settings: Sequence[str]) -> None:
    """Change settings of a run that is resumed later, with its damaged files repaired first. Raises as ``change``, and
    RunLocked, with nothing changed, where a program is training the run.
    """
    with run_lock(folder):
        keep_notes(folder, repair(folder))
        change(folder, settings)


def _check_effect(folder: Path, after: Recipe, changed: Sequence[str]) -> None:
    """Raise RecipeError for a change that would have no effect, or a length that the run has passed."""
    train = after.train
    if train.schedule == "steps" and "train.learning_rate" in changed and "train.schedule_steps" not in changed:
        raise RecipeError(
            "train.learning_rate changes nothing with train.schedule=steps: change train.schedule_steps, which names "
            "the rates."
        )
    done = _steps_done(folder)
    if {"train.length", "train.length_unit"} & set(changed) and _steps(folder, after) <= done:
        raise RecipeError(
            f"train.length is {train.length} {train.length_unit}, but the run has trained {done:,} steps already: set "
            "a longer one."
        )


def _steps_done(folder: Path) -> int:
    """Return the step that the run in ``folder`` goes on from."""
    from ..run_folder import state  # needs torch, which whoever asks for the list of settings does without

    found = state.states(folder / "state")
    return state.step_of(found[-1]) if found else 0


def _set_controls_aside(folder: Path) -> None:
    """Rename the folders of the control pictures so far, and of what the judge has seen of them: the run begins new
    ones when it is resumed (``Previews.begin_again``).
    """
    done = _steps_done(folder)
    for path in (folder / "controls", folder / "judge"):
        if path.is_dir():
            name = free_name(f"{path.name}-until-{done:06d}", lambda name: (folder / name).exists())
            path.rename(folder / name)


def _steps(folder: Path, recipe: Recipe) -> float:
    """Return the length of a run in steps; infinite where the steps of its epochs aren't known yet."""
    train = recipe.train
    if train.length_unit == "pictures":
        return math.ceil(train.length / (train.batch_size * train.accumulation))
    per_epoch = dataset.steps_per_epoch(folder) or math.inf
    return train.length * (per_epoch if train.length_unit == "epochs" else 1)


def recorded(folder: Path) -> list[dict[str, Any]]:
    """List every change so far: ``setting``, ``before``, ``after``, and the ``step`` from which on it counts."""
    return list(read_facts(folder).get(FACT, []))


def announce(folder: Path, step: int) -> list[str]:
    """Note that the latest changes count from after ``step`` finished steps on; return a sentence for each."""
    found = recorded(folder)
    new = [one for one in found if "step" not in one]
    if new:
        add_facts(folder, **{FACT: [{"step": step, **one} for one in found]})
    return [
        f"From step {step + 1} on, {one['setting']} is {_shown(one['after'])} instead of {_shown(one['before'])}."
        for one in new
    ]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"“{one}”" for one in value) or "empty"
    return f"{value:g}" if isinstance(value, float) else str(value) or "empty"
