"""Shared or exclusive: whether what a run doesn't need lies in the computer's memory while it steps.

*Shared*: each step is a turn of its own, and pictures asked for are drawn between. *Exclusive*, for cards that are too small:
the VAE, and the text encoders once their outputs are kept, lie in the computer's memory while steps go on; of a whole model that
trains, the host's own weights do. One turn then holds until something else than a step is due: control pictures, a save, a
pause, the end. Pictures asked for wait until then.
"""

from __future__ import annotations

from torch import Tensor

from ..dataset.prepare import Dataset
from ..host.offload import empty_cache
from ..model.base import Model
from ..model.copies import Copied
from ..recipe import FULL, Recipe
from ..train.loop import Loop
from . import trial_step
from .trial_step import DoesNotFit, Measured
from .turns import Turns

WORDS = {
    "shared": "Mode: shared. Pictures asked for meanwhile are drawn between two steps.",
    "exclusive": (
        "Mode: exclusive. While steps go on, {what} in the computer's memory, and pictures asked for wait until the run draws, "
        "saves, pauses or ends."
    ),
}


NAMED = {"vae": "the VAE", "text encoder": "the text encoder", "unet": "the UNet that the training's copy was made of"}


def describe(mode: str, recipe: Recipe) -> str:
    """The mode as a sentence."""
    return WORDS[mode].format(what=_what(recipe))


def choose_mode(turns: Turns, loop: Loop, dataset: Dataset, step: int) -> tuple[str, Measured] | None:
    """Where a GPU trains, see with one step which mode it fits in, and set the turns to it. Raises DoesNotFit."""
    if not trial_step.wanted(loop.device):
        return None

    latents = dataset.batches.latents

    def measured() -> Measured:
        empty_cache()
        return trial_step.measure(loop, dataset.plan, step, turns.host.memory().free_mb, latents.encode_some)

    try:
        return "shared", turns.do(measured)
    except DoesNotFit:
        if not offloadable_parts(loop.recipe):
            raise
    # Not in the handler: there, the error would hold what the step had computed.
    turns.do(latents.encode_waiting)
    turns.needed = lambda: needed(loop.model, loop.recipe)
    return "exclusive", turns.do(measured, step=True)


def offloadable_parts(recipe: Recipe) -> list[str]:
    """What exclusive mode puts aside: vae, text encoder, unet; nothing where all of it is needed."""
    base = recipe.method.name in FULL and not _needs_base(recipe)
    parts = [] if _needs_vae(recipe) else ["vae"]
    # A copy of a text encoder that trains leaves the host's to be put aside.
    if not _needs_text(recipe) or (base and recipe.method.text_encoder):
        parts.append("text encoder")
    return [*parts, "unet"] if base and recipe.method.unet else parts


def needed(model: Model, recipe: Recipe) -> list[Tensor]:
    """What has to stay where it is while steps go on."""
    modules = [model.unet]
    if _needs_vae(recipe):
        modules.append(model.vae)
    if _needs_text(recipe):
        modules += model.text_encoders
    found: list[Tensor] = []
    for module in modules:
        for parameter in module.parameters():
            found.append(parameter)
            if isinstance(parameter, Copied) and _needs_base(recipe):
                found.append(parameter.borrowed)
    return found


def _needs_vae(recipe: Recipe) -> bool:
    """Whether pictures are encoded in steps."""
    return recipe.dataset.cache == "none" or recipe.dataset.crop == "random"


def _needs_text(recipe: Recipe) -> bool:
    """Whether prompts are encoded in steps: such as aren't the dataset's captions, or change, or are read by what trains."""
    dataset = recipe.dataset
    changing = dataset.cache == "none" or dataset.shuffle_tags or dataset.tag_dropout > 0
    return recipe.method.reads_anew or changing or _needs_base(recipe)


def _needs_base(recipe: Recipe) -> bool:
    """Whether the base's own answers are asked for."""
    return bool(recipe.train.class_preservation or recipe.train.blank_preservation)


def _what(recipe: Recipe) -> str:
    parts = [NAMED[part] for part in offloadable_parts(recipe)]
    if len(parts) < 2:
        return "".join(parts) + " lies"
    return f"{', '.join(parts[:-1])} and {parts[-1]} lie"
