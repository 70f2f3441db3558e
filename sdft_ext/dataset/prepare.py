"""Prepare the dataset of a run from a recipe and a model: scan, encode, plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ..model.autocast import without_autocast
from ..model.base import Conditioning, Model
from ..model.text import encode
from ..model.vae import encode_pictures
from ..recipe import Recipe
from .batches import Batches
from .cache import WAITING, Latents, cache_folder
from .cache_files import fingerprint
from .folder import DatasetError, Scan, scan
from .plan import Plan, hold_out
from .shard import ALL, Shard
from .text_cache import TextCache

Progress = Callable[[str, int, int], None]
"""Called with (phase, done, total)."""
Lend = Callable[[Callable[[], Any]], Any]
"""Calls a function that uses the model in a turn of its own; between turns, the model's owner may use it."""
CROPS_LEFT_OUT = (
    "This run began without the crops that were moved by hand, and goes on without them. A new run uses them."
)


@dataclass(frozen=True)
class Dataset:
    """The dataset of a run. ``text``: captions as the untrained text encoder encodes them; ``notes``: the caches';
    ``fingerprint``: that of the scan, "-", and a hash of what the files hold.
    """

    scan: Scan
    held_out: list[int]
    plan: Plan
    batches: Batches
    text: TextCache[Conditioning]
    notes: list[str]
    fingerprint: str


def at_once(work: Callable[[], Any]) -> Any:
    """Call a function without waiting for a turn, for a model that no one else uses."""
    return work()


def prepare(
    recipe: Recipe,
    model: Model,
    began_with: str | None = None,
    progress: Progress | None = None,
    lend: Lend = at_once,
    shard: Shard = ALL,
) -> Dataset:
    """Scan the recipe's folders, encode what can be encoded ahead of time, and plan the run.

    Call it before a method changes the model, because the base model's output is cached. The first pictures are only
    opened, and encoded when a step needs them, so that the first step doesn't wait for all. Captions are encoded ahead
    of time only if the text encoder isn't trained. The model is used only inside ``lend``, for a few pictures or one
    caption at a time, here and later. ``began_with``: the fingerprint of the dataset that a resumed run began with.

    Raises DatasetError where there is nothing to train on, and where a resumed run began with other pictures or
    captions, so that it couldn't continue as if it had never stopped.
    """
    dataset, where = recipe.dataset, cache_folder(recipe.dataset, recipe.save.output)
    vae_name = lend(lambda: _vae_name(model))
    latents = Latents(dataset, lambda pixels: lend(lambda: encode_pictures(model, pixels)), vae_name, where)
    there = scan(dataset)
    found = latents.prepare(there.as_begun(began_with), _phase(progress, "Encoding pictures"), WAITING)
    fingerprint = f"{found.fingerprint}-{latents.contents(found)}"
    if began_with not in (None, found.fingerprint, fingerprint):  # version 0.1.0 kept only that of the scan
        raise DatasetError(
            "The pictures or captions are not the ones that the run began with; restore them, or start a new run "
            "(which can continue from this one's last save)."
        )
    held_out = hold_out(found, recipe.watch.validation_share, recipe.train.seed)
    plan = Plan(found, dataset, shard.whole_batch(recipe.train), held_out)
    text = text_cache(recipe, model, lend)
    if not recipe.method.trains_text:
        text.prepare(plan.all_captions(), _phase(progress, "Encoding captions"))
    moved = any(picture.crop is not None for picture in there.pictures)
    notes = [CROPS_LEFT_OUT] if moved and all(picture.crop is None for picture in found.pictures) else []
    notes += [*latents.notes, *text.notes]
    return Dataset(found, held_out, plan, Batches(plan, latents, shard), text, notes, fingerprint)


def text_cache(recipe: Recipe, model: Model, lend: Lend = at_once) -> TextCache[Conditioning]:
    """Make a cache of captions as the model encodes them now; once its text encoders change, make a new one."""

    @torch.no_grad()
    def encoded(captions: Sequence[str]) -> Conditioning:
        # Without autocast, so that a caption that is encoded during a step has the same numbers as one encoded ahead.
        with without_autocast(model.device):
            return encode(model, captions, recipe.model.clip_skip)

    def fingerprinted() -> str:
        weights = [(f"{n} {name}", t) for n, e in enumerate(model.text_encoders) for name, t in e.state_dict().items()]
        return fingerprint(weights, model.family.name, model.family.text_layer, recipe.model.clip_skip)

    name = lend(fingerprinted)
    where = cache_folder(recipe.dataset, recipe.save.output)
    return TextCache(lambda captions: lend(lambda: encoded(captions)), name, recipe.dataset.cache, where, model.device)


def _vae_name(model: Model) -> str:
    return fingerprint(model.vae.state_dict(), model.family.latent_scale)


def _phase(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return None if progress is None else partial(progress, what)
