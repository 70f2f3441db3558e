"""Shared or exclusive: whether weights that the steps don't need are offloaded to the computer's memory.

*Shared*: each step is a turn of its own, and pictures that the user asks for are drawn between two steps. *Exclusive*,
for small GPUs: the VAE, the text encoders once their outputs are cached, and, of a whole model that trains, the host's
own weights are offloaded while the run steps. One turn then lasts until something else than a step is due: control
pictures, a save, a pause, the end. Pictures that the user asks for wait until then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ..host.offload import empty_cache
from ..model.base import Model
from ..model.copies import Copied
from ..recipe import FULL, Recipe
from ..run_folder.facts import add_facts
from . import trial_step
from .trial_step import DoesNotFit, Measured

if TYPE_CHECKING:
    from .monitor import Monitor
    from .setup import Session

SENTENCES = {
    "shared": "Mode: shared. Pictures that you request meanwhile are drawn between two steps.",
    "exclusive": (
        "Mode: exclusive. While the run steps, {what} in the computer's memory, and pictures asked for wait until "
        "the run draws, "
        "saves, pauses or ends."
    ),
}
NAMES = {"vae": "the VAE", "text encoder": "the text encoder", "unet": "the UNet that the training's copy was made of"}


def describe(mode: str, recipe: Recipe) -> str:
    """Describe the mode in a sentence."""
    parts = [NAMES[part] for part in offloadable_parts(recipe)]
    what = "".join(parts) + " is" if len(parts) < 2 else f"{', '.join(parts[:-1])} and {parts[-1]} are"
    return SENTENCES[mode].format(what=what)


def choose(session: Session, step: int, monitor: Monitor) -> None:
    """On a GPU, try a step to choose the memory mode by what it takes; log and show it. Raises DoesNotFit."""
    chosen = choose_mode(session, step)
    if chosen is not None:
        mode, measured = chosen
        text = f"{measured.text} {describe(mode, session.recipe)}"
        add_facts(session.folder, memory=measured.facts(), mode=mode)
        monitor.log.event(step, "memory", text=text)
        monitor.display.say(text)


def choose_mode(session: Session, step: int) -> tuple[str, Measured] | None:
    """Try step number ``step`` (0-based) to see which mode it fits in, and set the turns to that mode.

    Returns the mode and what the step took; None where no step is tried: on a CPU, and after the last one. Raises
    DoesNotFit.
    """
    loop, turns, latents = session.loop, session.turns, session.dataset.batches.latents
    if step >= loop.total_steps or not trial_step.needed(loop.device):
        return None

    def measured() -> Measured:
        empty_cache()
        return trial_step.measure(loop, session.dataset.plan, step, turns.host.memory().free_mb, latents.encode_largest)

    try:
        return "shared", turns.do(measured)
    except DoesNotFit:
        if not offloadable_parts(session.recipe):
            raise
    # Outside the handler, where the error would keep alive what the step had computed.
    turns.do(latents.encode_waiting)
    turns.needed = lambda: needed(session.model, session.recipe)
    return "exclusive", turns.do(measured, step=True)


def offloadable_parts(recipe: Recipe) -> list[str]:
    """Name the parts of the model that exclusive mode offloads: vae, text encoder, unet; none where all are needed."""
    base = recipe.method.name in FULL and not _needs_base(recipe)
    parts = [] if _needs_vae(recipe) else ["vae"]
    # Where a copy of the text encoder trains, the host's own can be offloaded.
    if not _needs_text(recipe) or (base and recipe.method.text_encoder):
        parts.append("text encoder")
    return [*parts, "unet"] if base and recipe.method.unet else parts


def needed(model: Model, recipe: Recipe) -> list[Tensor]:
    """List the tensors that stay on the GPU while the run steps."""
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
    """Tell whether steps encode pictures."""
    return recipe.dataset.cache == "none" or recipe.dataset.crop == "random"


def _needs_text(recipe: Recipe) -> bool:
    """Tell whether steps encode prompts: captions that change, prompts that aren't captions, or any where the encoder
    trains.
    """
    dataset = recipe.dataset
    changing = dataset.cache == "none" or dataset.shuffle_tags or dataset.tag_dropout > 0
    changing = changing or dataset.wildcards or dataset.caption_lines == "choose"
    return recipe.method.trains_text or changing or _needs_base(recipe)


def _needs_base(recipe: Recipe) -> bool:
    """Tell whether steps ask for the answers of the untrained model."""
    return bool(recipe.train.class_preservation or recipe.train.blank_preservation)
