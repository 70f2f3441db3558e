"""Advise against settings that are allowed, but unlikely to be meant."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .concept import Concept
from .method_info import FULL
from .recipe import Recipe
from .rules import FINDS_ITS_OWN_RATE, fields

HIGHEST_FULL_RATE = 2e-5
"""Highest usual learning rate of methods that train the model's own weights."""
SMALL = 256
"""Pixels a side; models for smaller pictures are small themselves, and tolerate higher rates."""


def advice(recipe: Recipe) -> list[str]:
    """Return a sentence for each setting that is allowed, but unlikely to be meant."""
    train, watch = recipe.train, recipe.watch
    found = []
    if train.optimizer in FINDS_ITS_OWN_RATE and 0 < train.learning_rate < 0.01:
        found.append(
            f"train.learning_rate is {train.learning_rate:g}, but {train.optimizer} finds its own and takes this as a "
            "factor: 1 is usual."
        )
    found += _full_rates(recipe)
    if train.schedule_steps and train.schedule != "steps":
        found.append("train.schedule_steps is only used with train.schedule=steps.")
    if watch.validation_share and not watch.validation_every:
        found.append("watch.validation_share keeps pictures out of training, but watch.validation_every is 0.")
    defaults = {setting.path: setting.value for setting in fields(Recipe)}
    for setting in fields(recipe):
        unused = setting.methods and recipe.method.name not in setting.methods
        if unused and setting.value != defaults[setting.path]:
            found.append(f"{setting.path} is only used with method.name={' or '.join(setting.methods)}.")
    found += [sentence for concept in recipe.dataset.concepts for sentence in _prompt_advice(recipe, concept)]
    return found


def _full_rates(recipe: Recipe) -> Iterator[str]:
    """Advise against a LoRA's learning rates for the model's own weights, except in models for small pictures."""
    method, train = recipe.method, recipe.train
    if method.name not in FULL or train.optimizer in FINDS_ITS_OWN_RATE or recipe.dataset.resolution < SMALL:
        return
    own_text_rate = method.text_encoder and train.text_encoder_learning_rate > 0
    in_use = {"learning_rate": method.unet or not own_text_rate, "text_encoder_learning_rate": own_text_rate}
    for name, used in in_use.items():
        rate = getattr(train, name)
        if used and rate > HIGHEST_FULL_RATE:
            yield (
                f"train.{name} is {rate:g}, but {method.name} trains the model's own weights, which forget what they "
                "knew at rates above 2e-5: 2e-6 is usual."
            )


def _prompt_advice(recipe: Recipe, concept: Concept) -> Iterator[str]:
    """Advise where a bleeding prompt has the trigger, or a concept prompt lacks it."""
    trigger = concept.trigger.strip()
    if not trigger:
        return
    word = re.compile(rf"(?<!\w){re.escape(trigger)}(?!\w)", re.IGNORECASE)
    for number, prompt in enumerate(recipe.watch.bleeding_prompts):
        if word.search(prompt):
            yield f"watch.bleeding_prompts.{number} contains the trigger {trigger!r}: it will show the concept."
    if len(recipe.dataset.concepts) == 1:
        for number, prompt in enumerate(recipe.watch.concept_prompts):
            if not word.search(prompt):
                yield f"watch.concept_prompts.{number} lacks the trigger {trigger!r}: it may not show the concept."
