"""From a recipe and a model to the dataset of a run: scan, encode, plan."""

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
"""Called with (what is being done, done, total)."""
Lend = Callable[[Callable[[], Any]], Any]
"""Does a piece of work in a turn of its own with the model, whose owner may use it in between."""


@dataclass(frozen=True)
class Dataset:
    """What a run needs of its pictures.

    ``text`` gives captions as the untrained text encoder reads them; ``notes`` are sentences of the caches.
    """

    scan: Scan
    held_out: list[int]
    plan: Plan
    batches: Batches
    text: TextCache[Conditioning]
    notes: list[str]


def at_once(work: Callable[[], Any]) -> Any:
    """For a model that nobody else uses."""
    return work()


def prepare(
    recipe: Recipe,
    model: Model,
    began_with: str | None = None,
    progress: Progress | None = None,
    lend: Lend = at_once,
    shard: Shard = ALL,
) -> Dataset:
    """Scan the recipe's folders, encode what can be encoded ahead, and plan the run.

    The first pictures are only opened, and encoded when a step needs them: the first step doesn't wait for all.

    ``began_with`` is the fingerprint of the dataset that a resumed run began with. Call it before a method changes the
    model: the base's is cached.
    Captions are encoded ahead only where the text encoder isn't trained. The model is used inside ``lend`` only, a few
    pictures or one caption at a time, here and whenever the dataset is asked later.

    Raises DatasetError where there is nothing to train on, and where the run began with other pictures or captions:
    it could not go on as if it had never stopped.
    """
    dataset, where = recipe.dataset, cache_folder(recipe.dataset, recipe.save.output)
    vae_name = lend(lambda: _vae_name(model))
    latents = Latents(dataset, lambda pixels: lend(lambda: encode_pictures(model, pixels)), vae_name, where)
    found = latents.prepare(scan(dataset), _told(progress, "Encoding pictures"), WAITING)
    if began_with not in (None, found.fingerprint):
        raise DatasetError(
            "The pictures or captions are not those that the run began with; put them back as they were, or start a "
            "new "
            "run (which may continue from this one's last save)."
        )
    held_out = hold_out(found, recipe.watch.validation_share, recipe.train.seed)
    plan = Plan(found, dataset, shard.whole(recipe.train), held_out)
    text = text_cache(recipe, model, lend)
    if not recipe.method.trains_text:
        text.prepare(plan.all_captions(), _told(progress, "Encoding captions"))
    return Dataset(found, held_out, plan, Batches(plan, latents, shard), text, [*latents.notes, *text.notes])


def text_cache(recipe: Recipe, model: Model, lend: Lend = at_once) -> TextCache[Conditioning]:
    """A cache of captions as the model reads them now. Make a new one when its text encoders have changed."""

    @torch.no_grad()
    def encoded(captions: Sequence[str]) -> Conditioning:
        # A caption that a step meets first has the numbers of one that was encoded ahead.
        with without_autocast(model.device):
            return encode(model, captions, recipe.model.clip_skip)

    def named() -> str:
        weights = [(f"{n} {name}", t) for n, e in enumerate(model.text_encoders) for name, t in e.state_dict().items()]
        return fingerprint(weights, model.family.name, model.family.text_layer, recipe.model.clip_skip)

    name = lend(named)
    where = cache_folder(recipe.dataset, recipe.save.output)
    return TextCache(lambda captions: lend(lambda: encoded(captions)), name, recipe.dataset.cache, where, model.device)


def _vae_name(model: Model) -> str:
    return fingerprint(model.vae.state_dict(), model.family.latent_scale)


def _told(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return None if progress is None else partial(progress, what)
