"""Draws pictures with the WebUI's own txt2img, for the extension itself: under its lock, and leaving nothing behind.

The pipeline is the WebUI's: it works with every model that the WebUI can draw with, in every memory mode, with its
samplers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import Files, HostChanged, HostError, Sampling
from . import model as webui_model
from .supported import unsupported_reason

if TYPE_CHECKING:
    from PIL import Image

TRIES = 5
"""How often a picture that the user's Interrupt or Skip has hit is tried."""


def samplers() -> list[str]:
    """Name the samplers that the txt2img tab offers."""
    from modules import sd_samplers

    return list(sd_samplers.visible_sampler_names())


def paint(prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling, model: Files) -> list[Image.Image]:
    """Draw one picture for each prompt and seed. Raises HostError and HostChanged as the contract says."""
    from modules import shared
    from modules.call_queue import queue_lock

    if sampling.sampler not in samplers():
        raise HostError(f"The WebUI has no sampler {sampling.sampler}: choose one of {', '.join(samplers())}.")
    _ = shared.sd_model  # loads it, or waits for the thread that does
    for _number in range(TRIES):
        with queue_lock, _no_history():
            webui_model.bring_back(model.base)
            _check(model)
            pictures = _drawn(prompts, seeds, sampling)
            _check(model)  # the WebUI loads the checkpoint of its settings where another one was left loaded
        if pictures is not None:
            return pictures
    raise HostError(f"The pictures were interrupted {TRIES} times in the WebUI: try again.")


def _drawn(prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling) -> list[Image.Image] | None:
    """Draw the pictures; None where somebody has interrupted them."""
    from modules import shared
    from modules.processing import StableDiffusionProcessingTxt2Img, process_images

    work: Any = StableDiffusionProcessingTxt2Img(
        sd_model=shared.sd_model,
        prompt=list(prompts),
        negative_prompt=sampling.negative,
        seed=list(seeds),
        batch_size=len(prompts),
        n_iter=1,
        sampler_name=sampling.sampler,
        steps=sampling.steps,
        cfg_scale=sampling.guidance,
        width=sampling.width // 8 * 8,
        height=sampling.height // 8 * 8,
        restore_faces=False,
        tiling=False,
        do_not_save_samples=True,
        do_not_save_grid=True,
        override_settings={"CLIP_stop_at_last_layers": sampling.clip_skip},
    )
    with closing(work):
        shared.state.begin(job="sdft")
        try:
            found = process_images(work)
            whole = not shared.state.interrupted and not shared.state.skipped
        finally:
            shared.state.end()
            shared.state.interrupted = shared.state.skipped = shared.state.stopping_generation = False
    pictures: list[Image.Image] = [image.convert("RGB") for image in found.images[found.index_of_first_image :]]
    return pictures[: len(prompts)] if whole and len(pictures) >= len(prompts) else None


def _check(model: Files) -> None:
    from modules import sd_vae

    lent = webui_model.current()
    name = Path(model.base).name
    if lent is None:
        raise HostError(unsupported_reason(None))
    loaded = str(lent.sd_checkpoint_info.filename)
    if loaded != model.base:
        raise HostChanged(
            f"The checkpoint was changed to {Path(loaded).name}: load {name} again, then drawing goes on."
        )
    vae = str(sd_vae.loaded_vae_file or "")
    if vae != model.vae:
        other, former = (Path(path).name or "the checkpoint's own" for path in (vae, model.vae))
        raise HostChanged(f"The VAE was changed to {other}: choose {former} again, then drawing goes on.")


@contextmanager
def _no_history() -> Iterator[None]:
    """Keep our prompts out of the file in which the WebUI remembers its user's last prompt."""
    from modules import shared

    former = shared.cmd_opts.no_prompt_history
    shared.cmd_opts.no_prompt_history = True
    try:
        yield
    finally:
        shared.cmd_opts.no_prompt_history = former
