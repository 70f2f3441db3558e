"""Batches: the plan's samples, encoded and stacked. Like the plan, a pure function of the step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from ..randomness import generator
from .cache import Encoded, Latents, View
from .plan import Plan, Sample
from .shard import ALL, Shard


@dataclass(frozen=True)
class Batch:
    """A micro-batch: B pictures of one bucket.

    latents         [B, C, h, w] float32, scaled
    captions        B texts
    weight          [B] the concept's loss weight, for regularization pictures times ``prior_loss_weight``
    mask            [B, 1, h, w] in [0, 1], or None if no picture has one; a picture without one counts as all white
    regularization  [B] bool
    time_ids        [B, 6] float32: original height, width, crop top, left, target height, width (SDXL's order, Podell
                    2023 §2.2), in pixels; the crop counts in the resized picture, after mirroring
    pictures        indices into the scan's pictures
    shard           which pictures of the whole batch these are
    all_captions    the captions of the whole batch; empty where this is the whole batch
    """

    latents: torch.Tensor
    captions: list[str]
    weight: torch.Tensor
    mask: torch.Tensor | None
    regularization: torch.Tensor
    time_ids: torch.Tensor
    pictures: list[int]
    shard: Shard = ALL
    all_captions: list[str] = field(default_factory=list)

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch with its tensors on a device."""
        if self.latents.device == torch.device(device):
            return self
        return replace(
            self,
            latents=self.latents.to(device),
            weight=self.weight.to(device),
            mask=None if self.mask is None else self.mask.to(device),
            regularization=self.regularization.to(device),
            time_ids=self.time_ids.to(device),
        )


class Batches:
    """The batches of a run: ``at(step, micro)``, both from 0, in any order. ``shard``: the part for this process."""

    def __init__(self, plan: Plan, latents: Latents, shard: Shard = ALL) -> None:
        self.plan, self.latents, self.shard = plan, latents, shard
        self._fixed: dict[tuple[int, ...], Batch] = {}

    def at(self, step: int, micro: int = 0) -> Batch:
        """Return a micro-batch. Raises PictureError where a picture must be opened again (random crops, cache 'none')
        and can't be.
        """
        samples = self.plan.samples(step, micro)
        batch = self._batch(self.shard.of(samples), (step, micro))
        if self.shard.count == 1:
            return batch
        return replace(batch, shard=self.shard, all_captions=[sample.caption for sample in samples])

    def fixed(self, pictures: Sequence[int]) -> Batch:
        """Return the batch of these pictures, of one bucket, without any draw: for validation, so it is cached."""
        key = tuple(pictures)
        if key not in self._fixed:
            self._fixed[key] = self._batch([self.plan.fixed_sample(picture) for picture in pictures], None)
        return self._fixed[key]

    def fixed_groups(self, pictures: Sequence[int], at_most: int) -> list[list[int]]:
        """Split pictures into groups of one bucket and at most ``at_most``, as ``fixed`` takes them."""
        groups: dict[str, list[list[int]]] = {}
        for picture in pictures:
            same = groups.setdefault(str(self.plan.geometries[picture].bucket), [[]])
            if len(same[-1]) == at_most:
                same.append([])
            same[-1].append(picture)
        return [group for same in groups.values() for group in same]

    def _batch(self, samples: list[Sample], place: tuple[int, int] | None) -> Batch:
        scan, train = self.plan.scan, self.plan.train
        facts = [scan.pictures[sample.picture] for sample in samples]
        encoded = self.latents.get([View(f, s.geometry, s.flip) for f, s in zip(facts, samples, strict=True)])
        weights = [
            scan.concepts[f.concept].loss_weight * (train.prior_loss_weight if f.regularization else 1.0) for f in facts
        ]
        return Batch(
            latents=self._latents(encoded, place),
            captions=[sample.caption for sample in samples],
            weight=torch.tensor(weights, dtype=torch.float32),
            mask=_masks(encoded),
            regularization=torch.tensor([f.regularization for f in facts]),
            time_ids=torch.tensor([self._time_ids(s) for s in samples], dtype=torch.float32),
            pictures=[sample.picture for sample in samples],
        )

    def _latents(self, encoded: Sequence[Encoded], place: tuple[int, int] | None) -> torch.Tensor:
        """Return the VAE's mean, or a draw from its Gaussian (the mean in ``fixed``), [B, C, h, w]."""
        mean = torch.stack([e.mean for e in encoded])
        if self.plan.dataset.latents == "mean" or place is None:
            return mean
        whole = (len(mean) * self.shard.count, *mean.shape[1:])
        noise = self.shard.of(torch.randn(whole, generator=generator(self.plan.train.seed, "latents", *place)))
        return mean + torch.stack([e.std for e in encoded]) * noise

    def _time_ids(self, sample: Sample) -> tuple[int, int, int, int, int, int]:
        picture, g = self.plan.scan.pictures[sample.picture], sample.geometry
        left = g.slack[0] - g.x if sample.flip else g.x
        return picture.height, picture.width, g.y, left, g.bucket.height, g.bucket.width


def _masks(encoded: Sequence[Encoded]) -> torch.Tensor | None:
    if all(e.mask is None for e in encoded):
        return None
    return torch.stack([torch.ones(e.mean.shape[-2:]) if e.mask is None else e.mask for e in encoded])[:, None]
