"""Advise against settings that are allowed, but unlikely to be meant."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..storage.text import quantity
from .concept import Concept, Kind
from .method_info import FULL, IN_PARTS, METHOD_INFO, WORDS
from .presets import start
from .recipe import Recipe
from .rules import FINDS_ITS_OWN_RATE, any_of, fields

INSTANCE_PICTURES: dict[Kind, tuple[int, int]] = {"subject": (5, 20), "style": (50, 200)}
"""The least and the most instance pictures that the guide recommends."""
FULL_PICTURES, FULL_PICTURES_PER_CONCEPT = 1000, (20, 50)
"""For a full fine-tune: the least instance pictures in all (the guide: thousands), and the least and the most of each
concept."""
REGULARIZATION_PICTURES = (20, 100)
"""The least and the most regularization pictures for each instance picture that the guide recommends."""
HIGHEST_FULL_RATE = 2e-5
"""Highest usual learning rate of methods that train the model's own weights."""
LEAST_SIZE, MOST_SIZE = 0.75, 1.5
"""Times a model's own resolution at which it can still be trained well."""
WITHOUT_WARMUP = ("constant", "steps")
"""Schedules that begin at the full rate."""
SMALL = 256
"""Pixels a side; models for smaller pictures are small themselves, and tolerate higher rates."""


LIONS_SHARE = 0.2
"""Lion's learning rate as a share of AdamW's (Chen 2023: three to ten times lower)."""
FAR_ABOVE = 10
"""A learning rate so many times the one that its method starts with is unlikely to be meant."""
PICKLES = (".ckpt", ".pt", ".pth", ".bin")
"""Endings of model files that can contain program code."""
LONG_WARMUP = 0.5
"""A warm-up over more than this share of the run leaves little to train with."""


def advice(recipe: Recipe) -> list[str]:
    """Return a sentence for each setting that is allowed, but unlikely to be meant.

    Where the recipe alone says how many steps it has, ``length_advice`` has the same sentence on its warm-up.
    """
    train, watch = recipe.train, recipe.watch
    found = []
    if train.optimizer in FINDS_ITS_OWN_RATE and 0 < train.learning_rate < 0.01:
        found.append(
            f"train.learning_rate is {train.learning_rate:g}, but {train.optimizer} finds its own and takes this as a "
            "factor: 1 is usual."
        )
    found += [*_full_rates(recipe), *_rates(recipe), *_warmup(recipe), *_multiple(recipe)]
    if train.length_unit == "steps":
        found += _long_warmup(recipe, train.length)
    if train.schedule_steps and train.schedule != "steps":
        found.append("train.schedule_steps is only used with train.schedule=steps.")
    if watch.validation_share and not watch.validation_every:
        found.append("watch.validation_share keeps pictures out of training, but watch.validation_every is 0.")
    defaults = {setting.path: setting.value for setting in fields(Recipe)}
    for setting in fields(recipe):
        unused = setting.methods and recipe.method.name not in setting.methods
        if unused and setting.value != defaults[setting.path]:
            found.append(f"{setting.path} is only used with method.name={any_of(setting.methods)}.")
    found += [sentence for concept in recipe.dataset.concepts for sentence in _prompt_advice(recipe, concept)]
    return [*found, *_triggers(recipe), *_unsafe_base(recipe)]


def _unsafe_base(recipe: Recipe) -> Iterator[str]:
    """Advise against a base model in a format that can contain program code."""
    name = re.split(r"[/\\]", recipe.model.base)[-1]
    ending = next((ending for ending in PICKLES if name.lower().endswith(ending)), None)
    if ending:
        yield (
            f"The base model, {name}, is a {ending} file, which can contain program code. sdft runs none of it, but "
            "other programs may: convert it to .safetensors with the tool Convert, and use that file."
        )


def _triggers(recipe: Recipe) -> Iterator[str]:
    """Advise where a concept has no word of its own."""
    method, seen = recipe.method, dict[str, int]()
    has_words = method.name in WORDS and any(word.strip() for word in method.embedding.words)
    for number, concept in enumerate(recipe.dataset.concepts):
        path, trigger = f"dataset.concepts.{number}", " ".join(concept.trigger.split()).casefold()
        if not concept.instance:
            continue
        if not trigger and not has_words:
            yield (
                f"{path}.trigger is empty: no word calls up the concept, so every picture changes a little. Choose "
                "one, unless that is what you want."
            )
        elif trigger and trigger == " ".join(concept.class_word.split()).casefold():
            yield (
                f"{path}.trigger is the class word {concept.class_word.strip()!r} itself: everything of this class "
                "will show the concept. Choose a rare word, such as 'sks', unless that is what you want."
            )
        elif trigger in seen and trigger:
            yield (
                f"{path}.trigger is that of dataset.concepts.{seen[trigger]} too ({concept.trigger.strip()!r}): the "
                "two concepts will be mixed. Choose another word for one of them."
            )
        seen.setdefault(trigger, number)


def length_advice(recipe: Recipe, total_steps: int, steps_per_epoch: int, saves: int | None = None) -> list[str]:
    """Return a sentence for each setting that is unlikely to be meant in a run of this length.

    ``saves``: how many there will be with the last, where that is known.
    """
    save, found = recipe.save, list[str]()
    found += _long_warmup(recipe, total_steps)
    epochs = -(-total_steps // steps_per_epoch)
    if save.every and save.first_epoch > epochs:
        found.append(
            f"save.first_epoch is {save.first_epoch}, but the run has {epochs} epoch{'' if epochs == 1 else 's'}: "
            "there will be no save before the end. Lower it."
        )
    elif saves == 1 or not save.every or _period(recipe, total_steps, steps_per_epoch) >= total_steps:
        found.append(
            "There will be only one save, at the end: if the training goes too far, there is no earlier save to go "
            "back to. Set save.every and save.every_unit, for example to 5 times."
        )
    return found


def resolution_advice(recipe: Recipe, native: int, full_size: bool = False) -> list[str]:
    """Return a sentence where the pictures are much smaller or larger than those that the model was made for, in
    pixels a side; none for models for small pictures, which none of ``full_size`` is.
    """
    size = recipe.dataset.resolution
    if (size < SMALL and not full_size) or native * LEAST_SIZE <= size <= native * MOST_SIZE:
        return []
    what = "draw blurred or cropped" if size < native else "repeat what is in the picture, and take far more memory"
    return [
        f"dataset.resolution is {size}, but this model was made for {native}: it learns to {what}. {native} is usual."
    ]


def _period(recipe: Recipe, total_steps: int, steps_per_epoch: int) -> int:
    """Return the steps from one save to the next."""
    save = recipe.save
    if save.every_unit == "times":
        return total_steps // save.every
    return save.every * (steps_per_epoch if save.every_unit == "epochs" else 1)


def _warms_up(recipe: Recipe) -> bool:
    return recipe.train.warmup > 0 and recipe.train.schedule not in WITHOUT_WARMUP


def _warmup(recipe: Recipe) -> Iterator[str]:
    """Advise where a warm-up is set, but the schedule has none."""
    if recipe.train.warmup and not _warms_up(recipe):
        yield (
            f"train.warmup is {recipe.train.warmup:,}, but the schedule {recipe.train.schedule!r} has no warm-up: "
            + (
                "choose constant_with_warmup."
                if recipe.train.schedule == "constant"
                else "begin train.schedule_steps with a low rate instead."
            )
        )


def _long_warmup(recipe: Recipe, total_steps: int) -> Iterator[str]:
    """Advise where the warm-up takes all of the run, or most of it."""
    warmup = recipe.train.warmup
    if _warms_up(recipe) and warmup >= total_steps:
        yield (
            f"train.warmup ({quantity(warmup, 'step')}) is longer than the run "
            f"({quantity(total_steps, 'step')}): the learning rate never "
            "reaches its value. 5 % of the steps are usual."
        )
    elif _warms_up(recipe) and warmup > LONG_WARMUP * total_steps:
        yield (
            f"train.warmup takes {warmup:,} of {total_steps:,} steps: little is left at the full learning rate. 5 % of "
            "the steps are usual."
        )


def _multiple(recipe: Recipe) -> Iterator[str]:
    """Advise where pictures are made smaller than the resolution says."""
    size = recipe.dataset.resolution
    if size % 8 and size > 8:
        yield (
            f"dataset.resolution is {size}, but a picture's sides must be multiples of 8: they will be at most "
            f"{size // 8 * 8}."
        )


def _rates(recipe: Recipe) -> Iterator[str]:
    """Advise against learning rates far above those that the method starts with, except in models for small pictures.

    Methods that train the model's own weights have a limit of their own.
    """
    method, train = recipe.method, recipe.train
    if train.optimizer in FINDS_ITS_OWN_RATE:
        if train.learning_rate > FAR_ABOVE:
            yield (
                f"train.learning_rate is {train.learning_rate:g}, but {train.optimizer} finds its own and takes this "
                "as a factor: 1 is usual. The training may diverge; lower it."
            )
        return
    if method.name in FULL or recipe.dataset.resolution < SMALL:
        return
    usual = start(method.name, "subject", "sd1", 512)
    rates = {"train.learning_rate": train.learning_rate}
    if method.name in IN_PARTS and method.text_encoder:
        rates["train.text_encoder_learning_rate"] = train.text_encoder_learning_rate
    if method.name == "pivotal":
        rates["method.embedding.learning_rate"] = method.embedding.learning_rate
    share = LIONS_SHARE if train.optimizer == "lion" else 1.0
    for path, rate in rates.items():
        normal = share * float(usual.get(path, usual["train.learning_rate"]))
        if rate > FAR_ABOVE * normal:
            yield (
                f"{path} is {rate:g}, more than {FAR_ABOVE} times what {METHOD_INFO[method.name].label} is usually "
                f"trained with ({normal:g}): the training may diverge. Lower it."
            )


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
                f"train.{name} is {rate:g}, but {METHOD_INFO[method.name].label} trains the model's own weights, which "
                "forget what they knew at rates above 2e-5: 2e-6 is usual."
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
